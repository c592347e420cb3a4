//! The worker's end of one connection, from the answered handshake on: payloads of messages in and out.
//!
//! On this wire a worker knows no builders: its master makes all paths absolute. So it is told of one builder without a
//! name, whose folder is the worker's own, and each command is for that one.
//!
//! # Laws
//! - Each request of the master is answered once, and at once.
//! - A command that was started is ended by one `complete`, after all else that was said of it; a start that was refused has
//!   an exception for its answer and nothing more.
//! - A transfer that fails at the master ends its command as failed. It never hangs.
//! - What a master does not read or does not answer waits here, and is told by [`Conversation::output_len`].
//! - Of a master that has said so, commands outlive the link, and what they say is kept until it says that it is safe. With any
//!   other nothing is kept.
//!
//! # Not here
//! Between two links: [`Suspended`].
//! The login ([`super::opening`]), pings (the socket's matter), and how many commands run at once (`bot`).
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/msgpack.py`, and what its master does with what it is told.

mod arguments;
mod calls;
mod crew;
mod info;
mod kept;
mod news;
mod running;
mod suspended;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    fmt, io,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rmpv::ValueRef;

pub use self::suspended::Suspended;
use self::{crew::Crew, kept::Kind, running::Running};
use super::{
    END_SESSION, MsgpackError, REQUEST_SHUTDOWN,
    frame::{self, field, shown},
    requests::Requests,
};
use crate::{
    model::WorkerInfo,
    protocol::{
        CommandId, FromWorker, ToWorker, TransferReply,
        bot::{
            Away, BotEvent, Conversation, KeptId,
            gather::{Bounds, Now},
        },
        message::BuilderFolder,
    },
};

/// The most of a reason, a line for the log, or an exception that is told, in bytes.
const MAX_WHY_BYTES: usize = 4096;

/// The pairs of a map.
type Map<'v> = [(ValueRef<'v>, ValueRef<'v>)];

/// The worker's end of one connection.
pub struct BotSession {
    info: WorkerInfo,
    requests: Requests<Asked>,
    /// How long the output of commands that are started from now on is gathered.
    bounds: Bounds,
    crew: Crew,
    /// How long commands outlive a link, by the last word of a master.
    grace: Duration,
    /// Whether those do so that are started from now on: the master of this link has said it.
    outlives: bool,
    is_attached: bool,
    wish: Wish,
    events: VecDeque<BotEvent>,
}

/// What a request was for.
enum Asked {
    /// A command's news.
    News(Run),
    /// A command's block was sent, or the next is wanted.
    Block { run: Run, number: u64, is_read: bool },
    /// A command's bytes are complete.
    Close { run: Run, op: &'static str },
    /// A command has ended.
    Complete(CommandId),
    /// The worker wishes to stop.
    Shutdown,
    /// It stops.
    EndSession,
}

/// A command, not to be taken for another with its id.
struct Run {
    id: CommandId,
    serial: u64,
}

/// Whether the worker wishes to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// It does not, or that was answered.
    None,
    /// Told once it is attached.
    Held,
    /// Told, and not answered.
    Asked,
}

impl fmt::Debug for BotSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not what it tells of itself: that may have its environment.
        f.debug_struct("BotSession").field("is_attached", &self.is_attached).finish_non_exhaustive()
    }
}

impl BotSession {
    /// A connection whose handshake was answered.
    ///
    /// `info` is what the master is told of the worker. A master on this wire replaces `~` in paths by the `HOME` of the
    /// fact `environ`, an object; without that it is not replaced. `worker_commands`, `delete_leftover_dirs` and an empty
    /// `environ` are added if they are not there.
    pub fn new(info: WorkerInfo) -> Self {
        let own = BuilderFolder { builder: "".into(), folder: ".".into() };
        Self {
            info,
            requests: Requests::default(),
            bounds: Bounds::default(),
            crew: Crew::default(),
            grace: Duration::ZERO,
            outlives: false,
            is_attached: false,
            wish: Wish::None,
            events: VecDeque::from([BotEvent::Order(ToWorker::SetBuilders(vec![own]))]),
        }
    }

    /// The next connection after one that was lost. Commands that its master does not ask for until `deadline` are given up;
    /// those that were not asked for on a connection before, when it was time then.
    pub fn resumed(info: WorkerInfo, suspended: Suspended, deadline: Instant) -> Self {
        let Suspended { grace, mut crew, wish, events } = suspended;
        crew.wait_until(deadline);
        let mut session = Self { crew, grace, wish, ..Self::new(info) };
        session.events.extend(events);
        session
    }

    /// The connection is lost. What outlives it; nothing if no master has ever said that something does.
    pub fn suspend(mut self) -> Option<Suspended> {
        if self.grace.is_zero() {
            return None;
        }
        let Self { grace, .. } = self;
        self.crew.suspend(&mut self.events);
        // Each connection tells by itself which folders there are.
        let outlives = |event: &BotEvent| matches!(event, BotEvent::Order(order) if !matches!(order, ToWorker::SetBuilders(_)));
        self.events.retain(outlives);
        let wish = if self.wish == Wish::None { Wish::None } else { Wish::Held };
        Some(Suspended { grace, crew: self.crew, wish, events: self.events })
    }

    fn order(&mut self, order: ToWorker) {
        self.events.push_back(BotEvent::Order(order));
    }

    /// The master knows who this is. Both Buildbot's master and Lunabot's ask for that once they have let the worker in; what
    /// they print may come before and after.
    fn attached(&mut self) {
        if !self.is_attached {
            self.is_attached = true;
            self.events.push_back(BotEvent::Attached);
        }
        if self.wish == Wish::Held {
            self.ask_to_stop();
        }
    }

    fn ask_to_stop(&mut self) {
        self.wish = Wish::Asked;
        self.requests.ask(REQUEST_SHUTDOWN, vec![], Asked::Shutdown);
    }

    fn answered(&mut self, seq: u64, message: &Map<'_>) {
        let result = field(message, "result").unwrap_or(&ValueRef::Nil);
        let failure = field(message, "is_exception")
            .map(|_| shown(result, MAX_WHY_BYTES).unwrap_or_else(|| "it does not say why".into()));
        match (self.requests.answered(seq), failure) {
            (None, _) => tracing::debug!("a master answered to what it was not asked"),
            (Some(Asked::News(run)), failure) => {
                if let Some(running) = self.running(&run) {
                    running.news_answered();
                }
                if let Some(why) = failure {
                    self.failed(format!("the master did not take news of command {}: {why}", run.id));
                }
            }
            (Some(Asked::Block { run, number, is_read }), failure) => {
                self.block_answered(run, number, is_read, result, failure);
            }
            (Some(Asked::Close { run, op }), failure) => {
                if let Some(why) = &failure {
                    self.failed(format!("the master failed at `{op}` of command {}: {why}", run.id));
                }
                if let Some(running) = self.running(&run) {
                    running.close_answered(op, failure);
                }
            }
            (Some(Asked::Complete(id)), Some(why)) => {
                self.failed(format!("the master did not take the end of command {id}: {why}"));
            }
            (Some(Asked::Shutdown), Some(why)) => {
                self.wish = Wish::None;
                self.failed(format!(
                    "the master does not know that a worker may ask for a stop, which Buildbot's protocol for msgpack has no word for: {why}"
                ));
            }
            (Some(Asked::Shutdown), None) => self.wish = Wish::None,
            (Some(Asked::Complete(_)), None) | (Some(Asked::EndSession), _) => {}
        }
    }

    fn block_answered(
        &mut self,
        run: Run,
        number: u64,
        is_read: bool,
        result: &ValueRef<'_>,
        failure: Option<String>,
    ) {
        let reply = match (failure, is_read, result) {
            (Some(why), true, _) => Err(format!("the master did not send the next block: {why}")),
            (Some(why), false, _) => Err(format!("the master did not take a block: {why}")),
            (None, false, _) => Ok(TransferReply::Taken),
            // The end of a file. Buildbot's own master says so each time.
            (None, true, ValueRef::Nil) => Ok(TransferReply::Data(Bytes::new())),
            // A copy: a slice would keep the whole message.
            (None, true, data) => match frame::bytes(data) {
                Some(data) => Ok(TransferReply::Data(Bytes::copy_from_slice(data))),
                None => Err("the master sent something that is no block of a file".into()),
            },
        };
        let Some(running) = self.running(&run) else { return };
        if !running.block_answered(number) {
            return;
        }
        let is_over = running.is_over();
        match reply {
            Ok(_) if is_over => {}
            Ok(reply) => self.order(ToWorker::Reply { id: run.id, reply }),
            Err(why) => {
                running.fail(why.clone());
                if !is_over {
                    self.order(ToWorker::Interrupt { id: run.id, why });
                }
            }
        }
    }

    fn failed(&mut self, what: String) {
        self.events.push_back(BotEvent::Failed(what));
    }

    fn running(&mut self, run: &Run) -> Option<&mut Running> {
        self.crew.get(&run.id).filter(|running| running.serial == run.serial)
    }

    /// Says what the command says whose turn it is.
    fn speak(&mut self) {
        let Some(running) = self.crew.next_speaker() else { return };
        let run = Run { id: running.id.clone(), serial: running.serial };
        let Some((number, kind, message)) = running.speak() else { return };
        let asked = match kind {
            Kind::News => Asked::News(run),
            Kind::Block { is_read } => Asked::Block { run, number, is_read },
            Kind::Close { op } => Asked::Close { run, op },
            Kind::Complete => {
                if !running.outlives() {
                    self.crew.forget(&run.id);
                }
                Asked::Complete(run.id)
            }
        };
        self.requests.ask_encoded(&message, asked);
    }
}

impl Conversation for BotSession {
    type Error = MsgpackError;

    /// Takes the payload of a binary message. Events and output grow with it: take them before the next.
    fn hear(&mut self, input: &[u8]) -> Result<(), MsgpackError> {
        let ValueRef::Map(message) = frame::decode(input)? else {
            return Err(MsgpackError::Malformed("a message is a map"));
        };
        let seq = match field(&message, "seq_number") {
            Some(ValueRef::Integer(number)) => number.as_u64(),
            _ => None,
        };
        match (field(&message, "op").and_then(frame::text), seq) {
            (Some(b"response"), Some(seq)) => self.answered(seq, &message),
            (Some(op), Some(seq)) => self.called(op, seq, &message),
            _ => tracing::debug!("a master's message without an operation or a number is not heard"),
        }
        self.requests.check()
    }

    fn say(&mut self, message: FromWorker, now: Now) {
        match message {
            FromWorker::SessionOver if self.outlives => {
                self.requests.ask(END_SESSION, vec![], Asked::EndSession);
            }
            FromWorker::SessionOver => {}
            FromWorker::WantsShutdown if self.wish == Wish::Asked => {}
            FromWorker::WantsShutdown if self.is_attached => self.ask_to_stop(),
            FromWorker::WantsShutdown => self.wish = Wish::Held,
            message => self.crew.say(message, now),
        }
    }

    /// Does nothing: this wire has no such word, and Buildbot's master would answer that it does not know it. Pings of
    /// WebSocket are what finds a dead connection.
    fn keep_alive(&mut self) {}

    fn due(&self) -> Option<Instant> {
        self.crew.due()
    }

    fn tick(&mut self, now: Now) {
        self.crew.tick(now, &mut self.events);
    }

    fn poll_output(&mut self) -> Option<Bytes> {
        if self.requests.output_len() == 0 {
            self.speak();
        }
        self.requests.poll_output()
    }

    fn output_len(&self) -> usize {
        self.requests.output_len() + self.crew.output_len()
    }

    fn overflow(&mut self) -> Option<(KeptId, Bytes)> {
        self.crew.overflow()
    }

    fn stowed(&mut self, kept: KeptId, away: Box<dyn Away>) {
        self.crew.stowed(kept, away);
    }

    fn wanted(&mut self) -> Option<(KeptId, Box<dyn Away>)> {
        self.crew.wanted()
    }

    fn fetched(&mut self, kept: KeptId, body: io::Result<Bytes>) {
        self.crew.fetched(kept, body, &mut self.events);
    }

    fn is_full(&self) -> bool {
        self.crew.is_full()
    }

    fn poll_event(&mut self) -> Option<BotEvent> {
        let event = self.events.pop_front();
        if event.is_none() {
            self.events = VecDeque::new();
        }
        event
    }
}
