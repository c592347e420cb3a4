//! What can go wrong with any question to the store.

use std::sync::Arc;

use crate::model::{BuildRequestId, WorkerName};

/// Why the store did not do as it was told, or could not answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// A statement failed. Nothing of the deed was stored.
    #[error("the database failed to {deed}")]
    Failed {
        /// What was wanted.
        deed: &'static str,
        /// What the database said.
        source: Arc<sqlx::Error>,
    },
    /// There is no connection, or it broke before the commit. Nothing of the deed was stored.
    #[error("cannot {deed}: there is no connection to the database")]
    Disconnected {
        /// What was wanted.
        deed: &'static str,
        /// How the connection was lost.
        source: Arc<sqlx::Error>,
    },
    /// The commit failed: only after a loss of the connection can it have been stored all the same.
    #[error("the database failed to commit what should {deed}")]
    Commit {
        /// What was wanted.
        deed: &'static str,
        /// What the database said.
        source: Arc<sqlx::Error>,
    },
    /// The database took longer than its limit of 60 s. Nothing of the deed was stored.
    #[error("cannot {deed}: the database did not answer in time")]
    Abandoned {
        /// What was wanted.
        deed: &'static str,
    },
    /// No row has this name or key.
    #[error("cannot {deed}: there is no {noun} `{name}`")]
    Unknown {
        /// What was wanted.
        deed: &'static str,
        /// Of which kind.
        noun: &'static str,
        /// Its name, or its key.
        name: String,
    },
    /// The prepared configuration was not committed within 10 s, so it was rolled back.
    #[error("the prepared configuration was given up, since its commit did not come within 10 s")]
    PreparedTooLong,
    /// The store is closed.
    #[error("cannot {deed}: the store is closed")]
    Closed {
        /// What was wanted.
        deed: &'static str,
    },
}

/// Why a build did not begin.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BeginError {
    /// Another build has the request, or it is complete: the caller goes on with the next one.
    #[error("build request {request} is no longer in the queue")]
    AlreadyClaimed {
        /// Which request.
        request: BuildRequestId,
    },
    /// There is no such request.
    #[error("there is no build request {request}")]
    NoSuchRequest {
        /// Which request.
        request: BuildRequestId,
    },
    /// No worker of this name was ever configured.
    #[error("build request {request} cannot go to worker `{worker}`, which the store does not know")]
    UnknownWorker {
        /// Which request.
        request: BuildRequestId,
        /// Which worker.
        worker: WorkerName,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How a job within the writer fails: by the database, or by its own judgement.
pub(super) enum JobError<E> {
    Database(sqlx::Error),
    Refused(E),
}

impl<E> From<sqlx::Error> for JobError<E> {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl<E: From<StoreError>> JobError<E> {
    pub(super) fn named(self, deed: &'static str) -> E {
        match self {
            Self::Database(source) => failed(deed, source).into(),
            Self::Refused(error) => error,
        }
    }
}

impl JobError<StoreError> {
    pub(super) fn unknown(deed: &'static str, noun: &'static str, name: &(impl ToString + ?Sized)) -> Self {
        Self::Refused(StoreError::Unknown { deed, noun, name: name.to_string() })
    }
}

pub(super) fn failed(deed: &'static str, source: sqlx::Error) -> StoreError {
    match source {
        sqlx::Error::PoolTimedOut => StoreError::Abandoned { deed },
        sqlx::Error::PoolClosed => StoreError::Closed { deed },
        source => StoreError::Failed { deed, source: Arc::new(source) },
    }
}
