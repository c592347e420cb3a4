//! One connection that speaks msgpack over WebSocket: bytes on one side, the two queues of a link on the other.
//!
//! # Laws
//! - Before its login a connection holds the head of one request, and is gone after [`LOGIN_WITHIN`].
//! - WebSocket begins once the gate has let the worker in.
//! - What a long message needed is given back before the next.
//! - A master that ends a link ends its commands first: a worker on this wire would let them run on.
//!
//! # Not here
//! The protocol (`protocol::msgpack`), ports (`listener`), who may log in (`gate`), what is carried after that (`pump`).

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{Sink as _, Stream as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::OwnedSemaphorePermit,
    time::{self, Duration},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message,
        protocol::{Role, WebSocketConfig},
    },
};
use tracing::{debug, warn};

use super::metered::Metered;
use crate::{
    model::WorkerName,
    net::{Stream, random},
    protocol::{
        ToWorker, link,
        msgpack::{
            MasterSession, MsgpackError, SessionEvent,
            frame::MAX_MESSAGE_BYTES,
            handshake::{self, HandshakeError, MAX_HEAD_BYTES, Upgrade},
        },
    },
    worker::{
        gate::{Arrival, Gate, LOGIN_WITHIN, Proof, Verdict},
        pump::{self, Cut, Heard, Pump, Wire as _},
    },
};

/// The room for input that each connection keeps. Longer messages get room of their own.
const READ_BYTES: usize = 4 * 1024;

/// How long a peer that is sent away may take to read so.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    /// It said nothing.
    #[error(
        "said nothing within {} s, as a worker does that speaks `pb`, which has another port",
        LOGIN_WITHIN.as_secs()
    )]
    Silent,
    /// It said too little for too long.
    #[error("did not log in within {} s, or less while many want to", LOGIN_WITHIN.as_secs())]
    TooSlow,
    /// Its request opens no connection.
    #[error("its request was refused")]
    Handshake(#[from] HandshakeError),
    /// It does not speak the protocol.
    #[error("does not speak the protocol")]
    Protocol(#[from] MsgpackError),
    /// It breaks the rules of WebSocket, or the socket failed.
    #[error("the connection failed")]
    Socket(#[source] Box<tungstenite::Error>),
    /// It hung up.
    #[error("closed by the peer")]
    Closed,
    /// The master cut it, or stops.
    #[error("closed by the master")]
    Cut,
    /// Its login was refused, which is told by the gate.
    #[error("refused")]
    Refused,
    /// Its login was not judged, which is told by the gate.
    #[error("not judged")]
    Unheard,
}

impl From<tungstenite::Error> for LinkError {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::ConnectionClosed
            | tungstenite::Error::AlreadyClosed
            // Whoever dies says no farewell.
            | tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
                Self::Closed
            }
            tungstenite::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionReset => Self::Closed,
            other => Self::Socket(Box::new(other)),
        }
    }
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        tungstenite::Error::Io(error).into()
    }
}

impl From<Cut> for LinkError {
    fn from(Cut: Cut) -> Self {
        Self::Cut
    }
}

/// Serves a connection to its end. `turn` is given back once its worker is attached.
pub(super) async fn serve(mut stream: Stream, arrival: Arrival, gate: Gate, turn: OwnedSemaphorePermit) {
    let peer = arrival.peer;
    let worker = match log_in(&mut stream, arrival, &gate).await {
        Ok(worker) => worker,
        Err(LinkError::Refused | LinkError::Unheard) => return,
        Err(error) => {
            gate.tell_end(arrival, &error);
            return;
        }
    };
    let (link, end) = link::pair();
    let prefix = format!("link-{:016x}", u64::from_be_bytes(random()));
    let mut wire = Wire::new(Metered::new(stream), MasterSession::new(prefix)).await;
    let attaching = gate.attach(worker.clone(), peer, link);
    let mut pump = Pump::new(end, attaching, turn);
    let error = loop {
        match pump.run(&mut wire, &gate).await {
            Ok(()) => wire = wire.slimmed().await,
            Err(error) => break error,
        }
    };
    gate.saw(&worker, peer);
    // Whoever waits for news learns at once that none will come.
    drop(pump);
    match error {
        LinkError::Closed => debug!(%worker, %peer, "the connection ended"),
        LinkError::Cut => {
            wire.bid_farewell().await;
            debug!(%worker, %peer, "the connection was cut");
        }
        error => {
            warn!(%worker, %peer, error = &error as &dyn std::error::Error, "the connection ended");
            wire.bid_farewell().await;
        }
    }
}

