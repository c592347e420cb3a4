//! The task that gives requests to workers.
//!
//! The queue itself is in the store. This task holds the first few requests of each builder that has some, asks
//! `claim` what may start, and starts it; the build's own task claims the request in the store.
//!
//! # Laws
//! - Memory is bounded by the number of builders, whatever the length of the queue.
//! - Nothing is polled: a new request, a worker that came or was unpaused, a build that ended and a new configuration wake
//!   it, and the clock for requests that wait after a loss.
//!
//! # Not here
//! The decision (`claim`), the build (`run`).

mod dispatch;
mod handle;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    path::Path,
    sync::Arc,
    time::Duration,
};

pub use handle::BuildsHandle;
use handle::StopMode;
use tokio::{
    sync::{mpsc, watch},
    time::{self, Instant},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, error};

use crate::{
    build::{
        busy::Busy,
        control::{Running, StopKind},
        lock::{self, Locks},
        run::Ran,
    },
    definition::{MasterDefinition, Secrets},
    model::{BuildRequestId, BuilderId, BuilderName, Event, EventKind},
    mq::{EventFilter, Mq, NextError, Subscription},
    store::{QueuedRequest, Store, Unfinished},
    worker::{OperatorHandle, RegistryHandle},
};

/// How long the queue waits before it asks a store that failed again.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Ends of builds waiting to be heard: each build tells once, so this holds a burst.
const ENDED_DEPTH: usize = 256;

/// What all builds have around them.
pub struct Surroundings {
    /// The master's folder, for steps that carry files.
    pub master_dir: Arc<Path>,
    /// Who knows secrets.
    pub secrets: Arc<dyn Secrets>,
    /// The builds that the last master left, and that go on.
    pub left: Vec<Unfinished>,
    /// The locks that all builds share.
    pub locks: Locks,
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
            locks: around.locks.clone(),
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
        self.around.locks.set_limits(lock::limits(&definition));
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
}
