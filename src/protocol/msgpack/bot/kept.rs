//! What one command has said and its master may ask for again: in order, until the master says that it is safe.
//!
//! # Laws
//! - Numbers begin with 1 and grow by one. What was acknowledged is gone, and nothing else is, unless the command fails.
//! - What is sent is what was kept: a body is made once.
//!
//! # Not here
//! Where what leaves memory goes (`bot`), and what is still in the words of the worker (`running`).

use std::{collections::VecDeque, io};

use bytes::Bytes;

use crate::protocol::bot::{Away, KeptId};

/// What a record takes besides its body, more or less.
const RECORD_BYTES: usize = 96;
/// Bits of a [`KeptId`] that number the records of one command: so many are not said in years.
const NUMBER_BITS: u32 = 40;

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// News.
    News,
    /// A block, or the wish for one.
    Block { is_read: bool },
    /// The bytes are complete.
    Close { op: &'static str },
    /// The end.
    Complete,
}

/// What one command has said.
#[derive(Debug)]
pub(super) struct Kept {
    /// Tells the command from others.
    serial: u64,
    /// Without a gap.
    records: VecDeque<Record>,
    /// The number of what is said next.
    next: u64,
    /// The number of what is sent next.
    cursor: u64,
    /// The highest number that was ever sent.
    sent: u64,
    /// All up to here is safe.
    acknowledged: u64,
    bytes: usize,
    /// How much of that is in memory, and is not on its way out.
    here: usize,
    /// How much of it is to be sent.
    unsent: usize,
}

#[derive(Debug)]
struct Record {
    number: u64,
    kind: Kind,
    body: Body,
    /// What it takes in memory.
    len: usize,
}

#[derive(Debug)]
enum Body {
    Here {
        body: Bytes,
        /// It was given out to be kept elsewhere.
        is_moving: bool,
    },
    Away(Box<dyn Away>),
    /// On its way back.
    Fetched,
}

impl Kept {
    pub(super) const fn new(serial: u64) -> Self {
        Self {
            serial,
            records: VecDeque::new(),
            next: 1,
            cursor: 1,
            sent: 0,
            acknowledged: 0,
            bytes: 0,
            here: 0,
            unsent: 0,
        }
    }

    /// The number of what is said next, which is used up.
    pub(super) const fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// The number that was used last.
    pub(super) const fn last_number(&self) -> u64 {
        self.next - 1
    }

    /// Keeps what has the last number.
    pub(super) fn push(&mut self, kind: Kind, body: Bytes) {
        let len = RECORD_BYTES + body.len();
        self.bytes += len;
        self.here += len;
        self.unsent += len;
        let body = Body::Here { body, is_moving: false };
        self.records.push_back(Record { number: self.last_number(), kind, body, len });
    }

    /// What is sent next, and whether it is in memory.
    pub(super) fn next(&self) -> Option<(Kind, bool)> {
        let record = &self.records[self.index(self.cursor)?];
        Some((record.kind, matches!(record.body, Body::Here { .. })))
    }

    /// Sends what is next, if it is in memory.
    pub(super) fn send(&mut self) -> Option<(u64, Kind, Bytes)> {
        let record = &self.records[self.index(self.cursor)?];
        let Body::Here { body, .. } = &record.body else { return None };
        self.unsent -= record.len;
        self.sent = self.sent.max(record.number);
        self.cursor = record.number + 1;
        Some((record.number, record.kind, body.clone()))
    }

    /// All up to this number is safe. Whether the command's end is among that.
    pub(super) fn acknowledge(&mut self, number: u64) -> bool {
        let number = number.min(self.sent);
        self.acknowledged = self.acknowledged.max(number);
        let mut has_ended = false;
        while self.records.front().is_some_and(|record| record.number <= number) {
            let Some(record) = self.records.pop_front() else { break };
            has_ended |= record.kind == Kind::Complete;
            self.bytes -= record.len;
            if matches!(record.body, Body::Here { is_moving: false, .. }) {
                self.here -= record.len;
            }
            if record.number >= self.cursor {
                // Asked for again, and safe after all.
                self.unsent -= record.len;
            }
        }
        self.cursor = self.cursor.max(number + 1);
        if self.records.is_empty() {
            self.records = VecDeque::new();
        }
        has_ended
    }

