//! The operator's word on each worker: paused, to be stopped, killed; and beside it what the worker has against it.
//!
//! One task changes what is said, in the store first, then in the [`Words`] that all who give out builds look at.
//!
//! # Laws
//! - A pause and a wish to stop hold over lost links, reloads and restarts of the master, until they are taken back.
//! - The wish to stop is fulfilled, and forgotten with that, when the program was told and its link is down. So a program
//!   that is started again is welcome.
//! - A worker's own wish to stop takes the same way as the operator's.
//!
//! # Not here
//! When a link tells its program to stop (`connection`), who may order (the mode of the socket), and how a quarantine begins
//! and ends (`operator/record`, by the rules of `quarantine`).

mod record;

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    model::{Remark, Timestamp, WorkerName, WorkerWord},
    store::{Store, StoreError},
    worker::{
        connection::ConnectionHandle,
        quarantine::{self, Conduct},
        registry::RegistryHandle,
    },
};

/// Orders waiting for the store: a script that pauses one worker after the other, and some links that end.
const REQUESTS_DEPTH: usize = 64;

/// How long whoever orders something waits: less than a client of the API waits for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(50);

/// What is said of the workers of which anything is.
pub type Words = HashMap<WorkerName, WorkerWord>;

/// What can be ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Give it no builds; those that run go on. A later one replaces the reason.
    Pause,
    /// Give it builds again.
    Unpause,
    /// Give it no builds, and have its program stop once it runs none.
    Stop,
    /// Take [`Deed::Stop`] back.
    Resume,
    /// Have its program stop at once. Its builds are lost, and tried again.
    Kill,
    /// End its quarantine.
    Release,
}

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obeyed {
    /// It is so now.
    Done,
    /// It was so before: there was nothing to take back.
    NothingToDo,
}

/// Why an order was not obeyed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OrderError {
    /// Nothing to stop.
    #[error("worker `{worker}` is not connected, so there is nothing to stop")]
    NotConnected {
        /// Which.
        worker: WorkerName,
    },
    /// It is a part of the master.
    #[error("worker `{worker}` is a LocalWorker, which has no program of its own to stop")]
    Local {
        /// Which.
        worker: WorkerName,
    },
    /// Too late to take it back.
    #[error("worker `{worker}` has been told to stop already")]
    ToldAlready {
        /// Which.
        worker: WorkerName,
    },
    /// It cannot be written down.
    #[error("cannot write it down")]
    Store(#[from] StoreError),
    /// It takes long.
    #[error("it is not done within {} s; it may be done later", ANSWER_WITHIN.as_secs())]
    Late,
    /// The master stops.
    #[error("the master is stopping")]
    Stopping,
}

enum Request {
    Order {
        worker: WorkerName,
        deed: Deed,
        remark: Remark,
        answer: oneshot::Sender<Result<Obeyed, OrderError>>,
    },
    Left {
        worker: WorkerName,
        at: Timestamp,
        answer: oneshot::Sender<Result<(), StoreError>>,
    },
    Note {
        worker: WorkerName,
        conduct: Conduct,
        answer: oneshot::Sender<Result<(), StoreError>>,
    },
}

/// What others hold of the operator's word. Cheap to copy.
#[derive(Clone, Debug)]
pub struct OperatorHandle {
    requests: mpsc::Sender<Request>,
    words: watch::Receiver<Arc<Words>>,
    stopping: CancellationToken,
}

/// The task that changes it.
pub struct Operator {
    store: Store,
    requests: mpsc::Receiver<Request>,
    words: watch::Sender<Arc<Words>>,
    stopping: CancellationToken,
}

impl OperatorHandle {
    /// One whose words the test says; no orders.
    #[cfg(test)]
    pub(super) fn saying(words: watch::Receiver<Arc<Words>>) -> Self {
        Self { requests: mpsc::channel(1).0, words, stopping: CancellationToken::new() }
    }

