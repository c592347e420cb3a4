//! The bytes of one stream as text, in the way of Buildbot's worker.
//!
//! # Laws
//! - Bytes that are no UTF-8 become U+FFFD; a character that is cut by a read stays whole.
//! - What moves the cursor to another line, or back in it, ends a line: `\r\n`, `\r`, backspaces, and the sequences of
//!   terminals that place the cursor or clear the screen.
//! - How the bytes were cut makes no difference to the text.
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/util/lineboundaries.py`, for what ends a line.

/// A sequence of more digits than this is text.
const MOST_PARAMETERS: usize = 16;

const BACKSPACE: u8 = 0x08;
const ESCAPE: u8 = 0x1b;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// The begin of a character or of a sequence, whose rest has not come.
    begun: Vec<u8>,
}

impl Text {
    /// The text of more bytes, as far as it is certain.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> String {
        if self.begun.is_empty() {
            let (text, rest) = decode(bytes, false);
            self.begun = rest.to_vec();
            return text;
        }
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        let (text, rest) = decode(&all, false);
        self.begun = rest.to_vec();
        text
    }

    /// The text of what is left, since no more bytes come.
    pub(super) fn finish(&mut self) -> String {
        decode(&std::mem::take(&mut self.begun), true).0
    }
}

/// What a sequence of bytes is.
enum Seen {
    /// It ends a line, and is so long.
    End(usize),
    /// It is text, so many bytes of it.
    Plain(usize),
    /// More must come before it can be said.
    Unknown,
}

/// The text of bytes, and what is left for the next time.
fn decode(bytes: &[u8], is_all: bool) -> (String, &[u8]) {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let special =
            rest.iter().position(|byte| matches!(*byte, b'\r' | BACKSPACE | ESCAPE)).unwrap_or(rest.len());
        if special > 0 {
            let (plain, after) = rest.split_at(special);
            let is_end = after.is_empty() && !is_all;
            let cut = push_utf8(&mut text, plain, is_end);
            if is_end {
                return (text, cut);
            }
            rest = after;
            continue;
        }
        let length = match special_at(rest) {
            Seen::End(length) => {
                text.push('\n');
                length
            }
            Seen::Plain(length) => {
                // ASCII, whatever it is.
                text.extend(rest[..length].iter().map(|byte| char::from(*byte)));
                length
            }
            // Of a run of backspaces, one says as much.
            Seen::Unknown if rest[0] == BACKSPACE && is_all => {
                text.push('\n');
                rest.len()
            }
            Seen::Unknown if rest[0] == BACKSPACE => return (text, &rest[..1]),
            // Nothing follows that it could return to, or a sequence that is none.
            Seen::Unknown if is_all => {
                text.extend(rest.iter().map(|byte| char::from(*byte)));
                rest.len()
            }
            Seen::Unknown => return (text, rest),
        };
        rest = &rest[length..];
    }
    (text, rest)
}

/// What begins here, at a byte that may begin a sequence.
fn special_at(rest: &[u8]) -> Seen {
    match *rest {
        [b'\r', b'\n', ..] => Seen::End(2),
        [b'\r', _, ..] => Seen::End(1),
        [BACKSPACE, ..] => match rest.iter().position(|byte| *byte != BACKSPACE) {
            Some(length) => Seen::End(length),
            None => Seen::Unknown,
        },
        [ESCAPE, b'[', ref parameters @ ..] => {
            let count = parameters.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b';').count();
            let is_end = match (parameters.get(count), &parameters[..count]) {
                _ if count > MOST_PARAMETERS => false,
                (None, _) => return Seen::Unknown,
                (Some(b'u'), b"") | (Some(b'J'), b"2") => true,
                (Some(b'H' | b'f'), place) => is_place(place),
                _ => false,
            };
            if is_end { Seen::End(count + 3) } else { Seen::Plain(2) }
        }
        [ESCAPE, _, ..] => Seen::Plain(1),
        _ => Seen::Unknown,
    }
}

/// Whether these are a row and a column.
fn is_place(parameters: &[u8]) -> bool {
    let mut numbers = parameters.split(|byte| *byte == b';');
    matches!((numbers.next(), numbers.next(), numbers.next()), (Some([_, ..]), Some([_, ..]), None))
}

/// Adds the text of bytes; what is left is the begin of a character, if more may come.
fn push_utf8<'a>(text: &mut String, bytes: &'a [u8], more_may_come: bool) -> &'a [u8] {
    let mut chunks = bytes.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        text.push_str(chunk.valid());
        let invalid = chunk.invalid();
        if invalid.is_empty() {
            continue;
        }
        if chunks.peek().is_none() && more_may_come && is_begin(invalid) {
            return &bytes[bytes.len() - invalid.len()..];
        }
        text.push(char::REPLACEMENT_CHARACTER);
    }
    &[]
}

/// Whether these bytes are the begin of a character.
fn is_begin(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(bytes: &[u8]) -> String {
        in_pieces([bytes])
    }

    fn in_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
        let mut text = Text::default();
        let mut all: String = pieces.into_iter().map(|piece| text.feed(piece)).collect();
        all += &text.finish();
        all
    }

    #[test]
    fn what_moves_the_cursor_ends_a_line() {
        for (bytes, text) in [
            (&b"a\r\nb"[..], "a\nb"),
            (b"50%\rdone", "50%\ndone"),
            (b"a\x08\x08\x08b", "a\nb"),
            (b"a\x1b[ub", "a\nb"),
            (b"a\x1b[12;3Hb\x1b[1;1fc", "a\nb\nc"),
            (b"a\x1b[2Jb", "a\nb"),
            // Colours, and what only looks like one of those above.
            (b"\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
            (b"\x1b[1J\x1b[3u\x1b[;3H\x1b[1;2;3H\x1bx", "\x1b[1J\x1b[3u\x1b[;3H\x1b[1;2;3H\x1bx"),
            // Nothing follows that it could return to.
            (b"a\r", "a\r"),
            (b"a\x1b[1", "a\x1b[1"),
            (b"a\x08", "a\n"),
        ] {
            assert_eq!(whole(bytes), text, "{:?}", bytes.escape_ascii().to_string());
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_and_nothing_else_is_lost() {
        assert_eq!(whole(b"a\xffb\xc3(\xe2\x82"), "a\u{fffd}b\u{fffd}(\u{fffd}");
        assert_eq!(
            in_pieces(["gr\u{fc}n".as_bytes().split_at(3).0, &"gr\u{fc}n".as_bytes()[3..]]),
            "gr\u{fc}n"
        );
    }

    #[test]
    fn a_character_that_will_be_whole_is_waited_for_and_nothing_else() {
        let mut text = Text::default();
        assert_eq!(text.feed(b"prompt? "), "prompt? ");
        assert_eq!(text.feed(b"\xe2\x82"), "");
        assert_eq!(text.feed(b"\xac"), "\u{20ac}");
        assert_eq!(text.feed(b"\xff"), "\u{fffd}");
    }

    proptest! {
        #[test]
        fn cuts_make_no_difference(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "\r", "\n", "\x08", "\x1b", "\x1b[", "\x1b[2J", "12;3H", "u", "x",
                    // Of U+20AC, in two parts; and a byte that is none.
                    "e2", "82ac", "ff",
                ]),
                0..24,
            ),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let of = |part: &&str| match *part {
                "e2" => b"\xe2".to_vec(),
                "82ac" => b"\x82\xac".to_vec(),
                "ff" => b"\xff".to_vec(),
                part => part.into(),
            };
            let bytes = parts.iter().flat_map(of).collect::<Vec<u8>>();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]);
            prop_assert_eq!(in_pieces(pieces), whole(&bytes));
        }
    }
}
