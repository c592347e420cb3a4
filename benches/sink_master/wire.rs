//! One link of a worker, over either protocol.

use std::{error::Error, io};

use futures_util::{SinkExt as _, StreamExt as _};
use lunabot::protocol::{FromWorker, ToWorker, msgpack, pb};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

/// The same for each of them; a real master has a random one.
const CHALLENGE: [u8; 16] = *b"benchmark of it ";

/// See the module.
pub(crate) enum Wire {
    Pb { stream: TcpStream, session: Box<pb::MasterSession>, room: Vec<u8> },
    Msgpack { socket: Box<WebSocketStream<TcpStream>>, session: Box<msgpack::MasterSession> },
}

impl Wire {
    /// Lets whoever comes in.
    pub(crate) async fn pb(stream: TcpStream) -> Result<Self, Box<dyn Error>> {
        let session = Box::new(pb::MasterSession::new(CHALLENGE));
        let mut wire = Self::Pb { stream, session, room: vec![0; 256 * 1024] };
        loop {
            if let Self::Pb { session, .. } = &mut wire
                && let Some(pb::SessionEvent::Login(_)) = session.poll_event()
            {
                session.accept_login();
                return Ok(wire);
            }
            wire.exchange().await?;
        }
    }

    /// Lets whoever comes in.
    pub(crate) async fn msgpack(mut stream: TcpStream) -> Result<Self, Box<dyn Error>> {
        let mut head = Vec::new();
        let upgrade = loop {
            if let Some(upgrade) = msgpack::handshake::read(&head)? {
                break upgrade;
            }
            if stream.read_buf(&mut head).await? == 0 {
                return Err(closed().into());
            }
        };
        stream.write_all(upgrade.answer().as_bytes()).await?;
        let socket = Box::new(WebSocketStream::from_raw_socket(stream, Role::Server, None).await);
        Ok(Self::Msgpack { socket, session: Box::new(msgpack::MasterSession::new("bench")) })
    }

    /// Waits until the worker has all that a new one is told.
    pub(crate) async fn attached(&mut self) -> Result<(), Box<dyn Error>> {
        loop {
            let is_attached = match self {
                Self::Pb { session, .. } => matches!(session.poll_event(), Some(pb::SessionEvent::Attached)),
                Self::Msgpack { session, .. } => {
                    matches!(session.poll_event(), Some(msgpack::SessionEvent::Attached))
                }
            };
            if is_attached {
                return self.flush().await;
            }
            self.exchange().await?;
        }
    }

    /// Has the worker told something.
    pub(crate) async fn order(&mut self, order: ToWorker) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Pb { session, .. } => session.handle_order(order),
            Self::Msgpack { session, .. } => session.handle_order(order)?,
        }
        self.flush().await
    }

    /// What the worker says next.
    pub(crate) async fn hear(&mut self) -> Result<FromWorker, Box<dyn Error>> {
        loop {
            let heard = match self {
                Self::Pb { session, .. } => match session.poll_event() {
                    Some(pb::SessionEvent::Message(message)) => Some(message),
                    _ => None,
                },
                Self::Msgpack { session, .. } => match session.poll_event() {
                    Some(msgpack::SessionEvent::Message(message)) => Some(message),
                    _ => None,
                },
            };
            match heard {
                Some(message) => return Ok(message),
                None => self.exchange().await?,
            }
        }
    }

    /// Sends what is to be sent, and reads once.
    async fn exchange(&mut self) -> Result<(), Box<dyn Error>> {
        self.flush().await?;
        match self {
            Self::Pb { stream, session, room } => match stream.read(room).await? {
                0 => return Err(closed().into()),
                length => session.handle_input(&room[..length])?,
            },
            Self::Msgpack { socket, session } => match socket.next().await.ok_or_else(closed)?? {
                Message::Binary(payload) => session.handle_message(&payload)?,
                Message::Close(_) => return Err(closed().into()),
                _ => {}
            },
        }
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Pb { stream, session, .. } => {
                while let Some(output) = session.poll_output() {
                    stream.write_all(&output).await?;
                }
            }
            Self::Msgpack { socket, session } => {
                while let Some(payload) = session.poll_output() {
                    socket.feed(Message::Binary(payload)).await?;
                }
                socket.flush().await?;
            }
        }
        Ok(())
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the worker hung up")
}
