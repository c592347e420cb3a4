//! Lines: those of a conversation, as they are told, and those of a mail, as they are sent.
//!
//! # Laws
//! - Nothing in a mail can end it before its end.
//!
//! # Source
//! RFC 5321, section 4.5.2.

use std::fmt;

/// A line of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Who said it.
    pub speaker: Speaker,
    /// What; no secret, and one line.
    pub text: String,
}

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// This side.
    Client,
    /// The host.
    Host,
    /// Nobody: it tells what was done.
    Note,
}

impl Line {
    pub(super) fn note(text: String) -> Self {
        Self { speaker: Speaker::Note, text }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = match self.speaker {
            Speaker::Client => "C:",
            Speaker::Host => "S:",
            Speaker::Note => "--",
        };
        write!(f, "{who} {}", self.text)
    }
}

/// A mail as it is sent: each line ends as those of SMTP, a dot before its text is doubled, and a lone dot is its end.
pub(super) fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + message.len() / 50 + 8);
    let mut rest = message;
    while !rest.is_empty() {
        let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let (line, later) = rest.split_at(end);
        if line.first() == Some(&b'.') {
            out.push(b'.');
        }
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
        let ending = if later.starts_with(b"\r\n") { 2 } else { later.len().min(1) };
        rest = later.get(ending..).unwrap_or_default();
    }
    out.extend_from_slice(b".\r\n");
    out
}
