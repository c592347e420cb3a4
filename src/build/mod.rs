//! From a request to a build to its outcome.
//!
//! The queue is in the store: [`queue`] looks what waits, [`board`] says what may run where, and [`run`] is the task
//! of one build, which takes its steps in order.
//!
//! # Laws
//! - A request has one build at a time; who claims it in the store has it.
//! - A build that began has an end: by its steps, by a stop, by the loss of its worker, or at the next start; unless that goes on
//!   with it ([`resume`]).
//! - A running build keeps the definition that it began with.
//!
//! # Not here
//! Who asks for builds (`scheduler`), who is connected (`worker`).

pub mod board;
mod busy;
mod conduct;
pub mod control;
pub mod family;
pub mod lending;
pub mod line;
pub mod lock;
pub mod progress;
pub mod properties;
pub mod queue;
pub mod resume;
pub mod run;
pub mod step;

pub use busy::Load;
pub use control::{BuildControl, Running, StopKind, Stopped};
pub use family::Family;
pub use lending::Lending;
pub use queue::{Builds, BuildsHandle, Surroundings};
