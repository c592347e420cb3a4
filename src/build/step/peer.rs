//! What a step has for its command beside the logs: ears for its output and facts, and bytes to give or to take.
//!
//! # Not here
//! The conversation itself (`command`).

use bytes::Bytes;

use super::transfer::TransferError;
use crate::{
    model::LogStream,
    protocol::{Transfer, TransferReply, Update},
};

/// What the master has for a command beside its logs.
pub(super) trait Peer: Send {
    /// Whether nothing but the logs is needed of what the command says, so that a later master can go on with it.
    const OUTLIVES_MASTER: bool = false;

    /// Hears output that the log has.
    fn output(&mut self, _stream: LogStream, _bytes: &Bytes) {}

    /// Hears of a fact: what a path is, or paths.
    fn fact(&mut self, _update: Update) {}

    /// Takes or gives bytes. An error ends the command; the driver answers in its place.
    fn transfer(
        &mut self,
        transfer: Transfer,
    ) -> impl Future<Output = Result<Option<TransferReply>, TransferError>> + Send {
        async move { Ok(dropped(&transfer)) }
    }
}

/// For commands of which only logs and the end are wanted, in steps that do more than to run one.
pub(super) struct NoPeer;

impl Peer for NoPeer {}

/// For the command of a step that is nothing else.
pub(super) struct Alone;

impl Peer for Alone {
    const OUTLIVES_MASTER: bool = true;
}

/// The answer to a block that nobody has use for.
pub(super) fn dropped(transfer: &Transfer) -> Option<TransferReply> {
    match transfer {
        Transfer::Write(_) => Some(TransferReply::Taken),
        Transfer::Read { .. } => Some(TransferReply::Data(Bytes::new())),
        Transfer::Close | Transfer::Unpack | Transfer::Times { .. } => None,
    }
}
