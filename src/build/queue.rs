//! The task that gives requests to workers.
//!
//! The queue itself is in the store. This task holds the first few requests of each builder that has some, asks
//! [`claim`] what may start, and starts it; the build's own task claims the request in the store.
//!
//! # Laws
//! - Memory is bounded by the number of builders, whatever the length of the queue.
//! - Nothing is polled: a new request, a worker that came or was unpaused, a build that ended and a new configuration wake
//!   it, and the clock for requests that wait after a loss.
//!
//! # Not here
//! The decision (`claim`), the build (`run`).

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    path::Path,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::{self, Instant},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, error, warn};

use crate::{
    build::{
        busy::{Busy, Load},
        claim::{self, Candidate, Head},
        control::{BuildControl, Running, StopKind},
        line::Line,
        resume,
        run::{self, Assignment, Ran},
    },
    definition::{MasterDefinition, Secrets},
    model::{BuildRequestId, BuilderId, BuilderName, Event, EventKind, Timestamp, WorkerName},
    mq::{EventFilter, Mq, NextError, Subscription},
    protocol::SessionId,
    store::{QueuedRequest, Store, Unfinished},
    worker::{ConnectionHandle, OperatorHandle, RegistryHandle},
};

/// Requests of one builder that are looked at together: as many may start before the store is asked again.
const WINDOW: u32 = 32;

/// How long the queue waits before it asks a store that failed again.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Ends of builds waiting to be heard: each build tells once, so this holds a burst.
const ENDED_DEPTH: usize = 256;

/// What others hold of the builds.
#[derive(Clone)]
pub struct BuildsHandle {
    /// The builds that run.
    pub running: Running,
    tracker: TaskTracker,
    stop: watch::Sender<Option<StopMode>>,
    heard: watch::Receiver<bool>,
    load: watch::Receiver<Load>,
}

/// How the builds are stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
enum StopMode {
    /// No new ones; those that run go on.
    Drain,
    /// No new ones; those that run go back to the queue.
    Requeue,
}

impl BuildsHandle {
    /// Starts no more builds, and returns when the last one has ended by itself.
    ///
    /// # Cancel safety
    /// Dropped before it returns, still no more builds are started.
    pub async fn drain(&self) {
        self.stop.send_replace(Some(StopMode::Drain));
        self.ended().await;
    }

    /// Starts no more builds, interrupts those that run, gives their requests back to the queue, and returns when the
    /// last one has ended, but after `within` at the latest; true if all have.
    pub async fn stop(&self, within: Duration) -> bool {
        self.stop.send_replace(Some(StopMode::Requeue));
        time::timeout(within, self.ended()).await.is_ok()
    }

    /// Once the queue has heard that it is to stop, no build can begin any more: then the running ones are all.
    async fn ended(&self) {
        let mut heard = self.heard.clone();
        if heard.wait_for(|heard| *heard).await.is_err() {
            debug!("the queue ended first");
        }
        self.tracker.wait().await;
    }

    /// What runs where, as it changes.
    pub fn load(&self) -> watch::Receiver<Load> {
        self.load.clone()
    }

    /// How many builds run.
    pub fn count(&self) -> usize {
        self.tracker.len()
    }
}

/// What all builds have around them.
pub struct Surroundings {
    /// The master's folder, for steps that carry files.
    pub master_dir: Arc<Path>,
    /// Who knows secrets.
    pub secrets: Arc<dyn Secrets>,
    /// The builds that the last master left, and that go on.
    pub left: Vec<Unfinished>,
}

/// Gives requests to workers: runs in its own task.
pub struct Builds {
    store: Store,
    around: Surroundings,
    registry: RegistryHandle,
    operator: OperatorHandle,
    definition: watch::Receiver<Arc<MasterDefinition>>,
    events: Subscription,
    pending: BTreeMap<BuilderName, Pending>,
    /// The store's keys of the builders that are configured.
    names: HashMap<BuilderId, BuilderName>,
    busy: Busy,
    ended: mpsc::Receiver<(BuildRequestId, Ran)>,
    tell_ended: mpsc::Sender<(BuildRequestId, Ran)>,
    /// When to look at the whole queue again, after a failure of the store.
    look_again_at: Option<Instant>,
    running: Running,
    tracker: TaskTracker,
    stop: watch::Receiver<Option<StopMode>>,
    heard: watch::Sender<bool>,
    cancelled: CancellationToken,
}

/// The first requests of a builder.
#[derive(Debug, Default)]
struct Pending {
    window: VecDeque<QueuedRequest>,
    /// The store may hold others than those in the window.
    stale: bool,
}

