//! One task for one link: it knows which command wants which news.
//!
//! # Laws
//! - Updates of a command reach its [`CommandEvents`] in order; a slow reader holds its link back, and with it the
//!   worker: nothing piles up in the master. Orders pass all the while, so a command that floods can be interrupted.
//! - A link that gives no sign of life within its bounds (`keepalive`) is cut.
//! - `WorkerAttached` is durable before the connection is given out, `WorkerDetached` before its name is free again.
//!
//! # Not here
//! Which connection a name has (`registry`).

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::JoinHandle,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    model::{Timestamp, WorkerInfo, WorkerName},
    protocol::{
        CommandId, FromWorker, Link, ToWorker, Transfer, TransferReply, Update, WorkerCommand, link,
        message::BuilderFolder,
    },
    store::{Store, StoreError},
    worker::{
        keepalive::{Due, Keepalive},
        lease::{Lease, Leased, Leases},
        operator::{self, OperatorHandle},
        registry::Epoch,
        roster::RosterWatch,
    },
};

/// How long a new link may take until its worker has said who it is.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// How long a program that was told to stop may keep its link: `buildbot-worker` hangs up after 0.2 s.
const STOPS_WITHIN: Duration = Duration::from_secs(5);

/// When a link whose news are held back is looked at again.
const HEARD_LATER: Duration = Duration::from_secs(1);

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
    orders: link::Sender<Order>,
    leases: Leases,
    gone: CancellationToken,
    close: CancellationToken,
    /// It is to stop whatever it runs.
    killed: CancellationToken,
    /// Its program was told to stop.
    dismissed: CancellationToken,
    /// What the operator says of it may have changed.
    look_again: Arc<Notify>,
}

#[derive(Debug)]
enum Order {
    Start { id: CommandId, builder: Arc<str>, command: WorkerCommand, events: mpsc::Sender<CommandEvent> },
    Interrupt { id: CommandId, why: String },
    Reply { id: CommandId, reply: TransferReply },
    Ping(oneshot::Sender<()>),
}

