//! Ports on which workers are expected.
//!
//! # Laws
//! - Whoever connects has [`LOGIN_WITHIN`] to prove who they are, and so many may be at it at once: the others wait in
//!   the kernel's queue.
//! - A port that is closed cuts nobody who is attached.
//! - A refused login is told once a minute for each name and address, however often it comes.
//!
//! # Not here
//! What is said on a connection (`pb_link`), and at most one connection for a name (`registry`).

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::net::sockopt;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Semaphore,
    time::{self, Instant},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, info, warn};

use crate::{
    definition::{ListenerDefinition, listener::Protocol},
    worker::{pb_link, registry::RegistryHandle, roster::RosterWatch},
};

/// How long a connection may take until its worker is attached.
pub const LOGIN_WITHIN: Duration = Duration::from_secs(10);

/// How many may log in at once. Each holds some kilobytes, and takes less than a millisecond when it says the right
/// thing: this is what a farm of ten thousand needs to come back within seconds.
const LOGINS_AT_ONCE: usize = 1024;

/// How many may wait in the kernel's queue; it takes less if it is set to less.
const BACKLOG: u32 = 16_384;

/// How long accepting pauses when the system has no descriptor left.
const BREATHE: Duration = Duration::from_millis(200);

/// How often one refusal is told.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// How many refusals are remembered for that.
const MOST_REFUSALS: usize = 1024;

/// Why a port cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {} workers", protocol.key())]
pub struct BindError {
    /// What would be spoken there.
    pub protocol: Protocol,
    /// Where.
    pub address: SocketAddr,
    /// Why.
    pub source: io::Error,
}

/// A port that is taken, and not served yet.
#[derive(Debug)]
pub struct Bound {
    socket: TcpListener,
    protocol: Protocol,
}

/// What a port needs to know and to reach.
#[derive(Clone)]
pub struct Gate {
    roster: RosterWatch,
    registry: RegistryHandle,
    logins: Arc<Semaphore>,
    refusals: Arc<Refusals>,
    connections: TaskTracker,
    stopping: CancellationToken,
}

/// A port that is served.
#[derive(Debug)]
pub struct Serving {
    /// Where.
    pub address: SocketAddr,
    stop: CancellationToken,
}

/// Takes a port. Nobody is answered before [`Bound::serve`].
///
/// # Errors
/// [`BindError`] if somebody else has it, or it may not be had.
pub fn bind(definition: &ListenerDefinition) -> Result<Bound, BindError> {
    let protocol = definition.protocol;
    let address = definition.address;
    let bound = match try_bind(address) {
        // A machine without IPv6: all addresses are then those of IPv4.
        Err(error)
            if address.ip().is_unspecified()
                && matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::AddrNotAvailable)
                || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error()) =>
        {
            try_bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()))
        }
        other => other,
    };
    match bound {
        Ok(socket) => Ok(Bound { socket, protocol }),
        Err(source) => Err(BindError { protocol, address, source }),
    }
}

fn try_bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    socket.set_reuseaddr(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        // All addresses, of both families, whatever the system's default is.
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Gate {
    /// The way to a registry, for the workers of a roster.
    pub fn new(roster: RosterWatch, registry: RegistryHandle, stopping: CancellationToken) -> Self {
        Self {
            roster,
            registry,
            logins: Arc::new(Semaphore::new(LOGINS_AT_ONCE)),
            refusals: Arc::new(Refusals::default()),
            connections: TaskTracker::new(),
            stopping,
        }
    }

    /// Waits until all connections have ended; the master stops.
    pub async fn ended(&self) {
        self.connections.close();
        self.connections.wait().await;
    }

    /// What configurations say of workers.
    pub(super) const fn roster(&self) -> &RosterWatch {
        &self.roster
    }

    /// Where workers attach.
    pub(super) const fn registry(&self) -> &RegistryHandle {
        &self.registry
    }

    /// Told when the master stops.
    pub(super) const fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Tells a refused login, unless it was told a moment ago.
    pub(super) fn tell_refusal(&self, name: &str, peer: SocketAddr, why: &'static str) {
        if let Some(before) = self.refusals.count(name, peer.ip(), Instant::now()) {
            warn!(worker = name, %peer, "login refused: {why}{}", Before(before));
        }
    }
}

/// How often something came that was not told.
struct Before(u64);

impl std::fmt::Display for Before {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => Ok(()),
            count => write!(f, " ({count} more of these since it was last told)"),
        }
    }
}

