//! What a command says, as messages of this wire.

use bytes::Bytes;
use rmpv::ValueRef;

use super::{
    super::{
        super::frame,
        kept::Kind,
        news::{self, News},
    },
    Moves, Running,
};
use crate::protocol::Transfer;

/// What a message takes besides its text or its bytes, more or less.
const MESSAGE_BYTES: usize = 64;

/// Something that was said.
#[derive(Debug)]
pub(super) enum Item {
    News(News),
    Transfer(Transfer),
    Complete(Option<String>),
}

impl Running {
    /// Makes a message of what waits here for longest.
    pub(super) fn form(&mut self) -> Option<(Kind, Bytes)> {
        let first = self.pop()?;
        let number = self.kept.number();
        Some(match first {
            Item::News(first) => {
                let mut length = first.len();
                let mut bundle = vec![first];
                while let Some(Item::News(next)) = self.queue.front() {
                    length += next.len();
                    if length > news::MOST_BYTES {
                        break;
                    }
                    if let Some(Item::News(next)) = self.pop() {
                        bundle.push(next);
                    }
                }
                let args = ValueRef::Array(bundle.iter().filter_map(News::pair).collect());
                (Kind::News, self.message("update", vec![("args", args)], number))
            }
            Item::Transfer(transfer) => {
                let op = self.op(&transfer);
                let (kind, fields) = match &transfer {
                    Transfer::Write(block) => {
                        (Kind::Block { is_read: false }, vec![("args", ValueRef::Binary(block))])
                    }
                    Transfer::Read { most } => {
                        (Kind::Block { is_read: true }, vec![("length", (*most).into())])
                    }
                    Transfer::Times { accessed_at, modified_at } => {
                        let times = [("access_time", *accessed_at), ("modified_time", *modified_at)];
                        (Kind::Close { op }, times.map(|(name, time)| (name, time.into())).into())
                    }
                    Transfer::Close | Transfer::Unpack => (Kind::Close { op }, vec![]),
                };
                if let Kind::Block { is_read } = kind {
                    self.blocks.push_back((number, is_read));
                }
                (kind, self.message(op, fields, number))
            }
            Item::Complete(failure) => {
                let failure = self.fault.take().or(failure);
                let args = failure.as_deref().map_or(ValueRef::Nil, ValueRef::from);
                (Kind::Complete, self.message("complete", vec![("args", args)], number))
            }
        })
    }

    fn message<'f>(&'f self, op: &'static str, mut fields: Vec<(&str, ValueRef<'f>)>, number: u64) -> Bytes {
        fields.insert(0, ("op", op.into()));
        fields.push(("command_id", self.id.as_str().into()));
        if self.outlives {
            fields.push(("number", number.into()));
        }
        frame::encode_most(fields)
    }

    const fn op(&self, transfer: &Transfer) -> &'static str {
        match (transfer, self.moves) {
            (Transfer::Write(_), Moves::Folder) => "update_upload_directory_write",
            (Transfer::Write(_), _) => "update_upload_file_write",
            (Transfer::Read { .. }, _) => "update_read_file",
            (Transfer::Close, Moves::Fetched) => "update_read_file_close",
            (Transfer::Close, _) => "update_upload_file_close",
            (Transfer::Unpack, _) => "update_upload_directory_unpack",
            (Transfer::Times { .. }, _) => "update_upload_file_utime",
        }
    }
}

impl Item {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::News(news) => news.len(),
            Self::Transfer(Transfer::Write(block)) => MESSAGE_BYTES + block.len(),
            Self::Transfer(_) | Self::Complete(None) => MESSAGE_BYTES,
            Self::Complete(Some(failure)) => MESSAGE_BYTES + failure.len(),
        }
    }
}
