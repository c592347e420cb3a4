//! What stands between a build and its worker: the link of the day, and the wait for the next one.
//!
//! Most workers kill their commands when they lose their link. One whose commands outlive it comes back in the same session,
//! and a build waits for it.
//!
//! # Laws
//! - A build has one link at a time, and a lease on its folder there.
//! - It waits no longer than the grace that its worker had when the link was lost, and not at all for a worker of another
//!   session: the commands of that one are gone.
//!
//! # Not here
//! What is said of a command that goes on (`step::command`), and which builds outlive the master (`resume`).

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{self, Instant};
use tracing::{debug, info};

use crate::{
    model::WorkerName,
    protocol::{CommandId, SessionId, TransferReply, WorkerCommand},
    worker::{CommandEvents, ConnectionHandle, Lease, LinkGone, RegistryHandle},
};

/// The way from a build to its worker.
#[derive(Debug)]
pub struct Line {
    registry: RegistryHandle,
    /// Whose.
    pub worker: WorkerName,
    /// The builder, as the worker knows it.
    pub builder: Arc<str>,
    /// Its folder there.
    folder: String,
    /// In which life of the worker, and how long that is waited for.
    session: Option<(SessionId, Duration)>,
    now: Mutex<Option<(ConnectionHandle, Lease)>>,
    /// Commands that have ended, which their worker remembers until it is told that this is safe.
    ended: Mutex<Vec<CommandId>>,
}

impl Line {
    /// Over a link that is there, with the lease of the build on it.
    pub fn new(
        registry: RegistryHandle,
        connection: ConnectionHandle,
        lease: Lease,
        builder: &str,
        folder: &str,
    ) -> Self {
        let session = connection.outlives().map(|(session, grace)| (session.clone(), grace));
        Self {
            registry,
            worker: connection.worker.clone(),
            builder: builder.into(),
            folder: folder.to_owned(),
            session,
            now: Mutex::new(Some((connection, lease))),
            ended: Mutex::default(),
        }
    }

    /// To a worker that is to come back.
    pub fn broken(
        registry: RegistryHandle,
        worker: WorkerName,
        builder: &str,
        folder: &str,
        session: SessionId,
        grace: Duration,
    ) -> Self {
        let session = Some((session, grace));
        Self {
            registry,
            worker,
            builder: builder.into(),
            folder: folder.to_owned(),
            session,
            now: Mutex::new(None),
            ended: Mutex::default(),
        }
    }

    /// The link, up or not; nothing before there was one.
    pub fn connection(&self) -> Option<ConnectionHandle> {
        self.now().as_ref().map(|(connection, _)| connection.clone())
    }

    /// The life of the worker in which its commands outlive a link.
    pub fn session(&self) -> Option<&SessionId> {
        self.session.as_ref().map(|(session, _)| session)
    }

    /// Starts a command: see [`ConnectionHandle::start`]. If the link is lost, the next one is waited for.
    pub async fn start(&self, id: CommandId, command: WorkerCommand) -> Result<CommandEvents, LinkGone> {
        let Some(session) = &self.session else {
            let connection = self.connection().ok_or(LinkGone)?;
            return connection.start(id, Arc::clone(&self.builder), command).await;
        };
        let until = Instant::now() + session.1;
        loop {
            if let Some(connection) = self.connection() {
                let command = command.clone();
                if let Ok(events) = connection.start(id.clone(), Arc::clone(&self.builder), command).await {
                    return Ok(events);
                }
            }
            self.again(until).await?;
        }
    }

    /// Waits until the worker is back, and goes on with a command: see [`ConnectionHandle::adopt`].
    ///
    /// # Errors
    /// [`LinkGone`]: it did not come back within its grace, or in another life.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the command may be asked for already; it can be asked for again.
    pub async fn adopt(
        &self,
        id: &CommandId,
        received: u64,
        reply: Option<TransferReply>,
    ) -> Result<CommandEvents, LinkGone> {
        let until = Instant::now() + self.session.as_ref().map_or(Duration::ZERO, |(_, grace)| *grace);
        loop {
            let connection = self.again(until).await?;
            if let Ok(events) = connection.adopt(id.clone(), received, reply.clone()).await {
                info!(worker = %self.worker, command = %id, "the worker is back, and its command goes on");
                return Ok(events);
            }
        }
    }

    /// Ends a command early: see [`ConnectionHandle::interrupt`].
    pub async fn interrupt(&self, id: &CommandId, why: &str) -> Result<(), LinkGone> {
        self.connection().ok_or(LinkGone)?.interrupt(id, why).await
    }

    /// Answers a transfer: see [`ConnectionHandle::reply`].
    pub async fn reply(&self, id: &CommandId, reply: TransferReply) -> Result<(), LinkGone> {
        self.connection().ok_or(LinkGone)?.reply(id, reply).await
    }

    /// Tells that news are safe: see [`ConnectionHandle::acknowledge`].
    pub async fn acknowledge(&self, id: &CommandId, number: u64) -> Result<(), LinkGone> {
        self.connection().ok_or(LinkGone)?.acknowledge(id, number).await
    }

    /// A command has ended; that is safe once its step has its end, see [`Line::settle`].
    pub fn ended(&self, id: CommandId) {
        if self.session.is_some() {
            self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        }
    }

    /// The end of a step is durable: its worker may forget the commands of it.
    pub async fn settle(&self) {
        let ended = std::mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner));
        for id in ended {
            if self.acknowledge(&id, u64::MAX).await.is_err() {
                // It is away, and forgets what no master asks for.
                debug!(command = %id, "the link went down before an end was told to be safe");
            }
        }
    }

    /// A command is given up: should the worker come back, it must not run on.
    pub async fn abandon(&self, id: &CommandId) {
        self.registry.abandon(self.worker.clone(), id.clone()).await;
    }

    /// Waits until the worker is gone: its link, and with it the life in which its commands would go on.
    ///
    /// # Cancel safety
    /// Dropped before it returns, nothing is lost.
    pub async fn lost(&self) {
        loop {
            if let Some(connection) = self.connection() {
                connection.gone().await;
            }
            let Some((_, grace)) = &self.session else { return };
            if self.again(Instant::now() + *grace).await.is_err() {
                return;
            }
        }
    }

    /// Cuts the link.
    pub fn close(&self) {
        if let Some(connection) = self.connection() {
            connection.close();
        }
    }

    /// Waits for another link of the same life, and takes it.
    async fn again(&self, until: Instant) -> Result<ConnectionHandle, LinkGone> {
        let (session, _) = self.session.as_ref().ok_or(LinkGone)?;
        let mut changes = self.registry.changes();
        let before = self.connection();
        // Its program has stopped, or was told to: whoever comes next is another.
        if before.as_ref().is_some_and(|before| before.is_session_over() || before.is_dismissed()) {
            return Err(LinkGone);
        }
        let before = before.map(|connection| connection.epoch);
        loop {
            changes.mark_unchanged();
            let next = self.registry.connection(self.worker.as_str());
            if let Some(next) = next.filter(|next| Some(next.epoch) != before) {
                if next.outlives().is_none_or(|(other, _)| other != session) {
                    return Err(LinkGone);
                }
                let lease = next.lease(&self.builder, &self.folder);
                *self.now() = Some((next.clone(), lease));
                return Ok(next);
            }
            match time::timeout_at(until, changes.changed()).await {
                Ok(Ok(())) => {}
                // Too late; or the master stops.
                Err(_) | Ok(Err(_)) => return Err(LinkGone),
            }
        }
    }

    fn now(&self) -> MutexGuard<'_, Option<(ConnectionHandle, Lease)>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
