//! msgpack on a socket: a message is one frame of WebSocket, after a request of HTTP that has name and password.
//!
//! # Laws
//! - Before the master has let the worker in, the head of one answer is kept.
//! - What follows that head is heard.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{Sink as _, Stream as _};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message,
        error::ProtocolError,
        protocol::{Role, WebSocketConfig},
    },
};

use super::{
    failure::LinkError,
    pump::{Carrier, LOGIN_WITHIN},
};
use crate::protocol::{
    bot::Conversation,
    msgpack::{frame::MAX_MESSAGE_BYTES, opening::Opening},
};

/// How much is read at once.
const READ_BYTES: usize = 16 * 1024;

/// Messages that a master may still say after the end.
const MOST_LATE: usize = 4096;

impl From<tungstenite::Error> for LinkError {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::ConnectionClosed
            | tungstenite::Error::AlreadyClosed
            // Whoever dies says no farewell.
            | tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::Closed,
            tungstenite::Error::Io(error) => error.into(),
            other => Self::Protocol(Box::new(other)),
        }
    }
}

/// Opens the connection: asks to be let in, and waits for the answer, for [`LOGIN_WITHIN`] at most.
///
/// # Cancel safety
/// Dropped before it returns, the connection is closed.
pub(super) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    opening: &Opening,
) -> Result<Frames<S>, LinkError> {
    let asked = async {
        stream.write_all(opening.request()).await?;
        stream.flush().await?;
        let mut answer = Vec::new();
        loop {
            let mut piece = [0; 1024];
            match stream.read(&mut piece).await? {
                0 => return Err(LinkError::ClosedEarly),
                count => answer.extend_from_slice(&piece[..count]),
            }
            if let Some(length) = opening.read(&answer)? {
                return Ok(answer.split_off(length));
            }
        }
    };
    let rest = match timeout(LOGIN_WITHIN, asked).await {
        Ok(rest) => rest?,
        Err(_) => return Err(LinkError::Silent),
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        // Written at once: a message waits here only while the socket takes no more.
        .write_buffer_size(0)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    // It does not wait.
    let socket = WebSocketStream::from_partially_read(stream, rest, Role::Client, Some(config)).await;
    Ok(Frames { socket, next: None, asks: false, is_flushed: true, is_closing: false, late: 0 })
}

/// See the module.
#[derive(Debug)]
pub(super) struct Frames<S> {
    socket: WebSocketStream<S>,
    /// What goes next.
    next: Option<Message>,
    /// Whether a ping is to go.
    asks: bool,
    /// Whether all that the socket was given is on its way.
    is_flushed: bool,
    /// Whether it was told that no more comes.
    is_closing: bool,
    late: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        conversation: &mut impl Conversation,
    ) -> Result<Poll<()>, LinkError> {
        // One message at a time: the socket keeps what does not go at once.
        loop {
            self.load(conversation);
            if self.next.is_none() {
                break;
            }
            match Pin::new(&mut self.socket).poll_ready(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => return Ok(Poll::Pending),
            }
            if let Some(message) = self.next.take() {
                self.is_flushed = false;
                Pin::new(&mut self.socket).start_send(message)?;
            }
        }
        if self.is_flushed {
            return Ok(Poll::Pending);
        }
        Ok(Pin::new(&mut self.socket).poll_flush(cx)?.map(|()| self.is_flushed = true))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Carrier for Frames<S> {
    fn poll_exchange(
        &mut self,
        cx: &mut Context<'_>,
        conversation: &mut impl Conversation,
        read: bool,
    ) -> Poll<Result<bool, LinkError>> {
        // As on a plain socket: what the master has said is heard, whatever became of the last words to it.
        let written = self.poll_write(cx, conversation);
        if read && let Poll::Ready(message) = Pin::new(&mut self.socket).poll_next(cx) {
            match message.ok_or(LinkError::Closed)?? {
                Message::Binary(payload) => {
                    conversation.hear(&payload).map_err(|error| LinkError::Protocol(error.into()))?;
                }
                Message::Close(_) => return Poll::Ready(Err(LinkError::Closed)),
                // The socket answers to a ping by itself.
                Message::Ping(_) => self.is_flushed = false,
                // A pong is a sign of life, whatever it is the answer to; the others mean nothing.
                Message::Text(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
            return Poll::Ready(Ok(true));
        }
        written?.map(|()| Ok(false))
    }

    fn load(&mut self, conversation: &mut impl Conversation) {
        if self.next.is_none() {
            self.next = if mem::take(&mut self.asks) {
                Some(Message::Ping(Bytes::new()))
            } else {
                conversation.poll_output().map(Message::Binary)
            };
        }
    }

    fn load_bytes(&self) -> Option<usize> {
        let next = self.next.as_ref().map(Message::len);
        if self.is_flushed { next } else { Some(next.unwrap_or(0)) }
    }

    fn ask(&mut self) {
        self.asks = true;
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let mut socket = Pin::new(&mut self.socket);
        if !self.is_closing {
            ready!(socket.as_mut().poll_ready(cx))?;
            // An error if the master has closed it before; its own farewell is answered below all the same.
            self.is_closing = true;
            drop(socket.as_mut().start_send(Message::Close(None)));
        }
        ready!(socket.as_mut().poll_flush(cx))?;
        // Its answer to that, and what it said before.
        while self.late < MOST_LATE {
            match ready!(socket.as_mut().poll_next(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(message) => drop(message?),
            }
            self.late += 1;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
