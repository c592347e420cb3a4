//! The task that gives requests to workers.
//!
//! The queue itself is in the store. This task holds the first few requests of each builder that has some, asks the
//! `board` what may start, and starts it; the build's own task claims the request in the store.
//!
//! # Laws
//! - Memory is bounded by the number of builders, whatever the length of the queue.
//! - Nothing is polled: a new request, a worker that came or was unpaused, a build that ended, a lock that is free, a parent that
//!   begins to wait and a new configuration wake it, and the clock: for requests that wait after a loss, for those that
//!   have waited too long, and for functions that are asked again.
//! - No function of the configuration holds it up: they are asked beside it, each with a deadline.
//! - A master that stops cleanly gives out no builds but those for which a running build waits.
//!
//! # Not here
//! The decision (`board`), the build (`run`).

mod ask;
pub mod collapse;
mod dispatch;
mod explain;
mod handle;
mod outlook;
mod patience;
pub mod tables;

use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use explain::Ask;
pub use explain::Explained;
use handle::StopMode;
pub use handle::{BuildsHandle, ExplainError};
use outlook::Farmland;
use patience::Patience;
use tokio::{
    sync::{mpsc, watch},
    time::{self, Instant},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, error};

use crate::{
    build::{
        Family, Lending,
        board::{Answer, Board},
        control::{Running, StopKind},
        lock::{self, Locks},
        run::Ran,
    },
    definition::{MasterDefinition, Secrets, Triggers},
    model::{BuildRequestId, BuilderId, BuilderName, Event, EventKind, Timestamp},
    mq::{EventFilter, Mq, NextError, Subscription},
    store::{Store, Unfinished},
    worker::{OperatorHandle, RegistryHandle},
};

/// How long the queue waits before it asks a store that failed again.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Ends of builds waiting to be heard: each build tells once, so this holds a burst.
const ENDED_DEPTH: usize = 256;

/// Answers of functions waiting to be heard: one for each builder at most is out.
const ANSWERS_DEPTH: usize = 64;

/// People who want to know why a request waits.
const QUESTIONS_DEPTH: usize = 16;

/// What all builds have around them.
pub struct Surroundings {
    /// The master's folder, for steps that carry files.
    pub master_dir: Arc<Path>,
    /// Who knows secrets.
    pub secrets: Arc<dyn Secrets>,
    /// Whom builds ask for other builds.
    pub triggers: Arc<dyn Triggers>,
    /// The builds that the last master left, and that go on.
    pub left: Vec<Unfinished>,
    /// The locks that all builds share.
    pub locks: Locks,
}

