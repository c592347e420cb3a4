//! Who is connected: at most one live connection for each worker name.
//!
//! A worker whose link died silently comes back before the master has noticed. So a second link is not refused at once:
//! the first is asked for a sign of life, and loses its place if it gives none. While the first is still being greeted,
//! the second waits for that.
//!
//! # Laws
//! - A name has one connection or none, counted from before its greeting until its end is written down.
//! - A link from outside that has its place, or gets it, is of a worker that may log in by the newest configuration, or
//!   of one that drains.
//! - Only the registry's task changes the map. Readers see a state that was true a moment ago.
//!
//! # Not here
//! Passwords (the listener), choosing a worker for a build (`build::claim`).
//!
//! # Source
//! Behaviour: Buildbot, `worker/manager.py`.

mod contest;
mod handle;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

pub use handle::{AttachError, Epoch, PATIENCE, RegistryHandle};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{field::DisplayValue, info, warn};

use crate::{
    model::WorkerName,
    protocol::{CommandId, Link},
    store::Store,
    worker::{
        connection::{Connection, ConnectionHandle, MOST_ABANDONED},
        gate::Refusals,
        operator::OperatorHandle,
        roster::{Roster, RosterWatch},
    },
};

/// Requests waiting for the registry: a storm of connects waits in its listeners.
const REQUESTS_DEPTH: usize = 128;

