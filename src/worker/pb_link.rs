//! One connection that speaks Perspective Broker: bytes on one side, the two queues of a link on the other.
//!
//! # Laws
//! - Before its login a connection holds little memory, and is gone after [`LOGIN_WITHIN`].
//! - A peer that does not read holds back what is said to it; a master that does not read holds back the peer. Neither
//!   piles up here.
//! - A wrong name and a wrong password look the same to the peer, and to its clock.
//!
//! # Not here
//! The protocol (`protocol::pb`), ports (`listener`).

use std::{io, net::SocketAddr};

use bytes::{Buf as _, Bytes};
use tokio::{
    io::Interest,
    net::TcpStream,
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::{self, Duration, Instant},
};
use tracing::{debug, info, warn};

use crate::{
    model::{Secret, WorkerName},
    protocol::{
        FromWorker,
        link::{self, Link, WorkerEnd},
        pb::{LoginAttempt, MasterSession, PbError, SessionEvent},
    },
    worker::{
        listener::{Gate, LOGIN_WITHIN},
        registry::{self, AttachError, RegistryHandle},
    },
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
pub(super) async fn serve(socket: TcpStream, peer: SocketAddr, gate: Gate, turn: OwnedSemaphorePermit) {
    let mut wire = Wire { socket, session: Box::new(MasterSession::new(challenge())), out: Bytes::new() };
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
    let attaching = Attaching::start(gate.registry().clone(), worker.clone(), link);
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

/// A request for the worker's place, and its outcome.
struct Attaching(oneshot::Receiver<Result<(), AttachError>>);

impl Attaching {
    fn start(registry: RegistryHandle, worker: WorkerName, link: Link) -> Self {
        let (told, outcome) = oneshot::channel();
        // A task of its own: it must go on while the conversation does, which it waits for.
        tokio::spawn(async move {
            let attached = registry.attach(worker, link, registry::PATIENCE).await.map(drop);
            if told.send(attached).is_err() {
                debug!("the connection ended before its worker was attached");
            }
        });
        Self(outcome)
    }
}

/// A socket, and what is spoken on it.
struct Wire {
    socket: TcpStream,
    session: Box<MasterSession>,
    /// What the socket has not taken yet.
    out: Bytes,
}

impl Wire {
    /// Waits for a login that proves itself.
    async fn login(&mut self, peer: SocketAddr, gate: &Gate) -> Result<WorkerName, LinkError> {
        loop {
            while let Some(event) = self.session.poll_event() {
                let SessionEvent::Login(attempt) = event else { continue };
                if let Some(worker) = admit(&attempt, peer, gate) {
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
            rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Write).map_err(io::Error::from)?;
            loop {
                self.socket.ready(Interest::READABLE).await?;
                match self.socket.try_read(&mut [0; 256]) {
                    Ok(0) => return Ok(()),
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error.into()),
                    _ => {}
                }
            }
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

    /// Waits until the socket is ready, then reads, if wanted, and writes, if there is something.
    async fn exchange(&mut self, read: bool) -> Result<(), LinkError> {
        let write = self.has_output();
        let interest = match (read, write) {
            (true, true) => Interest::READABLE | Interest::WRITABLE,
            (true, false) => Interest::READABLE,
            (false, true) => Interest::WRITABLE,
            (false, false) => return std::future::pending().await,
        };
        let ready = self.socket.ready(interest).await?;
        if write && ready.is_writable() {
            match self.socket.try_write(&self.out) {
                Ok(count) => self.out.advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        if read && ready.is_readable() {
            self.read()?;
        }
        Ok(())
    }

    /// Reads once. The buffer lives only here: ten thousand idle links would hold one each otherwise.
    fn read(&mut self) -> Result<(), LinkError> {
        let mut buffer = [0; READ_BYTES];
        match self.socket.try_read(&mut buffer) {
            Ok(0) => Err(LinkError::Closed),
            Ok(count) => Ok(self.session.handle_input(&buffer[..count])?),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The worker that an attempt proves to be.
fn admit(attempt: &LoginAttempt, peer: SocketAddr, gate: &Gate) -> Option<WorkerName> {
    let roster = gate.roster().borrow().clone();
    let password = roster.password(&attempt.name);
    // A stranger's proof is checked as well, so that the time it takes tells nothing.
    let nobody = Secret::new("nobody has this password");
    let proven = attempt.proves(password.unwrap_or(&nobody));
    let refuse = |why| {
        gate.tell_refusal(&attempt.name, peer, why);
        None
    };
    match (password, proven) {
        (None, _) => refuse("no such worker is defined"),
        (Some(_), false) => refuse("wrong password"),
        (Some(_), true) => WorkerName::new(&attempt.name).ok(),
    }
}
