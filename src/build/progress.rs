//! What the outcomes of steps make of a build: plain values, decided step by step.
//!
//! Source: behaviour of Buildbot, `process/build.py` (`_stepDone`), with its flags `haltOnFailure` and kin.

use crate::{definition::StepDefinition, model::Outcome, protocol::Unfit};

/// A build between two steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    outcome: Outcome,
    halted: bool,
    worker_lost: bool,
    unfit: Option<(Unfit, String)>,
    /// The steps that were not well, for the one line that people read.
    blamed: Vec<String>,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// Before the first step.
    pub const fn new() -> Self {
        Self { outcome: Outcome::Success, halted: false, worker_lost: false, unfit: None, blamed: Vec::new() }
    }

    /// Whether a step is to run.
    pub const fn wants(&self, step: &StepDefinition) -> bool {
        !self.worker_lost && (!self.halted || step.always_run)
    }

    /// Takes the outcome of a step into account.
    pub fn after(&mut self, step: &StepDefinition, outcome: Outcome) {
        let (counts_as, halts) = match outcome {
            Outcome::Success | Outcome::Skipped => (Outcome::Success, false),
            Outcome::Warnings => (step.warnings_count_as, false),
            Outcome::Failure => (step.failure_counts_as, step.halt_on_failure),
            // Nothing that follows could be trusted.
            Outcome::Exception | Outcome::Retry | Outcome::Cancelled => (outcome, true),
        };
        if counts_as != Outcome::Success {
            self.blamed.push(step.name.clone());
        }
        self.outcome = self.outcome.worst(counts_as);
        self.halted |= halts;
    }

    /// The worker is gone: no step can run any more.
    pub fn lose_worker(&mut self) {
        self.worker_lost = true;
    }

    /// Whether the worker went away under the build.
    pub const fn is_worker_lost(&self) -> bool {
        self.worker_lost
    }

    /// The worker said that no command would fare better there. The first word counts.
    pub fn doubt_worker(&mut self, unfit: Option<(Unfit, String)>) {
        self.unfit = self.unfit.take().or(unfit);
    }

    /// What the worker said of itself, if it said that no command would fare better.
    pub const fn unfit(&self) -> Option<&(Unfit, String)> {
        self.unfit.as_ref()
    }

    /// The outcome so far.
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The line that people read: `build successful`, `failed make test (failure)`.
    pub fn state(&self) -> String {
        match self.outcome {
            Outcome::Success | Outcome::Skipped => "build successful".into(),
            Outcome::Warnings => format!("warnings {} (warnings)", self.blamed.join(" ")),
            Outcome::Failure => format!("failed {} (failure)", self.blamed.join(" ")),
            Outcome::Exception => format!("exception {} (exception)", self.blamed.join(" ")),
            Outcome::Retry => format!("lost in {} (retry)", self.blamed.join(" ")),
            Outcome::Cancelled => format!("stopped in {} (cancelled)", self.blamed.join(" ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str) -> StepDefinition {
        StepDefinition::sample(name)
    }

    #[test]
    fn a_failing_step_flunks_the_build_and_the_next_step_still_runs() {
        let mut progress = Progress::new();
        progress.after(&step("test"), Outcome::Failure);
        assert_eq!(progress.outcome(), Outcome::Failure);
        assert!(progress.wants(&step("next")));
        progress.after(&step("next"), Outcome::Success);
        assert_eq!(progress.state(), "failed test (failure)");
    }

    #[test]
    fn after_a_halt_only_steps_that_always_run_are_wanted() {
        let mut progress = Progress::new();
        progress.after(&StepDefinition { halt_on_failure: true, ..step("compile") }, Outcome::Failure);
        assert!(!progress.wants(&step("test")));
        assert!(progress.wants(&StepDefinition { always_run: true, ..step("clean") }));
        progress.lose_worker();
        assert!(!progress.wants(&StepDefinition { always_run: true, ..step("clean") }));
    }

    #[test]
    fn flags_soften_or_sharpen_what_a_step_means() {
        let outcome = |step: &StepDefinition, outcome| {
            let mut progress = Progress::new();
            progress.after(step, outcome);
            progress.outcome()
        };
        let soft = StepDefinition { failure_counts_as: Outcome::Success, ..step("lint") };
        assert_eq!(outcome(&soft, Outcome::Failure), Outcome::Success);
        let warns = StepDefinition { failure_counts_as: Outcome::Warnings, ..soft };
        assert_eq!(outcome(&warns, Outcome::Failure), Outcome::Warnings);
        assert_eq!(outcome(&step("x"), Outcome::Warnings), Outcome::Warnings);
        let strict = StepDefinition { warnings_count_as: Outcome::Failure, ..step("x") };
        assert_eq!(outcome(&strict, Outcome::Warnings), Outcome::Failure);
        assert_eq!(outcome(&warns, Outcome::Exception), Outcome::Exception);
        assert_eq!(outcome(&step("x"), Outcome::Skipped), Outcome::Success);
    }
}