impl ConnectionHandle {
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
    pub(super) fn look_again(&self) {
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
    fn cut_if_it_stays(&self) {
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

/// Why a new link did not become a connection.
#[derive(Debug, thiserror::Error)]
pub enum GreetingError {
    /// It closed before the worker said who it is.
    #[error("the link closed before the worker said who it is")]
    Closed,
    /// It said something else, or nothing.
    #[error("the worker did not say who it is within {} s", HELLO_WITHIN.as_secs())]
    Silent,
    /// Its presence could not be written down.
    #[error("cannot record that the worker is attached")]
    Record(#[source] StoreError),
}

/// A link that has said who it is, recorded and ready to run.
#[derive(Debug)]
pub struct Connection {
    handle: ConnectionHandle,
    link: Link,
    orders: link::Receiver<Order>,
    commands: HashMap<CommandId, mpsc::Sender<CommandEvent>>,
    roster: RosterWatch,
    leased: watch::Receiver<Leased>,
    told: Option<Vec<BuilderFolder>>,
    /// What is to be told may have changed since.
    tell_again: bool,
    operator: OperatorHandle,
    /// The operator, or the worker itself, wants it to stop once its builds are done.
    leaves: bool,
    /// Passes the worker's own wish on.
    asking: Option<JoinHandle<()>>,
    keepalive: Keepalive,
    pings: BTreeMap<u64, oneshot::Sender<()>>,
    next_ping: u64,
    store: Store,
}

impl Connection {
    /// Waits for the worker's greeting and writes its presence down; the version that it told comes along, for the log.
    pub async fn greet(
        worker: WorkerName,
        epoch: Epoch,
        peer: Option<SocketAddr>,
        mut link: Link,
        roster: RosterWatch,
        operator: OperatorHandle,
        store: Store,
    ) -> Result<(Self, ConnectionHandle, Option<String>), GreetingError> {
        let deadline = Instant::now() + HELLO_WITHIN;
        let info = loop {
            match time::timeout_at(deadline, link.from_worker.recv()).await {
                Ok(Some(FromWorker::Hello(info))) => break info,
                Ok(Some(other)) => debug!(%worker, ?other, "said before its greeting, ignored"),
                Ok(None) => return Err(GreetingError::Closed),
                Err(_) => return Err(GreetingError::Silent),
            }
        };
        let attached_at = Timestamp::now();
        store.worker_attached(&worker, &info, attached_at).await.map_err(GreetingError::Record)?;
        let (sender, orders) = link::queue(ORDERS_DEPTH);
        let handle = ConnectionHandle {
            epoch,
            worker,
            peer,
            info: serde_json::to_string(&info).expect("what a worker says is JSON").into(),
            attached_at,
            orders: sender,
            leases: Leases::new(),
            gone: CancellationToken::new(),
            close: CancellationToken::new(),
            killed: CancellationToken::new(),
            dismissed: CancellationToken::new(),
            look_again: Arc::new(Notify::new()),
        };
        let connection = Self {
            handle: handle.clone(),
            link,
            orders,
            commands: HashMap::new(),
            roster,
            leased: handle.leases.watch(),
            told: None,
            tell_again: true,
            operator,
            leaves: false,
            asking: None,
            keepalive: Keepalive::new(None, Instant::now()),
            pings: BTreeMap::new(),
            next_ping: 1,
            store,
        };
        Ok((connection, handle, info.text("version").map(str::to_owned)))
    }

    /// Runs until the link is down; then its commands are given up and its absence is written down.
    pub async fn run(mut self) {
        self.converse().await;
        // Before the name is free again: whoever waits for news of a command learns that none will come.
        self.commands.clear();
        self.orders.close();
        let worker = &self.handle.worker;
        if let Err(error) = self.note_absence().await {
            warn!(%worker, error = &error as &dyn std::error::Error, "cannot record that the worker is detached");
        }
        self.handle.gone.cancel();
    }

    async fn note_absence(&self) -> Result<(), StoreError> {
        let (worker, at) = (&self.handle.worker, Timestamp::now());
        if self.handle.dismissed.is_cancelled() && self.operator.left(worker, at).await? {
            return Ok(());
        }
        self.store.worker_detached(worker, at).await
    }

    async fn converse(&mut self) {
        self.leaves = self.operator.wants_stopped(&self.handle.worker);
        // News that its reader has no room for yet. While there is some, the worker is not listened to.
        let mut held: Option<(mpsc::Sender<CommandEvent>, CommandEvent)> = None;
        loop {
            // Before any command that needs its folder, and again whenever a configuration changes it.
            if !self.tell_folders().await {
                return;
            }
            if !self.let_go().await {
                return;
            }
            let wake_at = match self.keepalive.due(Instant::now()) {
                // While its news are held back, the worker may have spoken without having been heard.
                Due::GiveUp if held.is_some() => Some(Instant::now() + HEARD_LATER),
                Due::GiveUp => {
                    warn!(worker = %self.handle.worker, "gives no sign of life; its link is cut");
                    return;
                }
                Due::Ask => {
                    self.keepalive.asked(Instant::now());
                    if !self.ping(None).await {
                        return;
                    }
                    continue;
                }
                Due::Wait(at) => at,
            };
            let reader = held.as_ref().map(|(reader, _)| reader.clone());
            tokio::select! {
                // Cancel-safe: a token stays cancelled.
                () = self.handle.close.cancelled() => return,
                // Cancel-safe, as above; the next turn tells the program.
                () = self.handle.killed.cancelled(), if !self.handle.dismissed.is_cancelled() => {}
                // Cancel-safe: what was not returned is notified again.
                () = self.handle.look_again.notified() => {
                    self.leaves = self.operator.wants_stopped(&self.handle.worker);
                }
                // Cancel-safe: a permit that is not awaited to its end is not taken.
                permit = async { reader.expect("the branch is disabled without a reader").reserve_owned().await },
                    if held.is_some() =>
                {
                    if let (Some((_, event)), Ok(permit)) = (held.take(), permit) {
                        permit.send(event);
                    }
                }
                // Cancel-safe: `recv` takes a message only when it returns it.
                order = self.orders.recv() => {
                    let Some(order) = order else { return };
                    if !self.obey(order).await {
                        return;
                    }
                }
                // Cancel-safe: a change that was not returned is still to be seen.
                changed = self.roster.changed() => match changed {
                    Ok(()) => self.tell_again = true,
                    Err(_) => return,
                },
                changed = self.leased.changed() => match changed {
                    Ok(()) => self.tell_again = true,
                    Err(_) => return,
                },
                () = until(wake_at) => {}
                // Cancel-safe, as above.
                message = self.link.from_worker.recv(), if held.is_none() => match message {
                    Some(message) => {
                        self.keepalive.heard(Instant::now());
                        held = self.news_in(message);
                    }
                    None => return,
                },
            }
        }
    }

    /// Sends a message; false if the link is down.
    async fn say(&self, message: ToWorker) -> bool {
        tokio::select! {
            sent = self.link.to_worker.send(message) => sent.is_ok(),
            () = self.handle.close.cancelled() => false,
        }
    }

    /// Tells a program that it is to stop: at once if it is killed, else once the last build has given its lease back;
    /// false if the link is down.
    async fn let_go(&mut self) -> bool {
        let is_killed = self.handle.killed.is_cancelled();
        let may_go = self.leaves && self.handle.leases.is_empty();
        if self.handle.dismissed.is_cancelled() || !(is_killed || may_go) {
            return true;
        }
        self.handle.dismissed.cancel();
        if is_killed {
            // Those who wait for news learn that none will come, before the program tells how it killed its commands.
            self.commands.clear();
        } else {
            info!(worker = %self.handle.worker, "worker runs no builds any more; its program is told to stop");
            self.handle.cut_if_it_stays();
        }
        self.say(ToWorker::Shutdown).await
    }

    /// Tells the worker its builders if that is due; false if the link is down.
    async fn tell_folders(&mut self) -> bool {
        match self.folders_to_tell() {
            Some(folders) => self.say(ToWorker::SetBuilders(folders)).await,
            None => true,
        }
    }

    /// The builders of this worker, if it was not told these yet. Its other options are read on the way.
    fn folders_to_tell(&mut self) -> Option<Vec<BuilderFolder>> {
        let changed =
            self.roster.has_changed().unwrap_or(false) || self.leased.has_changed().unwrap_or(false);
        if !self.tell_again && !changed {
            return None;
        }
        self.tell_again = false;
        self.leased.mark_unchanged();
        // A worker that is no longer defined keeps what it has, while its last builds end.
        let entry = self.roster.borrow_and_update().of(&self.handle.worker)?;
        self.keepalive.set(entry.keepalive_interval, entry.keepalive_timeout);
        let folders = self.handle.leases.apply(&entry.folders);
        if self.told.as_ref() == Some(&folders) {
            return None;
        }
        self.told = Some(folders.clone());
        Some(folders)
    }

    /// Carries an order out; false if the link is down.
    async fn obey(&mut self, order: Order) -> bool {
        // A build begins where the configuration says now, also when both have just changed.
        if !self.tell_folders().await {
            return false;
        }
        let message = match order {
            // Its news end at once, as they do when a link is lost.
            Order::Start { .. } if self.handle.killed.is_cancelled() => return true,
            Order::Start { id, builder, command, events } => {
                self.commands.insert(id.clone(), events);
                ToWorker::Start { id, builder, command }
            }
            Order::Interrupt { id, why } => ToWorker::Interrupt { id, why },
            Order::Reply { id, reply } => ToWorker::Reply { id, reply },
            Order::Ping(pong) => return self.ping(Some(pong)).await,
        };
        self.say(message).await
    }

    async fn ping(&mut self, pong: Option<oneshot::Sender<()>>) -> bool {
        let number = self.next_ping;
        self.next_ping += 1;
        // Those who asked and went away leave nothing behind.
        self.pings.retain(|_, pong| !pong.is_closed());
        self.pings.extend(pong.map(|pong| (number, pong)));
        self.say(ToWorker::Ping(number)).await
    }

    /// What a message means for the reader of a command.
    fn news_in(&mut self, message: FromWorker) -> Option<(mpsc::Sender<CommandEvent>, CommandEvent)> {
        match message {
            FromWorker::Update { id, update } => {
                self.commands.get(&id).map(|reader| (reader.clone(), CommandEvent::Update(update)))
            }
            FromWorker::Transfer { id, transfer } => {
                self.commands.get(&id).map(|reader| (reader.clone(), CommandEvent::Transfer(transfer)))
            }
            FromWorker::Complete { id, failure } => {
                self.commands.remove(&id).map(|reader| (reader, CommandEvent::Complete(failure)))
            }
            FromWorker::Hello(_) => None,
            FromWorker::Pong(number) => {
                if let Some(pong) = self.pings.remove(&number)
                    && pong.send(()).is_err()
                {
                    debug!(worker = %self.handle.worker, "answered after the one who asked had gone");
                }
                None
            }
            FromWorker::WantsShutdown => {
                // One wish at a time, however often it is told.
                if self.asking.as_ref().is_none_or(JoinHandle::is_finished) {
                    info!(worker = %self.handle.worker, "worker asks to stop");
                    let asking = operator::ask_to_stop(self.operator.clone(), self.handle.worker.clone());
                    self.asking = Some(tokio::spawn(asking));
                }
                None
            }
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
