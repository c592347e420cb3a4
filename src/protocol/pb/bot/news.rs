//! What a command says, in the words of this wire.
//!
//! # Laws
//! - One piece of news is one key: so says `buildbot-worker`, and so masters of all ages read it.
//! - No text is longer than a peer takes. One that is goes in pieces of whole lines; a line that is longer by itself is cut
//!   between two characters, and nothing is added to it.

use bytes::Bytes;

use crate::protocol::{
    Update,
    bot::gather::{Gathered, Source},
    message::FileStat,
    pb::{
        banana::{Limits, MAX_LENGTH, Sexp},
        jelly::Value,
        keys::{self, news},
    },
};

/// A listing may have so many bytes, as it lies in the memory of a master of ours that reads it: a little less than what
/// ends its connection.
const MAX_FILES_BYTES: usize = Limits::FRIEND.expression_bytes - 1024 * 1024;
/// What each name of a listing takes there beside its text: a list of a tag and that.
const NAME_BYTES: usize = 3 * size_of::<Sexp>();

/// One key of an update, and its value.
#[derive(Debug)]
pub(super) struct News {
    pub(super) key: &'static str,
    pub(super) value: Value,
}

impl News {
    /// The dictionary that an update is.
    pub(super) fn into_value(self) -> Value {
        Value::dict([(self.key, self.value)])
    }

    /// How long it is, about, in bytes.
    pub(super) fn len(&self) -> usize {
        match &self.value {
            Value::Text(text) => text.len(),
            Value::Tuple(items) | Value::List(items) => {
                items.iter().map(|item| item.as_bytes().map_or(0, Bytes::len) + size_of::<Value>()).sum()
            }
            _ => 0,
        }
    }
}

/// What was gathered of one source.
pub(super) fn of_text(gathered: Gathered) -> impl Iterator<Item = News> {
    let Gathered { source, text, .. } = gathered;
    pieces(text.into()).map(move |piece| {
        let text = Value::Text(piece);
        match &source {
            Source::Stream(stream) => News { key: keys::word(&keys::STREAMS, stream), value: text },
            Source::Log(name) => {
                News { key: news::LOG, value: Value::Tuple(vec![Value::text(name.to_string()), text]) }
            }
        }
    })
}

/// What an update is on its way: output is gathered first, and all else goes as it is.
#[derive(Debug)]
pub(super) enum Said {
    Output(Source, Bytes),
    News(News),
}

/// An update.
///
/// # Errors
/// A text for the log of the master, if this wire does not carry it.
pub(super) fn of_update(update: Update) -> Result<Said, String> {
    let (key, value) = match update {
        Update::Output { stream, bytes } => return Ok(Said::Output(Source::Stream(stream), bytes)),
        Update::Log { name, bytes } => return Ok(Said::Output(Source::Log(name), bytes)),
        Update::Rc(rc) => (news::RC, Value::Int(rc.into())),
        Update::Elapsed(time) => (news::ELAPSED, Value::Float(time.as_secs_f64())),
        Update::FailureReason(reason) => {
            (news::FAILURE_REASON, Value::text(keys::word(&keys::FAILURE_REASONS, &reason)))
        }
        Update::Stat(stat) => (news::STAT, numbers(&stat)),
        Update::Files(names) => (news::FILES, files(names)?),
    };
    Ok(Said::News(News { key, value }))
}

fn files(names: Vec<String>) -> Result<Value, String> {
    let bytes: usize = names.iter().map(|name| name.len() + NAME_BYTES).sum();
    if bytes > MAX_FILES_BYTES || names.iter().any(|name| name.len() > MAX_LENGTH) {
        return Err(format!("a list of {} names is longer than can be told on this protocol", names.len()));
    }
    Ok(Value::List(names.into_iter().map(Value::text).collect()))
}

/// In the order of the system call.
fn numbers(stat: &FileStat) -> Value {
    let large = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    Value::Tuple(vec![
        Value::Int(stat.mode.into()),
        large(stat.inode),
        large(stat.device),
        large(stat.links),
        Value::Int(stat.uid.into()),
        Value::Int(stat.gid.into()),
        large(stat.size),
        Value::Int(stat.accessed_at),
        Value::Int(stat.modified_at),
        Value::Int(stat.changed_at),
    ])
}

/// A text in pieces that are short enough.
fn pieces(mut text: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let cut = cut(&text);
        Some(text.split_to(cut))
    })
}

/// Where the first piece of a text ends.
fn cut(text: &[u8]) -> usize {
    if text.len() <= MAX_LENGTH {
        return text.len();
    }
    let head = &text[..MAX_LENGTH];
    let after_line = head.iter().rposition(|byte| *byte == b'\n').map(|end| end + 1);
    // A byte that goes on with a character is no begin of one.
    let before_char = || (1..=MAX_LENGTH).rev().find(|cut| text[*cut] & 0xc0 != 0x80);
    after_line.or_else(before_char).unwrap_or(MAX_LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LogStream;

    fn said(text: String) -> Vec<Bytes> {
        let gathered = Gathered { source: Source::Stream(LogStream::Stdout), text, times: Vec::new() };
        let piece = |news: News| {
            assert_eq!(news.key, "stdout");
            news.value.as_bytes().unwrap().clone()
        };
        of_text(gathered).map(piece).collect()
    }

    #[test]
    fn a_text_as_long_as_may_be_is_one_piece_and_a_longer_one_is_cut_between_lines() {
        let longest = "x".repeat(MAX_LENGTH - 1) + "\n";
        assert_eq!(said(longest.clone()), [longest]);
        let lines = "0123456789abcde\n".repeat(100_000);
        let pieces = said(lines.clone());
        assert!(pieces.iter().all(|piece| piece.len() <= MAX_LENGTH && piece.ends_with(b"\n")));
        assert_eq!((pieces.len(), pieces.concat()), (3, lines.into_bytes()));
        assert_eq!(said(String::new()), [""; 0]);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_between_characters_and_nothing_is_added() {
        // The cut would lie within the second of three bytes.
        let line = "x".to_owned() + &"\u{20ac}".repeat(400_000) + "\n";
        let pieces = said(line.clone());
        assert!(pieces.iter().all(|piece| piece.len() <= MAX_LENGTH && std::str::from_utf8(piece).is_ok()));
        assert_eq!((pieces.len(), pieces.concat()), (2, line.into_bytes()));
    }

    #[test]
    fn a_list_that_would_end_a_connection_is_not_told() {
        let error = of_update(Update::Files(vec![String::new(); 200_000])).unwrap_err();
        assert!(error.contains("200000 names"), "{error}");
        assert!(of_update(Update::Files(vec!["x".repeat(MAX_LENGTH + 1)])).is_err());
        assert!(of_update(Update::Files(vec!["x".repeat(30); 90_000])).is_ok());
    }
}
