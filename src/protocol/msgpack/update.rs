//! News of a command, as a worker tells them.
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/base.py` and `buildbot_worker/util/buffer_manager.py`.

use std::time::Duration;

use bytes::Bytes;
use rmpv::ValueRef;

use super::frame::{bytes, integer, number, shown, text};
use crate::{
    model::LogStream,
    protocol::{FailureReason, Update, message::FileStat},
};

/// The longest name of a log that is kept, in bytes.
const MAX_LOG_NAME_BYTES: usize = 1024;
/// The longest path that is kept, in bytes; systems allow less.
const MAX_PATH_BYTES: usize = 64 * 1024;

/// The news in the `args` of an `update`; nothing of what is not understood.
pub(super) fn read<'a>(args: &'a ValueRef<'_>) -> impl Iterator<Item = Update> + 'a {
    let pairs = match args {
        ValueRef::Array(pairs) => pairs.as_slice(),
        _ => &[],
    };
    pairs.iter().filter_map(|pair| match pair {
        ValueRef::Array(pair) => match pair.as_slice() {
            [key, value] => read_one(text(key)?, value),
            _ => None,
        },
        _ => None,
    })
}

fn read_one(key: &[u8], value: &ValueRef<'_>) -> Option<Update> {
    let output = |stream| Some(Update::Output { stream, bytes: lines(value)? });
    match key {
        b"stdout" => output(LogStream::Stdout),
        b"stderr" => output(LogStream::Stderr),
        b"header" => output(LogStream::Header),
        b"log" => match value {
            ValueRef::Array(log) => match log.as_slice() {
                [name, added] => {
                    Some(Update::Log { name: shown(name, MAX_LOG_NAME_BYTES)?.into(), bytes: lines(added)? })
                }
                _ => None,
            },
            _ => None,
        },
        b"rc" => integer(value).map(|rc| {
            let rc = rc.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
            Update::Rc(i32::try_from(rc).expect("it lies between two of them"))
        }),
        b"elapsed" => Duration::try_from_secs_f64(number(value)?).ok().map(Update::Elapsed),
        b"failure_reason" => Some(Update::FailureReason(match text(value)? {
            b"timeout" => FailureReason::Timeout,
            b"timeout_without_output" => FailureReason::TimeoutWithoutOutput,
            b"max_lines_failure" => FailureReason::MaxLines,
            _ => return None,
        })),
        b"stat" => stat(value).map(|stat| Update::Stat(Box::new(stat))),
        b"files" => match value {
            ValueRef::Array(files) => {
                Some(Update::Files(files.iter().filter_map(|file| shown(file, MAX_PATH_BYTES)).collect()))
            }
            _ => None,
        },
        _ => None,
    }
}

/// The text of some lines. Where each ends and when it came is told as well, counted in characters and not always for each
/// line: the log finds the ends by itself.
fn lines(value: &ValueRef<'_>) -> Option<Bytes> {
    let text = match value {
        ValueRef::Array(triple) => bytes(triple.first()?)?,
        other => bytes(other)?,
    };
    // A copy: a slice would keep the whole message.
    (!text.is_empty()).then(|| Bytes::copy_from_slice(text))
}

/// Ten numbers in the order of Python's `os.stat_result`.
fn stat(value: &ValueRef<'_>) -> Option<FileStat> {
    let ValueRef::Array(numbers) = value else { return None };
    // Python's own numbers may be larger than any of these.
    let wide = |at: usize| match numbers.get(at)? {
        ValueRef::Integer(number) => Some(number.as_u64().unwrap_or(0)),
        _ => None,
    };
    let narrow = |at: usize| Some(u32::try_from(wide(at)?).unwrap_or(u32::MAX));
    let instant = |at: usize| integer(numbers.get(at)?);
    Some(FileStat {
        mode: narrow(0)?,
        inode: wide(1)?,
        device: wide(2)?,
        links: wide(3)?,
        uid: narrow(4)?,
        gid: narrow(5)?,
        size: wide(6)?,
        accessed_at: instant(7)?,
        modified_at: instant(8)?,
        changed_at: instant(9)?,
    })
}
