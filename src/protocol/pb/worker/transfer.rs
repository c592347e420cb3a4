//! How a worker moves the bytes of a file: by calls on an object of the master, one after the other.
//!
//! # Laws
//! - The next block goes when the one before was answered; that is left to the caller, so that tests can break it.
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/commands/transfer.py`.

use bytes::Bytes;

use super::{Asked, StartedCommand, WorkerSession};
use crate::protocol::pb::{broker::Called, encoder::Overlong, jelly::Value, keys::argument};

impl StartedCommand {
    /// The master's object that takes or gives the bytes of this command, if there is one.
    pub fn transfer(&self) -> Option<i64> {
        match self.argument(argument::WRITER).or_else(|| self.argument(argument::READER)) {
            Some(Value::Remote(object)) => Some(*object),
            _ => None,
        }
    }
}

impl WorkerSession {
    /// Writes a block. [`WorkerEvent::Written`](super::WorkerEvent::Written) follows.
    ///
    /// # Errors
    /// [`Overlong`]; then nothing was sent.
    pub fn write(&mut self, object: i64, block: Bytes) -> Result<(), Overlong> {
        let args = [Value::Bytes(block)];
        self.broker.call(Called::Object(object), "write", &args, &[], Asked::Write { object })
    }

    /// Asks for at most so many bytes. [`WorkerEvent::Data`](super::WorkerEvent::Data) follows.
    pub fn read(&mut self, object: i64, most: u32) {
        self.call(Called::Object(object), "read", &[Value::Int(most.into())], Asked::Read { object });
    }

    /// Tells that no more is written or read. [`WorkerEvent::Settled`](super::WorkerEvent::Settled) follows, also after the
    /// next two.
    pub fn close(&mut self, object: i64) {
        self.call(Called::Object(object), "close", &[], Asked::Settle { object });
    }

    /// Tells that the stream of a folder is whole.
    pub fn unpack(&mut self, object: i64) {
        self.call(Called::Object(object), "unpack", &[], Asked::Settle { object });
    }

    /// Tells when the file that was written was read and changed last, in seconds since 1970.
    pub fn utime(&mut self, object: i64, accessed_at: f64, modified_at: f64) {
        let times = Value::Tuple(vec![Value::Float(accessed_at), Value::Float(modified_at)]);
        self.call(Called::Object(object), "utime", &[times], Asked::Settle { object });
    }

    /// Gives an object of the master back that is no longer called, once for each time that it was told of. A
    /// `buildbot-worker` does so when its memory is tidied up: long after the end of the command, many at once.
    pub fn give_back(&mut self, object: i64) {
        self.broker.give_back(object);
    }
}
