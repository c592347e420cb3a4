//! Names that the operator gives, with Buildbot's rules.

use std::{borrow::Borrow, fmt, sync::Arc};

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("the name is empty")]
    Empty,
    /// Longer than the database column that Buildbot's tools expect.
    #[error("the name has {length} characters, at most {limit} are allowed")]
    TooLong {
        /// Characters given.
        length: usize,
        /// Characters allowed.
        limit: usize,
    },
    /// A character that an identifier cannot hold.
    #[error(
        "the name holds {character:?}; it may hold letters, digits, `_` and `-`, and must not begin with a digit"
    )]
    BadCharacter {
        /// The first one that is wrong.
        character: char,
    },
    /// A character that no name can hold.
    #[error("the name holds {character:?}; a name is one line, without control characters")]
    Control {
        /// The first one that is wrong.
        character: char,
    },
    /// A name that Buildbot keeps for itself.
    #[error("the name `{name}` is reserved")]
    Reserved {
        /// The name.
        name: &'static str,
    },
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a text against the rules of this kind of name.
            pub fn new(text: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> Result<(), NameError> = $check;
                check(text)?;
                Ok(Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

names! {
    /// A worker's name: also its login, and the property `workername`. An identifier of at most 50 characters.
    WorkerName: |text| {
        if let Some(name) = RESERVED_WORKERS.into_iter().find(|name| *name == text) {
            return Err(NameError::Reserved { name });
        }
        identifier(text, 50)
    };
    /// A builder's name: free text of at most 70 characters, as in Buildbot.
    BuilderName: |text| free_text(text, 70);
    /// A scheduler's name: free text of at most 100 characters; a `ForceScheduler` needs an identifier besides.
    SchedulerName: |text| free_text(text, 100);
    /// A reporter's name: free text of at most 300 characters, since it may hold an address and a host.
    ReporterName: |text| free_text(text, 300);
    /// A lock's name: free text of at most 100 characters.
    LockName: |text| free_text(text, 100);
}

impl SchedulerName {
    /// Whether this name could stand in a URL and in a form, which a `ForceScheduler` needs.
    pub fn check_identifier(&self) -> Result<(), NameError> {
        identifier(self.as_str(), 50)
    }
}

// Source: Buildbot 4.3.0, `config/checks` of workers: these logins belong to other clients of the same port.
const RESERVED_WORKERS: [&str; 3] = ["debug", "change", "status"];

fn identifier(text: &str, limit: usize) -> Result<(), NameError> {
    length(text, limit)?;
    let is_start =
        |c: char| c.is_ascii_alphabetic() || c == '_' || c == '-' || (!c.is_ascii() && !c.is_control());
    let bad = text.chars().enumerate().find(|&(i, c)| !(is_start(c) || (i > 0 && c.is_ascii_digit())));
    bad.map_or(Ok(()), |(_, character)| Err(NameError::BadCharacter { character }))
}

fn free_text(text: &str, limit: usize) -> Result<(), NameError> {
    length(text, limit)?;
    text.chars().find(|c| c.is_control()).map_or(Ok(()), |character| Err(NameError::Control { character }))
}

fn length(text: &str, limit: usize) -> Result<(), NameError> {
    match text.chars().count() {
        0 => Err(NameError::Empty),
        length if length > limit => Err(NameError::TooLong { length, limit }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_name_is_an_identifier_of_at_most_fifty_characters() {
        for good in ["bot-1", "_x", "-", "größe", &"a".repeat(50)] {
            assert!(WorkerName::new(good).is_ok(), "{good}");
        }
        assert_eq!(WorkerName::new(""), Err(NameError::Empty));
        assert_eq!(WorkerName::new(&"a".repeat(51)), Err(NameError::TooLong { length: 51, limit: 50 }));
        assert_eq!(WorkerName::new("1bot"), Err(NameError::BadCharacter { character: '1' }));
        assert_eq!(WorkerName::new("a/b"), Err(NameError::BadCharacter { character: '/' }));
        assert_eq!(WorkerName::new("change"), Err(NameError::Reserved { name: "change" }));
    }

    #[test]
    fn a_builder_name_is_free_text_without_control_characters() {
        assert!(BuilderName::new("Linux (gcc 14) / x86").is_ok());
        assert_eq!(BuilderName::new("a\nb"), Err(NameError::Control { character: '\n' }));
    }
}
