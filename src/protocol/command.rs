//! What a worker can be told to do, with everything rendered.
//!
//! Paths are those of the worker's system. Relative ones begin at the builder's folder, or at a `workdir` below it where a
//! command has one; each wire makes of them what its workers want.
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/commands`: a worker knows these commands and no other.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;

#[cfg(doc)]
use super::message::{Transfer, Update};

/// What a worker can be told to do.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkerCommand {
    /// Run a program or a line of shell. Boxed: a queue keeps room for some dozen messages, for each of ten thousand links.
    Shell(Box<ShellArguments>),
    /// Send a file to the master, by [`Transfer::Write`]s and a [`Transfer::Close`].
    UploadFile(Box<UploadFile>),
    /// Send a folder to the master as one tar stream, by [`Transfer::Write`]s and a [`Transfer::Unpack`].
    UploadDirectory(Box<UploadDirectory>),
    /// Fetch a file from the master, by [`Transfer::Read`]s and a [`Transfer::Close`].
    DownloadFile(Box<DownloadFile>),
    /// Make folders, and those above them. One that is there already is success.
    MakeDirectory {
        /// Which, below the builder's folder.
        dirs: Vec<String>,
    },
    /// Remove folders and all in them. One that is missing is success.
    RemoveDirectory(Box<RemoveDirectory>),
    /// Copy a folder, links kept; folders above the target are made.
    CopyDirectory(Box<CopyDirectory>),
    /// Tell what a path is, by [`Update::Stat`].
    Stat(Box<StatPath>),
    /// List the paths that match a pattern (`*`, `?`, `[…]`, `**`), by [`Update::Files`]: absolute ones.
    Glob {
        /// Below the builder's folder.
        pattern: String,
    },
    /// List the names in a folder, by [`Update::Files`].
    ListDirectory {
        /// Which, below the builder's folder.
        dir: String,
    },
    /// Remove a file.
    RemoveFile {
        /// Which, below the builder's folder; `~` is the home of the worker's user.
        path: String,
    },
}

/// The longest block that a transfer may move at once, in bytes. Source: Twisted, the longest string of Banana.
pub const MAX_BLOCK_BYTES: u32 = 655_360;

/// Sends a file to the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadFile {
    /// Where `source` begins, below the builder's folder.
    pub workdir: String,
    /// The file; `~` is the home of the worker's user.
    pub source: String,
    /// Cut it off after so many bytes, which is then a failure.
    pub max_size: Option<u64>,
    /// Bytes at a time, at most [`MAX_BLOCK_BYTES`].
    pub block_size: u32,
    /// Tell its times of access and change at the end.
    pub keep_stamp: bool,
}

/// Sends a folder to the master, as a tar stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadDirectory {
    /// Where `source` begins, below the builder's folder.
    pub workdir: String,
    /// The folder; `~` is the home of the worker's user.
    pub source: String,
    /// Cut the stream off after so many bytes, which is then a failure.
    pub max_size: Option<u64>,
    /// Bytes at a time, at most [`MAX_BLOCK_BYTES`].
    pub block_size: u32,
    /// How the stream is compressed.
    pub compress: Option<Compression>,
}

/// How a tar stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// By gzip.
    Gzip,
    /// By bzip2.
    Bzip2,
}

/// Fetches a file from the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadFile {
    /// Where `destination` begins, below the builder's folder.
    pub workdir: String,
    /// The file, which is replaced if it is there; `~` is the home of the worker's user. Folders above it are made.
    pub destination: String,
    /// Cut it off after so many bytes, which is then a failure.
    pub max_size: Option<u64>,
    /// Bytes at a time, at most [`MAX_BLOCK_BYTES`].
    pub block_size: u32,
    /// Its permissions.
    pub mode: Option<u32>,
}

/// Asks what a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatPath {
    /// Where `path` begins, below the builder's folder.
    pub workdir: String,
    /// Which.
    pub path: String,
}

/// Removes folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveDirectory {
    /// Which, below the builder's folder.
    pub dirs: Vec<String>,
    /// How long it may be silent.
    pub timeout: Option<Duration>,
    /// How long it may run in all.
    pub max_time: Option<Duration>,
    /// Whether its header lists its environment.
    pub log_environ: bool,
}

/// Copies a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyDirectory {
    /// What is copied, below the builder's folder.
    pub from: String,
    /// Where to, below the builder's folder.
    pub to: String,
    /// How long it may be silent.
    pub timeout: Option<Duration>,
    /// How long it may run in all.
    pub max_time: Option<Duration>,
    /// Whether its header lists its environment.
    pub log_environ: bool,
}

/// The arguments of a shell command, rendered.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "they are the worker's own options")]
pub struct ShellArguments {
    /// What is run.
    pub command: ShellLine,
    /// The words of a [`ShellLine::Argv`] as they may be shown, as many as they are; absent if they may be shown as they are.
    pub shown: Option<Vec<String>>,
    /// Where: below the builder's folder, unless absolute. Made if it is missing.
    pub workdir: String,
    /// Changes to the worker's environment.
    pub env: BTreeMap<String, EnvironmentChange>,
    /// What it reads; its standard input is closed at once if absent.
    pub stdin: Option<Bytes>,
    /// How long it may be silent.
    pub timeout: Option<Duration>,
    /// How long it may run in all.
    pub max_time: Option<Duration>,
    /// If set, SIGTERM goes first and this long is waited before `interrupt_signal`.
    pub sigterm_time: Option<Duration>,
    /// The signal that ends it, without `SIG`: KILL, TERM, INT, HUP, QUIT or ABRT.
    pub interrupt_signal: String,
    /// Whether its standard output is wanted.
    pub want_stdout: bool,
    /// Whether its standard error is wanted.
    pub want_stderr: bool,
    /// Whether its header lists its environment.
    pub log_environ: bool,
    /// Files that are watched while it runs; what is written to them comes as [`Update::Log`].
    pub log_files: Vec<LogFile>,
    /// How many lines of output it may write before it is killed.
    pub max_lines: Option<u64>,
    /// Whether it runs on a terminal.
    pub use_pty: bool,
}

/// A file that is watched while a command runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// The name of its log.
    pub name: Arc<str>,
    /// The file, below the command's `workdir`.
    pub path: String,
    /// Whether only what is added from now on counts, and not what it holds already.
    pub follow: bool,
}

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShellLine {
    /// By `/bin/sh -c`.
    Shell(String),
    /// A program and its arguments. Not empty.
    Argv(Vec<String>),
}

/// A change to one variable of the worker's environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvironmentChange {
    /// Set; `${NAME}` is replaced by the worker's own variable, absent ones by nothing.
    Set(String),
    /// Set to a list, joined by the path separator of the worker.
    Joined(Vec<String>),
    /// Removed.
    Unset,
}

#[cfg(test)]
impl WorkerCommand {
    /// Fetches this file of the builder's folder, in blocks of so many bytes.
    pub(crate) fn sample_upload(source: &str, block_size: u32) -> Self {
        Self::UploadFile(Box::new(UploadFile {
            workdir: "build".into(),
            source: source.into(),
            max_size: None,
            block_size,
            keep_stamp: true,
        }))
    }

    /// Fetches this folder, in blocks of so many bytes.
    pub(crate) fn sample_upload_directory(source: &str, block_size: u32) -> Self {
        Self::UploadDirectory(Box::new(UploadDirectory {
            workdir: "build".into(),
            source: source.into(),
            max_size: None,
            block_size,
            compress: None,
        }))
    }

    /// Sends this file, in blocks of so many bytes.
    pub(crate) fn sample_download(destination: &str, block_size: u32) -> Self {
        Self::DownloadFile(Box::new(DownloadFile {
            workdir: "build".into(),
            destination: destination.into(),
            max_size: None,
            block_size,
            mode: None,
        }))
    }
}

#[cfg(test)]
impl ShellArguments {
    /// A line of shell without limits, its output wanted.
    pub(crate) fn sample(line: &str) -> Self {
        Self {
            command: ShellLine::Shell(line.to_owned()),
            shown: None,
            workdir: "build".into(),
            env: BTreeMap::new(),
            stdin: None,
            timeout: None,
            max_time: None,
            sigterm_time: None,
            interrupt_signal: "KILL".into(),
            want_stdout: true,
            want_stderr: true,
            log_environ: false,
            log_files: Vec::new(),
            max_lines: None,
            use_pty: false,
        }
    }
}
