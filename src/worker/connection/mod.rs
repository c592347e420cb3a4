//! One task for one link: it knows which command wants which news.
//!
//! # Laws
//! - Updates of a command reach its [`CommandEvents`] in order; a slow reader holds its link back, and with it the
//!   worker: nothing piles up in the master. Orders pass all the while, so a command that floods can be interrupted.
//! - A link that gives no sign of life within its bounds (`keepalive`) is cut.
//! - `WorkerAttached` is durable before the connection is given out, `WorkerDetached` before its name is free again.
//!
//! # Not here
//! Which connection a name has (`registry`), what others may order (`handle`).

mod handle;

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{self, Instant},
};
use tracing::{debug, info, warn};

use crate::{
    model::{Timestamp, WorkerName},
    protocol::{CommandId, FromWorker, Link, SessionId, ToWorker, link, message::BuilderFolder},
    store::{Store, StoreError},
    worker::{
        keepalive::{Due, Keepalive},
        lease::Leased,
        operator::{self, OperatorHandle},
        registry::Epoch,
        roster::RosterWatch,
    },
};

use handle::Order;
pub use handle::{CommandEvent, CommandEvents, ConnectionHandle, LinkGone};

/// How long a new link may take until its worker has said who it is.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// Commands of a lost link that are remembered: more than a worker runs at once.
pub(super) const MOST_ABANDONED: usize = 256;

