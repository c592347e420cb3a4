//! One connection that speaks Perspective Broker: bytes on one side, the two queues of a link on the other.
//!
//! # Laws
//! - Before its login a connection holds little memory, and is gone after [`LOGIN_WITHIN`].
//! - A peer that does not read holds back what is said to it; a master that does not read holds back the peer. Neither
//!   piles up here.
//!
//! # Not here
//! The protocol (`protocol::pb`), ports (`listener`), who may log in (`gate`).

use std::{
    future::poll_fn,
    io,
    mem::{self, MaybeUninit},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, Bytes};
use tokio::{
    io::{AsyncRead as _, AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf},
    sync::{OwnedSemaphorePermit, mpsc},
    time::{self, Duration, Instant},
};
use tracing::{debug, info, warn};

use crate::{
    model::WorkerName,
    net::{Stranger, Stream},
    protocol::{
        FromWorker,
        link::{self, WorkerEnd},
        pb::{MasterSession, PbError, SessionEvent},
    },
    worker::gate::{Attaching, Gate, LOGIN_WITHIN, Proof},
};

/// How much is read at once.
const READ_BYTES: usize = 16 * 1024;

/// How much may wait for a peer to read it before it is no longer listened to: some thousand answers.
const MOST_UNREAD_BYTES: usize = 256 * 1024;

