//! The worker's end of one connection that runs commands: what [`WorkerSession`] hears and says, in the words of
//! [`ToWorker`] and [`FromWorker`].
//!
//! # Laws
//! - A start is answered at once: by nothing if the command was begun, by a failure if it could not be understood. Whatever
//!   a master asks for, the connection goes on.
//! - A command is named by its master's name and a number of this connection, so that commands of one name on several
//!   builders are told apart.
//! - Memory is bounded: a master that answers no news is told no more than [`MAX_UNHEARD`] of them; what waits then counts
//!   as output that it does not read.
//! - All that was received is given back, once: a command's object when its end has been answered.
//!
//! # Not here
//! Login and calls (`worker`), what is begun and ended (`orders`), arguments (`arguments`), the words of news (`news`), bytes
//! of files (`transfer`), and the order in which a command is told of (`running`).
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/pb.py` and `buildbot_worker/base.py`.

mod arguments;
mod news;
mod orders;
mod running;
mod transfer;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    ops::Bound,
    time::Instant,
};

use bytes::Bytes;

use self::{
    news::Said,
    running::{Running, Word},
};
use super::{
    PbError,
    failure::{Failure, RUNTIME_ERROR, UNAUTHORIZED},
    info,
    worker::{Asked, WorkerEvent, WorkerSession},
};
use crate::{
    model::WorkerInfo,
    protocol::{
        CommandId, FromWorker, ToWorker, Update,
        bot::{BotEvent, Conversation, Identity, gather::Now},
    },
};

/// News that the master has not answered. It answers each at once; more on their way would say that it hangs.
const MAX_UNHEARD: usize = 256;
/// See the module. Events come of what is heard, also if that ends the connection, and of what is said.
pub struct BotSession {
    worker: WorkerSession,
    commands: BTreeMap<CommandId, Running>,
    /// Commands so far.
    count: u64,
    events: VecDeque<BotEvent>,
    /// News that have no answer.
    unheard: usize,
    /// Who told news last: others are before it.
    last: Option<CommandId>,
    /// Whether a keepalive has no answer.
    is_keeping_alive: bool,
    /// Whether the master is to hear, once it may be told, that this worker wishes to stop.
    wants_shutdown: bool,
    /// After this nothing more is told.
    is_refused: bool,
}

/// Shows no output, which may hold secrets, and nothing of what commands were told.
impl fmt::Debug for BotSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BotSession")
            .field("worker", &self.worker)
            .field("commands", &self.commands.keys())
            .field("unheard", &self.unheard)
            .finish_non_exhaustive()
    }
}

impl BotSession {
    /// A new connection of this worker, which tells this of itself when it is asked. Without the versions of its commands it
    /// has all commands.
    pub fn new(identity: Identity, info: WorkerInfo) -> Self {
        let Identity { name, password } = identity;
        Self {
            worker: WorkerSession::new(name, password, info::write(info)),
            commands: BTreeMap::new(),
            count: 0,
            events: VecDeque::new(),
            unheard: 0,
            last: None,
            is_keeping_alive: false,
            wants_shutdown: false,
            is_refused: false,
        }
    }

    fn happened(&mut self, event: WorkerEvent) {
        let told = match event {
            WorkerEvent::Refused(failure) => {
                self.is_refused = true;
                BotEvent::Refused(refusal(&failure))
            }
            WorkerEvent::Attached => {
                if std::mem::take(&mut self.wants_shutdown) {
                    self.worker.ask_shutdown();
                }
                BotEvent::Attached
            }
            WorkerEvent::Printed(text) => BotEvent::Printed(text),
            WorkerEvent::Builders(pairs) => BotEvent::Order(self.set_builders(pairs)),
            WorkerEvent::Started(command) => return self.start(command),
            WorkerEvent::Interrupted { builder, id, why } => return self.interrupted(&builder, &id, &why),
            WorkerEvent::ShutdownAsked => BotEvent::Order(ToWorker::Shutdown),
            WorkerEvent::KeptAlive => {
                self.is_keeping_alive = false;
                BotEvent::KeptAlive
            }
            WorkerEvent::UpdateHeard(_) => {
                self.unheard = self.unheard.saturating_sub(1);
                return;
            }
            WorkerEvent::Written { object } => return self.written(object),
            WorkerEvent::Data { object, bytes } => return self.given(object, bytes),
            WorkerEvent::Settled { object } => return self.settled(object),
            WorkerEvent::BuildStarted(_) | WorkerEvent::ShutdownHeard => return,
            WorkerEvent::Failed { asked, failure } => return self.failed(asked, &failure),
        };
        self.events.push_back(told);
    }

    /// The master answered by a failure.
    fn failed(&mut self, asked: Asked, failure: &Failure) {
        let what = match asked {
            Asked::Write { object } | Asked::Read { object } | Asked::Settle { object } => {
                return self.not_moved(object, failure);
            }
            Asked::Update => {
                self.unheard = self.unheard.saturating_sub(1);
                "news of a command were not heard"
            }
            Asked::Complete { .. } => "the end of a command was not heard",
            Asked::Keepalive => "a keepalive was answered by a failure",
            Asked::Shutdown => "the wish to stop was not heard",
            Asked::Login | Asked::Respond => "the login could not be sent",
        };
        self.events.push_back(BotEvent::Failed(format!("{what}: {}", failure.brief())));
        if asked == Asked::Keepalive {
            // Whatever it says, it is there.
            self.is_keeping_alive = false;
            self.events.push_back(BotEvent::KeptAlive);
        }
    }

    /// Takes what a command says. It is one that was begun here and has not ended.
    fn hear_command(&mut self, id: &CommandId, take: impl FnOnce(&mut Running)) {
        let Some(running) = self.commands.get_mut(id) else {
            tracing::debug!(command = %id, "a command that is no more says something");
            return;
        };
        take(running);
        self.go_on();
    }

    fn update(&mut self, id: &CommandId, update: Update, now: Now) {
        self.hear_command(id, |running| match news::of_update(update) {
            Ok(Said::Output(source, bytes)) => running.output(&source, &bytes, now),
            Ok(Said::News(news)) => running.say(Word::News(news), now),
            Err(cause) => running.fail(Failure::exception(RUNTIME_ERROR, cause)),
        });
    }

    /// Tells all that may be told now, commands in turn.
    fn go_on(&mut self) {
        let has_news =
            |(id, running): (&CommandId, &Running)| (running.waiting_bytes() > 0).then(|| id.clone());
        let after = (self.last.as_ref()).map_or(Bound::Unbounded, Bound::Excluded);
        let mut turn: Vec<CommandId> =
            self.commands.range((after, Bound::Unbounded)).filter_map(has_news).collect();
        if let Some(last) = &self.last {
            turn.extend(self.commands.range(..=last).filter_map(has_news));
        }
        while !turn.is_empty() {
            turn.retain(|id| self.tell_next(id));
        }
    }

    /// Tells the next thing that a command has said, if it may go. Nothing follows the last.
    fn tell_next(&mut self, id: &CommandId) -> bool {
        let Some(running) = self.commands.get_mut(id) else { return false };
        match running.next(self.unheard < MAX_UNHEARD) {
            None => return false,
            Some(Word::News(news)) => {
                match self.worker.update(running.object, vec![(news.into_value(), 0)]) {
                    Ok(()) => self.unheard += 1,
                    Err(overlong) => running.fail(Failure::exception(RUNTIME_ERROR, overlong.to_string())),
                }
                self.last = Some(id.clone());
            }
            Some(Word::Transfer(transfer)) => self.move_bytes(id, transfer),
            Some(Word::End(failure)) => {
                let failure = failure.map(|text| Failure::exception(RUNTIME_ERROR, text));
                let failure = running.fault().or(failure);
                self.worker.complete(running.object, failure.as_ref());
                if let Some(moving) = &running.moving {
                    self.worker.give_back(moving.object);
                }
                self.commands.remove(id);
                return false;
            }
        }
        true
    }
}

impl Conversation for BotSession {
    type Error = PbError;

    fn hear(&mut self, input: &[u8]) -> Result<(), PbError> {
        let heard = self.worker.handle_input(input);
        while let Some(event) = self.worker.poll_event() {
            if !self.is_refused {
                self.happened(event);
            }
        }
        self.go_on();
        heard
    }

    fn say(&mut self, message: FromWorker, now: Now) {
        match message {
            FromWorker::Update { id, update } => self.update(&id, update, now),
            FromWorker::Transfer { id, transfer } => {
                self.hear_command(&id, |running| running.say(Word::Transfer(transfer), now));
            }
            FromWorker::Complete { id, failure } => {
                self.hear_command(&id, |running| running.say(Word::End(failure), now));
            }
            FromWorker::WantsShutdown if self.worker.is_attached() => self.worker.ask_shutdown(),
            FromWorker::WantsShutdown => self.wants_shutdown = true,
            // Who it is it tells when it is asked; and that it is there, by an answer to whatever is printed. And
            // nothing outlives a link on this wire.
            FromWorker::Hello(_)
            | FromWorker::Pong(_)
            | FromWorker::Mark { .. }
            | FromWorker::Unknown { .. }
            | FromWorker::SessionOver => {}
        }
    }

    fn keep_alive(&mut self) {
        if self.worker.is_attached() && !self.is_keeping_alive {
            self.is_keeping_alive = true;
            self.worker.keepalive();
        }
    }

    fn due(&self) -> Option<Instant> {
        self.commands.values().filter_map(Running::due).min()
    }

    fn tick(&mut self, now: Now) {
        for running in self.commands.values_mut() {
            running.tick(now);
        }
        self.go_on();
    }

    fn poll_output(&mut self) -> Option<Bytes> {
        self.worker.poll_output()
    }

    fn output_len(&self) -> usize {
        self.worker.output_len() + self.commands.values().map(Running::waiting_bytes).sum::<usize>()
    }

    fn poll_event(&mut self) -> Option<BotEvent> {
        let event = self.events.pop_front();
        if event.is_none() {
            self.events = VecDeque::new();
        }
        event
    }
}

/// Why the login was refused, as far as the master says. Where in its own code that was, is for its own log.
fn refusal(failure: &Failure) -> String {
    if !failure.is(UNAUTHORIZED) {
        return failure.brief();
    }
    // It says no more: who asks learns nothing of which names there are.
    let reason = "the master does not know this name, or not with this password";
    match failure.value.trim() {
        "" => reason.to_owned(),
        value => format!("{reason}: {value}"),
    }
}