/// Gives requests to workers: runs in its own task.
pub struct Builds {
    store: Store,
    around: Surroundings,
    family: Family,
    registry: RegistryHandle,
    operator: OperatorHandle,
    definition: watch::Receiver<Arc<MasterDefinition>>,
    events: Subscription,
    board: Board,
    outlook: Farmland,
    patience: Patience,
    /// The store's keys of the builders that are configured.
    names: HashMap<BuilderId, BuilderName>,
    answers: mpsc::Receiver<Answer>,
    tell_answer: mpsc::Sender<Answer>,
    questions: mpsc::Receiver<Ask>,
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
        let (tell_answer, answers) = mpsc::channel(ANSWERS_DEPTH);
        let (ask, questions) = mpsc::channel(QUESTIONS_DEPTH);
        let board = Board::new(Arc::clone(&definition.borrow()), around.locks.clone());
        let handle = BuildsHandle {
            running: Running::default(),
            tracker: tracker.clone(),
            stop,
            heard,
            load: board.busy.load.subscribe(),
            questions: ask,
            locks: around.locks.clone(),
        };
        let wanted =
            [EventKind::BuildRequestAdded, EventKind::BuildRequestUnclaimed, EventKind::BuildRequestComplete];
        let events = mq.subscribe(EventFilter::kinds(wanted));
        let family = Family {
            triggers: Arc::clone(&around.triggers),
            mq: mq.clone(),
            running: handle.running.clone(),
            lending: Lending::new(),
        };
        let outlook = Farmland::new(registry.clone(), operator.clone());
        let builds = Self {
            store,
            family,
            around,
            registry,
            operator,
            definition,
            events,
            board,
            outlook,
            patience: Patience::default(),
            names: HashMap::new(),
            answers,
            tell_answer,
            questions,
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
        let mut locks = self.board.locks.changes();
        let mut lent = self.family.lending.changes();
        self.look_at_all().await;
        loop {
            let wake_at = self.dispatch().await;
            let wake_at = [wake_at, self.look_again_at, self.patience.wake_at()].into_iter().flatten().min();
            tokio::select! {
                // Each arm is cancel-safe: what it has not returned is still there at the next turn.
                () = self.cancelled.cancelled() => return,
                received = self.events.next() => match received {
                    Ok(event) => self.heard(&event),
                    Err(NextError::Lagged { .. }) => self.look_at_all().await,
                    Err(NextError::Closed) => return,
                },
                ended = self.ended.recv() => if let Some(ended) = ended {
                    self.release(ended);
                },
                answer = self.answers.recv() => if let Some(answer) = answer {
                    self.answered(answer);
                },
                ask = self.questions.recv() => match ask {
                    Some(ask) => self.explain(ask).await,
                    None => return,
                },
                changed = self.definition.changed() => match changed {
                    Ok(()) => self.look_at_all().await,
                    Err(_) => return,
                },
                changed = workers.changed() => match changed {
                    Ok(()) => self.board.something_changed(),
                    Err(_) => return,
                },
                changed = words.changed() => match changed {
                    Ok(()) => self.board.something_changed(),
                    Err(_) => return,
                },
                changed = locks.changed() => match changed {
                    Ok(()) => self.board.something_changed(),
                    Err(_) => return,
                },
                changed = lent.changed() => match changed {
                    Ok(()) => self.look_at_children().await,
                    Err(_) => return,
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
                    if self.look_again_at.take_if(|at| *at <= Instant::now()).is_some() {
                        self.look_at_all().await;
                    }
                },
            }
            // What has gathered meanwhile costs one look at the queue, not one each.
            while let Ok(ended) = self.ended.try_recv() {
                self.release(ended);
            }
        }
    }

    fn release(&mut self, (request, ran): (BuildRequestId, Ran)) {
        self.board.release(request);
        if ran == Ran::NotBegun {
            self.look_again_at.get_or_insert_with(|| Instant::now() + AFTER_FAILURE);
        }
    }

    fn heard(&mut self, event: &Event) {
        let builder = event.body["builderid"].as_i64().and_then(|id| self.names.get(&BuilderId(id))).cloned();
        let request = BuildRequestId(event.key);
        match builder {
            Some(builder) if event.kind == EventKind::BuildRequestComplete => {
                self.board.forget(&builder, request);
            }
            Some(builder) => {
                self.board.mark_stale(&builder);
                self.patience.came(self.definition.borrow().builders.get(&builder), Timestamp::now());
                if event.kind == EventKind::BuildRequestAdded {
                    self.decide_collapse(&builder, request);
                } else {
                    self.patience.came_back();
                }
            }
            // The names could not be read: any builder may be meant.
            None if self.names.is_empty() => self.board.mark_all_stale(),
            None => debug!(%request, "waits for a builder that is not configured"),
        }
    }

    async fn look_at_all(&mut self) {
        match self.store.builder_ids().await {
            Ok(ids) => self.names = ids.into_iter().map(|(name, id)| (id, name)).collect(),
            Err(failure) => {
                error!(error = &failure as &dyn std::error::Error, "cannot read the builders");
            }
        }
        let definition = Arc::clone(&self.definition.borrow_and_update());
        self.around.locks.set_limits(lock::limits(&definition));
        self.take_up();
        self.outlook.forget();
        self.patience.look_at_all(&definition);
        self.board.reconfigure(definition);
    }

    fn interrupt_all(&self) {
        for seat in self.board.busy.builds.values() {
            seat.control.stop(StopKind::Requeue, "the master is stopping");
        }
    }
}
