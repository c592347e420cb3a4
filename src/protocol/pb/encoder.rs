//! Tokens, and how they are written.
//!
//! # Laws
//! - Nothing is written that the other end would not read: too long a string leaves no trace of its whole expression.
//! - No buffer is held while nothing waits in it.

use std::fmt;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::banana::{FLOAT, INT, LIST, LONGINT, LONGNEG, MAX_LENGTH, NEG, STRING, Sexp, VOCAB, WORDS};

/// A string or list is longer than the peer takes: it would end the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a string or list is longer than {MAX_LENGTH}, the most that a worker takes")]
pub struct Overlong;

/// Expressions in, bytes out.
#[derive(Default)]
pub struct Encoder {
    out: BytesMut,
    with_words: bool,
    is_overlong: bool,
}

impl Encoder {
    /// From now on words go as numbers: the dialect `pb` is agreed on.
    pub fn use_words(&mut self) {
        self.with_words = true;
    }

    /// Bytes that are written and not taken.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing is written that is not taken.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// All that is written, the buffer with it.
    pub fn take(&mut self) -> Option<Bytes> {
        (!self.out.is_empty()).then(|| std::mem::take(&mut self.out).freeze())
    }

    /// Writes one whole expression, or nothing of it.
    ///
    /// # Errors
    /// [`Overlong`] if something in it is longer than the peer takes.
    pub fn write(&mut self, expression: impl FnOnce(&mut Self)) -> Result<(), Overlong> {
        let before = self.out.len();
        expression(self);
        if std::mem::take(&mut self.is_overlong) {
            self.out.truncate(before);
            return Err(Overlong);
        }
        Ok(())
    }

    /// Begins a list: its `length` elements follow.
    pub fn list(&mut self, length: usize) {
        self.head(length as u64, LIST);
        self.is_overlong |= length > MAX_LENGTH;
    }

    /// A number.
    pub fn int(&mut self, number: i64) {
        let size = number.unsigned_abs();
        let kind = match (number < 0, size) {
            (false, 0..=0x7fff_ffff) => INT,
            (false, _) => LONGINT,
            (true, 0..=0x8000_0000) => NEG,
            (true, _) => LONGNEG,
        };
        self.head(size, kind);
    }

    /// A number with a fraction.
    pub fn float(&mut self, number: f64) {
        self.out.put_u8(FLOAT);
        self.out.put_f64(number);
    }

    /// A byte string, or its number if it is a word.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let word = if self.with_words { number_of_word(bytes) } else { None };
        if let Some(number) = word {
            return self.head(number, VOCAB);
        }
        if bytes.len() > MAX_LENGTH {
            self.is_overlong = true;
            return;
        }
        self.head(bytes.len() as u64, STRING);
        self.out.put_slice(bytes);
    }

    /// A whole expression.
    pub fn sexp(&mut self, expression: &Sexp) {
        match expression {
            Sexp::Int(number) => self.int(*number),
            Sexp::Float(number) => self.float(*number),
            Sexp::Bytes(bytes) => self.bytes(bytes),
            Sexp::List(items) => {
                self.list(items.len());
                for item in items {
                    self.sexp(item);
                }
            }
        }
    }

    fn head(&mut self, mut number: u64, kind: u8) {
        loop {
            self.out.put_u8((number & 0x7f) as u8);
            number >>= 7;
            if number == 0 {
                break;
            }
        }
        self.out.put_u8(kind);
    }
}

/// Shows no output: there may be the proof of a password in it.
impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("waiting_bytes", &self.out.len()).finish_non_exhaustive()
    }
}

fn number_of_word(bytes: &[u8]) -> Option<u64> {
    // The longest is `unpersistable`.
    if !(4..=13).contains(&bytes.len()) {
        return None;
    }
    WORDS.iter().position(|word| word.as_bytes() == bytes).map(|place| place as u64 + 1)
}
