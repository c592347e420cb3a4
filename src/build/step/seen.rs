//! What was heard of a command, and what that means to its step.
//!
//! # Laws
//! - The exit code decides only of a command that was complete, and whose end nobody else had decided.
//!
//! # Not here
//! How it is heard (`command`).

use super::{StepEnd, transfer::TransferError};
use crate::{
    build::control::{StopKind, Stopped},
    model::Outcome,
    protocol::{FailureReason, Unfit},
};

/// What was heard of a command.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) rc: Option<i32>,
    pub(super) reason: Option<FailureReason>,
    pub(super) complete: bool,
    pub(super) failure: Option<String>,
    pub(super) stopped: Option<Stopped>,
    /// Why the master could not go on with its part.
    pub(super) spoiled: Option<TransferError>,
    /// The master stops, and the command goes on without it.
    pub(super) is_left: bool,
}

impl Seen {
    /// Its exit code, if that is what decides; else the end of the step. `what` names the deed for people.
    ///
    /// # Errors
    /// The end of a step whose command was stopped, lost, killed by the worker, or not carried out.
    pub(super) fn exit_code(&self, what: &str) -> Result<i32, StepEnd> {
        if self.is_left {
            return Err(StepEnd::left());
        }
        if let Some(stopped) = &self.stopped {
            return Err(interrupted(what, stopped));
        }
        if let Some(spoiled) = &self.spoiled {
            return Err(StepEnd::new(spoiled.outcome(), format!("{what}: {}", spoiled.chain())));
        }
        if !self.complete {
            return Err(StepEnd::lost());
        }
        if let Some(reason) = self.reason {
            let why = match reason {
                FailureReason::Timeout => "ran too long",
                FailureReason::TimeoutWithoutOutput => "was silent too long",
                FailureReason::MaxLines => "wrote too many lines",
            };
            let end = match reason {
                FailureReason::MaxLines => "and was killed",
                FailureReason::Timeout | FailureReason::TimeoutWithoutOutput => "and was killed (timed out)",
            };
            return Err(StepEnd::new(Outcome::Failure, format!("{what} {why} {end}")));
        }
        if let Some(failure) = &self.failure {
            // Where it happened on the worker is told in the log.
            let first = failure.lines().next().unwrap_or_default();
            let unfit = Unfit::told_by(failure).map(|unfit| (unfit, first.to_owned()));
            return Err(StepEnd { unfit, ..StepEnd::new(Outcome::Exception, format!("{what}: {first}")) });
        }
        // A command that says nothing of its exit code cannot be called a success.
        self.rc.ok_or_else(|| StepEnd::new(Outcome::Exception, format!("{what} ended without an exit code")))
    }

    /// What the log has not heard of the end yet.
    pub(super) fn last_words(&self) -> Option<&str> {
        if self.is_left {
            None
        } else if self.complete {
            self.failure.as_deref()
        } else {
            Some("the link to the worker was lost")
        }
    }
}

/// How a step ends that was stopped.
pub(super) fn interrupted(what: &str, stopped: &Stopped) -> StepEnd {
    let outcome = match stopped.kind {
        StopKind::Cancel => Outcome::Cancelled,
        StopKind::Requeue => Outcome::Retry,
    };
    StepEnd::new(outcome, format!("{what} interrupted: {}", stopped.reason))
}

#[cfg(test)]
impl Seen {
    /// A command that ended with this exit code.
    pub(super) fn sample(rc: i32) -> Self {
        Self { rc: Some(rc), complete: true, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(seen: &Seen) -> StepEnd {
        seen.exit_code("'make test'").expect_err("the exit code does not decide")
    }

    #[test]
    fn no_exit_code_is_no_success_and_no_completion_is_a_lost_worker() {
        assert_eq!(end(&Seen { complete: true, ..Seen::default() }).outcome, Outcome::Exception);
        assert_eq!(end(&Seen { rc: Some(0), ..Seen::default() }), StepEnd::lost());
    }

    #[test]
    fn a_failure_of_the_worker_wins_over_exit_code_zero() {
        let seen = Seen { failure: Some("broken".into()), ..Seen::sample(0) };
        assert_eq!(end(&seen).outcome, Outcome::Exception);
    }

    #[test]
    fn the_line_of_a_step_has_no_traceback_of_the_worker() {
        let failure = "builtins.OSError: no room\nTraceback (most recent call last):\n  …".to_owned();
        let seen = Seen { failure: Some(failure), ..Seen::sample(0) };
        assert_eq!(end(&seen).state, "'make test': builtins.OSError: no room");
        assert!(seen.last_words().is_some_and(|words| words.contains("Traceback")), "the log has it");
    }

    #[test]
    fn a_worker_that_says_that_it_is_at_fault_is_remembered_for_that() {
        let seen =
            |failure: &str| Seen { failure: Some(failure.to_owned()), complete: true, ..Seen::default() };
        let told = "builtins.OSError: [Errno 28] No space left on device: '/w/b/build'";
        assert_eq!(end(&seen(told)).unfit, Some((Unfit::Exhausted, told.to_owned())));
        assert_eq!(end(&seen("builtins.KeyError: 'command'")).unfit, None);
    }

    #[test]
    fn what_the_master_could_not_do_wins_over_exit_code_zero() {
        let seen = Seen { spoiled: Some(TransferError::too_large("x".into(), 3)), ..Seen::sample(0) };
        assert_eq!(end(&seen), StepEnd::new(Outcome::Failure, "'make test': `x` has more than 3 bytes"));
    }
}