/// How long a refused peer may take to read why.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    /// It said nothing, or too little, for too long.
    #[error("did not log in within {} s", LOGIN_WITHIN.as_secs())]
    TooSlow,
    /// It does not speak the protocol.
    #[error("does not speak the protocol")]
    Protocol(#[from] PbError),
    /// It speaks something else, as its first bytes tell.
    #[error("{0}; this port does not")]
    Stranger(Stranger),
    /// The socket failed.
    #[error("the connection failed")]
    Socket(#[from] io::Error),
    /// It hung up.
    #[error("closed by the peer")]
    Closed,
    /// The master cut it, or stops.
    #[error("closed by the master")]
    Cut,
    /// Its login was refused.
    #[error("refused")]
    Refused,
}

/// Serves a connection to its end. `turn` is given back once its worker is attached.
pub(super) async fn serve(stream: Stream, peer: SocketAddr, gate: Gate, turn: OwnedSemaphorePermit) {
    let session = Box::new(MasterSession::new(challenge()));
    let mut wire = Wire { stream, session, out: Bytes::new(), is_flushed: true, has_spoken: false };
    let deadline = Instant::now() + LOGIN_WITHIN;
    let worker =
        match time::timeout_at(deadline, wire.login(peer, &gate)).await.unwrap_or(Err(LinkError::TooSlow)) {
            Ok(worker) => worker,
            Err(LinkError::Refused) => return,
            Err(error) => {
                info!(%peer, error = &error as &dyn std::error::Error, "a connection ended before its login");
                return;
            }
        };
    let (link, end) = link::pair();
    wire.session.accept_login();
    let attaching = gate.attach(worker.clone(), peer, link);
    let outcome = wire.pump(end, attaching, turn, &gate).await;
    match outcome {
        Ok(()) | Err(LinkError::Closed | LinkError::Cut) => debug!(%worker, %peer, "the connection ended"),
        Err(error) => {
            warn!(%worker, %peer, error = &error as &dyn std::error::Error, "the connection ended");
        }
    }
}

/// Random bytes from the system, so that an answer overheard once is of no use again.
fn challenge() -> [u8; 16] {
    let mut challenge = [0; 16];
    let mut filled = 0;
    while filled < challenge.len() {
        match rustix::rand::getrandom(&mut challenge[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => unreachable!("the kernel has random bytes for everybody: {error}"),
        }
    }
    challenge
}

/// A socket, and what is spoken on it.
struct Wire {
    stream: Stream,
    session: Box<MasterSession>,
    /// What the stream has not taken yet.
    out: Bytes,
    /// Whether all that the stream has taken is on its way.
    is_flushed: bool,
    /// Whether the peer has said anything.
    has_spoken: bool,
}

impl Wire {
    /// Waits for a login that proves itself.
    async fn login(&mut self, peer: SocketAddr, gate: &Gate) -> Result<WorkerName, LinkError> {
        loop {
            while let Some(event) = self.session.poll_event() {
                let SessionEvent::Login(attempt) = event else { continue };
                if let Some(worker) = gate.admit(&attempt.name, Proof::Challenge(&attempt), peer).await {
                    return Ok(worker);
                }
                self.session.refuse_login();
                self.bid_farewell().await;
                return Err(LinkError::Refused);
            }
            tokio::select! {
                // Cancel-safe: readiness is asked again, and what was read is in the session.
                done = self.exchange(true) => done?,
                () = gate.stopping().cancelled() => return Err(LinkError::Cut),
            }
        }
    }

    /// Sends what there is and lets the peer hang up: a socket that is closed with bytes unread takes its last words back.
    async fn bid_farewell(&mut self) {
        let farewell = async {
            while self.has_output() {
                self.exchange(false).await?;
            }
            self.stream.shutdown().await?;
            while self.stream.read(&mut [0; 256]).await? > 0 {}
            Ok(())
        };
        let bidden: Result<Result<(), LinkError>, _> = time::timeout(FAREWELL, farewell).await;
        if !matches!(bidden, Ok(Ok(()))) {
            debug!("a refused peer did not wait for the end");
        }
    }

    /// Carries messages both ways until one side ends the link.
    async fn pump(
        &mut self,
        end: WorkerEnd,
        attaching: Attaching,
        turn: OwnedSemaphorePermit,
        gate: &Gate,
    ) -> Result<(), LinkError> {
        let WorkerEnd { mut from_master, to_master } = end;
        let Attaching(mut attaching) = attaching;
        let mut turn = Some(turn);
        let mut pending: Option<FromWorker> = None;
        loop {
            while pending.is_none() {
                match self.session.poll_event() {
                    Some(SessionEvent::Message(message)) => match to_master.try_send(message) {
                        Ok(()) => {}
                        Err(mpsc::error::TrySendError::Full(message)) => pending = Some(message),
                        Err(mpsc::error::TrySendError::Closed(_)) => return Err(LinkError::Cut),
                    },
                    // The login is answered: from here the bounds of a link count, no longer those of a stranger.
                    Some(SessionEvent::Attached) => turn = None,
                    Some(SessionEvent::Login(_)) | None => break,
                }
            }
            let has_output = self.has_output();
            // What is read makes answers: a peer that does not take those is not heard either.
            let wants_input = pending.is_none() && self.session.output_len() < MOST_UNREAD_BYTES;
            tokio::select! {
                // Each arm is cancel-safe: readiness is asked again, a permit that is not returned is not taken, a
                // message is taken only when it is returned, a token and a closed queue stay so.
                done = self.exchange(wants_input) => done?,
                permit = to_master.reserve(), if pending.is_some() => match permit {
                    Ok(permit) => if let Some(message) = pending.take() {
                        permit.send(message);
                    },
                    Err(_) => return Err(LinkError::Cut),
                },
                // A peer that does not read gets no more to read.
                order = from_master.recv(), if !has_output => match order {
                    Some(order) => self.session.handle_order(order),
                    None => return Err(LinkError::Cut),
                },
                attached = &mut attaching, if turn.is_some() && !attaching.is_terminated() => match attached {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        // Told by the registry. The peer tries again.
                        debug!(error = &error as &dyn std::error::Error, "the worker did not attach");
                        return Err(LinkError::Cut);
                    }
                    Err(_) => return Err(LinkError::Cut),
                },
                () = to_master.closed() => return Err(LinkError::Cut),
                () = gate.stopping().cancelled() => return Err(LinkError::Cut),
            }
        }
    }

    /// Whether there is something that the socket has not taken.
    fn has_output(&mut self) -> bool {
        if self.out.is_empty()
            && let Some(bytes) = self.session.poll_output()
        {
            self.out = bytes;
        }
        !self.out.is_empty()
    }

    /// Waits until something was read, if that is wanted, or written, if there is something.
    ///
    /// # Cancel safety
    /// Dropped before it returns, nothing is lost: what was read is in the session, what was not written in `out`.
    async fn exchange(&mut self, read: bool) -> Result<(), LinkError> {
        poll_fn(|cx| self.poll_exchange(cx, read)).await
    }

    fn poll_exchange(&mut self, cx: &mut Context<'_>, read: bool) -> Poll<Result<(), LinkError>> {
        let written = self.poll_write(cx)?;
        if read && self.poll_read(cx)?.is_ready() {
            return Poll::Ready(Ok(()));
        }
        written.map(Ok)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, LinkError> {
        let mut progress = Poll::Pending;
        if self.has_output() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.out) {
                Poll::Ready(Ok(0)) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Poll::Ready(Ok(count)) => {
                    self.out.advance(count);
                    self.is_flushed = false;
                    progress = Poll::Ready(());
                }
                Poll::Ready(Err(error)) => return Err(error.into()),
                Poll::Pending => {}
            }
        }
        if !self.is_flushed {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(flushed) => {
                    flushed?;
                    self.is_flushed = true;
                }
                Poll::Pending => {}
            }
        }
        Ok(progress)
    }

    /// Reads once. The buffer lives only here: ten thousand idle links would hold one each otherwise.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, LinkError> {
        let mut space = [MaybeUninit::uninit(); READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut space);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(Err(error)) => Err(error.into()),
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => Err(LinkError::Closed),
            Poll::Ready(Ok(())) => {
                if !mem::replace(&mut self.has_spoken, true)
                    && let Some(stranger) = Stranger::of(buffer.filled())
                {
                    return Err(LinkError::Stranger(stranger));
                }
                self.session.handle_input(buffer.filled())?;
                Ok(Poll::Ready(()))
            }
        }
    }
}
