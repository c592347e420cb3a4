//! A shell command in the words of a worker.
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/commands/shell.py`: the names, and what must be which type.

use std::time::Duration;

use super::jelly::Value;
use crate::protocol::{
    ShellArguments,
    command::{EnvironmentChange, ShellLine},
};

/// The arguments of the command `shell`.
///
/// # Errors
/// A text for the log, if this wire cannot carry them.
pub(super) fn arguments(from: ShellArguments) -> Result<Value, String> {
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
    let command = match from.command {
        ShellLine::Shell(line) => Value::text(line),
        ShellLine::Argv(words) => texts(words),
    };
    Ok(Value::dict([
        ("workdir", Value::text(from.workdir)),
        ("env", Value::Dict(env)),
        ("want_stdout", Value::Bool(from.want_stdout)),
        ("want_stderr", Value::Bool(from.want_stderr)),
        ("logfiles", Value::Dict(Vec::new())),
        ("timeout", seconds(from.timeout)),
        ("maxTime", seconds(from.max_time)),
        ("max_lines", Value::None),
        ("sigtermTime", seconds(from.sigterm_time)),
        // A boolean and nothing else: at `None` a worker breaks off.
        ("usePTY", Value::Bool(false)),
        ("logEnviron", Value::Bool(from.log_environ)),
        ("initial_stdin", stdin),
        ("interruptSignal", Value::text(from.interrupt_signal)),
        ("command", command),
    ]))
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

/// Whole seconds as such, as a worker shows them in its header.
fn seconds(time: Option<Duration>) -> Value {
    match time {
        None => Value::None,
        Some(time) if time.subsec_nanos() == 0 => {
            Value::Int(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
        }
        Some(time) => Value::Float(time.as_secs_f64()),
    }
}
