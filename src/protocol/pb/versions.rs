//! Which commands a worker knows, and of which age each is.
//!
//! # Laws
//! - What a worker does not tell of a command is taken for too old, as Buildbot does: an option is rather left out than
//!   misunderstood.
//! - Small: each link keeps one.
//!
//! # Source
//! Buildbot 4.3.0: `buildbot/process/remotecommand.py` and the steps compare these versions; `buildbot_worker`,
//! `command_version`, tells how they grew.

use std::{collections::BTreeSet, fmt};

use serde_json::Value as Json;

use crate::{model::WorkerInfo, protocol::facts};

/// The most that is kept of the version of a worker, in bytes. It is shown where a command is too old.
const MAX_WORKER_VERSION_BYTES: usize = 32;

/// The commands that are spoken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Shell,
    UploadFile,
    UploadDirectory,
    DownloadFile,
    Mkdir,
    Rmdir,
    Cpdir,
    Stat,
    Glob,
    Listdir,
    Rmfile,
}

impl Verb {
    const ALL: [Self; 11] = [
        Self::Shell,
        Self::UploadFile,
        Self::UploadDirectory,
        Self::DownloadFile,
        Self::Mkdir,
        Self::Rmdir,
        Self::Cpdir,
        Self::Stat,
        Self::Glob,
        Self::Listdir,
        Self::Rmfile,
    ];

    /// What a worker calls it on this wire.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::UploadFile => "uploadFile",
            Self::UploadDirectory => "uploadDirectory",
            Self::DownloadFile => "downloadFile",
            Self::Mkdir => "mkdir",
            Self::Rmdir => "rmdir",
            Self::Cpdir => "cpdir",
            Self::Stat => "stat",
            Self::Glob => "glob",
            Self::Listdir => "listdir",
            Self::Rmfile => "rmfile",
        }
    }

    /// What workers call it where names have another form; the same for most.
    fn other_name(self) -> &'static str {
        match self {
            Self::UploadFile => "upload_file",
            Self::UploadDirectory => "upload_directory",
            Self::DownloadFile => "download_file",
            verb => verb.name(),
        }
    }

    /// The command of this name, in either form.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.name() == name || verb.other_name() == name)
    }

    /// All names that commands have.
    pub(super) fn names() -> BTreeSet<&'static str> {
        Self::ALL.into_iter().flat_map(|verb| [verb.name(), verb.other_name()]).collect()
    }
}

/// The version of each command of a worker that knows all that is spoken of here. Source: Buildbot 4.3.0, `command_version`.
pub(super) const NEWEST: &str = "3.3";

/// The first two numbers of a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u16, pub(super) u16);

impl Version {
    /// Zero stands for what is no number.
    fn read(text: &str) -> Self {
        let mut numbers = text.split('.').map(|number| number.parse().unwrap_or(0));
        Self(numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// What a worker told of its commands.
#[derive(Debug, Default)]
pub(super) struct Versions {
    of: [Option<Version>; Verb::ALL.len()],
    worker: Box<str>,
}

impl Versions {
    pub(super) fn of_worker(info: &WorkerInfo) -> Self {
        let commands = info.0.get(facts::COMMANDS);
        let of = Verb::ALL.map(|verb| commands?.get(verb.name()).and_then(Json::as_str).map(Version::read));
        let worker = info.text("version").unwrap_or_default();
        let worker = &worker[..worker.floor_char_boundary(MAX_WORKER_VERSION_BYTES)];
        Self { of, worker: worker.into() }
    }

    /// Whether the worker's command is of this version or a later one.
    pub(super) fn has(&self, verb: Verb, least: Version) -> bool {
        self.of[verb as usize].is_some_and(|version| version >= least)
    }

    /// Whether the worker knows the command.
    ///
    /// # Errors
    /// A text for the log of the build.
    pub(super) fn knows(&self, verb: Verb) -> Result<(), String> {
        if self.of[verb as usize].is_some() {
            return Ok(());
        }
        Err(format!("the worker does not know the command `{}`; {self}", verb.name()))
    }

    /// Why `what` cannot be had of a command.
    pub(super) fn too_old(&self, verb: Verb, what: &str, least: Version) -> String {
        let name = verb.name();
        let has = self.of[verb as usize].map_or_else(|| "unknown".to_owned(), |version| version.to_string());
        format!("{what} needs version {least} of the worker's command `{name}`, which is {has}; {self}")
    }
}

/// Which worker it is.
impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.worker {
            "" => f.write_str("it did not tell its own version"),
            version => write!(f, "it has version {version}"),
        }
    }
}
