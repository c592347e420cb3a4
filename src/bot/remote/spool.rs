//! Where a worker keeps what its master has not taken, when memory is not the place for it: files without a name in its
//! folder.
//!
//! # Laws
//! - What is no longer wanted takes no room: a file goes with the last of what it holds, and all of them with the process.
//! - Nothing is read or written on the runtime's own threads.
//!
//! # Not here
//! What is kept, and how much at most (`protocol::msgpack`).

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::PathBuf,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use tokio::{task::spawn_blocking, time::timeout};
use tracing::warn;

use crate::{net::random, protocol::bot::Away};

/// How much goes into one file.
const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;
/// How long a disk may take for one piece.
const DISK_LIMIT: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    /// The newest file, for as long as it holds something, and where it ends.
    segment: Option<(Weak<File>, u64)>,
    /// Whether the disk has failed: what is kept then stays in memory, within its bounds.
    is_broken: bool,
}

/// A piece of a file.
#[derive(Debug)]
struct Piece {
    file: Arc<File>,
    offset: u64,
    length: usize,
}

impl Spool {
    /// An empty one, below a folder that exists.
    pub(super) const fn new(folder: PathBuf) -> Self {
        Self { folder, segment: None, is_broken: false }
    }

    /// Whether more can be put away.
    pub(super) const fn takes_more(&self) -> bool {
        !self.is_broken
    }

    /// Puts something away; nothing if the disk fails, which is told once.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it was put away for nobody.
    pub(super) async fn put(&mut self, bytes: Bytes) -> Option<Box<dyn Away>> {
        match self.try_put(bytes).await {
            Ok(away) => Some(away),
            Err(error) => {
                let folder = self.folder.display();
                warn!(%error, %folder, "cannot keep on disk what the master has not taken; memory has to do");
                self.is_broken = true;
                None
            }
        }
    }

    async fn try_put(&mut self, bytes: Bytes) -> io::Result<Box<dyn Away>> {
        let length = u64::try_from(bytes.len()).map_err(io::Error::other)?;
        let folder = self.folder.clone();
        let begun = self.segment.take().filter(|(_, end)| *end < SEGMENT_BYTES);
        let begun = begun.and_then(|(file, end)| Some((file.upgrade()?, end)));
        let put = spawn_blocking(move || {
            let (file, offset) = match begun {
                Some(begun) => begun,
                None => (Arc::new(nameless(&folder)?), 0),
            };
            file.write_all_at(&bytes, offset)?;
            Ok((file, offset, bytes.len()))
        });
        let (file, offset, held) = within(put).await?;
        self.segment = Some((Arc::downgrade(&file), offset + length));
        Ok(Box::new(Piece { file, offset, length: held }))
    }

    /// Reads something back.
    pub(super) async fn get(away: Box<dyn Away>) -> io::Result<Bytes> {
        within(spawn_blocking(move || away.read())).await
    }
}

async fn within<T>(
    work: impl Future<Output = Result<io::Result<T>, tokio::task::JoinError>>,
) -> io::Result<T> {
    match timeout(DISK_LIMIT, work).await {
        Ok(done) => done.map_err(io::Error::other)?,
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
    }
}

/// A file that nobody else can open.
fn nameless(folder: &std::path::Path) -> io::Result<File> {
    let path = folder.join(format!(".spool-{:016x}", u64::from_ne_bytes(random())));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(path)?;
    Ok(file)
}

impl Away for Piece {
    fn read(&self) -> io::Result<Bytes> {
        let mut bytes = vec![0; self.length];
        self.file.read_exact_at(&mut bytes, self.offset)?;
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_put_away_comes_back_and_leaves_no_file_behind() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(dir.path().to_owned());
        let mut kept = Vec::new();
        for number in 0..30_u8 {
            let bytes = Bytes::from(vec![number; 1024 * 1024]);
            kept.push((spool.put(bytes.clone()).await.unwrap(), bytes));
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        for (away, bytes) in kept.into_iter().rev() {
            assert!(Spool::get(away).await.unwrap() == bytes);
        }
        let (newest, _) = spool.segment.as_ref().unwrap();
        assert!(newest.upgrade().is_none(), "nothing is in it, and it takes room");
        assert!(spool.put(Bytes::from_static(b"x")).await.is_some());
    }

    #[tokio::test]
    async fn a_disk_that_fails_is_asked_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(dir.path().join("gone"));
        assert!(spool.put(Bytes::from_static(b"x")).await.is_none());
        assert!(!spool.takes_more());
    }
}
