//! Sends a file or a folder to the master.
//!
//! # Laws
//! - One block is held at a time, whatever the size.
//! - A `Close` follows the blocks of a file, whatever happened. A folder's stream is followed by `Unpack` if it is
//!   complete, or cut by a limit or an interrupt; one that could not be read is followed by nothing.
//!
//! Source of the texts, and of the failure of a file that is exactly as long as its limit: Buildbot's worker.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use rustix::fs::OFlags;

use super::{
    archive::{Archive, ArchiveError},
    job::{Early, FILES_LIMIT, Job, block_length, reason},
    outlet::Gone,
};
use crate::protocol::{
    Transfer,
    command::{UploadDirectory, UploadFile},
};

/// Sends a file to its `Complete`.
pub(super) async fn file(job: &mut Job, arguments: &UploadFile) -> Result<(), Gone> {
    let path = job.path(&arguments.workdir, &arguments.source);
    job.outlet.header(format!("sending {}\n", path.display())).await?;
    let mut times = None;
    let sent = match send_file(job, &path, arguments, &mut times).await {
        Err(Early::Gone) => return Err(Gone),
        sent => sent,
    };
    job.outlet.transfer(Transfer::Close).await?;
    if let Some(times) = times.filter(|_| arguments.keep_stamp) {
        job.outlet.transfer(times).await?;
    }
    conclude(job, sent).await
}

async fn send_file(
    job: &mut Job,
    path: &Path,
    arguments: &UploadFile,
    times: &mut Option<Transfer>,
) -> Result<(), Early> {
    job.go_on()?;
    let refused =
        |cause: String| Early::Failed(format!("Cannot open file '{}' for upload: {cause}", path.display()));
    let opened = path.to_owned();
    let (mut file, read) =
        job.work(FILES_LIMIT, move |_| open(&opened)).await?.map_err(|error| refused(reason(&error)))?;
    *times = Some(read);
    let mut left = arguments.max_size;
    loop {
        job.go_on()?;
        let length = block_length(arguments.block_size, left);
        if length == 0 {
            return Err(truncated(path));
        }
        let block;
        (file, block) = job
            .work(FILES_LIMIT, move |_| {
                let block = read_block(&file, length);
                (file, block)
            })
            .await?;
        let block = block.map_err(|error| {
            Early::Failed(format!("Cannot read file '{}' for upload: {}", path.display(), reason(&error)))
        })?;
        if block.is_empty() {
            return Ok(());
        }
        left = left.map(|left| left - block.len() as u64);
        job.write(block).await?;
    }
}

/// Sends a folder to its `Complete`.
pub(super) async fn folder(job: &mut Job, arguments: &UploadDirectory) -> Result<(), Gone> {
    let path = job.path(&arguments.workdir, &arguments.source);
    match send_folder(job, path, arguments).await {
        Err(Early::Gone) => Err(Gone),
        Err(Early::Failed(text)) => conclude(job, Err(Early::Failed(text))).await,
        sent => {
            job.outlet.transfer(Transfer::Unpack).await?;
            match sent {
                Ok(Sent::Whole { left_out }) => {
                    if left_out > 0 {
                        let text = format!("left out {left_out} that are no files, folders or links\n");
                        job.outlet.header(text).await?;
                    }
                    conclude(job, Ok(())).await
                }
                Ok(Sent::Cut(truncated)) => conclude(job, Err(truncated)).await,
                Err(early) => conclude(job, Err(early)).await,
            }
        }
    }
}

/// What became of a folder's stream.
enum Sent {
    Whole { left_out: u64 },
    Cut(Early),
}

async fn send_folder(job: &mut Job, path: PathBuf, arguments: &UploadDirectory) -> Result<Sent, Early> {
    let refused = |error: &ArchiveError| {
        Early::Failed(format!("Cannot read directory '{}' for upload: {error}", path.display()))
    };
    job.go_on()?;
    let (root, compress) = (path.clone(), arguments.compress);
    let opened = job.work(FILES_LIMIT, move |_| Archive::open(&root, compress)).await?;
    let mut archive = opened.map_err(|error| refused(&error))?;
    // Source of the order: Buildbot's worker does not say so of a folder that is not there.
    job.outlet.header(format!("sending {}\n", path.display())).await?;
    let mut left = arguments.max_size;
    loop {
        job.go_on()?;
        let length = block_length(arguments.block_size, left);
        if length == 0 {
            return Ok(Sent::Cut(truncated(&path)));
        }
        let block;
        (archive, block) = job
            .work(FILES_LIMIT, move |unwanted| {
                let block = archive.next_block(length as usize, unwanted);
                (archive, block)
            })
            .await?;
        let block = block.map_err(|error| refused(&error))?;
        if block.is_empty() {
            return Ok(Sent::Whole { left_out: archive.left_out() });
        }
        left = left.map(|left| left - block.len() as u64);
        job.write(block.into()).await?;
    }
}

/// Tells what became of a transfer, and its end.
pub(super) async fn conclude(job: &Job, moved: Result<(), Early>) -> Result<(), Gone> {
    match moved {
        Ok(()) => return job.finish(0).await,
        Err(Early::Gone) => return Err(Gone),
        Err(Early::Interrupted) => job.tell_interrupt().await?,
        Err(Early::Failed(text)) => job.complain(text).await?,
    }
    job.finish(1).await
}

/// The failure of a file that is too long.
pub(super) fn truncated(path: &Path) -> Early {
    Early::Failed(format!("Maximum filesize reached, truncating file '{}'", path.display()))
}

/// A file that can be read, and its times.
fn open(path: &Path) -> io::Result<(File, Transfer)> {
    let file = open_regular(path, OFlags::empty())?;
    let metadata = file.metadata()?;
    let times = Transfer::Times {
        accessed_at: seconds(metadata.atime(), metadata.atime_nsec()),
        modified_at: seconds(metadata.mtime(), metadata.mtime_nsec()),
    };
    Ok((file, times))
}

/// Opens a file; a pipe, which could be waited for without end, is none.
pub(super) fn open_regular(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = (flags | OFlags::NONBLOCK).bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    Ok(file)
}

#[expect(clippy::cast_precision_loss, reason = "a part of a microsecond is lost, as in Python")]
fn seconds(seconds: i64, nanoseconds: i64) -> f64 {
    seconds as f64 + nanoseconds as f64 / 1e9
}

fn read_block(file: &File, length: u32) -> io::Result<Bytes> {
    let mut block = Vec::with_capacity(length as usize);
    file.take(length.into()).read_to_end(&mut block)?;
    Ok(block.into())
}