    /// Orders something, also of a worker that is not connected or no longer configured: it may come back.
    ///
    /// # Errors
    /// [`OrderError`]; after [`OrderError::Late`] it may still be done.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it is done or not.
    pub async fn order(&self, worker: WorkerName, deed: Deed, remark: Remark) -> Result<Obeyed, OrderError> {
        let (answer, outcome) = oneshot::channel();
        let request = Request::Order { worker, deed, remark, answer };
        let ordered = async {
            self.requests.send(request).await.map_err(|_| OrderError::Stopping)?;
            outcome.await.unwrap_or(Err(OrderError::Stopping))
        };
        time::timeout(ANSWER_WITHIN, ordered).await.unwrap_or(Err(OrderError::Late))
    }

    /// What is said of a worker.
    pub fn word(&self, worker: &WorkerName) -> WorkerWord {
        self.words.borrow().get(worker).cloned().unwrap_or_default()
    }

    /// Whether a worker may be given builds, as far as its operator and its quarantine are concerned.
    pub fn allows_builds(&self, worker: &WorkerName) -> bool {
        self.words.borrow().get(worker).is_none_or(|word| {
            let runs = || quarantine::running(&word.record, Timestamp::now()).is_some();
            word.paused.is_none() && word.stopping.is_none() && !runs()
        })
    }

    /// Whether a worker is to stop once its builds are done.
    pub(super) fn wants_stopped(&self, worker: &WorkerName) -> bool {
        self.words.borrow().get(worker).is_some_and(|word| word.stopping.is_some())
    }

    /// Does something if a worker is to stop once its builds are done; nobody says otherwise until it is done.
    pub(super) fn while_stopped(&self, worker: &WorkerName, then: impl FnOnce()) {
        let words = self.words.borrow();
        if words.get(worker).is_some_and(|word| word.stopping.is_some()) {
            then();
        }
    }

    /// Changes whenever something else is said.
    pub fn changes(&self) -> watch::Receiver<Arc<Words>> {
        self.words.clone()
    }

    /// Notes that the link of a program that was told to stop is down; false if it was not noted, for the master stops.
    /// Its link goes down then whatever the program does, so the wish is kept for the next start.
    pub(super) async fn left(&self, worker: &WorkerName, at: Timestamp) -> Result<bool, StoreError> {
        if self.stopping.is_cancelled() {
            return Ok(false);
        }
        let (answer, outcome) = oneshot::channel();
        if self.requests.send(Request::Left { worker: worker.clone(), at, answer }).await.is_err() {
            return Ok(false);
        }
        match outcome.await {
            Ok(outcome) => outcome.map(|()| true),
            Err(_) => Ok(false),
        }
    }
}

