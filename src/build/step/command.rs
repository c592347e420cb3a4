//! One command of a step, from its start to what is known of its end: the same for all kinds of steps.
//!
//! A command that outlives its link is followed over as many links as it takes: see `build::line`.
//!
//! # Laws
//! - What a command said is told to be safe once it is where it has to be: in logs that a later master finds noted, if the step
//!   outlives this one; else in memory. What decides its end is safe once the step has its end.
//! - After an interrupt the worker has a bounded time to report the end; then its link is cut, so that no step hangs.
//! - A block of a transfer is always answered, whatever became of it: a worker that hears of an error there never
//!   completes its command. So an error is remembered, the command is interrupted, and blocks that still come are dropped.
//!
//! # Not here
//! What is durable of a command, and when (`step::safe`); what the bytes of a transfer become (`upload`, `download`); what
//! its end means to the step (`seen`).

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::{self, Instant};
use tracing::{debug, warn};

use super::{
    StepContext,
    logs::Logs,
    peer::{Peer, dropped},
    safe::Safe,
    seen::Seen,
};
use crate::{
    build::control::{StopKind, Stopped},
    model::Timestamp,
    protocol::{CommandId, Transfer, TransferReply, Update, WorkerCommand},
    store::LogError,
    worker::{CommandEvent, CommandEvents, LinkGone},
};

/// How long a worker may take to kill a command and say so, over the command's own `sigtermTime`.
const DEAD_WITHIN: Duration = Duration::from_secs(30);

/// How much is held of news that are not marked, in bytes and in number: a message holds less.
const MOST_HELD_BYTES: usize = 4 * 1024 * 1024;
const MOST_HELD: usize = 1024;

/// Runs a command and follows it to its end. `slow_death` is what it may take to die by its own options.
///
/// # Errors
/// [`LogError`] if a log cannot be written; the command is then interrupted.
pub(super) async fn follow<P: Peer>(
    context: &mut StepContext<'_>,
    logs: &mut Logs,
    command: WorkerCommand,
    slow_death: Duration,
    peer: &mut P,
) -> Result<Seen, LogError> {
    let id = next_command_id();
    let safe = Safe::before::<P>(&id, context, logs).await?;
    let mut seen = Seen::default();
    // What no worker was told can be told again.
    let again = context.line.session().is_some().then(|| command.clone());
    let started = tokio::select! {
        // Without a wait where the link is up.
        biased;
        started = context.line.start(id.clone(), command) => started,
        stopped = context.stop.stopped() => {
            logs.note(&format!("command interrupted: {}", stopped.reason)).await?;
            context.line.abandon(&id).await;
            seen.stopped = Some(stopped);
            return Ok(seen);
        }
    };
    let Ok(events) = started else { return Ok(seen) };
    let following = Following::new(context, logs, &id, safe, slow_death);
    following.followed(Some(events), again, peer).await
}

/// Goes on with a command that a master before this one has started, and of which the logs hold all up to `received`.
///
/// # Errors
/// As [`follow`].
pub(super) async fn go_on<P: Peer>(
    context: &mut StepContext<'_>,
    logs: &mut Logs,
    id: &CommandId,
    received: u64,
    slow_death: Duration,
    peer: &mut P,
) -> Result<Seen, LogError> {
    let following = Following::new(context, logs, id, Safe::after(received), slow_death);
    following.followed(None, None, peer).await
}

struct Following<'f, 'c> {
    context: &'f mut StepContext<'c>,
    logs: &'f mut Logs,
    id: &'f CommandId,
    seen: Seen,
    safe: Safe,
    patience: Duration,
    /// When the link is cut, once the command was interrupted.
    give_up: Option<Instant>,
    /// What the last block was answered.
    reply: Option<TransferReply>,
    /// Whether the worker has said anything of it.
    is_heard: bool,
    /// What came since the last mark. Should the link be lost before the next, it is said again.
    held: Vec<CommandEvent>,
    held_bytes: usize,
}

/// Why nothing more is heard on a link.
enum Over {
    /// The command has ended, or is given up.
    Ended,
    /// The link is gone.
    Lost,
    /// The worker knows no such command.
    Unknown,
}

impl<'f, 'c> Following<'f, 'c> {
    fn new(
        context: &'f mut StepContext<'c>,
        logs: &'f mut Logs,
        id: &'f CommandId,
        safe: Safe,
        slow_death: Duration,
    ) -> Self {
        let patience = DEAD_WITHIN + slow_death;
        Self {
            context,
            logs,
            id,
            seen: Seen::default(),
            safe,
            patience,
            give_up: None,
            reply: None,
            is_heard: false,
            held: Vec::new(),
            held_bytes: 0,
        }
    }

