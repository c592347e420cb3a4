//! What the worker asks: news of its commands, blocks of files, and its own wishes.
//!
//! # Not here
//! What the master asks, and what came of it (`session`). What is told twice over two connections (`resume`).

use bytes::Bytes;
use rmpv::ValueRef;

use super::{
    super::{
        END_SESSION, MsgpackError, REQUEST_SHUTDOWN,
        frame::{self, field, shown},
        update,
    },
    Block, MAX_ID_BYTES, MAX_WHY_BYTES, MasterSession, READ_FILE,
    resume::number,
};
use crate::protocol::{CommandId, FromWorker, Transfer, TransferReply, command::MAX_BLOCK_BYTES};

/// Blocks of a file that a worker may send before the first is answered. An honest one waits after each.
const MAX_BLOCKS: usize = 16;

impl MasterSession {
    /// What the worker asks of the master, by the name of its operation.
    ///
    /// # Errors
    /// [`MsgpackError::Impatient`] from a worker that sends blocks without waiting for answers.
    pub(super) fn called(
        &mut self,
        op: &[u8],
        seq: u64,
        message: &[(ValueRef<'_>, ValueRef<'_>)],
    ) -> Result<(), MsgpackError> {
        const WITH_ID: [&[u8]; 9] = [
            b"update",
            b"complete",
            b"update_upload_file_write",
            b"update_upload_file_close",
            b"update_upload_file_utime",
            b"update_upload_directory_write",
            b"update_upload_directory_unpack",
            READ_FILE,
            b"update_read_file_close",
        ];
        if op == END_SESSION.as_bytes() {
            self.tell(FromWorker::SessionOver);
            self.requests.respond(seq, ValueRef::Nil);
            return Ok(());
        }
        if op == REQUEST_SHUTDOWN.as_bytes() {
            self.asked_to_stop(seq);
            return Ok(());
        }
        if !WITH_ID.contains(&op) {
            let op = String::from_utf8_lossy(&op[..op.len().min(MAX_ID_BYTES)]);
            self.requests.refuse(seq, &format!("Command {op} does not exist."));
            return Ok(());
        }
        let id = field(message, "command_id").and_then(frame::text);
        let Some(id) = id.and_then(|id| std::str::from_utf8(id).ok()).filter(|id| id.len() <= MAX_ID_BYTES)
        else {
            self.requests.refuse(seq, "a call about a command says which, as `command_id`");
            return Ok(());
        };
        let id = CommandId::new(id);
        let number = number(message);
        if number.is_some_and(|number| self.has_told(&id, number)) {
            self.respond_again(&id, seq, op);
            return Ok(());
        }
        let nil = &ValueRef::Nil;
        let args = field(message, "args").unwrap_or(nil);
        let float = |name| field(message, name).and_then(frame::number).unwrap_or(0.0);
        let transfer = match op {
            b"update" => {
                self.updated(&id, args);
                None
            }
            b"complete" => {
                let failure = match args {
                    ValueRef::Nil => None,
                    other => Some(shown(other, MAX_WHY_BYTES).unwrap_or_else(|| "it failed".into())),
                };
                self.complete(&id, failure);
                None
            }
            b"update_upload_file_write" | b"update_upload_directory_write" => {
                // A copy: a slice would keep the whole message.
                let block = Bytes::copy_from_slice(frame::bytes(args).unwrap_or_default());
                return self.block(id, seq, number, Transfer::Write(block));
            }
            READ_FILE => {
                let most = field(message, "length").and_then(frame::integer).unwrap_or(0);
                let most = most.clamp(0, MAX_BLOCK_BYTES.into());
                let most = u32::try_from(most).expect("no more than a block");
                return self.block(id, seq, number, Transfer::Read { most });
            }
            b"update_upload_file_utime" => Some(Transfer::Times {
                accessed_at: float("access_time"),
                modified_at: float("modified_time"),
            }),
            b"update_upload_directory_unpack" => Some(Transfer::Unpack),
            _ => Some(Transfer::Close),
        };
        if let Some(transfer) = transfer.filter(|_| self.commands.contains_key(&id)) {
            self.tell(FromWorker::Transfer { id: id.clone(), transfer });
        }
        self.mark(id, number);
        // Never an exception: the worker could not go on from it.
        self.requests.respond(seq, ValueRef::Nil);
        Ok(())
    }

    /// A worker wishes to stop. It has no such word in Buildbot's protocol: `lunabot-worker` asks.
    fn asked_to_stop(&mut self, seq: u64) {
        self.wants_to_stop = true;
        self.requests.respond(seq, ValueRef::Nil);
        self.settle();
    }

    /// A block of a file, which the master answers. Nobody waits for one of an unknown command.
    fn block(
        &mut self,
        id: CommandId,
        seq: u64,
        number: Option<u64>,
        transfer: Transfer,
    ) -> Result<(), MsgpackError> {
        let block = Block { seq, is_read: matches!(transfer, Transfer::Read { .. }) };
        let Some(command) = self.commands.get_mut(&id) else {
            self.reply(block, &TransferReply::Taken);
            return Ok(());
        };
        if command.blocks.len() >= MAX_BLOCKS {
            return Err(MsgpackError::Impatient);
        }
        command.blocks.push_back(block);
        self.tell(FromWorker::Transfer { id: id.clone(), transfer });
        self.mark(id, number);
        Ok(())
    }

    fn updated(&mut self, id: &CommandId, args: &ValueRef<'_>) {
        if self.internal.as_ref() == Some(id) {
            for update in update::read(args) {
                self.folders.note(update);
            }
        } else if self.commands.contains_key(id) {
            // Commands of an earlier connection may still run: nobody waits for their news.
            for update in update::read(args) {
                self.tell(FromWorker::Update { id: id.clone(), update });
            }
        }
    }
}
