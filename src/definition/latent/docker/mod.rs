//! A worker in a container of Docker.

mod changes;
mod read;

use std::path::PathBuf;

use super::{Late, MasterAddress};
use crate::definition::{
    listener::Protocol,
    render::{Text, Worth},
};

/// What a container is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerDefinition {
    /// The engine.
    pub host: Text,
    /// The version of its API; what it speaks, if absent.
    pub api_version: Option<String>,
    /// Whether and how it is spoken to through TLS.
    pub tls: DockerTls,
    /// The image.
    pub image: DockerImage,
    /// When it is pulled.
    pub pull: PullPolicy,
    /// Program and arguments; the image's own if empty.
    pub command: Vec<String>,
    /// Folders and volumes.
    pub volumes: Vec<Late<Volume>>,
    /// What the container calls itself.
    pub hostname: Option<Text>,
    /// What else the engine is told.
    pub host_config: Option<Worth>,
    /// Where the container finds the master.
    pub master: Option<MasterAddress>,
    /// What its worker speaks.
    pub master_protocol: Protocol,
    /// Whether its output goes to the master's log until its worker has attached.
    pub follow_startup_logs: bool,
}

/// The image of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DockerImage {
    /// One that is there, or can be pulled.
    Named(Text),
    /// One that is built if it is not there.
    Built(Recipe),
}

/// How an image is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// How it is called; without a name it goes with its container.
    pub name: Option<Text>,
    /// The text of a Dockerfile, or the path of an archive that holds it.
    pub dockerfile: Text,
    /// Whether it is that path.
    pub custom_context: Late<bool>,
    /// How the archive is compressed.
    pub encoding: Late<Encoding>,
    /// The arguments of the Dockerfile.
    pub build_args: Option<Worth>,
    /// The stage that is built; the last if absent.
    pub target: Option<Text>,
}

/// How an archive is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// By gzip.
    Gzip,
    /// By bzip2.
    Bzip2,
    /// By xz.
    Xz,
    /// Not at all.
    Identity,
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    /// Never.
    Never,
    /// If it is not there.
    IfAbsent,
    /// Before each container.
    Always,
}

/// How the engine proves who it is, and the master to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DockerTls {
    /// Not at all.
    Off,
    /// By the system's authorities.
    System,
    /// As files say.
    Files {
        /// The authorities; the system's if absent.
        ca: Option<PathBuf>,
        /// What is shown to the engine: a certificate and its key.
        client: Option<(PathBuf, PathBuf)>,
        /// Whether the engine's certificate is verified.
        verify: bool,
    },
}

/// A folder of the engine's machine, or a volume, and where the container sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The folder, or the volume's name.
    pub source: String,
    /// Where the container sees it.
    pub target: String,
    /// Words after that: `ro`, `Z`.
    pub modes: Vec<String>,
}

const ENCODINGS: [(&str, Encoding); 4] = [
    ("gzip", Encoding::Gzip),
    ("bzip2", Encoding::Bzip2),
    ("xz", Encoding::Xz),
    ("identity", Encoding::Identity),
];
