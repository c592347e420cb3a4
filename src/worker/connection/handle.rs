//! What others hold of a link: how its worker is given commands, and told to stop.
//!
//! # Laws
//! - A handle keeps no link up, and outlives it: what is ordered then is told to be [`LinkGone`].
//!
//! # Not here
//! What becomes of an order (the task, `connection`).

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc, oneshot},
    time,
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    model::{Timestamp, WorkerInfo, WorkerName},
    protocol::{
        CommandId, SessionId, Transfer, TransferReply, Update, WorkerCommand, link, message::BuilderFolder,
    },
    worker::{
        lease::{Lease, Leases},
        registry::Epoch,
    },
};

/// How long a program that was told to stop may keep its link: `buildbot-worker` hangs up after 0.2 s.
const STOPS_WITHIN: Duration = Duration::from_secs(5);

/// News waiting for the reader of one command: enough to keep the disk busy while the next ones come.
const EVENTS_DEPTH: usize = 16;

/// Orders waiting for a link: a start and an interrupt for each of some dozen commands.
const ORDERS_DEPTH: usize = 64;

/// The link is gone, or was never up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the link to the worker is gone")]
pub struct LinkGone;

/// News of a command.
#[derive(Debug)]
pub enum CommandEvent {
    /// Output, or a fact.
    Update(Update),
    /// Bytes of a file; what waits for an answer is answered by [`ConnectionHandle::reply`].
    Transfer(Transfer),
    /// All news up to here are known by this number: see [`ConnectionHandle::adopt`].
    Mark(u64),
    /// The worker has no such command to go on with. The last news.
    Unknown,
    /// It has ended; the text says why it could not be carried out, if it could not.
    Complete(Option<String>),
}

/// News of one command, in order. Ends without a [`CommandEvent::Complete`] if the link is lost.
#[derive(Debug)]
pub struct CommandEvents {
    events: mpsc::Receiver<CommandEvent>,
}

impl CommandEvents {
    /// The next news; nothing once the command is complete or its link gone.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has taken nothing.
    pub async fn next(&mut self) -> Option<CommandEvent> {
        self.events.recv().await
    }
}

/// A link in use. Cheap to copy; it does not keep the link up.
#[derive(Clone, Debug)]
pub struct ConnectionHandle {
    /// Which of the links that this name had since the start.
    pub epoch: Epoch,
    /// Whose.
    pub worker: WorkerName,
    /// From where; absent for a worker inside this process.
    pub peer: Option<SocketAddr>,
    /// Since when.
    pub attached_at: Timestamp,
    /// What it said of itself, as JSON: ten thousand maps of texts would take thrice the room.
    info: Arc<str>,
    /// If its commands outlive the link: in which life of theirs, and how long.
    outlives: Option<Box<(SessionId, Duration)>>,
    orders: link::Sender<Order>,
    pub(super) leases: Leases,
    pub(super) gone: CancellationToken,
    /// The worker has said that no command will be gone on with.
    pub(super) over: CancellationToken,
    pub(super) close: CancellationToken,
    /// It is to stop whatever it runs.
    pub(super) killed: CancellationToken,
    /// Its program was told to stop.
    pub(super) dismissed: CancellationToken,
    /// What the operator or the configuration says of it may have changed.
    pub(in crate::worker) look_again: Arc<Notify>,
}

/// What the task of a link is asked to do.
#[derive(Debug)]
pub(super) enum Order {
    Start {
        id: CommandId,
        builder: Arc<str>,
        command: WorkerCommand,
        events: mpsc::Sender<CommandEvent>,
    },
    Adopt {
        id: CommandId,
        received: u64,
        reply: Option<Box<TransferReply>>,
        events: mpsc::Sender<CommandEvent>,
    },
    Acknowledge {
        id: CommandId,
        number: u64,
    },
    Abandon {
        id: CommandId,
    },
    Interrupt {
        id: CommandId,
        why: String,
    },
    Reply {
        id: CommandId,
        reply: TransferReply,
    },
    Ping(oneshot::Sender<()>),
}

impl ConnectionHandle {
    /// A handle of a link that is about to run, and what is ordered by it.
    pub(super) fn new(
        worker: WorkerName,
        epoch: Epoch,
        peer: Option<SocketAddr>,
        info: &WorkerInfo,
        outlives: Option<(SessionId, Duration)>,
        attached_at: Timestamp,
    ) -> (Self, link::Receiver<Order>) {
        let (sender, orders) = link::queue(ORDERS_DEPTH);
        let handle = Self {
            epoch,
            worker,
            peer,
            attached_at,
            info: serde_json::to_string(info).expect("what a worker says is JSON").into(),
            outlives: outlives.map(Box::new),
            orders: sender,
            leases: Leases::new(),
            gone: CancellationToken::new(),
            over: CancellationToken::new(),
            close: CancellationToken::new(),
            killed: CancellationToken::new(),
            dismissed: CancellationToken::new(),
            look_again: Arc::new(Notify::new()),
        };
        (handle, orders)
    }

