//! What the edges may ask of a running master.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{
    build::{
        BuildsHandle, StopKind,
        lock::LockState,
        queue::{ExplainError, Explained},
    },
    definition::MasterDefinition,
    master::{Attempt, Cause, Generations, ReloadError, ReloadHandle},
    model::{BuildId, BuildRequestId, LetterId, Remark, Timestamp, WorkerName},
    mq::Mq,
    scheduler::{ForceError, ForceRequest, force},
    secret::Masker,
    store::{AddedBuildset, Store, StoreError},
    worker::{
        OperatorHandle, RegistryHandle,
        operator::{Deed, Obeyed, OrderError},
    },
};

/// What the edges hold of the master. Cheap to copy.
#[derive(Clone)]
pub struct MasterHandle {
    pub(super) store: Store,
    pub(super) mq: Mq,
    pub(super) registry: RegistryHandle,
    pub(super) operator: OperatorHandle,
    pub(super) builds: BuildsHandle,
    pub(super) definition: watch::Receiver<Arc<MasterDefinition>>,
    pub(super) reloads: ReloadHandle,
    pub(super) masker: Masker,
    pub(super) stop: watch::Sender<Option<StopMode>>,
    pub(super) started_at: Timestamp,
}

/// How the master is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    /// Running builds are interrupted and go back to the queue.
    Now,
    /// Running builds end first; no new ones begin.
    Clean,
}

/// Why the master did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It cannot be forced.
    #[error(transparent)]
    Force(#[from] ForceError),
    /// It cannot be stopped.
    #[error("build {0} does not run")]
    NotRunning(BuildId),
    /// It cannot be cancelled.
    #[error("build request {0} waits no more")]
    NotQueued(BuildRequestId),
    /// It was sent or dropped meanwhile, or never was.
    #[error("there is no letter {0} in the outbox")]
    NoSuchLetter(LetterId),
    /// A worker cannot be paused, stopped and kin.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// There is no outcome of the reload.
    #[error(transparent)]
    Reload(#[from] ReloadError),
    /// It cannot be written down.
    #[error("cannot use the database")]
    Store(#[from] StoreError),
}

impl MasterHandle {
    /// The database.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// What happens.
    pub const fn mq(&self) -> &Mq {
        &self.mq
    }

    /// Who is connected.
    pub const fn registry(&self) -> &RegistryHandle {
        &self.registry
    }

    /// Knows all secrets that were read.
    pub const fn masker(&self) -> &Masker {
        &self.masker
    }

    /// The configuration that runs.
    pub fn definition(&self) -> Arc<MasterDefinition> {
        Arc::clone(&self.definition.borrow())
    }

    /// Since when it runs.
    pub const fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// The locks that builds hold and wait for.
    pub fn locks(&self) -> Vec<LockState> {
        self.builds.locks.snapshot()
    }

    /// Why a request waits; see [`BuildsHandle::explain`].
    pub async fn explain(&self, request: BuildRequestId) -> Result<Option<Explained>, ExplainError> {
        self.builds.explain(request).await
    }

    /// How many builds run.
    pub fn builds_running(&self) -> usize {
        self.builds.count()
    }

    /// Reloads the configuration, and tells what became of it; see [`ReloadHandle::reload`].
    pub async fn reload(
        &self,
        cause: Cause,
        max_disconnects: Option<u32>,
    ) -> Result<Arc<Attempt>, RequestError> {
        Ok(self.reloads.reload(cause, max_disconnects).await?)
    }

    /// What a reload would do now, without doing it; see [`ReloadHandle::dry_run`].
    pub async fn dry_run(&self, max_disconnects: Option<u32>) -> Result<Attempt, RequestError> {
        Ok(self.reloads.dry_run(max_disconnects).await?)
    }

    /// What runs, and what became of the last reloads.
    pub fn generations(&self) -> Arc<Generations> {
        self.reloads.generations()
    }

    /// Asks for builds by a force scheduler; returns once that is durable.
    pub async fn force(
        &self,
        scheduler: &str,
        request: &ForceRequest,
    ) -> Result<AddedBuildset, RequestError> {
        let set = force::buildset(&self.definition(), scheduler, request)?;
        Ok(self.store.add_buildset(set, Timestamp::now()).await?)
    }

    /// Stops a build. Returns at once; the build ends when its command is dead.
    pub fn stop_build(&self, build: BuildId, reason: &str) -> Result<(), RequestError> {
        let control = self.builds.running.control(build).ok_or(RequestError::NotRunning(build))?;
        control.stop(StopKind::Cancel, reason);
        Ok(())
    }

    /// Takes a request from the queue.
    pub async fn cancel_request(
        &self,
        request: BuildRequestId,
        reason: Option<&str>,
    ) -> Result<(), RequestError> {
        let waited = self.store.cancel_request(request, reason, Timestamp::now()).await?;
        if waited { Ok(()) } else { Err(RequestError::NotQueued(request)) }
    }

    /// Has a letter tried at once, also one that is given up. Whoever sends hears of it by
    /// [`EventKind::LetterRetried`](crate::model::EventKind::LetterRetried).
    pub async fn retry_letter(&self, letter: LetterId) -> Result<(), RequestError> {
        let known = self.store.retry_letter(letter, Timestamp::now()).await?;
        if known { Ok(()) } else { Err(RequestError::NoSuchLetter(letter)) }
    }

    /// Takes a letter out of the outbox; it is not sent, unless that is being done at this moment.
    pub async fn drop_letter(&self, letter: LetterId) -> Result<(), RequestError> {
        let known = self.store.drop_letter(letter, Timestamp::now()).await?;
        if known { Ok(()) } else { Err(RequestError::NoSuchLetter(letter)) }
    }

    /// Has a worker paused, stopped, killed; see [`OperatorHandle::order`].
    pub async fn order_worker(
        &self,
        worker: WorkerName,
        deed: Deed,
        remark: Remark,
    ) -> Result<Obeyed, RequestError> {
        Ok(self.operator.order(worker, deed, remark).await?)
    }

    /// How many builds run on a worker.
    pub fn builds_on(&self, worker: &WorkerName) -> usize {
        self.builds.load().borrow().of_worker(worker)
    }

    /// Asks the master to stop. Returns at once.
    pub fn request_stop(&self, mode: StopMode) {
        self.stop.send_modify(|wanted| {
            // An impatient stop overtakes a clean one, never the other way round.
            if *wanted != Some(StopMode::Now) {
                *wanted = Some(mode);
            }
        });
    }
}
