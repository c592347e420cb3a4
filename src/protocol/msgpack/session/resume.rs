//! Commands that outlive their connection: what is said for that, and what is not told twice.

use std::time::Duration;

use rmpv::ValueRef;

use super::{super::frame::field, Asked, Block, Command, MasterSession, Phase, READ_FILE};
use crate::protocol::{CommandId, FromWorker, TransferReply};

impl MasterSession {
    pub(super) fn outlive(&mut self, grace: Duration) {
        self.outlives = true;
        let fields = vec![("grace", grace.as_secs_f64().into())];
        self.requests.ask("resume_settings", fields, Asked::Outlive);
    }

    pub(super) fn does_not_outlive(&mut self, failure: &str) {
        self.outlives = false;
        tracing::warn!(failure, "the commands of a worker do not outlive its link, as it has said they do");
    }

    /// Goes on with a command of an earlier connection, wherever its folder is.
    pub(super) fn adopt(&mut self, id: &CommandId, received: u64, reply: Option<Box<TransferReply>>) {
        if self.commands.contains_key(id) {
            tracing::error!(command = %id, "a command that is there was asked for; that is not heard");
            return;
        }
        let answer = match reply.as_deref() {
            None => ValueRef::Nil,
            Some(TransferReply::Taken) => ValueRef::Boolean(true),
            Some(TransferReply::Data(bytes)) => ValueRef::Binary(bytes),
        };
        let fields =
            vec![("command_id", id.as_str().into()), ("received", received.into()), ("reply", answer)];
        self.requests.ask("resume_command", fields, Asked::Resume(id.clone()));
        let command = Command { told: received, reply, ..Command::new("".into(), Phase::Begun) };
        self.commands.insert(id.clone(), command);
    }

    pub(super) fn request_acknowledge(&mut self, id: &CommandId, number: u64) {
        let fields = vec![("command_id", id.as_str().into()), ("number", number.into())];
        self.requests.ask("acknowledge", fields, Asked::Nothing("acknowledge"));
    }

    pub(super) fn does_not_resume(&mut self, id: CommandId, failure: &str) {
        if self.commands.remove(&id).is_some() {
            tracing::debug!(command = %id, failure, "a worker does not go on with a command");
            self.tell(FromWorker::Unknown { id });
        }
    }

    /// Whether what has this number was told, here or on an earlier connection.
    pub(super) fn has_told(&self, id: &CommandId, number: u64) -> bool {
        self.commands.get(id).is_some_and(|command| number <= command.told)
    }

    /// Answers to what was told before.
    pub(super) fn respond_again(&mut self, id: &CommandId, seq: u64, op: &[u8]) {
        let reply = self.commands.get(id).and_then(|command| command.reply.as_deref().cloned());
        // The answer to anything but the wish for a block is the same.
        self.reply(Block { seq, is_read: op == READ_FILE }, &reply.unwrap_or(TransferReply::Taken));
    }

    /// All up to this number was told of a command; nothing is to be said of one that is not there, or not any more.
    pub(super) fn mark(&mut self, id: CommandId, number: Option<u64>) {
        if let Some(number) = number
            && let Some(command) = self.commands.get_mut(&id)
        {
            command.told = number;
            self.tell(FromWorker::Mark { id, number });
        }
    }
}

/// The number of what a worker says, if it numbers that.
pub(super) fn number(message: &[(ValueRef<'_>, ValueRef<'_>)]) -> Option<u64> {
    match field(message, "number") {
        Some(ValueRef::Integer(number)) => number.as_u64(),
        _ => None,
    }
}
