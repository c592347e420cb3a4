//! The log files of a command: what is written to them while it runs.
//!
//! # Laws
//! - A file that is as it was when the command started is none of its logs: an earlier one wrote it.
//! - Each look reads as far as the file went when it began: a file that grows faster than it is read holds up nothing.
//! - One that was cut off, or replaced by another, is read from its beginning.

use std::{
    fs::{File, Metadata},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use rustix::fs::OFlags;
use tokio::time::{Instant, sleep_until};

use super::{
    job::FILES_LIMIT,
    outlet::{Gone, Outlet},
    upload::open_regular,
};
use crate::{
    exec::Process,
    protocol::{Update, command::LogFile},
};

/// How often is looked: with what output is gathered here (50 ms) and at the master (as long), a line is read within 200 ms.
/// A look at a file that has not changed costs some 20 µs, so that it need not be rarer while nothing comes. Buildbot's
/// worker looks each 2 s.
const LOOK_EVERY: Duration = Duration::from_millis(75);
/// The most bytes that are told at once.
const BLOCK_BYTES: u64 = 64 * 1024;

/// All log files of one command.
#[derive(Debug)]
pub(super) struct Watch {
    files: Vec<Watched>,
    look_at: Instant,
}

#[derive(Debug)]
struct Watched {
    name: Arc<str>,
    path: PathBuf,
    follow: bool,
    /// What it was before the command started.
    before: Option<Stamp>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    offset: u64,
    /// How far this look goes.
    until: u64,
}

/// By which a change is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            inode: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Watch {
    /// Begins to watch, before the command starts.
    pub(super) async fn begin(outlet: &Outlet, files: &[LogFile], dir: &Path) -> Result<Self, Gone> {
        let files: Vec<_> = files
            .iter()
            .map(|file| Watched {
                name: Arc::clone(&file.name),
                path: dir.join(&file.path),
                follow: file.follow,
                before: None,
                open: None,
            })
            .collect();
        let mut watch = Self { files, look_at: Instant::now() + LOOK_EVERY };
        if !watch.files.is_empty() {
            watch
                .work(outlet, |file| {
                    file.before = file.path.metadata().ok().map(|metadata| Stamp::of(&metadata));
                    None
                })
                .await?;
        }
        Ok(watch)
    }

    /// Waits for the next look.
    ///
    /// # Cancel safety
    /// Loses nothing.
    pub(super) async fn due(&self) {
        if self.files.is_empty() {
            return std::future::pending().await;
        }
        sleep_until(self.look_at).await;
    }

    /// Looks at all, and tells what was added.
    pub(super) async fn look(&mut self, outlet: &Outlet, process: &Process) -> Result<(), Gone> {
        if self.files.is_empty() {
            return Ok(());
        }
        // Two rounds at most for each: what was added to a file that was replaced meanwhile, and the new one.
        for _ in 0..2 {
            let mut blocks = self
                .work(outlet, |file| {
                    file.look();
                    file.next_block()
                })
                .await?;
            if blocks.is_empty() {
                break;
            }
            while !blocks.is_empty() {
                for (name, bytes) in blocks {
                    process.sign_of_life();
                    outlet.update(Update::Log { name, bytes }).await?;
                }
                blocks = self.work(outlet, Watched::next_block).await?;
            }
        }
        self.look_at = Instant::now() + LOOK_EVERY;
        Ok(())
    }

    /// Does something with each file. If they hang, they are watched no longer.
    async fn work(
        &mut self,
        outlet: &Outlet,
        each: fn(&mut Watched) -> Option<Bytes>,
    ) -> Result<Vec<(Arc<str>, Bytes)>, Gone> {
        let mut files = std::mem::take(&mut self.files);
        let done = tokio::time::timeout(
            FILES_LIMIT,
            tokio::task::spawn_blocking(move || {
                let told =
                    files.iter_mut().filter_map(|file| Some((Arc::clone(&file.name), each(file)?))).collect();
                (files, told)
            }),
        )
        .await;
        match done {
            Ok(done) => {
                let told;
                (self.files, told) = done.expect("reading log files does not panic");
                Ok(told)
            }
            Err(_) => {
                let seconds = FILES_LIMIT.as_secs();
                outlet
                    .header(format!("log files did not answer for {seconds} s, they are watched no longer\n"))
                    .await?;
                Ok(Vec::new())
            }
        }
    }
}

impl Watched {
    /// Sees how far it goes now.
    fn look(&mut self) {
        let now = self.path.metadata().ok().map(|metadata| Stamp::of(&metadata));
        if let Some(open) = &mut self.open {
            let Ok(own) = open.file.metadata().map(|metadata| Stamp::of(&metadata)) else { return };
            if own.size < open.offset {
                // It was cut off.
                open.offset = 0;
            }
            open.until = own.size;
            let is_replaced = now.is_some_and(|now| now.inode != own.inode);
            if !is_replaced || open.offset < open.until {
                return;
            }
            // All of the former one was told.
            self.open = None;
            self.before = None;
        }
        match now {
            // What comes now is new, whatever it looks like.
            None => self.before = None,
            Some(now) if self.before == Some(now) => {}
            Some(_) => self.open(),
        }
    }

    /// What cannot be opened may be later.
    fn open(&mut self) {
        let Ok(file) = open_regular(&self.path, OFlags::empty()) else { return };
        let Ok(now) = file.metadata().map(|metadata| Stamp::of(&metadata)) else { return };
        let skipped = self
            .before
            .filter(|before| self.follow && before.inode == now.inode && before.size <= now.size)
            .map_or(0, |before| before.size);
        self.open = Some(Open { file, offset: skipped, until: now.size });
    }

    fn next_block(&mut self) -> Option<Bytes> {
        let open = self.open.as_mut().filter(|open| open.offset < open.until)?;
        let length = usize::try_from((open.until - open.offset).min(BLOCK_BYTES)).expect("a block is short");
        let mut block = vec![0; length];
        // An error is as an end: the next look sees what it is.
        let read = open.file.read_at(&mut block, open.offset).unwrap_or(0);
        if read == 0 {
            open.until = open.offset;
            return None;
        }
        block.truncate(read);
        open.offset += read as u64;
        Some(block.into())
    }
}