    /// Follows a command over all its links. Without events there is no link yet.
    async fn followed<P: Peer>(
        mut self,
        mut events: Option<CommandEvents>,
        mut again: Option<WorkerCommand>,
        peer: &mut P,
    ) -> Result<Seen, LogError> {
        loop {
            if let Some(heard) = &mut events {
                match self.run(heard, peer).await {
                    Err(error) => {
                        self.interrupt("the master cannot write the log").await;
                        self.drain(heard).await;
                        return Err(error);
                    }
                    Ok(Over::Ended) => break,
                    Ok(Over::Lost) if self.context.line.session().is_none() => break,
                    Ok(Over::Lost) => {}
                    // It was on its way when the link was lost.
                    Ok(Over::Unknown) => match again.take().filter(|_| !self.is_heard) {
                        Some(command) => {
                            events = self.context.line.start(self.id.clone(), command).await.ok();
                            continue;
                        }
                        None => break,
                    },
                }
                self.is_heard |= self.safe.mark() > 0;
                (self.held, self.held_bytes) = (Vec::new(), 0);
            }
            match self.find().await? {
                Some(found) => events = Some(found),
                None => break,
            }
        }
        if !self.seen.is_left {
            self.logs.end_command().await?;
            self.context.line.ended(self.id.clone());
        }
        Ok(self.seen)
    }

    /// Waits for the worker to come back; nothing if it does not, or if that is not wanted any more.
    async fn find(&mut self) -> Result<Option<CommandEvents>, LogError> {
        // Nobody knows when more comes.
        self.logs.flush().await?;
        let line = self.context.line;
        tokio::select! {
            found = line.adopt(self.id, self.safe.mark(), self.reply.clone()) => match found {
                Ok(events) => {
                    if let Some(why) = self.seen.stopped.as_ref().map(|stopped| stopped.reason.clone()) {
                        self.interrupt(&why).await;
                    }
                    Ok(Some(events))
                }
                Err(LinkGone) => {
                    line.abandon(self.id).await;
                    Ok(None)
                }
            },
            // Cancel-safe: a stop that was not returned is still to come.
            stopped = self.context.stop.stopped(), if self.seen.stopped.is_none() => {
                if !self.leaves(&stopped).await? {
                    self.logs.note(&format!("command interrupted: {}", stopped.reason)).await?;
                    line.abandon(self.id).await;
                    self.seen.stopped = Some(stopped);
                }
                Ok(None)
            }
            () = until(self.give_up) => {
                line.abandon(self.id).await;
                Ok(None)
            }
        }
    }

    async fn run<P: Peer>(&mut self, events: &mut CommandEvents, peer: &mut P) -> Result<Over, LogError> {
        loop {
            tokio::select! {
                // Output first: what was said before a stop belongs into the log.
                biased;
                // Cancel-safe: an event is taken only when it is returned.
                event = events.next() => match event {
                    Some(event @ (CommandEvent::Update(_) | CommandEvent::Transfer(_))) => {
                        self.hear(event, peer).await?;
                    }
                    Some(CommandEvent::Mark(number)) => {
                        self.take_held(peer).await?;
                        self.safe.marked(number);
                    }
                    Some(CommandEvent::Complete(failure)) => {
                        self.take_held(peer).await?;
                        self.seen.complete = true;
                        self.seen.failure = failure;
                        return Ok(Over::Ended);
                    }
                    Some(CommandEvent::Unknown) => return Ok(Over::Unknown),
                    None => return Ok(Over::Lost),
                },
                // Cancel-safe: a stop that was not returned is still to come.
                stopped = self.context.stop.stopped(), if self.seen.stopped.is_none() => {
                    if self.leaves(&stopped).await? {
                        return Ok(Over::Ended);
                    }
                    self.logs.note(&format!("command interrupted: {}", stopped.reason)).await?;
                    self.interrupt(&stopped.reason).await;
                    self.seen.stopped = Some(stopped);
                }
                () = until(self.logs.flush_at()) => self.logs.flush().await?,
                () = until(self.safe.due()) => self.settle().await?,
                () = until(self.give_up) => {
                    self.cut();
                    return Ok(Over::Ended);
                }
            }
            // A stream without a pause would keep the timers from their turn.
            if is_due(self.logs.flush_at()) {
                self.logs.flush().await?;
            }
            if is_due(self.safe.due()) {
                self.settle().await?;
            }
            if is_due(self.give_up) {
                self.cut();
                return Ok(Over::Ended);
            }
        }
    }

    /// Takes news at once, or holds them until they are marked, where a link that is lost in between would bring them again.
    async fn hear<P: Peer>(&mut self, event: CommandEvent, peer: &mut P) -> Result<(), LogError> {
        let is_marked = self.context.line.session().is_some();
        self.held_bytes += match &event {
            CommandEvent::Update(Update::Output { bytes, .. } | Update::Log { bytes, .. }) => bytes.len(),
            _ => 0,
        };
        self.held.push(event);
        // A worker that marks nothing is not one that goes on.
        if is_marked && self.held_bytes < MOST_HELD_BYTES && self.held.len() < MOST_HELD {
            return Ok(());
        }
        self.take_held(peer).await
    }

