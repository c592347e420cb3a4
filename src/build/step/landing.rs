//! A file that arrives on the master: beside its place until all of it is there.
//!
//! # Laws
//! - Nobody but the master's user can read what is on its way.
//! - The place changes in one step, once all bytes are on disk; before that, and after any failure, it is as it was.
//! - What is on its way is removed when it is no longer wanted.
//! - A worker that did not say that all has come has not sent all, whatever its exit code.

use std::{
    fs::{self, DirBuilder, File, FileTimes, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, SystemTime},
};

use bytes::Bytes;

use super::{
    command::next_command_id,
    peer::Peer,
    transfer::{FILES_LIMIT, TransferError, blocking},
    unpack::{self, Budget},
};
use crate::{
    definition::step::Compression,
    protocol::{Transfer, TransferReply},
};

/// How long a file may take to be on disk, all of it.
const SETTLED_WITHIN: Duration = Duration::from_secs(600);
/// How long a folder may take to be unpacked: a million files on a slow disk.
const UNPACKED_WITHIN: Duration = Duration::from_secs(6 * 3600);

/// A file on its way to `target`, or a stream that becomes a folder there.
pub(super) struct Landing {
    target: PathBuf,
    temporary: Temporary,
    /// Absent while a block is written.
    file: Option<File>,
    written: u64,
    most: Option<u64>,
    /// Whether the worker has said that this is all.
    is_whole: bool,
    /// When it was read and changed last, if the worker said so.
    times: Option<(f64, f64)>,
}

/// Removed when dropped: a file, or a folder with all in it.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let removed = match self.0.symlink_metadata() {
            Ok(found) if found.is_dir() => fs::remove_dir_all(&self.0),
            Ok(_) => fs::remove_file(&self.0),
            // It has its place.
            Err(_) => Ok(()),
        };
        if let Err(error) = removed {
            tracing::warn!(path = %self.0.display(), %error, "cannot remove what is left of a transfer");
        }
    }
}

impl Landing {
    /// Opens a file beside `target`; the folders above are made. `most` bytes may come.
    pub(super) async fn open(target: PathBuf, most: Option<u64>) -> Result<Self, TransferError> {
        blocking(FILES_LIMIT, move || {
            let folder = target.parent().unwrap_or(Path::new("/"));
            fs::create_dir_all(folder).map_err(|error| TransferError::file("make", folder, error))?;
            let path = folder.join(format!(".lunabot-upload-{}", next_command_id()));
            let open = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
            let file = open.map_err(|error| TransferError::file("write", &path, error))?;
            let temporary = Temporary(path);
            Ok(Self { target, temporary, file: Some(file), written: 0, most, is_whole: false, times: None })
        })
        .await
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), TransferError> {
        let length = u64::try_from(bytes.len()).expect("memory is smaller than 2^64 bytes");
        if let Some(most) = self.most.filter(|most| self.written + length > *most) {
            return Err(TransferError::too_large(self.target.clone(), most));
        }
        self.written += length;
        self.is_whole = false;
        let mut file = self.file.take().expect("blocks are written one after the other");
        let target = self.target.clone();
        let file = blocking(FILES_LIMIT, move || match file.write_all(&bytes) {
            Ok(()) => Ok(file),
            Err(error) => Err(TransferError::file("write", &target, error)),
        })
        .await?;
        self.file = Some(file);
        Ok(())
    }

    /// Gives the file its place, with these permissions; for its owner alone if absent.
    pub(super) async fn settle(self, mode: Option<u32>) -> Result<(), TransferError> {
        blocking(SETTLED_WITHIN, move || {
            self.check_whole()?;
            let done = self.place(mode);
            done.map_err(|error| TransferError::file("write", &self.target, error))
        })
        .await
    }

    fn place(&self, mode: Option<u32>) -> io::Result<()> {
        let file = self.file.as_ref().expect("a file is settled once all its blocks are written");
        if let Some(mode) = mode {
            file.set_permissions(Permissions::from_mode(mode))?;
        }
        if let Some((accessed, modified)) = self.times {
            file.set_times(FileTimes::new().set_accessed(instant(accessed)).set_modified(instant(modified)))?;
        }
        file.sync_all()?;
        fs::rename(&self.temporary.0, &self.target)?;
        self.target.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }

