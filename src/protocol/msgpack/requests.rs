//! What is said to a worker and not sent yet, and what it has been asked and not answered yet.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use rmpv::ValueRef;

use super::{MsgpackError, frame::encode};
use crate::protocol::CommandId;

/// Requests that a worker may leave unanswered: a start and an interrupt for each of a thousand commands, and more.
const MAX_UNANSWERED: usize = 4096;

/// What a request was for.
#[derive(Debug)]
pub(super) enum Asked {
    /// Its answer says nothing; this is its name, for the log.
    Nothing(&'static str),
    /// Facts about the worker.
    Info,
    /// A command was started.
    Start(CommandId),
    /// Is it there?
    Ping(u64),
}

#[derive(Default)]
pub(super) struct Requests {
    next_seq: u64,
    asked: HashMap<u64, Asked>,
    output: VecDeque<Bytes>,
    output_len: usize,
}

impl Requests {
    /// Asks the worker for something, with these fields.
    pub(super) fn ask(&mut self, op: &'static str, mut fields: Vec<(&str, ValueRef<'_>)>, asked: Asked) {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.asked.insert(seq, asked);
        fields.extend([("op", op.into()), ("seq_number", seq.into())]);
        self.send(encode(fields));
    }

    /// What was asked by this number, once.
    pub(super) fn answered(&mut self, seq: u64) -> Option<Asked> {
        let asked = self.asked.remove(&seq);
        if self.asked.is_empty() {
            self.asked = HashMap::new();
        }
        asked
    }

    /// Answers a request of the worker.
    pub(super) fn respond(&mut self, seq: u64, result: ValueRef<'_>) {
        // No word of an exception: that it is there at all means one, whatever it says.
        let fields = vec![("op", "response".into()), ("seq_number", seq.into()), ("result", result)];
        self.send(encode(fields));
    }

    /// Answers a request of the worker that makes no sense.
    pub(super) fn refuse(&mut self, seq: u64, why: &str) {
        let fields = vec![
            ("op", "response".into()),
            ("seq_number", seq.into()),
            ("result", why.into()),
            ("is_exception", ValueRef::Boolean(true)),
        ];
        self.send(encode(fields));
    }

    fn send(&mut self, payload: Bytes) {
        self.output_len += payload.len();
        self.output.push_back(payload);
    }

    /// What is to be sent next.
    pub(super) fn poll_output(&mut self) -> Option<Bytes> {
        let payload = self.output.pop_front();
        if let Some(payload) = &payload {
            self.output_len -= payload.len();
        }
        if self.output.is_empty() {
            self.output = VecDeque::new();
        }
        payload
    }

    /// How much is to be sent, in bytes.
    pub(super) const fn output_len(&self) -> usize {
        self.output_len
    }

    /// Whether the worker answers.
    ///
    /// # Errors
    /// [`MsgpackError::Unanswered`].
    pub(super) fn check(&self) -> Result<(), MsgpackError> {
        match self.asked.len() {
            0..=MAX_UNANSWERED => Ok(()),
            requests => Err(MsgpackError::Unanswered { requests }),
        }
    }
}
