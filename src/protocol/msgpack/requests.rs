//! What is said to a peer and not sent yet, and what it has been asked and not answered yet: the same at both ends.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use rmpv::ValueRef;

use super::{
    MsgpackError,
    frame::{encode, encode_last, encode_most},
};

/// Requests that a peer may leave unanswered: a start and an interrupt for each of a thousand commands, and more; or what a
/// worker says of some hundred commands at once.
const MAX_UNANSWERED: usize = 4096;

/// `A` is what a request was for.
pub(super) struct Requests<A> {
    next_seq: u64,
    asked: HashMap<u64, A>,
    output: VecDeque<Bytes>,
    output_len: usize,
}

impl<A> Default for Requests<A> {
    fn default() -> Self {
        Self { next_seq: 0, asked: HashMap::new(), output: VecDeque::new(), output_len: 0 }
    }
}

impl<A> Requests<A> {
    /// Asks the peer for something, with these fields.
    pub(super) fn ask(&mut self, op: &'static str, mut fields: Vec<(&str, ValueRef<'_>)>, asked: A) {
        fields.insert(0, ("op", op.into()));
        self.ask_encoded(&encode_most(fields), asked);
    }

    /// The same, with a message to which only its number is to be added.
    pub(super) fn ask_encoded(&mut self, message: &[u8], asked: A) {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.asked.insert(seq, asked);
        self.send(encode_last(message, "seq_number", &seq.into()));
    }

    /// What was asked by this number, once.
    pub(super) fn answered(&mut self, seq: u64) -> Option<A> {
        let asked = self.asked.remove(&seq);
        if self.asked.is_empty() {
            self.asked = HashMap::new();
        }
        asked
    }

    /// Answers a request of the peer.
    pub(super) fn respond(&mut self, seq: u64, result: ValueRef<'_>) {
        // No word of an exception: that it is there at all means one, whatever it says.
        let fields = vec![("op", "response".into()), ("seq_number", seq.into()), ("result", result)];
        self.send(encode(fields));
    }

    /// Answers a request of the peer that makes no sense, or that cannot be granted.
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

    /// Whether the peer answers.
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
