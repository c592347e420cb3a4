//! How long to wait before the next try, and when to give up: plain values, chance and time are arguments.
//!
//! # Laws
//! - Each failure in a row of its kind makes the wait longer, up to the longest.
//! - Where many workers lose their master at the same instant, their next tries are spread evenly over more than half of
//!   the wait and a second.
//! - No wait is shorter than [`SHORTEST`], nor longer than the longest that the operator allows, unless that is shorter
//!   still.
//!
//! # Source
//! Buildbot 4.3.0: min(1.5^n, 60) s and up to 1 s more, one counter for connections and one for logins. There all workers
//! of a master come back within one second, and a login counts as failed for the rest of the program's life.

use std::{num::NonZeroU32, time::Duration};

/// No wait is shorter: a master that hangs up at once is not asked by the hundred times a second.
pub(super) const SHORTEST: Duration = Duration::from_millis(500);

/// A worker that was attached for so long has left its former failures behind. One that is thrown out sooner waits as if
/// it had not got in.
pub(super) const STEADY: Duration = Duration::from_secs(60);

/// By how much each failure makes the wait longer.
const GROWTH: f64 = 1.5;

/// The last failure that is counted for the wait: by then it is longer than anybody allows.
const MOST: u32 = 64;

/// What went wrong, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// There is no connection.
    Connect,
    /// There was one, and the master did not let the worker in.
    Login,
    /// The worker was attached for so long.
    Lost(Duration),
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Try again after this.
    Wait(Duration),
    /// There were as many failures as the operator allows.
    GiveUp,
}

/// The failures in a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    longest: Duration,
    most: Option<NonZeroU32>,
    connects: u32,
    logins: u32,
    losses: u32,
}

impl Backoff {
    /// Nothing has failed yet.
    pub(super) const fn new(longest: Duration, most: Option<NonZeroU32>) -> Self {
        Self { longest, most, connects: 0, logins: 0, losses: 0 }
    }

    /// There is a connection.
    pub(super) const fn connected(&mut self) {
        self.connects = 0;
    }

    /// Something failed. `chance` is drawn anew each time, any number being as likely as any other.
    ///
    /// A link that is lost is no failure after which a worker gives up.
    pub(super) fn failed(&mut self, failure: Failure, chance: u32) -> Next {
        let counter = match failure {
            Failure::Connect => &mut self.connects,
            Failure::Login => &mut self.logins,
            Failure::Lost(after) => {
                if after >= STEADY {
                    (self.connects, self.logins, self.losses) = (0, 0, 0);
                }
                &mut self.losses
            }
        };
        *counter = counter.saturating_add(1);
        let count = *counter;
        let may_give_up = !matches!(failure, Failure::Lost(_));
        if may_give_up && self.most.is_some_and(|most| count >= most.get()) {
            return Next::GiveUp;
        }
        Next::Wait(self.wait(count, chance))
    }

