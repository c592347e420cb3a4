//! Logs: bytes in order, as they came from a command.
//!
//! While a log is open it is a file that only grows: `logs/<id / 1000>/<id>.log`, made when there is something to
//! write. Closed, its bytes are in the row if they are few; else they are compressed in the background.
//!
//! # Laws
//! - A record is a letter, bytes, and a line end. The letter names the stream ([`crate::model::LogStream`]); a capital
//!   says that the line goes on in the stream's next record. So all bytes come back exactly, whatever they were.
//! - A log is shown complete once its bytes are synced or in a committed row.
//! - An open log is closed by its writer, by the next start of the master, or goes on there from a place that was noted.
//! - At each instant the row tells where the bytes are; what a crash leaves over is found by its marker and removed.
//!
//! # Not here
//! Secrets (`secret` masks them before they come here), and how a step names its logs (`build`).

mod compress;
mod note;
mod read;
pub(super) mod record;
mod settle;
mod writer;

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

#[cfg(test)]
pub(super) use compress::WAITING_FOR_COMPRESSION;
pub use note::{LogPlace, Note};
pub use read::{LogLines, LogPiece};
pub use writer::LogWriter;

use crate::{
    model::LogId,
    store::{OpenError, StoreError},
};

/// The most bytes of a line in one record; what is longer goes on in the next.
pub(super) const LONGEST: usize = 64 * 1024;
/// The most bytes that are kept in the row.
const INLINE: u64 = 4 * 1024;
/// How long the end of the store waits for the compressor, which stops at its next frame.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Why a log could not be written or read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// Its file failed: what was written before is kept.
    #[error("cannot use the log file `{}`", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// There is no such log.
    #[error("there is no log {log}")]
    Unknown {
        /// Its key.
        log: LogId,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The folder of the logs, and what is known of those that are open.
#[derive(Debug)]
pub(super) struct Logs {
    root: PathBuf,
    live: Mutex<HashMap<LogId, Arc<Live>>>,
    wake: Arc<Notify>,
    stop: CancellationToken,
    compressor: Mutex<Option<JoinHandle<()>>>,
}

/// What a reader can see of an open log.
#[derive(Debug, Default)]
struct Live {
    bytes: AtomicU64,
    lines: AtomicU64,
    /// Places some way apart, each the beginning of a record.
    marks: Mutex<Vec<Mark>>,
}

/// A place in a log, and how many line ends lie before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mark {
    offset: u64,
    lines: u64,
}

/// From one mark of an open log to the next: 16 bytes of memory for this much log.
const MARK_EVERY: u64 = 1024 * 1024;

impl Live {
    /// Notes that more can be seen.
    fn grow(&self, bytes: u64, lines: u64) {
        let offset = self.bytes.load(Ordering::Relaxed);
        let mark = Mark { offset, lines: self.lines.load(Ordering::Relaxed) };
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if offset >= marks.last().map_or(0, |mark| mark.offset) + MARK_EVERY {
            marks.push(mark);
        }
        drop(marks);
        self.bytes.store(offset + bytes, Ordering::Relaxed);
        self.lines.store(mark.lines + lines, Ordering::Relaxed);
    }

    /// The last mark with fewer line ends before it than `line`.
    fn before(&self, line: u64) -> Mark {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let index = marks.partition_point(|mark| mark.lines < line);
        index.checked_sub(1).map_or_else(Mark::default, |index| marks[index])
    }
}

impl Logs {
    pub(super) async fn open(root: PathBuf) -> Result<Self, OpenError> {
        let pending = root.join("pending");
        blocking(move || make_folder(&pending))
            .await
            .map_err(|source| OpenError::Logs { path: root.clone(), source })?;
        Ok(Self {
            root,
            live: Mutex::default(),
            wake: Arc::default(),
            stop: CancellationToken::new(),
            compressor: Mutex::default(),
        })
    }

    /// Bytes and lines of an open log that a reader can see.
    pub(super) fn seen(&self, log: LogId) -> Option<(u64, u64)> {
        let live = self.live(log)?;
        Some((live.bytes.load(Ordering::Relaxed), live.lines.load(Ordering::Relaxed)))
    }

    /// Ends the compressor; what it has not yet done it does after the next start.
    pub(super) async fn stop_compressor(&self) {
        self.stop.cancel();
        let task = self.compressor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && tokio::time::timeout(STOP_LIMIT, task).await.is_err()
        {
            tracing::error!("the compression of logs did not stop within 30 s");
        }
    }

    fn live(&self, log: LogId) -> Option<Arc<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).get(&log).cloned()
    }

    fn add_live(&self, log: LogId) -> Arc<Live> {
        let live = Arc::default();
        self.live.lock().unwrap_or_else(PoisonError::into_inner).insert(log, Arc::clone(&live));
        live
    }

    fn remove_live(&self, log: LogId) {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).remove(&log);
    }

    /// The file of a log that is open or not compressed.
    fn plain(&self, log: LogId) -> PathBuf {
        self.root.join((log.0 / 1000).to_string()).join(format!("{log}.log"))
    }

    /// The file of a compressed log.
    fn compressed(&self, log: LogId) -> PathBuf {
        self.root.join((log.0 / 1000).to_string()).join(format!("{log}.log.zst"))
    }

    /// Says that the bytes of this log move: if a crash comes between, this tells where to look.
    fn marker(&self, log: LogId) -> PathBuf {
        self.root.join("pending").join(log.to_string())
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Runs what waits for the disk where it blocks nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Removes a file; one that is not there is as good.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the names within a file's folder durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
