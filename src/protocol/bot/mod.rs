//! The worker's end of a conversation, as far as it is the same on each wire of Buildbot: who it is, what it hears, and
//! how the bytes of its commands become text.
//!
//! [`super::pb::BotSession`] and [`super::msgpack::BotSession`] are the two ways to carry it. Each is told by
//! [`FromWorker`](super::FromWorker) what the commands say, and tells by [`BotEvent::Order`] what the master wants.
//!
//! # Not here
//! Sockets, when to connect again (`bot`), and what a command does (`bot`, too).

pub mod gather;
mod text;

use super::ToWorker;
use crate::model::Secret;

/// As whom a worker logs in.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// Its password.
    pub password: Secret,
}

/// What a worker hears from its master.
#[derive(Clone, Debug, PartialEq)]
pub enum BotEvent {
    /// The master has let it in.
    Attached,
    /// The master does not let it in; its reason, as far as it tells one. Nothing more comes.
    Refused(String),
    /// The master wants something.
    Order(ToWorker),
    /// A line for the log of the worker.
    Printed(String),
    /// The master answered a keepalive.
    KeptAlive,
    /// The master did not do what it was asked, or something went wrong in it; for the log.
    Failed(String),
}
