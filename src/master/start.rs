//! From a folder to a running master, and back.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::UnixListener,
    sync::{mpsc, watch},
    task::JoinHandle,
    time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    build::{self, Builds, BuildsHandle, Surroundings, lock::Locks},
    config::{self, FileWatch, Pace},
    definition::{MasterDefinition, Problem, ReconfigPlan},
    master::{
        folder::{FolderError, MasterFolder},
        generations::{Cause, Generation, Generations, REMEMBERED},
        handle::{MasterHandle, StopMode},
        passwords,
        pid_lock::PidLock,
        reconfig::{Parts, PrepareError},
        reload::{MainFile, Reloads},
        socket::{self, SocketError},
        whereabouts::Whereabouts,
    },
    model::Timestamp,
    mq::Mq,
    protocol::CommandId,
    reporter::{builds::BuildNews, outbox::Outbox, watch::Watch},
    scheduler::Triggerables,
    secret::{Keeper, Masker},
    store::{Direction, LogError, OpenError, OrderBy, Query, Store},
    worker::{LocalWorkers, Operator, Registry, Roster, gate::Gate},
};

/// How long running builds may take to die when the master stops: a command's own kill takes less.
const BUILDS_STOP_WITHIN: Duration = Duration::from_secs(45);

/// How long a task of the master may take to end once it is told.
const TASK_ENDS_WITHIN: Duration = Duration::from_secs(20);

/// Committed batches of events waiting to be passed on; the store waits when there are more.
const COMMITTED_DEPTH: usize = 256;

