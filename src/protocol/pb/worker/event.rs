//! What a worker hears of its master.

use bytes::Bytes;

#[cfg(doc)]
use super::WorkerSession;
use crate::protocol::pb::{broker::Reply, failure::Failure, jelly::Value};

/// What the master did.
#[derive(Debug, PartialEq)]
pub enum WorkerEvent {
    /// It refused the login, or something went wrong in it.
    Refused(Failure),
    /// It answered the login: the worker is attached.
    Attached,
    /// It printed a line into the worker's log: `attached`, `keepalive`.
    Printed(String),
    /// It told the builders and their folders: all of them.
    Builders(Vec<(String, String)>),
    /// It began a build on this builder.
    BuildStarted(String),
    /// It started a command: answer with [`WorkerSession::accept`] or [`WorkerSession::refuse`].
    Started(StartedCommand),
    /// It interrupted what runs on a builder.
    Interrupted {
        /// The builder.
        builder: String,
        /// Of which command it thought.
        id: String,
        /// Why, for the log.
        why: String,
    },
    /// It wants this program to end.
    ShutdownAsked,
    /// It answered updates, by this number; 0 if by none.
    UpdateHeard(i64),
    /// It answered a keepalive.
    KeptAlive,
    /// It answered the wish to end.
    ShutdownHeard,
    /// It took the block that was written to this object of it.
    Written {
        /// The object.
        object: i64,
    },
    /// It gave the bytes that were read from this object of it; none at the end.
    Data {
        /// The object.
        object: i64,
        /// The bytes.
        bytes: Bytes,
    },
    /// It heard that this object of it is done with: all was written or read, or the times were told.
    Settled {
        /// The object.
        object: i64,
    },
    /// It answered a call by a failure, or by what is no answer to it; or the call could not be sent.
    Failed {
        /// Which.
        asked: Asked,
        /// Why.
        failure: Failure,
    },
}

/// A command that the master started.
#[derive(Debug, PartialEq)]
pub struct StartedCommand {
    /// On which builder.
    pub builder: String,
    /// The master's name for it.
    pub id: String,
    /// Which of the worker's commands.
    pub name: String,
    /// Its arguments, a dictionary.
    pub arguments: Value,
    /// The master's object that hears of it.
    pub object: i64,
    pub(super) reply: Option<Reply>,
}

impl StartedCommand {
    /// An argument.
    pub fn argument(&self, name: &str) -> Option<&Value> {
        self.arguments.field(name)
    }
}

/// What a worker asks of its master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To be let in: the first of two calls.
    Login,
    /// To be let in: the second.
    Respond,
    /// To hear news of a command.
    Update,
    /// To hear that a command has ended.
    Complete {
        /// The master's object for it.
        object: i64,
    },
    /// To take a block.
    Write {
        /// The object that takes it.
        object: i64,
    },
    /// To give bytes.
    Read {
        /// The object that gives them.
        object: i64,
    },
    /// To hear that an object is done with, or when its file was changed.
    Settle {
        /// The object.
        object: i64,
    },
    /// For a sign of life.
    Keepalive,
    /// To be told to end once its builds are done.
    Shutdown,
}