    /// What comes after this number is sent again. Whether all of that is there.
    pub(super) fn resume(&mut self, received: u64) -> bool {
        if received < self.acknowledged || received > self.sent {
            return false;
        }
        self.cursor = received + 1;
        let unsent = self.records.iter().filter(|record| record.number > received);
        self.unsent = unsent.map(|record| record.len).sum();
        true
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.records = VecDeque::new();
        (self.bytes, self.here, self.unsent) = (0, 0, 0);
        self.cursor = self.next;
    }

    /// How much is kept, wherever, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How much is in memory, and not on its way out.
    pub(super) const fn here(&self) -> usize {
        self.here
    }

    /// How much is to be sent.
    pub(super) const fn unsent(&self) -> usize {
        self.unsent
    }

    /// The newest that can leave memory: not what is sent next. It stays until it is [`Kept::stowed`].
    pub(super) fn overflow(&mut self) -> Option<(KeptId, Bytes)> {
        let cursor = self.cursor;
        let movable = self.records.iter_mut().rev().filter(|record| record.number != cursor);
        for record in movable {
            if let Body::Here { body, is_moving } = &mut record.body
                && !*is_moving
            {
                *is_moving = true;
                self.here -= record.len;
                let body = body.clone();
                return Some((id(self.serial, record.number), body));
            }
        }
        None
    }

    /// Whether this may name something that is kept here.
    pub(super) const fn is_of(&self, kept: KeptId) -> bool {
        kept.0 >> NUMBER_BITS == id(self.serial, 0).0 >> NUMBER_BITS
    }

    /// Something has left memory.
    pub(super) fn stowed(&mut self, kept: KeptId, away: Box<dyn Away>) {
        if let Some(record) = self.find(kept)
            && matches!(record.body, Body::Here { is_moving: true, .. })
        {
            record.body = Body::Away(away);
        }
    }

    /// What is sent next, if that is away.
    pub(super) fn wanted(&mut self) -> Option<(KeptId, Box<dyn Away>)> {
        let index = self.index(self.cursor)?;
        let record = &mut self.records[index];
        if !matches!(record.body, Body::Away(_)) {
            return None;
        }
        let Body::Away(away) = std::mem::replace(&mut record.body, Body::Fetched) else { return None };
        Some((id(self.serial, record.number), away))
    }

    /// Something is back.
    ///
    /// # Errors
    /// It is lost, and with it all that comes after.
    pub(super) fn fetched(&mut self, kept: KeptId, body: io::Result<Bytes>) -> io::Result<()> {
        let Some(record) = self.find(kept).filter(|record| matches!(record.body, Body::Fetched)) else {
            return Ok(());
        };
        let body = body?;
        if RECORD_BYTES + body.len() != record.len {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not as long as it was"));
        }
        record.body = Body::Here { body, is_moving: false };
        let len = record.len;
        self.here += len;
        Ok(())
    }

    fn find(&mut self, kept: KeptId) -> Option<&mut Record> {
        let first = self.records.front()?.number;
        // The bits that are the command's do not reach into those of the number.
        let number = kept.0 & ((1 << NUMBER_BITS) - 1);
        self.records.get_mut(usize::try_from(number.checked_sub(first)?).ok()?)
    }

    /// Where the record of this number is.
    fn index(&self, number: u64) -> Option<usize> {
        let first = self.records.front()?.number;
        // After a failure only the end is left.
        let index = usize::try_from(number.saturating_sub(first)).ok()?;
        (index < self.records.len()).then_some(index)
    }
}

const fn id(serial: u64, number: u64) -> KeptId {
    KeptId(serial << NUMBER_BITS | number)
}