    /// The wait after so many failures: anywhere between the half of it, and all of it and a second.
    fn wait(&self, count: u32, chance: u32) -> Duration {
        let whole = GROWTH.powi(count.min(MOST).cast_signed()).min(self.longest.as_secs_f64());
        let part = f64::from(chance) / (f64::from(u32::MAX) + 1.0);
        let seconds = whole / 2.0 + part * (whole / 2.0 + 1.0);
        Duration::from_secs_f64(seconds).min(self.longest).max(SHORTEST)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn waited(next: Next) -> Duration {
        match next {
            Next::Wait(wait) => wait,
            Next::GiveUp => panic!("nobody said that it may give up"),
        }
    }

    /// The bounds of the next wait: whatever chance says, it is between these.
    fn bounds(backoff: Backoff, failure: Failure) -> (Duration, Duration) {
        let with = |chance| waited(backoff.clone().failed(failure, chance));
        (with(0), with(u32::MAX))
    }

    #[test]
    fn waits_grow_by_half_up_to_the_longest() {
        let mut backoff = Backoff::new(MINUTE, None);
        let mut whole = 1.0_f64;
        for _ in 0..20 {
            whole = (whole * 1.5).min(60.0);
            let (least, most) = bounds(backoff, Failure::Connect);
            let within = |found: Duration, wanted: f64| (found.as_secs_f64() - wanted).abs() < 0.001;
            assert!(
                within(least, whole / 2.0) && within(most, (whole + 1.0).min(60.0)),
                "{least:?} {most:?}"
            );
            backoff.failed(Failure::Connect, 0);
        }
    }

    #[test]
    fn a_thousand_workers_that_lose_their_master_at_once_come_back_one_by_one() {
        let waits = (0..1000_u32).map(|worker| {
            let chance = worker * (u32::MAX / 1000);
            waited(Backoff::new(MINUTE, None).failed(Failure::Lost(MINUTE), chance))
        });
        let mut in_tenths = [0; 30];
        for wait in waits {
            in_tenths[usize::try_from(wait.as_millis() / 100).unwrap()] += 1;
        }
        assert!(in_tenths.iter().all(|count| *count <= 60), "{in_tenths:?}");
    }

    #[test]
    fn it_gives_up_after_as_many_failures_of_a_kind_as_are_allowed_and_no_sooner() {
        for failure in [Failure::Connect, Failure::Login] {
            let mut backoff = Backoff::new(MINUTE, NonZeroU32::new(3));
            let other = if failure == Failure::Login { Failure::Connect } else { Failure::Login };
            assert_ne!(backoff.failed(failure, 0), Next::GiveUp);
            assert_ne!(backoff.failed(other, 0), Next::GiveUp);
            assert_ne!(backoff.failed(failure, 0), Next::GiveUp);
            assert_eq!(backoff.failed(failure, 0), Next::GiveUp);
        }
        let mut backoff = Backoff::new(MINUTE, NonZeroU32::new(1));
        assert_ne!(backoff.failed(Failure::Lost(Duration::ZERO), 0), Next::GiveUp);
    }

    #[test]
    fn a_connection_forgives_failed_connections_and_a_steady_link_all_failures() {
        let mut backoff = Backoff::new(MINUTE, NonZeroU32::new(3));
        for _ in 0..2 {
            backoff.failed(Failure::Connect, 0);
            backoff.failed(Failure::Login, 0);
        }
        backoff.connected();
        assert_ne!(backoff.failed(Failure::Connect, 0), Next::GiveUp);
        assert_eq!(backoff.clone().failed(Failure::Login, 0), Next::GiveUp, "a connection is no login");

        backoff.failed(Failure::Lost(STEADY / 2), 0);
        assert_eq!(backoff.clone().failed(Failure::Login, 0), Next::GiveUp, "it was thrown out soon");
        let short_links = bounds(backoff, Failure::Lost(STEADY / 2));
        let steady_link = bounds(backoff, Failure::Lost(STEADY));
        assert!(short_links.1 > steady_link.1);
        backoff.failed(Failure::Lost(STEADY), 0);
        assert_ne!(backoff.failed(Failure::Login, 0), Next::GiveUp);
        assert_ne!(backoff.failed(Failure::Connect, 0), Next::GiveUp);
    }

    fn any_failure() -> impl Strategy<Value = Failure> {
        let lost = (0_u64..200).prop_map(|seconds| Failure::Lost(Duration::from_secs(seconds)));
        prop_oneof![Just(Failure::Connect), Just(Failure::Login), lost]
    }

    proptest! {
        #[test]
        fn each_wait_is_within_its_bounds(
            longest in prop_oneof![Just(Duration::ZERO), Just(Duration::MAX), (0_u64..600_000).prop_map(Duration::from_millis)],
            events in prop::collection::vec((any_failure(), any::<u32>(), any::<bool>()), 1..200),
        ) {
            let mut backoff = Backoff::new(longest, None);
            for (failure, chance, is_connected) in events {
                if is_connected {
                    backoff.connected();
                }
                let (least, most) = bounds(backoff, failure);
                let wait = waited(backoff.failed(failure, chance));
                prop_assert!(least <= wait && wait <= most, "{:?} {:?} {:?}", least, wait, most);
                prop_assert!(wait >= SHORTEST && wait <= longest.max(SHORTEST));
                // So much is left to chance, unless the operator leaves nothing.
                prop_assert!(most.saturating_sub(least) >= most / 3 || longest < Duration::from_secs(1));
            }
        }

        #[test]
        fn more_failures_never_make_a_wait_shorter(count in 1_u32..100, chance: u32) {
            let backoff = Backoff::new(Duration::from_secs(300), None);
            prop_assert!(backoff.wait(count + 1, chance) >= backoff.wait(count, chance));
        }

        #[test]
        fn with_a_limit_it_ends(most in 1_u32..50, failures in prop::collection::vec(any::<bool>(), 100)) {
            let mut backoff = Backoff::new(MINUTE, NonZeroU32::new(most));
            let kinds = failures.iter().map(|is_login| if *is_login { Failure::Login } else { Failure::Connect });
            let tries = kinds.map(|failure| backoff.failed(failure, 0)).take_while(|next| *next != Next::GiveUp).count();
            prop_assert!(tries < 2 * usize::try_from(most).unwrap());
        }
    }
}
