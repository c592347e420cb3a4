//! A file that one process holds, and that tells which.
//!
//! # Laws
//! - At most one process holds it. It is given up with the process, however that ends.
//! - Whoever reads a process id in it, and finds it held, has read that of the holder, or of nobody in the moment in
//!   which it changes hands.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rustix::fs::{FlockOperation, flock};

/// The right to be the one that holds it; given up when dropped.
#[derive(Debug)]
pub struct PidLock {
    file: File,
}

/// Why it is not to be had.
#[derive(Debug)]
pub enum PidLockError {
    /// Another process has it.
    Held {
        /// Which, if it has told already.
        pid: Option<u32>,
    },
    /// It cannot be made or written.
    Access(io::Error),
}

/// A process that holds one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id, if it has written it already.
    pub pid: Option<u32>,
}

impl PidLock {
    /// Takes it; the file is made if it is missing. Blocks for as long as the file system takes to open a file.
    pub fn take(path: &Path) -> Result<Self, PidLockError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o644);
        let mut file = options.open(path).map_err(PidLockError::Access)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(PidLockError::Held { pid: read_pid(&mut file) });
            }
            Err(error) => return Err(PidLockError::Access(error.into())),
        }
        let pid = format!("{}\n", std::process::id());
        file.set_len(0).and_then(|()| file.write_all(pid.as_bytes())).map_err(PidLockError::Access)?;
        Ok(Self { file })
    }

    /// Who holds it: nothing if nobody does.
    pub fn holder(path: &Path) -> Option<Holder> {
        let mut file = File::open(path).ok()?;
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => None,
            Err(_) => Some(Holder { pid: read_pid(&mut file) }),
        }
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

impl Drop for PidLock {
    fn drop(&mut self) {
        // Whoever reads the file after this must not take the pid of a process that has gone for a holder.
        if let Err(error) = self.file.set_len(0) {
            tracing::debug!(%error, "cannot empty the lock file");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_holds_it_and_the_next_takes_it_once_it_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        assert_eq!(PidLock::holder(&path), None, "there is no file yet");
        let lock = PidLock::take(&path).unwrap();
        let me = Some(std::process::id());
        assert!(matches!(PidLock::take(&path), Err(PidLockError::Held { pid }) if pid == me));
        assert_eq!(PidLock::holder(&path), Some(Holder { pid: me }));
        drop(lock);
        assert_eq!(PidLock::holder(&path), None);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
        assert!(PidLock::take(&path).is_ok());
        assert!(matches!(PidLock::take(&dir.path().join("no/pid")), Err(PidLockError::Access(_))));
    }
}
