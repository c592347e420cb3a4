//! An open log, as its step sees it.
//!
//! # Laws
//! - What is appended is written in order, off the runtime; memory is bounded by [`MOST_WAITING`] and one piece.
//! - After a failed write nothing more is written, so that the file never has a gap.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    sync::Arc,
};

use sqlx::AssertSqlSafe;
use tokio::task::JoinHandle;

use super::{INLINE, Live, LogError, LogPlace, blocking, make_folder, record::Cutter, remove, sync_folder};
use crate::{
    model::{EventKind, LogId, LogStream, StepId, Timestamp},
    store::{
        Store, StoreError,
        connection::{args, clean},
        error::JobError,
        row::{ApiRow, LogRow},
    },
};

/// How many bytes are worth a write.
const CHUNK: usize = 64 * 1024;
/// How many bytes may wait for the write before.
const MOST_WAITING: usize = 4 * CHUNK;

/// Writes one log. Dropped without [`LogWriter::close`], the log stays open until the master starts again.
#[derive(Debug)]
pub struct LogWriter {
    store: Store,
    id: LogId,
    cutter: Cutter,
    waiting: Vec<u8>,
    waiting_records: u64,
    state: State,
    failed: Option<LogError>,
}

#[derive(Debug)]
enum State {
    Idle(Sink),
    Writing(JoinHandle<(Sink, io::Result<()>)>),
    /// The task of the last write was lost; only a runtime that ends does that.
    Lost,
}

/// The file, and the buffer of its last write, to be used again.
#[derive(Debug)]
pub(super) struct Sink {
    path: PathBuf,
    file: Option<File>,
    bytes: u64,
    records: u64,
    spare: Vec<u8>,
    live: Arc<Live>,
}

impl Sink {
    /// A file that is there already, at its end.
    pub(super) const fn reopened(
        path: PathBuf,
        file: Option<File>,
        bytes: u64,
        records: u64,
        live: Arc<Live>,
    ) -> Self {
        Self { path, file, bytes, records, spare: Vec::new(), live }
    }

    fn write(&mut self, bytes: &[u8], records: u64) -> io::Result<()> {
        if self.file.is_none() {
            if let Some(folder) = self.path.parent() {
                make_folder(folder)?;
            }
            let options = OpenOptions::new().append(true).create(true).mode(0o600).clone();
            self.file = Some(options.open(&self.path)?);
        }
        if let Some(file) = &mut self.file {
            file.write_all(bytes)?;
        }
        let length = u64::try_from(bytes.len()).expect("memory is smaller than 2^64 bytes");
        self.bytes += length;
        self.records += records;
        self.live.grow(length, records);
        Ok(())
    }

    /// Makes durable what was written, without what a failed write left.
    fn sync(&self) -> io::Result<()> {
        if let Some(file) = &self.file {
            file.set_len(self.bytes)?;
            file.sync_all()?;
            sync_folder(&self.path)?;
            // The folder itself may be new.
            self.path.parent().map_or(Ok(()), sync_folder)?;
        }
        Ok(())
    }
}

impl Store {
    /// Opens a log of a step. A name that the step has used before gets a slug of its own.
    ///
    /// # Cancel safety
    /// Dropped before it returns, an empty open log may stay until the master starts again.
    pub async fn open_log(&self, step: StepId, name: &str, at: Timestamp) -> Result<LogWriter, LogError> {
        let name = clean(name.to_owned());
        let id = self
            .write("open a log", move |work| {
                Box::pin(async move {
                    let used = work.rows("SELECT slug FROM logs WHERE stepid = $1", args![step.0]).await?;
                    let used: Vec<String> = used.iter().map(|row| row.text("slug")).collect::<Result<_, _>>()?;
                    let sql = format!(
                        "INSERT INTO logs (stepid, masterid, name, slug, form) VALUES ($1, $2, $3, $4, 'open') RETURNING {}",
                        LogRow::TABLE.columns
                    );
                    let args = args![step.0, work.master.0, name.as_str(), slug(&name, &used)];
                    let row = work.one(AssertSqlSafe(sql), args).await?;
                    let log = LogRow::read(&row, work.master)?;
                    work.tell(EventKind::LogOpened, log.logid.0, at, &log);
                    Ok::<_, JobError<StoreError>>(log.logid)
                })
            })
            .await?;
        let sink = Sink::reopened(self.logs.plain(id), None, 0, 0, self.logs.add_live(id));
        Ok(LogWriter::reopened(self.clone(), id, Cutter::default(), sink))
    }

