//! A master's folder: what lies where in it, and who holds it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::pid_lock::{Holder, PidLock, PidLockError};

/// The folder of a master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterFolder {
    root: PathBuf,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It is not there.
    #[error("there is no folder {}", path.display())]
    Absent {
        /// Which.
        path: PathBuf,
    },
    /// It is no master's.
    #[error("{} has no master.cfg.lua", path.display())]
    NotAMaster {
        /// Which.
        path: PathBuf,
    },
    /// It cannot be read or written.
    #[error("cannot write in {}", path.display())]
    Access {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another master has it.
    #[error("a master runs in {} already{}", path.display(), pid.map_or_else(String::new, |pid| format!(", with the process id {pid}")))]
    Taken {
        /// The folder.
        path: PathBuf,
        /// Whose.
        pid: Option<u32>,
    },
}

impl MasterFolder {
    /// A folder that is there and has a `master.cfg.lua`.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        if !path.is_dir() {
            return Err(FolderError::Absent { path: path.to_owned() });
        }
        let folder = Self { root: path.to_owned() };
        if !folder.config().is_file() {
            return Err(FolderError::NotAMaster { path: path.to_owned() });
        }
        Ok(folder)
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.root.join("master.cfg.lua")
    }

    /// Logs of steps.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// Folders of LocalWorkers.
    pub fn workers(&self) -> PathBuf {
        self.root.join("workers")
    }

    /// The socket of the command line.
    pub fn socket(&self) -> PathBuf {
        self.root.join("lunabot.sock")
    }

    /// The master's own log.
    pub fn log_file(&self) -> PathBuf {
        self.root.join("lunabot.log")
    }

    /// The file that tells who holds the folder.
    pub fn lock_file(&self) -> PathBuf {
        self.root.join("lunabot.lock")
    }

    /// Takes the folder. Blocks for as long as the file system takes to open a file.
    ///
    /// # Errors
    /// [`FolderError::Taken`] names the process that has it; [`FolderError::Access`] if nothing can be written there.
    pub fn lock(&self) -> Result<PidLock, FolderError> {
        let lock = PidLock::take(&self.lock_file()).map_err(|error| match error {
            PidLockError::Held { pid } => FolderError::Taken { path: self.root.clone(), pid },
            PidLockError::Access(source) => FolderError::Access { path: self.root.clone(), source },
        })?;
        for folder in [self.logs(), self.workers()] {
            fs::create_dir_all(&folder).map_err(|source| FolderError::Access { path: folder, source })?;
        }
        Ok(lock)
    }

    /// Who holds the folder: nothing if nobody does.
    pub fn holder(&self) -> Option<Holder> {
        PidLock::holder(&self.lock_file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_master_is_refused_with_the_first_ones_pid() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("master.cfg.lua"), "").unwrap();
        let folder = MasterFolder::open(dir.path()).unwrap();
        assert_eq!(folder.holder(), None);
        let lock = folder.lock().unwrap();
        let error = folder.lock().expect_err("it is held");
        assert!(
            matches!(error, FolderError::Taken { pid: Some(pid), .. } if pid == std::process::id()),
            "{error}"
        );
        assert_eq!(folder.holder(), Some(Holder { pid: Some(std::process::id()) }));
        drop(lock);
        assert_eq!(folder.holder(), None);
        assert!(folder.lock().is_ok());
    }

    #[test]
    fn a_folder_without_a_configuration_is_no_masters() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(MasterFolder::open(dir.path()), Err(FolderError::NotAMaster { .. })));
        assert!(matches!(MasterFolder::open(&dir.path().join("x")), Err(FolderError::Absent { .. })));
    }
}
