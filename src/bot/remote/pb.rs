//! Perspective Broker on a socket: plain bytes.

use std::{
    io,
    mem::{self, MaybeUninit},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{failure::LinkError, pump::Carrier};
use crate::{net::Stranger, protocol::bot::Conversation};

/// How much is read at once.
const READ_BYTES: usize = 16 * 1024;

/// How much a master may still say after the end.
const MOST_LATE_BYTES: usize = 1024 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Plain<S> {
    stream: S,
    /// What the stream has not taken yet.
    out: Bytes,
    /// Whether all that the stream has taken is on its way.
    is_flushed: bool,
    /// Whether the master has said anything.
    has_spoken: bool,
    /// Whether it was told that no more comes.
    is_shut: bool,
    late_bytes: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Plain<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, out: Bytes::new(), is_flushed: true, has_spoken: false, is_shut: false, late_bytes: 0 }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, LinkError> {
        let mut progress = Poll::Pending;
        if !self.out.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.out)? {
                Poll::Ready(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Poll::Ready(count) => {
                    self.out.advance(count);
                    self.is_flushed = false;
                    progress = Poll::Ready(());
                }
                Poll::Pending => {}
            }
        }
        if !self.is_flushed && Pin::new(&mut self.stream).poll_flush(cx)?.is_ready() {
            self.is_flushed = true;
            progress = Poll::Ready(());
        }
        Ok(progress)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Carrier for Plain<S> {
    fn poll_exchange(
        &mut self,
        cx: &mut Context<'_>,
        conversation: &mut impl Conversation,
        read: bool,
    ) -> Poll<Result<bool, LinkError>> {
        // A master that hangs up may have said why before: that is heard first, whatever became of the last words to it.
        let written = self.poll_write(cx);
        if read {
            let mut space = [MaybeUninit::uninit(); READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut space);
            if Pin::new(&mut self.stream).poll_read(cx, &mut buffer)?.is_ready() {
                let heard = buffer.filled();
                if heard.is_empty() {
                    return Poll::Ready(Err(LinkError::Closed));
                }
                if !mem::replace(&mut self.has_spoken, true)
                    && let Some(stranger) = Stranger::of(heard)
                {
                    return Poll::Ready(Err(LinkError::Stranger(stranger)));
                }
                conversation.hear(heard).map_err(|error| LinkError::Protocol(error.into()))?;
                return Poll::Ready(Ok(true));
            }
        }
        written?.map(|()| Ok(false))
    }

    fn load(&mut self, conversation: &mut impl Conversation) {
        if self.out.is_empty()
            && let Some(bytes) = conversation.poll_output()
        {
            self.out = bytes;
        }
    }

    fn load_bytes(&self) -> Option<usize> {
        (!self.out.is_empty() || !self.is_flushed).then_some(self.out.len())
    }

    fn ask(&mut self) {}

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        if !self.is_shut {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.is_shut = true;
        }
        // A socket that is closed with bytes unread takes its last words back.
        let mut space = [0; 1024];
        while self.late_bytes < MOST_LATE_BYTES {
            let mut buffer = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            match buffer.filled().len() {
                0 => break,
                count => self.late_bytes += count,
            }
        }
        Poll::Ready(Ok(()))
    }
}
