//! The task that looks who is missing and who is back, and has that told.
//!
//! # Laws
//! - The store says who is away, since when, and what was told: this task remembers nothing, so a restart changes nothing.
//! - That workers are missing and the letters about it are one transaction. If somebody came back meanwhile, nothing is written, and
//!   the task looks again.
//! - It looks when a worker comes or goes, when the configuration changes, and when the next one is due: at most once in
//!   half a second, however many come and go.
//!
//! # Not here
//! When somebody counts as missing (`missing`), to whom it is told (`digest`), the words (`mail`), the sending (`outbox`).

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    definition::{MasterDefinition, WorkerDefinition},
    model::{EventKind, LetterKind, Timestamp, WorkerName},
    mq::{EventFilter, Mq, NextError, Subscription},
    reporter::{
        digest::digests,
        missing::{Away, judge},
        write::{self, News},
    },
    store::{AbsentWorker, NewLetter, Store, StoreError},
};

/// The shortest pause between two looks.
const CALM: Duration = Duration::from_millis(500);

/// The longest time without a look: the clock of the machine may be set.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long it waits before it asks a store that failed again.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// The builds of all workers together that a mail may name.
const MOST_LOST_BUILDS: u32 = 1000;

/// Looks who is missing: runs in its own task.
pub struct Watch {
    store: Store,
    definition: watch::Receiver<Arc<MasterDefinition>>,
    events: Subscription,
    started_at: Timestamp,
    cancelled: CancellationToken,
}

impl Watch {
    /// A task that looks when it runs, and until `cancelled` is.
    pub fn new(
        store: Store,
        definition: watch::Receiver<Arc<MasterDefinition>>,
        mq: &Mq,
        started_at: Timestamp,
        cancelled: CancellationToken,
    ) -> Self {
        let events = mq.subscribe(EventFilter::kinds([EventKind::WorkerAttached, EventKind::WorkerDetached]));
        Self { store, definition, events, started_at, cancelled }
    }

    /// Looks until it is stopped.
    pub async fn run(mut self) {
        loop {
            self.events.skip_to_now();
            let wait = match self.look().await {
                Ok(None) => LONGEST,
                Ok(Some(at)) => Duration::try_from(at - Timestamp::now()).unwrap_or_default().min(LONGEST),
                Err(failure) => {
                    error!(
                        error = &failure as &dyn std::error::Error,
                        "cannot look which workers are missing"
                    );
                    AFTER_FAILURE
                }
            };
            let looked_at = Instant::now();
            tokio::select! {
                // Each arm is cancel-safe: what it has not returned is still there at the next turn.
                () = self.cancelled.cancelled() => return,
                () = time::sleep(wait) => {}
                changed = self.definition.changed() => if changed.is_err() {
                    return;
                },
                event = self.events.next() => if let Err(NextError::Closed) = event {
                    return;
                },
            }
            // What comes meanwhile is seen by the next look.
            tokio::select! {
                () = self.cancelled.cancelled() => return,
                () = time::sleep_until(looked_at + CALM) => {}
            }
        }
    }

    /// Has told what is to be told now; when to look again.
    async fn look(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let definition = Arc::clone(&self.definition.borrow_and_update());
        // Nothing is known of the workers before the first configuration.
        if definition.settings.is_none() {
            return Ok(None);
        }
        self.look_who_is_back(&definition).await?;
        let absent = self.store.absent_workers().await?;
        let mut away = Vec::new();
        let mut known: HashMap<WorkerName, AbsentWorker> = HashMap::new();
        for worker in absent {
            // One that is started on demand is away whenever nothing needs it.
            let defined = definition.workers.get(&worker.name).filter(|defined| !defined.is_latent());
            let Some(timeout) = defined.and_then(|defined| defined.missing_timeout) else { continue };
            if !worker.is_reported() {
                away.push(Away { name: worker.name.clone(), since: worker.absent_since, timeout });
                known.insert(worker.name.clone(), worker);
            }
        }
        let now = Timestamp::now();
        let verdict = judge(&away, self.started_at, now);
        if verdict.missing.is_empty() {
            return Ok(verdict.look_again_at);
        }
        let missing: Vec<&AbsentWorker> =
            verdict.missing.iter().map(|index| &known[&away[*index].name]).collect();
        let is_written = self.tell_missing(&definition, &missing, now).await?;
        // Somebody is back: the others are looked at again at once.
        Ok(if is_written { verdict.look_again_at } else { Some(now) })
    }

    async fn tell_missing(
        &self,
        definition: &MasterDefinition,
        missing: &[&AbsentWorker],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let losses: Vec<(WorkerName, Timestamp)> =
            missing.iter().map(|worker| (worker.name.clone(), worker.absent_since)).collect();
        let mut lost: HashMap<WorkerName, Vec<String>> = HashMap::new();
        for build in self.store.lost_builds(&losses, MOST_LOST_BUILDS).await? {
            lost.entry(build.worker).or_default().push(format!("{}/{}", build.builder, build.number));
        }
        let news: Vec<News<'_>> = missing
            .iter()
            .map(|worker| News {
                worker: &definition.workers[&worker.name],
                absent_since: worker.absent_since,
                last_connection: worker.last_connection,
                info: &worker.info,
                lost_builds: lost.remove(&worker.name).unwrap_or_default(),
            })
            .collect();
        let letters = Self::letters(definition, &news, LetterKind::WorkerMissing, now);
        let count = letters.len();
        let is_written = self.store.report_missing(losses, letters, now).await?;
        if is_written {
            for one in &news {
                let worker = one.worker;
                warn!(worker = %worker.name, source = %worker.place, since = %one.absent_since, "is missing");
            }
            info!(workers = news.len(), letters = count, "missing workers are told of");
        }
        Ok(is_written)
    }

    async fn look_who_is_back(&self, definition: &MasterDefinition) -> Result<(), StoreError> {
        let back = self.store.returned_workers().await?;
        if back.is_empty() {
            return Ok(());
        }
        let now = Timestamp::now();
        let news: Vec<News<'_>> = back
            .iter()
            .filter_map(|worker| {
                Some(News {
                    worker: definition.workers.get(&worker.name)?,
                    absent_since: worker.reported_at,
                    last_connection: worker.last_connection,
                    info: &worker.info,
                    lost_builds: Vec::new(),
                })
            })
            .filter(|one| one.worker.notify_on_return)
            .collect();
        let letters = Self::letters(definition, &news, LetterKind::WorkerReturned, now);
        let names = back.iter().map(|worker| worker.name.clone()).collect();
        // If one has gone again, it is looked at again when that is heard.
        if self.store.report_returned(names, letters, now).await? {
            for worker in &back {
                info!(worker = %worker.name, "is back, after it was told to be missing");
            }
        }
        Ok(())
    }

    fn letters(
        definition: &MasterDefinition,
        news: &[News<'_>],
        kind: LetterKind,
        now: Timestamp,
    ) -> Vec<NewLetter> {
        let workers: Vec<&WorkerDefinition> = news.iter().map(|one| one.worker).collect();
        let mails = digests(definition, &workers);
        mails.iter().filter_map(|digest| write::letter(definition, digest, news, kind, now)).collect()
    }
}
