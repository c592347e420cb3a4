//! From the requests that are known to the builds that start.
//!
//! # Not here
//! The decision (`claim`), what wakes the queue (`super`).

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::time::Instant;
use tracing::{debug, error, warn};

use super::{AFTER_FAILURE, Builds};
use crate::{
    build::{
        claim::{self, Candidate, Head},
        control::BuildControl,
        line::Line,
        resume,
        run::{self, Assignment},
    },
    definition::{BuilderDefinition, MasterDefinition, WorkerDefinition},
    model::{BuilderName, Timestamp, WorkerName},
    protocol::SessionId,
    store::QueuedRequest,
    worker::ConnectionHandle,
};

/// Requests of one builder that are looked at together: as many may start before the store is asked again.
const WINDOW: u32 = 32;

impl Builds {
    /// Starts all that can start; says when to look again by the clock.
    pub(super) async fn dispatch(&mut self) -> Option<Instant> {
        if self.stop.borrow().is_some() {
            return None;
        }
        let definition = Arc::clone(&self.definition.borrow());
        let mut wake: Option<Duration> = None;
        loop {
            let mut heads = Vec::new();
            let mut refill = Vec::new();
            for (name, pending) in &self.pending {
                if !pending.stale && pending.window.is_empty() {
                    continue;
                }
                let Some(builder) = definition.builders.get(name) else { continue };
                // Whether there is one at all is all that counts before its requests are known.
                let most = if pending.stale { 1 } else { usize::MAX };
                let candidates = self.candidates(&definition, name, &builder.worker_names, most);
                if candidates.is_empty() {
                    continue;
                }
                if pending.stale {
                    refill.push(name.clone());
                } else if let Some(first) = pending.window.front() {
                    let (priority, submitted_at) = (first.priority, first.submitted_at);
                    heads.push(Head { builder: name, priority, submitted_at, candidates });
                }
            }
            // With a builder whose requests are not known, the order of the others is not known either.
            if !refill.is_empty() {
                drop(heads);
                for name in refill {
                    match self.refill(&name).await {
                        Ok(next) => wake = earlier(wake, next),
                        Err(()) => return Some(Instant::now() + AFTER_FAILURE),
                    }
                }
                continue;
            }
            let Some((head, candidate)) = claim::choose(&heads) else { break };
            let (builder, worker) =
                (heads[head].builder.clone(), heads[head].candidates[candidate].worker.clone());
            self.start(&definition, &builder, &worker);
        }
        wake.map(|delay| Instant::now() + delay)
    }

