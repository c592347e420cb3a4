//! The way to a master: its name, its addresses, a proxy, TLS, and a connection at the end of it.
//!
//! # Laws
//! - It takes [`WITHIN`] at most; what is not there by then is told by the part of the way that was not done.
//! - Each address of a name is tried; one that does not answer holds up the next by a quarter of a second only.
//! - An error names what was tried.
//!
//! # Not here
//! What is said on the connection (`pump`), and when it is tried again (`backoff`).

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    net::{TcpStream, UnixStream, lookup_host},
    task::spawn_blocking,
    time::{sleep, timeout},
};

use super::{
    proxy::{self, ProxyError},
    settings::{Address, ClientTlsPaths, Server},
};
use crate::net::{ClientHandshakeError, ClientTls, Stream, TlsError, tune};

/// How long all of it may take. Source: the default of Twisted's endpoints, which Buildbot's worker uses.
pub const WITHIN: Duration = Duration::from_secs(30);

/// How long an address is alone with the try before the next one is tried beside it. Source: RFC 8305, section 5.
const HEAD_START: Duration = Duration::from_millis(250);

/// Addresses of one name that are tried: with more, the last of them would have no time left.
const MOST_ADDRESSES: usize = 64;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name leads nowhere.
    #[error("cannot find the address of `{host}`")]
    Lookup {
        /// The name.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// The name is known, and leads nowhere.
    #[error("`{host}` has no address")]
    NoAddress {
        /// The name.
        host: String,
    },
    /// Nobody could be reached at its addresses.
    #[error("{}", tried_text(tried))]
    Tcp {
        /// Each address and what happened there.
        tried: Vec<(SocketAddr, io::Error)>,
    },
    /// Nobody could be reached at the socket.
    #[error("cannot connect to the socket `{}`", path.display())]
    Unix {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The proxy does not lead there.
    #[error("the proxy {proxy} does not lead to {target}")]
    Proxy {
        /// Where the proxy is.
        proxy: HostPort,
        /// Where it should lead.
        target: HostPort,
        /// Why.
        source: ProxyError,
    },
    /// A proxy was given on the way to a socket of this machine.
    #[error("no proxy leads to the socket `{}`", path.display())]
    ProxyToSocket {
        /// The socket.
        path: PathBuf,
    },
    /// What TLS needs cannot be used.
    #[error("cannot use the files for TLS")]
    TlsFiles(#[source] TlsError),
    /// There is no name that the certificate could have.
    #[error("TLS over the socket `{}` needs the name that the master's certificate has", path.display())]
    NoServerName {
        /// The socket.
        path: PathBuf,
    },
    /// There was no handshake.
    #[error("the TLS handshake failed")]
    Tls(#[source] ClientHandshakeError),
    /// It took too long.
    #[error("no answer within {} s while {stage}", WITHIN.as_secs())]
    TooSlow {
        /// What was not done.
        stage: Stage,
    },
}

/// A part of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The address of this name is looked up.
    Lookup(String),
    /// A connection to this is made.
    Connect(String),
    /// This proxy is asked.
    Proxy(HostPort),
    /// The files for TLS are read.
    TlsFiles,
    /// The TLS handshake.
    Tls,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup(host) => write!(f, "looking for the address of `{host}`"),
            Self::Connect(target) => write!(f, "connecting to {target}"),
            Self::Proxy(proxy) => write!(f, "asking the proxy {proxy}"),
            Self::TlsFiles => f.write_str("reading the files for TLS"),
            Self::Tls => f.write_str("waiting for the TLS handshake"),
        }
    }
}

/// A host and a port, as they are written together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// A name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

fn tried_text(tried: &[(SocketAddr, io::Error)]) -> String {
    let one = |(address, error): &(SocketAddr, io::Error)| match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("nobody listens on {address}"),
        _ => format!("cannot connect to {address} ({error})"),
    };
    tried.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A connection, and where it leads.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) stream: Stream,
    /// The address at its end, for the log: that of the proxy if there is one.
    pub(super) peer: String,
}

/// Goes the way to a master.
///
/// # Errors
/// [`ConnectError`]: what was tried and what came of it.
///
/// # Cancel safety
/// Dropped before it returns, there is no connection.
pub(super) async fn connect(server: &Server) -> Result<Connected, ConnectError> {
    let mut stage = Stage::TlsFiles;
    match timeout(WITHIN, attempt(server, &mut stage)).await {
        Ok(done) => done,
        Err(_) => Err(ConnectError::TooSlow { stage }),
    }
}

