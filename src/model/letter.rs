//! Words about messages in the outbox.

use std::{fmt, str::FromStr};

/// A word that no version of this program writes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {noun} of a letter `{word}`")]
pub struct UnknownWord {
    /// What it should be.
    pub noun: &'static str,
    /// What it is.
    pub word: String,
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident($noun:literal) { $($(#[$each:meta])* $variant:ident = $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$each])* $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The text kept in the store and shown by the API.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;
            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                let found = Self::ALL.iter().copied().find(|it| it.word() == word);
                found.ok_or_else(|| UnknownWord { noun: $noun, word: word.to_owned() })
            }
        }
    )*};
}

words! {
    /// How a letter goes.
    LetterChannel("channel") {
        /// By mail, over SMTP or by a program.
        Mail = "mail",
    }
    /// What a letter is about.
    LetterKind("kind") {
        /// Workers are missing.
        WorkerMissing = "worker_missing",
        /// Workers that were missing are back.
        WorkerReturned = "worker_returned",
        /// A build has ended.
        Build = "build",
        /// Nothing: somebody tries whether letters arrive.
        Test = "test",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_one_text_in_the_store_and_in_the_api() {
        for kind in LetterKind::ALL {
            assert_eq!(kind.word().parse(), Ok(*kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.word());
        }
        assert_eq!(serde_json::to_value(LetterChannel::Mail).unwrap(), LetterChannel::Mail.word());
        let error = "gossip".parse::<LetterKind>().unwrap_err();
        assert_eq!(error.to_string(), "unknown kind of a letter `gossip`");
    }
}
