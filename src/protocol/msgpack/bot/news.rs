//! News of a command in the words of this wire: pairs of a key and a value, the other way round from `msgpack::update`.
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/base.py` and `buildbot_worker/util/lineboundaries.py`.

use rmpv::ValueRef;

use super::super::frame::MAX_MESSAGE_BYTES;
use crate::{
    model::LogStream,
    protocol::{
        FailureReason, Update,
        bot::gather::{Gathered, Source},
        message::FileStat,
    },
};

/// The longest message of news, in bytes, unless a single line or a list of files is longer.
pub(super) const MOST_BYTES: usize = 256 * 1024;

/// What a line adds besides its text: where it ends, in up to five bytes, and when it came, in nine.
const LINE_BYTES: usize = 14;
/// What any of them adds, more or less: a key and the heads of the lists.
const HEAD_BYTES: usize = 32;

/// Something new.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum News {
    /// Lines of text.
    Text(Gathered),
    /// Anything else.
    Plain(Update),
}

impl News {
    /// How long it is on its way, in bytes, more or less but not less.
    pub(super) fn len(&self) -> usize {
        HEAD_BYTES
            + match self {
                Self::Text(text) => {
                    let name = match &text.source {
                        Source::Stream(_) => 0,
                        Source::Log(name) => name.len(),
                    };
                    name + text.text.len() + LINE_BYTES * text.times.len()
                }
                Self::Plain(Update::Files(files)) => files.iter().map(|file| file.len() + 5).sum(),
                Self::Plain(Update::Stat(_)) => 90,
                Self::Plain(_) => 0,
            }
    }

    /// Whether no message can carry it.
    pub(super) fn is_too_long(&self) -> bool {
        self.len() > MAX_MESSAGE_BYTES - MOST_BYTES
    }

    /// Its key and its value; nothing of output, which comes as [`News::Text`].
    pub(super) fn pair(&self) -> Option<ValueRef<'_>> {
        let (key, value) = match self {
            Self::Text(Gathered { source: Source::Stream(stream), text, times }) => {
                let key = match stream {
                    LogStream::Stdout => "stdout",
                    LogStream::Stderr => "stderr",
                    LogStream::Header => "header",
                };
                (key, lines(text, times))
            }
            Self::Text(Gathered { source: Source::Log(name), text, times }) => {
                ("log", ValueRef::Array(vec![(&**name).into(), lines(text, times)]))
            }
            Self::Plain(update) => match update {
                Update::Output { .. } | Update::Log { .. } => return None,
                Update::Rc(rc) => ("rc", (*rc).into()),
                Update::Elapsed(time) => ("elapsed", time.as_secs_f64().into()),
                Update::FailureReason(reason) => ("failure_reason", reason_text(*reason).into()),
                Update::Stat(stat) => ("stat", numbers(stat)),
                Update::Files(files) => {
                    ("files", ValueRef::Array(files.iter().map(|file| file.as_str().into()).collect()))
                }
            },
        };
        Some(ValueRef::Array(vec![key.into(), value]))
    }
}

/// What was gathered, in pieces that fit a message each, unless a line is longer.
pub(super) fn pieces(gathered: Gathered) -> Vec<News> {
    let Gathered { source, text, times } = gathered;
    let mut pieces = Vec::new();
    let (mut begin, mut end, mut first, mut lines) = (0, 0, 0, 0);
    let mut cut = |begin: usize, end: usize, first: usize, lines: usize| {
        let (text, times) = (text[begin..end].to_owned(), times[first..first + lines].to_vec());
        pieces.push(News::Text(Gathered { source: source.clone(), text, times }));
    };
    for line in text.split_inclusive('\n') {
        let length = end - begin + line.len() + LINE_BYTES * (lines + 1);
        if lines > 0 && length > MOST_BYTES {
            cut(begin, end, first, lines);
            (begin, first, lines) = (end, first + lines, 0);
        }
        (end, lines) = (end + line.len(), lines + 1);
    }
    if lines > 0 {
        cut(begin, end, first, lines);
    }
    pieces
}

/// Text, where each of its lines ends in characters, and when each came.
fn lines<'v>(text: &'v str, times: &[f64]) -> ValueRef<'v> {
    let mut characters: u64 = 0;
    let mut ends = Vec::with_capacity(times.len());
    for line in text.split_inclusive('\n') {
        characters += u64::try_from(line.chars().count()).expect("a line has fewer characters than that");
        if line.ends_with('\n') {
            ends.push(ValueRef::from(characters - 1));
        }
    }
    let times = times.iter().map(|time| ValueRef::F64(*time)).collect();
    ValueRef::Array(vec![text.into(), ValueRef::Array(ends), ValueRef::Array(times)])
}

const fn reason_text(reason: FailureReason) -> &'static str {
    match reason {
        FailureReason::Timeout => "timeout",
        FailureReason::TimeoutWithoutOutput => "timeout_without_output",
        FailureReason::MaxLines => "max_lines_failure",
    }
}

/// In the order of Python's `os.stat_result`.
fn numbers(stat: &FileStat) -> ValueRef<'static> {
    let FileStat { mode, inode, device, links, uid, gid, size, accessed_at, modified_at, changed_at } = *stat;
    ValueRef::Array(vec![
        mode.into(),
        inode.into(),
        device.into(),
        links.into(),
        uid.into(),
        gid.into(),
        size.into(),
        accessed_at.into(),
        modified_at.into(),
        changed_at.into(),
    ])
}
