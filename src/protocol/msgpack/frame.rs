//! One message: the payload of one binary message of WebSocket, which is one map of msgpack.
//!
//! # Laws
//! - Before room is made for a single value, the whole payload was counted through: how many values, how deep, and
//!   whether each is there to its end. So a payload of some megabytes cannot ask for some gigabytes.
//!
//! # Source
//! The specification of msgpack, its table of first bytes.

use bytes::Bytes;
use rmpv::ValueRef;

/// The longest message that either side may send, in bytes. A line of a log may have a million characters of four bytes, a
/// block of a file 640 KiB; more is only in a very long list of files, or in what a command is given to read.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// The most values in one message. A full update has some ten thousand, one for each line and time; more is only in a
/// very long list of files. Each takes some 40 bytes while the message is read.
const MAX_VALUES: usize = 655_360;

/// How deep values may lie in each other; an honest message has six levels.
const MAX_DEPTH: usize = 16;

/// Why a payload is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It has more than [`MAX_MESSAGE_BYTES`].
    #[error("a message of {bytes} bytes is too long")]
    TooLong {
        /// How many it has.
        bytes: usize,
    },
    /// It ends within a value.
    #[error("it ends within a value")]
    CutOff,
    /// Values lie too deep in each other.
    #[error("its values lie more than {MAX_DEPTH} deep in each other")]
    TooDeep,
    /// It has too many values.
    #[error("it has more than {MAX_VALUES} values")]
    TooMany,
    /// A byte that begins no value.
    #[error("a byte that begins no value")]
    Unknown,
    /// Something follows after the value.
    #[error("it goes on after its value")]
    Leftover,
}

/// The one value of a payload.
pub(super) fn decode(payload: &[u8]) -> Result<ValueRef<'_>, DecodeError> {
    count(payload)?;
    // This reader counts some of its own calls as well as levels.
    rmpv::decode::read_value_ref_with_max_depth(&mut &*payload, 4 * MAX_DEPTH)
        .map_err(|_| DecodeError::CutOff)
}

/// Counts a payload through, without making room for anything.
fn count(payload: &[u8]) -> Result<(), DecodeError> {
    if payload.len() > MAX_MESSAGE_BYTES {
        return Err(DecodeError::TooLong { bytes: payload.len() });
    }
    let mut rest = payload;
    let mut values = 0;
    // How many values are still to come, on each level.
    let mut open = [0; MAX_DEPTH + 1];
    open[0] = 1;
    let mut depth = 0;
    loop {
        if open[depth] == 0 {
            if depth == 0 {
                return if rest.is_empty() { Ok(()) } else { Err(DecodeError::Leftover) };
            }
            depth -= 1;
            continue;
        }
        open[depth] -= 1;
        values += 1;
        if values > MAX_VALUES {
            return Err(DecodeError::TooMany);
        }
        let (bytes, inner) = head(&mut rest)?;
        // Each value has a byte at least: a promise of more is not believed.
        if bytes > rest.len() || inner > rest.len() - bytes {
            return Err(DecodeError::CutOff);
        }
        rest = &rest[bytes..];
        if inner > 0 {
            depth += 1;
            *open.get_mut(depth).ok_or(DecodeError::TooDeep)? = inner;
        }
    }
}

/// The begin of a value: how many bytes belong to it, and how many values lie in it.
fn head(rest: &mut &[u8]) -> Result<(usize, usize), DecodeError> {
    let first = take(rest, 1)?;
    let low = |bits: usize| first & ((1 << bits) - 1);
    Ok(match first {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (0, 0),
        0x80..=0x8f => (0, 2 * low(4)),
        0x90..=0x9f => (0, low(4)),
        0xa0..=0xbf => (low(5), 0),
        // Bytes and texts, with a length of one, two or four bytes.
        0xc4 | 0xd9 => (take(rest, 1)?, 0),
        0xc5 | 0xda => (take(rest, 2)?, 0),
        0xc6 | 0xdb => (take(rest, 4)?, 0),
        // Extensions, with a byte that says which.
        0xc7 => (take(rest, 1)? + 1, 0),
        0xc8 => (take(rest, 2)? + 1, 0),
        0xc9 => (take(rest, 4)?.saturating_add(1), 0),
        0xd4..=0xd8 => ((1 << (first - 0xd4)) + 1, 0),
        // Numbers.
        0xca => (4, 0),
        0xcb => (8, 0),
        0xcc..=0xcf => (1 << (first - 0xcc), 0),
        0xd0..=0xd3 => (1 << (first - 0xd0), 0),
        // Lists and maps.
        0xdc => (0, take(rest, 2)?),
        0xdd => (0, take(rest, 4)?),
        0xde => (0, 2 * take(rest, 2)?),
        0xdf => (0, take(rest, 4)?.saturating_mul(2)),
        _ => return Err(DecodeError::Unknown),
    })
}

