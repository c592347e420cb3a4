//! `steps.FileDownload`, `steps.StringDownload`, `steps.JSONStringDownload`: a file for the worker.
//!
//! # Laws
//! - The worker gets bytes of the one file that the step names, and of no other.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;

use super::{
    StepContext, StepEnd, StepError, WorkerPaths,
    command::follow,
    logs::Logs,
    peer::Peer,
    place::on_master,
    transfer::{FILES_LIMIT, TransferError, block_size, blocking},
};
use crate::{
    definition::step::{Content, Download},
    model::Outcome,
    protocol::{
        Transfer, TransferReply, WorkerCommand,
        command::{DownloadFile, MAX_BLOCK_BYTES},
    },
};

/// Sends the file.
pub(super) async fn run(
    download: &Download,
    context: &mut StepContext<'_>,
    logs: &mut Logs,
) -> Result<StepEnd, StepError> {
    let known = context.known();
    let destination = download.worker_dest.render(known).await?;
    let workdir = download.workdir.render(known).await?;
    let mut source = match &download.content {
        Content::Text(text) => Source::Memory(text.render(known).await?.into()),
        Content::Json(value) => Source::Memory(value.value(known).await?.to_string().into()),
        Content::File(text) => {
            Source::open(on_master(context.master_dir, &text.render(known).await?)?).await?
        }
    };
    let name = WorkerPaths::of(context.info).file_name(&context.secrets.mask(&destination)).to_owned();
    let command = DownloadFile {
        workdir,
        destination,
        max_size: download.limits.max_size,
        block_size: block_size(download.limits.block_size),
        mode: download.mode,
    };
    let command = WorkerCommand::DownloadFile(Box::new(command));
    let seen = follow(context, logs, command, Duration::ZERO, &mut source).await?;
    if let Some(last) = seen.last_words() {
        logs.note(last).await?;
    }
    let what = format!("downloading to {name}");
    Ok(match seen.exit_code(&what) {
        Ok(0) => StepEnd::new(Outcome::Success, what),
        Ok(_) => StepEnd::new(Outcome::Failure, format!("{what} (failure)")),
        Err(end) => end,
    })
}

/// Where the bytes come from.
enum Source {
    File {
        path: PathBuf,
        /// Absent while it is read, and after the end.
        file: Option<File>,
    },
    Memory(Bytes),
}

impl Source {
    async fn open(path: PathBuf) -> Result<Self, TransferError> {
        blocking(FILES_LIMIT, move || {
            // Asked first: to open a pipe would wait for its other end.
            let is_file = path.metadata().map(|found| found.is_file());
            match is_file {
                Ok(true) => {}
                Ok(false) => return Err(TransferError::NoFile { path }),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Err(TransferError::NoFile { path });
                }
                Err(error) => return Err(TransferError::file("read", &path, error)),
            }
            match File::open(&path) {
                Ok(file) => Ok(Self::File { path, file: Some(file) }),
                Err(error) => Err(TransferError::file("read", &path, error)),
            }
        })
        .await
    }

    async fn next(&mut self, most: u32) -> Result<Bytes, TransferError> {
        let most = most.min(MAX_BLOCK_BYTES);
        match self {
            Self::Memory(bytes) => {
                let most = usize::try_from(most).map_or(bytes.len(), |most| most.min(bytes.len()));
                Ok(bytes.split_to(most))
            }
            Self::File { path, file } => {
                let Some(mut open) = file.take() else { return Ok(Bytes::new()) };
                let at = path.clone();
                let (back, bytes) = blocking(FILES_LIMIT, move || {
                    let bytes = read(&mut open, most, &at)?;
                    Ok((open, bytes))
                })
                .await?;
                // After its end a file that grows is not followed.
                *file = (!bytes.is_empty()).then_some(back);
                Ok(bytes)
            }
        }
    }
}

fn read(file: &mut File, most: u32, path: &Path) -> Result<Bytes, TransferError> {
    let mut block = Vec::new();
    match file.take(most.into()).read_to_end(&mut block) {
        Ok(_) => Ok(block.into()),
        Err(error) => Err(TransferError::file("read", path, error)),
    }
}

impl Peer for Source {
    async fn transfer(&mut self, transfer: Transfer) -> Result<Option<TransferReply>, TransferError> {
        Ok(match transfer {
            Transfer::Read { most } => Some(TransferReply::Data(self.next(most).await?)),
            // Nothing of the sort is asked for; what waits must have its answer all the same.
            Transfer::Write(_) => Some(TransferReply::Taken),
            Transfer::Close | Transfer::Unpack | Transfer::Times { .. } => None,
        })
    }
}
