//! When a worker that is away counts as missing: a decision over plain values.
//!
//! # Laws
//! - A worker is told of at most once for a loss, and never before it has been away for its `missing_timeout`.
//! - Those that were lost together are told of together: whoever becomes due soon after another is waited for, but the first
//!   one never waits longer than [`GATHERINGS`] gatherings.
//! - A changed timeout counts from the loss, not from the change.
//! - A master that has just begun gives its workers time to come back: as long as their timeout, [`START_GRACE`] at most.
//!
//! # Not here
//! Who is away (`store`), to whom it is told (`digest`), the clock (`task`).

use std::time::Duration;

use crate::model::{Timestamp, WorkerName};

/// The longest pause after which a `buildbot-worker` tries to connect again, with its jitter.
pub const START_GRACE: Duration = Duration::from_secs(360);

/// How long others are waited for once somebody is due. A dead switch is noticed on all its links within 90 seconds.
pub const GATHERING: Duration = Duration::from_secs(30);

/// So often at most the end of a gathering is put off by yet another worker.
pub const GATHERINGS: u32 = 4;

/// The gathering is no longer than this part of a timeout: who wants to know at once is told at once.
const PART_OF_TIMEOUT: u32 = 10;

/// A configured worker that is away, and of which nobody was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Away {
    /// Which.
    pub name: WorkerName,
    /// Since when.
    pub since: Timestamp,
    /// Its `missing_timeout`.
    pub timeout: Duration,
}

/// What is to be done about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// These are missing, and are to be told of together. In the order in which they were given.
    pub missing: Vec<usize>,
    /// When to look again, if nothing happens before.
    pub look_again_at: Option<Timestamp>,
}

impl Away {
    /// When it counts as missing, for a master that began then.
    pub fn due_at(&self, started_at: Timestamp) -> Timestamp {
        let grace = started_at + self.timeout.min(START_GRACE);
        // A span without end never comes to its end.
        let due = self.since.checked_add(self.timeout).unwrap_or(Timestamp::MAX);
        due.max(grace)
    }
}

/// Who is missing at an instant, for a master that began at another.
pub fn judge(away: &[Away], started_at: Timestamp, now: Timestamp) -> Verdict {
    let due_at: Vec<Timestamp> = away.iter().map(|worker| worker.due_at(started_at)).collect();
    let due: Vec<usize> = (0..away.len()).filter(|index| due_at[*index] <= now).collect();
    let later = due_at.iter().copied().filter(|at| *at > now);
    let (Some(first), Some(shortest)) =
        (due.iter().map(|index| due_at[*index]).min(), due.iter().map(|index| away[*index].timeout).min())
    else {
        return Verdict { missing: Vec::new(), look_again_at: later.min() };
    };
    let gathering = GATHERING.min(shortest / PART_OF_TIMEOUT);
    let soon = later.clone().filter(|at| *at <= now + gathering).max();
    let at_last = first + gathering * GATHERINGS;
    match soon {
        Some(soon) if now < at_last => {
            Verdict { missing: Vec::new(), look_again_at: Some(soon.min(at_last)) }
        }
        _ => Verdict { missing: due, look_again_at: later.min() },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn away(name: &str, since: i64, timeout: u64) -> Away {
        Away { name: WorkerName::new(name).unwrap(), since: at(since), timeout: Duration::from_secs(timeout) }
    }

    /// Looks whenever it is told to, until all are told of: who, and when.
    fn told(mut away: Vec<Away>, started_at: Timestamp) -> Vec<(Timestamp, Vec<String>)> {
        let mut now = started_at;
        let mut told = Vec::new();
        for _ in 0..1000 {
            let verdict = judge(&away, started_at, now);
            if !verdict.missing.is_empty() {
                let names = verdict.missing.iter().map(|index| away[*index].name.to_string()).collect();
                told.push((now, names));
                let mut index = 0;
                away.retain(|_| {
                    index += 1;
                    !verdict.missing.contains(&(index - 1))
                });
            }
            match verdict.look_again_at {
                Some(at) => {
                    assert!(at > now, "it looks again and again");
                    now = at;
                }
                None => return told,
            }
        }
        panic!("it never comes to an end");
    }

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_worker_is_missing_when_its_timeout_has_passed_since_its_loss() {
        let told = told(vec![away("a", 1000, 3600)], at(0));
        assert_eq!(told, [(at(4600), names(&["a"]))]);
    }

    #[test]
    fn a_longer_timeout_counts_from_the_loss() {
        assert_eq!(judge(&[away("a", 1000, 7200)], at(0), at(4600)).look_again_at, Some(at(8200)));
        assert_eq!(judge(&[away("a", 1000, 60)], at(0), at(4600)).missing, [0]);
    }

    #[test]
    fn after_a_start_workers_have_time_to_come_back() {
        assert_eq!(told(vec![away("a", 0, 3600)], at(10_000)), [(at(10_360), names(&["a"]))]);
        assert_eq!(told(vec![away("a", 0, 5)], at(10_000)), [(at(10_005), names(&["a"]))]);
    }

    #[test]
    fn those_that_a_dead_switch_took_are_told_of_together() {
        let lost =
            vec![away("a", 1000, 3600), away("b", 1025, 3600), away("c", 1050, 3600), away("d", 1200, 3600)];
        assert_eq!(told(lost, at(0)), [(at(4650), names(&["a", "b", "c"])), (at(4800), names(&["d"]))]);
    }

    #[test]
    fn the_first_does_not_wait_for_ever_for_others() {
        let lost = (0..40).map(|n| away(&format!("w{n:02}"), 1000 + n * 20, 3600)).collect();
        let told = told(lost, at(0));
        assert_eq!(told[0].0, at(4600 + 120));
        assert!(told.len() > 2 && told.iter().map(|(_, names)| names.len()).sum::<usize>() == 40);
    }

    #[test]
    fn who_wants_to_know_at_once_is_told_at_once() {
        assert_eq!(told(vec![away("a", 1000, 10), away("b", 1005, 10)], at(0))[0], (at(1010), names(&["a"])));
    }

    #[test]
    fn a_timeout_beyond_all_time_never_ends() {
        let eternal = Away { timeout: Duration::from_secs(u64::MAX / 4), ..away("a", 1000, 1) };
        assert!(judge(&[eternal], at(0), at(1_000_000)).missing.is_empty());
    }

    proptest! {
        #[test]
        fn each_is_told_of_once_never_too_early_and_soon_enough(
            lost in prop::collection::vec((0_i64..10_000, 0_u64..5000), 1..30),
            started_at in 0_i64..20_000,
        ) {
            let all: Vec<Away> =
                lost.iter().enumerate().map(|(n, (since, timeout))| away(&format!("w{n}"), *since, *timeout)).collect();
            let told = told(all.clone(), at(started_at));
            for worker in &all {
                let times: Vec<Timestamp> = told
                    .iter()
                    .filter(|(_, names)| names.contains(&worker.name.to_string()))
                    .map(|(at, _)| *at)
                    .collect();
                prop_assert_eq!(times.len(), 1);
                let due = worker.due_at(at(started_at)).max(at(started_at));
                prop_assert!(times[0] >= due);
                prop_assert!(times[0] <= due + GATHERING * GATHERINGS);
            }
        }
    }
}
