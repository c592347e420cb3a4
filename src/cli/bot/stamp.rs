//! `shutdown.stamp`: touched, it says that the worker is to stop once its builds are done.
//!
//! # Source
//! Buildbot's worker, with `--allow-shutdown file`: one that was there at the start counts when it is touched again.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use tokio::{fs, time};

/// How often it is looked at. Source: Buildbot.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The file.
#[derive(Debug)]
pub(super) struct Stamp {
    path: PathBuf,
    seen: Option<SystemTime>,
}

impl Stamp {
    /// The file as it is now.
    pub(super) async fn look(path: PathBuf) -> Self {
        let seen = touched_at(&path).await;
        Self { path, seen }
    }

    /// Waits until it is touched.
    ///
    /// # Cancel safety
    /// Loses nothing.
    pub(super) async fn touched(&self) {
        loop {
            time::sleep(LOOK_EVERY).await;
            // One that goes back in time was touched, too; one that is gone says nothing.
            match touched_at(&self.path).await {
                Some(now) if Some(now) != self.seen => return,
                _ => {}
            }
        }
    }
}

async fn touched_at(path: &PathBuf) -> Option<SystemTime> {
    fs::metadata(path).await.ok()?.modified().ok()
}

#[cfg(test)]
mod tests {
    use std::fs::{File, remove_file};

    use super::*;

    #[tokio::test]
    async fn a_touch_is_seen_and_a_file_that_was_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shutdown.stamp");
        let touch = |at: u64| {
            let file = File::options().create(true).append(true).open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(at)).unwrap();
        };
        let is_seen = async |stamp: &Stamp| time::timeout(LOOK_EVERY * 5, stamp.touched()).await.is_ok();
        time::pause();
        let absent = Stamp::look(path.clone()).await;
        assert!(!is_seen(&absent).await);
        touch(1000);
        assert!(is_seen(&absent).await);
        let there = Stamp::look(path.clone()).await;
        assert!(!is_seen(&there).await);
        remove_file(&path).unwrap();
        assert!(!is_seen(&there).await);
        touch(2000);
        assert!(is_seen(&there).await);
    }
}
