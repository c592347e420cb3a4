//! Folders of builders that are gone, removed when the operator wishes it.
//!
//! # Laws
//! - What goes is moved aside first, at once: a builder that comes back in the next moment has a folder of its own, from
//!   under which nothing is removed.
//! - Only folders go. A link, and what it leads to, stays; so do `info`, the folder of each builder, and every folder in
//!   which a command runs.
//! - One whose builder has the worker's folder itself leaves nothing to remove.
//!
//! # Not here
//! A master that speaks msgpack does this itself, by commands.

use std::{
    fs,
    hash::{BuildHasher, RandomState},
    io,
    path::{Path, PathBuf},
    sync::atomic::AtomicU64,
    time::Duration,
};

use tokio::task::spawn_blocking;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::folders::sweep;

/// What stands before the name of a folder that was moved aside.
const ASIDE: &str = ".lunabot-leftover-";
/// The one folder of a worker that is no builder's.
const NOTES: &str = "info";

/// Moves all leftover folders aside; those that were moved are told, and what went wrong is logged.
///
/// Blocks.
pub(super) fn move_aside(basedir: &Path, in_use: &[PathBuf]) -> Vec<PathBuf> {
    // By their true names, too: a builder's folder may be a link to another one.
    let true_names = in_use.iter().filter_map(|folder| folder.canonicalize().ok());
    let in_use: Vec<_> = in_use.iter().cloned().chain(true_names).collect();
    match folders(basedir) {
        Ok(found) => found
            .into_iter()
            .filter(|folder| !in_use.iter().any(|used| used.starts_with(folder) || folder.starts_with(used)))
            .filter_map(|folder| aside(basedir, folder))
            .collect(),
        Err(error) => {
            tracing::warn!(basedir = %basedir.display(), %error, "cannot look for leftover folders");
            Vec::new()
        }
    }
}

/// The folders that may be leftovers, for all that their names tell.
fn folders(basedir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(basedir)? {
        let entry = entry?;
        // Not of what a link leads to.
        if entry.file_name() != NOTES && entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn aside(basedir: &Path, folder: PathBuf) -> Option<PathBuf> {
    let name = folder.file_name()?;
    // Moved in an earlier life, which had no time to remove it.
    if name.as_encoded_bytes().starts_with(ASIDE.as_bytes()) {
        return Some(folder);
    }
    let to = basedir.join(format!("{ASIDE}{:016x}", RandomState::new().hash_one(())));
    match fs::rename(&folder, &to) {
        Ok(()) => {
            tracing::info!(folder = %folder.display(), "removing a folder that no builder has");
            Some(to)
        }
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "cannot remove a folder that no builder has");
            None
        }
    }
}

/// Removes what was moved aside, once those before it are gone. Dropped, or with `unwanted`, it ends at the next entry; the
/// rest goes another time.
pub(super) fn remove(
    aside: Vec<PathBuf>,
    before: Option<AbortOnDropHandle<()>>,
    unwanted: CancellationToken,
) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let unwanted_with_us = unwanted.child_token();
        let _guard = unwanted_with_us.clone().drop_guard();
        if let Some(before) = before {
            drop(before.await);
        }
        let removed = spawn_blocking(move || {
            for folder in aside {
                if let Some(failures) = sweep(&folder, &AtomicU64::new(0), &unwanted_with_us) {
                    tracing::warn!(failures = failures.trim_end(), "a leftover folder stays in part");
                }
            }
        });
        if removed.await.is_err() {
            tracing::error!("the removal of leftover folders failed");
        }
    }))
}

/// How long the end of a link waits for a removal to hear that it is unwanted.
pub(super) const STOP_LIMIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn only_folders_that_nobody_uses_are_moved_aside() {
        let dir = tempfile::tempdir().unwrap();
        let (basedir, elsewhere) = (dir.path().join("w"), dir.path().join("elsewhere"));
        for folder in
            ["w/used", "w/deep/er/used", "w/running/build", "w/info", "w/old/x", "w/store", "elsewhere"]
        {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs::write(basedir.join("twistd.log"), "").unwrap();
        symlink(&elsewhere, basedir.join("link")).unwrap();
        symlink(basedir.join("store"), basedir.join("linked")).unwrap();
        let in_use = ["used", "deep/er/used", "running/build", "linked"].map(|name| basedir.join(name));
        let moved = move_aside(&basedir, &in_use);
        assert_eq!(moved.len(), 1);
        assert!(moved[0].join("x").is_dir());
        let left = names(&basedir);
        let kept: Vec<_> = left.iter().filter(|name| !name.starts_with(ASIDE)).collect();
        assert_eq!(kept, ["deep", "info", "link", "linked", "running", "store", "twistd.log", "used"]);
        // What is left aside by a life that ended too early goes with the next.
        assert_eq!(move_aside(&basedir, &in_use), moved);
        assert_eq!(move_aside(&basedir, std::slice::from_ref(&basedir)), Vec::<PathBuf>::new());
    }
}
