//! Tokens: nested lists of numbers and byte strings, each token telling its own length. How they are read.
//!
//! # Laws
//! - Whatever bytes come, the decoder neither panics nor holds more than its [`Limits`] and one buffer of input.
//! - A byte is copied once: strings are slices of the input's buffer.
//! - Words of the vocabulary are expanded before anybody sees them: a payload may equal a word by chance.
//! - Nothing is held while nothing is on its way.
//!
//! # Not here
//! Writing them (`encoder`), and what the lists mean (`jelly`, `broker`).
//!
//! # Source
//! Twisted, `twisted/spread/banana.py`: the type bytes, the limits of lists and strings, the dialect `pb`.

use std::fmt;

use bytes::{Buf as _, Bytes, BytesMut};

pub(super) const LIST: u8 = 0x80;
pub(super) const INT: u8 = 0x81;
pub(super) const STRING: u8 = 0x82;
pub(super) const NEG: u8 = 0x83;
pub(super) const FLOAT: u8 = 0x84;
pub(super) const LONGINT: u8 = 0x85;
pub(super) const LONGNEG: u8 = 0x86;
pub(super) const VOCAB: u8 = 0x87;

/// The longest string, in bytes, and the longest list, in elements, that either side takes.
pub const MAX_LENGTH: usize = 640 * 1024;
/// Digits in front of a type byte, as many as Twisted reads.
const MAX_PREFIX: usize = 64;

/// The words that the dialect `pb` sends as numbers, the first of them as 1.
pub(super) const WORDS: [&str; 31] = [
    "None",
    "class",
    "dereference",
    "reference",
    "dictionary",
    "function",
    "instance",
    "list",
    "module",
    "persistent",
    "tuple",
    "unpersistable",
    "copy",
    "cache",
    "cached",
    "remote",
    "local",
    "lcache",
    "version",
    "login",
    "password",
    "challenge",
    "logged_in",
    "not_logged_in",
    "cachemessage",
    "message",
    "answer",
    "error",
    "decref",
    "decache",
    "uncache",
];

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Sexp {
    /// A number. One that needs more than 64 bits comes as the nearest that does not.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// A byte string.
    Bytes(Bytes),
    /// A list, or what was a tuple.
    List(Vec<Sexp>),
}

/// As traces have it: `<word>` for a word of the vocabulary, hex for what is no plain text. Passwords and proofs are in it.
impl fmt::Display for Sexp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) if WORDS.contains(&text) => write!(f, "<{text}>"),
                Ok(text) if text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')) => {
                    write!(f, "'{}'", text.replace('\n', "\\n"))
                }
                _ => {
                    f.write_str("0x")?;
                    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
                }
            },
            Self::List(items) => {
                f.write_str("(")?;
                for (place, item) in items.iter().enumerate() {
                    f.write_str(if place == 0 { "" } else { " " })?;
                    item.fmt(f)?;
                }
                f.write_str(")")
            }
        }
    }
}

/// What a decoder takes before it gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory of one expression, in bytes: its elements as they lie in memory, and its strings.
    pub expression_bytes: usize,
    /// Lists within lists.
    pub depth: usize,
    /// Digits of one number.
    pub prefix: usize,
    /// Input in all, in bytes, from now on; none for no limit.
    pub input_bytes: Option<usize>,
}

impl Limits {
    /// For a peer that has proved nothing. A login needs some 200 bytes.
    ///
    /// Digits are few, so that a request of HTTP is known for what it is after its first words.
    pub const STRANGER: Self =
        Self { expression_bytes: 256 * 1024, depth: 16, prefix: 8, input_bytes: Some(64 * 1024) };
    /// For a worker that has proved who it is. A listing of some ten thousand files is the largest thing it says.
    pub const FRIEND: Self =
        Self { expression_bytes: 16 * 1024 * 1024, depth: 64, prefix: MAX_PREFIX, input_bytes: None };
}

/// Why bytes are no tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not the type of any token.
    #[error("0x{0:02x} is the type of no token")]
    UnknownType(u8),
    /// Digits without an end.
    #[error("a number has more than {limit} digits")]
    LongPrefix {
        /// The limit.
        limit: usize,
    },
    /// A string or a list beyond what is ever sent.
    #[error("a string or list of {length} is longer than {MAX_LENGTH}")]
    Long {
        /// As it was told.
        length: u64,
    },
    /// Lists within lists.
    #[error("lists lie more than {limit} deep")]
    Deep {
        /// The limit.
        limit: usize,
    },
    /// One expression.
    #[error("an expression takes more than {limit} bytes")]
    Big {
        /// The limit.
        limit: usize,
    },
    /// All input.
    #[error("more input than is taken before a login")]
    MuchInput,
    /// A number that stands for no word, or words where none are agreed on.
    #[error("{0} is the number of no word")]
    UnknownWord(u64),
}

/// Bytes in, expressions out.
pub struct Decoder {
    buffer: BytesMut,
    /// Lists that are not complete yet, the outermost first.
    open: Vec<Open>,
    cost: usize,
    with_words: bool,
    limits: Limits,
}

struct Open {
    missing: usize,
    items: Vec<Sexp>,
}

/// One token, or what it begins.
enum Token {
    Whole(Sexp),
    List(usize),
}

impl Decoder {
    /// A decoder which knows no words yet.
    pub fn new(limits: Limits) -> Self {
        Self { buffer: BytesMut::new(), open: Vec::new(), cost: 0, with_words: false, limits }
    }