impl Operator {
    /// What the store has kept; changed by those who order until `stopping` is cancelled.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn load(
        store: Store,
        stopping: CancellationToken,
    ) -> Result<(Self, OperatorHandle), StoreError> {
        let words = store.worker_words().await?;
        let (words, watch) = watch::channel(Arc::new(words));
        let (sender, requests) = mpsc::channel(REQUESTS_DEPTH);
        let handle = OperatorHandle { requests: sender, words: watch, stopping: stopping.clone() };
        Ok((Self { store, requests, words, stopping }, handle))
    }

    /// Serves orders, and ends quarantines, until the master stops.
    pub async fn run(mut self, registry: RegistryHandle) {
        loop {
            let look_in = record::look_in(&self.words.borrow(), Timestamp::now());
            let request = tokio::select! {
                // Cancel-safe: `recv` takes a request only when it returns it, and a token stays cancelled.
                request = self.requests.recv() => request,
                () = self.stopping.cancelled() => return,
                () = time::sleep(look_in.unwrap_or_default()), if look_in.is_some() => {
                    self.expire().await;
                    continue;
                }
            };
            match request {
                Some(Request::Order { worker, deed, remark, answer }) => {
                    let outcome = self.obey(&registry, &worker, deed, remark).await;
                    // Whoever ordered it may have gone.
                    drop(answer.send(outcome));
                }
                Some(Request::Left { worker, at, answer }) => {
                    drop(answer.send(self.leave(&worker, at).await));
                }
                Some(Request::Note { worker, conduct, answer }) => {
                    drop(answer.send(self.note(&worker, &conduct).await));
                }
                None => return,
            }
        }
    }

    async fn obey(
        &self,
        registry: &RegistryHandle,
        worker: &WorkerName,
        deed: Deed,
        remark: Remark,
    ) -> Result<Obeyed, OrderError> {
        let connection = registry.connection(worker.as_str());
        let mut word = self.words.borrow().get(worker).cloned().unwrap_or_default();
        let (by, reason) =
            (remark.by.clone().unwrap_or_else(|| "the worker itself".into()), remark.reason.clone());
        match deed {
            Deed::Pause => {
                word.paused = Some(remark);
                self.say(worker, word).await?;
                info!(%worker, by, reason, "worker paused: it is given no more builds");
            }
            Deed::Unpause => {
                if word.paused.take().is_none() {
                    return Ok(Obeyed::NothingToDo);
                }
                self.say(worker, word).await?;
                info!(%worker, by, reason, "worker unpaused");
            }
            Deed::Stop => {
                let worker = worker.clone();
                let Some(connection) = connection else { return Err(OrderError::NotConnected { worker }) };
                if connection.is_local() {
                    return Err(OrderError::Local { worker });
                }
                // Its link may be down already: then the wish would be for the program that is started next.
                if connection.is_dismissed() {
                    return Ok(Obeyed::NothingToDo);
                }
                word.stopping = Some(remark);
                self.say(&worker, word).await?;
                connection.look_again();
                info!(%worker, by, reason, "worker stops when its builds are done; it is given no more");
            }
            Deed::Resume => {
                let told_already = || connection.as_ref().is_some_and(ConnectionHandle::is_dismissed);
                if word.stopping.take().is_none() {
                    return Ok(Obeyed::NothingToDo);
                }
                if told_already() {
                    return Err(OrderError::ToldAlready { worker: worker.clone() });
                }
                self.say(worker, word).await?;
                // It may have run out of builds while this was written down.
                if told_already() {
                    return Err(OrderError::ToldAlready { worker: worker.clone() });
                }
                if let Some(connection) = &connection {
                    connection.look_again();
                }
                info!(%worker, by, reason, "worker does not stop after all");
            }
            Deed::Kill => {
                let worker = worker.clone();
                let Some(connection) = connection else { return Err(OrderError::NotConnected { worker }) };
                info!(%worker, by, reason, "worker is killed: its program is told to stop at once");
                connection.kill();
            }
            Deed::Release => {
                if quarantine::release(&mut word.record, Timestamp::now()).is_none() {
                    return Ok(Obeyed::NothingToDo);
                }
                self.record(worker, word).await?;
                info!(%worker, by, reason, "worker is released from its quarantine");
            }
        }
        Ok(Obeyed::Done)
    }

    async fn leave(&self, worker: &WorkerName, at: Timestamp) -> Result<(), StoreError> {
        self.store.worker_stopped(worker, at).await?;
        let mut word = self.words.borrow().get(worker).cloned().unwrap_or_default();
        word.stopping = None;
        self.publish(worker, word);
        Ok(())
    }

    async fn say(&self, worker: &WorkerName, word: WorkerWord) -> Result<(), StoreError> {
        self.store.set_worker_word(worker, &word, Timestamp::now()).await?;
        self.publish(worker, word);
        Ok(())
    }

    fn publish(&self, worker: &WorkerName, word: WorkerWord) {
        self.words.send_if_modified(|words| {
            if words.get(worker).unwrap_or(&WorkerWord::default()) == &word {
                return false;
            }
            let words = Arc::make_mut(words);
            if word.is_empty() {
                words.remove(worker);
            } else {
                words.insert(worker.clone(), word);
            }
            true
        });
    }
}

/// Passes on that a worker asks to stop; its link goes on meanwhile.
pub(super) async fn ask_to_stop(operator: OperatorHandle, worker: WorkerName) {
    let remark = Remark::new(Some("asked by the worker itself"), None, Timestamp::now());
    if let Err(failure) = operator.order(worker.clone(), Deed::Stop, remark).await {
        let failure = &failure as &dyn std::error::Error;
        warn!(%worker, error = failure, "worker asks to stop, which is not heard; it may ask again");
    }
}