    /// Records that a log is whole and where its bytes are; nothing if it was before.
    pub(super) async fn record_closed(
        &self,
        log: LogId,
        closed: Closed,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write("close a log", move |work| {
            Box::pin(async move {
                let form = if closed.content.is_some() { "inline" } else { "plain" };
                let sql = format!(
                    "UPDATE logs SET form = $1, num_lines = $2, num_bytes = $3, content = $4
                     WHERE id = $5 AND form = 'open' RETURNING {}",
                    LogRow::TABLE.columns
                );
                let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
                let args = args![form, number(closed.records), number(closed.bytes), closed.content, log.0];
                if let Some(row) = work.row(AssertSqlSafe(sql), args).await? {
                    let row = LogRow::read(&row, work.master)?;
                    work.tell(EventKind::LogFinished, log.0, at, &row);
                }
                Ok::<_, JobError<StoreError>>(())
            })
        })
        .await
    }
}

/// A log that is whole.
pub(super) struct Closed {
    pub(super) records: u64,
    pub(super) bytes: u64,
    /// Its bytes, if they are few; else they are in its file, synced.
    pub(super) content: Option<Vec<u8>>,
}

impl LogWriter {
    /// A log that goes on where these are.
    pub(super) const fn reopened(store: Store, id: LogId, cutter: Cutter, sink: Sink) -> Self {
        let state = State::Idle(sink);
        Self { store, id, cutter, waiting: Vec::new(), waiting_records: 0, state, failed: None }
    }

    /// The key of the log.
    pub const fn id(&self) -> LogId {
        self.id
    }

    /// Appends output, cut anywhere. Lines become visible to readers in pieces of some 64 KiB, or by
    /// [`LogWriter::flush`]. Waits only if the disk is slower than what comes.
    ///
    /// # Errors
    /// [`LogError::File`] if this or an earlier write failed.
    ///
    /// # Cancel safety
    /// Dropped before it returns, all or none of `bytes` is appended.
    pub async fn append(&mut self, stream: LogStream, bytes: &[u8]) -> Result<(), LogError> {
        if self.waiting.len() >= MOST_WAITING {
            self.hand_over().await;
        }
        self.check()?;
        self.waiting_records += self.cutter.feed(stream, bytes, &mut self.waiting);
        let is_free = match &self.state {
            State::Idle(_) => true,
            State::Writing(task) => task.is_finished(),
            State::Lost => false,
        };
        if self.waiting.len() >= CHUNK && is_free {
            self.hand_over().await;
        }
        Ok(())
    }

    /// Shows readers all whole lines. The beginning of a line is kept back until its end comes.
    ///
    /// # Errors
    /// [`LogError::File`] if this or an earlier write failed.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the lines may become visible later.
    pub async fn flush(&mut self) -> Result<(), LogError> {
        self.hand_over().await;
        self.settle().await;
        self.check()
    }

    /// Shows readers all whole lines, and tells where the log is then: it can go on from there, should this process die.
    /// `name` is the log's name within its step.
    ///
    /// # Errors
    /// As [`LogWriter::flush`].
    ///
    /// # Cancel safety
    /// As [`LogWriter::flush`].
    pub async fn place(&mut self, name: &str) -> Result<LogPlace, LogError> {
        self.flush().await?;
        self.settle().await;
        self.check()?;
        let bytes = match &self.state {
            State::Idle(sink) => sink.bytes,
            State::Writing(_) | State::Lost => unreachable!("what was not settled has failed"),
        };
        Ok(LogPlace { log: self.id, name: name.to_owned(), bytes, partial: self.cutter.partial().clone() })
    }

