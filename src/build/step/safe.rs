//! What of a command's news is safe, and may be forgotten by its worker.
//!
//! A worker whose commands outlive their links numbers what it says, and keeps it until it is told that it is safe.
//!
//! # Laws
//! - A step that outlives the master has a note beside its logs: it is written after the logs, and before anything up to it is told
//!   to be safe.
//! - What decides the end of a step is noted nowhere: the next master hears it again.
//! - News are told to be safe soon, also if no note can be made for long: then the step does not outlive the master until there is
//!   one again.

use std::time::Duration;

use tokio::time::Instant;

use super::{StepContext, logs::Logs};
use crate::{
    protocol::CommandId,
    store::{LogError, Note, RunningCommand},
};

use super::peer::Peer;

/// How long news may be unsafe.
const WITHIN: Duration = Duration::from_millis(100);
/// How many bytes of them.
const MOST_BYTES: usize = 512 * 1024;
/// How many bytes may come without an instant at which nothing of them is kept back by the masks of secrets. A worker keeps four
/// times as many.
const MOST_UNNOTED_BYTES: usize = 16 * 1024 * 1024;

/// What a later master finds of the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notes {
    /// Nothing: it cannot go on with the step.
    Never,
    /// A note.
    There,
    /// Nothing for now, since none could be made for long.
    Missing,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Safe {
    /// The last number of the worker's.
    mark: u64,
    /// Whether that is not told to be safe yet.
    is_news: bool,
    due: Option<Instant>,
    /// Since the last settlement.
    bytes: usize,
    /// Since the last note.
    unnoted: usize,
    notes: Notes,
    /// Whether what decides the end has been heard.
    is_decided: bool,
}

impl Safe {
    /// Of a command that is about to be started: what a later master needs is written down, if it can go on with it.
    pub(super) async fn before<P: Peer>(
        id: &CommandId,
        context: &StepContext<'_>,
        logs: &mut Logs,
    ) -> Result<Self, LogError> {
        let never = Self::new(0, Notes::Never);
        let Some(session) = context.line.session().filter(|_| P::OUTLIVES_MASTER) else { return Ok(never) };
        let Some(places) = logs.places().await? else { return Ok(never) };
        context.store.keep_note(context.step, Note { number: 0, logs: places }).await?;
        let running = RunningCommand {
            command: id.as_str().to_owned(),
            session: session.as_str().to_owned(),
            steps: context.steps.iter().map(|step| step.name.clone()).collect(),
            place: context.place,
            secrets: context.secrets.names(),
        };
        context.store.note_command(context.step, running).await?;
        Ok(Self::new(0, Notes::There))
    }

    /// Of a command that a master before this one has noted.
    pub(super) const fn after(received: u64) -> Self {
        Self::new(received, Notes::There)
    }

    const fn new(mark: u64, notes: Notes) -> Self {
        Self { mark, is_news: false, due: None, bytes: 0, unnoted: 0, notes, is_decided: false }
    }

    /// The last number that was heard.
    pub(super) const fn mark(&self) -> u64 {
        self.mark
    }

    /// Whether a later master can go on with the command.
    pub(super) const fn outlives_master(&self) -> bool {
        matches!(self.notes, Notes::There)
    }

    /// When [`Safe::settle`] is due; never while there is nothing to settle.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Output was heard, and is in the logs or on its way there.
    pub(super) const fn heard(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// What decides the end was heard.
    pub(super) const fn decided(&mut self) {
        self.is_decided = true;
    }

    /// All up to here was heard.
    pub(super) fn marked(&mut self, number: u64) {
        (self.mark, self.is_news) = (number, true);
        if self.is_over() {
            return;
        }
        let now = Instant::now();
        let due = if self.bytes >= MOST_BYTES { now } else { now + WITHIN };
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    /// Whether what comes now is heard again by the next master.
    fn is_over(&self) -> bool {
        self.notes != Notes::Never && self.is_decided
    }

    /// Makes safe what was heard; the number up to which it is, if that can be told.
    pub(super) async fn settle(
        &mut self,
        context: &StepContext<'_>,
        logs: &mut Logs,
    ) -> Result<Option<u64>, LogError> {
        self.due = None;
        self.unnoted += std::mem::take(&mut self.bytes);
        if !self.is_news || self.is_over() {
            return Ok(None);
        }
        if self.notes != Notes::Never {
            match logs.places().await? {
                Some(logs) => {
                    context.store.keep_note(context.step, Note { number: self.mark, logs }).await?;
                    (self.unnoted, self.notes) = (0, Notes::There);
                }
                None if self.unnoted < MOST_UNNOTED_BYTES => return Ok(None),
                None => {
                    context.store.drop_note(context.step).await?;
                    self.notes = Notes::Missing;
                }
            }
        }
        self.is_news = false;
        Ok(Some(self.mark))
    }
}