/// Why a master did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Its socket cannot be made.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// Its configuration cannot be read.
    #[error("cannot load the configuration")]
    Load(#[source] config::LoadError),
    /// Its configuration is wrong.
    #[error("the configuration has {}", count(problems))]
    Problems {
        /// All that is wrong.
        problems: Vec<Problem>,
    },
    /// Its database cannot be opened.
    #[error("cannot open the database")]
    Open(#[source] OpenError),
    /// What the last master left cannot be resolved.
    #[error("cannot resolve what the last master left")]
    Resolve(#[source] LogError),
    /// Its files cannot be watched.
    #[error("cannot start a thread that watches the configuration")]
    Watch(#[source] io::Error),
    /// Its configuration cannot be put into force.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
}

fn count(problems: &[Problem]) -> String {
    match problems.iter().filter(|problem| problem.is_error()).count() {
        1 => "1 problem".into(),
        n => format!("{n} problems"),
    }
}

/// A running master.
pub struct Master {
    /// What the edges ask.
    pub handle: MasterHandle,
    /// The configuration's warnings.
    pub warnings: Vec<Problem>,
    folder: MasterFolder,
    reloads: JoinHandle<Parts>,
    stop_reloads: CancellationToken,
    builds: BuildsHandle,
    stop: watch::Receiver<Option<StopMode>>,
    cancelled: CancellationToken,
    tasks: Tasks,
    /// Kept to the end: while it is held, nobody else is the master of this folder.
    lock: PidLock,
}

struct Tasks {
    registry: JoinHandle<()>,
    operator: JoinHandle<()>,
    queue: JoinHandle<()>,
    reporters: [JoinHandle<()>; 3],
    pump: JoinHandle<()>,
}

/// Starts a master: load, check, plan from nothing, prepare, commit. The socket is bound but not served: that is the
/// edge's part.
///
/// The secrets that it reads, from now on, are known to `masker`, and where things are written to `whereabouts`.
pub async fn start(
    folder: MasterFolder,
    limits: config::Limits,
    masker: Masker,
    whereabouts: Whereabouts,
) -> Result<(Master, UnixListener), StartError> {
    // What cannot be repaired by any configuration is told first, and costs nothing.
    socket::check_path(&folder.socket())?;
    let lock = folder.lock()?;
    let loaded = config::load(&folder.config(), limits).await.map_err(StartError::Load)?;
    let seen = loaded.seen.clone();
    let checked = loaded.check().map_err(|problems| StartError::Problems { problems })?;
    let (new, warnings) = (checked.definition, checked.warnings);
    let (files, resolved) = passwords::resolve(&new, folder.root(), &masker).await;
    let resolved = resolved.map_err(|problems| StartError::Problems { problems })?;
    let seen = seen.into_iter().chain(files).collect();
    let keeper = Keeper::new(resolved.providers.clone(), masker.clone());
    let plan = ReconfigPlan::between(&MasterDefinition::nothing(), &new);

    let (committed, events) = mpsc::channel(COMMITTED_DEPTH);
    let store = open_store(&folder, &new, committed).await?;
    let mq = Mq::new();
    let pump = tokio::spawn(pump(events, mq.clone()));
    let left = store.unfinished().await.map_err(|error| StartError::Resolve(error.into()))?;
    let (left, given_up): (Vec<_>, Vec<_>) =
        left.into_iter().partition(|build| build::resume::fits(&new, build));
    if !left.is_empty() {
        info!(builds = left.len(), "builds of the last master wait for their workers, to go on");
    }
    let retries = new.builders.values().map(|builder| (builder.name.clone(), builder.max_retries)).collect();
    let unfinished = store.resolve_unfinished(retries, &left, Timestamp::now()).await;
    let unfinished = unfinished.map_err(StartError::Resolve)?;
    if unfinished.builds > 0 {
        let (builds, requeued, failed) = (unfinished.builds, unfinished.requeued, unfinished.failed);
        warn!(builds, requeued, failed, "the last master ended in mid-build; its builds are resolved");
    }
    if unfinished.cancelled > 0 {
        let requests = unfinished.cancelled;
        warn!(requests, "requests were cancelled, since the builds that waited for theirs have ended");
    }

    let cancelled = CancellationToken::new();
    let (roster, roster_watch) = watch::channel(Arc::new(Roster::default()));
    let (definition, definition_watch) = watch::channel(Arc::new(MasterDefinition::nothing()));
    let loaded = Operator::load(store.clone(), cancelled.clone()).await;
    let (operator, operator_handle) = loaded.map_err(|error| StartError::Resolve(error.into()))?;
    let (registry, registry_handle) =
        Registry::new(store.clone(), roster_watch.clone(), operator_handle.clone(), cancelled.clone());
    let (queue, builds) = Builds::new(
        store.clone(),
        Surroundings {
            master_dir: folder.root().into(),
            secrets: Arc::new(keeper.clone()),
            triggers: Arc::new(Triggerables::new(definition_watch.clone(), store.clone())),
            left,
            locks: Locks::default(),
        },
        registry_handle.clone(),
        operator_handle.clone(),
        definition_watch.clone(),
        &mq,
        cancelled.clone(),
    );
    let mut parts = Parts {
        store: store.clone(),
        registry: registry_handle.clone(),
        definition,
        whereabouts,
        roster,
        local_workers: LocalWorkers::new(folder.workers(), registry_handle.clone(), roster_watch.clone()),
        periodic: HashMap::new(),
        gate: Gate::new(roster_watch.clone(), registry_handle.clone(), cancelled.clone()),
        keeper,
        listeners: HashMap::new(),
        root: folder.root().to_owned(),
        is_written: false,
        load: builds.load(),
        draining: BTreeMap::new(),
        endings: TaskTracker::new(),
    };
    let missing =
        Watch::new(store.clone(), definition_watch.clone(), &mq, Timestamp::now(), cancelled.clone());
    let outbox = Outbox::new(
        store.clone(),
        definition_watch.clone(),
        Arc::new(parts.keeper.clone()),
        &mq,
        cancelled.clone(),
    );
    let builds_news = BuildNews::new(store.clone(), definition_watch.clone(), &mq, cancelled.clone());
    let files = FileWatch::start(seen, Pace::default()).map_err(StartError::Watch)?;
    let listener = socket::listen(&folder.socket())?;
    let prepared = parts.prepare(plan, new, resolved, Cause::Start.name().into()).await?;
    let tasks = Tasks {
        registry: tokio::spawn(registry.run()),
        operator: tokio::spawn(operator.run(registry_handle.clone())),
        queue: tokio::spawn(queue.run()),
        reporters: [tokio::spawn(missing.run()), tokio::spawn(builds_news.run()), tokio::spawn(outbox.run())],
        pump,
    };
    // Before the first worker can come back: what it runs of them must not be in the way of what runs next.
    for build in given_up {
        let command = CommandId::new(build.running.command.as_str());
        registry_handle.abandon(build.worker, command).await;
    }
    let (number, retired) = parts.commit(prepared).await.map_err(PrepareError::Store)?;
    parts.retire(retired);
    let started_at = Timestamp::now();
    let running = Generation { number, since: started_at };
    let newest = Query {
        order: vec![OrderBy { field: "generation".into(), direction: Direction::Descending }],
        limit: u32::try_from(REMEMBERED).expect("a small number"),
        ..Query::default()
    };
    let stored = match store.generations(&newest).await {
        Ok(page) => page.rows,
        Err(failure) => {
            warn!(error = &failure as &dyn std::error::Error, "cannot read the earlier generations");
            Vec::new()
        }
    };
    let stop_reloads = CancellationToken::new();
    let generations = Generations::after_start(running, &stored);
    let (reloads, reload_handle) = Reloads::new(
        MainFile { path: folder.config(), limits },
        parts,
        files,
        generations,
        stop_reloads.clone(),
    );

    let (stop, stop_watch) = watch::channel(None);
    let handle = MasterHandle {
        store,
        mq,
        registry: registry_handle,
        operator: operator_handle,
        builds: builds.clone(),
        definition: definition_watch,
        reloads: reload_handle,
        masker,
        stop,
        started_at,
    };
    let master = Master {
        handle,
        warnings,
        folder,
        reloads: tokio::spawn(reloads.run()),
        stop_reloads,
        builds,
        stop: stop_watch,
        cancelled,
        tasks,
        lock,
    };
    Ok((master, listener))
}

async fn open_store(
    folder: &MasterFolder,
    definition: &MasterDefinition,
    committed: mpsc::Sender<Vec<Arc<crate::model::Event>>>,
) -> Result<Store, StartError> {
    let settings = definition.settings.as_ref().expect("a checked configuration has its settings");
    let opened = Store::open(&settings.database, folder.root(), folder.logs(), committed).await;
    opened.map_err(StartError::Open)
}

/// Passes committed events on, until the store is closed.
async fn pump(mut committed: mpsc::Receiver<Vec<Arc<crate::model::Event>>>, mq: Mq) {
    while let Some(events) = committed.recv().await {
        mq.publish(events);
    }
}

impl Master {
    /// Waits until somebody asks the master to stop.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the request is still there.
    pub async fn stop_requested(&mut self) -> StopMode {
        match self.stop.wait_for(Option::is_some).await {
            Ok(mode) => mode.unwrap_or(StopMode::Now),
            // The handle lives in `self`.
            Err(_) => StopMode::Now,
        }
    }

    /// Stops: reloads, schedulers, builds, workers, database, in this order. A clean stop that is overtaken by
    /// [`StopMode::Now`] becomes one.
    pub async fn stop(mut self, mode: StopMode) {
        info!(builds = self.builds.count(), clean = mode == StopMode::Clean, "BuildMaster is stopping");
        self.stop_reloads.cancel();
        // A reload that is under way ends first; the interpreter and the database bound it.
        let mut parts = self.reloads.await.expect("the task of the reloads does not panic");
        parts.stop_schedulers().await;
        if mode == StopMode::Clean {
            tokio::select! {
                // Cancel-safe: it stays closed for new builds.
                () = self.builds.drain() => {}
                // Cancel-safe: a watch keeps its value.
                _ = self.stop.wait_for(|mode| *mode == Some(StopMode::Now)) => {}
            }
        }
        if !self.builds.stop(BUILDS_STOP_WITHIN).await {
            warn!(builds = self.builds.count(), "builds did not end in time; the next start resolves them");
        }
        parts.local_workers.stop_all().await;
        self.cancelled.cancel();
        // The links that end write that down, so the store is closed after them; and then the pump has no more to do.
        let Tasks { registry, operator, queue, reporters, pump } = self.tasks;
        if time::timeout(TASK_ENDS_WITHIN, parts.gate.ended()).await.is_err() {
            warn!("connections of workers do not end");
        }
        join(registry).await;
        join(operator).await;
        join(queue).await;
        for reporter in reporters {
            join(reporter).await;
        }
        self.handle.store.close().await;
        join(pump).await;
        if let Err(error) = remove_socket(&self.folder) {
            warn!(%error, "cannot remove the socket");
        }
        info!("BuildMaster is stopped");
        drop(self.lock);
    }
}

/// Waits for a task that has been told to end.
async fn join(task: JoinHandle<()>) {
    match time::timeout(TASK_ENDS_WITHIN, task).await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => warn!(error = &failure as &dyn std::error::Error, "a task of the master failed"),
        Err(_) => warn!("a task of the master does not end"),
    }
}

fn remove_socket(folder: &MasterFolder) -> io::Result<()> {
    socket::remove(&folder.socket())
}
