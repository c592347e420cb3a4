//! Who is connected, who may be, and what is said on each link.
//!
//! # Laws
//! - A name has one connection or none; `WorkerAttached` and `WorkerDetached` alternate.
//! - A command that was started is heard of until its `Complete`, or until its link is gone: then its
//!   [`CommandEvents`] end without one.
//!
//! # Not here
//! Which build runs where (`build`), what a worker does with a message (`bot`), the wires (`protocol`).

pub mod certificates;
pub mod connection;
pub mod gate;
mod keepalive;
mod lease;
pub mod listener;
pub mod local;
mod metered;
mod msgpack_link;
pub mod operator;
mod pb_link;
mod pump;
pub mod quarantine;
pub mod registry;
pub mod roster;
#[cfg(test)]
mod tests;

pub use connection::{CommandEvent, CommandEvents, ConnectionHandle, LinkGone};
pub use lease::Lease;
pub use local::LocalWorkers;
pub use operator::{Operator, OperatorHandle};
pub use quarantine::Conduct;
pub use registry::{AttachError, Epoch, Registry, RegistryHandle};
pub use roster::{BadPassword, Roster, RosterEntry, RosterWatch};
