//! What the end of a build says of its worker: whether it keeps it, or brings it into quarantine.
//!
//! # Laws
//! - A strike is what leaves no doubt that the worker was at fault: its link was lost under the build, or it said itself that it
//!   cannot. A build that failed, was stopped, or could not be rendered says nothing against it; nor does a link that the
//!   operator or the master had cut.
//! - A build that ended with anything but an exception or a retry, on a link that is still up, speaks for the worker.
//!
//! # Not here
//! What a strike brings (`worker::quarantine`), and what becomes of the request (`run`).

use crate::{
    build::{progress::Progress, run::Assignment},
    model::{Outcome, QuarantineCause},
    protocol::Unfit,
    worker::{Conduct, ConnectionHandle},
};

/// What became of the link of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// It is up.
    Up,
    /// It is down, or goes down, and nobody here wanted that.
    Down,
    /// Its program was told to stop.
    Dismissed,
    /// There was none in the life of this master: it was lost with the last one.
    None,
}

impl Link {
    fn of(connection: Option<&ConnectionHandle>) -> Self {
        match connection {
            None => Self::None,
            Some(connection) if connection.is_dismissed() => Self::Dismissed,
            Some(connection) if connection.is_up() => Self::Up,
            Some(_) => Self::Down,
        }
    }
}

/// Notes what the end of a build says of its worker.
pub(super) async fn note(assignment: &Assignment, number: i64, progress: &Progress, outcome: Outcome) {
    let link = Link::of(assignment.line.connection().as_ref());
    let is_stopped = assignment.control.first().is_some();
    let build = format!("build {number} of {}", assignment.builder.name);
    if let Some(conduct) = judge(&build, progress, outcome, is_stopped, link) {
        assignment.operator.note(&assignment.worker.name, conduct).await;
    }
}

fn judge(
    build: &str,
    progress: &Progress,
    outcome: Outcome,
    is_stopped: bool,
    link: Link,
) -> Option<Conduct> {
    let is_carried_out = !matches!(outcome, Outcome::Exception | Outcome::Retry);
    match (progress.unfit(), progress.is_worker_lost()) {
        (Some(_), _) | (_, true) if is_stopped => None,
        (Some((unfit, words)), _) => {
            let cause = match unfit {
                Unfit::Refuses => QuarantineCause::NotReady,
                Unfit::Exhausted => QuarantineCause::Fault,
            };
            Some(Conduct::Strike(cause, format!("{build}: {words}")))
        }
        (None, true) => match link {
            Link::Dismissed | Link::None => None,
            // A link that has come back since is that of another program.
            Link::Up | Link::Down => Some(Conduct::Strike(QuarantineCause::LinkLost, build.to_owned())),
        },
        (None, false) => (is_carried_out && link == Link::Up).then_some(Conduct::Good),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILD: &str = "build 7 of b1";

    fn lost() -> Progress {
        let mut progress = Progress::new();
        progress.lose_worker();
        progress
    }

    fn unfit(unfit: Unfit) -> Progress {
        let mut progress = Progress::new();
        progress.doubt_worker(Some((unfit, "no room".into())));
        // Later words do not count.
        progress.doubt_worker(Some((Unfit::Refuses, "other".into())));
        progress
    }

    fn strike(cause: QuarantineCause, reason: &str) -> Conduct {
        Conduct::Strike(cause, reason.into())
    }

    #[test]
    fn a_link_that_is_lost_in_mid_build_is_a_strike_also_when_the_build_is_given_up() {
        for outcome in [Outcome::Retry, Outcome::Exception] {
            let judged = judge(BUILD, &lost(), outcome, false, Link::Down);
            assert_eq!(judged, Some(strike(QuarantineCause::LinkLost, BUILD)));
        }
    }

    #[test]
    fn a_link_that_somebody_cut_is_none() {
        for (is_stopped, link) in [
            // Somebody stopped the build, or the master stops.
            (true, Link::Down),
            // The worker was killed by its operator.
            (false, Link::Dismissed),
            // The last master has lost it.
            (false, Link::None),
        ] {
            assert_eq!(judge(BUILD, &lost(), Outcome::Retry, is_stopped, link), None);
        }
    }

    #[test]
    fn a_worker_that_says_that_it_cannot_has_a_strike_whatever_the_build_came_to() {
        for outcome in [Outcome::Exception, Outcome::Failure, Outcome::Success] {
            let judged = judge(BUILD, &unfit(Unfit::Exhausted), outcome, false, Link::Up);
            assert_eq!(judged, Some(strike(QuarantineCause::Fault, "build 7 of b1: no room")));
        }
        let judged = judge(BUILD, &unfit(Unfit::Refuses), Outcome::Exception, false, Link::Up);
        assert_eq!(judged, Some(strike(QuarantineCause::NotReady, "build 7 of b1: no room")));
        assert_eq!(judge(BUILD, &unfit(Unfit::Exhausted), Outcome::Cancelled, true, Link::Up), None);
    }

    #[test]
    fn a_build_that_was_carried_out_speaks_for_its_worker_and_one_that_could_not_be_says_nothing() {
        for outcome in Outcome::ALL {
            let is_stopped = outcome == Outcome::Cancelled;
            let judged = judge(BUILD, &Progress::new(), outcome, is_stopped, Link::Up);
            let is_good = !matches!(outcome, Outcome::Exception | Outcome::Retry);
            assert_eq!(judged, is_good.then_some(Conduct::Good), "{outcome}");
            assert_eq!(judge(BUILD, &Progress::new(), outcome, is_stopped, Link::Down), None, "{outcome}");
        }
    }
}
