//! What a worker does while no master hears it: its commands run on, and what they say is kept for the next connection.
//!
//! # Laws
//! - It lasts until the grace is over that the master gave; then all commands end.
//! - What is kept is bounded; beyond that the commands wait.
//!
//! # Not here
//! What is kept of what a command says (`protocol::msgpack`), where (`spool`).
//!
//! # Source
//! `docs/design/resume.md`.

use std::path::PathBuf;

use tokio::time::{Instant, sleep_until};

use super::{pump::at, spool::Spool, station::Station};
use crate::protocol::msgpack::bot::Suspended;

/// See the module.
pub(super) struct Asleep {
    suspended: Suspended,
    /// When all commands end.
    until: Instant,
    spool: Spool,
}

impl Asleep {
    /// From the loss of a connection on.
    pub(super) fn new(suspended: Suspended, until: Instant, folder: PathBuf) -> Self {
        Self { suspended, until, spool: Spool::new(folder) }
    }

    /// Whether nothing runs and nothing is kept.
    pub(super) fn is_idle(&self) -> bool {
        self.suspended.is_empty()
    }

    /// What is kept, for the next connection, and until when commands may be asked for there.
    pub(super) fn wake(self) -> (Suspended, Instant) {
        (self.suspended, self.until)
    }

    /// Keeps what the bot says. Returns when the grace is over, or the bot has ended.
    ///
    /// # Cancel safety
    /// Dropped before it returns, nothing is lost; what was about to leave memory stays there.
    pub(super) async fn listen(&mut self, station: &mut Station) {
        loop {
            while station.pending.is_none()
                && let Some(order) = self.suspended.poll_order()
            {
                if station.order(order).is_err() {
                    return;
                }
            }
            if self.spool.takes_more()
                && let Some((id, bytes)) = self.suspended.overflow()
            {
                if let Some(away) = self.spool.put(bytes).await {
                    self.suspended.stowed(id, away);
                }
                continue;
            }
            let due = self.suspended.due().map_or(self.until, Instant::from_std);
            tokio::select! {
                // Cancel-safe: a permit that is not returned is not taken, a message is taken only when it is returned;
                // alarms stay so.
                permit = station.link.to_worker.reserve(), if station.pending.is_some() => match permit {
                    Ok(permit) => if let Some(order) = station.pending.take() {
                        permit.send(order);
                    },
                    Err(_) => return,
                },
                message = station.link.from_worker.recv(), if !self.suspended.is_full() => match message {
                    Some(message) => self.suspended.say(message, at(Instant::now())),
                    None => return,
                },
                () = sleep_until(due), if due < self.until => self.suspended.tick(at(Instant::now())),
                () = sleep_until(self.until) => return,
            }
        }
    }
}
