//! Objects as expressions: the values that calls and answers carry.
//!
//! # Laws
//! - What is not known is [`Value::Opaque`], never an error: an exotic field of a failure ends no connection.
//! - An object that is shared within a value is copied to each of its places, as far as that stays small; beyond, it
//!   is opaque. So no expression grows by being understood.
//! - Only forms that Twisted takes from anybody are written.
//!
//! # Not here
//! What a failure's fields mean (`failure`).
//!
//! # Source
//! Twisted, `twisted/spread/jelly.py`.

use std::{borrow::Cow, collections::HashMap};

use bytes::Bytes;

use super::{banana::Sexp, encoder::Encoder};

/// How many values may come of copies of shared ones, in one expression. Seen are empty tuples in the frames of a
/// failure, two for each frame.
const SHARED_VALUES: usize = 10_000;
/// Values within values. Input lies no deeper; copies of shared ones could.
const MAX_DEPTH: usize = 64;

const FAILURE: &[u8] = b"twisted.spread.pb.CopyableFailure";

/// A value of a call or an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    None,
    /// Yes or no.
    Bool(bool),
    /// A number; see [`Sexp::Int`] for its range.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// Bytes.
    Bytes(Bytes),
    /// Text: UTF-8, as its sender promises. Not checked, since most of it is output that stays bytes.
    Text(Bytes),
    /// A list, or a set.
    List(Vec<Value>),
    /// A tuple.
    Tuple(Vec<Value>),
    /// Pairs, in the order of their sender. A key may be text or bytes.
    Dict(Vec<(Value, Value)>),
    /// An object of the sender, by its number there.
    Remote(i64),
    /// An object of the receiver, handed back.
    Local(i64),
    /// A failure, by its fields.
    Failure(Vec<(Value, Value)>),
    /// What this program has no name for.
    Opaque,
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Text(match text.into() {
            Cow::Borrowed(text) => Bytes::from_static(text.as_bytes()),
            Cow::Owned(text) => Bytes::from(text),
        })
    }

    /// A dictionary with texts as keys.
    pub fn dict<const N: usize>(pairs: [(&'static str, Self); N]) -> Self {
        Self::Dict(self::pairs(pairs))
    }

    /// The bytes of a text or a byte string: workers of Python 2 have bytes where others have text.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Text(bytes) | Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The text, with marks in place of what is no UTF-8.
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        self.as_bytes().map(|bytes| String::from_utf8_lossy(bytes))
    }

    /// The elements of a list or a tuple.
    pub fn as_items(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) | Self::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// The pairs of a dictionary.
    pub fn as_pairs(&self) -> Option<&[(Self, Self)]> {
        match self {
            Self::Dict(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// The value of a key.
    pub fn field(&self, key: &str) -> Option<&Self> {
        field(self.as_pairs()?, key)
    }
}

/// Pairs with texts as keys.
pub(super) fn pairs<const N: usize>(pairs: [(&'static str, Value); N]) -> Vec<(Value, Value)> {
    pairs.into_iter().map(|(key, value)| (Value::text(key), value)).collect()
}

/// The value of a key among pairs.
pub(super) fn field<'a>(pairs: &'a [(Value, Value)], key: &str) -> Option<&'a Value> {
    pairs.iter().find_map(|(name, value)| {
        name.as_bytes().is_some_and(|name| name.as_ref() == key.as_bytes()).then_some(value)
    })
}

/// The value that an expression stands for.
pub fn decode(expression: Sexp) -> Value {
    Decoding { shared: HashMap::new(), left: SHARED_VALUES }.value(expression, 0)
}

struct Decoding {
    /// By their numbers: each with how many values it has, and how deep they lie.
    shared: HashMap<i64, (Value, usize, usize)>,
    /// Copies that may still be made.
    left: usize,
}

impl Decoding {
    fn value(&mut self, expression: Sexp, depth: usize) -> Value {
        let items = match expression {
            Sexp::Int(number) => return Value::Int(number),
            Sexp::Float(number) => return Value::Float(number),
            Sexp::Bytes(bytes) => return Value::Bytes(bytes),
            Sexp::List(items) => items,
        };
        let mut items = items.into_iter();
        let (Some(Sexp::Bytes(tag)), true) = (items.next(), depth <= MAX_DEPTH) else {
            return Value::Opaque;
        };
        let depth = depth + 1;
        match tag.as_ref() {
            b"None" => Value::None,
            b"unicode" => match items.next() {
                Some(Sexp::Bytes(text)) => Value::Text(text),
                _ => Value::Opaque,
            },
            b"boolean" => match items.next() {
                Some(Sexp::Bytes(word)) if word.as_ref() == b"true" => Value::Bool(true),
                Some(Sexp::Bytes(word)) if word.as_ref() == b"false" => Value::Bool(false),
                _ => Value::Opaque,
            },
            b"list" | b"set" | b"frozenset" => {
                Value::List(items.map(|item| self.value(item, depth)).collect())
            }
            b"tuple" => Value::Tuple(items.map(|item| self.value(item, depth)).collect()),
            b"dictionary" => Value::Dict(items.filter_map(|item| self.pair(item, depth)).collect()),
            b"remote" => number(items.next().as_ref()).map_or(Value::Opaque, Value::Remote),
            b"local" => number(items.next().as_ref()).map_or(Value::Opaque, Value::Local),
            b"reference" => self.reference(number(items.next().as_ref()), items.next(), depth),
            b"dereference" => {
                number(items.next().as_ref()).map_or(Value::Opaque, |number| self.copy(number, depth))
            }
            FAILURE => match items.next().map(|state| self.value(state, depth)) {
                Some(Value::Dict(fields)) => Value::Failure(fields),
                _ => Value::Opaque,
            },
            _ => Value::Opaque,
        }
    }

    /// Its two elements; nothing of what is no pair.
    fn pair(&mut self, expression: Sexp, depth: usize) -> Option<(Value, Value)> {
        let Sexp::List(items) = expression else { return None };
        let [key, value]: [Sexp; 2] = items.try_into().ok()?;
        Some((self.value(key, depth), self.value(value, depth)))
    }

    fn reference(&mut self, number: Option<i64>, expression: Option<Sexp>, depth: usize) -> Value {
        let (Some(number), Some(expression)) = (number, expression) else { return Value::Opaque };
        let value = self.value(expression, depth);
        let (count, height) = extent(&value);
        if count <= self.left {
            self.left -= count;
            self.shared.insert(number, (value.clone(), count, height));
        }
        value
    }

    fn copy(&mut self, number: i64, depth: usize) -> Value {
        match self.shared.get(&number) {
            Some((value, count, height)) if *count <= self.left && depth + height <= MAX_DEPTH => {
                self.left -= count;
                value.clone()
            }
            _ => Value::Opaque,
        }
    }
}

fn number(expression: Option<&Sexp>) -> Option<i64> {
    match expression {
        Some(Sexp::Int(number)) => Some(*number),
        _ => None,
    }
}

/// How many values there are, and how many of them lie within each other. Byte strings are slices: they cost nothing.
fn extent(value: &Value) -> (usize, usize) {
    fn over<'a>(values: impl Iterator<Item = &'a Value>) -> (usize, usize) {
        let (count, height) =
            values.map(extent).fold((0, 0), |(count, height), (more, deep)| (count + more, height.max(deep)));
        (count + 1, height + 1)
    }
    match value {
        Value::List(items) | Value::Tuple(items) => over(items.iter()),
        Value::Dict(pairs) | Value::Failure(pairs) => {
            over(pairs.iter().flat_map(|(key, value)| [key, value]))
        }
        _ => (1, 1),
    }
}

/// Writes a value.
pub fn encode(value: &Value, to: &mut Encoder) {
    match value {
        Value::None => {
            to.list(1);
            to.bytes(b"None");
        }
        Value::Bool(yes) => {
            to.list(2);
            to.bytes(b"boolean");
            to.bytes(if *yes { b"true" } else { b"false" });
        }
        Value::Int(number) => to.int(*number),
        Value::Float(number) => to.float(*number),
        Value::Bytes(bytes) => to.bytes(bytes),
        Value::Text(text) => {
            to.list(2);
            to.bytes(b"unicode");
            to.bytes(text);
        }
        Value::List(items) => encode_items(b"list", items, to),
        Value::Tuple(items) => encode_items(b"tuple", items, to),
        Value::Dict(pairs) => encode_pairs(pairs, to),
        Value::Remote(number) => encode_object(b"remote", *number, to),
        Value::Local(number) => encode_object(b"local", *number, to),
        Value::Failure(fields) => {
            to.list(2);
            to.bytes(FAILURE);
            encode_pairs(fields, to);
        }
        Value::Opaque => {
            to.list(2);
            to.bytes(b"unpersistable");
            to.bytes(b"not known here");
        }
    }
}

pub(super) fn encode_items(tag: &[u8], items: &[Value], to: &mut Encoder) {
    to.list(items.len() + 1);
    to.bytes(tag);
    for item in items {
        encode(item, to);
    }
}

pub(super) fn encode_pairs(pairs: &[(Value, Value)], to: &mut Encoder) {
    to.list(pairs.len() + 1);
    to.bytes(b"dictionary");
    for (key, value) in pairs {
        to.list(2);
        encode(key, to);
        encode(value, to);
    }
}

fn encode_object(tag: &[u8], number: i64, to: &mut Encoder) {
    to.list(2);
    to.bytes(tag);
    to.int(number);
}
