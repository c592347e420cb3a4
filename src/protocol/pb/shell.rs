//! A shell command in the words of a worker.
//!
//! # Laws
//! - Every worker runs shell commands: options that it is too old for are left out, and the log of the command says so.
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/commands/shell.py`: the names, and what must be which type.

use super::{
    command::{Words, seconds, size},
    jelly::{Value, pairs},
    keys::{self, argument},
    versions::{Verb, Version, Versions},
};
use crate::protocol::{
    ShellArguments,
    command::{EnvironmentChange, LogFile, ShellLine},
};

/// An option that not every worker has.
struct Newer {
    key: &'static str,
    since: Version,
    what: &'static str,
}

const MAX_LINES: Newer = Newer { key: argument::MAX_LINES, since: Version(3, 3), what: "a limit of lines" };
const SIGTERM_TIME: Newer =
    Newer { key: argument::SIGTERM_TIME, since: Version(2, 16), what: "to send SIGTERM first" };
const USE_PTY: Newer = Newer { key: argument::USE_PTY, since: Version(2, 7), what: "to choose a terminal" };
const INTERRUPT_SIGNAL: Newer = Newer {
    key: argument::INTERRUPT_SIGNAL,
    since: Version(2, 15),
    what: "to choose the signal of an interrupt",
};

/// Source: Buildbot, `steps/source/svn.py`, which hides its password from this version on.
const OBFUSCATED: Newer = Newer { key: "", since: Version(2, 16), what: "to hide a secret in its command" };

/// The command `shell`.
///
/// # Errors
/// A text for the log, if this wire cannot carry it.
pub(super) fn words(from: ShellArguments, worker: &Versions) -> Result<Words, String> {
    let stdin = match from.stdin {
        // A worker reads text here, and fails at bytes that are none.
        Some(bytes) if std::str::from_utf8(&bytes).is_err() => {
            return Err(
                "its standard input is not UTF-8, and a worker on this protocol takes nothing else".into()
            );
        }
        Some(bytes) => Value::Text(bytes),
        None => Value::None,
    };
    let env =
        from.env.into_iter().map(|(name, change)| (Value::text(name), environment_change(change))).collect();
    let mut arguments = pairs([
        (argument::WORKDIR, Value::text(from.workdir)),
        (argument::ENV, Value::Dict(env)),
        (argument::WANT_STDOUT, Value::Bool(from.want_stdout)),
        (argument::WANT_STDERR, Value::Bool(from.want_stderr)),
        (argument::LOG_FILES, Value::Dict(from.log_files.into_iter().map(log_file).collect())),
        (argument::TIMEOUT, seconds(from.timeout)),
        (argument::MAX_TIME, seconds(from.max_time)),
    ]);
    let mut notes = String::new();
    let mut newer = |arguments: &mut Vec<_>, option: &Newer, value, is_asked_for| {
        if worker.has(Verb::Shell, option.since) {
            arguments.extend(pairs([(option.key, value)]));
        } else if is_asked_for {
            notes += &worker.too_old(Verb::Shell, option.what, option.since);
            notes.push_str("; this is left out\n");
        }
    };
    newer(&mut arguments, &MAX_LINES, size(from.max_lines), from.max_lines.is_some());
    newer(&mut arguments, &SIGTERM_TIME, seconds(from.sigterm_time), from.sigterm_time.is_some());
    // A boolean and nothing else: at `None` a worker breaks off.
    newer(&mut arguments, &USE_PTY, Value::Bool(from.use_pty), from.use_pty);
    arguments
        .extend(pairs([(argument::LOG_ENVIRON, Value::Bool(from.log_environ)), (argument::STDIN, stdin)]));
    let is_default = from.interrupt_signal == "KILL";
    newer(&mut arguments, &INTERRUPT_SIGNAL, Value::text(from.interrupt_signal), !is_default);
    let command = match (from.command, from.shown) {
        (ShellLine::Shell(line), _) => Value::text(line),
        (ShellLine::Argv(words), None) => texts(words),
        (ShellLine::Argv(words), Some(_)) if !worker.has(Verb::Shell, OBFUSCATED.since) => {
            notes += &worker.too_old(Verb::Shell, OBFUSCATED.what, OBFUSCATED.since);
            notes.push_str("; its own log shows it\n");
            texts(words)
        }
        (ShellLine::Argv(words), Some(shown)) => obfuscated(words, shown),
    };
    arguments.extend(pairs([(argument::COMMAND, command)]));
    Ok(Words { verb: Verb::Shell, arguments, transfer: None, notes })
}

/// Words, some of which a worker shows otherwise than it runs them. Source: `buildbot_worker/runprocess.py`.
fn obfuscated(words: Vec<String>, shown: Vec<String>) -> Value {
    let word = |(real, shown): (String, String)| {
        if real == shown {
            Value::text(real)
        } else {
            Value::Tuple(vec![Value::text(keys::OBFUSCATED), Value::text(real), Value::text(shown)])
        }
    };
    Value::List(words.into_iter().zip(shown).map(word).collect())
}

/// Only what is wanted beyond a path is told in the newer form.
fn log_file(file: LogFile) -> (Value, Value) {
    let path = Value::text(file.path);
    let told = if file.follow {
        Value::dict([(argument::LOG_FILE_PATH, path), (argument::LOG_FILE_FOLLOW, Value::Bool(true))])
    } else {
        path
    };
    (Value::text(file.name.to_string()), told)
}

fn environment_change(change: EnvironmentChange) -> Value {
    match change {
        EnvironmentChange::Set(text) => Value::text(text),
        EnvironmentChange::Joined(texts) => self::texts(texts),
        EnvironmentChange::Unset => Value::None,
    }
}

fn texts(texts: Vec<String>) -> Value {
    Value::List(texts.into_iter().map(Value::text).collect())
}
