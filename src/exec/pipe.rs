//! Our end of what a child writes to: a pipe, or its terminal.

use bytes::BytesMut;
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::outbox::FULL_BYTES;
use crate::model::LogStream;

/// See the module.
pub(super) struct Pipe<R> {
    reader: Option<R>,
    /// Nothing if what it carries is not wanted.
    pub(super) told_as: Option<LogStream>,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Pipe<R> {
    pub(super) fn new(reader: Option<R>, told_as: Option<LogStream>) -> Self {
        Self { reader, told_as, buffer: BytesMut::new() }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.reader.is_none()
    }

    /// What is there, once something is; nothing when it is closed.
    pub(super) async fn read(&mut self) -> Option<BytesMut> {
        let reader = self.reader.as_mut()?;
        // Room for a good part of a pipe; a new buffer only when what is left would make small reads.
        if self.buffer.capacity() < FULL_BYTES / 8 {
            self.buffer.reserve(FULL_BYTES / 2);
        }
        match reader.read_buf(&mut self.buffer).await {
            Ok(0) => self.reader = None,
            Ok(_) => return Some(self.buffer.split()),
            // So a terminal says that nobody holds it any more.
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => self.reader = None,
            Err(error) => {
                tracing::warn!(%error, "cannot read the output of a command");
                self.reader = None;
            }
        }
        None
    }
}
