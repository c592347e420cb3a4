//! The streams that one log holds side by side.

/// Which stream of a command a piece of a log came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// What worker and master say about the command.
    Header,
}

impl LogStream {
    /// Buildbot's letter for it, which begins each line of a log: `o`, `e`, `h`.
    pub const fn letter(self) -> u8 {
        match self {
            Self::Stdout => b'o',
            Self::Stderr => b'e',
            Self::Header => b'h',
        }
    }

    /// The stream of a letter.
    pub const fn from_letter(letter: u8) -> Option<Self> {
        match letter {
            b'o' => Some(Self::Stdout),
            b'e' => Some(Self::Stderr),
            b'h' => Some(Self::Header),
            _ => None,
        }
    }
}
