//! What workers have against them: who asks for it, and how it is kept beside the operator's word.
//!
//! # Laws
//! - A strike is in the store before anybody is kept from giving the worker a build; the end of a quarantine by its time needs no
//!   store: the instant is written there since its begin.
//! - A good build of a worker that has nothing against it asks nobody and writes nothing.
//!
//! # Not here
//! The rules (`quarantine`), and what counts as a strike (`build::conduct`).

use std::time::Duration;

use tokio::{sync::oneshot, time};
use tracing::{info, warn};

use super::{ANSWER_WITHIN, Operator, OperatorHandle, Request, Words};
use crate::{
    model::{Quarantine, Timestamp, WorkerName, WorkerWord},
    store::StoreError,
    worker::quarantine::{self, Conduct},
};

/// How long the task sleeps at most while a quarantine runs: the clock may be set meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(30);

impl OperatorHandle {
    /// The quarantine in which a worker is now.
    pub fn quarantine(&self, worker: &WorkerName) -> Option<Quarantine> {
        let words = self.words.borrow();
        words.get(worker).and_then(|word| quarantine::running(&word.record, Timestamp::now())).cloned()
    }

    /// When the next of all quarantines ends by its time. [`OperatorHandle::changes`] tells of it as well.
    pub fn next_end(&self) -> Option<Timestamp> {
        let now = Timestamp::now();
        let words = self.words.borrow();
        words.values().filter_map(|word| Some(quarantine::running(&word.record, now)?.until)).min()
    }

    /// Takes note of what the end of a build says of its worker, and returns once that is so. If it cannot be written down, it is
    /// told in the log, and the build is not held up.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it is noted or not.
    pub async fn note(&self, worker: &WorkerName, conduct: Conduct) {
        let is_clean = || self.words.borrow().get(worker).is_none_or(|word| word.record.is_clean());
        if conduct == Conduct::Good && is_clean() {
            return;
        }
        let (answer, outcome) = oneshot::channel();
        let noted = async {
            let request = Request::Note { worker: worker.clone(), conduct, answer };
            // The task is gone when the master stops; then this says nothing of the worker.
            if self.requests.send(request).await.is_ok() { outcome.await.unwrap_or(Ok(())) } else { Ok(()) }
        };
        match time::timeout(ANSWER_WITHIN, noted).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => {
                let failure = &failure as &dyn std::error::Error;
                warn!(%worker, error = failure, "what a build says of its worker cannot be written down");
            }
            Err(_) => warn!(%worker, "what a build says of its worker waits long to be written down"),
        }
    }
}

impl Operator {
    pub(super) async fn note(&self, worker: &WorkerName, conduct: &Conduct) -> Result<(), StoreError> {
        let now = Timestamp::now();
        let mut word = self.words.borrow().get(worker).cloned().unwrap_or_default();
        let before = quarantine::running(&word.record, now).cloned();
        if !quarantine::note(&mut word.record, conduct, now) {
            return Ok(());
        }
        let begun = quarantine::running(&word.record, now).cloned();
        self.record(worker, word).await?;
        match (begun, before) {
            (Some(Quarantine { cause, reason, strikes, until, .. }), _) => {
                let seconds = quarantine::length(strikes).as_secs();
                warn!(%worker, %cause, reason, strikes, %until, "worker is quarantined: it is given no builds for {seconds} s");
            }
            (None, Some(Quarantine { cause, .. })) => {
                info!(%worker, %cause, "worker has carried out a build, which ends its quarantine");
            }
            (None, None) => {
                info!(%worker, "worker has carried out a build; what it had against it is forgotten");
            }
        }
        Ok(())
    }

    /// Takes off what is over by its time.
    pub(super) async fn expire(&self) {
        let now = Timestamp::now();
        let over: Vec<WorkerName> = {
            let words = self.words.borrow();
            words.iter().filter(|(_, word)| is_over(word, now)).map(|(worker, _)| worker.clone()).collect()
        };
        for worker in over {
            let mut word = self.words.borrow().get(&worker).cloned().unwrap_or_default();
            let Some(Quarantine { cause, until, .. }) = quarantine::expire(&mut word.record, now) else {
                continue;
            };
            if let Err(failure) = self.record(&worker, word.clone()).await {
                let failure = &failure as &dyn std::error::Error;
                warn!(%worker, error = failure, "cannot write down that a quarantine is over; it is all the same");
                self.publish(&worker, word);
            }
            info!(%worker, %cause, %until, "the quarantine of a worker is over");
        }
    }

    pub(super) async fn record(&self, worker: &WorkerName, word: WorkerWord) -> Result<(), StoreError> {
        self.store.set_worker_record(worker, &word.record, Timestamp::now()).await?;
        self.publish(worker, word);
        Ok(())
    }
}

fn is_over(word: &WorkerWord, now: Timestamp) -> bool {
    word.record.quarantine.is_some() && quarantine::running(&word.record, now).is_none()
}

/// How long until a quarantine may be over; nothing if there is none.
pub(super) fn look_in(words: &Words, now: Timestamp) -> Option<Duration> {
    let quarantines = words.values().filter_map(|word| word.record.quarantine.as_ref());
    let ends = quarantines.map(|quarantine| Duration::try_from(quarantine.until - now).unwrap_or_default());
    ends.min().map(|end| end.min(LOOK_EVERY))
}
