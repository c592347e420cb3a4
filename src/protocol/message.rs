//! The messages between master and worker, the same for every wire.
//!
//! Source: what Buildbot's PB and msgpack carry, brought to one form; `docs/architecture.md` tells the way of a message.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::model::{LogStream, WorkerInfo};

/// A command that was started, unique as long as the worker lives: also across links and restarts of the master.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(Arc<str>);

impl CommandId {
    /// An id from its text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the master says.
#[derive(Clone, Debug, PartialEq)]
pub enum ToWorker {
    /// The builders of this worker and their folders below its own: all of them, each time.
    SetBuilders(Vec<BuilderFolder>),
    /// Run a command. Its `Update`s come until its `Complete`.
    Start {
        /// Names it in all that follows.
        id: CommandId,
        /// For which builder: its folder is where the command's paths begin.
        builder: Arc<str>,
        /// What to run.
        command: WorkerCommand,
    },
    /// End a command early. It is answered by the command's `Complete`.
    Interrupt {
        /// Which.
        id: CommandId,
        /// Why, for the log.
        why: String,
    },
    /// Are you there? Answered by [`FromWorker::Pong`] with the same number.
    Ping(u64),
    /// Stop the program, once its commands are killed.
    Shutdown,
}

/// A builder and its folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BuilderFolder {
    /// The builder's name.
    pub builder: Arc<str>,
    /// Its folder, below the worker's.
    pub folder: String,
}

/// What a worker can be told to do.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkerCommand {
    /// Run a program or a line of shell. Boxed: a queue keeps room for some dozen messages, for each of ten thousand links.
    Shell(Box<ShellArguments>),
}

/// The arguments of a shell command, rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct ShellArguments {
    /// What is run.
    pub command: ShellLine,
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

/// What a worker says.
#[derive(Clone, Debug, PartialEq)]
pub enum FromWorker {
    /// The first message on each link: who it is and what it is made of.
    Hello(WorkerInfo),
    /// News of a running command, in order.
    Update {
        /// Which.
        id: CommandId,
        /// What is new.
        update: Update,
    },
    /// The command has ended. Nothing follows for this id.
    Complete {
        /// Which.
        id: CommandId,
        /// Why it could not be carried out, if it could not; the text is for the log.
        failure: Option<String>,
    },
    /// I am here.
    Pong(u64),
    /// It wishes to stop once its builds are done: no more are given to it, and it is told to shut down.
    WantsShutdown,
}

/// News of a running command.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// Output, cut anywhere: the bytes as they came.
    Output {
        /// Which of its streams.
        stream: LogStream,
        /// The bytes.
        bytes: Bytes,
    },
    /// Its exit code; -1 after a signal.
    Rc(i32),
    /// Why it is being killed by the worker.
    FailureReason(FailureReason),
    /// How long it took.
    Elapsed(Duration),
}

/// Why the worker kills a command by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureReason {
    /// It ran longer than `max_time`.
    Timeout,
    /// It was silent longer than `timeout`.
    TimeoutWithoutOutput,
}

#[cfg(test)]
impl ShellArguments {
    /// A line of shell without limits, its output wanted.
    pub(crate) fn sample(line: &str) -> Self {
        Self {
            command: ShellLine::Shell(line.to_owned()),
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_small_since_each_link_keeps_room_for_many() {
        assert!(size_of::<ToWorker>() <= 64, "{}", size_of::<ToWorker>());
        assert!(size_of::<FromWorker>() <= 96, "{}", size_of::<FromWorker>());
    }
}
