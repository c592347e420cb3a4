//! Commands for the worker's system, as the operator defined them.

use std::{collections::BTreeMap, time::Duration};

use super::is_name;
use crate::{
    definition::{
        problem::Problem,
        record::{Record, Value},
        render::Text,
        suggest,
    },
    model::Outcome,
};

/// A command for the worker's system.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are the operator's own options")]
pub struct ShellCommand {
    /// What is run.
    pub command: Command,
    /// Where, below the builder's folder.
    pub workdir: Text,
    /// Variables over those of builder and worker.
    pub env: BTreeMap<String, EnvironmentValue>,
    /// How long it may be silent.
    pub timeout: Option<Duration>,
    /// How long it may run in all.
    pub max_time: Option<Duration>,
    /// If set, SIGTERM goes first and this long is waited.
    pub sigterm_time: Option<Duration>,
    /// The signal that ends it, without `SIG`.
    pub interrupt_signal: String,
    /// Whether its standard output is kept.
    pub want_stdout: bool,
    /// Whether its standard error is kept.
    pub want_stderr: bool,
    /// Whether the log begins with its environment.
    pub log_environ: bool,
    /// What it reads; nothing if absent.
    pub initial_stdin: Option<Text>,
    /// Files that are watched while it runs, by the names of their logs.
    pub log_files: BTreeMap<String, WatchedFile>,
    /// Whether the log of a watched file is opened only once there is something in it.
    pub lazy_log_files: bool,
    /// How many lines of output it may write before it is killed.
    pub max_lines: Option<u64>,
    /// Whether it runs on a terminal.
    pub use_pty: bool,
    /// Exit codes with a meaning of their own; 0 is success and all others are failures unless told here.
    pub decode_rc: BTreeMap<i32, Outcome>,
}

/// A file that is watched while a command runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedFile {
    /// Which, below the command's `workdir`.
    pub path: Text,
    /// Whether only what is added while the command runs counts.
    pub follow: bool,
}

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// By the shell of the worker.
    Shell(Text),
    /// A program and its arguments, seen by no shell.
    Argv(Vec<Text>),
}

/// The value of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvironmentValue {
    /// Set to a text; `${NAME}` in it is replaced on the worker.
    Set(Text),
    /// Set to a list, joined by the path separator of the worker.
    Joined(Vec<Text>),
    /// Removed.
    Unset,
}

/// The signals that `interruptSignal` may name.
pub const SIGNALS: [&str; 6] = ["KILL", "TERM", "INT", "HUP", "QUIT", "ABRT"];

impl ShellCommand {
    pub(super) fn from_record(step: &str, record: &Record, problems: &mut Vec<Problem>) -> Option<Self> {
        let mut complain = |text: String, hint: Option<String>| {
            problems.push(Problem::error(record.place.clone(), format!("step {step:?}: {text}")).hint(hint));
        };
        let command = match record.get("command")? {
            Value::Texts(argv) if argv.is_empty() => {
                complain("the command is an empty list".into(), None);
                return None;
            }
            Value::Texts(argv) => Command::Argv(argv),
            Value::Text(line) => Command::Shell(line),
            _ => return None,
        };
        let interrupt_signal = record.text("interruptSignal")?;
        let interrupt_signal = interrupt_signal.strip_prefix("SIG").unwrap_or(&interrupt_signal).to_owned();
        if !SIGNALS.contains(&interrupt_signal.as_str()) {
            let hint = suggest::did_you_mean(&interrupt_signal, SIGNALS)
                .or_else(|| Some(format!("one of {}", SIGNALS.join(", "))));
            complain(format!("`interruptSignal`: unknown signal `{interrupt_signal}`"), hint);
        }
        let mut decode_rc = BTreeMap::from([(0, Outcome::Success)]);
        if let Some(Value::Outcomes(codes)) = record.get("decodeRC") {
            for (code, word) in codes {
                match word.parse() {
                    Ok(outcome) => {
                        decode_rc.insert(code, outcome);
                    }
                    Err(error) => complain(format!("`decodeRC`: {error}"), None),
                }
            }
        }
        let log_files = record.log_files("logfiles");
        for name in log_files.keys() {
            if name == "stdio" || !is_name(name) {
                complain(format!("`logfiles`: {name:?} cannot be the name of a log"), None);
            }
        }
        Some(Self {
            command,
            workdir: record.renderable("workdir")?,
            env: record.environment("env"),
            timeout: record.duration("timeout"),
            max_time: record.duration("maxTime"),
            sigterm_time: record.duration("sigtermTime"),
            interrupt_signal,
            want_stdout: record.flag("want_stdout"),
            want_stderr: record.flag("want_stderr"),
            log_environ: record.flag("logEnviron"),
            initial_stdin: record.renderable("initialStdin"),
            log_files,
            lazy_log_files: record.flag("lazylogfiles"),
            max_lines: record.integer("max_lines").map(i64::unsigned_abs),
            use_pty: record.flag("usePTY"),
            decode_rc,
        })
    }
}

#[cfg(test)]
impl ShellCommand {
    /// A line of shell with every option at its default.
    pub(crate) fn sample(line: &str) -> Self {
        Self {
            command: Command::Shell(line.into()),
            workdir: "build".into(),
            env: BTreeMap::new(),
            timeout: Some(Duration::from_secs(1200)),
            max_time: None,
            sigterm_time: None,
            interrupt_signal: "KILL".into(),
            want_stdout: true,
            want_stderr: true,
            log_environ: true,
            initial_stdin: None,
            log_files: BTreeMap::new(),
            lazy_log_files: false,
            max_lines: None,
            use_pty: false,
            decode_rc: BTreeMap::from([(0, Outcome::Success)]),
        }
    }
}
