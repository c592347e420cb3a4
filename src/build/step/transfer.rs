//! What can go wrong on the master with bytes on their way.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time;

use super::unpack::UnpackError;
use crate::{model::Outcome, protocol::command::MAX_BLOCK_BYTES};

/// Why the master could not do its part of a transfer.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransferError {
    /// A file or folder of the master.
    #[error("cannot {deed} `{}`", path.display())]
    File {
        /// What was tried.
        deed: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The master's disk, or a file server behind it.
    #[error("the master's files did not answer within {} s", limit.as_secs())]
    Stuck {
        /// How long was waited.
        limit: Duration,
    },
    /// What is to be sent is no file.
    #[error("`{}` is no file on the master", path.display())]
    NoFile {
        /// What.
        path: PathBuf,
    },
    /// The worker ended well, but never said that all has come.
    #[error("the worker has not sent all of `{}`", path.display())]
    Unfinished {
        /// What.
        path: PathBuf,
    },
    /// More came than was allowed.
    #[error("`{}` has more than {most} bytes", path.display())]
    TooLarge {
        /// What.
        path: PathBuf,
        /// How many are allowed.
        most: u64,
    },
    /// A tar stream cannot be unpacked.
    #[error("cannot unpack what came for `{}`", path.display())]
    Unpack {
        /// Where to.
        path: PathBuf,
        /// Why not.
        source: UnpackError,
    },
}

impl TransferError {
    /// An error with a file.
    pub(super) fn file(deed: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { deed, path: path.to_owned(), source }
    }

    /// More came than was allowed.
    pub(super) const fn too_large(path: PathBuf, most: u64) -> Self {
        Self::TooLarge { path, most }
    }

    /// What it makes of the step: a fault of the master is an exception, one of the files a failure.
    pub(super) const fn outcome(&self) -> Outcome {
        match self {
            Self::File { .. }
            | Self::Stuck { .. }
            | Self::Unpack { source: UnpackError::Disk { .. }, .. } => Outcome::Exception,
            Self::NoFile { .. } | Self::Unfinished { .. } | Self::TooLarge { .. } | Self::Unpack { .. } => {
                Outcome::Failure
            }
        }
    }

    /// The error with its causes, in one line.
    pub(super) fn chain(&self) -> String {
        super::chain(self)
    }
}

/// Bytes at a time, as a wire can carry them.
pub(super) fn block_size(wanted: u32) -> u32 {
    wanted.clamp(1, MAX_BLOCK_BYTES)
}

/// How long a piece of work on the master's files may take: a dead file server must not hold a build for ever.
pub(super) const FILES_LIMIT: Duration = Duration::from_secs(60);

/// Runs what waits for the disk where it blocks nobody, for as long as it may take. What takes longer goes on unheard.
pub(super) async fn blocking<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> Result<T, TransferError> + Send + 'static,
) -> Result<T, TransferError> {
    match time::timeout(limit, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(TransferError::file("use", Path::new("."), io::Error::other(error))),
        },
        Err(_) => Err(TransferError::Stuck { limit }),
    }
}
