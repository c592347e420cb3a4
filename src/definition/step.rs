//! A step, as the operator defined it.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    definition::{
        problem::Problem,
        record::{Record, Value},
        render::Text,
        suggest,
    },
    model::{Outcome, Place},
};

/// A step and what its outcome means for the build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepDefinition {
    /// Its name, unique in its factory.
    pub name: String,
    /// What it does.
    pub kind: StepKind,
    /// What a failure of the step is for the build: `flunkOnFailure`, `warnOnFailure`.
    pub failure_counts_as: Outcome,
    /// What warnings of the step are for the build: `flunkOnWarnings`, `warnOnWarnings`.
    pub warnings_count_as: Outcome,
    /// After a failure, skip the steps that follow (but those that always run).
    pub halt_on_failure: bool,
    /// Runs even after a halt.
    pub always_run: bool,
    /// Where it was written.
    pub place: Place,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// `steps.ShellCommand`.
    Shell(ShellCommand),
}

/// A command for the worker's system.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Exit codes with a meaning of their own; 0 is success and all others are failures unless told here.
    pub decode_rc: BTreeMap<i32, Outcome>,
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

impl StepDefinition {
    /// A step from its record; what is wrong goes to `problems`.
    pub fn from_record(record: &Record, problems: &mut Vec<Problem>) -> Option<Self> {
        let name = record.text("name")?;
        if name.is_empty() || name.chars().count() > 50 || name.chars().any(char::is_control) {
            let text = format!(
                "step {name:?}: a step's name has 1 to 50 characters, none of them a control character"
            );
            problems.push(Problem::error(record.place.clone(), text));
            return None;
        }
        Some(Self {
            kind: StepKind::Shell(ShellCommand::from_record(&name, record, problems)?),
            name,
            failure_counts_as: counts_as(record.flag("flunkOnFailure"), record.flag("warnOnFailure")),
            warnings_count_as: counts_as(record.flag("flunkOnWarnings"), record.flag("warnOnWarnings")),
            halt_on_failure: record.flag("haltOnFailure"),
            always_run: record.flag("alwaysRun"),
            place: record.place.clone(),
        })
    }
}

/// The graver flag wins.
const fn counts_as(flunks: bool, warns: bool) -> Outcome {
    match (flunks, warns) {
        (true, _) => Outcome::Failure,
        (false, true) => Outcome::Warnings,
        (false, false) => Outcome::Success,
    }
}

impl ShellCommand {
    fn from_record(step: &str, record: &Record, problems: &mut Vec<Problem>) -> Option<Self> {
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
            decode_rc,
        })
    }
}

#[cfg(test)]
impl StepDefinition {
    /// A step as `steps.ShellCommand { name = name, command = "true" }` makes it.
    pub(crate) fn sample(name: &str) -> Self {
        Self {
            name: name.into(),
            kind: StepKind::Shell(ShellCommand::sample("true")),
            failure_counts_as: Outcome::Failure,
            warnings_count_as: Outcome::Warnings,
            halt_on_failure: false,
            always_run: false,
            place: Place::new("master.cfg.lua", 1),
        }
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
            decode_rc: BTreeMap::from([(0, Outcome::Success)]),
        }
    }
}
