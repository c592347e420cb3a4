//! Two queues between master and worker, whatever carries them: a socket's task, or nothing at all for a LocalWorker.

use super::message::{FromWorker, ToWorker};

pub use super::queue::{Permit, Receiver, Sender, queue};

/// Messages waiting in each direction. A burst is one order and the start of one output for each of some dozen
/// commands; more than that should hold its sender back.
pub const DEPTH: usize = 64;

/// The master's end of the way to a worker. The link is down when either queue is closed.
#[derive(Debug)]
pub struct Link {
    /// What the master says.
    pub to_worker: Sender<ToWorker>,
    /// What the worker says.
    pub from_worker: Receiver<FromWorker>,
}

/// The worker's end.
#[derive(Debug)]
pub struct WorkerEnd {
    /// What the master says.
    pub from_master: Receiver<ToWorker>,
    /// What the worker says.
    pub to_master: Sender<FromWorker>,
}

/// Both ends of a new link.
pub fn pair() -> (Link, WorkerEnd) {
    let (to_worker, from_master) = queue(DEPTH);
    let (to_master, from_worker) = queue(DEPTH);
    (Link { to_worker, from_worker }, WorkerEnd { from_master, to_master })
}
