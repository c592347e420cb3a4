//! What the operator wrote, as values that compare.
//!
//! The way of a value: `config` reads the Lua file into a [`Draft`], [`check()`] holds it to the laws and makes a
//! [`MasterDefinition`], and [`ReconfigPlan::between`] tells the way from one definition to the next.
//!
//! # Laws
//! - Plain data: no handle, no socket, no interpreter. Two loads of one text are equal.
//! - [`Place`](crate::model::Place) stands outside equality.
//! - Each option is told once, in [`options`]; reader, hints, `docs/config.md` and the editor stubs follow from it.
//!
//! # Not here
//! Lua (`config`), and carrying a plan out (`master`).

pub mod address;
pub mod builder;
pub mod check;
pub mod collapse;
pub mod database;
pub mod document;
pub mod endpoint;
pub mod hook;
pub mod known;
pub mod latent;
pub mod listener;
pub mod lock;
pub mod master;
pub mod options;
pub mod password;
pub mod plan;
pub mod problem;
pub mod quantity;
pub mod record;
pub mod render;
pub mod reporter;
pub mod scheduler;
pub mod secret;
pub mod secret_use;
pub mod secrets_provider;
pub mod shown;
pub mod step;
pub mod suggest;
pub mod suspect;
pub mod triggers;
pub mod worker;
pub mod worker_match;

pub use address::{Address, Mailbox};
pub use builder::BuilderDefinition;
pub use check::check;
pub use collapse::Collapse;
pub use database::DatabaseDefinition;
pub use hook::{Hook, HookArgument, HookCall, HookError, HookId, Hooks, Interpreter, NoHooks};
pub use latent::{IdlePolicy, LatentDefinition};
pub use listener::{ListenerDefinition, ListenerId, TlsFiles};
pub use lock::{LockAccess, LockDefinition, LockKind, LockMode};
pub use master::{Draft, MasterDefinition};
pub use password::{HashedPassword, Password, Passwords};
pub use plan::{Cost, Deed, PlanItem, ReconfigPlan};
pub use problem::{Problem, Severity};
pub use render::{Call, Known, RenderError, Renderable, Rendering, Text, Worth};
pub use reporter::{
    AttachedLogs, BuildGenerator, BuildMode, Lookup, Message, ReporterDefinition, WatchedWorkers,
};
pub use scheduler::{SchedulerDefinition, SchedulerKind};
pub use secret::{NoSecrets, SecretError, SecretName, SecretText, Secrets};
pub use secret_use::{Need, SecretUse};
pub use secrets_provider::{SecretsProvider, SecretsProviderKind};
pub use step::{
    Command, Condition, EnvironmentValue, Extraction, SetPropertyFromCommand, ShellCommand, StepDefinition,
    StepKind, WatchedFile,
};
pub use triggers::{TriggerError, TriggerOrder, Triggered, Triggers};
pub use worker::{WorkerDefinition, WorkerKind};
pub use worker_match::{Mismatch, WorkerMatch};
