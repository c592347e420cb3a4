//! Two queues between master and worker, whatever carries them: a socket's task, or nothing at all for a LocalWorker.

use tokio::sync::mpsc::{
    self,
    error::{SendError, TryRecvError, TrySendError},
};

use super::message::{FromWorker, ToWorker};

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

/// A queue of at most so many messages, small while it is empty: tokio's own keeps room for 32 of them from the start,
/// which ten thousand idle links would pay for. So each message has a box of its own.
pub fn queue<T>(depth: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::channel(depth);
    (Sender(sender), Receiver(receiver))
}

/// Where messages are put in: as tokio's, with the same errors and the same cancel safety.
#[derive(Debug)]
pub struct Sender<T>(mpsc::Sender<Box<T>>);

/// Where messages come out: as tokio's, with the same cancel safety.
#[derive(Debug)]
pub struct Receiver<T>(mpsc::Receiver<Box<T>>);

/// Room for one message.
#[derive(Debug)]
pub struct Permit<'a, T>(mpsc::Permit<'a, Box<T>>);

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Sender<T> {
    /// Puts a message in, once there is room.
    pub async fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.0.send(Box::new(message)).await.map_err(|SendError(message)| SendError(*message))
    }

    /// Puts a message in, if there is room.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.0.try_send(Box::new(message)).map_err(|error| match error {
            TrySendError::Full(message) => TrySendError::Full(*message),
            TrySendError::Closed(message) => TrySendError::Closed(*message),
        })
    }

    /// Waits for room.
    pub async fn reserve(&self) -> Result<Permit<'_, T>, SendError<()>> {
        self.0.reserve().await.map(Permit)
    }

    /// Waits until nobody takes messages out any more.
    pub async fn closed(&self) {
        self.0.closed().await;
    }

    /// Whether nobody takes messages out any more.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl<T> Receiver<T> {
    /// The next message; nothing once all senders are gone.
    pub async fn recv(&mut self) -> Option<T> {
        self.0.recv().await.map(|message| *message)
    }

    /// The next message, if there is one.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.0.try_recv().map(|message| *message)
    }

    /// Takes no more in; what is there still comes out.
    pub fn close(&mut self) {
        self.0.close();
    }
}

impl<T> Permit<'_, T> {
    /// Puts the message in.
    pub fn send(self, message: T) {
        self.0.send(Box::new(message));
    }
}
