//! The builders that a worker was told of, and the commands that run on them.
//!
//! # Laws
//! - The first thing told of a command is what came of it; the last is its `Complete`, once.
//! - One command at a time on a builder: a worker that is given a second one kills the first.
//! - A builder with a command is not taken from the worker, which would kill the command without a word: it stays in the
//!   list until the command is complete.
//! - A command begins once the worker has answered to all that was said of builders before it.
//!
//! # Not here
//! Login and attach (`master`), the names of commands and their arguments (`command`), what a worker tells of them
//! (`crew/update`), and the objects by which it moves bytes (`crew/transfer`).
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/pb.py` and `buildbot_worker/base.py`: what a worker does at each call.

mod transfer;
mod update;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;

use self::transfer::Moving;
pub(super) use self::transfer::late_answer;
use super::{
    broker::{Broker, Called},
    command::{self, Words},
    failure::Failure,
    jelly::{Value, pairs},
    master::{Asked, Object, SessionEvent},
    versions::Versions,
};
use crate::{
    model::LogStream,
    protocol::{CommandId, FromWorker, Update, WorkerCommand, message::BuilderFolder, unfit},
};

/// Builders that a worker can be told of. Source: Twisted, `MAX_BROKER_REFS`, 1024 objects in all.
const MAX_BUILDERS: usize = 1000;
/// The most of a reason that is told, in bytes: it is one line in a log.
const MAX_WHY_BYTES: usize = 4096;

/// What the crew speaks through.
pub(super) struct Wire<'a> {
    pub(super) broker: &'a mut Broker<Asked, Object>,
    pub(super) events: &'a mut VecDeque<SessionEvent>,
}

#[derive(Debug, Default)]
pub(super) struct Crew {
    /// The worker's own object, once it may be asked for builders.
    mind: Option<i64>,
    /// Of its commands.
    versions: Versions,
    wanted: Option<Vec<BuilderFolder>>,
    /// The list that was sent last.
    told: Option<Vec<BuilderFolder>>,
    /// Whether that has no answer yet.
    is_asking: bool,
    /// Why the worker took no list.
    refusal: Option<Refusal>,
    /// The worker's objects, each held once, by the names of their builders and in that order.
    objects: Box<[(Arc<str>, i64)]>,
    /// By their builders.
    commands: BTreeMap<Arc<str>, Command>,
}

/// Why a worker has no list of builders.
#[derive(Debug)]
enum Refusal {
    /// It said so.
    Told(String),
    /// It was not asked, for no worker would take it.
    Unsent(String),
}

#[derive(Debug)]
struct Command {
    id: CommandId,
    state: State,
    /// The logs that it watches.
    logs: Vec<Arc<str>>,
    /// If it moves bytes.
    moving: Option<Moving>,
    is_interrupted: bool,
    /// What went wrong at this end, which is told with its end.
    fault: Option<String>,
}

#[derive(Debug)]
enum State {
    /// Not begun: the worker has not answered yet to what it was told of builders.
    Held(WorkerCommand),
    /// Sent.
    Begun,
}

impl Crew {
    /// The worker has said who it is, and may be told of builders.
    pub(super) fn open(&mut self, mind: i64, versions: Versions, mut wire: Wire<'_>) {
        self.mind = Some(mind);
        self.versions = versions;
        self.settle(&mut wire);
    }

    /// The builders are these and no others.
    pub(super) fn set_builders(&mut self, mut builders: Vec<BuilderFolder>, mut wire: Wire<'_>) {
        if builders.len() > MAX_BUILDERS {
            tracing::warn!(
                builders = builders.len(),
                "a worker on this protocol takes {MAX_BUILDERS} builders"
            );
            builders.truncate(MAX_BUILDERS);
        }
        self.wanted = Some(builders);
        if self.refusal.take().is_some() {
            // Perhaps it takes the same list now.
            self.told = None;
        }
        self.settle(&mut wire);
    }

    /// The worker's answer to a list of builders.
    pub(super) fn builders_answered(&mut self, answer: Result<Value, Failure>, wire: &mut Wire<'_>) {
        self.is_asking = false;
        let pairs = match answer {
            Ok(Value::Dict(pairs)) => pairs,
            Ok(_) => return self.refused(Refusal::Told("the answer was no dictionary".into())),
            Err(failure) => return self.refused(Refusal::Told(failure.to_string())),
        };
        let earlier = std::mem::take(&mut self.objects);
        let mut given_back: Vec<i64> = earlier.iter().map(|(_, object)| *object).collect();
        let mut objects = BTreeMap::new();
        for (name, object) in pairs {
            if let (Some(name), Value::Remote(object)) = (name.as_text(), object) {
                given_back.extend(objects.insert(name.into(), object));
            }
        }
        self.objects = objects.into_iter().collect();
        // The new ones are counted by now, so the objects themselves stay.
        for object in given_back {
            wire.broker.give_back(object);
        }
    }

    fn refused(&mut self, refusal: Refusal) {
        let (Refusal::Told(cause) | Refusal::Unsent(cause)) = &refusal;
        tracing::warn!(cause, "a worker did not take its list of builders");
        self.refusal = Some(refusal);
    }

    /// The worker's object for a builder.
    fn object(&self, builder: &str) -> Option<i64> {
        let place = self.objects.binary_search_by(|(name, _)| name.as_ref().cmp(builder)).ok()?;
        Some(self.objects[place].1)
    }

    /// Tells the worker what it does not know yet; then begins what was held.
    pub(super) fn settle(&mut self, wire: &mut Wire<'_>) {
        let (Some(mind), Some(wanted), false) = (self.mind, &self.wanted, self.is_asking) else { return };
        let mut target = wanted.clone();
        let told = self.told.as_deref().unwrap_or_default();
        let busy = self.commands.iter().filter(|(_, command)| matches!(command.state, State::Begun));
        for (builder, _) in busy {
            if !wanted.iter().any(|wanted| wanted.builder == *builder) {
                target.extend(told.iter().find(|told| told.builder == *builder).cloned());
            }
        }
        if self.told.as_ref() != Some(&target) {
            let text = |text: &str| Value::text(text.to_owned());
            let list = target
                .iter()
                .map(|told| Value::Tuple(vec![text(&told.builder), text(&told.folder)]))
                .collect();
            self.told = Some(target);
            let mind = Called::Object(mind);
            match wire.broker.call(mind, "setBuilderList", &[Value::List(list)], &[], Asked::Builders) {
                Ok(()) => {
                    self.is_asking = true;
                    return;
                }
                Err(overlong) => self.refused(Refusal::Unsent(overlong.to_string())),
            }
        }
        let held = |(builder, command): (&Arc<str>, &Command)| {
            matches!(command.state, State::Held(_)).then(|| Arc::clone(builder))
        };
        for builder in self.commands.iter().filter_map(held).collect::<Vec<_>>() {
            self.begin(&builder, wire);
        }
    }

    /// Starts a command, now or once the worker knows its builder.
    pub(super) fn start(
        &mut self,
        id: CommandId,
        builder: &Arc<str>,
        command: WorkerCommand,
        mut wire: Wire<'_>,
    ) {
        if self.commands.values().any(|running| running.id == id) {
            // An answer would end the first one.
            tracing::error!(command = %id, "a command was started twice; the second start is not heard");
            return;
        }
        let is_known = self.wanted.iter().flatten().any(|wanted| wanted.builder == *builder);
        let failure = match self.commands.get(builder) {
            Some(running) => {
                format!("builder `{builder}` runs command {} on this worker already", running.id)
            }
            None if !is_known => format!("this worker has no builder `{builder}`"),
            None => {
                let logs = match &command {
                    WorkerCommand::Shell(shell) => {
                        shell.log_files.iter().map(|file| Arc::clone(&file.name)).collect()
                    }
                    _ => Vec::new(),
                };
                let state = State::Held(command);
                let command = Command { id, state, logs, moving: None, is_interrupted: false, fault: None };
                self.commands.insert(Arc::clone(builder), command);
                if self.mind.is_some() && !self.is_asking {
                    self.begin(builder, &mut wire);
                }
                return;
            }
        };
        wire.complete(id, Some(failure));
    }

    fn begin(&mut self, builder: &Arc<str>, wire: &mut Wire<'_>) {
        let Some(command) = self.commands.get_mut(builder) else { return };
        let State::Held(order) = std::mem::replace(&mut command.state, State::Begun) else { return };
        let id = command.id.clone();
        match self.send(&id, builder, order, wire) {
            Ok(moving) => {
                if let Some(command) = self.commands.get_mut(builder) {
                    command.moving = moving;
                }
            }
            Err(failure) => {
                self.commands.remove(builder);
                wire.complete(id, Some(failure));
            }
        }
    }

    fn send(
        &self,
        id: &CommandId,
        builder: &Arc<str>,
        order: WorkerCommand,
        wire: &mut Wire<'_>,
    ) -> Result<Option<Moving>, String> {
        let Some(object) = self.object(builder) else {
            return Err(match &self.refusal {
                Some(Refusal::Told(cause)) => unfit::refusal(builder, cause),
                Some(Refusal::Unsent(cause)) => {
                    format!("builder `{builder}` cannot be told to the worker: {cause}")
                }
                None => format!("builder `{builder}` is missing in the worker's answer"),
            });
        };
        let Words { verb, mut arguments, transfer, notes } = command::words(order, &self.versions)?;
        // Known before it is called: its first news may come before the answer to the start.
        let ours = wire.broker.publish(Object::Command { id: id.clone(), builder: Arc::clone(builder) });
        let moving = transfer.map(|handle| {
            let object = wire.broker.publish(Object::Transfer { builder: Arc::clone(builder) });
            arguments.extend(pairs([(handle.argument(), Value::Remote(object))]));
            Moving { object, handle, waiting: None }
        });
        let text = |text: &str| Value::text(text.to_owned());
        let args = [Value::Remote(ours), text(id.as_str()), Value::text(verb.name()), Value::Dict(arguments)];
        let asked = Asked::Start { object: ours };
        if let Err(overlong) = wire.broker.call(Called::Object(object), "startCommand", &args, &[], asked) {
            wire.broker.forget(ours);
            if let Some(moving) = moving {
                wire.broker.forget(moving.object);
            }
            return Err(overlong.to_string());
        }
        if !notes.is_empty() {
            let update = Update::Output { stream: LogStream::Header, bytes: Bytes::from(notes) };
            wire.events.push_back(SessionEvent::Message(FromWorker::Update { id: id.clone(), update }));
        }
        Ok(moving)
    }

    /// Ends a command early. One that has ended meanwhile has its `Complete` on the way.
    pub(super) fn interrupt(&mut self, id: &CommandId, why: &str, mut wire: Wire<'_>) {
        let found = self.commands.iter_mut().find(|(_, command)| command.id == *id);
        let Some((builder, command)) = found else { return };
        let builder = Arc::clone(builder);
        let why = why[..why.floor_char_boundary(MAX_WHY_BYTES)].to_owned();
        match command.state {
            State::Held(_) => {
                self.commands.remove(&builder);
                wire.complete(id.clone(), Some(format!("interrupted before it began: {why}")));
            }
            State::Begun => {
                command.is_interrupted = true;
                let waiting = command.moving.as_mut().and_then(|moving| moving.waiting.take());
                if let Some(object) = self.object(&builder) {
                    let args = [Value::text(id.as_str().to_owned()), Value::text(why)];
                    let called = wire.broker.call(
                        Called::Object(object),
                        "interruptCommand",
                        &args,
                        &[],
                        Asked::Nothing,
                    );
                    called.expect("an id and a line of text are short");
                }
                // After the interrupt, so that the worker does not take an end of the bytes for that of the file.
                if let Some(waiting) = waiting {
                    waiting.release(&mut wire);
                }
            }
        }
    }

    /// The worker's answer to a start: only a refusal says something.
    pub(super) fn start_answered(
        &mut self,
        object: i64,
        answer: Result<Value, Failure>,
        wire: &mut Wire<'_>,
    ) {
        if let Err(failure) = answer {
            self.complete(object, Some(failure.to_string()), wire);
        }
    }

    /// A command's end, if it has not been told yet.
    pub(super) fn complete(&mut self, object: i64, failure: Option<String>, wire: &mut Wire<'_>) {
        if let Some(Object::Command { id, builder }) = wire.broker.forget(object) {
            self.completed(id, &builder, failure, wire);
        }
    }

    /// A command's end: its object is gone.
    pub(super) fn completed(
        &mut self,
        id: CommandId,
        builder: &str,
        failure: Option<String>,
        wire: &mut Wire<'_>,
    ) {
        let command = self.commands.remove(builder);
        let (moving, fault) = command.map_or((None, None), |command| (command.moving, command.fault));
        if let Some(moving) = moving {
            wire.broker.forget(moving.object);
            if let Some(waiting) = moving.waiting {
                waiting.release(wire);
            }
        }
        wire.complete(id, fault.or(failure));
        // The builder may be one that was only kept for this command.
        self.settle(wire);
    }
}

impl Wire<'_> {
    fn complete(&mut self, id: CommandId, failure: Option<String>) {
        self.events.push_back(SessionEvent::Message(FromWorker::Complete { id, failure }));
    }
}
