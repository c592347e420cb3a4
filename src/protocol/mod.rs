//! What master and worker say to each other, and the forms it takes on the wire.
//!
//! # Laws
//! - No socket is opened and no clock is read here: bytes and instants come in as arguments.
//! - [`message`] and [`command`] are what the rest of the program knows; each wire is one way to carry it: [`pb`] and
//!   [`msgpack`] are those of `buildbot-worker`.
//!
//! # Not here
//! Sockets and logins (`worker`, `bot`), and what a worker does with a message (`bot`).

pub mod bot;
pub mod command;
pub mod facts;
pub mod link;
pub mod message;
pub mod msgpack;
pub mod pb;
pub mod queue;
pub mod unfit;

pub use command::{ShellArguments, WorkerCommand};
pub use link::Link;
pub use message::{
    CommandId, FailureReason, FromWorker, SessionId, ToWorker, Transfer, TransferReply, Update,
};
pub use unfit::Unfit;