async fn attempt(server: &Server, stage: &mut Stage) -> Result<Connected, ConnectError> {
    // First, since nobody else need be asked for it.
    let tls = match &server.tls {
        None => None,
        Some(paths) => Some(load(paths).await?),
    };
    let connected = match (&server.address, &server.proxy) {
        (Address::Unix(path), Some(_)) => return Err(ConnectError::ProxyToSocket { path: path.clone() }),
        (Address::Unix(path), None) => to_socket(path, stage).await?,
        (Address::Tcp { host, port }, None) => {
            let (socket, peer) = to_host(host, *port, stage).await?;
            Connected { stream: Stream::Plain(socket), peer: peer.to_string() }
        }
        (Address::Tcp { host, port }, Some((proxy_host, proxy_port))) => {
            let (mut socket, peer) = to_host(proxy_host, *proxy_port, stage).await?;
            let proxy = HostPort { host: proxy_host.clone(), port: *proxy_port };
            let target = HostPort { host: host.clone(), port: *port };
            *stage = Stage::Proxy(proxy.clone());
            match proxy::open(&mut socket, &target).await {
                Ok(()) => Connected { stream: Stream::Plain(socket), peer: format!("{peer}, a proxy") },
                Err(source) => return Err(ConnectError::Proxy { proxy, target, source }),
            }
        }
    };
    let (Some(tls), Some(paths)) = (tls, &server.tls) else { return Ok(connected) };
    let name = match (&paths.server_name, &server.address) {
        (Some(name), _) => name,
        (None, Address::Tcp { host, .. }) => host,
        (None, Address::Unix(path)) => return Err(ConnectError::NoServerName { path: path.clone() }),
    };
    *stage = Stage::Tls;
    let Connected { stream, peer } = connected;
    let stream = tls.connect(stream, name).await.map_err(ConnectError::Tls)?;
    Ok(Connected { stream, peer })
}

/// Reads the files for each connection anew: a certificate may have been exchanged since the last.
async fn load(paths: &ClientTlsPaths) -> Result<ClientTls, ConnectError> {
    let ClientTlsPaths { ca, certificate, server_name: _ } = paths.clone();
    let loaded = spawn_blocking(move || {
        let certificate = certificate.as_ref().map(|(cert, key)| (cert.as_path(), key.as_path()));
        ClientTls::load(ca.as_deref(), certificate)
    });
    loaded.await.expect("reading certificates does not panic").map_err(ConnectError::TlsFiles)
}

async fn to_socket(path: &Path, stage: &mut Stage) -> Result<Connected, ConnectError> {
    *stage = Stage::Connect(format!("the socket `{}`", path.display()));
    match UnixStream::connect(path).await {
        Ok(socket) => {
            let peer = format!("the socket `{}`", path.display());
            Ok(Connected { stream: Stream::Unix(Box::new(socket)), peer })
        }
        Err(source) => Err(ConnectError::Unix { path: path.to_owned(), source }),
    }
}

/// Connects to the first of a name's addresses that answers.
async fn to_host(host: &str, port: u16, stage: &mut Stage) -> Result<(TcpStream, SocketAddr), ConnectError> {
    *stage = Stage::Lookup(host.to_owned());
    let found = lookup_host((host, port)).await;
    let found = found.map_err(|source| ConnectError::Lookup { host: host.to_owned(), source })?;
    let addresses: Vec<SocketAddr> = found.take(MOST_ADDRESSES).collect();
    if addresses.is_empty() {
        return Err(ConnectError::NoAddress { host: host.to_owned() });
    }
    let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    *stage = Stage::Connect(texts.join(", "));
    first_of(addresses).await.map_err(|tried| ConnectError::Tcp { tried })
}

/// The first connection that is made, each address being tried a moment after the one before it, or once that has failed.
async fn first_of(
    addresses: Vec<SocketAddr>,
) -> Result<(TcpStream, SocketAddr), Vec<(SocketAddr, io::Error)>> {
    let mut addresses = addresses.into_iter();
    let mut tries = FuturesUnordered::new();
    let mut failed = Vec::new();
    loop {
        let next = addresses.next();
        let are_more = next.is_some();
        tries.extend(next.map(|address| async move { (address, TcpStream::connect(address).await) }));
        tokio::select! {
            // Cancel-safe: a try that is not returned stays among the tries.
            done = tries.next() => match done {
                Some((address, Ok(socket))) if is_itself(&socket) => {
                    failed.push((address, io::ErrorKind::ConnectionRefused.into()));
                }
                Some((address, Ok(socket))) => {
                    if let Err(error) = tune(&socket) {
                        tracing::debug!(%address, %error, "cannot tune a connection");
                    }
                    return Ok((socket, address));
                }
                Some((address, Err(error))) => failed.push((address, error)),
                None => return Err(failed),
            },
            () = sleep(HEAD_START), if are_more => {}
        }
    }
}

/// Whether a socket is connected to itself, as happens to one that calls a port of this machine on which nobody listens,
/// and is given that very port for its own end. It would take the port from the master that comes back.
fn is_itself(socket: &TcpStream) -> bool {
    matches!((socket.local_addr(), socket.peer_addr()), (Ok(near), Ok(far)) if near == far)
}

#[cfg(test)]
mod tests;
