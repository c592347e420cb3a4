//! The objects by which a worker moves bytes, one for each command that moves some.
//!
//! # Laws
//! - No call is ever answered by a failure: at one, a worker never tells the end of its command.
//! - A block is answered when the master has taken or given it, and a worker waits for that: a command has one block in
//!   memory at most. Who sends a second one before is no worker, and its connection ends.
//! - Whoever is to answer may be gone: with an interrupt or the end of its command a call that waits is answered; later
//!   ones are answered at once, and their blocks are told to nobody.

use super::{Command, Crew, SessionEvent, Wire};
use crate::protocol::{
    CommandId, FromWorker, Transfer, TransferReply,
    command::MAX_BLOCK_BYTES,
    pb::{
        PbError,
        broker::{Call, Reply},
        command::Handle,
        jelly::Value,
    },
};

/// Bytes of one command on their way.
#[derive(Debug)]
pub(super) struct Moving {
    pub(super) object: i64,
    pub(super) handle: Handle,
    /// The worker waits for this.
    pub(super) waiting: Option<Waiting>,
}

/// A call that is not answered yet.
#[derive(Debug)]
pub(super) struct Waiting {
    reply: Reply,
    /// How many bytes were asked for; none if they were given.
    wanted: Option<u32>,
}

impl Waiting {
    /// An answer that lets the worker go on to its end.
    pub(super) fn release(self, wire: &mut Wire<'_>) {
        let answer = if self.wanted.is_some() { nothing_more() } else { Value::None };
        wire.broker.answer(self.reply, &answer);
    }
}

/// What any other call of a command or its bytes is answered, above all after its end.
pub(in crate::protocol::pb) fn late_answer(method: &[u8]) -> Value {
    match method {
        b"read" => nothing_more(),
        _ => Value::None,
    }
}

fn nothing_more() -> Value {
    Value::Bytes(bytes::Bytes::new())
}

impl Crew {
    /// A call of the object by which the command of this builder moves bytes.
    pub(in crate::protocol::pb) fn transfer_called(
        &mut self,
        builder: &str,
        call: Call,
        wire: &mut Wire<'_>,
    ) -> Result<(), PbError> {
        let command = self.commands.get_mut(builder);
        let Some(Command { id, moving: Some(moving), is_interrupted, fault, .. }) = command else {
            wire.broker.answer(call.reply, &late_answer(&call.method));
            return Ok(());
        };
        let Call { reply, method, args, .. } = call;
        let is_writer = moving.handle != Handle::FileReader;
        let transfer = match (method.as_ref(), args.as_slice()) {
            (b"write", [bytes]) if is_writer => {
                if let Some(bytes) = bytes.as_bytes() {
                    Transfer::Write(bytes.clone())
                } else {
                    *fault = Some("the worker sent a block that is no bytes".into());
                    wire.broker.answer(reply, &Value::None);
                    return Ok(());
                }
            }
            (b"read", [Value::Int(most)]) if !is_writer => {
                let most = (*most).clamp(0, MAX_BLOCK_BYTES.into());
                Transfer::Read { most: u32::try_from(most).expect("it is a block at most") }
            }
            (b"close", _) if moving.handle != Handle::DirectoryWriter => Transfer::Close,
            (b"unpack", _) if moving.handle == Handle::DirectoryWriter => Transfer::Unpack,
            (b"utime", args) if moving.handle == Handle::FileWriter => {
                let Some(times) = times(args) else {
                    wire.broker.answer(reply, &Value::None);
                    return Ok(());
                };
                times
            }
            (method, _) => {
                wire.broker.answer(reply, &late_answer(method));
                return Ok(());
            }
        };
        let wanted = match transfer {
            Transfer::Write(_) => None,
            Transfer::Read { most } => Some(most),
            Transfer::Close | Transfer::Unpack | Transfer::Times { .. } => {
                wire.tell(id.clone(), transfer);
                wire.broker.answer(reply, &Value::None);
                return Ok(());
            }
        };
        if moving.waiting.is_some() {
            return Err(PbError::OutOfTurn("a block before the answer to the one before it"));
        }
        let waiting = Waiting { reply, wanted };
        if *is_interrupted {
            waiting.release(wire);
        } else {
            moving.waiting = Some(waiting);
            wire.tell(id.clone(), transfer);
        }
        Ok(())
    }

    /// The master's answer to a block. One that nobody waits for means nothing: its command was interrupted, or has ended.
    pub(in crate::protocol::pb) fn reply(
        &mut self,
        id: &CommandId,
        reply: TransferReply,
        wire: &mut Wire<'_>,
    ) {
        let command = self.commands.values_mut().find(|command| command.id == *id);
        let Some(command) = command else { return };
        let Some(waiting) = command.moving.as_mut().and_then(|moving| moving.waiting.take()) else { return };
        match (waiting.wanted, reply) {
            (Some(most), TransferReply::Data(bytes)) if bytes.len() <= most as usize => {
                wire.broker.answer(waiting.reply, &Value::Bytes(bytes));
            }
            (Some(most), TransferReply::Data(bytes)) => {
                let fault = format!("{} bytes were to be sent where {most} were asked for", bytes.len());
                tracing::error!(command = %id, fault, "a block is too long");
                command.fault = Some(fault);
                waiting.release(wire);
            }
            (_, TransferReply::Taken) | (None, TransferReply::Data(_)) => waiting.release(wire),
        }
    }
}

impl Wire<'_> {
    fn tell(&mut self, id: CommandId, transfer: Transfer) {
        self.events.push_back(SessionEvent::Message(FromWorker::Transfer { id, transfer }));
    }
}

/// One tuple of two; older forms have two arguments.
fn times(args: &[Value]) -> Option<Transfer> {
    let times = match args {
        [times] => times.as_items()?,
        times => times,
    };
    let seconds = |value: &Value| match value {
        Value::Float(seconds) if seconds.is_finite() => Some(*seconds),
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are small")]
        Value::Int(seconds) => Some(*seconds as f64),
        _ => None,
    };
    let [accessed_at, modified_at] = times else { return None };
    Some(Transfer::Times { accessed_at: seconds(accessed_at)?, modified_at: seconds(modified_at)? })
}
