//! One connection that speaks Perspective Broker: bytes on one side, the two queues of a link on the other.
//!
//! # Laws
//! - Before its login a connection holds little memory, and is gone once the patience of the gate is at its end.
//! - A peer that is told no is left connected for a while, so that it comes back as late as it means to.
//!
//! # Not here
//! The protocol (`protocol::pb`), ports (`listener`), who may log in (`gate`), what is carried after that (`pump`).

use std::{
    future::poll_fn,
    io,
    mem::{self, MaybeUninit},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, Bytes};
use tokio::{
    io::{AsyncRead as _, AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf},
    sync::OwnedSemaphorePermit,
    time::{self, Duration},
};
use tracing::{debug, warn};

use crate::{
    model::WorkerName,
    net::{Stranger, Stream, random},
    protocol::{
        ToWorker, link,
        pb::{MasterSession, PbError, SessionEvent},
    },
    worker::{
        gate::{Arrival, Gate, LOGIN_WITHIN, Proof, Verdict},
        pump::{self, Cut, Heard, Pump, Wire as _},
    },
};

/// How much is read at once.
const READ_BYTES: usize = 16 * 1024;

/// How long a refused peer may take to read why.
const FAREWELL: Duration = Duration::from_secs(2);

/// How much a refused peer may still say.
const MOST_LATE_BYTES: usize = 64 * 1024;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    /// It said nothing, or too little, for too long.
    #[error("did not log in within {} s, or less while many want to", LOGIN_WITHIN.as_secs())]
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
    /// Its login was refused, which is told by the gate.
    #[error("refused")]
    Refused,
    /// Its login was not judged, which is told by the gate.
    #[error("not judged")]
    Unheard,
}

impl From<Cut> for LinkError {
    fn from(Cut: Cut) -> Self {
        Self::Cut
    }
}

/// Serves a connection to its end. `turn` is given back once its worker is attached.
pub(super) async fn serve(stream: Stream, arrival: Arrival, gate: Gate, turn: OwnedSemaphorePermit) {
    let peer = arrival.peer;
    // Random, so that an answer overheard once is of no use again.
    let session = Box::new(MasterSession::new(random()));
    let mut wire = Wire { stream, session, out: Bytes::new(), is_flushed: true, has_spoken: false };
    let worker = match wire.login(arrival, &gate).await {
        Ok(worker) => worker,
        Err(LinkError::Refused) => {
            wire.bid_farewell(&gate, turn).await;
            return;
        }
        Err(LinkError::Unheard) => return,
        Err(error) => {
            gate.tell_end(arrival, &error);
            return;
        }
    };
    let (link, end) = link::pair();
    wire.session.accept_login();
    let attaching = gate.attach(worker.clone(), peer, link);
    let outcome = Pump::new(end, attaching, turn).run(&mut wire, &gate).await;
    gate.saw(&worker, peer);
    match outcome {
        Ok(()) | Err(LinkError::Closed | LinkError::Cut) => debug!(%worker, %peer, "the connection ended"),
        Err(error) => {
            warn!(%worker, %peer, error = &error as &dyn std::error::Error, "the connection ended");
        }
    }
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
    async fn login(&mut self, arrival: Arrival, gate: &Gate) -> Result<WorkerName, LinkError> {
        loop {
            while let Some(event) = self.session.poll_event() {
                let SessionEvent::Login(attempt) = event else { continue };
                return match gate.judge(&attempt.name, Proof::Challenge(&attempt), arrival.peer).await {
                    Verdict::Admitted(worker) => Ok(worker),
                    Verdict::Refused => Err(LinkError::Refused),
                    Verdict::Unheard => Err(LinkError::Unheard),
                };
            }
            tokio::select! {
                // Cancel-safe: readiness is asked again, and what was read is in the session.
                done = self.exchange(true) => done?,
                () = gate.patience_ends(arrival.at) => return Err(LinkError::TooSlow),
                () = gate.stopping().cancelled() => return Err(LinkError::Cut),
            }
        }
    }

    /// Says no, and lets the peer hang up: one that is cut off comes back at once, and a socket that is closed with bytes
    /// unread takes its last words back.
    async fn bid_farewell(mut self, gate: &Gate, turn: OwnedSemaphorePermit) {
        self.session.refuse_login();
        let farewell = async {
            while self.has_output() || !self.is_flushed {
                self.exchange(false).await?;
            }
            Ok::<_, LinkError>(())
        };
        if !matches!(time::timeout(FAREWELL, farewell).await, Ok(Ok(()))) {
            debug!("a refused peer did not wait for the end");
            return;
        }
        let Self { mut stream, session, .. } = self;
        // From here it is nobody who wants to log in, and holds a socket alone.
        drop((session, turn));
        let guest = gate.lobby();
        let hangs_up = async {
            let mut late = 0;
            let mut space = [0; 256];
            while late < MOST_LATE_BYTES {
                match stream.read(&mut space).await {
                    Ok(count) if count > 0 => late += count,
                    Ok(_) | Err(_) => return,
                }
            }
        };
        tokio::select! {
            // Cancel-safe: what it says is not heard, and tokens stay cancelled.
            () = hangs_up => {}
            () = guest.must_go() => {}
            () = gate.stopping().cancelled() => {}
        }
        if !matches!(time::timeout(FAREWELL, stream.shutdown()).await, Ok(Ok(()))) {
            debug!("a refused peer has gone without a word");
        }
    }

    /// Waits until something was read, if that is wanted, or written, if there is something.
    ///
    /// # Cancel safety
    /// Dropped before it returns, nothing is lost: what was read is in the session, what was not written in `out`.
    async fn exchange(&mut self, read: bool) -> Result<(), LinkError> {
        poll_fn(|cx| self.poll_exchange(cx, read)).await
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
                    progress = Poll::Ready(());
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

impl pump::Wire for Wire {
    type Error = LinkError;

    fn next_heard(&mut self) -> Option<Heard> {
        match self.session.poll_event()? {
            SessionEvent::Message(message) => Some(Heard::Message(message)),
            // The login is answered.
            SessionEvent::Attached => Some(Heard::Attached),
            SessionEvent::Login(_) => unreachable!("a session asks to be let in once, before it is"),
        }
    }

    fn obey(&mut self, order: ToWorker) -> Result<(), LinkError> {
        self.session.handle_order(order);
        Ok(())
    }

    fn has_output(&mut self) -> bool {
        if self.out.is_empty()
            && let Some(bytes) = self.session.poll_output()
        {
            self.out = bytes;
        }
        !self.out.is_empty()
    }

    fn unread_bytes(&self) -> usize {
        self.session.output_len()
    }

    fn poll_exchange(&mut self, cx: &mut Context<'_>, read: bool) -> Poll<Result<(), LinkError>> {
        let written = self.poll_write(cx)?;
        if read && self.poll_read(cx)?.is_ready() {
            return Poll::Ready(Ok(()));
        }
        written.map(Ok)
    }
}