    /// The connected workers of a builder that have room for it; no more than `most` of them.
    fn candidates<'a>(
        &self,
        definition: &'a MasterDefinition,
        builder: &BuilderName,
        names: &'a [WorkerName],
        most: usize,
    ) -> Vec<Candidate<'a>> {
        let load = self.busy.load.borrow();
        let connected = names.iter().filter_map(|name| {
            let worker = definition.workers.get(name)?;
            let max_builds = worker.max_builds.map(|most| usize::try_from(most.get()).unwrap_or(usize::MAX));
            let running = load.of_worker(name);
            let runs_this_builder = running > 0 && load.pairs.contains(&(builder.clone(), name.clone()));
            if runs_this_builder || max_builds.is_some_and(|most| running >= most) {
                return None;
            }
            if !self.operator.allows_builds(name) {
                return None;
            }
            self.registry.connection(name.as_str()).filter(ConnectionHandle::takes_builds)?;
            let last_used = self.busy.last_used.get(name).copied().unwrap_or(0);
            Some(Candidate { worker: &worker.name, running, max_builds, runs_this_builder, last_used })
        });
        connected.take(most).collect()
    }

    /// Reads a builder's first requests; says how long until the next of those that wait after a loss.
    async fn refill(&mut self, name: &BuilderName) -> Result<Option<Duration>, ()> {
        let now = Timestamp::now();
        let requests = match self.store.queued_requests(name, None, WINDOW).await {
            Ok(requests) => requests,
            Err(failure) => {
                let source = self.definition.borrow().builders.get(name).map(|builder| builder.place.clone());
                let source = source.map(tracing::field::display);
                let error = &failure as &dyn std::error::Error;
                error!(builder = %name, source, error, "cannot read the queue");
                return Err(());
            }
        };
        // Those that start just now may not be claimed in the store yet.
        let full = requests.len() >= usize::try_from(WINDOW).unwrap_or(usize::MAX);
        let mut later = None;
        let mut window = VecDeque::new();
        for request in requests {
            match request.not_before.filter(|at| *at > now) {
                Some(at) => later = earlier(later, Duration::try_from(at - now).ok()),
                None if self.busy.builds.contains_key(&request.id) => {}
                None => window.push_back(request),
            }
        }
        if let Some(pending) = self.pending.get_mut(name) {
            // An empty window of a full page: all of them start just now, and each will wake this task when it ends.
            pending.stale = false;
            pending.window = window;
            if full && pending.window.is_empty() {
                later = earlier(later, Some(Duration::from_secs(1)));
            }
        }
        Ok(later)
    }

    fn start(&mut self, definition: &MasterDefinition, builder: &BuilderName, worker: &WorkerName) {
        let Some(pending) = self.pending.get_mut(builder) else { return };
        let Some(request) = pending.window.pop_front() else { return };
        // The window was one page; what lies behind it is looked up when it is used up.
        pending.stale |= pending.window.is_empty();
        let (Some(builder), Some(worker)) =
            (definition.builders.get(builder), definition.workers.get(worker))
        else {
            return;
        };
        let connection = self.registry.connection(worker.name.as_str());
        // Now, since a reload may come before the build has begun; and before the operator's word is asked again: a program
        // is told to stop only while there is no lease.
        let leased = connection.map(|connection| {
            let lease = connection.lease(builder.name.as_str(), &builder.worker_build_dir);
            (connection, lease)
        });
        let may_begin = |connection: &ConnectionHandle| {
            connection.takes_builds() && self.operator.allows_builds(&worker.name)
        };
        let Some((connection, lease)) = leased.filter(|(connection, _)| may_begin(connection)) else {
            warn!(worker = %worker.name, source = %worker.place, "went away while a build was given to it");
            pending.stale = true;
            return;
        };
        let control = BuildControl::new();
        let id = request.id;
        self.busy.take(id, &builder.name, &worker.name, control.clone());
        let (name, folder) = (builder.name.as_str(), builder.worker_build_dir.as_str());
        let line = Line::new(self.registry.clone(), connection, lease, name, folder);
        let assignment = self.assignment(definition, request, (builder, worker), line, control);
        self.spawn(assignment);
    }

    /// Goes on with the builds that the last master left, once there is a configuration.
    pub(super) fn take_up(&mut self) {
        let definition = Arc::clone(&self.definition.borrow());
        if self.around.left.is_empty() || definition.settings.is_none() {
            return;
        }
        for begun in std::mem::take(&mut self.around.left) {
            let Some((builder, worker, grace)) = resume::parts(&definition, &begun) else {
                unreachable!("those that do not fit the first configuration are resolved");
            };
            let (name, folder) = (builder.name.as_str(), builder.worker_build_dir.as_str());
            let session = SessionId::new(begun.running.session.as_str());
            let line = Line::broken(self.registry.clone(), worker.name.clone(), name, folder, session, grace);
            // Before any other build can have them.
            self.around.locks.hold_again(&begun, builder, worker);
            let control = BuildControl::new();
            self.busy.take(begun.request.id, &builder.name, &worker.name, control.clone());
            let request = begun.request.clone();
            let assignment = self.assignment(&definition, request, (builder, worker), line, control);
            self.spawn(Assignment { begun: Some(begun), ..assignment });
        }
    }

    fn assignment(
        &self,
        definition: &MasterDefinition,
        request: QueuedRequest,
        (builder, worker): (&Arc<BuilderDefinition>, &Arc<WorkerDefinition>),
        line: Line,
        control: BuildControl,
    ) -> Assignment {
        Assignment {
            request,
            settings: definition.settings.clone(),
            builder: Arc::clone(builder),
            worker: Arc::clone(worker),
            line,
            begun: None,
            control,
            master_dir: Arc::clone(&self.around.master_dir),
            interpreter: definition.interpreter.clone(),
            secrets: Arc::clone(&self.around.secrets),
            locks: self.around.locks.clone(),
        }
    }

    fn spawn(&self, assignment: Assignment) {
        let id = assignment.request.id;
        let (store, running, ended) = (self.store.clone(), self.running.clone(), self.tell_ended.clone());
        self.tracker.spawn(async move {
            let ran = run::run(assignment, store, running).await;
            // The queue is gone only when the master stops.
            if ended.send((id, ran)).await.is_err() {
                debug!(request = %id, "ended after the queue");
            }
        });
    }
}

fn earlier(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