    /// From now on numbers stand for words: the dialect `pb` is agreed on.
    pub fn use_words(&mut self) {
        self.with_words = true;
    }

    /// Other limits, from the next token on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Takes input, any cut of it. It is decoded by [`Decoder::expression`].
    pub fn extend(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        if let Some(left) = &mut self.limits.input_bytes {
            *left = left.checked_sub(bytes.len()).ok_or(DecodeError::MuchInput)?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next complete expression; nothing if more input is needed.
    ///
    /// # Errors
    /// After one, the stream has no meaning any more.
    pub fn expression(&mut self) -> Result<Option<Sexp>, DecodeError> {
        while let Some(token) = self.token()? {
            let mut whole = match token {
                Token::List(0) => Sexp::List(Vec::new()),
                Token::List(missing) => {
                    if self.open.len() == self.limits.depth {
                        return Err(DecodeError::Deep { limit: self.limits.depth });
                    }
                    // What a peer promises is not made room for before it comes.
                    self.open.push(Open { missing, items: Vec::with_capacity(missing.min(8)) });
                    continue;
                }
                Token::Whole(whole) => whole,
            };
            loop {
                let Some(list) = self.open.last_mut() else {
                    self.cost = 0;
                    self.forget_empty();
                    return Ok(Some(whole));
                };
                list.items.push(whole);
                list.missing -= 1;
                if list.missing > 0 {
                    break;
                }
                let items = std::mem::take(&mut list.items);
                self.open.pop();
                whole = Sexp::List(items);
            }
        }
        self.forget_empty();
        Ok(None)
    }

    /// Thousands of idle connections hold nothing.
    fn forget_empty(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        if self.open.is_empty() {
            self.open = Vec::new();
        }
    }

    /// Memory that is held, but for the strings and lists within those that are not complete.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        let items: usize = self.open.iter().map(|list| list.items.capacity()).sum();
        self.buffer.capacity() + self.open.capacity() * size_of::<Open>() + items * size_of::<Sexp>()
    }

    fn token(&mut self) -> Result<Option<Token>, DecodeError> {
        let digits = self.buffer.iter().take(self.limits.prefix + 1).take_while(|byte| **byte < 0x80).count();
        if digits > self.limits.prefix {
            return Err(DecodeError::LongPrefix { limit: self.limits.prefix });
        }
        let Some(&kind) = self.buffer.get(digits) else { return Ok(None) };
        let number = number(&self.buffer[..digits]);
        let head = digits + 1;
        let whole = match kind {
            LIST => {
                let length = length(number)?;
                self.charge(0)?;
                self.buffer.advance(head);
                return Ok(Some(Token::List(length)));
            }
            INT | LONGINT => {
                self.buffer.advance(head);
                Sexp::Int(i64::try_from(number).unwrap_or(i64::MAX))
            }
            NEG | LONGNEG => {
                self.buffer.advance(head);
                Sexp::Int(0_i64.checked_sub_unsigned(number).unwrap_or(i64::MIN))
            }
            FLOAT => {
                let Some(bytes) = self.buffer[head..].first_chunk() else { return Ok(None) };
                let float = f64::from_be_bytes(*bytes);
                self.buffer.advance(head + 8);
                Sexp::Float(float)
            }
            VOCAB => {
                let word = usize::try_from(number).ok().and_then(|number| WORDS.get(number.checked_sub(1)?));
                let word = word.filter(|_| self.with_words).ok_or(DecodeError::UnknownWord(number))?;
                self.buffer.advance(head);
                Sexp::Bytes(Bytes::from_static(word.as_bytes()))
            }
            STRING => {
                let length = length(number)?;
                if self.cost + length > self.limits.expression_bytes {
                    return Err(DecodeError::Big { limit: self.limits.expression_bytes });
                }
                let have = self.buffer.len() - head;
                if have < length {
                    if self.limits.input_bytes.is_some_and(|left| left < length - have) {
                        // It cannot come, so no room is made for it.
                        return Err(DecodeError::MuchInput);
                    }
                    // Room for the rest at once, so that a long string is not moved again and again. It is bounded.
                    self.buffer.reserve(length - have);
                    return Ok(None);
                }
                self.buffer.advance(head);
                self.charge(length)?;
                Sexp::Bytes(self.buffer.split_to(length).freeze())
            }
            unknown => return Err(DecodeError::UnknownType(unknown)),
        };
        if kind != STRING {
            self.charge(0)?;
        }
        Ok(Some(Token::Whole(whole)))
    }

    fn charge(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.cost += size_of::<Sexp>() + bytes;
        if self.cost > self.limits.expression_bytes {
            return Err(DecodeError::Big { limit: self.limits.expression_bytes });
        }
        Ok(())
    }
}

/// Shows no input: there may be the proof of a password in it.
impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("buffered_bytes", &self.buffer.len()).finish_non_exhaustive()
    }
}

/// Seven bits a digit, the least significant first; the largest number if it needs more than 64 bits.
fn number(digits: &[u8]) -> u64 {
    let mut number = 0_u64;
    for (place, &digit) in digits.iter().enumerate() {
        let digit = u64::from(digit);
        let shift = place * 7;
        if digit == 0 {
            continue;
        }
        if shift >= 64 || digit > u64::MAX >> shift {
            return u64::MAX;
        }
        number |= digit << shift;
    }
    number
}

fn length(number: u64) -> Result<usize, DecodeError> {
    usize::try_from(number)
        .ok()
        .filter(|length| *length <= MAX_LENGTH)
        .ok_or(DecodeError::Long { length: number })
}
