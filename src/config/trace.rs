//! From Lua's traceback, a text, to the calls in the operator's files.

use mlua::Lua;

use super::session::Session;
use crate::{definition::problem::Frame, model::Place};

/// The calls that led to `place`, where what runs now stands.
pub(super) fn calls(lua: &Lua, session: &Session, place: &Place) -> Vec<Frame> {
    // Without memory for a text there are none.
    let traceback = lua.traceback(None, 0).map(|text| text.to_string_lossy());
    traceback.map_or_else(|_| Vec::new(), |traceback| frames(session, &traceback, place))
}

/// The calls of a traceback that stand in the operator's files, but for the line of the error itself.
pub(super) fn frames(session: &Session, traceback: &str, error: &Place) -> Vec<Frame> {
    /// Two functions that call each other have the same lines again and again.
    const MOST: usize = 20;
    let frame = |line: &str| {
        let (place, rest) = split_place(session, line.trim_start())?;
        let quoted = rest.split_once('\'').and_then(|(_, rest)| rest.split_once('\''));
        Some(Frame { place, function: quoted.map(|(function, _)| function.to_owned()) })
    };
    let mut frames: Vec<Frame> = traceback.lines().filter_map(frame).collect();
    // Those before it are of the function that blamed its caller, and its own line was told.
    let is_same = |a: &Place, b: &Place| a.file == b.file && a.line == b.line;
    if let Some(index) = frames.iter().position(|frame| is_same(&frame.place, error)) {
        frames.drain(..=index);
    }
    // A recursion is told once.
    frames.dedup_by(|a, b| is_same(&a.place, &b.place) && a.function == b.function);
    frames.truncate(MOST);
    frames
}

/// Takes `file:line: ` from the front of a message.
pub(super) fn split_place<'a>(session: &Session, text: &'a str) -> Option<(Place, &'a str)> {
    session.files().into_iter().find_map(|file| {
        let rest = strip_file(text, &file)?.strip_prefix(':')?;
        let (line, rest) = rest.split_once(": ")?;
        Some((Place::new(file, line.parse().ok()?), rest))
    })
}

/// Lua shows the end of a long file name only.
fn strip_file<'a>(text: &'a str, file: &str) -> Option<&'a str> {
    if let Some(rest) = text.strip_prefix(file) {
        return Some(rest);
    }
    let (tail, _) = text.strip_prefix("...")?.split_once(".lua:")?;
    let tail_length = tail.len() + ".lua".len();
    let tail = &text["...".len()..][..tail_length];
    file.ends_with(tail).then(|| &text["...".len() + tail_length..])
}
