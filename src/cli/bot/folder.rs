//! A worker's folder: what lies where in it, and who holds it.

use std::path::{Path, PathBuf};

use crate::{
    cli::failure::{Failure, Kind},
    master::{
        PidLock,
        pid_lock::{Holder, PidLockError},
    },
};

/// The folder of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WorkerFolder {
    root: PathBuf,
}

impl WorkerFolder {
    /// A folder, whatever is in it.
    pub(super) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The settings.
    pub(super) fn settings(&self) -> PathBuf {
        self.root.join("worker.toml")
    }

    /// The settings of a `buildbot-worker`.
    pub(super) fn tac(&self) -> PathBuf {
        self.root.join("buildbot.tac")
    }

    /// Notes for people, which the master is told.
    pub(super) fn info(&self) -> PathBuf {
        self.root.join("info")
    }

    /// The worker's own log.
    pub(super) fn log(&self) -> PathBuf {
        self.root.join("worker.log")
    }

    /// The file that tells who holds the folder.
    pub(super) fn pid(&self) -> PathBuf {
        self.root.join("worker.pid")
    }

    /// What is touched to ask for a stop.
    pub(super) fn shutdown_stamp(&self) -> PathBuf {
        self.root.join("shutdown.stamp")
    }

    /// Who holds the folder: nothing if nobody does.
    pub(super) fn holder(&self) -> Option<Holder> {
        PidLock::holder(&self.pid())
    }

    /// Takes the folder.
    pub(super) fn lock(&self) -> Result<PidLock, Failure> {
        PidLock::take(&self.pid()).map_err(|error| match error {
            PidLockError::Held { pid } => self.taken(pid),
            PidLockError::Access(error) => {
                let text = format!("cannot write {}: {error}", self.pid().display());
                let hint = "the folder must be one that the worker's user may write in".to_owned();
                Failure::message(Kind::Failed, text).hint(hint)
            }
        })
    }

    /// Fails if somebody holds the folder.
    pub(super) fn must_be_free(&self) -> Result<(), Failure> {
        self.holder().map_or(Ok(()), |holder| Err(self.taken(holder.pid)))
    }

    fn taken(&self, pid: Option<u32>) -> Failure {
        let whose = pid.map_or_else(String::new, |pid| format!(", with the process id {pid}"));
        let text = format!("a worker runs in {} already{whose}", self.root.display());
        let hint =
            format!("`lunabot-worker stop {0}` ends it, `restart {0}` replaces it", self.root.display());
        Failure::message(Kind::Failed, text).hint(hint)
    }
}
