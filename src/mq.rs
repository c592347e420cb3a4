//! Events in, subscriptions out: what the store has committed is told to all who asked.
//!
//! A queue in memory that remembers the last [`DEPTH`] events. Telling never waits: a listener that falls further
//! behind is told how many it lost, and reads them in the store if it needs them.
//!
//! # Laws
//! - Each subscription sees the events of its filter in the order of their ids, each at most once.
//! - None is lost in silence: either [`Subscription::next`] gives it, or it is counted by a [`NextError::Lagged`].
//!
//! # Not here
//! Writing events (`store`), and the durable cursors of reporters.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::model::{Event, EventKind};

/// How many events are kept for the slowest listener. One build makes about ten, so this is some hundred builds;
/// an event is shared, so a full queue costs what its events cost.
pub const DEPTH: usize = 4096;

/// The queue. A clone is the same queue; once all are dropped, the subscriptions end.
#[derive(Clone, Debug)]
pub struct Mq {
    sender: broadcast::Sender<Arc<Event>>,
}

/// Which events a subscription wants. Empty conditions allow all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of one of these kinds; of any kind if empty.
    pub kinds: Vec<EventKind>,
    /// Of the row with this key; of any row if absent.
    pub key: Option<i64>,
}

/// Events as they come, from the moment of the subscription on.
#[derive(Debug)]
pub struct Subscription {
    receiver: broadcast::Receiver<Arc<Event>>,
    filter: EventFilter,
}

/// Why there is no next event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NextError {
    /// The listener was too slow. The next call goes on with the oldest event that is still there.
    #[error("{lost} events were lost, since this listener was too slow")]
    Lagged {
        /// How many events were lost, those that the filter would have left out counted too.
        lost: u64,
    },
    /// The queue has ended, and all its events were given.
    #[error("there are no more events, since the master is stopping")]
    Closed,
}

impl EventFilter {
    /// All events.
    pub fn all() -> Self {
        Self::default()
    }

    /// Events of these kinds.
    pub fn kinds(kinds: impl IntoIterator<Item = EventKind>) -> Self {
        Self { kinds: kinds.into_iter().collect(), key: None }
    }

    /// Of these, only those about the row with this key.
    #[must_use]
    pub const fn of(mut self, key: i64) -> Self {
        self.key = Some(key);
        self
    }

    /// Whether it wants this event.
    pub fn matches(&self, event: &Event) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && self.key.is_none_or(|key| key == event.key)
    }
}

impl Mq {
    /// A queue without listeners.
    pub fn new() -> Self {
        Self { sender: broadcast::Sender::new(DEPTH) }
    }

    /// Tells committed events, in their order. Never waits; without listeners it does nothing.
    pub fn publish(&self, events: Vec<Arc<Event>>) {
        for event in events {
            // The only failure is that nobody listens.
            drop(self.sender.send(event));
        }
    }

    /// Listens from now on.
    pub fn subscribe(&self, filter: EventFilter) -> Subscription {
        Subscription { receiver: self.sender.subscribe(), filter }
    }
}

impl Default for Mq {
    fn default() -> Self {
        Self::new()
    }
}

impl Subscription {
    /// The next event of the filter. Waits as long as none comes: the caller sets the limit.
    ///
    /// # Errors
    /// [`NextError::Lagged`] once for each gap, [`NextError::Closed`] at the end.
    ///
    /// # Cancel safety
    /// Dropped before it returns, no event is lost.
    pub async fn next(&mut self) -> Result<Arc<Event>, NextError> {
        loop {
            match self.receiver.recv().await {
                Ok(event) if self.filter.matches(&event) => return Ok(event),
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(lost)) => return Err(NextError::Lagged { lost }),
                Err(broadcast::error::RecvError::Closed) => return Err(NextError::Closed),
            }
        }
    }

    /// Skips all that has happened until now: for one who is about to look at the whole state, and need not be told of each
    /// change that it will see.
    pub fn skip_to_now(&mut self) {
        self.receiver = self.receiver.resubscribe();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventId, Timestamp};

    fn event(id: i64, kind: EventKind, key: i64) -> Arc<Event> {
        Arc::new(Event {
            id: EventId(id),
            kind,
            key,
            at: Timestamp::UNIX_EPOCH,
            body: serde_json::Value::Null,
        })
    }

    #[tokio::test]
    async fn a_subscription_sees_its_events_in_order_and_then_the_end() {
        let mq = Mq::new();
        mq.publish(vec![event(1, EventKind::BuildStarted, 7)]);
        let mut all = mq.subscribe(EventFilter::all());
        let mut one = mq.subscribe(EventFilter::kinds([EventKind::BuildFinished]).of(8));
        mq.publish(vec![
            event(2, EventKind::BuildFinished, 7),
            event(3, EventKind::BuildStarted, 8),
            event(4, EventKind::BuildFinished, 8),
        ]);
        drop(mq);
        for id in 2..=4 {
            assert_eq!(all.next().await.unwrap().id, EventId(id), "nothing from before the subscription");
        }
        assert_eq!(all.next().await, Err(NextError::Closed));
        assert_eq!(one.next().await.unwrap().id, EventId(4));
        assert_eq!(one.next().await, Err(NextError::Closed));
    }

    #[tokio::test]
    async fn who_skips_to_now_hears_what_comes_after() {
        let mq = Mq::new();
        let mut all = mq.subscribe(EventFilter::all());
        let count = i64::try_from(DEPTH).unwrap() + 10;
        mq.publish((1..=count).map(|id| event(id, EventKind::StepStarted, id)).collect());
        all.skip_to_now();
        mq.publish(vec![event(count + 1, EventKind::StepStarted, 1)]);
        assert_eq!(all.next().await.unwrap().id, EventId(count + 1));
    }

    #[tokio::test]
    async fn a_slow_listener_is_told_how_many_events_it_lost() {
        let mq = Mq::new();
        let mut slow = mq.subscribe(EventFilter::all());
        let count = i64::try_from(DEPTH).unwrap() + 10;
        mq.publish((1..=count).map(|id| event(id, EventKind::StepStarted, id)).collect());
        assert_eq!(slow.next().await, Err(NextError::Lagged { lost: 10 }));
        assert_eq!(
            slow.next().await.unwrap().id,
            EventId(11),
            "then it goes on with the oldest that is kept"
        );
    }
}
