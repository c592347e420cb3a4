//! What others hold of the registry: to attach a link, and to read who is connected.

use std::{net::SocketAddr, sync::PoisonError, time::Duration};

use tokio::sync::{mpsc, oneshot, watch};

use super::{Attach, Place, Places, Request};
use crate::{
    model::WorkerName,
    protocol::{CommandId, Link},
    worker::connection::{ConnectionHandle, GreetingError},
};

/// Which of the connections since the start of the master: grows with each attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// What others hold of the registry.
#[derive(Clone, Debug)]
pub struct RegistryHandle {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) places: Places,
    pub(super) changes: watch::Receiver<u64>,
}

/// Why a link did not get the place of its worker.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The name is taken.
    #[error("worker `{worker}` is connected already")]
    Duplicate {
        /// Which.
        worker: WorkerName,
    },
    /// It was taken out of the configuration, or made a LocalWorker, after it had logged in.
    #[error("worker `{worker}` is not expected any more")]
    Gone {
        /// Which.
        worker: WorkerName,
    },
    /// It did not introduce itself.
    #[error("worker `{worker}` did not attach")]
    Greeting {
        /// Which.
        worker: WorkerName,
        /// Why.
        source: GreetingError,
    },
    /// The master stops.
    #[error("the master is stopping")]
    Stopping,
}

/// How long the first connection of a name may take to show that it is alive. Source: Buildbot's limit.
pub const PATIENCE: Duration = Duration::from_secs(10);

impl RegistryHandle {
    /// Gives a link the place of its worker, and returns once the worker has said who it is and that is durable.
    ///
    /// `peer` is where the link comes from, if it comes over a network.
    ///
    /// `patience` is how long an earlier connection of this name may take to give a sign of life: wall time, usually
    /// [`PATIENCE`]. The call lasts no longer than that, the greeting of the new link, and what the database takes.
    ///
    /// # Errors
    /// [`AttachError`]; the link is then closed.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the link may still attach.
    pub async fn attach(
        &self,
        worker: WorkerName,
        peer: Option<SocketAddr>,
        link: Link,
        patience: Duration,
    ) -> Result<ConnectionHandle, AttachError> {
        let (answer, outcome) = oneshot::channel();
        let attach = Attach { worker, peer, link, patience, answer };
        self.requests.send(Request::Attach(attach)).await.map_err(|_| AttachError::Stopping)?;
        outcome.await.unwrap_or(Err(AttachError::Stopping))
    }

    /// A command of a lost link is wanted no more. If its worker is there it is told so, else when it comes.
    pub async fn abandon(&self, worker: WorkerName, id: CommandId) {
        // Without a registry the master stops, and the worker gives up by itself.
        drop(self.requests.send(Request::Abandon { worker, id }).await);
    }

    /// The connection of a worker, if it has one.
    pub fn connection(&self, worker: &str) -> Option<ConnectionHandle> {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        match places.get(worker) {
            Some(Place::Attached(connection)) if connection.is_up() => Some(connection.clone()),
            _ => None,
        }
    }

    /// All connections, in no order.
    pub fn connections(&self) -> Vec<ConnectionHandle> {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        let attached = places.values().filter_map(|place| match place {
            Place::Attached(connection) if connection.is_up() => Some(connection.clone()),
            _ => None,
        });
        attached.collect()
    }

    /// Whether a link of this worker has the place, and its worker has not said who it is yet.
    #[cfg(test)]
    pub(in crate::worker) fn is_greeting(&self, worker: &str) -> bool {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        matches!(places.get(worker), Some(Place::Greeting(..)))
    }

    /// Changes whenever a connection comes or goes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }
}
