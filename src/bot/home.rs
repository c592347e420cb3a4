//! A worker's own folder, before its first link: made, known by its one true name, held by one worker, and free of what a
//! former life left.
//!
//! # Not here
//! How the program `lunabot-worker` holds its folder: by the same file, in the same way (`cli`).

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::{Access, FlockOperation, access, flock},
    io::Errno,
};
use tokio::task::spawn_blocking;

use super::Bot;
use crate::exec::leftover::{self, LeftoverError, Leftovers};

/// How long leftovers of a former life may take to die.
const LEFTOVER_LIMIT: Duration = Duration::from_secs(10);

/// Makes the folder if it is missing, and tells its one true name, which is what [`MARK`](super::MARK) holds: another way
/// to it must find the same leftovers.
///
/// # Errors
/// It could not be made, or may not be written.
pub async fn prepare(folder: &Path) -> io::Result<PathBuf> {
    let folder = folder.to_owned();
    let prepared = spawn_blocking(move || {
        std::fs::create_dir_all(&folder)?;
        let folder = folder.canonicalize()?;
        access(&folder, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)?;
        Ok(folder)
    });
    prepared.await.expect("making a folder does not panic")
}

/// The file that is locked by whoever works in the folder, with the id of its process.
const LOCK: &str = "worker.pid";

/// The right to work in a folder; given up when dropped.
#[derive(Debug)]
pub(super) struct Held {
    file: File,
}

/// Why a folder cannot be held.
#[derive(Debug)]
pub(super) enum NotHeld {
    /// Somebody works in it: this process, if it has told.
    Taken(Option<u32>),
    /// The file cannot be made or locked.
    Failed(io::Error),
}

/// Takes the right to work in a folder: what is killed there as leftovers must not be another worker's commands.
pub(super) async fn hold(folder: &Path) -> Result<Held, NotHeld> {
    let path = folder.join(LOCK);
    spawn_blocking(move || take(&path)).await.expect("locking a file does not panic")
}

fn take(path: &Path) -> Result<Held, NotHeld> {
    let opened = File::options().read(true).write(true).create(true).truncate(false).open(path);
    let mut file = opened.map_err(NotHeld::Failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut text = String::new();
            // It is for people: what cannot be read is not told.
            let told = file.take(32).read_to_string(&mut text).is_ok();
            return Err(NotHeld::Taken(text.trim().parse().ok().filter(|_| told)));
        }
        Err(error) => return Err(NotHeld::Failed(error.into())),
    }
    let pid = format!("{}\n", std::process::id());
    file.set_len(0).and_then(|()| file.write_all(pid.as_bytes())).map_err(NotHeld::Failed)?;
    Ok(Held { file })
}

impl Drop for Held {
    fn drop(&mut self) {
        // Whoever reads it later must not take this process for one that works there.
        if let Err(error) = self.file.set_len(0) {
            tracing::debug!(%error, "cannot empty the lock file of a worker's folder");
        }
    }
}

impl Bot {
    /// Kills commands that a former life left in this worker's folder, and logs what was found.
    ///
    /// Call it before the first link, while nothing else works in the folder. It takes 10 s of wall time at most.
    ///
    /// # Errors
    /// Whether any still run could not be found out.
    ///
    /// # Cancel safety
    /// Dropped before it returns, some may live on.
    pub async fn kill_leftovers(&self) -> Result<Leftovers, LeftoverError> {
        let leftovers = leftover::kill_all(&self.mark(), LEFTOVER_LIMIT).await?;
        let basedir = self.settings.basedir.display();
        if !leftovers.killed.is_empty() {
            tracing::warn!(%basedir, processes = ?leftovers.killed, "killed commands that a former life left");
        }
        if !leftovers.alive.is_empty() {
            tracing::error!(%basedir, processes = ?leftovers.alive, "commands of a former life would not die");
        }
        Ok(leftovers)
    }
}
