//! Of which builds that have ended somebody is told: a decision over plain values.
//!
//! # Laws
//! - A build that is tried again is told of by nobody: the one that follows is.
//! - Where it matters how the build before ended, one that was tried again does not count, and a first build has none before it.
//!
//! # Not here
//! To whom it is told (`people`), what is said (`mail`), which builds those are (`store::finished`).
//!
//! # Source
//! Behaviour: Buildbot 4.3.0, `reporters.BuildStatusGenerator`.

use crate::{
    definition::{BuildGenerator, BuildMode},
    model::{Outcome, PropertyValue},
    store::FinishedBuild,
};

/// Whether a generator tells of a build, whose builder has these tags.
pub fn is_wanted(generator: &BuildGenerator, build: &FinishedBuild, tags: &[String]) -> bool {
    let is_one_of = |names: &Option<Vec<String>>, has: &dyn Fn(&String) -> bool| {
        names.as_ref().is_none_or(|names| names.iter().any(has))
    };
    let branch = build.properties.get("branch").and_then(PropertyValue::as_str);
    generator.builders.as_ref().is_none_or(|names| names.contains(&build.builder))
        && generator
            .schedulers
            .as_ref()
            .is_none_or(|names| build.scheduler.as_ref().is_some_and(|name| names.contains(name)))
        && is_one_of(&generator.tags, &|tag| tags.contains(tag))
        && is_one_of(&generator.branches, &|name| branch == Some(name.as_str()))
        && generator.mode.iter().any(|mode| fits(*mode, build.outcome, build.previous))
}

fn fits(mode: BuildMode, outcome: Outcome, previous: Option<Outcome>) -> bool {
    match mode {
        BuildMode::Failing => outcome == Outcome::Failure,
        BuildMode::Passing => outcome == Outcome::Success,
        BuildMode::Warnings => outcome == Outcome::Warnings,
        BuildMode::Exception => outcome == Outcome::Exception,
        BuildMode::Cancelled => outcome == Outcome::Cancelled,
        BuildMode::Problem => {
            outcome == Outcome::Failure && previous.is_some_and(|previous| previous != Outcome::Failure)
        }
        BuildMode::Change => {
            outcome != Outcome::Retry && previous.is_some_and(|previous| previous != outcome)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_tells_of_its_ends_and_of_no_others() {
        use Outcome::{Cancelled, Exception, Failure, Retry, Success, Warnings};
        let all = [Success, Warnings, Failure, Exception, Cancelled, Retry];
        for (mode, previous, wanted) in [
            (BuildMode::Failing, None, &[Failure][..]),
            (BuildMode::Passing, None, &[Success]),
            (BuildMode::Warnings, None, &[Warnings]),
            (BuildMode::Exception, None, &[Exception]),
            (BuildMode::Cancelled, None, &[Cancelled]),
            (BuildMode::Problem, None, &[]),
            (BuildMode::Problem, Some(Failure), &[]),
            (BuildMode::Problem, Some(Success), &[Failure]),
            (BuildMode::Problem, Some(Exception), &[Failure]),
            (BuildMode::Change, None, &[]),
            (BuildMode::Change, Some(Failure), &[Success, Warnings, Exception, Cancelled]),
            (BuildMode::Change, Some(Success), &[Warnings, Failure, Exception, Cancelled]),
        ] {
            let told: Vec<Outcome> =
                all.into_iter().filter(|outcome| fits(mode, *outcome, previous)).collect();
            assert_eq!(told, wanted, "{mode}, after {previous:?}");
        }
    }
}
