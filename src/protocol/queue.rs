//! A bounded queue that is small while it is empty.
//!
//! tokio's own keeps a KiB of memory for each, much of it to keep its ends on lines of the cache of their own. A link has
//! three, and ten thousand idle links would pay for them.
//!
//! # Laws
//! - Messages come out in the order in which they went in, each once.
//! - An empty queue holds no room for messages.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{
    Notify, Semaphore, TryAcquireError,
    mpsc::error::{SendError, TryRecvError, TrySendError},
};

/// A queue of at most so many messages.
pub fn queue<T>(depth: usize) -> (Sender<T>, Receiver<T>) {
    let queue = Arc::new(Queue {
        state: Mutex::new(State { waiting: VecDeque::new(), senders: 1, is_abandoned: false }),
        room: Semaphore::new(depth),
        news: Notify::new(),
        closed: Notify::new(),
    });
    (Sender(Arc::clone(&queue)), Receiver(queue))
}

struct Queue<T> {
    state: Mutex<State<T>>,
    /// How many more may go in; closed with the queue.
    room: Semaphore,
    /// Wakes the receiver: something went in, or nothing more will.
    news: Notify,
    /// Wakes those who wait for the end.
    closed: Notify,
}

struct State<T> {
    waiting: VecDeque<T>,
    senders: usize,
    /// The receiver is gone.
    is_abandoned: bool,
}

/// Where messages are put in: as tokio's, with the same errors and the same cancel safety.
pub struct Sender<T>(Arc<Queue<T>>);

/// Where messages come out: as tokio's, with the same cancel safety.
pub struct Receiver<T>(Arc<Queue<T>>);

/// Room for one message, given back when it is dropped.
pub struct Permit<'a, T>(&'a Queue<T>);

impl<T> Sender<T> {
    /// Puts a message in, once there is room.
    pub async fn send(&self, message: T) -> Result<(), SendError<T>> {
        match self.reserve().await {
            Ok(permit) => {
                permit.send(message);
                Ok(())
            }
            Err(_) => Err(SendError(message)),
        }
    }

    /// Puts a message in, if there is room.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        match self.0.room.try_acquire() {
            Ok(permit) => permit.forget(),
            Err(TryAcquireError::NoPermits) => return Err(TrySendError::Full(message)),
            Err(TryAcquireError::Closed) => return Err(TrySendError::Closed(message)),
        }
        Permit(&self.0).send(message);
        Ok(())
    }

    /// Waits for room.
    pub async fn reserve(&self) -> Result<Permit<'_, T>, SendError<()>> {
        let permit = self.0.room.acquire().await.map_err(|_| SendError(()))?;
        permit.forget();
        Ok(Permit(&self.0))
    }

    /// Waits until nobody takes messages out any more.
    pub async fn closed(&self) {
        let closed = self.0.closed.notified();
        // It hears of the end from its making on, so that between this look and the wait none is missed.
        if !self.is_closed() {
            closed.await;
        }
    }

    /// Whether nobody takes messages out any more.
    pub fn is_closed(&self) -> bool {
        self.0.room.is_closed()
    }
}

impl<T> Receiver<T> {
    /// The next message; nothing once all senders are gone.
    pub async fn recv(&mut self) -> Option<T> {
        loop {
            match self.try_recv() {
                Ok(message) => return Some(message),
                Err(TryRecvError::Disconnected) => return None,
                // A notice that comes before this wait is kept.
                Err(TryRecvError::Empty) => self.0.news.notified().await,
            }
        }
    }

    /// The next message, if there is one.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let mut state = self.0.state();
        let Some(message) = state.waiting.pop_front() else {
            let has_ended = state.senders == 0 || self.0.room.is_closed();
            return Err(if has_ended { TryRecvError::Disconnected } else { TryRecvError::Empty });
        };
        if state.waiting.is_empty() {
            state.waiting = VecDeque::new();
        }
        drop(state);
        self.0.room.add_permits(1);
        Ok(message)
    }

    /// Takes no more in; what is there still comes out.
    pub fn close(&mut self) {
        self.0.room.close();
        self.0.closed.notify_waiters();
    }
}

