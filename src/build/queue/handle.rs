//! What others hold of the builds: how many run and where, and how they are stopped.

use std::time::Duration;

use tokio::{
    sync::{mpsc, oneshot, watch},
    time,
};
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::explain::{Ask, Explained};
use crate::{
    build::{busy::Load, control::Running, lock::Locks},
    model::BuildRequestId,
    store::StoreError,
};

/// How long whoever asks something waits.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Why nobody says why a request waits.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The queue has ended.
    #[error("the master has stopped giving out builds")]
    Stopped,
    /// The queue is busy.
    #[error("the queue does not answer within {} s", ANSWER_WITHIN.as_secs())]
    Late,
    /// The store failed.
    #[error("cannot read the request")]
    Store(#[from] StoreError),
}

/// What others hold of the builds.
#[derive(Clone)]
pub struct BuildsHandle {
    /// The builds that run.
    pub running: Running,
    /// The locks that they share.
    pub locks: Locks,
    pub(super) tracker: TaskTracker,
    pub(super) stop: watch::Sender<Option<StopMode>>,
    pub(super) heard: watch::Receiver<bool>,
    pub(super) load: watch::Receiver<Load>,
    pub(super) questions: mpsc::Sender<Ask>,
}

/// How the builds are stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StopMode {
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

    /// Why a request waits; nothing if it does not.
    ///
    /// # Errors
    /// [`ExplainError`].
    ///
    /// # Cancel safety
    /// Dropped before it returns, nothing has changed.
    pub async fn explain(&self, request: BuildRequestId) -> Result<Option<Explained>, ExplainError> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.questions.send(Ask { request, answer }).await.map_err(|_| ExplainError::Stopped)?;
            Ok(answered.await.map_err(|_| ExplainError::Stopped)??)
        };
        time::timeout(ANSWER_WITHIN, asked).await.unwrap_or(Err(ExplainError::Late))
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
