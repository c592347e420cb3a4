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
    pub(super) fn new(suspended: Suspended, folder: PathBuf) -> Self {
        let until = Instant::now() + suspended.grace();
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
    /// Dropped before it returns, nothing is lost.
    pub(super) async fn listen(&mut self, station: &mut Station) {
        loop {
            if let Some((id, bytes)) = self.suspended.overflow() {
                match self.spool.put(bytes).await {
                    Ok(away) => self.suspended.stowed(id, away),
                    Err(error) => {
                        // It stays in memory; more than that is not taken.
                        tracing::warn!(%error, "cannot put away what the master is to be told");
                        sleep_until(self.until).await;
                        return;
                    }
                }
                continue;
            }
            let due = self.suspended.due().map_or(self.until, Instant::from_std);
            tokio::select! {
                // Cancel-safe: a message is taken only when it is returned; alarms stay so.
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
