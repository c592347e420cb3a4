//! Commands in the words of a master on this wire: the other way round from `msgpack::arguments`.
//!
//! # Laws
//! - What Buildbot's worker wants to be there must be there; what its master leaves out, or says as nothing, has the
//!   worker's own default.
//! - An argument that nobody knows is not looked at. One that is known and makes no sense is a refusal.
//! - No value is in a refusal: it may be a secret.
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/commands`, for names and defaults.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use rmpv::ValueRef;

use super::super::{
    arguments::HIDDEN,
    frame::{self, field},
};
use crate::protocol::{
    ShellArguments, WorkerCommand,
    command::{
        Compression, CopyDirectory, DownloadFile, EnvironmentChange, LogFile, MAX_BLOCK_BYTES,
        RemoveDirectory, ShellLine, StatPath, UploadDirectory, UploadFile,
    },
};

/// How long a folder may be silently copied or removed, unless the master says otherwise.
const FILES_TIMEOUT: Duration = Duration::from_secs(120);

/// Why a command is not started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// Nobody knows it. Source of the text: Buildbot's worker.
    #[error("unrecognized WorkerCommand '{0}'")]
    Unknown(String),
    /// Something must be there, be it nothing.
    #[error("its argument `{0}` is missing")]
    Missing(&'static str),
    /// Something is there, but another thing.
    #[error("its argument `{name}` is not {wanted}")]
    Odd {
        /// Which.
        name: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
}

/// The pairs of a map.
type Map<'v> = [(ValueRef<'v>, ValueRef<'v>)];

/// The command with this name and these arguments.
pub(super) fn read(name: &str, arguments: &Map<'_>) -> Result<WorkerCommand, Refusal> {
    let from = Arguments(arguments);
    Ok(match name {
        "shell" => WorkerCommand::Shell(Box::new(shell(&from)?)),
        "upload_file" => WorkerCommand::UploadFile(Box::new(UploadFile {
            workdir: String::new(),
            source: from.path("path")?,
            max_size: from.size("maxsize")?,
            block_size: from.block_size()?,
            keep_stamp: from.flag("keepstamp", false)?,
        })),
        "upload_directory" => WorkerCommand::UploadDirectory(Box::new(UploadDirectory {
            workdir: String::new(),
            source: from.path("path")?,
            max_size: from.size("maxsize")?,
            block_size: from.block_size()?,
            compress: from.must_tell("compress", "nothing, `gz` or `bz2`", compression)?,
        })),
        "download_file" => WorkerCommand::DownloadFile(Box::new(DownloadFile {
            workdir: String::new(),
            destination: from.path("path")?,
            max_size: from.size("maxsize")?,
            block_size: from.block_size()?,
            mode: from.must_tell("mode", "nothing or permissions", |value| count(value)?.try_into().ok())?,
        })),
        "mkdir" => WorkerCommand::MakeDirectory { dirs: from.paths()? },
        "rmdir" => WorkerCommand::RemoveDirectory(Box::new(RemoveDirectory {
            dirs: from.paths()?,
            timeout: from.files_timeout()?,
            max_time: from.limit("maxTime")?,
            log_environ: from.flag("logEnviron", true)?,
        })),
        "cpdir" => WorkerCommand::CopyDirectory(Box::new(CopyDirectory {
            from: from.path("from_path")?,
            to: from.path("to_path")?,
            timeout: from.files_timeout()?,
            max_time: from.limit("maxTime")?,
            log_environ: from.flag("logEnviron", true)?,
        })),
        "stat" => {
            WorkerCommand::Stat(Box::new(StatPath { workdir: String::new(), path: from.path("path")? }))
        }
        "glob" => WorkerCommand::Glob { pattern: from.path("path")? },
        "listdir" => WorkerCommand::ListDirectory { dir: from.path("path")? },
        "rmfile" => WorkerCommand::RemoveFile { path: from.path("path")? },
        _ => return Err(Refusal::Unknown(name.to_owned())),
    })
}

fn shell(from: &Arguments<'_>) -> Result<ShellArguments, Refusal> {
    let (command, shown) = from.must("command", "a line, or words of which the first is a program", line)?;
    Ok(ShellArguments {
        command,
        shown,
        workdir: from.path("workdir")?,
        env: from
            .may("env", "texts, lists of texts and nothings by their names", environment)?
            .unwrap_or_default(),
        stdin: from
            .may("initial_stdin", "text", |value| Some(Bytes::copy_from_slice(frame::bytes(value)?)))?,
        timeout: from.limit("timeout")?,
        max_time: from.limit("maxTime")?,
        // Here nothing at all and no time are not the same.
        sigterm_time: from.may("sigtermTime", "seconds", span)?,
        interrupt_signal: from
            .may("interruptSignal", "the name of a signal", text)?
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "KILL".into()),
        want_stdout: from.flag("want_stdout", true)?,
        want_stderr: from.flag("want_stderr", true)?,
        log_environ: from.flag("logEnviron", true)?,
        log_files: from.may("logfiles", "paths by the names of their logs", log_files)?.unwrap_or_default(),
        max_lines: from.may("max_lines", "a number of lines", count)?,
        use_pty: from.flag("usePTY", false)?,
    })
}

/// What a master says of a command.
struct Arguments<'a>(&'a Map<'a>);

impl Arguments<'_> {
    /// What must be there, and say something.
    fn must<T>(
        &self,
        name: &'static str,
        wanted: &'static str,
        read: impl Fn(&ValueRef<'_>) -> Option<T>,
    ) -> Result<T, Refusal> {
        let value = field(self.0, name).ok_or(Refusal::Missing(name))?;
        read(value).ok_or(Refusal::Odd { name, wanted })
    }

    /// What must be there, but may say nothing.
    fn must_tell<T>(
        &self,
        name: &'static str,
        wanted: &'static str,
        read: impl Fn(&ValueRef<'_>) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        field(self.0, name).ok_or(Refusal::Missing(name))?;
        self.may(name, wanted, read)
    }

    /// What may be there.
    fn may<T>(
        &self,
        name: &'static str,
        wanted: &'static str,
        read: impl Fn(&ValueRef<'_>) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        match field(self.0, name) {
            None | Some(ValueRef::Nil) => Ok(None),
            Some(value) => read(value).map(Some).ok_or(Refusal::Odd { name, wanted }),
        }
    }

    fn path(&self, name: &'static str) -> Result<String, Refusal> {
        self.must(name, "a path", text)
    }

    fn paths(&self) -> Result<Vec<String>, Refusal> {
        self.must("paths", "a list of paths", texts)
    }

    fn flag(&self, name: &'static str, default: bool) -> Result<bool, Refusal> {
        Ok(self.may(name, "true or false", flag)?.unwrap_or(default))
    }

    fn size(&self, name: &'static str) -> Result<Option<u64>, Refusal> {
        self.must_tell(name, "nothing or a number of bytes", count)
    }

    fn block_size(&self) -> Result<u32, Refusal> {
        let bytes = self.must("blocksize", "a number of bytes", count)?.clamp(1, MAX_BLOCK_BYTES.into());
        Ok(u32::try_from(bytes).expect("no more than the longest block"))
    }

    /// A limit in time. None, nothing and no time are all the same.
    fn limit(&self, name: &'static str) -> Result<Option<Duration>, Refusal> {
        Ok(self.may(name, "seconds", span)?.filter(|span| !span.is_zero()))
    }

    fn files_timeout(&self) -> Result<Option<Duration>, Refusal> {
        match field(self.0, "timeout") {
            None => Ok(Some(FILES_TIMEOUT)),
            Some(_) => self.limit("timeout"),
        }
    }
}

/// What is run; and its words as they may be shown, if that is not the same.
fn line(value: &ValueRef<'_>) -> Option<(ShellLine, Option<Vec<String>>)> {
    let ValueRef::Array(words) = value else { return Some((ShellLine::Shell(text(value)?), None)) };
    let (real, shown): (Vec<String>, Vec<String>) =
        words.iter().map(word).collect::<Option<Vec<_>>>()?.into_iter().unzip();
    let shown = (shown != real).then_some(shown);
    (!real.is_empty()).then_some((ShellLine::Argv(real), shown))
}

/// A word as it is run and as it is shown.
fn word(value: &ValueRef<'_>) -> Option<(String, String)> {
    match value {
        ValueRef::Array(hidden) => match hidden.as_slice() {
            [mark, real, shown] if frame::text(mark) == Some(HIDDEN.as_bytes()) => {
                Some((text(real)?, text(shown)?))
            }
            _ => None,
        },
        plain => text(plain).map(|word| (word.clone(), word)),
    }
}

fn environment(value: &ValueRef<'_>) -> Option<BTreeMap<String, EnvironmentChange>> {
    let ValueRef::Map(changes) = value else { return None };
    let change = |value: &ValueRef<'_>| {
        Some(match value {
            ValueRef::Nil => EnvironmentChange::Unset,
            ValueRef::Array(_) => EnvironmentChange::Joined(texts(value)?),
            value => EnvironmentChange::Set(text(value)?),
        })
    };
    changes.iter().map(|(name, value)| Some((text(name)?, change(value)?))).collect()
}

fn log_files(value: &ValueRef<'_>) -> Option<Vec<LogFile>> {
    let ValueRef::Map(files) = value else { return None };
    let file = |(name, file): &(ValueRef<'_>, ValueRef<'_>)| {
        let name: Arc<str> = text(name)?.into();
        Some(match file {
            ValueRef::Map(file) => LogFile {
                name,
                path: text(field(file, "filename")?)?,
                follow: field(file, "follow").is_some_and(|follow| flag(follow) == Some(true)),
            },
            path => LogFile { name, path: text(path)?, follow: false },
        })
    };
    files.iter().map(file).collect()
}

fn compression(value: &ValueRef<'_>) -> Option<Compression> {
    match frame::text(value)? {
        b"gz" => Some(Compression::Gzip),
        b"bz2" => Some(Compression::Bzip2),
        _ => None,
    }
}

/// Text, also where a master says it as bytes.
fn text(value: &ValueRef<'_>) -> Option<String> {
    String::from_utf8(frame::bytes(value)?.to_vec()).ok()
}

fn texts(value: &ValueRef<'_>) -> Option<Vec<String>> {
    let ValueRef::Array(texts) = value else { return None };
    texts.iter().map(text).collect()
}

fn flag(value: &ValueRef<'_>) -> Option<bool> {
    match value {
        ValueRef::Boolean(yes) => Some(*yes),
        other => frame::integer(other).map(|number| number != 0),
    }
}

fn count(value: &ValueRef<'_>) -> Option<u64> {
    match value {
        ValueRef::Integer(number) => number.as_u64(),
        _ => None,
    }
}

fn span(value: &ValueRef<'_>) -> Option<Duration> {
    Duration::try_from_secs_f64(frame::number(value)?).ok()
}