    async fn take_held<P: Peer>(&mut self, peer: &mut P) -> Result<(), LogError> {
        self.held_bytes = 0;
        for event in std::mem::take(&mut self.held) {
            match event {
                CommandEvent::Update(update) => self.note(update, peer).await?,
                CommandEvent::Transfer(transfer) => self.transfer(transfer, peer).await?,
                CommandEvent::Mark(_) | CommandEvent::Unknown | CommandEvent::Complete(_) => {}
            }
        }
        Ok(())
    }

    /// Makes safe what can be, and tells the worker so.
    async fn settle(&mut self) -> Result<(), LogError> {
        let number = self.safe.settle(self.context, self.logs).await?;
        if let Some(number) = number
            && self.context.line.acknowledge(self.id, number).await.is_err()
        {
            debug!(command = %self.id, "the link went down before the news were told to be safe");
        }
        Ok(())
    }

    /// If the master stops, and the next one can go on with the command: it is left as it is.
    async fn leaves(&mut self, stopped: &Stopped) -> Result<bool, LogError> {
        // Who waits for the build does not outlive the master, so neither does the build.
        let is_waited_for = self.context.request.parent.is_some_and(|parent| parent.waits);
        if stopped.kind == StopKind::Requeue && self.safe.outlives_master() && !is_waited_for {
            self.settle().await?;
            self.seen.is_left = true;
        }
        Ok(self.seen.is_left)
    }

    /// Takes an update into account.
    async fn note<P: Peer>(&mut self, update: Update, peer: &mut P) -> Result<(), LogError> {
        match update {
            Update::Output { stream, bytes } => {
                peer.output(stream, &bytes);
                self.safe.heard(bytes.len());
                self.logs.append(stream, &bytes).await?;
            }
            Update::Log { name, bytes } => {
                self.safe.heard(bytes.len());
                self.logs.append_watched(&name, &bytes).await?;
            }
            Update::Rc(rc) => {
                self.safe.decided();
                self.seen.rc = Some(rc);
            }
            Update::FailureReason(reason) => {
                self.safe.decided();
                self.seen.reason = Some(reason);
            }
            fact @ (Update::Stat(_) | Update::Files(_)) => peer.fact(fact),
            Update::Elapsed(_) => {}
        }
        Ok(())
    }

    /// Lets the peer have a block, and answers the worker whatever comes of it.
    async fn transfer<P: Peer>(&mut self, transfer: Transfer, peer: &mut P) -> Result<(), LogError> {
        let nothing = dropped(&transfer);
        let reply = if self.seen.spoiled.is_some() {
            nothing
        } else {
            match peer.transfer(transfer).await {
                Ok(reply) => reply,
                Err(error) => {
                    let text = error.chain();
                    self.logs.note(&text).await?;
                    self.seen.spoiled = Some(error);
                    // First the interrupt: the answer lets the worker send its next block.
                    self.interrupt(&text).await;
                    nothing
                }
            }
        };
        if let Some(reply) = reply {
            self.reply = self.context.line.session().is_some().then(|| reply.clone());
            if self.context.line.reply(self.id, reply).await.is_err() {
                debug!(command = %self.id, "the link went down before the answer to a block");
            }
        }
        Ok(())
    }

    /// Asks the worker to end the command, and begins to lose patience.
    async fn interrupt(&mut self, why: &str) {
        self.give_up.get_or_insert_with(|| Instant::now() + self.patience);
        if self.context.line.interrupt(self.id, why).await.is_err() {
            debug!(command = %self.id, "the link went down before the interrupt");
        }
    }

    fn cut(&self) {
        let line = self.context.line;
        warn!(worker = %line.worker, command = %self.id, "does not end after an interrupt; cutting its link");
        line.close();
    }

    /// Reads what an interrupted command still says, for as long as it may take to die.
    async fn drain(&self, events: &mut CommandEvents) {
        let all = async {
            loop {
                match events.next().await {
                    Some(CommandEvent::Update(_) | CommandEvent::Mark(_)) => {}
                    Some(CommandEvent::Transfer(transfer)) => {
                        if let Some(reply) = dropped(&transfer)
                            && self.context.line.reply(self.id, reply).await.is_err()
                        {
                            return;
                        }
                    }
                    Some(CommandEvent::Complete(_) | CommandEvent::Unknown) | None => return,
                }
            }
        };
        if time::timeout(self.patience, all).await.is_err() {
            self.cut();
        }
    }
}

fn is_due(at: Option<Instant>) -> bool {
    at.is_some_and(|at| at <= Instant::now())
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// An id that no command of this master, in this life or an earlier one, had: workers outlive the master.
pub(super) fn next_command_id() -> CommandId {
    static LIFE: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let life =
        LIFE.get_or_init(|| format!("{:x}-{:x}", Timestamp::now().as_microsecond(), std::process::id()));
    CommandId::new(format!("{life}-{}", COUNT.fetch_add(1, Ordering::Relaxed)))
}
