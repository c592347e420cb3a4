//! Ports on which workers are expected.
//!
//! # Laws
//! - Nobody is let in before the [gate](super::gate) has room for another login: the others wait in the kernel's queue.
//! - A port that is closed cuts nobody who is attached.
//!
//! # Not here
//! Who may log in (`gate`), what is said on a connection (`pb_link`), and at most one connection for a name (`registry`).

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use rustix::net::sockopt;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    definition::{ListenerDefinition, listener::Protocol},
    net::Stream,
    worker::{gate::Gate, msgpack_link, pb_link},
};

/// How many may wait in the kernel's queue; it takes less if it is set to less.
const BACKLOG: u32 = 16_384;

/// How long accepting pauses when the system has no descriptor left.
const BREATHE: Duration = Duration::from_millis(200);

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

impl Bound {
    /// Serves the port until the answer is told to stop, or the master stops.
    pub fn serve(self, gate: Gate) -> Serving {
        let address = self.socket.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
        let stop = gate.stopping().child_token();
        info!(protocol = self.protocol.key(), %address, "workers may connect");
        tokio::spawn(accept_all(self, gate, stop.clone()));
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
            accepted = bound.socket.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                let gate = gate.clone();
                if let Err(error) = tune(&socket) {
                    debug!(%peer, %error, "cannot tune a connection");
                }
                let (stream, protocol) = (Stream::Plain(socket), bound.protocol);
                gate.connections().clone().spawn(async move {
                    match protocol {
                        Protocol::Pb => pb_link::serve(stream, peer, gate, turn).await,
                        Protocol::Msgpack => msgpack_link::serve(stream, peer, gate, turn).await,
                    }
                });
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
