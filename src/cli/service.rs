//! A program that runs until it is told to stop: the signals that it hears, and what its service manager is told.

use std::os::unix::net::UnixDatagram;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::warn;

use crate::cli::failure::{Failure, Kind};

/// The signals that it hears.
pub(super) struct Signals {
    /// SIGINT.
    pub(super) interrupt: Signal,
    /// SIGTERM.
    pub(super) terminate: Signal,
    /// SIGHUP.
    pub(super) hangup: Signal,
}

impl Signals {
    /// Hears them from now on, within the runtime.
    pub(super) fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::new(Kind::Environment, error));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal to stop.
    pub(super) async fn stop(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Tells systemd, if it has started us and wants to know.
///
/// Source: sd_notify(3): one datagram to the socket in `NOTIFY_SOCKET`, where `@` begins an abstract name.
pub(super) fn notify(state: &str) {
    use std::os::linux::net::SocketAddrExt as _;
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let send = || -> std::io::Result<usize> {
        let socket = UnixDatagram::unbound()?;
        match name.to_str().and_then(|name| name.strip_prefix('@')) {
            Some(name) => {
                let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
                socket.send_to_addr(state.as_bytes(), &address)
            }
            None => socket.send_to(state.as_bytes(), &name),
        }
    };
    if let Err(error) = send() {
        warn!(%error, "cannot tell the service manager");
    }
}
