//! The options of a shell command.
//!
//! # Laws
//! - What may be shown of a command is kept apart from what is run.
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/commands/shell.py` and `buildbot_worker/runprocess.py`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Arguments, duration, flag, size, text, wrong};
use crate::protocol::{
    ShellArguments,
    command::{EnvironmentChange, LogFile, ShellLine},
    pb::{
        failure::{Failure, KEY_ERROR},
        jelly::Value,
        keys::{self, argument},
    },
};

/// What masters before 0.9 say where the worker may choose its terminal. Workers chose none.
const WORKERS_CHOICE: &[u8] = b"slave-config";

pub(super) fn read(from: &Arguments<'_>) -> Result<ShellArguments, Failure> {
    let (command, shown) = line(from.needed(argument::COMMAND)?)?;
    let signal = match from.given(argument::INTERRUPT_SIGNAL) {
        None | Some(Value::None) => "KILL".to_owned(),
        Some(signal) => text(argument::INTERRUPT_SIGNAL, signal)?,
    };
    let use_pty = match from.given(argument::USE_PTY) {
        Some(choice) if choice.as_bytes().is_some_and(|choice| choice.as_ref() == WORKERS_CHOICE) => false,
        _ => from.flag(argument::USE_PTY, false)?,
    };
    Ok(ShellArguments {
        command,
        shown,
        workdir: from.text(argument::WORKDIR)?,
        env: environment(from.given(argument::ENV))?,
        stdin: stdin(from.given(argument::STDIN))?,
        timeout: from.seconds(argument::TIMEOUT, None)?,
        max_time: from.seconds(argument::MAX_TIME, None)?,
        sigterm_time: sigterm_time(from.given(argument::SIGTERM_TIME))?,
        interrupt_signal: signal,
        want_stdout: from.flag(argument::WANT_STDOUT, true)?,
        want_stderr: from.flag(argument::WANT_STDERR, true)?,
        log_environ: from.flag(argument::LOG_ENVIRON, true)?,
        log_files: log_files(from.given(argument::LOG_FILES))?,
        max_lines: from
            .given(argument::MAX_LINES)
            .map_or(Ok(None), |lines| size(argument::MAX_LINES, lines))?,
        use_pty,
    })
}

/// What is run, and its words as they may be shown if these are others.
fn line(value: &Value) -> Result<(ShellLine, Option<Vec<String>>), Failure> {
    if let Some((real, shown)) = obfuscated(value)? {
        // Whoever runs words one by one can hide one of them; this is what becomes of a line.
        let words = |line| vec!["/bin/sh".to_owned(), "-c".to_owned(), line];
        return Ok((ShellLine::Argv(words(real)), Some(words(shown))));
    }
    let Some(items) = value.as_items() else {
        return Ok((ShellLine::Shell(text(argument::COMMAND, value)?), None));
    };
    if items.is_empty() {
        return Err(wrong(argument::COMMAND, "a line, or a program and its arguments"));
    }
    let (mut words, mut shown, mut hides) =
        (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()), false);
    for item in items {
        if let Some((real, fake)) = obfuscated(item)? {
            hides = true;
            words.push(real);
            shown.push(fake);
        } else {
            let word = text(argument::COMMAND, item)?;
            words.push(word.clone());
            shown.push(word);
        }
    }
    Ok((ShellLine::Argv(words), hides.then_some(shown)))
}

/// The word as it is, and as it may be shown, of one that is written so.
fn obfuscated(value: &Value) -> Result<Option<(String, String)>, Failure> {
    match value {
        Value::Tuple(items) => match items.as_slice() {
            [mark, real, shown]
                if mark.as_bytes().is_some_and(|mark| mark.as_ref() == keys::OBFUSCATED.as_bytes()) =>
            {
                Ok(Some((text(argument::COMMAND, real)?, text(argument::COMMAND, shown)?)))
            }
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

fn environment(value: Option<&Value>) -> Result<BTreeMap<String, EnvironmentChange>, Failure> {
    let Some(pairs) = pairs(argument::ENV, value)? else { return Ok(BTreeMap::new()) };
    pairs.iter().map(|(name, value)| Ok((text(argument::ENV, name)?, change(value)?))).collect()
}

fn change(value: &Value) -> Result<EnvironmentChange, Failure> {
    Ok(match (value, value.as_items()) {
        (Value::None, _) => EnvironmentChange::Unset,
        (_, Some(items)) => EnvironmentChange::Joined(
            items.iter().map(|item| text(argument::ENV, item)).collect::<Result<_, _>>()?,
        ),
        (value, None) => EnvironmentChange::Set(text(argument::ENV, value)?),
    })
}

fn log_files(value: Option<&Value>) -> Result<Vec<LogFile>, Failure> {
    let pairs = pairs(argument::LOG_FILES, value)?.unwrap_or_default();
    pairs.iter().map(|(name, value)| log_file(&text(argument::LOG_FILES, name)?, value)).collect()
}

/// By its path, or with more words by a dictionary.
fn log_file(name: &str, value: &Value) -> Result<LogFile, Failure> {
    let (path, follow) = if value.as_pairs().is_some() {
        let missing = || Failure::exception(KEY_ERROR, format!("'{}'", argument::LOG_FILE_PATH));
        let path = value.field(argument::LOG_FILE_PATH).ok_or_else(missing)?;
        let follow = value.field(argument::LOG_FILE_FOLLOW);
        (path, follow.map_or(Ok(false), |follow| flag(argument::LOG_FILE_FOLLOW, follow))?)
    } else {
        (value, false)
    };
    Ok(LogFile { name: Arc::from(name), path: text(argument::LOG_FILES, path)?, follow })
}

/// A copy: a slice would keep the whole input that it came in.
fn stdin(value: Option<&Value>) -> Result<Option<Bytes>, Failure> {
    match value {
        None | Some(Value::None) => Ok(None),
        Some(value) => {
            let bytes = value.as_bytes().ok_or_else(|| wrong(argument::STDIN, "a text"))?;
            Ok(Some(Bytes::copy_from_slice(bytes)))
        }
    }
}

/// Unlike the other times, this one is there when it is 0.
fn sigterm_time(value: Option<&Value>) -> Result<Option<Duration>, Failure> {
    match value {
        None | Some(Value::None) => Ok(None),
        Some(value) => {
            duration(value).map(Some).ok_or_else(|| wrong(argument::SIGTERM_TIME, "a time in seconds"))
        }
    }
}

fn pairs<'a>(key: &str, value: Option<&'a Value>) -> Result<Option<&'a [(Value, Value)]>, Failure> {
    match value {
        None | Some(Value::None) => Ok(None),
        Some(value) => value.as_pairs().map(Some).ok_or_else(|| wrong(key, "a dictionary")),
    }
}
