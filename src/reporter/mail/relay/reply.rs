//! What a host says: a code, and words for people.
//!
//! # Laws
//! - Whatever comes in, a reply is bounded and its words hold no control characters.
//!
//! # Source
//! RFC 5321, section 4.2.

use std::fmt;

/// Bytes of a line; the standard says 512, and some hosts say more.
pub(super) const LONGEST_LINE: usize = 4096;

/// Lines of one reply.
const MOST_LINES: usize = 200;

/// Characters of a reply that are shown.
const SHOWN: usize = 300;

/// What a host said to something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Three digits; the first tells how it went.
    pub code: u16,
    /// Its lines, without the code.
    pub lines: Vec<String>,
}

/// A reply that comes in line by line.
#[derive(Debug, Default)]
pub(super) struct Replying {
    code: Option<u16>,
    lines: Vec<String>,
}

/// It is none of SMTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoReply;

impl Replying {
    /// Takes a line, without its end; the reply, if this was the last of it.
    pub(super) fn take(&mut self, line: &[u8]) -> Result<Option<Reply>, NoReply> {
        let (digits, rest) = line.split_at_checked(3).ok_or(NoReply)?;
        let code = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        let code = code.and_then(|text| text.parse().ok()).filter(|code| (200..=599).contains(code));
        let code: u16 = code.ok_or(NoReply)?;
        let is_last = match rest.first() {
            None | Some(b' ') => true,
            Some(b'-') => false,
            Some(_) => return Err(NoReply),
        };
        if self.code.is_some_and(|first| first != code) || self.lines.len() >= MOST_LINES {
            return Err(NoReply);
        }
        self.code = Some(code);
        self.lines.push(clean(rest.get(1..).unwrap_or_default()));
        Ok(is_last.then(|| Reply { code, lines: std::mem::take(&mut self.lines) }))
    }
}

/// Bytes as a line for people.
pub(super) fn clean(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim_end().to_owned()
}

impl Reply {
    /// Whether it was done.
    pub const fn is_done(&self) -> bool {
        self.code / 100 == 2
    }

    /// Whether it may go better later.
    pub const fn is_for_now(&self) -> bool {
        self.code / 100 == 4
    }

    /// The words behind a keyword that the host offers (`EHLO`).
    pub(super) fn offer(&self, keyword: &str) -> Option<impl Iterator<Item = &str>> {
        self.lines.iter().skip(1).find_map(|line| {
            // Old hosts write `AUTH=LOGIN`.
            let mut words = line.split([' ', '=']);
            words.next().is_some_and(|word| word.eq_ignore_ascii_case(keyword)).then_some(words)
        })
    }
}

/// In one line.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.lines.join(" ");
        let shown: String = text.chars().take(SHOWN).collect();
        let more = if shown.len() < text.len() { "…" } else { "" };
        write!(f, "{} {shown}{more}", self.code)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(lines: &[&str]) -> Result<Option<Reply>, NoReply> {
        let mut replying = Replying::default();
        let mut last = Ok(None);
        for line in lines {
            last = replying.take(line.as_bytes());
        }
        last
    }

    #[test]
    fn a_reply_ends_with_the_line_that_has_a_space_behind_its_code() {
        let reply = read(&["250-mx", "250-AUTH PLAIN LOGIN", "250-AUTH=LOGIN", "250 STARTTLS"]);
        let reply = reply.expect("a reply").expect("it is whole");
        assert_eq!(reply.to_string(), "250 mx AUTH PLAIN LOGIN AUTH=LOGIN STARTTLS");
        assert_eq!(reply.offer("auth").expect("it is offered").collect::<Vec<_>>(), ["PLAIN", "LOGIN"]);
        assert!(reply.offer("starttls").is_some() && reply.offer("mx").is_none());
        assert_eq!(read(&["250-mx", "250"]).expect("a reply").expect("it is whole").lines, ["mx", ""]);
        assert_eq!(read(&["250-mx"]), Ok(None));
    }

    #[test]
    fn what_is_no_reply_is_told() {
        for bad in ["", "25", "HTTP/1.1 400 Bad Request", "2500 x", "150 x", "999 x", "25x y"] {
            assert_eq!(read(&[bad]), Err(NoReply), "{bad:?}");
        }
        assert_eq!(read(&["250-x", "550 y"]), Err(NoReply));
        let endless = vec!["250-x"; MOST_LINES + 1];
        assert_eq!(read(&endless), Err(NoReply));
    }

    proptest! {
        #[test]
        fn no_reply_holds_a_control_character(line in any::<Vec<u8>>()) {
            let line = [b"250 ".as_slice(), &line].concat();
            let reply = Replying::default().take(&line).expect("a reply").expect("it is whole");
            prop_assert!(!reply.to_string().contains(char::is_control));
        }
    }
}
