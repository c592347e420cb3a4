//! A worker's own folder, before its first link: made, known by its one true name, and free of what a former life left.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{Access, access};
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