    fn check_whole(&self) -> Result<(), TransferError> {
        if self.is_whole { Ok(()) } else { Err(TransferError::Unfinished { path: self.target.clone() }) }
    }

    /// Removes what has come, where that blocks nobody: a large file takes its time.
    pub(super) async fn discard(self) {
        let removed = blocking(FILES_LIMIT, move || {
            drop(self);
            Ok(())
        });
        if let Err(error) = removed.await {
            tracing::warn!(error = error.chain(), "cannot remove what is left of a transfer");
        }
    }

    /// Unpacks the stream beside the target, and moves all of it there. Ends early once `cancelled` is set.
    pub(super) async fn unpack(
        self,
        compression: Option<Compression>,
        cancelled: Arc<AtomicBool>,
    ) -> Result<(), TransferError> {
        blocking(UNPACKED_WITHIN, move || {
            self.check_whole()?;
            let Self { target, temporary, file, written, .. } = self;
            let stream = file.expect("a stream is unpacked once all its blocks are written");
            let staging = Temporary(temporary.0.with_extension("d"));
            DirBuilder::new()
                .mode(0o700)
                .create(&staging.0)
                .map_err(|error| TransferError::file("make", &staging.0, error))?;
            let budget = Budget::of_stream(written);
            unpack::unpack(stream, compression, &staging.0, budget, &cancelled)
                .and_then(|()| unpack::merge(&staging.0, &target))
                .map_err(|source| TransferError::Unpack { path: target, source })
        })
        .await
    }
}

/// An instant of the worker's; what no clock can hold becomes the beginning of time.
fn instant(seconds: f64) -> SystemTime {
    let since = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}

impl Peer for Landing {
    async fn transfer(&mut self, transfer: Transfer) -> Result<Option<TransferReply>, TransferError> {
        match transfer {
            Transfer::Write(bytes) => {
                self.write(bytes).await?;
                return Ok(Some(TransferReply::Taken));
            }
            Transfer::Times { accessed_at, modified_at } => self.times = Some((accessed_at, modified_at)),
            // Nothing of the sort is asked for; what waits must have its answer all the same.
            Transfer::Read { .. } => return Ok(Some(TransferReply::Data(Bytes::new()))),
            // They come after a failure as well: the end of the command tells whether all is there.
            Transfer::Close | Transfer::Unpack => self.is_whole = true,
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Outcome;

    #[tokio::test]
    async fn a_full_disk_is_a_fault_of_the_master_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut landing = Landing::open(dir.path().join("a.tar"), None).await.unwrap();
        // Each write to this device finds no room.
        landing.file = Some(OpenOptions::new().write(true).open("/dev/full").unwrap());
        let block = Transfer::Write(Bytes::from_static(b"block"));
        let error = landing.transfer(block).await.expect_err("there is no room");
        assert_eq!(error.outcome(), Outcome::Exception);
        assert!(error.chain().contains("a.tar`: No space left"), "{}", error.chain());
        drop(landing);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
    #[tokio::test]
    async fn a_disk_that_does_not_answer_is_not_waited_for_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut landing = Landing::open(dir.path().join("a.tar"), None).await.unwrap();
        // A pipe that nobody reads takes some KiB, and then waits.
        let (reader, writer) = io::pipe().unwrap();
        landing.file = Some(std::os::fd::OwnedFd::from(writer).into());
        tokio::time::pause();
        let block = Transfer::Write(vec![0; 1 << 20].into());
        let clock = async {
            tokio::task::yield_now().await;
            tokio::time::advance(FILES_LIMIT * 2).await;
            tokio::task::yield_now().await;
            // Lets the thread go that writes, whether it was waited for or not.
            drop(reader);
        };
        let (written, ()) = tokio::join!(landing.transfer(block), clock);
        tokio::time::resume();
        let error = written.expect_err("the disk does not answer");
        assert_eq!(error.outcome(), Outcome::Exception);
        assert_eq!(error.chain(), "the master's files did not answer within 60 s");
        landing.discard().await;
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
