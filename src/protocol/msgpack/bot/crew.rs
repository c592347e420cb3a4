//! The commands of a worker, on a link or between two.
//!
//! # Laws
//! - A command that was given up says nothing more, and its id is not free before it has ended.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    ops::Bound,
    time::Instant,
};

use bytes::Bytes;

use super::running::Running;
use crate::protocol::{
    CommandId, FromWorker, ToWorker, WorkerCommand,
    bot::{
        Away, BotEvent, KeptId,
        gather::{Bounds, Now},
    },
};

/// How much of what is kept for the master stays in memory, in bytes.
const MOST_HERE: usize = 1024 * 1024;
/// How much is kept for it in all.
const MOST_KEPT: usize = 64 * 1024 * 1024;

type Events = VecDeque<BotEvent>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Crew {
    commands: BTreeMap<CommandId, Running>,
    /// Nobody wants what they say.
    given_up: BTreeSet<CommandId>,
    next_serial: u64,
    /// Who spoke last: the next one's turn is next.
    spoke: Option<CommandId>,
}

impl Crew {
    /// A command starts. If it `outlives` its link, what it says is kept.
    pub(super) fn start(&mut self, id: &CommandId, command: &WorkerCommand, bounds: Bounds, outlives: bool) {
        let running = Running::new(id.clone(), self.next_serial, command, bounds, outlives);
        self.next_serial += 1;
        self.commands.insert(id.clone(), running);
    }

    /// Whether a command with this id runs, or is remembered.
    pub(super) fn knows(&self, id: &CommandId) -> bool {
        self.commands.contains_key(id) || self.given_up.contains(id)
    }

    pub(super) fn len(&self) -> usize {
        self.commands.len() + self.given_up.len()
    }

    /// Whether nothing runs that is wanted, and nothing is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    pub(super) fn get(&mut self, id: &CommandId) -> Option<&mut Running> {
        self.commands.get_mut(id)
    }

    pub(super) fn forget(&mut self, id: &CommandId) {
        self.commands.remove(id);
    }

    /// Hears what a command says.
    pub(super) fn say(&mut self, message: FromWorker, now: Now) {
        match message {
            FromWorker::Update { id, update } => {
                if let Some(running) = self.speaker(&id) {
                    running.update(update, now);
                }
            }
            FromWorker::Transfer { id, transfer } => {
                if let Some(running) = self.speaker(&id) {
                    running.transfer(transfer);
                }
            }
            FromWorker::Complete { id, failure } => {
                if let Some(running) = self.speaker(&id) {
                    running.complete(failure, now);
                }
                self.given_up.remove(&id);
            }
            // The first was told when the session was made, the others are the session's or never asked of a bot.
            FromWorker::Hello(_)
            | FromWorker::Pong(_)
            | FromWorker::WantsShutdown
            | FromWorker::SessionOver
            | FromWorker::Mark { .. }
            | FromWorker::Unknown { .. } => {}
        }
    }

    /// A command of which more may be heard.
    fn speaker(&mut self, id: &CommandId) -> Option<&mut Running> {
        let speaker = self.commands.get_mut(id).filter(|running| !running.is_over());
        if speaker.is_none() {
            tracing::debug!(command = %id, "news of a command that does not run are not told");
        }
        speaker
    }

    /// The command whose turn it is to speak.
    pub(super) fn next_speaker(&mut self) -> Option<&mut Running> {
        let next = {
            let can_speak = |(_, running): &(&CommandId, &Running)| running.can_speak();
            let after = self.spoke.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let mut later = self.commands.range((after, Bound::Unbounded));
            later.find(can_speak).or_else(|| self.commands.iter().find(can_speak)).map(|(id, _)| id.clone())
        };
        self.spoke = next;
        self.commands.get_mut(self.spoke.as_ref()?)
    }

    /// The link is lost: what outlives it waits to be wanted again, the rest is given up.
    pub(super) fn suspend(&mut self, events: &mut Events) {
        self.spoke = None;
        let lost =
            self.commands.iter_mut().filter_map(|(id, running)| (!running.suspend()).then(|| id.clone()));
        for id in lost.collect::<Vec<_>>() {
            self.give_up(&id, "its link was lost", events);
        }
    }

    /// There is another link, on which commands are given up that are not wanted until then.
    pub(super) fn wait_until(&mut self, deadline: Instant) {
        for running in self.commands.values_mut() {
            running.wait_until(deadline);
        }
    }

    /// Nobody wants a command any more.
    pub(super) fn give_up(&mut self, id: &CommandId, why: &str, events: &mut Events) {
        if let Some(running) = self.commands.remove(id)
            && !running.is_over()
        {
            self.given_up.insert(id.clone());
            let order = ToWorker::Interrupt { id: id.clone(), why: why.into() };
            events.push_back(BotEvent::Order(order));
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.commands.values().filter_map(Running::due).min()
    }

    pub(super) fn tick(&mut self, now: Now, events: &mut Events) {
        let mut late = Vec::new();
        for (id, running) in &mut self.commands {
            running.tick(now);
            if running.is_late(now.instant) {
                late.push(id.clone());
            }
        }
        for id in late {
            self.give_up(&id, "the master did not ask for it in time", events);
        }
    }

    /// How much is to be sent of what is wanted.
    pub(super) fn output_len(&self) -> usize {
        self.commands.values().map(Running::output_len).sum()
    }

    /// See [`crate::protocol::bot::Conversation::is_full`].
    pub(super) fn is_full(&self) -> bool {
        self.commands.values().map(Running::kept_bytes).sum::<usize>() >= MOST_KEPT
    }

    /// See [`crate::protocol::bot::Conversation::overflow`].
    pub(super) fn overflow(&mut self) -> Option<(KeptId, Bytes)> {
        if self.commands.values().map(Running::here_bytes).sum::<usize>() <= MOST_HERE {
            return None;
        }
        self.commands.values_mut().find_map(|running| running.kept.overflow())
    }

    /// See [`crate::protocol::bot::Conversation::stowed`].
    pub(super) fn stowed(&mut self, kept: KeptId, away: Box<dyn Away>) {
        if let Some(running) = self.of(kept) {
            running.kept.stowed(kept, away);
        }
    }

    /// See [`crate::protocol::bot::Conversation::wanted`].
    pub(super) fn wanted(&mut self) -> Option<(KeptId, Box<dyn Away>)> {
        self.commands.values_mut().find_map(Running::wanted)
    }

    /// See [`crate::protocol::bot::Conversation::fetched`].
    pub(super) fn fetched(&mut self, kept: KeptId, body: io::Result<Bytes>, events: &mut Events) {
        let Some(running) = self.of(kept) else { return };
        if let Err(error) = running.kept.fetched(kept, body) {
            let why = format!("what the command said cannot be read back: {error}");
            let was_over = running.is_over();
            running.lose(why.clone());
            if !was_over {
                let id = running.id.clone();
                events.push_back(BotEvent::Order(ToWorker::Interrupt { id, why }));
            }
        }
    }

    fn of(&mut self, kept: KeptId) -> Option<&mut Running> {
        self.commands.values_mut().find(|running| running.kept.is_of(kept))
    }
}
