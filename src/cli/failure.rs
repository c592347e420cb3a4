//! What went wrong, as the caller learns it: cause, hint, exit code.

use std::{fmt, process::ExitCode};

use anstyle::{AnsiColor, Style};

use crate::{
    config,
    definition::Problem,
    master::{FolderError, PrepareError, StartError},
    net::HttpError,
};

/// Red and bold: what went wrong.
pub(super) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Cyan: what to do.
pub(super) const HINT: Style = AnsiColor::Cyan.on_default();

/// Which exit code a failure has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It was refused, or it failed.
    Failed,
    /// The command line is wrong, in a way that its parser does not see.
    Usage,
    /// No master runs.
    NotRunning,
    /// A master runs already.
    AlreadyRunning,
    /// The machine does not let it: permissions, a full disk, a path that is too long.
    Environment,
}

impl Kind {
    /// The exit code. 2 is also clap's.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotRunning => 3,
            Self::AlreadyRunning => 4,
            Self::Environment => 5,
        }
    }
}

/// A failure on its way to the caller.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    error: anyhow::Error,
    hint: Option<String>,
    /// Told before the error, a line each.
    problems: Vec<Problem>,
}

impl Failure {
    /// A failure of a kind.
    pub fn new(kind: Kind, error: impl Into<anyhow::Error>) -> Self {
        Self { kind, error: error.into(), hint: None, problems: Vec::new() }
    }

    /// A failure that is told in one line.
    pub fn message(kind: Kind, text: impl fmt::Display) -> Self {
        Self::new(kind, anyhow::anyhow!("{text}"))
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The same with the problems of a configuration, told line by line before it.
    #[must_use]
    pub fn problems(mut self, problems: Vec<Problem>) -> Self {
        self.problems = problems;
        self
    }

    /// The same for a program whose exit codes are 1 and, for wrong usage, 2.
    #[must_use]
    pub(super) fn plain(mut self) -> Self {
        if self.kind != Kind::Usage {
            self.kind = Kind::Failed;
        }
        self
    }

    /// Tells it on standard error; the exit code is the caller's.
    pub fn report(&self) -> ExitCode {
        for problem in &self.problems {
            anstream::eprintln!("{problem}");
        }
        anstream::eprintln!("{ERROR}error:{ERROR:#} {self}");
        if let Some(hint) = &self.hint {
            anstream::eprintln!("{HINT}hint:{HINT:#} {hint}");
        }
        self.exit_code()
    }

    /// The exit code.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind.exit_code())
    }
}

/// The error and its causes, in one line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.error)?;
        self.error.chain().skip(1).try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl From<FolderError> for Failure {
    fn from(error: FolderError) -> Self {
        let (kind, hint) = match &error {
            FolderError::Absent { path } | FolderError::NotAMaster { path } => {
                (Kind::Failed, Some(format!("make one with `lunabot create-master {}`", path.display())))
            }
            FolderError::Access { .. } => {
                (Kind::Environment, Some("check its owner, its mode, and the space on its disk".into()))
            }
            FolderError::Taken { path, .. } => {
                (Kind::AlreadyRunning, Some(format!("stop it with `lunabot stop {}`", path.display())))
            }
        };
        Self::new(kind, error).hint(hint)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        use crate::store::OpenError;
        match error {
            StartError::Folder(error) => error.into(),
            StartError::Socket(error) => {
                let hint = "use a folder with a shorter path; a link to it does, as in `ln -s DIR /srv/ci`"
                    .to_owned();
                Self::new(Kind::Environment, error).hint(hint)
            }
            StartError::Load(error) => error.into(),
            StartError::Problems { problems } => {
                let error = StartError::Problems { problems: problems.clone() };
                let hint = "nothing was started; `lunabot checkconfig` checks again".to_owned();
                Self::new(Kind::Failed, error).problems(problems).hint(hint)
            }
            StartError::Open(OpenError::LaterVersion { .. }) => {
                let hint = "run the newer Lunabot that wrote it, or restore a backup of its time".to_owned();
                Self::new(Kind::Environment, error).hint(hint)
            }
            StartError::Prepare(PrepareError::Bind(_)) => {
                let hint =
                    "another program, or another master, has the port; change `c.protocols` or stop that one"
                        .to_owned();
                Self::new(Kind::Environment, error).hint(hint)
            }
            StartError::Prepare(PrepareError::Certificate { .. }) => {
                let hint =
                    "check the files that `c.protocols` names; relative paths are below the master's folder"
                        .to_owned();
                Self::new(Kind::Environment, error).hint(hint)
            }
            // Nothing is open yet when a master starts.
            StartError::Prepare(PrepareError::Overlap { .. }) | StartError::Watch(_) => {
                Self::new(Kind::Environment, error)
            }
            StartError::Open(_) | StartError::Resolve(_) | StartError::Prepare(PrepareError::Store(_)) => {
                let hint =
                    "check `c.db`, the server or file that it names, and the space on its disk".to_owned();
                Self::new(Kind::Environment, error).hint(hint)
            }
        }
    }
}

impl From<config::LoadError> for Failure {
    fn from(error: config::LoadError) -> Self {
        Self::new(Kind::Environment, error)
    }
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Refused { hint, text, .. } => Self::message(Kind::Failed, text).hint(hint),
            HttpError::Connect(_) => Self::new(Kind::NotRunning, error),
            HttpError::Broken(_) => Self::new(Kind::Failed, error),
        }
    }
}
