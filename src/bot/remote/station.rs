//! The bot at work and the link to it. They belong to the loop that connects, not to one connection: where the master knows
//! a word for that, its commands outlive the one and are gone on with on the next.
//!
//! # Laws
//! - When [`Station::end`] returns, no command runs; it takes [`END_LIMIT`] at most.
//! - An order that was taken from a conversation is not lost while the bot has no room for it.

use std::time::Duration;

use tokio::{sync::mpsc::error::TrySendError, task::JoinHandle, time::timeout};

use crate::{
    bot::{Bot, LinkEnd, session::KILL_LIMIT},
    model::WorkerInfo,
    net::random,
    protocol::{
        FromWorker, ToWorker,
        link::{self, Link},
    },
};

/// How long the bot may take to end: its commands are killed within [`KILL_LIMIT`], and it may be at work on a folder.
const END_LIMIT: Duration = KILL_LIMIT.saturating_add(Duration::from_secs(5));

/// The bot serves no link any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BotGone;

/// See the module.
#[derive(Debug)]
pub(super) struct Station {
    pub(super) link: Link,
    /// An order that the bot has no room for yet.
    pub(super) pending: Option<ToWorker>,
    /// Names this life of its commands.
    pub(super) session: String,
    info: Option<WorkerInfo>,
    task: JoinHandle<LinkEnd>,
}

impl Station {
    /// Starts the bot on a link of its own.
    pub(super) fn start(bot: &Bot) -> Self {
        let (link, end) = link::pair();
        let bot = bot.clone();
        Self::new(link, tokio::spawn(async move { bot.run(end).await }))
    }

    /// A bot that runs, and the master's end of its link.
    pub(super) fn new(link: Link, task: JoinHandle<LinkEnd>) -> Self {
        let session = format!("{:032x}", u128::from_ne_bytes(random()));
        Self { link, pending: None, session, info: None, task }
    }

    /// What the bot tells of itself before all else; it waits no longer than a bot may take to look around.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may be called again.
    pub(super) async fn info(&mut self) -> Result<WorkerInfo, BotGone> {
        if let Some(info) = &self.info {
            return Ok(info.clone());
        }
        match self.link.from_worker.recv().await {
            Some(FromWorker::Hello(info)) => Ok(self.info.insert(info).clone()),
            Some(other) => unreachable!("a bot says hello first, not {other:?}"),
            None => Err(BotGone),
        }
    }

    /// Gives the bot an order, or keeps it until there is room; only while nothing is kept.
    pub(super) fn order(&mut self, order: ToWorker) -> Result<(), BotGone> {
        match self.link.to_worker.try_send(order) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(order)) => {
                self.pending = Some(order);
                Ok(())
            }
            Err(TrySendError::Closed(_)) => Err(BotGone),
        }
    }

    /// Ends the link, and all commands with it.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the commands are killed without waiting for that.
    pub(super) async fn end(self) {
        let Self { link, mut task, .. } = self;
        drop(link);
        match timeout(END_LIMIT, &mut task).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::error!(%error, "the task of the bot failed"),
            Err(_) => {
                // What it still holds is killed as it is dropped.
                task.abort();
                tracing::error!("the bot did not end within {} s", END_LIMIT.as_secs());
            }
        }
    }
}
