//! What a master orders: builders, and commands to begin and to end on them.
//!
//! # Laws
//! - A second command on a builder interrupts the first, and both run to their own ends. One that `buildbot-worker` would
//!   have ended before it looks at the second is let be: masters ask several such questions at once.
//! - A builder that is taken away has its commands interrupted.
//! - No more than [`MAX_COMMANDS`] run at once; further ones are refused.
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/pb.py`: what it does with a builder that is busy, or gone. There the first of two commands
//! is lost, and the second cannot be interrupted; and what is taken away ends without a word.

use std::sync::Arc;

use super::{
    BotSession,
    arguments::{self, Wish},
    running::Running,
    transfer::Moving,
};
use crate::protocol::{
    CommandId, ToWorker,
    bot::BotEvent,
    message::BuilderFolder,
    pb::{
        failure::{Failure, RUNTIME_ERROR},
        jelly::Value,
        worker::StartedCommand,
    },
};

/// Commands at once: twice as many as a bot runs, so that each has its own refusal.
pub(super) const MAX_COMMANDS: usize = 512;
/// The most that is kept of the master's name of a command, or of its reason for an interrupt, in bytes.
pub(super) const MAX_TEXT_BYTES: usize = 4096;
/// The most of the master's name that stands in the name here, in bytes.
const MAX_NAME_BYTES: usize = 32;

impl BotSession {
    pub(super) fn set_builders(&mut self, pairs: Vec<(String, String)>) -> ToWorker {
        let builders: Vec<BuilderFolder> = pairs
            .into_iter()
            .map(|(builder, folder)| BuilderFolder { builder: builder.into(), folder })
            .collect();
        self.interrupt_all("its builder was taken away", |running| {
            !running.is_interrupted && builders.iter().all(|builder| builder.builder != running.builder)
        });
        ToWorker::SetBuilders(builders)
    }

    pub(super) fn start(&mut self, mut started: StartedCommand) {
        if self.commands.len() >= MAX_COMMANDS {
            let failure = format!("{MAX_COMMANDS} commands run already, which is the limit");
            return self.worker.refuse(started, &Failure::exception(RUNTIME_ERROR, failure));
        }
        let Wish { command, transfer } = match arguments::read(&started.name, &started.arguments) {
            Ok(wish) => wish,
            Err(failure) => {
                let builder = &started.builder;
                tracing::warn!(builder, id = started.id, %failure, "a command cannot be begun");
                return self.worker.refuse(started, &failure);
            }
        };
        self.worker.accept(&mut started);
        self.give_back_but(transfer, &started.arguments);
        let builder: Arc<str> = started.builder.into();
        self.interrupt_all("another command was started on its builder", |running| {
            running.builder == builder && !running.is_interrupted && !running.is_question
        });
        self.count += 1;
        let name = begin(&started.id, MAX_TEXT_BYTES);
        let id = CommandId::new(format!("{}#{}", begin(&name, MAX_NAME_BYTES), self.count));
        let mut running = Running::new(name, Arc::clone(&builder), started.object, &command);
        running.moving = transfer.map(Moving::new);
        self.commands.insert(id.clone(), running);
        self.events.push_back(BotEvent::Order(ToWorker::Start { id, builder, command }));
    }

    /// Gives back the objects among the arguments of a command of which it has no use.
    fn give_back_but(&mut self, transfer: Option<i64>, arguments: &Value) {
        let mut kept = transfer;
        for (_, argument) in arguments.as_pairs().unwrap_or_default() {
            if let Value::Remote(object) = argument
                && kept.take_if(|kept| kept == object).is_none()
            {
                self.worker.give_back(*object);
            }
        }
    }

    /// The command that is meant, or else what runs on the builder. Source: `buildbot-worker`, which looks at the builder
    /// alone.
    pub(super) fn interrupted(&mut self, builder: &str, name: &str, why: &str) {
        let name = begin(name, MAX_TEXT_BYTES);
        let why = begin(why, MAX_TEXT_BYTES);
        let is_meant = |running: &Running| &*running.builder == builder && running.name == name;
        if self.commands.values().any(is_meant) {
            self.interrupt_all(&why, is_meant);
        } else {
            self.interrupt_all(&why, |running| &*running.builder == builder);
        }
    }

    fn interrupt_all(&mut self, why: &str, mut which: impl FnMut(&Running) -> bool) {
        let ids: Vec<_> =
            self.commands.iter().filter(|(_, running)| which(running)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.interrupt(&id, why.to_owned());
        }
    }

    pub(super) fn interrupt(&mut self, id: &CommandId, why: String) {
        if let Some(running) = self.commands.get_mut(id) {
            running.is_interrupted = true;
            self.events.push_back(BotEvent::Order(ToWorker::Interrupt { id: id.clone(), why }));
        }
    }
}

/// The begin of a text of the master.
fn begin(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}