    /// Starts a command.
    ///
    /// # Errors
    /// [`LinkGone`] if nothing was started. If the link is lost later, the events end without a `Complete`.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the command is started or not; a started one whose events nobody reads runs on
    /// until it ends by itself.
    pub async fn start(
        &self,
        id: CommandId,
        builder: Arc<str>,
        command: WorkerCommand,
    ) -> Result<CommandEvents, LinkGone> {
        let (sender, events) = mpsc::channel(EVENTS_DEPTH);
        self.order(Order::Start { id, builder, command, events: sender }).await?;
        Ok(CommandEvents { events })
    }

    /// Goes on with a command that was started on an earlier link of the same session. `received` is the last
    /// [`CommandEvent::Mark`] that was heard of it, `reply` what its last block was answered.
    ///
    /// # Errors
    /// [`LinkGone`] if this link is gone, too. A worker that has no such command says [`CommandEvent::Unknown`].
    ///
    /// # Cancel safety
    /// As [`ConnectionHandle::start`].
    pub async fn adopt(
        &self,
        id: CommandId,
        received: u64,
        reply: Option<TransferReply>,
    ) -> Result<CommandEvents, LinkGone> {
        let (sender, events) = mpsc::channel(EVENTS_DEPTH);
        let reply = reply.map(Box::new);
        self.order(Order::Adopt { id, received, reply, events: sender }).await?;
        Ok(CommandEvents { events })
    }

    /// Tells the worker that what a command said up to this mark is safe.
    pub async fn acknowledge(&self, id: &CommandId, number: u64) -> Result<(), LinkGone> {
        self.order(Order::Acknowledge { id: id.clone(), number }).await
    }

    /// A command of an earlier link is wanted no more. If many orders wait it is not told, and ends by the worker's own
    /// clock.
    pub(in crate::worker) fn abandon(&self, id: CommandId) {
        if self.orders.try_send(Order::Abandon { id }).is_err() {
            warn!(worker = %self.worker, "too busy to be told of a command that is given up");
        }
    }

    /// If its commands outlive the link: in which life of theirs, and for how long.
    pub fn outlives(&self) -> Option<(&SessionId, Duration)> {
        self.outlives.as_deref().map(|(session, grace)| (session, *grace))
    }

    /// Whether the worker has said that this life of its commands is over.
    pub fn is_session_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Ends a command early. Its `Complete` still comes.
    pub async fn interrupt(&self, id: &CommandId, why: &str) -> Result<(), LinkGone> {
        self.order(Order::Interrupt { id: id.clone(), why: why.to_owned() }).await
    }

    /// Answers a [`CommandEvent::Transfer`].
    pub async fn reply(&self, id: &CommandId, reply: TransferReply) -> Result<(), LinkGone> {
        self.order(Order::Reply { id: id.clone(), reply }).await
    }

    /// What the worker said of itself.
    pub fn info(&self) -> WorkerInfo {
        serde_json::from_str(&self.info).expect("it was written as JSON")
    }

    /// Has the worker keep this folder for a builder, whatever a reload says, until the lease is dropped.
    pub fn lease(&self, builder: &str, folder: &str) -> Lease {
        self.leases.take(BuilderFolder { builder: builder.into(), folder: folder.to_owned() })
    }

    /// Asks the worker for a sign of life; true if it comes within `patience`.
    pub async fn answers(&self, patience: Duration) -> bool {
        let (pong, answered) = oneshot::channel();
        let asked = async { self.order(Order::Ping(pong)).await.is_ok() && answered.await.is_ok() };
        time::timeout(patience, asked).await.unwrap_or(false)
    }

    /// Gives up its commands, tells the worker's program to stop, and cuts the link if that is not down after 5 s.
    /// Returns at once.
    pub fn kill(&self) {
        self.killed.cancel();
        self.cut_if_it_stays();
    }

    /// Has the link look at what the operator says of its worker.
    pub(in crate::worker) fn look_again(&self) {
        self.look_again.notify_one();
    }

    /// Whether its program was told to stop, or is about to be, whatever it runs.
    pub fn is_dismissed(&self) -> bool {
        self.killed.is_cancelled() || self.dismissed.is_cancelled()
    }

    /// Whether it is a part of this process.
    pub const fn is_local(&self) -> bool {
        self.peer.is_none()
    }

    /// Cuts a link whose program does not do as it was told.
    pub(super) fn cut_if_it_stays(&self) {
        let connection = self.clone();
        tokio::spawn(async move {
            if time::timeout(STOPS_WITHIN, connection.gone()).await.is_err() {
                warn!(worker = %connection.worker, "was told to stop and did not hang up; its link is cut");
                connection.close();
            }
        });
    }

    /// Cuts the link. Returns at once; [`ConnectionHandle::gone`] tells when it is down.
    pub fn close(&self) {
        self.close.cancel();
    }

    /// Waits until the link is down and that is durable.
    pub async fn gone(&self) {
        self.gone.cancelled().await;
    }

    /// Whether the link is up, as far as is known.
    pub fn is_up(&self) -> bool {
        !self.close.is_cancelled() && !self.gone.is_cancelled()
    }

    /// Whether it can be given a build: its link is up, and its program was not told to stop. Whether it *may* is the
    /// operator's word.
    pub fn takes_builds(&self) -> bool {
        self.is_up() && !self.is_dismissed()
    }

    async fn order(&self, order: Order) -> Result<(), LinkGone> {
        self.orders.send(order).await.map_err(|_| LinkGone)
    }
}
