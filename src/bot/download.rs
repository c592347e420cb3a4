//! Fetches a file from the master.
//!
//! # Laws
//! - What is fetched lies beside its place until it is complete; then it takes the place at once. Nothing of it is
//!   left if it does not become complete, and what was there before stays.
//! - A `Close` ends it, whatever happened.
//!
//! Source of the texts, and of the truncated file that a limit leaves: Buildbot's worker.

use std::{
    fs::{self, File, Permissions},
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{
    job::{Early, FILES_LIMIT, Job, block_length, reason},
    outlet::Gone,
    upload::{conclude, truncated},
};
use crate::protocol::{Transfer, command::DownloadFile};

/// Fetches it, to its `Complete`.
pub(super) async fn run(job: &mut Job, arguments: &DownloadFile) -> Result<(), Gone> {
    let path = job.path(&arguments.workdir, &arguments.destination);
    let fetched = match fetch(job, &path, arguments).await {
        Err(Early::Gone) => return Err(Gone),
        fetched => fetched,
    };
    job.outlet.transfer(Transfer::Close).await?;
    conclude(job, fetched).await
}

async fn fetch(job: &mut Job, path: &Path, arguments: &DownloadFile) -> Result<(), Early> {
    job.go_on()?;
    let refused = |error: io::Error| {
        Early::Failed(format!("Cannot open file '{}' for download: {}", path.display(), reason(&error)))
    };
    let (begun, mode) = (path.to_owned(), arguments.mode);
    let mut part = job.work(FILES_LIMIT, move |_| Part::begin(&begun, mode)).await?.map_err(refused)?;
    let mut left = arguments.max_size;
    let ended = loop {
        if let Err(early) = job.go_on() {
            break Err(early);
        }
        let length = block_length(arguments.block_size, left);
        if length == 0 {
            break Ok(Err(truncated(path)));
        }
        let block = match job.read(length).await {
            Ok(block) if block.is_empty() => break Ok(Ok(())),
            Ok(block) => block,
            Err(early) => break Err(early),
        };
        left = left.map(|left| left - block.len() as u64);
        let written;
        (part, written) = job
            .work(FILES_LIMIT, move |_| {
                let written = part.file.write_all(&block);
                (part, written)
            })
            .await?;
        if let Err(error) = written {
            let text = format!("Cannot write file '{}': {}", path.display(), reason(&error));
            break Err(Early::Failed(text));
        }
    };
    // Waited for in any case: nobody finds a file half there after the end of the command.
    let placed =
        tokio::task::spawn_blocking(
            move || if ended.is_ok() { (part.place(), ended) } else { (Ok(()), ended) },
        );
    let (placed, ended) = tokio::time::timeout(FILES_LIMIT, placed)
        .await
        .map_err(|_| {
            Early::Failed(format!(
                "'{}' did not take its place within {} s",
                path.display(),
                FILES_LIMIT.as_secs()
            ))
        })?
        .expect("work on files does not panic");
    placed.map_err(refused)?;
    ended?
}

/// A file that is not complete. Dropped, it is removed.
#[derive(Debug)]
struct Part {
    file: File,
    path: PathBuf,
    target: PathBuf,
    placed: bool,
}

impl Part {
    /// Begins a file that is to be at `path`; folders above it are made.
    fn begin(path: &Path, mode: Option<u32>) -> io::Result<Self> {
        // A link is followed, as a program would that writes to it.
        let target = if path.is_symlink() { path.canonicalize()? } else { path.to_owned() };
        let (Some(folder), Some(_)) = (target.parent(), target.file_name()) else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        let before = match target.metadata() {
            Ok(metadata) if metadata.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            // To put a file in the place of a device would be a disaster.
            Ok(metadata) if !metadata.is_file() => return Err(io::Error::other("it is no regular file")),
            Ok(metadata) => Some(metadata.permissions()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        fs::create_dir_all(folder)?;
        // Not the file's own name with something behind it: that could be too long. By chance, since two commands may
        // fetch the same file, on two machines even.
        let path = folder.join(format!(".lunabot-{:016x}.part", RandomState::new().hash_one(())));
        let file = File::options().write(true).create_new(true).open(&path)?;
        let part = Self { file, path, target, placed: false };
        if let Some(permissions) = mode.map(|mode| Permissions::from_mode(mode & 0o7777)).or(before) {
            part.file.set_permissions(permissions)?;
        }
        Ok(part)
    }

    fn place(mut self) -> io::Result<()> {
        fs::rename(&self.path, &self.target)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.placed
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove a file that was not fetched whole");
        }
    }
}