/// When a link whose news are held back is looked at again.
const HEARD_LATER: Duration = Duration::from_secs(1);

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
    /// Commands of earlier links whose end nobody heard.
    abandoned: Vec<CommandId>,
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
    /// Those who wait for a sign of life.
    pings: Vec<oneshot::Sender<()>>,
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
        let mut info = loop {
            match time::timeout_at(deadline, link.from_worker.recv()).await {
                Ok(Some(FromWorker::Hello(info))) => break info,
                Ok(Some(other)) => debug!(%worker, ?other, "said before its greeting, ignored"),
                Ok(None) => return Err(GreetingError::Closed),
                Err(_) => return Err(GreetingError::Silent),
            }
        };
        // It names a life of the program, and says nothing of the worker.
        let session = info.0.remove(SessionId::FACT);
        let session = session.as_ref().and_then(Value::as_str).map(SessionId::new);
        let grace = roster.borrow().of(&worker).and_then(|entry| entry.resume_grace);
        let outlives = session.zip(grace);
        let attached_at = Timestamp::now();
        store.worker_attached(&worker, &info, attached_at).await.map_err(GreetingError::Record)?;
        let (handle, orders) = ConnectionHandle::new(worker, epoch, peer, &info, outlives, attached_at);
        let connection = Self {
            handle: handle.clone(),
            link,
            orders,
            commands: HashMap::new(),
            abandoned: Vec::new(),
            roster,
            leased: handle.leases.watch(),
            told: None,
            tell_again: true,
            operator,
            leaves: false,
            asking: None,
            keepalive: Keepalive::new(None, Instant::now()),
            pings: Vec::new(),
            next_ping: 1,
            store,
        };
        Ok((connection, handle, info.text("version").map(str::to_owned)))
    }

    /// Runs until the link is down; then its commands are given up and its absence is written down. `abandoned` are those
    /// whose end nobody heard on earlier links: the worker is told first that they must not run on. Answers with those of
    /// which that is to be said on the next link.
    pub async fn run(mut self, abandoned: Vec<CommandId>) -> Vec<CommandId> {
        self.abandoned = abandoned;
        self.converse().await;
        let mut abandoned = std::mem::take(&mut self.abandoned);
        // What outlives the link is left to those who follow it; they give it up themselves.
        let outlives = self.handle.outlives().is_some();
        let lost = self.commands.iter().filter(|(_, reader)| !outlives || reader.is_closed());
        abandoned.extend(lost.map(|(id, _)| id).take(MOST_ABANDONED).cloned());
        abandoned.truncate(MOST_ABANDONED);
        // Before the name is free again: whoever waits for news of a command learns that none will come.
        self.commands.clear();
        self.orders.close();
        let worker = &self.handle.worker;
        if let Err(error) = self.note_absence().await {
            warn!(%worker, error = &error as &dyn std::error::Error, "cannot record that the worker is detached");
        }
        self.handle.gone.cancel();
        abandoned
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
        if let Some((_, grace)) = self.handle.outlives()
            && !self.say(ToWorker::OutliveLinks(grace)).await
        {
            return;
        }
        while let Some(id) = self.abandoned.pop() {
            if !self.say(ToWorker::Abandon { id }).await {
                return;
            }
        }
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
                    let worker = &self.handle.worker;
                    let source = self.roster.borrow().place(worker.as_str()).map(tracing::field::display);
                    warn!(%worker, source, "gives no sign of life; its link is cut");
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
                    self.tell_again = true;
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
                    if !self.obey(order, held.is_some()).await {
                        return;
                    }
                }
                // Cancel-safe: a change that was not returned is still to be seen.
                changed = self.leased.changed() => match changed {
                    Ok(()) => self.tell_again = true,
                    Err(_) => return,
                },
                () = until(wake_at) => {}
                // Cancel-safe, as above.
                message = self.link.from_worker.recv(), if held.is_none() => match message {
                    Some(message) => {
                        self.heard();
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
        if self.handle.dismissed.is_cancelled() || !(is_killed || self.leaves) {
            return true;
        }
        if is_killed {
            self.handle.dismissed.cancel();
            // Those who wait for news learn that none will come, before the program tells how it killed its commands.
            self.abandoned.extend(self.commands.drain().map(|(id, _)| id));
        } else {
            let (leases, dismissed) = (&self.handle.leases, &self.handle.dismissed);
            // Perhaps it was taken back a moment ago, and that is to be heard yet. Whoever takes it back later sees that
            // it is too late.
            self.operator.while_stopped(&self.handle.worker, || {
                if leases.is_empty() {
                    dismissed.cancel();
                }
            });
            if !dismissed.is_cancelled() {
                return true;
            }
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
    async fn obey(&mut self, order: Order, is_held_back: bool) -> bool {
        // A build begins where the configuration says now, also when both have just changed.
        if !self.tell_folders().await {
            return false;
        }
        let message = match order {
            // Its news end at once, as they do when a link is lost.
            Order::Start { .. } | Order::Adopt { .. } if self.handle.killed.is_cancelled() => return true,
            Order::Start { id, builder, command, events } => {
                self.commands.insert(id.clone(), events);
                ToWorker::Start { id, builder, command }
            }
            Order::Adopt { id, received, reply, events } => {
                self.commands.insert(id.clone(), events);
                ToWorker::Adopt { id, received, reply }
            }
            Order::Abandon { id } => {
                self.commands.remove(&id);
                ToWorker::Abandon { id }
            }
            Order::Acknowledge { id, number } => ToWorker::Acknowledge { id, number },
            Order::Interrupt { id, why } => ToWorker::Interrupt { id, why },
            Order::Reply { id, reply } => ToWorker::Reply { id, reply },
            // It is not listened to now, so its silence says nothing.
            Order::Ping(pong) if is_held_back => {
                tell(pong);
                return true;
            }
            Order::Ping(pong) => return self.ping(Some(pong)).await,
        };
        self.say(message).await
    }

    async fn ping(&mut self, pong: Option<oneshot::Sender<()>>) -> bool {
        let number = self.next_ping;
        self.next_ping += 1;
        // Those who asked and went away leave nothing behind.
        self.pings.retain(|pong| !pong.is_closed());
        self.pings.extend(pong);
        self.say(ToWorker::Ping(number)).await
    }

    /// Whatever a worker says is a sign of life: its answer to a ping may stand behind much output.
    fn heard(&mut self) {
        self.keepalive.heard(Instant::now());
        self.pings.drain(..).for_each(tell);
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
            FromWorker::Mark { id, number } => {
                self.commands.get(&id).map(|reader| (reader.clone(), CommandEvent::Mark(number)))
            }
            FromWorker::Unknown { id } => {
                self.commands.remove(&id).map(|reader| (reader, CommandEvent::Unknown))
            }
            FromWorker::Complete { id, failure } => {
                self.commands.remove(&id).map(|reader| (reader, CommandEvent::Complete(failure)))
            }
            FromWorker::SessionOver => {
                self.handle.over.cancel();
                None
            }
            // Of a pong, all has been said by its coming.
            FromWorker::Hello(_) | FromWorker::Pong(_) => None,
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

/// Tells that a worker is alive.
fn tell(pong: oneshot::Sender<()>) {
    if pong.send(()).is_err() {
        debug!("a worker answered after the one who asked had gone");
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
