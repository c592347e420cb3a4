//! Which builds wait for builds that they asked for, and do nothing on their workers meanwhile.
//!
//! On a worker with `max_builds = 1` a build that waits for another one would keep from it the very place that it needs. So a
//! build lends its place while it waits.
//!
//! # Laws
//! - A build is in the book exactly as long as its guard lives.
//!
//! # Not here
//! Who may take such a place (`board`), and when a build waits (`step::trigger`).

use std::collections::HashSet;

use tokio::sync::watch;

use crate::model::BuildRequestId;

/// The book of the builds that wait, by the requests for which they run. A clone is the same book.
#[derive(Clone, Debug)]
pub struct Lending(watch::Sender<HashSet<BuildRequestId>>);

impl Lending {
    /// Nobody waits.
    pub fn new() -> Self {
        Self(watch::Sender::new(HashSet::new()))
    }

    /// The build of this request waits until the guard is dropped.
    pub(super) fn lend(&self, request: BuildRequestId) -> Lent {
        self.0.send_modify(|waiting| {
            waiting.insert(request);
        });
        Lent { lending: self.clone(), request }
    }

    /// Whether the build of this request waits.
    pub fn is_lent(&self, request: BuildRequestId) -> bool {
        self.0.borrow().contains(&request)
    }

    /// Which wait, as they come and go.
    pub fn changes(&self) -> watch::Receiver<HashSet<BuildRequestId>> {
        self.0.subscribe()
    }
}

impl Default for Lending {
    fn default() -> Self {
        Self::new()
    }
}

/// A build waits as long as this lives.
#[derive(Debug)]
#[must_use = "the place is lent only while this lives"]
pub(super) struct Lent {
    lending: Lending,
    request: BuildRequestId,
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.lending.0.send_modify(|waiting| {
            waiting.remove(&self.request);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_lent_as_long_as_its_build_waits_and_others_hear_of_it() {
        let lending = Lending::new();
        let mut heard = lending.changes();
        let lent = lending.clone().lend(BuildRequestId(7));
        assert!(heard.has_changed().unwrap() && heard.borrow_and_update().contains(&BuildRequestId(7)));
        assert!(lending.is_lent(BuildRequestId(7)) && !lending.is_lent(BuildRequestId(8)));
        drop(lent);
        assert!(heard.has_changed().unwrap() && !lending.is_lent(BuildRequestId(7)));
    }
}