/// Waits for a request with a name and a password that are right, and answers it. Whoever is refused is told so.
async fn log_in(stream: &mut Stream, arrival: Arrival, gate: &Gate) -> Result<WorkerName, LinkError> {
    let mut head = Vec::new();
    // The connection ends with each of these, so nothing that is lost matters.
    let asked = tokio::select! {
        asked = read_request(stream, &mut head) => Some(asked),
        () = gate.patience_ends(arrival.at) => None,
        () = gate.stopping().cancelled() => return Err(LinkError::Cut),
    };
    let upgrade = match asked {
        Some(Ok(upgrade)) => upgrade,
        Some(Err(LinkError::Handshake(error))) => {
            send_away(stream, error).await;
            return Err(error.into());
        }
        Some(Err(error)) => return Err(error),
        None if head.is_empty() => return Err(LinkError::Silent),
        None => return Err(LinkError::TooSlow),
    };
    drop(head);
    let verdict = tokio::select! {
        // Cancel-safe: nobody was let in.
        verdict = gate.judge(&upgrade.name, Proof::Password(&upgrade.password), arrival.peer) => verdict,
        () = gate.stopping().cancelled() => return Err(LinkError::Cut),
    };
    let worker = match verdict {
        Verdict::Admitted(worker) => worker,
        Verdict::Refused => {
            send_away(stream, HandshakeError::NoCredentials).await;
            return Err(LinkError::Refused);
        }
        Verdict::Unheard => return Err(LinkError::Unheard),
    };
    let answer = async {
        stream.write_all(upgrade.answer().as_bytes()).await?;
        stream.flush().await
    };
    time::timeout(LOGIN_WITHIN, answer).await.map_err(|_| LinkError::TooSlow)??;
    Ok(worker)
}

async fn read_request(stream: &mut Stream, head: &mut Vec<u8>) -> Result<Upgrade, LinkError> {
    loop {
        let mut piece = [0; 1024];
        let room = piece.len().min(MAX_HEAD_BYTES - head.len());
        match stream.read(&mut piece[..room]).await? {
            0 => return Err(LinkError::Closed),
            count => head.extend_from_slice(&piece[..count]),
        }
        if let Some(upgrade) = handshake::read(head)? {
            return Ok(upgrade);
        }
    }
}

/// Tells a peer that it is not let in, and lets it hang up: a socket that is closed with bytes unread takes its last words
/// back.
async fn send_away(stream: &mut Stream, why: HandshakeError) {
    let farewell = async {
        stream.write_all(why.answer().as_bytes()).await?;
        stream.shutdown().await?;
        let mut late = 0;
        let mut space = [0; 1024];
        while late < MAX_HEAD_BYTES {
            match stream.read(&mut space).await? {
                0 => break,
                count => late += count,
            }
        }
        Ok::<_, io::Error>(())
    };
    if !matches!(time::timeout(FAREWELL, farewell).await, Ok(Ok(()))) {
        debug!("a refused peer did not wait for the end");
    }
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        // Written at once: a message waits here only while the socket takes no more.
        .write_buffer_size(0)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES))
}

/// A socket, and what is spoken on it.
struct Wire {
    socket: WebSocketStream<Metered>,
    session: MasterSession,
    /// Whether all that the socket was given is on its way.
    is_flushed: bool,
    /// How much of what the socket has read was told, at least.
    told: u64,
    /// Whether a message was long enough to leave large buffers behind.
    is_swollen: bool,
}

