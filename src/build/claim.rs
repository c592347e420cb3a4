//! Which request goes to which worker next: a decision over plain values.
//!
//! # Laws
//! - Builders come by the priority of their first request, then by its age, then by name.
//! - A worker is chosen if it is connected, below its `max_builds`, and runs no build of the same builder: both would
//!   work in one folder. Among those, the one with the fewest builds; among equals, the one that has rested longest.

use crate::model::{BuilderName, Timestamp, WorkerName};

/// The first request of a builder, and where it may run.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    /// The builder.
    pub builder: &'a BuilderName,
    /// Higher comes first.
    pub priority: i32,
    /// Older comes first.
    pub submitted_at: Timestamp,
    /// The workers that are named for it and connected.
    pub candidates: Vec<Candidate<'a>>,
}

/// A worker that is named for a builder and connected.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Which.
    pub worker: &'a WorkerName,
    /// How many builds it runs.
    pub running: usize,
    /// How many it may run; no limit if absent.
    pub max_builds: Option<usize>,
    /// Whether one of them is of this builder.
    pub runs_this_builder: bool,
    /// A number that grows with each build that ended on it.
    pub last_used: u64,
}

impl Candidate<'_> {
    fn is_free(&self) -> bool {
        !self.runs_this_builder && self.max_builds.is_none_or(|most| self.running < most)
    }
}

/// The next pair of builder and worker, as indexes into `heads` and its candidates; none if nothing can start.
pub fn choose(heads: &[Head<'_>]) -> Option<(usize, usize)> {
    let mut order: Vec<usize> = (0..heads.len()).collect();
    order.sort_by_key(|&i| {
        let head = &heads[i];
        (std::cmp::Reverse(head.priority), head.submitted_at, head.builder)
    });
    order.into_iter().find_map(|i| {
        let candidates = heads[i].candidates.iter().enumerate();
        let free = candidates.filter(|(_, candidate)| candidate.is_free());
        let best =
            free.min_by_key(|(_, candidate)| (candidate.running, candidate.last_used, candidate.worker));
        best.map(|(worker, _)| (i, worker))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder(name: &str) -> BuilderName {
        BuilderName::new(name).expect("a good name")
    }

    fn worker(name: &str) -> WorkerName {
        WorkerName::new(name).expect("a good name")
    }

    fn free(worker: &WorkerName) -> Candidate<'_> {
        Candidate { worker, running: 0, max_builds: None, runs_this_builder: false, last_used: 0 }
    }

    fn head<'a>(
        builder: &'a BuilderName,
        priority: i32,
        second: i64,
        candidates: Vec<Candidate<'a>>,
    ) -> Head<'a> {
        let submitted_at = Timestamp::from_second(second).expect("a good instant");
        Head { builder, priority, submitted_at, candidates }
    }

    #[test]
    fn priority_comes_before_age_and_age_before_name() {
        let (a, b, c, w) = (builder("a"), builder("b"), builder("c"), worker("w"));
        let heads =
            [head(&a, 0, 2, vec![free(&w)]), head(&b, 0, 1, vec![free(&w)]), head(&c, 1, 3, vec![free(&w)])];
        assert_eq!(choose(&heads), Some((2, 0)));
        assert_eq!(choose(&heads[..2]), Some((1, 0)));
    }

    #[test]
    fn a_builder_without_a_free_worker_does_not_hold_up_the_others() {
        let (a, b, busy, idle) = (builder("a"), builder("b"), worker("busy"), worker("idle"));
        let full = Candidate { running: 1, max_builds: Some(1), ..free(&busy) };
        let heads = [head(&a, 9, 1, vec![full]), head(&b, 0, 2, vec![free(&idle)])];
        assert_eq!(choose(&heads), Some((1, 0)));
    }

    #[test]
    fn one_builder_runs_once_on_a_worker_whatever_max_builds_says() {
        let (a, w) = (builder("a"), worker("w"));
        let same = Candidate { running: 1, max_builds: Some(9), runs_this_builder: true, ..free(&w) };
        assert_eq!(choose(&[head(&a, 0, 1, vec![same])]), None);
    }

    #[test]
    fn the_least_loaded_worker_is_taken_and_among_equals_the_one_that_rested_longest() {
        let (a, x, y, z) = (builder("a"), worker("x"), worker("y"), worker("z"));
        let loaded = Candidate { running: 1, ..free(&x) };
        let fresh = Candidate { last_used: 7, ..free(&y) };
        let rested = Candidate { last_used: 3, ..free(&z) };
        assert_eq!(choose(&[head(&a, 0, 1, vec![loaded, fresh, rested])]), Some((0, 2)));
    }
}
