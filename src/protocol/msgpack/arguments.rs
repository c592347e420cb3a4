//! Commands in the words of a worker on this wire.
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/commands`: the names, what must be there even if it says nothing, and what must be
//! which type.

use std::time::Duration;

use rmpv::Value;

use super::path::Base;
use crate::protocol::{
    ShellArguments, WorkerCommand,
    command::{Compression, EnvironmentChange, LogFile, MAX_BLOCK_BYTES, ShellLine},
};

/// Whether a worker can be told of a word that it shows otherwise than it runs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum HiddenWords {
    /// It would run something else: `buildbot-worker`.
    #[default]
    Unknown,
    /// It has told so.
    Understood,
}

/// The first of the three words that stand for a hidden one; the real and the shown one follow.
///
/// Source: what Buildbot's master says on the other wire, `('obfuscated', real, shown)`, and what becomes of that when it
/// is written as msgpack, which knows no tuples.
pub(super) const HIDDEN: &str = "obfuscated";

/// The name of a command and its arguments, for a builder with this folder.
///
/// # Errors
/// A text for the log, if this wire cannot carry them.
pub(super) fn of(
    command: WorkerCommand,
    base: &Base,
    folder: &str,
    hidden: HiddenWords,
) -> Result<(&'static str, Value), String> {
    let path = |path: &str| Value::from(base.path([folder, path]));
    let within = |workdir: &str, path: &str| Value::from(base.path([folder, workdir, &base.expanded(path)]));
    Ok(match command {
        WorkerCommand::Shell(arguments) => ("shell", shell(*arguments, base, folder, hidden)?),
        WorkerCommand::UploadFile(file) => {
            let arguments = [
                ("path", within(&file.workdir, &file.source)),
                ("maxsize", optional(file.max_size)),
                ("blocksize", block_size(file.block_size)),
                ("keepstamp", file.keep_stamp.into()),
            ];
            ("upload_file", map(arguments))
        }
        WorkerCommand::UploadDirectory(dir) => {
            let compress = dir.compress.map(|compression| match compression {
                Compression::Gzip => "gz",
                Compression::Bzip2 => "bz2",
            });
            let arguments = [
                ("path", within(&dir.workdir, &dir.source)),
                ("maxsize", optional(dir.max_size)),
                ("blocksize", block_size(dir.block_size)),
                ("compress", optional(compress)),
            ];
            ("upload_directory", map(arguments))
        }
        WorkerCommand::DownloadFile(file) => {
            let arguments = [
                ("path", within(&file.workdir, &file.destination)),
                ("maxsize", optional(file.max_size)),
                ("blocksize", block_size(file.block_size)),
                ("mode", optional(file.mode)),
            ];
            ("download_file", map(arguments))
        }
        WorkerCommand::MakeDirectory { dirs } => ("mkdir", paths(dirs.iter().map(|dir| path(dir)))),
        WorkerCommand::RemoveDirectory(remove) => {
            let dirs = remove.dirs.iter().map(|dir| path(dir)).collect();
            let arguments = [
                ("paths", Value::Array(dirs)),
                ("timeout", seconds(remove.timeout)),
                ("maxTime", seconds(remove.max_time)),
                ("logEnviron", remove.log_environ.into()),
            ];
            ("rmdir", map(arguments))
        }
        WorkerCommand::CopyDirectory(copy) => {
            let arguments = [
                ("from_path", path(&copy.from)),
                ("to_path", path(&copy.to)),
                ("timeout", seconds(copy.timeout)),
                ("maxTime", seconds(copy.max_time)),
                ("logEnviron", copy.log_environ.into()),
            ];
            ("cpdir", map(arguments))
        }
        WorkerCommand::Stat(stat) => {
            ("stat", map([("path", base.path([folder, &stat.workdir, &stat.path]).into())]))
        }
        WorkerCommand::Glob { pattern } => ("glob", map([("path", path(&pattern))])),
        WorkerCommand::ListDirectory { dir } => ("listdir", map([("path", path(&dir))])),
        WorkerCommand::RemoveFile { path } => ("rmfile", map([("path", within("", &path))])),
    })
}

fn shell(from: ShellArguments, base: &Base, folder: &str, hidden: HiddenWords) -> Result<Value, String> {
    let stdin = match from.stdin {
        // A worker reads text here, and fails at bytes that are none.
        Some(bytes) => match std::str::from_utf8(&bytes) {
            Ok(text) => text.into(),
            Err(_) => {
                return Err(
                    "its standard input is not UTF-8, and a worker on this protocol takes nothing else"
                        .into(),
                );
            }
        },
        None => Value::Nil,
    };
    let env = from.env.into_iter().map(|(name, change)| (name.into(), environment_change(change))).collect();
    let command = match (from.command, from.shown) {
        (ShellLine::Shell(line), _) => line.into(),
        (ShellLine::Argv(words), Some(shown)) if hidden == HiddenWords::Understood => {
            Value::Array(words.into_iter().zip(shown).map(word).collect())
        }
        // A worker that knows no hidden words writes them as they are into its own log.
        (ShellLine::Argv(words), _) => texts(words),
    };
    Ok(map([
        ("workdir", base.path([folder, &from.workdir]).into()),
        ("env", Value::Map(env)),
        ("want_stdout", from.want_stdout.into()),
        ("want_stderr", from.want_stderr.into()),
        ("logfiles", Value::Map(from.log_files.into_iter().map(log_file).collect())),
        ("timeout", seconds(from.timeout)),
        ("maxTime", seconds(from.max_time)),
        ("max_lines", optional(from.max_lines)),
        ("sigtermTime", seconds(from.sigterm_time)),
        // A boolean and nothing else: at any other value a worker breaks off.
        ("usePTY", from.use_pty.into()),
        ("logEnviron", from.log_environ.into()),
        ("initial_stdin", stdin),
        ("interruptSignal", from.interrupt_signal.into()),
        ("command", command),
    ]))
}

fn word((real, shown): (String, String)) -> Value {
    if real == shown { real.into() } else { Value::Array(vec![HIDDEN.into(), real.into(), shown.into()]) }
}

fn log_file(file: LogFile) -> (Value, Value) {
    (Value::from(&*file.name), map([("filename", file.path.into()), ("follow", file.follow.into())]))
}

fn environment_change(change: EnvironmentChange) -> Value {
    match change {
        EnvironmentChange::Set(text) => text.into(),
        EnvironmentChange::Joined(list) => texts(list),
        EnvironmentChange::Unset => Value::Nil,
    }
}

/// Whole seconds as such, as a worker shows them in its header.
fn seconds(time: Option<Duration>) -> Value {
    match time {
        None => Value::Nil,
        Some(time) if time.subsec_nanos() == 0 => time.as_secs().into(),
        Some(time) => time.as_secs_f64().into(),
    }
}

fn block_size(bytes: u32) -> Value {
    bytes.clamp(1, MAX_BLOCK_BYTES).into()
}

fn optional(value: Option<impl Into<Value>>) -> Value {
    value.map_or(Value::Nil, Into::into)
}

fn texts(texts: Vec<String>) -> Value {
    Value::Array(texts.into_iter().map(Value::from).collect())
}

/// The arguments of the commands that take a list of paths and nothing else.
pub(super) fn paths(paths: impl IntoIterator<Item = Value>) -> Value {
    map([("paths", Value::Array(paths.into_iter().collect()))])
}

/// A map with names as its keys.
pub(super) fn map<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Map(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
}