/// A name that two programs fight for.
type Fight = (WorkerName, &'static str);

type Answer = oneshot::Sender<Result<ConnectionHandle, AttachError>>;

#[derive(Debug)]
enum Request {
    Attach(Attach),
    Greeted {
        worker: WorkerName,
        connection: ConnectionHandle,
        version: Option<String>,
        /// How many configurations had been passed on when it came.
        rosters: u64,
    },
    Ended {
        worker: WorkerName,
        epoch: Epoch,
        abandoned: Vec<CommandId>,
    },
    Abandon {
        worker: WorkerName,
        id: CommandId,
    },
}

#[derive(Debug)]
struct Attach {
    worker: WorkerName,
    /// From where; absent for a worker inside this process.
    peer: Option<SocketAddr>,
    link: Link,
    patience: Duration,
    answer: Answer,
}

#[derive(Debug)]
enum Place {
    /// A link whose worker has not said yet who it is, and what is cancelled once it has, or has failed to.
    Greeting(Epoch, CancellationToken),
    /// A connection.
    Attached(ConnectionHandle),
}

type Places = Arc<RwLock<HashMap<WorkerName, Place>>>;

/// The registry: runs in its own task.
pub struct Registry {
    requests: mpsc::Receiver<Request>,
    sender: mpsc::Sender<Request>,
    places: Places,
    changes: watch::Sender<u64>,
    next: u64,
    roster: RosterWatch,
    /// What the connections know, and how many came before it.
    passed_on: Arc<Roster>,
    rosters: u64,
    operator: OperatorHandle,
    store: Store,
    connections: TaskTracker,
    fights: Arc<Refusals<Fight>>,
    /// Commands that were running when the link of their worker was lost. A worker may let them run on.
    abandoned: HashMap<WorkerName, Vec<CommandId>>,
    stopping: CancellationToken,
}

impl Registry {
    /// A registry with no connections, which runs until `stopping` is cancelled and all its connections are closed.
    pub fn new(
        store: Store,
        roster: RosterWatch,
        operator: OperatorHandle,
        stopping: CancellationToken,
    ) -> (Self, RegistryHandle) {
        let (sender, requests) = mpsc::channel(REQUESTS_DEPTH);
        let (changes, watcher) = watch::channel(0);
        let places = Places::default();
        let handle =
            RegistryHandle { requests: sender.clone(), places: Arc::clone(&places), changes: watcher };
        let connections = TaskTracker::new();
        let fights = Arc::default();
        let mut roster = roster;
        let passed_on = Arc::clone(&roster.borrow_and_update());
        let registry = Self {
            requests,
            sender,
            places,
            changes,
            next: 1,
            roster,
            passed_on,
            rosters: 0,
            operator,
            store,
            connections,
            fights,
            abandoned: HashMap::new(),
            stopping,
        };
        (registry, handle)
    }

    /// Serves requests until the master stops; then cuts all links and returns when they are down.
    pub async fn run(mut self) {
        let mut may_change = true;
        loop {
            tokio::select! {
                // Cancel-safe: a change that was not returned is still to be seen.
                changed = self.roster.changed(), if may_change => match changed {
                    Ok(()) => self.pass_on(),
                    Err(_) => may_change = false,
                },
                // Cancel-safe: `recv` takes a request only when it returns it.
                request = self.requests.recv() => match request {
                    Some(request) => self.serve(request),
                    None => break,
                },
                // Cancel-safe: a token stays cancelled.
                () = self.stopping.cancelled() => break,
            }
        }
        self.requests.close();
        for place in self.places.read().unwrap_or_else(PoisonError::into_inner).values() {
            if let Place::Attached(connection) = place {
                connection.close();
            }
        }
        self.connections.close();
        // Connections end when their link is closed and that is written down; the store bounds its own waits.
        self.connections.wait().await;
    }

    /// Wakes the connections of those workers of whom a new configuration says something else. Ten thousand others sleep
    /// on: each would have to be woken to find that nothing concerns it.
    fn pass_on(&mut self) {
        let new = Arc::clone(&self.roster.borrow_and_update());
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        for worker in self.passed_on.differing(&new) {
            if let Some(Place::Attached(connection)) = places.get(worker) {
                connection.look_again.notify_one();
            }
        }
        drop(places);
        self.passed_on = new;
        self.rosters += 1;
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Attach(attach) => self.greet(attach),
            Request::Greeted { worker, connection, version, rosters } => {
                // A reload that removed it meanwhile has found no link to close.
                if !self.is_wanted(&worker, connection.peer) {
                    connection.close();
                }
                info!(%worker, version, "worker attached");
                // What was passed on meanwhile did not reach it.
                if rosters != self.rosters {
                    connection.look_again.notify_one();
                }
                let place = Place::Attached(connection);
                let before = self.change(|places| places.insert(worker, place));
                before.iter().for_each(Place::settle);
            }
            Request::Ended { worker, epoch, abandoned } => {
                if !abandoned.is_empty() {
                    let roster = self.roster.borrow().clone();
                    self.abandoned.retain(|worker, _| roster.of(worker).is_some());
                    self.abandoned.entry(worker.clone()).or_default().extend(abandoned);
                }
                let before = self.change(|places| {
                    let is_it = places.get(&worker).is_some_and(|place| place.epoch() == epoch);
                    is_it.then(|| places.remove(&worker)).flatten()
                });
                before.iter().for_each(Place::settle);
            }
            Request::Abandon { worker, id } => {
                let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
                match places.get(&worker) {
                    Some(Place::Attached(connection)) if connection.is_up() => connection.abandon(id),
                    _ => {
                        drop(places);
                        let abandoned = self.abandoned.entry(worker).or_default();
                        if abandoned.len() < MOST_ABANDONED {
                            abandoned.push(id);
                        }
                    }
                }
            }
        }
    }

    fn greet(&mut self, attach: Attach) {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        match places.get(&attach.worker) {
            None => {}
            Some(Place::Attached(first)) => {
                let first = first.clone();
                drop(places);
                self.arbitrate(first, attach);
                return;
            }
            Some(Place::Greeting(_, settled)) => {
                let settled = settled.clone();
                drop(places);
                self.wait_for_greeting(settled, attach);
                return;
            }
        }
        drop(places);
        let Attach { worker, peer, link, answer, .. } = attach;
        // It logged in, and waited for its place while a reload removed it.
        if !self.is_wanted(&worker, peer) {
            info!(%worker, peer = %from(peer), "a link of a worker that is gone from the configuration is closed");
            reply(answer, Err(AttachError::Gone { worker }));
            return;
        }
        let epoch = Epoch(self.next);
        self.next += 1;
        let settled = CancellationToken::new();
        // Nothing that is told: it is no connection yet.
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        places.insert(worker.clone(), Place::Greeting(epoch, settled));
        drop(places);
        let (requests, roster, store) = (self.sender.clone(), self.roster.clone(), self.store.clone());
        let written_in = roster.clone();
        let (operator, rosters) = (self.operator.clone(), self.rosters);
        let abandoned = self.abandoned.remove(&worker).unwrap_or_default();
        self.connections.spawn(async move {
            let abandoned =
                match Connection::greet(worker.clone(), epoch, peer, link, roster, operator, store).await {
                    Ok((connection, handle, version)) => {
                        let connected = handle.clone();
                        let greeted = Request::Greeted {
                            worker: worker.clone(),
                            connection: connected,
                            version,
                            rosters,
                        };
                        // The registry is gone when the master stops: then this link ends as well.
                        if requests.send(greeted).await.is_err() {
                            handle.close();
                        }
                        reply(answer, Ok(handle));
                        let abandoned = connection.run(abandoned).await;
                        info!(%worker, "worker detached");
                        abandoned
                    }
                    Err(source) => {
                        let (place, error) =
                            (written(&written_in, &worker), &source as &dyn std::error::Error);
                        warn!(%worker, error, source = place, "worker did not attach");
                        reply(answer, Err(AttachError::Greeting { worker: worker.clone(), source }));
                        abandoned
                    }
                };
            if requests.send(Request::Ended { worker, epoch, abandoned }).await.is_err() {
                tracing::trace!("the registry ended first");
            }
        });
    }

    /// Whether the configuration has a worker that comes like this. One inside this process is ended by those who
    /// started it.
    fn is_wanted(&self, worker: &WorkerName, peer: Option<SocketAddr>) -> bool {
        peer.is_none() || self.roster.borrow().passwords(worker.as_str()).is_some()
    }

    /// Changes the map; what was replaced or removed.
    fn change(
        &mut self,
        change: impl FnOnce(&mut HashMap<WorkerName, Place>) -> Option<Place>,
    ) -> Option<Place> {
        let before = change(&mut self.places.write().unwrap_or_else(PoisonError::into_inner));
        self.changes.send_modify(|count| *count += 1);
        before
    }
}

impl Place {
    const fn epoch(&self) -> Epoch {
        match self {
            Self::Greeting(epoch, _) => *epoch,
            Self::Attached(connection) => connection.epoch,
        }
    }

    /// Tells those who wait for it that it is no more what it was.
    fn settle(&self) {
        match self {
            Self::Greeting(_, settled) => settled.cancel(),
            Self::Attached(_) => {}
        }
    }
}

/// Where a worker is written now.
fn written(roster: &RosterWatch, worker: &WorkerName) -> Option<DisplayValue<crate::model::Place>> {
    roster.borrow().place(worker.as_str()).map(tracing::field::display)
}

/// From where, for people.
fn from(peer: Option<SocketAddr>) -> String {
    peer.map_or_else(|| "inside the master".to_owned(), |peer| peer.to_string())
}

fn reply(answer: Answer, outcome: Result<ConnectionHandle, AttachError>) {
    if answer.send(outcome).is_err() {
        tracing::trace!("nobody waits for the outcome of this attach");
    }
}
