//! Ports on which workers are expected.
//!
//! # Laws
//! - Nobody is let in before the [gate](super::gate) has room for another login: the others wait in the kernel's queue.
//! - A port that is closed cuts nobody who is attached. Neither does one that changes what is spoken behind it.
//! - A peer that speaks something else than the port, or cannot agree on TLS, ends in one line that says so.
//! - A system without descriptors delays those who wait, and ends no port.
//!
//! # Not here
//! Who may log in (`gate`), what is said on a connection (`pb_link`, `msgpack_link`), when a certificate is read again
//! (`certificates`), and at most one connection for a name (`registry`).

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rustix::{io::Errno, net::sockopt};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, watch},
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    definition::{ListenerDefinition, ListenerId, listener::Protocol},
    net::{HandshakeError, ServerTls, Stranger, Stream, tune},
    worker::{
        certificates::Keeper,
        gate::{Arrival, Gate},
        msgpack_link, pb_link,
    },
};

/// How many may wait in the kernel's queue, if the operator says nothing; it takes less if it is set to less.
const BACKLOG: u32 = 16_384;

/// How long accepting pauses when the system has no descriptor left.
const BREATHE: Duration = Duration::from_millis(200);

/// How often it is told that it has none.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Why a port cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {} for {} workers", id.address, id.protocol.key())]
pub struct BindError {
    /// What would be spoken there, and where.
    pub id: ListenerId,
    /// Why.
    pub source: io::Error,
}

/// What is behind a port: it may change while the socket stays.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub(super) protocol: Protocol,
    pub(super) tls: Option<Arc<ServerTls>>,
}

/// A port that is taken, and not served yet.
#[derive(Debug)]
pub struct Bound {
    socket: TcpListener,
    id: ListenerId,
    tls: Option<ServerTls>,
}

/// A port that is served.
#[derive(Debug)]
pub struct Serving {
    socket: Arc<TcpListener>,
    door: Arc<watch::Sender<Door>>,
    keeper: Keeper,
    stop: CancellationToken,
}

/// Takes a port, with the certificate that it will show. Nobody is answered before [`Bound::serve`].
///
/// # Errors
/// [`BindError`] if somebody else has it, or it may not be had.
pub fn bind(definition: &ListenerDefinition, tls: Option<ServerTls>) -> Result<Bound, BindError> {
    let id = definition.id;
    let backlog = definition.backlog.unwrap_or(BACKLOG);
    let bound = match try_bind(id.address, backlog) {
        // A machine without IPv6: all addresses are then those of IPv4.
        Err(error)
            if id.address.ip().is_unspecified()
                && (matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::AddrNotAvailable)
                    || error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error())) =>
        {
            try_bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), id.address.port()), backlog)
        }
        other => other,
    };
    match bound {
        Ok(socket) => Ok(Bound { socket, id, tls }),
        Err(source) => Err(BindError { id, source }),
    }
}

fn try_bind(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    socket.set_reuseaddr(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        // All addresses, of both families, whatever the system's default is.
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    socket.bind(address)?;
    socket.listen(backlog)
}

impl Bound {
    /// Serves the port until the answer is told to stop, or the master stops.
    pub fn serve(self, gate: Gate) -> Serving {
        let Self { socket, id, tls } = self;
        let stop = gate.stopping().child_token();
        info!(
            protocol = id.protocol.key(),
            address = %id.address,
            tls = tls.is_some(),
            "workers may connect"
        );
        let socket = Arc::new(socket);
        let (door, behind) = watch::channel(Door { protocol: id.protocol, tls: tls.map(Arc::new) });
        let door = Arc::new(door);
        let keeper = Keeper::start(Arc::clone(&door), stop.clone());
        tokio::spawn(accept_all(Arc::clone(&socket), id.address.port(), behind, gate, stop.clone()));
        Serving { socket, door, keeper, stop }
    }
}

impl Serving {
    /// Puts something else behind the port, from the next connection on. Its socket stays, with those who wait there.
    pub fn change(&self, new: &ListenerDefinition, tls: Option<ServerTls>) {
        let backlog = new.backlog.unwrap_or(BACKLOG).cast_signed();
        // Listening again sets the length of the queue anew, and loses nobody in it.
        if let Err(error) = rustix::net::listen(&*self.socket, backlog) {
            warn!(address = %new.id.address, %error, "cannot change the backlog of a port");
        }
        let tls = tls.map(Arc::new);
        self.door.send_replace(Door { protocol: new.id.protocol, tls });
        // What there is to say of the certificate is said now.
        drop(self.keeper.look());
    }

    /// Reads the certificate again if its files have changed, and waits for that, for at most 10 s.
    pub async fn renew_certificate(&self) {
        self.keeper.looked().await;
    }

    /// Closes the port. Those who are attached stay.
    pub fn close(self) {
        self.stop.cancel();
    }
}

async fn accept_all(
    socket: Arc<TcpListener>,
    port: u16,
    door: watch::Receiver<Door>,
    gate: Gate,
    stop: CancellationToken,
) {
    let mut trouble = Trouble::default();
    loop {
        let turn = tokio::select! {
            // Cancel-safe: a token stays cancelled; a permit that is not returned is not taken.
            () = stop.cancelled() => return,
            turn = gate.turn() => turn,
        };
        let Some(turn) = turn else { return };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            // Cancel-safe: a connection that is not returned stays in the kernel's queue.
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((socket, mut peer)) => {
                if let Err(error) = tune(&socket) {
                    debug!(%peer, %error, "cannot tune a connection");
                }
                // A port of both families has those of IPv4 as `::ffff:192.0.2.1`, which nobody would look for in a log.
                peer.set_ip(peer.ip().to_canonical());
                // Handshake and login have one deadline: TLS is no way to hold a place for twice as long.
                let arrival = Arrival { peer, port, at: Instant::now() };
                let behind = door.borrow().clone();
                gate.connections().clone().spawn(answer(socket, arrival, behind, gate.clone(), turn));
            }
            Err(error) if is_exhausted(&error) => {
                drop(turn);
                if let Some(count) = trouble.count(Instant::now()) {
                    warn!(%error, count, "cannot accept connections; those who come wait");
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = time::sleep(BREATHE) => {}
                }
            }
            // Of this one peer: it went away before its turn, or its network did. The next one may be well.
            Err(error) => debug!(%error, "a connection was gone before it was accepted"),
        }
    }
}

