//! When a link is asked for a sign of life, and when it is given up: plain values, time is an argument.
//!
//! # Laws
//! - A link on which nothing was heard for the interval is asked once; whatever is heard counts as life.
//! - An answer that does not come within the timeout ends the link.

use std::time::Duration;

use tokio::time::Instant;

/// The longest that an answer may take, unless the operator says otherwise.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The sign of life of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keepalive {
    interval: Option<Duration>,
    timeout: Option<Duration>,
    heard_at: Instant,
    asked_at: Option<Instant>,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing before this instant; nothing at all if absent.
    Wait(Option<Instant>),
    /// Ask.
    Ask,
    /// The link is dead.
    GiveUp,
}

impl Keepalive {
    /// A link that was heard just now. Without an interval it is never asked.
    pub(super) const fn new(interval: Option<Duration>, now: Instant) -> Self {
        Self { interval, timeout: None, heard_at: now, asked_at: None }
    }

    /// The operator has changed the interval, or how long an answer may take; without that it is the smaller of 30 s and
    /// three intervals. Both count at once, for a question that was asked already as well.
    pub(super) fn set(&mut self, interval: Option<Duration>, timeout: Option<Duration>) {
        self.interval = interval;
        self.timeout = timeout;
        if interval.is_none() {
            self.asked_at = None;
        }
    }

    /// Something was heard.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard_at = now;
        self.asked_at = None;
    }

    /// It was asked.
    pub(super) fn asked(&mut self, now: Instant) {
        self.asked_at = Some(now);
    }

    /// What is to be done.
    pub(super) fn due(&self, now: Instant) -> Due {
        let Some(interval) = self.interval else { return Due::Wait(None) };
        match self.asked_at {
            Some(asked_at) => match asked_at + self.timeout.unwrap_or_else(|| usual_timeout(interval)) {
                limit if limit <= now => Due::GiveUp,
                limit => Due::Wait(Some(limit)),
            },
            None => match self.heard_at + interval {
                at if at <= now => Due::Ask,
                at => Due::Wait(Some(at)),
            },
        }
    }
}

/// How long an answer may take unless the operator says so: the smaller of 30 s and three intervals.
fn usual_timeout(interval: Duration) -> Duration {
    LONGEST_TIMEOUT.min(interval * 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_silent_link_is_asked_once_and_then_given_up() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(Some(seconds(60)), start);
        assert_eq!(keepalive.due(start), Due::Wait(Some(start + seconds(60))));
        assert_eq!(keepalive.due(start + seconds(60)), Due::Ask);
        keepalive.asked(start + seconds(60));
        assert_eq!(keepalive.due(start + seconds(60)), Due::Wait(Some(start + seconds(90))));
        assert_eq!(keepalive.due(start + seconds(90)), Due::GiveUp);
    }

    #[test]
    fn whatever_is_heard_counts_as_life() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(Some(seconds(2)), start);
        keepalive.asked(start + seconds(2));
        keepalive.heard(start + seconds(3));
        assert_eq!(keepalive.due(start + seconds(4)), Due::Wait(Some(start + seconds(5))));
        // Three intervals are less than 30 s here.
        keepalive.asked(start + seconds(5));
        assert_eq!(keepalive.due(start + seconds(11)), Due::GiveUp);
    }

    #[test]
    fn a_timeout_of_the_operator_counts_at_once_in_place_of_the_usual_one() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(Some(seconds(60)), start);
        keepalive.asked(start + seconds(60));
        keepalive.set(Some(seconds(60)), Some(seconds(5)));
        assert_eq!(keepalive.due(start + seconds(61)), Due::Wait(Some(start + seconds(65))));
        assert_eq!(keepalive.due(start + seconds(65)), Due::GiveUp);
        // Longer than the usual limit, and longer than its interval, if the operator wants it so.
        keepalive.set(Some(seconds(60)), Some(seconds(300)));
        assert_eq!(keepalive.due(start + seconds(65)), Due::Wait(Some(start + seconds(360))));
        keepalive.set(Some(seconds(60)), None);
        assert_eq!(keepalive.due(start + seconds(90)), Due::GiveUp);
    }

    #[test]
    fn without_an_interval_nothing_is_asked_and_nobody_given_up() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(Some(seconds(1)), start);
        keepalive.asked(start + seconds(1));
        keepalive.set(None, Some(seconds(1)));
        assert_eq!(keepalive.due(start + seconds(99)), Due::Wait(None));
    }
}