    /// Closes the log: it is durable, and shown complete, when this returns. A line without end is kept without end.
    ///
    /// # Errors
    /// [`LogError::File`] if a write failed: the log is closed then with what was written before.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the log may stay open until the master starts again.
    pub async fn close(mut self, at: Timestamp) -> Result<(), LogError> {
        self.waiting_records += self.cutter.finish(&mut self.waiting);
        self.settle().await;
        let logs = Arc::clone(&self.store.logs);
        let State::Idle(mut sink) = std::mem::replace(&mut self.state, State::Lost) else {
            return self.check();
        };
        let has_failed = self.failed.is_some();
        let (waiting, records) = (std::mem::take(&mut self.waiting), self.waiting_records);
        let path = sink.path.clone();
        let marker = logs.marker(self.id);
        let closed = blocking(move || {
            let mut written = Ok(());
            let length = u64::try_from(waiting.len()).expect("memory is smaller than 2^64 bytes");
            if !has_failed && sink.bytes + length > INLINE {
                written = sink.write(&waiting, records);
                sink.sync()?;
            } else if !has_failed {
                // Few bytes: into the row. They need no file, and if there is one it goes away.
                let mut content = Vec::new();
                if sink.file.is_some() {
                    content = std::fs::read(&sink.path)?;
                    File::create(&marker)?;
                }
                content.extend_from_slice(&waiting);
                let closed = Closed {
                    records: sink.records + records,
                    bytes: sink.bytes + length,
                    content: Some(content),
                };
                return Ok((closed, sink.file.is_some(), written));
            } else {
                sink.sync()?;
            }
            // Without a file there was nothing that could be written.
            let content = sink.file.is_none().then(Vec::new);
            Ok((Closed { records: sink.records, bytes: sink.bytes, content }, false, written))
        })
        .await;
        let file_error = |source| LogError::File { path: path.clone(), source: Arc::new(source) };
        let (closed, moved, written) = closed.map_err(file_error)?;
        self.store.record_closed(self.id, closed, at).await?;
        if moved {
            let (file, marker) = (path.clone(), logs.marker(self.id));
            blocking(move || remove(&file).and_then(|()| remove(&marker))).await.map_err(file_error)?;
        } else {
            logs.wake.notify_one();
        }
        written.map_err(file_error)?;
        self.check()
    }

    fn check(&self) -> Result<(), LogError> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    /// Waits for the write that is under way.
    async fn settle(&mut self) {
        let State::Writing(task) = &mut self.state else { return };
        // Polled by reference: dropped here, the write goes on and is waited for by the next call.
        match task.await {
            Ok((sink, done)) => {
                if let Err(error) = done {
                    self.fail(sink.path.clone(), error);
                }
                self.state = State::Idle(sink);
            }
            Err(error) => {
                self.state = State::Lost;
                self.fail(self.store.logs.plain(self.id), io::Error::other(error));
            }
        }
    }

    fn fail(&mut self, path: PathBuf, error: io::Error) {
        tracing::error!(path = %path.display(), %error, "a log cannot be written");
        self.failed.get_or_insert(LogError::File { path, source: Arc::new(error) });
        self.waiting = Vec::new();
    }

    /// Begins to write what waits, once the write before has ended.
    async fn hand_over(&mut self) {
        self.settle().await;
        if self.waiting.is_empty() || self.failed.is_some() {
            return;
        }
        let State::Idle(mut sink) = std::mem::replace(&mut self.state, State::Lost) else { return };
        let mut bytes = std::mem::replace(&mut self.waiting, std::mem::take(&mut sink.spare));
        let records = std::mem::take(&mut self.waiting_records);
        self.state = State::Writing(tokio::task::spawn_blocking(move || {
            let done = sink.write(&bytes, records);
            bytes.clear();
            // A burst must not cost memory for ever.
            bytes.shrink_to(2 * MOST_WAITING);
            sink.spare = bytes;
            (sink, done)
        }));
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.store.logs.remove_live(self.id);
    }
}

/// A name as it can stand in an address, unlike those that are used.
fn slug(name: &str, used: &[String]) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).take(40).collect();
    let plain = if plain.is_empty() { "_".to_owned() } else { plain };
    if !used.contains(&plain) {
        return plain;
    }
    // `plain` itself is among the used ones, so these are enough.
    (1..=used.len())
        .map(|n| format!("{plain}_{n}"))
        .find(|slug| !used.contains(slug))
        .expect("of more candidates than used names one is free")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_of_one_step_differ() {
        assert_eq!(slug("stdio", &[]), "stdio");
        assert_eq!(slug("a b/c.txt", &[]), "a_b_c_txt");
        assert_eq!(slug("stdio", &["stdio".into(), "stdio_1".into()]), "stdio_2");
    }
}
