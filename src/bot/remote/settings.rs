//! Where a worker's master is and how the two speak, as its operator wrote it.
//!
//! # Not here
//! How it is written: options, files, variables (`cli::bot`).

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use crate::protocol::bot::Identity;

/// What a worker needs to know besides its folder.
#[derive(Clone, Debug)]
pub struct RemoteSettings {
    /// Where the master listens.
    pub server: Server,
    /// What is spoken.
    pub wire: Wire,
    /// As whom.
    pub identity: Identity,
    /// How often the master is asked for a sign of life, once it has let the worker in; never if absent. Wall time, 600 s by
    /// default. If nothing at all is heard of it until the next question, the connection ends.
    pub keepalive: Option<Duration>,
    /// The longest wait between two tries to connect: wall time, 300 s by default.
    pub max_delay: Duration,
    /// After how many failures in a row the worker gives up; never if absent.
    pub max_retries: Option<NonZeroU32>,
}

/// Where a master listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its address.
    pub address: Address,
    /// If the connection goes through TLS.
    pub tls: Option<ClientTlsPaths>,
    /// An HTTP proxy that leads there by `CONNECT`: its host and port.
    pub proxy: Option<(String, u16)>,
}

/// An address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A port of a machine.
    Tcp {
        /// Its name, or its address without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A socket of this machine.
    Unix(PathBuf),
}

/// What TLS needs on the side that connects. Paths as the system takes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTlsPaths {
    /// The authorities that are trusted, a file or a folder of files; those of the system if absent.
    pub ca: Option<PathBuf>,
    /// The worker's own certificate and its key, if the master asks for one.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The name that the master's certificate must have; that of its address if absent.
    pub server_name: Option<String>,
}

/// What is spoken with the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Perspective Broker.
    Pb,
    /// msgpack over WebSocket, `msgpack_experimental_v7`.
    Msgpack,
}

/// How the worker's user may ask for a stop once its builds are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowShutdown {
    /// By SIGHUP.
    Signal,
    /// By touching `shutdown.stamp` in the worker's folder.
    File,
}
