//! What outlives a link: the commands of a worker, and what they say while there is no master.
//!
//! # Not here
//! How long to wait for the next link, and where what leaves memory goes (`bot`).

use std::{
    collections::VecDeque,
    io,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{Wish, crew::Crew};
use crate::protocol::{
    FromWorker, ToWorker,
    bot::{Away, BotEvent, KeptId, gather::Now},
};

/// Commands between two links.
#[derive(Debug)]
pub struct Suspended {
    pub(super) grace: Duration,
    pub(super) crew: Crew,
    pub(super) wish: Wish,
    /// Orders alone.
    pub(super) events: VecDeque<BotEvent>,
}

impl Suspended {
    /// How long the next link is waited for.
    pub const fn grace(&self) -> Duration {
        self.grace
    }

    /// Whether no command runs that a master may want, and nothing is kept for one.
    pub fn is_empty(&self) -> bool {
        self.crew.is_empty()
    }

    /// Hears what a command says: see [`crate::protocol::bot::Conversation::say`].
    pub fn say(&mut self, message: FromWorker, now: Now) {
        if message == FromWorker::WantsShutdown {
            self.wish = Wish::Held;
        } else {
            self.crew.say(message, now);
        }
    }

    /// When [`Suspended::tick`] has something to do.
    pub fn due(&self) -> Option<Instant> {
        self.crew.due()
    }

    /// Does what is due by now. Commands that were not wanted on a link before are given up once it is time for them.
    pub fn tick(&mut self, now: Now) {
        self.crew.tick(now, &mut self.events);
    }

    /// What is to be done to a command, the oldest first: what the master wanted before the link was lost, and
    /// interrupts. What is not asked for is told by the next session.
    pub fn poll_order(&mut self) -> Option<ToWorker> {
        match self.events.pop_front() {
            Some(BotEvent::Order(order)) => Some(order),
            _ => None,
        }
    }

    /// See [`crate::protocol::bot::Conversation::overflow`].
    pub fn overflow(&mut self) -> Option<(KeptId, Bytes)> {
        self.crew.overflow()
    }

    /// See [`crate::protocol::bot::Conversation::stowed`].
    pub fn stowed(&mut self, kept: KeptId, away: Box<dyn Away>) {
        self.crew.stowed(kept, away);
    }

    /// See [`crate::protocol::bot::Conversation::wanted`]: nothing, as nothing is sent.
    pub fn wanted(&mut self) -> Option<(KeptId, Box<dyn Away>)> {
        self.crew.wanted()
    }

    /// See [`crate::protocol::bot::Conversation::fetched`].
    pub fn fetched(&mut self, kept: KeptId, body: io::Result<Bytes>) {
        self.crew.fetched(kept, body, &mut self.events);
    }

    /// See [`crate::protocol::bot::Conversation::is_full`].
    pub fn is_full(&self) -> bool {
        self.crew.is_full()
    }
}
