//! The logs of a step: `stdio`, and one for each file that its command watches.
//!
//! # Laws
//! - Only logs that the step declared are opened, whatever names a worker says.
//! - The secrets of the build come into no log. What may be the beginning of one waits for what follows on its stream; so a
//!   few bytes may come after what was said of the command meanwhile.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    model::{LogStream, StepId, Timestamp},
    secret::{BuildSecrets, Patterns, Stream},
    store::{LogError, LogPlace, LogWriter, Store},
};

/// How long output may wait in memory before readers of the log can see it.
const SHOWN_WITHIN: Duration = Duration::from_millis(100);

/// The log of a command's own streams.
const STDIO: &str = "stdio";

/// The open logs of a step.
pub(super) struct Logs {
    store: Store,
    step: StepId,
    stdio: LogWriter,
    /// What is kept back of each stream of `stdio`.
    masks: [Stream; 3],
    watched: BTreeMap<Arc<str>, Watched>,
    secrets: Arc<BuildSecrets>,
    flush_at: Option<Instant>,
}

/// The log of a watched file.
#[derive(Default)]
struct Watched {
    /// Absent: to be opened when there is something to write.
    log: Option<LogWriter>,
    mask: Stream,
}

/// The streams of `stdio`; each has its place here.
const STREAMS: [LogStream; 3] = [LogStream::Stdout, LogStream::Stderr, LogStream::Header];

impl Logs {
    /// Opens `stdio`.
    pub(super) async fn open(
        store: &Store,
        step: StepId,
        secrets: Arc<BuildSecrets>,
    ) -> Result<Self, LogError> {
        let stdio = store.open_log(step, STDIO, Timestamp::now()).await?;
        Ok(Self {
            store: store.clone(),
            step,
            stdio,
            masks: Default::default(),
            watched: BTreeMap::new(),
            secrets,
            flush_at: None,
        })
    }

    /// Goes on with the logs of a step that a master before this one has opened.
    pub(super) async fn reopen(
        store: &Store,
        step: StepId,
        secrets: Arc<BuildSecrets>,
        places: Vec<LogPlace>,
    ) -> Result<Self, LogError> {
        let (mut stdio, mut watched) = (None, BTreeMap::new());
        for place in places {
            let name = place.name.clone();
            let log = store.reopen_log(place).await?;
            if name == STDIO {
                stdio = Some(log);
            } else {
                watched.insert(name.into(), Watched { log: Some(log), mask: Stream::default() });
            }
        }
        let stdio = match stdio {
            Some(stdio) => stdio,
            None => store.open_log(step, STDIO, Timestamp::now()).await?,
        };
        Ok(Self {
            store: store.clone(),
            step,
            stdio,
            masks: Default::default(),
            watched,
            secrets,
            flush_at: None,
        })
    }

    /// Shows readers all whole lines, and tells where the logs are then; nothing while a part of what was said is kept back by
    /// a mask.
    pub(super) async fn places(&mut self) -> Result<Option<Vec<LogPlace>>, LogError> {
        let mut masks = self.masks.iter().chain(self.watched.values().map(|watched| &watched.mask));
        if masks.any(|mask| !mask.is_empty()) {
            self.flush().await?;
            return Ok(None);
        }
        self.flush_at = None;
        let mut places = vec![self.stdio.place(STDIO).await?];
        for (name, watched) in &mut self.watched {
            if let Some(log) = &mut watched.log {
                places.push(log.place(name).await?);
            }
        }
        Ok(Some(places))
    }

    /// Declares the log of a watched file. A lazy one is opened when there is something to write.
    pub(super) async fn watch(&mut self, name: Arc<str>, lazily: bool) -> Result<(), LogError> {
        if let Entry::Vacant(place) = self.watched.entry(name) {
            let log = if lazily {
                None
            } else {
                Some(self.store.open_log(self.step, place.key(), Timestamp::now()).await?)
            };
            place.insert(Watched { log, mask: Stream::default() });
        }
        Ok(())
    }

    /// Appends to `stdio`, without secrets.
    pub(super) async fn append(&mut self, stream: LogStream, bytes: &[u8]) -> Result<(), LogError> {
        self.flush_at.get_or_insert_with(|| Instant::now() + SHOWN_WITHIN);
        let Some(patterns) = self.secrets.patterns() else {
            return self.stdio.append(stream, bytes).await;
        };
        let place = STREAMS.iter().position(|known| *known == stream).expect("these are all streams");
        let masked = self.masks[place].feed(&patterns, bytes);
        if masked.is_empty() { Ok(()) } else { self.stdio.append(stream, &masked).await }
    }

    /// Appends to the log of a watched file, without secrets.
    pub(super) async fn append_watched(&mut self, name: &str, bytes: &[u8]) -> Result<(), LogError> {
        let Some(Watched { log, mask }) = self.watched.get_mut(name) else {
            tracing::debug!(step = %self.step, log = name, "news of a file that nobody watches");
            return Ok(());
        };
        let log = match log {
            Some(log) => log,
            None => log.insert(self.store.open_log(self.step, name, Timestamp::now()).await?),
        };
        self.flush_at.get_or_insert_with(|| Instant::now() + SHOWN_WITHIN);
        match self.secrets.patterns() {
            Some(patterns) => log.append(LogStream::Stdout, &mask.feed(&patterns, bytes)).await,
            None => log.append(LogStream::Stdout, bytes).await,
        }
    }

    /// A command has ended: what was kept back of its output comes, since no secret goes on in the output of another.
    pub(super) async fn end_command(&mut self) -> Result<(), LogError> {
        let Some(patterns) = self.secrets.patterns() else { return Ok(()) };
        self.let_go(&patterns).await
    }

    async fn let_go(&mut self, patterns: &Patterns) -> Result<(), LogError> {
        for (stream, mask) in STREAMS.into_iter().zip(&mut self.masks) {
            if !mask.is_empty() {
                self.stdio.append(stream, &mask.finish(patterns)).await?;
            }
        }
        for watched in self.watched.values_mut() {
            // What is kept back came when the log was open.
            if let (Some(log), false) = (&mut watched.log, watched.mask.is_empty()) {
                log.append(LogStream::Stdout, &watched.mask.finish(patterns)).await?;
            }
        }
        Ok(())
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
        for log in self.watched.values_mut().filter_map(|watched| watched.log.as_mut()) {
            log.flush().await?;
        }
        Ok(())
    }

    /// Closes all: they are on disk when this returns.
    pub(super) async fn close(mut self) -> Result<(), LogError> {
        let mut closed = self.end_command().await;
        closed = closed.and(self.stdio.close(Timestamp::now()).await);
        for log in self.watched.into_values().filter_map(|watched| watched.log) {
            closed = closed.and(log.close(Timestamp::now()).await);
        }
        closed
    }
}