impl<T> Permit<'_, T> {
    /// Puts the message in.
    pub fn send(self, message: T) {
        let mut state = self.0.state();
        // What nobody will read is dropped at once: it may hold what others wait for.
        let unread = if state.is_abandoned {
            Some(message)
        } else {
            state.waiting.push_back(message);
            None
        };
        drop(state);
        drop(unread);
        self.0.news.notify_one();
        // Its room is the message's now.
        std::mem::forget(self);
    }
}

impl<T> Queue<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.state().senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.senders -= 1;
        let is_last = state.senders == 0;
        drop(state);
        if is_last {
            self.0.news.notify_one();
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.close();
        let mut state = self.0.state();
        state.is_abandoned = true;
        let unread = std::mem::take(&mut state.waiting);
        // Not within the lock: what nobody will read may hold a sender.
        drop(state);
        drop(unread);
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        self.0.room.add_permits(1);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn a_full_queue_holds_its_senders_back_until_there_is_room() {
        let (sender, mut receiver) = queue(2);
        sender.send(1).await.unwrap();
        sender.send(2).await.unwrap();
        assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
        let mut third = Box::pin(sender.send(3));
        assert_eq!(poll!(&mut third), Poll::Pending);
        assert_eq!(receiver.recv().await, Some(1));
        assert_eq!(poll!(&mut third), Poll::Ready(Ok(())));
        assert_eq!((receiver.recv().await, receiver.recv().await), (Some(2), Some(3)));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    }

    #[tokio::test]
    async fn room_that_is_not_used_is_given_back() {
        let (sender, mut receiver) = queue(1);
        drop(sender.reserve().await.unwrap());
        let permit = sender.reserve().await.unwrap();
        assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
        permit.send(1);
        assert_eq!(receiver.recv().await, Some(1));
    }

    #[tokio::test]
    async fn the_receiver_sees_what_is_there_and_then_the_end_of_the_last_sender() {
        let (sender, mut receiver) = queue(4);
        let second = sender.clone();
        drop(sender);
        let mut end = Box::pin(async { (receiver.recv().await, receiver.recv().await) });
        assert_eq!(poll!(&mut end), Poll::Pending, "one sender is left");
        second.send(1).await.unwrap();
        drop(second);
        assert_eq!(end.await, (Some(1), None));
    }

    #[tokio::test]
    async fn senders_hear_that_the_receiver_is_gone_and_what_it_left_is_dropped() {
        let (sender, receiver) = queue(1);
        let message = Arc::new(());
        sender.send(Arc::clone(&message)).await.unwrap();
        let mut waits = Box::pin(sender.send(Arc::new(())));
        let mut closed = Box::pin(sender.closed());
        assert!(poll!(&mut waits).is_pending() && poll!(&mut closed).is_pending());
        drop(receiver);
        assert!(waits.await.is_err());
        closed.await;
        sender.closed().await;
        assert!(matches!(sender.try_send(Arc::clone(&message)), Err(TrySendError::Closed(_))));
        assert_eq!(Arc::strong_count(&message), 1);
    }

    #[tokio::test]
    async fn what_comes_after_the_receiver_is_dropped() {
        let (sender, receiver) = queue(1);
        let permit = sender.reserve().await.unwrap();
        drop(receiver);
        let message = Arc::new(());
        permit.send(Arc::clone(&message));
        assert_eq!(Arc::strong_count(&message), 1, "the sender is still there, and keeps nothing");
    }

    #[tokio::test]
    async fn a_closed_queue_gives_out_what_is_in_it() {
        let (sender, mut receiver) = queue(2);
        sender.send(1).await.unwrap();
        receiver.close();
        assert!(sender.is_closed() && sender.send(2).await.is_err());
        assert_eq!((receiver.recv().await, receiver.recv().await), (Some(1), None));
    }

    #[tokio::test]
    async fn an_empty_queue_keeps_no_room() {
        let (sender, mut receiver) = queue(64);
        for message in 0..64 {
            sender.send(message).await.unwrap();
        }
        while receiver.try_recv().is_ok() {}
        assert_eq!(receiver.0.state().waiting.capacity(), 0);
    }
}