/// The refusals that were told of late.
#[derive(Debug, Default)]
struct Refusals(Mutex<HashMap<(String, IpAddr), Refusal>>);

#[derive(Clone, Copy, Debug)]
struct Refusal {
    told_at: Instant,
    silent: u64,
}

impl Refusals {
    /// Counts a refusal: how many were not told before it, if it is to be told.
    fn count(&self, name: &str, from: IpAddr, now: Instant) -> Option<u64> {
        let mut refusals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(refusal) = refusals.get_mut(&(name.to_owned(), from)) {
            if now < refusal.told_at + TELL_EVERY {
                refusal.silent += 1;
                return None;
            }
            let before = refusal.silent;
            *refusal = Refusal { told_at: now, silent: 0 };
            return Some(before);
        }
        if refusals.len() >= MOST_REFUSALS {
            refusals.retain(|_, refusal| now < refusal.told_at + TELL_EVERY);
        }
        // A peer that thinks of a new name each time is told each time, but fills no memory.
        if refusals.len() < MOST_REFUSALS {
            refusals.insert((name.to_owned(), from), Refusal { told_at: now, silent: 0 });
        }
        Some(0)
    }
}

impl Bound {
    /// Serves the port until the answer is told to stop, or the master stops.
    pub fn serve(self, gate: Gate) -> Serving {
        let address = self.socket.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
        let stop = gate.stopping.child_token();
        tokio::spawn(accept_all(self, gate, stop.clone()));
        info!(protocol = "pb", %address, "workers may connect");
        Serving { address, stop }
    }
}

impl Serving {
    /// Closes the port. Those who are attached stay.
    pub fn close(&self) {
        self.stop.cancel();
    }
}

async fn accept_all(bound: Bound, gate: Gate, stop: CancellationToken) {
    let Protocol::Pb = bound.protocol;
    loop {
        let turn = tokio::select! {
            // Cancel-safe: a token stays cancelled; a permit that is not returned is not taken.
            () = stop.cancelled() => return,
            turn = Arc::clone(&gate.logins).acquire_owned() => turn,
        };
        let Ok(turn) = turn else { return };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            // Cancel-safe: a connection that is not returned stays in the kernel's queue.
            accepted = bound.socket.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                let gate = gate.clone();
                if let Err(error) = tune(&socket) {
                    debug!(%peer, %error, "cannot tune a connection");
                }
                gate.connections.clone().spawn(async move { pb_link::serve(socket, peer, gate, turn).await });
            }
            Err(error) => {
                // The peer went away before its turn, or the system has no descriptors left: both pass.
                warn!(%error, "cannot accept a connection");
                drop(turn);
                time::sleep(BREATHE).await;
            }
        }
    }
}

/// A dead link is found within 90 s whatever the options say: after 30 s of silence it is probed each 20 s, three times,
/// and what is sent must be acknowledged within 90 s.
fn tune(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, Duration::from_secs(30))?;
    sockopt::set_tcp_keepintvl(socket, Duration::from_secs(20))?;
    sockopt::set_tcp_keepcnt(socket, 3)?;
    sockopt::set_tcp_user_timeout(socket, 90_000)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_once_a_minute_and_a_flood_of_names_fills_no_memory() {
        let refusals = Refusals::default();
        let (here, start) = (IpAddr::V4(Ipv4Addr::LOCALHOST), Instant::now());
        assert_eq!(refusals.count("w", here, start), Some(0));
        assert_eq!(refusals.count("w", here, start), None);
        assert_eq!(refusals.count("w", here, start + TELL_EVERY), Some(1));
        assert_eq!(refusals.count("other", here, start), Some(0));
        for name in 0..3 * MOST_REFUSALS {
            refusals.count(&name.to_string(), here, start);
        }
        assert!(refusals.0.lock().unwrap().len() <= MOST_REFUSALS);
    }

    #[tokio::test]
    async fn a_port_that_somebody_has_is_told_with_its_address() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let definition = ListenerDefinition {
            protocol: Protocol::Pb,
            address: taken.local_addr().unwrap(),
            place: crate::model::Place::new("master.cfg.lua", 1),
        };
        let error = bind(&definition).expect_err("it is taken");
        assert!(error.to_string().contains(&definition.address.to_string()), "{error}");
    }
}
