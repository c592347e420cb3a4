//! The master: owns every handle, starts and stops all the others.
//!
//! A start is a reload from nothing: load, check, plan, prepare, commit. [`start()`] walks that way, [`reconfig`] has its
//! last steps, [`reload`] decides when to walk it again, and [`Master::stop`] is the way back.
//!
//! # Laws
//! - One master in a folder: it holds a lock, and whoever comes second learns whose.
//! - Until `commit`, a failure leaves nothing behind but files that the next start uses again.
//!
//! # Not here
//! The HTTP API (`web`), exit codes and words for people (`cli`).

mod attempt;
pub mod folder;
pub mod generations;
pub mod handle;
pub mod impact;
mod look;
mod passwords;
pub mod pid_lock;
pub mod reconfig;
pub mod reload;
pub mod socket;
pub mod start;
mod whereabouts;

pub use folder::{FolderError, MasterFolder};
pub use generations::{Attempt, Cause, Generations, Verdict};
pub use handle::{MasterHandle, RequestError, StopMode};
pub use impact::Impact;
pub use pid_lock::PidLock;
pub use reconfig::PrepareError;
pub use reload::{ReloadError, ReloadHandle};
pub use start::{Master, StartError, start};
pub use whereabouts::{Noun, Whereabouts};
