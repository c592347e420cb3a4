//! The worker's end of a conversation, as far as it is the same on each wire of Buildbot: who it is, what it hears, and
//! how the bytes of its commands become text.
//!
//! [`super::pb::BotSession`] and [`super::msgpack::BotSession`] are the two ways to carry it. Each is told by
//! [`FromWorker`] what the commands say, and tells by [`BotEvent::Order`] what the master wants.
//!
//! # Not here
//! Sockets, when to connect again (`bot`), and what a command does (`bot`, too).

pub mod gather;
mod text;

use std::{io, time::Instant};

use bytes::Bytes;

use self::gather::Now;
use super::{FromWorker, ToWorker};
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

/// Something that is kept for the master outside of memory.
pub trait Away: Send + std::fmt::Debug {
    /// Reads it back. Blocks on a disk: not to be called where that matters.
    ///
    /// # Errors
    /// It is lost.
    fn read(&self) -> io::Result<Bytes>;
}

/// Names something that is kept for the master, as long as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeptId(pub u64);

/// A worker's end of one connection, from its first byte on, on either wire.
///
/// What the worker tells of itself (`Hello`) is handed over when a session is made: each wire asks for it when it likes.
pub trait Conversation {
    /// Why the connection must end.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Takes input: on PB any cut of the bytes, on msgpack the payload of one binary message.
    ///
    /// # Errors
    /// The connection must end, and nothing more be given.
    fn hear(&mut self, input: &[u8]) -> Result<(), Self::Error>;

    /// Tells the master what a command says, or that the worker wishes to stop. Output may be gathered for a moment: see
    /// [`Conversation::due`]. All else goes at once, after what was gathered.
    fn say(&mut self, message: FromWorker, now: Now);

    /// Asks the master for a sign of life, if the wire has a word for that; [`BotEvent::KeptAlive`] answers.
    fn keep_alive(&mut self);

    /// When [`Conversation::tick`] has something to do; nothing if only a message can bring that.
    fn due(&self) -> Option<Instant>;

    /// Does what is due by now.
    fn tick(&mut self, now: Now);

    /// What is to be sent next: on PB all of it, on msgpack the payload of one binary message. Nothing also while all that
    /// is left waits for answers of the master.
    fn poll_output(&mut self) -> Option<Bytes>;

    /// How much is to be sent, in bytes, what is gathered not among it. While it grows, say no more: the master does not
    /// read, or does not answer. But go on hearing as long as [`Conversation::poll_output`] gives nothing: what is left
    /// waits for what comes in.
    fn output_len(&self) -> usize;

    /// Something that is kept for the master and should leave memory. It stays there until it is
    /// [`stowed`](Conversation::stowed); each is given once.
    fn overflow(&mut self) -> Option<(KeptId, Bytes)> {
        None
    }

    /// Something is kept elsewhere now. Not heard if nobody wants it any more.
    fn stowed(&mut self, kept: KeptId, away: Box<dyn Away>) {
        drop((kept, away));
    }

    /// Something that must be sent next, and is not in memory: to be [`fetched`](Conversation::fetched).
    fn wanted(&mut self) -> Option<(KeptId, Box<dyn Away>)> {
        None
    }

    /// Something is back. If it is lost, its command fails.
    fn fetched(&mut self, kept: KeptId, body: io::Result<Bytes>) {
        drop((kept, body));
    }

    /// Whether so much is kept for the master, in memory and elsewhere, that commands must be held back: then say no more.
    fn is_full(&self) -> bool {
        false
    }

    /// What was heard, the oldest first.
    fn poll_event(&mut self) -> Option<BotEvent>;
}
