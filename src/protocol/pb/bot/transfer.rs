//! How a command of this worker moves bytes: by calls of an object of its master, one after the other.
//!
//! # Laws
//! - A command has one such call on its way at most.
//! - A block that the master does not take, or does not give, ends its command early: it is interrupted, and its end is a
//!   failure. `buildbot-worker` is silent for ever there.
//! - What the master answers by a failure once all has been moved makes the end a failure.
//! - The object is given back with the end of the command, when no call of it is on its way.
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/commands/transfer.py`.

use bytes::Bytes;

use super::BotSession;
use crate::protocol::{
    CommandId, ToWorker, Transfer, TransferReply,
    bot::BotEvent,
    pb::{
        failure::{Failure, RUNTIME_ERROR},
        worker::WorkerSession,
    },
};

/// The object of a command by which it moves bytes.
#[derive(Debug)]
pub(super) struct Moving {
    pub(super) object: i64,
    /// The call that has no answer.
    asking: Option<Asking>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    Write,
    Read { most: u32 },
    Settle,
}

impl Moving {
    pub(super) fn new(object: i64) -> Self {
        Self { object, asking: None }
    }

    pub(super) fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    /// Makes the next call.
    ///
    /// # Errors
    /// Why it could not be made.
    fn call(&mut self, transfer: Transfer, worker: &mut WorkerSession) -> Result<(), Failure> {
        let object = self.object;
        self.asking = Some(match transfer {
            Transfer::Write(block) => {
                worker
                    .write(object, block)
                    .map_err(|error| Failure::exception(RUNTIME_ERROR, error.to_string()))?;
                Asking::Write
            }
            Transfer::Read { most } => {
                worker.read(object, most);
                Asking::Read { most }
            }
            Transfer::Close => {
                worker.close(object);
                Asking::Settle
            }
            Transfer::Unpack => {
                worker.unpack(object);
                Asking::Settle
            }
            Transfer::Times { accessed_at, modified_at } => {
                worker.utime(object, accessed_at, modified_at);
                Asking::Settle
            }
        });
        Ok(())
    }
}

impl BotSession {
    /// Moves bytes of a command, or says that no more come.
    pub(super) fn move_bytes(&mut self, id: &CommandId, transfer: Transfer) {
        let Some(running) = self.commands.get_mut(id) else { return };
        // The file is not there whose times it would be. Source: `buildbot-worker`, which stops at the failure.
        if matches!(transfer, Transfer::Times { .. }) && running.has_failed() {
            return;
        }
        let Some(moving) = running.moving.as_mut() else {
            tracing::error!(command = %id, "a command that has no bytes to move moves some");
            return;
        };
        if let Err(failure) = moving.call(transfer, &mut self.worker) {
            running.fail(failure);
            self.give_up(id);
        }
    }

    /// The master has taken a block.
    pub(super) fn written(&mut self, object: i64) {
        if let Some((id, Asking::Write)) = self.answered(object) {
            self.tell(ToWorker::Reply { id, reply: TransferReply::Taken });
        }
    }

    /// The master has given bytes.
    pub(super) fn given(&mut self, object: i64, bytes: Bytes) {
        let Some((id, Asking::Read { most })) = self.answered(object) else { return };
        if bytes.len() <= most as usize {
            return self.tell(ToWorker::Reply { id, reply: TransferReply::Data(bytes) });
        }
        if let Some(running) = self.commands.get_mut(&id) {
            let value = format!("the master gave {} bytes where {most} were asked for", bytes.len());
            running.fail(Failure::exception(RUNTIME_ERROR, value));
        }
        self.give_up(&id);
    }

    /// The master has heard what comes after the blocks.
    pub(super) fn settled(&mut self, object: i64) {
        self.answered(object);
    }

    /// The master has answered a call of its object by a failure.
    pub(super) fn not_moved(&mut self, object: i64, failure: &Failure) {
        let Some((id, asking)) = self.answered(object) else { return };
        if let Some(running) = self.commands.get_mut(&id) {
            running.fail_by_master(failure);
        }
        if asking != Asking::Settle {
            self.give_up(&id);
        }
    }

    /// Ends a command that waits for what will not come.
    fn give_up(&mut self, id: &CommandId) {
        self.interrupt(id, "its bytes could not be moved".to_owned());
    }

    /// The command of which a call of this object has been answered, and which it was.
    fn answered(&mut self, object: i64) -> Option<(CommandId, Asking)> {
        self.commands.iter_mut().find_map(|(id, running)| {
            let moving = running.moving.as_mut().filter(|moving| moving.object == object)?;
            Some((id.clone(), moving.asking.take()?))
        })
    }

    fn tell(&mut self, order: ToWorker) {
        self.events.push_back(BotEvent::Order(order));
    }
}
