//! What asks for builds.
//!
//! # Not here
//! The queue and the builds (`build`).

pub mod force;
pub mod periodic;
pub mod triggerable;

pub use force::{ForceError, ForceRequest};
pub use triggerable::Triggerables;
