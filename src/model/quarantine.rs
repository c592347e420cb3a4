//! What a worker has on its record: how often it failed builds, and the quarantine that this brought it.

use std::{collections::BTreeMap, fmt, str::FromStr};

use crate::model::Timestamp;

/// Why a worker is given no builds for a while, though nobody has said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuarantineCause {
    /// Its link was lost in mid-build.
    LinkLost,
    /// It did not take a build that was given to it.
    NotReady,
    /// It said that it cannot carry out commands, whatever they are.
    Fault,
}

impl QuarantineCause {
    /// All causes.
    pub const ALL: [Self; 3] = [Self::LinkLost, Self::NotReady, Self::Fault];

    /// The text kept in the store and shown by the API.
    pub const fn word(self) -> &'static str {
        match self {
            Self::LinkLost => "link_lost",
            Self::NotReady => "not_ready",
            Self::Fault => "fault",
        }
    }

    /// The words that people read in a table.
    pub const fn brief(self) -> &'static str {
        match self {
            Self::LinkLost => "link lost",
            Self::NotReady => "not ready",
            Self::Fault => "worker at fault",
        }
    }

    /// What has happened, as a sentence without its full stop.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::LinkLost => "its link was lost in mid-build",
            Self::NotReady => "it did not take a build",
            Self::Fault => "it said that it cannot carry out commands",
        }
    }
}

impl fmt::Display for QuarantineCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

/// A word that is no cause of any version of this program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown cause of a quarantine `{0}`")]
pub struct UnknownCause(pub String);

impl FromStr for QuarantineCause {
    type Err = UnknownCause;
    fn from_str(word: &str) -> Result<Self, UnknownCause> {
        let found = Self::ALL.into_iter().find(|cause| cause.word() == word);
        found.ok_or_else(|| UnknownCause(word.to_owned()))
    }
}

/// A time in which a worker is given no builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// Why.
    pub cause: QuarantineCause,
    /// What it was about, in words for people: one line.
    pub reason: Option<String>,
    /// How many times it was for this cause since the last good build; this one counts.
    pub strikes: u32,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// What a worker has against it since its last good build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerRecord {
    /// How often it was quarantined, by cause.
    pub strikes: BTreeMap<QuarantineCause, u32>,
    /// Its quarantine, which may be over.
    pub quarantine: Option<Quarantine>,
}

impl WorkerRecord {
    /// Whether nothing is against it.
    pub fn is_clean(&self) -> bool {
        self.strikes.is_empty() && self.quarantine.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_has_one_word_in_the_store_the_api_and_json() {
        for cause in QuarantineCause::ALL {
            assert_eq!(cause.word().parse(), Ok(cause));
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.word());
        }
        assert!("flat_tyre".parse::<QuarantineCause>().is_err());
    }
}
