//! What is to be run, and why it could not be started.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt, io,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use bytes::Bytes;
use rustix::{io::Errno, process::Signal};
use tokio_util::sync::CancellationToken;

use super::leftover::Mark;

/// A child process to be.
#[derive(Clone, Debug)]
pub struct Spec {
    /// What is run.
    pub program: Program,
    /// Where. It exists.
    pub dir: PathBuf,
    /// Its whole environment but for the mark: nothing of ours comes with it.
    pub env: BTreeMap<OsString, OsString>,
    /// What it reads on its standard input, which is then closed; empty if absent.
    pub stdin: Option<Bytes>,
    /// Whether it runs on a terminal of its own: its three streams are that, and all that it writes is told as standard
    /// output. Not together with `stdin`, which then wins.
    pub on_terminal: bool,
    /// Whether its standard output is told; it is read in any case.
    pub want_stdout: bool,
    /// Whether its standard error is told; it is read in any case.
    pub want_stderr: bool,
    /// How long it may be silent on both streams. The time in which it is held back by a slow reader does not count.
    pub timeout: Option<Duration>,
    /// How long it may run in all.
    pub max_time: Option<Duration>,
    /// How many lines it may write on the streams that are told. For one more it is killed; of that nothing is told.
    pub max_lines: Option<u64>,
    /// If set, SIGTERM goes first, and this long is waited before `interrupt_signal`.
    pub sigterm_time: Option<Duration>,
    /// The signal that ends it. If that does not do, SIGKILL follows [`PATIENCE`](super::PATIENCE) later.
    pub interrupt_signal: EndSignal,
    /// The variable by which it is found in a later life: see [`leftover`](super::leftover).
    pub mark: Option<Mark>,
    /// Interrupts it once cancelled; before it has started, too.
    pub interrupt: CancellationToken,
}

impl Spec {
    /// A program in a folder: no environment, no input, all output wanted, no limits, ended by SIGKILL.
    pub fn new(program: Program, dir: impl Into<PathBuf>) -> Self {
        Self {
            program,
            dir: dir.into(),
            env: BTreeMap::new(),
            stdin: None,
            on_terminal: false,
            want_stdout: true,
            want_stderr: true,
            timeout: None,
            max_time: None,
            max_lines: None,
            sigterm_time: None,
            interrupt_signal: EndSignal::Kill,
            mark: None,
            interrupt: CancellationToken::new(),
        }
    }
}

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// A line, by `/bin/sh -c`.
    Shell(String),
    /// A program and its arguments. Without a `/` it is looked up in the `PATH` of the child.
    Argv(Vec<OsString>),
}

/// The signals that a command may be ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndSignal {
    /// SIGABRT.
    Abrt,
    /// SIGHUP.
    Hup,
    /// SIGINT.
    Int,
    /// SIGKILL, which cannot be caught.
    Kill,
    /// SIGQUIT.
    Quit,
    /// SIGTERM.
    Term,
}

impl EndSignal {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Abrt, Self::Hup, Self::Int, Self::Kill, Self::Quit, Self::Term];

    /// Its name without `SIG`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Abrt => "ABRT",
            Self::Hup => "HUP",
            Self::Int => "INT",
            Self::Kill => "KILL",
            Self::Quit => "QUIT",
            Self::Term => "TERM",
        }
    }

    pub(super) const fn signal(self) -> Signal {
        match self {
            Self::Abrt => Signal::ABORT,
            Self::Hup => Signal::HUP,
            Self::Int => Signal::INT,
            Self::Kill => Signal::KILL,
            Self::Quit => Signal::QUIT,
            Self::Term => Signal::TERM,
        }
    }
}

impl fmt::Display for EndSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no signal to end a command with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no signal to end a command with (ABRT, HUP, INT, KILL, QUIT or TERM)")]
pub struct UnknownSignal(pub String);

impl FromStr for EndSignal {
    type Err = UnknownSignal;
    fn from_str(name: &str) -> Result<Self, UnknownSignal> {
        Self::ALL
            .into_iter()
            .find(|signal| signal.name() == name)
            .ok_or_else(|| UnknownSignal(name.to_owned()))
    }
}

/// Why a child could not be started. Nothing runs then.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// Its folder is not there, or is no folder, or may not be entered.
    #[error("cannot run in the folder `{}`", dir.display())]
    Folder {
        /// The folder.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no such program, in its `PATH` or at its path.
    #[error("cannot start `{}`: no such program{}", program.display(), searched(path.as_deref()))]
    NotFound {
        /// The program, as it was given.
        program: OsString,
        /// Where it was looked for, if it was.
        path: Option<OsString>,
    },
    /// It is there, but may not be executed.
    #[error("cannot start `{}`: it is not executable", program.display())]
    NotExecutable {
        /// The program, as it was given.
        program: OsString,
    },
    /// A list without a program.
    #[error("cannot start a command of no words")]
    Empty,
    /// A variable whose name or value no environment can hold.
    #[error("cannot set the variable `{}`: its name is empty or holds `=`, or a NUL is in it", name.display())]
    Variable {
        /// Its name.
        name: OsString,
    },
    /// The system refused.
    #[error("cannot start `{}`", program.display())]
    Start {
        /// The program, as it was given.
        program: OsString,
        /// Why.
        source: io::Error,
    },
}

impl SpawnError {
    /// The exit code that a shell gives for this: 127 if there is no such program, 126 if it cannot be run; nothing if a
    /// shell would not have got so far.
    pub fn shell_code(&self) -> Option<i32> {
        match self {
            Self::NotFound { .. } => Some(127),
            Self::NotExecutable { .. } | Self::Empty => Some(126),
            // Its own words or its file are at fault.
            Self::Start { source, .. } if is_its_own_fault(source) => Some(126),
            Self::Folder { .. } | Self::Variable { .. } | Self::Start { .. } => None,
        }
    }
}

fn is_its_own_fault(error: &io::Error) -> bool {
    let faults = [Errno::TOOBIG, Errno::NOEXEC, Errno::ACCESS, Errno::PERM, Errno::NOENT, Errno::TXTBSY];
    faults.iter().any(|fault| error.raw_os_error() == Some(fault.raw_os_error()))
}

fn searched(path: Option<&OsStr>) -> String {
    path.map(|path| format!(" in `{}`", path.display())).unwrap_or_default()
}
