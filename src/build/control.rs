//! How a running build is stopped, and how others find it.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use tokio::sync::watch;

use crate::model::BuildId;

/// Why a build is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopKind {
    /// Somebody wants it so: it is cancelled.
    Cancel,
    /// The master stops: it goes back to the queue.
    Requeue,
}

/// A stop, and who said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Why.
    pub kind: StopKind,
    /// In words, for the log.
    pub reason: String,
}

/// What stops a build. Each stop interrupts the step that runs then; steps with `alwaysRun` still come, and the next
/// stop interrupts those.
#[derive(Clone, Debug)]
pub struct BuildControl {
    stops: watch::Sender<Vec<Stopped>>,
}

impl BuildControl {
    /// For a build that nobody has stopped.
    pub fn new() -> Self {
        Self { stops: watch::Sender::new(Vec::new()) }
    }

    /// Stops the build. Returns at once.
    pub fn stop(&self, kind: StopKind, reason: impl Into<String>) {
        // More than one stop for each step that could be interrupted means nothing.
        const MOST: usize = 1000;
        let stopped = Stopped { kind, reason: reason.into() };
        self.stops.send_if_modified(|stops| {
            let room = stops.len() < MOST;
            if room {
                stops.push(stopped);
            }
            room
        });
    }

    /// The first stop, if there was one.
    pub fn first(&self) -> Option<Stopped> {
        self.stops.borrow().first().cloned()
    }

    /// Waits for stops that come from now on: one for each step.
    pub fn listen(&self) -> StopListener {
        let mut stops = self.stops.subscribe();
        let seen = stops.borrow_and_update().len();
        StopListener { stops, seen }
    }

    /// Waits for all stops, those that have come among them.
    pub fn listen_to_all(&self) -> StopListener {
        StopListener { stops: self.stops.subscribe(), seen: 0 }
    }
}

impl Default for BuildControl {
    fn default() -> Self {
        Self::new()
    }
}

/// Waits for a stop.
#[derive(Debug)]
pub struct StopListener {
    stops: watch::Receiver<Vec<Stopped>>,
    seen: usize,
}

impl StopListener {
    /// The next stop.
    ///
    /// # Cancel safety
    /// Dropped before it returns, no stop is lost.
    pub async fn stopped(&mut self) -> Stopped {
        let seen = self.seen;
        let Ok(stops) = self.stops.wait_for(|stops| stops.len() > seen).await else {
            // The control is gone, so nobody can stop it any more.
            return std::future::pending().await;
        };
        let next = stops[seen].clone();
        drop(stops);
        self.seen += 1;
        next
    }
}

/// The builds that run, by id.
#[derive(Clone, Debug, Default)]
pub struct Running(Arc<RwLock<HashMap<BuildId, BuildControl>>>);

impl Running {
    /// The control of a build, if it runs.
    pub fn control(&self, build: BuildId) -> Option<BuildControl> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&build).cloned()
    }

    /// Enters a build until the guard is dropped.
    pub(super) fn enter(&self, build: BuildId, control: BuildControl) -> RunningGuard {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(build, control);
        RunningGuard { running: self.clone(), build }
    }
}

/// Takes its build off the list when dropped.
#[derive(Debug)]
pub(super) struct RunningGuard {
    running: Running,
    build: BuildId,
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        self.running.0.write().unwrap_or_else(PoisonError::into_inner).remove(&self.build);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_listener_hears_the_stops_that_come_after_it() {
        let control = BuildControl::new();
        let mut first = control.listen();
        control.stop(StopKind::Cancel, "one");
        assert_eq!(first.stopped().await.reason, "one");
        let mut second = control.listen();
        control.stop(StopKind::Requeue, "two");
        assert_eq!(second.stopped().await.reason, "two");
        assert_eq!(first.stopped().await.reason, "two");
        assert_eq!(control.first().map(|stopped| stopped.reason).as_deref(), Some("one"));
    }
}