/// A number of so many bytes, the highest first.
fn take(rest: &mut &[u8], count: usize) -> Result<usize, DecodeError> {
    let (number, tail) = rest.split_at_checked(count).ok_or(DecodeError::CutOff)?;
    *rest = tail;
    Ok(number.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

/// The payload of a message with these fields.
pub(super) fn encode(fields: Vec<(&str, ValueRef<'_>)>) -> Bytes {
    let map = ValueRef::Map(fields.into_iter().map(|(key, value)| (key.into(), value)).collect());
    let mut payload = Vec::new();
    rmpv::encode::write_value_ref(&mut payload, &map).expect("a vector takes what it is given");
    payload.into()
}

/// The begin of the payload of a message: all but its last field, which [`encode_last`] adds.
pub(super) fn encode_most(fields: Vec<(&str, ValueRef<'_>)>) -> Bytes {
    let count = u8::try_from(fields.len() + 1).ok().filter(|count| *count < 16);
    let mut payload = vec![0x80 | count.expect("a message has fewer than 16 fields")];
    for (key, value) in fields {
        encode_field(&mut payload, key, &value);
    }
    payload.into()
}

/// The payload of a message of which this is the begin.
pub(super) fn encode_last(most: &[u8], key: &str, value: &ValueRef<'_>) -> Bytes {
    let mut payload = Vec::with_capacity(most.len() + key.len() + 16);
    payload.extend_from_slice(most);
    encode_field(&mut payload, key, value);
    payload.into()
}

fn encode_field(payload: &mut Vec<u8>, key: &str, value: &ValueRef<'_>) {
    for value in [&key.into(), value] {
        rmpv::encode::write_value_ref(payload, value).expect("a vector takes what it is given");
    }
}

/// The field of a map.
pub(super) fn field<'m, 'v>(map: &'m [(ValueRef<'v>, ValueRef<'v>)], name: &str) -> Option<&'m ValueRef<'v>> {
    map.iter().find(|(key, _)| text(key) == Some(name.as_bytes())).map(|(_, value)| value)
}

/// The bytes of a text, which should be UTF-8 but may be anything.
pub(super) fn text<'v>(value: &'v ValueRef<'_>) -> Option<&'v [u8]> {
    match value {
        ValueRef::String(text) => Some(text.as_bytes()),
        _ => None,
    }
}

/// The same of a text or of bytes.
pub(super) fn bytes<'v>(value: &'v ValueRef<'_>) -> Option<&'v [u8]> {
    match value {
        ValueRef::Binary(bytes) => Some(bytes),
        other => text(other),
    }
}

/// A text, with marks in place of what is no UTF-8; not much longer than `most` bytes.
pub(super) fn shown(value: &ValueRef<'_>, most: usize) -> Option<String> {
    let bytes = bytes(value)?;
    Some(String::from_utf8_lossy(&bytes[..bytes.len().min(most)]).into_owned())
}

/// A whole number, cut off at the ends of what fits.
pub(super) fn integer(value: &ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Integer(number) => number.as_i64().or_else(|| number.as_u64().map(|_| i64::MAX)),
        _ => None,
    }
}

/// A number, whole or not.
pub(super) fn number(value: &ValueRef<'_>) -> Option<f64> {
    match value {
        ValueRef::Integer(number) => number.as_f64(),
        ValueRef::F32(number) => Some(f64::from(*number)),
        ValueRef::F64(number) => Some(*number),
        _ => None,
    }
}