/// Whether the system lacks what each connection needs.
fn is_exhausted(error: &io::Error) -> bool {
    let lacks = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    // What is not known is not tried again at once either: it might never pass.
    let of_the_peer = [
        Errno::CONNABORTED,
        Errno::CONNRESET,
        Errno::INTR,
        Errno::PROTO,
        Errno::NETDOWN,
        Errno::NETUNREACH,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::PERM,
    ];
    let code = error.raw_os_error().unwrap_or_default();
    lacks.iter().any(|errno| errno.raw_os_error() == code)
        || !of_the_peer.iter().any(|errno| errno.raw_os_error() == code)
}

/// Failures that come by the thousand, and are told once a minute.
#[derive(Debug, Default)]
struct Trouble {
    told_at: Option<Instant>,
    count: u64,
}

impl Trouble {
    /// Counts one: how many there were since it was last told, if it is to be told now.
    fn count(&mut self, now: Instant) -> Option<u64> {
        self.count += 1;
        if self.told_at.is_some_and(|told_at| now < told_at + TELL_EVERY) {
            return None;
        }
        self.told_at = Some(now);
        Some(std::mem::take(&mut self.count))
    }
}

/// Serves a connection to its end, from its first byte on.
async fn answer(socket: TcpStream, arrival: Arrival, door: Door, gate: Gate, turn: OwnedSemaphorePermit) {
    let stream = match door.tls {
        Some(tls) => {
            // In a box that goes when it is done: it is larger than all that a link keeps.
            let handshake = Box::pin(tls.accept(socket, gate.patience_ends(arrival.at)));
            let done = tokio::select! {
                // Cancel-safe: the connection ends.
                done = handshake => done,
                () = gate.stopping().cancelled() => return,
            };
            match done {
                Ok(stream) => stream,
                Err(error) => return tell(arrival, &error, &gate),
            }
        }
        None => {
            // Over WebSocket the peer speaks first; on PB, its first word is seen by the link.
            if door.protocol == Protocol::Msgpack && is_tls(&socket, &gate, arrival.at).await {
                let text = format!("{}; this port does not", Stranger::Tls);
                if let Some(before) = gate.is_news(arrival, &text) {
                    let Arrival { peer, port, .. } = arrival;
                    info!(%peer, port, "a connection ended before its login: {text}{before}");
                }
                return;
            }
            Stream::Plain(socket)
        }
    };
    match door.protocol {
        Protocol::Pb => pb_link::serve(stream, arrival, gate, turn).await,
        Protocol::Msgpack => msgpack_link::serve(stream, arrival, gate, turn).await,
    }
}

/// Whether a peer begins with TLS. One that says nothing is left to the link, which ends it.
async fn is_tls(socket: &TcpStream, gate: &Gate, since: Instant) -> bool {
    let mut opening = [0; 2];
    let peeked = tokio::select! {
        // Cancel-safe: what was seen is still there.
        peeked = socket.peek(&mut opening) => peeked,
        () = gate.patience_ends(since) => return false,
        () = gate.stopping().cancelled() => return false,
    };
    matches!(peeked, Ok(count) if Stranger::of(&opening[..count]) == Some(Stranger::Tls))
}

/// Tells a failed handshake, unless it was told a moment ago: a worker that is set up wrong comes back for ever.
fn tell(arrival: Arrival, error: &HandshakeError, gate: &Gate) {
    let mut text = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        text = format!("{text}: {source}");
    }
    let Some(before) = gate.is_news(arrival, &text) else { return };
    let Arrival { peer, port, .. } = arrival;
    // A worker that is set up wrong is somebody's business; a port scan is nobody's.
    match error {
        HandshakeError::Version
        | HandshakeError::NothingInCommon
        | HandshakeError::Refused { .. }
        | HandshakeError::NoCertificate
        | HandshakeError::Certificate { .. } => {
            warn!(%peer, port, "the TLS handshake failed: {text}{before}");
        }
        _ => info!(%peer, port, "the TLS handshake failed: {text}{before}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_somebody_has_is_told_with_its_address() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let place = crate::model::Place::new("master.cfg.lua", 1);
        let definition = ListenerDefinition::new(Protocol::Pb, address, place);
        let error = bind(&definition, None).expect_err("it is taken");
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }

    #[test]
    fn a_lack_of_descriptors_is_told_once_a_minute() {
        let (mut trouble, start) = (Trouble::default(), Instant::now());
        assert_eq!(trouble.count(start), Some(1));
        for _ in 0..5 {
            assert_eq!(trouble.count(start + TELL_EVERY / 2), None);
        }
        assert_eq!(trouble.count(start + TELL_EVERY), Some(6));
    }

    #[test]
    fn only_what_concerns_one_peer_is_passed_over_at_once() {
        let from = |errno: Errno| io::Error::from_raw_os_error(errno.raw_os_error());
        assert!(is_exhausted(&from(Errno::MFILE)) && is_exhausted(&from(Errno::NOMEM)));
        assert!(is_exhausted(&from(Errno::INVAL)));
        assert!(!is_exhausted(&from(Errno::CONNABORTED)));
    }
}
