//! What a master tells a command, read as a [`WorkerCommand`].
//!
//! # Laws
//! - A missing argument, one of another type, and an unknown command are a [`Failure`], by which the start is answered.
//!   No value of an argument stands in it: there may be a secret in one.
//! - Masters of all ages are understood: those that say `slave`, those that send bytes for text.
//! - Who reads what `command` and `shell` of this wire write, has what was written.
//!
//! # Not here
//! The many options of a shell command (`shell`).
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/pb.py` and `buildbot_worker/commands`: what must be there, and what is else.

mod shell;

use std::time::Duration;

use crate::protocol::{
    WorkerCommand,
    command::{
        CopyDirectory, DownloadFile, MAX_BLOCK_BYTES, RemoveDirectory, StatPath, UploadDirectory, UploadFile,
    },
    pb::{
        failure::{Failure, KEY_ERROR, PB_ERROR, UNKNOWN_COMMAND, VALUE_ERROR},
        jelly::{Value, field},
        keys::{self, argument},
        versions::Verb,
    },
};

/// How long a program may be silent that removes or copies a folder, if its master says nothing of that.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);

/// What a master wants.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) command: WorkerCommand,
    /// The master's object by which it moves bytes.
    pub(super) transfer: Option<i64>,
}

/// Reads the arguments of a command.
///
/// # Errors
/// What its start is answered by.
pub(super) fn read(name: &str, arguments: &Value) -> Result<Wish, Failure> {
    let Some(verb) = Verb::of_name(name) else {
        let mut failure = Failure::exception(UNKNOWN_COMMAND, format!("no worker command is named `{name}`"));
        failure.parents.insert(1, PB_ERROR.to_owned());
        return Err(failure);
    };
    let from = arguments.as_pairs().ok_or_else(|| wrong("the arguments", "a dictionary"))?;
    let from = Arguments(from);
    let command = match verb {
        Verb::Shell => WorkerCommand::Shell(Box::new(shell::read(&from)?)),
        Verb::UploadFile => WorkerCommand::UploadFile(Box::new(upload_file(&from)?)),
        Verb::UploadDirectory => WorkerCommand::UploadDirectory(Box::new(upload_directory(&from)?)),
        Verb::DownloadFile => WorkerCommand::DownloadFile(Box::new(download_file(&from)?)),
        Verb::Mkdir => WorkerCommand::MakeDirectory { dirs: from.dirs()? },
        Verb::Rmdir => WorkerCommand::RemoveDirectory(Box::new(RemoveDirectory {
            dirs: from.dirs()?,
            timeout: from.seconds(argument::TIMEOUT, Some(DEFAULT_TIMEOUT))?,
            max_time: from.seconds(argument::MAX_TIME, None)?,
            log_environ: from.flag(argument::LOG_ENVIRON, true)?,
        })),
        Verb::Cpdir => WorkerCommand::CopyDirectory(Box::new(CopyDirectory {
            from: from.text(argument::FROM_DIR)?,
            to: from.text(argument::TO_DIR)?,
            timeout: from.seconds(argument::TIMEOUT, Some(DEFAULT_TIMEOUT))?,
            max_time: from.seconds(argument::MAX_TIME, None)?,
            log_environ: from.flag(argument::LOG_ENVIRON, true)?,
        })),
        Verb::Stat => WorkerCommand::Stat(Box::new(StatPath {
            workdir: from.text_or_empty(argument::WORKDIR)?,
            path: from.text(argument::FILE)?,
        })),
        Verb::Glob => WorkerCommand::Glob { pattern: from.text(argument::PATH)? },
        Verb::Listdir => WorkerCommand::ListDirectory { dir: from.text(argument::DIR)? },
        Verb::Rmfile => WorkerCommand::RemoveFile { path: from.text(argument::PATH)? },
    };
    let transfer = match verb {
        Verb::UploadFile | Verb::UploadDirectory => Some(from.object(argument::WRITER)?),
        Verb::DownloadFile => Some(from.object(argument::READER)?),
        _ => None,
    };
    Ok(Wish { command, transfer })
}

fn upload_file(from: &Arguments<'_>) -> Result<UploadFile, Failure> {
    Ok(UploadFile {
        workdir: from.text(argument::WORKDIR)?,
        source: from.text_of_two(argument::SOURCE, argument::OLD_SOURCE)?,
        max_size: from.size(argument::MAX_SIZE)?,
        block_size: from.block_size()?,
        keep_stamp: from.flag(argument::KEEP_STAMP, false)?,
    })
}

fn upload_directory(from: &Arguments<'_>) -> Result<UploadDirectory, Failure> {
    let compress = match from.needed(argument::COMPRESS)? {
        Value::None => None,
        value => {
            let kind = value.as_text().and_then(|kind| keys::meaning(&keys::COMPRESSIONS, &kind));
            Some(kind.ok_or_else(|| wrong(argument::COMPRESS, "None, `gz` or `bz2`"))?)
        }
    };
    Ok(UploadDirectory {
        workdir: from.text(argument::WORKDIR)?,
        source: from.text_of_two(argument::SOURCE, argument::OLD_SOURCE)?,
        max_size: from.size(argument::MAX_SIZE)?,
        block_size: from.block_size()?,
        compress,
    })
}

fn download_file(from: &Arguments<'_>) -> Result<DownloadFile, Failure> {
    let mode = match from.needed(argument::MODE)? {
        Value::None => None,
        Value::Int(mode) => {
            Some(u32::try_from(*mode).map_err(|_| wrong(argument::MODE, "the permissions of a file"))?)
        }
        _ => return Err(wrong(argument::MODE, "the permissions of a file")),
    };
    Ok(DownloadFile {
        workdir: from.text(argument::WORKDIR)?,
        destination: from.text_of_two(argument::DESTINATION, argument::OLD_DESTINATION)?,
        max_size: from.size(argument::MAX_SIZE)?,
        block_size: from.block_size()?,
        mode,
    })
}

/// An argument that is not what it must be. Its value is not told.
fn wrong(key: &str, wanted: &str) -> Failure {
    Failure::exception(VALUE_ERROR, format!("`{key}` is not {wanted}"))
}

/// The arguments of a command, by their names.
struct Arguments<'a>(&'a [(Value, Value)]);

impl<'a> Arguments<'a> {
    /// One that may be missing; `None` is a value.
    fn given(&self, key: &str) -> Option<&'a Value> {
        field(self.0, key)
    }

    fn needed(&self, key: &str) -> Result<&'a Value, Failure> {
        // As Python writes it.
        self.given(key).ok_or_else(|| Failure::exception(KEY_ERROR, format!("'{key}'")))
    }

    fn text(&self, key: &str) -> Result<String, Failure> {
        text(key, self.needed(key)?)
    }

    /// One that newer masters give by the first name.
    fn text_of_two(&self, key: &str, old_key: &str) -> Result<String, Failure> {
        match self.given(old_key) {
            Some(old) if self.given(key).is_none() => text(old_key, old),
            _ => self.text(key),
        }
    }

    fn text_or_empty(&self, key: &str) -> Result<String, Failure> {
        self.given(key).map_or_else(|| Ok(String::new()), |value| text(key, value))
    }

    fn dirs(&self) -> Result<Vec<String>, Failure> {
        let value = self.needed(argument::DIR)?;
        match value.as_items() {
            Some(dirs) => dirs.iter().map(|dir| text(argument::DIR, dir)).collect(),
            None => Ok(vec![text(argument::DIR, value)?]),
        }
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, Failure> {
        self.given(key).map_or(Ok(default), |value| flag(key, value))
    }

    /// A time. Workers take 0 for none.
    fn seconds(&self, key: &str, default: Option<Duration>) -> Result<Option<Duration>, Failure> {
        let wrong = || wrong(key, "a time in seconds");
        match self.given(key) {
            None => Ok(default),
            Some(Value::None | Value::Int(0)) => Ok(None),
            Some(value) => {
                let time = duration(value).ok_or_else(wrong)?;
                Ok(Some(time).filter(|time| !time.is_zero()))
            }
        }
    }

    /// A number of bytes, or none; it must be said which.
    fn size(&self, key: &str) -> Result<Option<u64>, Failure> {
        size(key, self.needed(key)?)
    }

    /// A longer one than the wire carries is cut: the next blocks have the rest.
    fn block_size(&self) -> Result<u32, Failure> {
        let wrong = || wrong(argument::BLOCK_SIZE, "a number of bytes");
        match self.needed(argument::BLOCK_SIZE)? {
            Value::Int(bytes @ 1..) => {
                Ok(u32::try_from(*bytes).map_or(MAX_BLOCK_BYTES, |bytes| bytes.min(MAX_BLOCK_BYTES)))
            }
            _ => Err(wrong()),
        }
    }

    fn object(&self, key: &str) -> Result<i64, Failure> {
        match self.needed(key)? {
            Value::Remote(object) => Ok(*object),
            _ => Err(wrong(key, "an object")),
        }
    }
}

fn text(key: &str, value: &Value) -> Result<String, Failure> {
    let text = value.as_bytes().and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.map(str::to_owned).ok_or_else(|| wrong(key, "a text"))
}

/// A yes or no, or what Python takes for one.
fn flag(key: &str, value: &Value) -> Result<bool, Failure> {
    match value {
        Value::None => Ok(false),
        Value::Bool(yes) => Ok(*yes),
        Value::Int(number) => Ok(*number != 0),
        _ => Err(wrong(key, "a boolean")),
    }
}

fn size(key: &str, value: &Value) -> Result<Option<u64>, Failure> {
    match value {
        Value::None => Ok(None),
        Value::Int(number) => u64::try_from(*number).map(Some).map_err(|_| wrong(key, "a size")),
        _ => Err(wrong(key, "a size")),
    }
}

fn duration(value: &Value) -> Option<Duration> {
    match value {
        Value::Int(seconds) => u64::try_from(*seconds).ok().map(Duration::from_secs),
        Value::Float(seconds) => Duration::try_from_secs_f64(*seconds).ok(),
        _ => None,
    }
}