impl Builds {
    /// A queue that looks at the store when it runs, and until `cancelled` is.
    pub fn new(
        store: Store,
        around: Surroundings,
        registry: RegistryHandle,
        operator: OperatorHandle,
        definition: watch::Receiver<Arc<MasterDefinition>>,
        mq: &Mq,
        cancelled: CancellationToken,
    ) -> (Self, BuildsHandle) {
        let (tell_ended, ended) = mpsc::channel(ENDED_DEPTH);
        let (stop, stop_watch) = watch::channel(None);
        let (tell_heard, heard) = watch::channel(false);
        let tracker = TaskTracker::new();
        // Closed from the start: whoever waits for it waits until it is empty.
        tracker.close();
        let busy = Busy::new(Arc::clone(&definition.borrow()));
        let handle = BuildsHandle {
            running: Running::default(),
            tracker: tracker.clone(),
            stop,
            heard,
            load: busy.load.subscribe(),
        };
        let wanted = [EventKind::BuildRequestAdded, EventKind::BuildRequestUnclaimed];
        let events = mq.subscribe(EventFilter::kinds(wanted));
        let builds = Self {
            store,
            around,
            registry,
            operator,
            definition,
            events,
            pending: BTreeMap::new(),
            names: HashMap::new(),
            busy,
            ended,
            tell_ended,
            look_again_at: None,
            running: handle.running.clone(),
            tracker,
            stop: stop_watch,
            heard: tell_heard,
            cancelled,
        };
        (builds, handle)
    }

    /// Gives requests to workers until it is stopped.
    pub async fn run(mut self) {
        let mut workers = self.registry.changes();
        let mut words = self.operator.changes();
        self.mark_all_stale().await;
        loop {
            let wake_at = [self.dispatch().await, self.look_again_at].into_iter().flatten().min();
            tokio::select! {
                // Each arm is cancel-safe: what it has not returned is still there at the next turn.
                () = self.cancelled.cancelled() => return,
                received = self.events.next() => match received {
                    Ok(event) => self.heard(&event),
                    Err(NextError::Lagged { .. }) => self.mark_all_stale().await,
                    Err(NextError::Closed) => return,
                },
                ended = self.ended.recv() => if let Some(ended) = ended {
                    self.release(ended);
                },
                changed = self.definition.changed() => match changed {
                    Ok(()) => self.mark_all_stale().await,
                    Err(_) => return,
                },
                changed = workers.changed() => if changed.is_err() {
                    return;
                },
                changed = words.changed() => if changed.is_err() {
                    return;
                },
                changed = self.stop.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    if *self.stop.borrow_and_update() == Some(StopMode::Requeue) {
                        self.interrupt_all();
                    }
                    self.heard.send_replace(true);
                },
                () = time::sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => {
                    self.look_again_at = None;
                    self.mark_all_stale().await;
                },
            }
            // What has gathered meanwhile costs one look at the queue, not one each.
            while let Ok(ended) = self.ended.try_recv() {
                self.release(ended);
            }
        }
    }

    fn release(&mut self, (request, ran): (BuildRequestId, Ran)) {
        self.busy.release(request);
        if ran == Ran::NotBegun {
            self.look_again_at.get_or_insert_with(|| Instant::now() + AFTER_FAILURE);
        }
    }

    fn heard(&mut self, event: &Event) {
        let builder = event.body["builderid"].as_i64().and_then(|id| self.names.get(&BuilderId(id)));
        match builder.and_then(|name| self.pending.get_mut(name)) {
            Some(pending) => pending.stale = true,
            // The names could not be read: any builder may be meant.
            None if self.names.is_empty() => {
                self.pending.values_mut().for_each(|pending| pending.stale = true);
            }
            None => debug!(request = event.key, "waits for a builder that is not configured"),
        }
    }

    async fn mark_all_stale(&mut self) {
        match self.store.builder_ids().await {
            Ok(ids) => self.names = ids.into_iter().map(|(name, id)| (id, name)).collect(),
            Err(failure) => {
                error!(error = &failure as &dyn std::error::Error, "cannot read the builders");
            }
        }
        let definition = Arc::clone(&self.definition.borrow_and_update());
        self.take_up();
        self.pending.retain(|name, _| definition.builders.contains_key(name));
        self.busy.last_used.retain(|name, _| definition.workers.contains_key(name));
        for name in definition.builders.keys() {
            self.pending.entry(name.clone()).or_default().stale = true;
        }
        self.busy.load.send_if_modified(|load| {
            let is_new = !Arc::ptr_eq(&load.definition, &definition);
            load.definition = definition;
            is_new
        });
    }

    fn interrupt_all(&self) {
        for (_, _, control) in self.busy.builds.values() {
            control.stop(StopKind::Requeue, "the master is stopping");
        }
    }

    /// Starts all that can start; says when to look again by the clock.
    async fn dispatch(&mut self) -> Option<Instant> {
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
        let assignment = Assignment {
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
        };
        self.spawn(id, assignment);
    }

    /// Goes on with the builds that the last master left, once there is a configuration.
    fn take_up(&mut self) {
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
            let control = BuildControl::new();
            let id = begun.request.id;
            self.busy.take(id, &builder.name, &worker.name, control.clone());
            let assignment = Assignment {
                request: begun.request.clone(),
                settings: definition.settings.clone(),
                builder: Arc::clone(builder),
                worker: Arc::clone(worker),
                line,
                begun: Some(begun),
                control,
                master_dir: Arc::clone(&self.around.master_dir),
                interpreter: definition.interpreter.clone(),
                secrets: Arc::clone(&self.around.secrets),
            };
            self.spawn(id, assignment);
        }
    }

    fn spawn(&self, id: BuildRequestId, assignment: Assignment) {
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
