//! The bot and its commands, over all connections: at work for a master, asleep between two of them, or ended.
//!
//! # Laws
//! - What sleeps and is asked for by nobody within its time ends.
//!
//! # Not here
//! What is kept while it sleeps (`asleep`).

use std::pin::pin;

use tokio::time::Instant;
use tracing::{info, warn};

use super::{asleep::Asleep, station::Station};
use crate::{bot::Bot, protocol::msgpack::bot::Suspended};

/// See the module.
pub(super) struct Bench<'a> {
    bot: &'a Bot,
    station: Option<Station>,
    asleep: Option<Asleep>,
}

impl<'a> Bench<'a> {
    /// With nothing on it.
    pub(super) const fn new(bot: &'a Bot) -> Self {
        Self { bot, station: None, asleep: None }
    }

    /// The bot at work; it is started if there is none.
    pub(super) fn station(&mut self) -> &mut Station {
        self.station.get_or_insert_with(|| Station::start(self.bot))
    }

    /// Whether no command waits for a master to go on with it.
    pub(super) fn is_idle(&self) -> bool {
        self.asleep.as_ref().is_none_or(Asleep::is_idle)
    }

    /// Whether the bot waits for the next connection.
    pub(super) const fn is_asleep(&self) -> bool {
        self.asleep.is_some()
    }

    /// Has the bot go on without a master.
    pub(super) fn sleep(&mut self, suspended: Suspended, until: Instant) {
        if !suspended.is_empty() {
            let seconds = until.saturating_duration_since(Instant::now()).as_secs();
            info!("commands run on for the next {seconds} s, in which the master may ask for them");
        }
        self.asleep = Some(Asleep::new(suspended, until, self.bot.settings.basedir.clone()));
    }

    /// What was kept, for the next connection, and until when commands may be asked for there.
    pub(super) fn wake(&mut self) -> Option<(Suspended, Instant)> {
        self.asleep.take().map(Asleep::wake)
    }

    /// Waits for something, while what sleeps is looked after.
    ///
    /// # Cancel safety
    /// That of `work`.
    pub(super) async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = self.time_is_over() => {
                    if !self.is_idle() {
                        warn!("no master has asked for the commands in time: they end");
                    }
                    self.end().await;
                }
            }
        }
    }

    async fn time_is_over(&mut self) {
        match (&mut self.asleep, &mut self.station) {
            (Some(asleep), Some(station)) => asleep.listen(station).await,
            _ => std::future::pending().await,
        }
    }

    /// Ends the bot with all its commands.
    pub(super) async fn end(&mut self) {
        self.asleep = None;
        if let Some(station) = self.station.take() {
            station.end().await;
        }
    }
}
