//! The logs of a step: `stdio`, and one for each file that its command watches.
//!
//! # Laws
//! - Only logs that the step declared are opened, whatever names a worker says.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    model::{LogStream, StepId, Timestamp},
    store::{LogError, LogWriter, Store},
};

/// How long output may wait in memory before readers of the log can see it.
const SHOWN_WITHIN: Duration = Duration::from_millis(100);

/// The open logs of a step.
pub(super) struct Logs {
    store: Store,
    step: StepId,
    stdio: LogWriter,
    /// Absent: to be opened when there is something to write.
    watched: BTreeMap<Arc<str>, Option<LogWriter>>,
    flush_at: Option<Instant>,
}

impl Logs {
    /// Opens `stdio`.
    pub(super) async fn open(store: &Store, step: StepId) -> Result<Self, LogError> {
        let stdio = store.open_log(step, "stdio", Timestamp::now()).await?;
        Ok(Self { store: store.clone(), step, stdio, watched: BTreeMap::new(), flush_at: None })
    }

    /// Declares the log of a watched file. A lazy one is opened when there is something to write.
    pub(super) async fn watch(&mut self, name: Arc<str>, lazily: bool) -> Result<(), LogError> {
        if let Entry::Vacant(place) = self.watched.entry(name) {
            let writer = if lazily {
                None
            } else {
                Some(self.store.open_log(self.step, place.key(), Timestamp::now()).await?)
            };
            place.insert(writer);
        }
        Ok(())
    }

    /// Appends to `stdio`.
    pub(super) async fn append(&mut self, stream: LogStream, bytes: &[u8]) -> Result<(), LogError> {
        self.flush_at.get_or_insert_with(|| Instant::now() + SHOWN_WITHIN);
        self.stdio.append(stream, bytes).await
    }

    /// Appends to the log of a watched file.
    pub(super) async fn append_watched(&mut self, name: &str, bytes: &[u8]) -> Result<(), LogError> {
        let Some(log) = self.watched.get_mut(name) else {
            tracing::debug!(step = %self.step, log = name, "news of a file that nobody watches");
            return Ok(());
        };
        let log = match log {
            Some(log) => log,
            None => log.insert(self.store.open_log(self.step, name, Timestamp::now()).await?),
        };
        self.flush_at.get_or_insert_with(|| Instant::now() + SHOWN_WITHIN);
        log.append(LogStream::Stdout, bytes).await
    }

    /// Adds a line of the master's own to `stdio`.
    pub(super) async fn note(&mut self, line: &str) -> Result<(), LogError> {
        self.append(LogStream::Header, format!("{line}\n").as_bytes()).await
    }

    /// When [`Logs::flush`] is due; never, if there is nothing to show.
    pub(super) const fn flush_at(&self) -> Option<Instant> {
        self.flush_at
    }

    /// Shows readers all whole lines.
    pub(super) async fn flush(&mut self) -> Result<(), LogError> {
        self.flush_at = None;
        self.stdio.flush().await?;
        for log in self.watched.values_mut().flatten() {
            log.flush().await?;
        }
        Ok(())
    }

    /// Closes all: they are on disk when this returns.
    pub(super) async fn close(self) -> Result<(), LogError> {
        let mut closed = self.stdio.close(Timestamp::now()).await;
        for log in self.watched.into_values().flatten() {
            closed = closed.and(log.close(Timestamp::now()).await);
        }
        closed
    }
}
