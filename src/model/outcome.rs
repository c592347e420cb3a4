//! How a step or a build ended.

use std::{fmt, str::FromStr};

/// How a step or a build ended. The numbers are Buildbot's, so that its tools read them.
#[doc(alias = "results")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(into = "i32", try_from = "i32")]
#[repr(i32)]
pub enum Outcome {
    /// All went well.
    Success = 0,
    /// It worked, and something wants a look.
    Warnings = 1,
    /// The thing that was built or tested is wrong.
    Failure = 2,
    /// There was nothing to do.
    Skipped = 3,
    /// The build could not be carried out: the fault lies with the farm or the configuration.
    Exception = 4,
    /// Lost through no fault of its own; the request goes back to the queue.
    Retry = 5,
    /// Somebody stopped it.
    Cancelled = 6,
}

impl Outcome {
    /// All outcomes, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Success,
        Self::Warnings,
        Self::Failure,
        Self::Skipped,
        Self::Exception,
        Self::Retry,
        Self::Cancelled,
    ];

    /// Buildbot's number.
    pub const fn code(self) -> i32 {
        self as i32
    }

    /// The graver of two.
    ///
    /// Source: Buildbot, `process/results.py`: cancelled, retry, exception, failure, warnings, success, skipped.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        if self.gravity() >= other.gravity() { self } else { other }
    }

    /// The word that people read, in lower case.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Warnings => "warnings",
            Self::Failure => "failure",
            Self::Skipped => "skipped",
            Self::Exception => "exception",
            Self::Retry => "retry",
            Self::Cancelled => "cancelled",
        }
    }

    const fn gravity(self) -> u8 {
        match self {
            Self::Skipped => 0,
            Self::Success => 1,
            Self::Warnings => 2,
            Self::Failure => 3,
            Self::Exception => 4,
            Self::Retry => 5,
            Self::Cancelled => 6,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl From<Outcome> for i32 {
    fn from(outcome: Outcome) -> Self {
        outcome.code()
    }
}

/// A number or a word that is no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given} is no outcome (success 0, warnings 1, failure 2, skipped 3, exception 4, retry 5, cancelled 6)"
)]
pub struct UnknownOutcome {
    /// What was given.
    pub given: String,
}

impl TryFrom<i32> for Outcome {
    type Error = UnknownOutcome;
    fn try_from(code: i32) -> Result<Self, UnknownOutcome> {
        Self::ALL
            .into_iter()
            .find(|o| o.code() == code)
            .ok_or_else(|| UnknownOutcome { given: code.to_string() })
    }
}

impl FromStr for Outcome {
    type Err = UnknownOutcome;
    fn from_str(word: &str) -> Result<Self, UnknownOutcome> {
        Self::ALL
            .into_iter()
            .find(|o| o.word().eq_ignore_ascii_case(word))
            .ok_or_else(|| UnknownOutcome { given: format!("`{word}`") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_two_is_the_graver_whatever_the_order() {
        use Outcome::{Cancelled, Exception, Failure, Retry, Skipped, Success, Warnings};
        let rising = [Skipped, Success, Warnings, Failure, Exception, Retry, Cancelled];
        for (i, a) in rising.into_iter().enumerate() {
            for b in &rising[i..] {
                assert_eq!(a.worst(*b), *b);
                assert_eq!(b.worst(a), *b);
            }
        }
    }

    #[test]
    fn numbers_and_words_return() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::try_from(outcome.code()), Ok(outcome));
            assert_eq!(outcome.word().parse(), Ok(outcome));
        }
        assert!(Outcome::try_from(7).is_err());
    }
}