impl Wire {
    async fn new(stream: Metered, session: MasterSession) -> Self {
        let told = stream.read();
        // Without a handshake: that is answered by now. It does not wait.
        let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config())).await;
        Self { socket, session, is_flushed: true, told, is_swollen: false }
    }

    /// The same with small buffers. Only when nothing is in the large ones.
    async fn slimmed(self) -> Self {
        Self::new(self.socket.into_inner(), self.session).await
    }

    /// Ends the commands and the connection, and lets the peer hang up.
    async fn bid_farewell(&mut self) {
        self.session.interrupt_all("the master ends the connection");
        let farewell = async {
            while self.has_output() {
                self.exchange(false).await?;
            }
            self.socket.close(None).await?;
            // Its answer to that, and what it said before.
            while poll_fn(|cx| Pin::new(&mut self.socket).poll_next(cx)).await.transpose()?.is_some() {}
            Ok(())
        };
        let bidden: Result<Result<(), LinkError>, _> = time::timeout(FAREWELL, farewell).await;
        if !matches!(bidden, Ok(Ok(()))) {
            debug!("a worker did not wait for the end");
        }
    }

    /// Whether the socket's buffers are empty for certain.
    fn is_empty(&self) -> bool {
        self.is_flushed && self.told == self.socket.get_ref().read()
    }

    /// Waits until something was read, if that is wanted, or written, if there is something.
    ///
    /// # Cancel safety
    /// Dropped before it returns, nothing is lost: what was read is in the session, what was not written in the socket.
    async fn exchange(&mut self, read: bool) -> Result<(), LinkError> {
        poll_fn(|cx| self.poll_exchange(cx, read)).await
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, LinkError> {
        let mut socket = Pin::new(&mut self.socket);
        // One message at a time: the socket keeps what does not go at once.
        while self.session.output_len() > 0 {
            match socket.as_mut().poll_ready(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => return Ok(Poll::Pending),
            }
            let Some(payload) = self.session.poll_output() else { break };
            self.is_swollen |= payload.len() > READ_BYTES;
            self.is_flushed = false;
            socket.as_mut().start_send(Message::Binary(payload))?;
        }
        if self.is_flushed {
            return Ok(Poll::Pending);
        }
        match socket.poll_flush(cx) {
            Poll::Ready(flushed) => {
                flushed?;
                self.is_flushed = true;
                Ok(Poll::Ready(()))
            }
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    /// Reads one message, if there is one.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, LinkError> {
        let message = match Pin::new(&mut self.socket).poll_next(cx) {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(message) => message.ok_or(LinkError::Closed)??,
        };
        self.told += least_frame_len(message.len());
        match message {
            Message::Binary(payload) => {
                self.is_swollen |= payload.len() > READ_BYTES;
                self.session.handle_message(&payload)?;
            }
            Message::Close(_) => return Err(LinkError::Closed),
            // The socket answers to a ping by itself.
            Message::Ping(_) => self.is_flushed = false,
            Message::Text(_) | Message::Pong(_) | Message::Frame(_) => {
                debug!("a message that means nothing is not heard");
            }
        }
        Ok(Poll::Ready(()))
    }
}

impl pump::Wire for Wire {
    type Error = LinkError;

    fn next_heard(&mut self) -> Option<Heard> {
        Some(match self.session.poll_event()? {
            SessionEvent::Message(message) => Heard::Message(message),
            SessionEvent::Attached => Heard::Attached,
        })
    }

    fn obey(&mut self, order: ToWorker) -> Result<(), LinkError> {
        Ok(self.session.handle_order(order)?)
    }

    fn has_output(&mut self) -> bool {
        self.session.output_len() > 0 || !self.is_flushed
    }

    fn unread_bytes(&self) -> usize {
        self.session.output_len()
    }

    fn wants_care(&self) -> bool {
        self.is_swollen && self.is_empty()
    }

    fn poll_exchange(&mut self, cx: &mut Context<'_>, read: bool) -> Poll<Result<(), LinkError>> {
        let written = self.poll_write(cx)?;
        if read && self.poll_read(cx)?.is_ready() {
            return Poll::Ready(Ok(()));
        }
        written.map(Ok)
    }
}

/// The least that a message of this length has on its way, in bytes: in one frame, masked. Source: RFC 6455, section 5.2.
fn least_frame_len(payload: usize) -> u64 {
    let length = match payload {
        0..=125 => 0,
        126..=0xffff => 2,
        _ => 8,
    };
    let payload = u64::try_from(payload).expect("a message has fewer bytes than that");
    2 + length + 4 + payload
}
