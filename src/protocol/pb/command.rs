//! Commands in the words of a worker, whatever its age.
//!
//! # Laws
//! - A key that a worker wants to be there is there, also where it is empty.
//! - No block is longer than a peer takes.
//! - What a worker is too old for fails the command before it begins, where its result would be another one; where only
//!   the way to it would be, it is left out, and the log of the command says so.
//!
//! # Not here
//! The object by which bytes are moved (`crew`), the many options of a shell command (`shell`).
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/commands/fs.py` and `transfer.py`: the names.

use std::time::Duration;

use super::{
    jelly::{Value, pairs},
    keys::{self, argument},
    shell,
    versions::{Verb, Version, Versions},
};
use crate::protocol::{
    WorkerCommand,
    command::{CopyDirectory, DownloadFile, MAX_BLOCK_BYTES, RemoveDirectory, UploadDirectory, UploadFile},
};

/// From here on workers say `worker` where they said `slave`.
const WORKER_WORDS: Version = Version(3, 0);

/// A command as a worker reads it.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) verb: Verb,
    pub(super) arguments: Vec<(Value, Value)>,
    /// If it moves bytes.
    pub(super) transfer: Option<Handle>,
    /// What was left out, for the log of the command: whole lines.
    pub(super) notes: String,
}

/// The object by which a worker moves bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handle {
    FileWriter,
    DirectoryWriter,
    FileReader,
}

impl Handle {
    /// The argument that holds it.
    pub(super) fn argument(self) -> &'static str {
        match self {
            Self::FileWriter | Self::DirectoryWriter => argument::WRITER,
            Self::FileReader => argument::READER,
        }
    }
}

/// What the worker is to be told.
///
/// # Errors
/// A text for the log, if this wire or this worker cannot carry it out.
pub(super) fn words(command: WorkerCommand, worker: &Versions) -> Result<Words, String> {
    let plain = |verb, arguments| Ok(Words { verb, arguments, transfer: None, notes: String::new() });
    let words = match command {
        WorkerCommand::Shell(shell) => return shell::words(*shell, worker),
        WorkerCommand::UploadFile(upload) => upload_file(*upload, worker),
        WorkerCommand::UploadDirectory(upload) => Ok(upload_directory(*upload, worker)),
        WorkerCommand::DownloadFile(download) => Ok(download_file(*download, worker)),
        WorkerCommand::MakeDirectory { mut dirs } => match (dirs.pop(), dirs.is_empty()) {
            (Some(dir), true) => plain(Verb::Mkdir, pairs([(argument::DIR, Value::text(dir))])),
            _ => return Err("a worker on this protocol makes one folder at a time".into()),
        },
        WorkerCommand::RemoveDirectory(remove) => plain(Verb::Rmdir, remove_directory(*remove, worker)?),
        WorkerCommand::CopyDirectory(copy) => plain(Verb::Cpdir, copy_directory(*copy)),
        WorkerCommand::Stat(stat) => {
            let arguments =
                [(argument::FILE, Value::text(stat.path)), (argument::WORKDIR, Value::text(stat.workdir))];
            plain(Verb::Stat, pairs(arguments))
        }
        WorkerCommand::Glob { pattern } => plain(Verb::Glob, pairs([(argument::PATH, Value::text(pattern))])),
        WorkerCommand::ListDirectory { dir } => {
            plain(Verb::Listdir, pairs([(argument::DIR, Value::text(dir))]))
        }
        WorkerCommand::RemoveFile { path } => {
            plain(Verb::Rmfile, pairs([(argument::PATH, Value::text(path))]))
        }
    }?;
    worker.knows(words.verb)?;
    Ok(words)
}

fn upload_file(from: UploadFile, worker: &Versions) -> Result<Words, String> {
    const KEEP_STAMP: Version = Version(2, 13);
    let verb = Verb::UploadFile;
    if from.keep_stamp && !worker.has(verb, KEEP_STAMP) {
        return Err(worker.too_old(verb, "keeping the times of a file", KEEP_STAMP));
    }
    let arguments = pairs([
        (argument::WORKDIR, Value::text(from.workdir)),
        (source_key(verb, worker), Value::text(from.source)),
        (argument::MAX_SIZE, size(from.max_size)),
        (argument::BLOCK_SIZE, block(from.block_size)),
        (argument::KEEP_STAMP, Value::Bool(from.keep_stamp)),
    ]);
    Ok(Words { verb, arguments, transfer: Some(Handle::FileWriter), notes: String::new() })
}

fn upload_directory(from: UploadDirectory, worker: &Versions) -> Words {
    let verb = Verb::UploadDirectory;
    let compress =
        from.compress.map_or(Value::None, |kind| Value::text(keys::word(&keys::COMPRESSIONS, &kind)));
    let arguments = pairs([
        (argument::WORKDIR, Value::text(from.workdir)),
        (source_key(verb, worker), Value::text(from.source)),
        (argument::MAX_SIZE, size(from.max_size)),
        (argument::BLOCK_SIZE, block(from.block_size)),
        (argument::COMPRESS, compress),
    ]);
    Words { verb, arguments, transfer: Some(Handle::DirectoryWriter), notes: String::new() }
}

fn download_file(from: DownloadFile, worker: &Versions) -> Words {
    let verb = Verb::DownloadFile;
    let key = if worker.has(verb, WORKER_WORDS) { argument::DESTINATION } else { argument::OLD_DESTINATION };
    let arguments = pairs([
        (argument::MAX_SIZE, size(from.max_size)),
        (argument::BLOCK_SIZE, block(from.block_size)),
        (argument::WORKDIR, Value::text(from.workdir)),
        (argument::MODE, from.mode.map_or(Value::None, |mode| Value::Int(mode.into()))),
        (key, Value::text(from.destination)),
    ]);
    Words { verb, arguments, transfer: Some(Handle::FileReader), notes: String::new() }
}

fn source_key(verb: Verb, worker: &Versions) -> &'static str {
    if worker.has(verb, WORKER_WORDS) { argument::SOURCE } else { argument::OLD_SOURCE }
}

fn remove_directory(mut from: RemoveDirectory, worker: &Versions) -> Result<Vec<(Value, Value)>, String> {
    const SEVERAL: Version = Version(2, 14);
    let dir = match (from.dirs.pop(), from.dirs.is_empty()) {
        (None, _) => return Err("there is no folder to remove".into()),
        // Every worker takes one so.
        (Some(dir), true) => Value::text(dir),
        (Some(_), false) if !worker.has(Verb::Rmdir, SEVERAL) => {
            return Err(worker.too_old(Verb::Rmdir, "to remove several folders at once", SEVERAL));
        }
        (Some(last), false) => Value::List(from.dirs.into_iter().chain([last]).map(Value::text).collect()),
    };
    Ok(limited([(argument::DIR, dir)], from.timeout, from.max_time, from.log_environ))
}

fn copy_directory(from: CopyDirectory) -> Vec<(Value, Value)> {
    let paths = [(argument::FROM_DIR, Value::text(from.from)), (argument::TO_DIR, Value::text(from.to))];
    limited(paths, from.timeout, from.max_time, from.log_environ)
}

/// With what the commands have in common that run a program. Without its key the timeout would be 120 s.
fn limited<const N: usize>(
    first: [(&'static str, Value); N],
    timeout: Option<Duration>,
    max_time: Option<Duration>,
    log_environ: bool,
) -> Vec<(Value, Value)> {
    let mut arguments = pairs(first);
    arguments.extend(pairs([
        (argument::TIMEOUT, seconds(timeout)),
        (argument::MAX_TIME, seconds(max_time)),
        (argument::LOG_ENVIRON, Value::Bool(log_environ)),
    ]));
    arguments
}

fn block(bytes: u32) -> Value {
    Value::Int(bytes.clamp(1, MAX_BLOCK_BYTES).into())
}

/// A number of bytes or lines, if there is one.
pub(super) fn size(limit: Option<u64>) -> Value {
    limit.map_or(Value::None, |limit| Value::Int(i64::try_from(limit).unwrap_or(i64::MAX)))
}

/// Whole seconds as such, as a worker shows them in its header.
pub(super) fn seconds(time: Option<Duration>) -> Value {
    match time {
        None => Value::None,
        Some(time) if time.subsec_nanos() == 0 => {
            Value::Int(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
        }
        Some(time) => Value::Float(time.as_secs_f64()),
    }
}
