//! `steps.FileUpload`, `steps.DirectoryUpload`, `steps.MultipleFileUpload`: files and folders from the worker.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time;
use tracing::{debug, warn};

use super::{
    StepContext, StepEnd, StepError, WorkerPaths, all_of,
    command::follow,
    landing::Landing,
    logs::Logs,
    peer::Peer,
    place::{file_name, on_master},
    seen::{Seen, interrupted},
    transfer::{FILES_LIMIT, block_size},
};
use crate::{
    definition::step::{Compression, Limits, UploadDirectory, UploadFile, UploadMany, UploadTarget},
    model::Outcome,
    protocol::{
        Update, WorkerCommand,
        command::{self, StatPath},
    },
};

/// Brings a file.
pub(super) async fn file(
    upload: &UploadFile,
    context: &mut StepContext<'_>,
    logs: &mut Logs,
) -> Result<StepEnd, StepError> {
    let known = context.known();
    let (source, workdir) = (upload.source.render(known).await?, upload.workdir.render(known).await?);
    let target = on_master(context.master_dir, &upload.target.master_dest.render(known).await?)?;
    show_address(&upload.target, &target, context).await?;
    let how = FileUpload { limits: &upload.limits, mode: upload.mode, keep_stamp: upload.keep_stamp };
    how.bring(workdir, source, target, context, logs).await
}

/// Brings a folder.
pub(super) async fn directory(
    upload: &UploadDirectory,
    context: &mut StepContext<'_>,
    logs: &mut Logs,
) -> Result<StepEnd, StepError> {
    let known = context.known();
    let (source, workdir) = (upload.source.render(known).await?, upload.workdir.render(known).await?);
    let target = on_master(context.master_dir, &upload.target.master_dest.render(known).await?)?;
    show_address(&upload.target, &target, context).await?;
    let how = FolderUpload { limits: &upload.limits, compress: upload.compress };
    how.bring(workdir, source, target, context, logs).await
}

/// Brings files and folders, one after the other, until one fails.
pub(super) async fn many(
    upload: &UploadMany,
    context: &mut StepContext<'_>,
    logs: &mut Logs,
) -> Result<StepEnd, StepError> {
    let known = context.known();
    let workdir = upload.workdir.render(known).await?;
    let folder = on_master(context.master_dir, &upload.target.master_dest.render(known).await?)?;
    let sources = all_of(&upload.sources, known).await?;
    let sources = if upload.glob {
        match find(&workdir, sources, context, logs).await? {
            Ok(found) => found,
            Err(end) => return Ok(end),
        }
    } else {
        sources
    };
    show_address(&upload.target, &folder, context).await?;
    let state = match sources.len() {
        0 => return Ok(StepEnd::new(Outcome::Skipped, "nothing to upload")),
        1 => "uploading 1 file".to_owned(),
        count => format!("uploading {count} files"),
    };
    let paths = WorkerPaths::of(context.info);
    for source in sources {
        let name = paths.file_name(&source).to_owned();
        // What a worker names must not lead out of the folder.
        if matches!(name.as_str(), "" | "." | "..") || name.contains('/') {
            return Ok(StepEnd::new(Outcome::Failure, format!("{source:?} has no name of its own")));
        }
        let mut found = Found::default();
        let stat = StatPath { workdir: workdir.clone(), path: source.clone() };
        let seen = ask(WorkerCommand::Stat(Box::new(stat)), &mut found, context, logs).await?;
        let target = folder.join(name);
        let end = match (seen.exit_code(&format!("looking at {source}")), found.kind) {
            (Err(end), _) => end,
            (Ok(0), Some(FOLDER)) => {
                let how = FolderUpload { limits: &upload.limits, compress: upload.compress };
                how.bring(workdir.clone(), source, target, context, logs).await?
            }
            (Ok(0), Some(FILE)) => {
                let how =
                    FileUpload { limits: &upload.limits, mode: upload.mode, keep_stamp: upload.keep_stamp };
                how.bring(workdir.clone(), source, target, context, logs).await?
            }
            (Ok(0), _) => StepEnd::new(Outcome::Failure, format!("{source} is neither a file nor a folder")),
            (Ok(_), _) => StepEnd::new(Outcome::Failure, format!("{source} is not there")),
        };
        if end.outcome != Outcome::Success {
            logs.note(&end.state).await?;
            return Ok(end);
        }
    }
    Ok(StepEnd::new(Outcome::Success, state))
}

/// What the mode of a path says of its kind. Source: `stat(2)`, which Windows follows here.
const KIND: u32 = 0o170_000;
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;

/// The most paths that patterns may give: more is a pattern gone wrong.
const MOST_FOUND: usize = 100_000;

/// The paths that match patterns, in order, each once.
async fn find(
    workdir: &str,
    patterns: Vec<String>,
    context: &mut StepContext<'_>,
    logs: &mut Logs,
) -> Result<Result<Vec<String>, StepEnd>, StepError> {
    let paths = WorkerPaths::of(context.info);
    let mut all = Vec::new();
    for pattern in patterns {
        let what = format!("looking for {pattern}");
        let mut found = Found::default();
        let glob = WorkerCommand::Glob { pattern: paths.join(workdir, &pattern) };
        match ask(glob, &mut found, context, logs).await?.exit_code(&what) {
            Ok(0) => all.append(&mut found.paths),
            Ok(_) => return Ok(Err(StepEnd::new(Outcome::Failure, format!("{what} (failure)")))),
            Err(end) => return Ok(Err(end)),
        }
        if all.len() > MOST_FOUND {
            let text = format!("{what}: more than {MOST_FOUND} paths match");
            return Ok(Err(StepEnd::new(Outcome::Failure, text)));
        }
    }
    all.sort();
    all.dedup();
    Ok(Ok(all))
}

/// Runs a command that tells facts.
async fn ask(
    command: WorkerCommand,
    found: &mut Found,
    context: &mut StepContext<'_>,
    logs: &mut Logs,
) -> Result<Seen, StepError> {
    let seen = follow(context, logs, command, Duration::ZERO, found).await?;
    if let Some(last) = seen.last_words() {
        logs.note(last).await?;
    }
    Ok(seen)
}

/// What the worker said of a path, or the paths that it found.
#[derive(Default)]
struct Found {
    kind: Option<u32>,
    paths: Vec<String>,
}

impl Peer for Found {
    fn fact(&mut self, update: Update) {
        match update {
            Update::Stat(stat) => self.kind = Some(stat.mode & KIND),
            // Beyond the bound they are only counted.
            Update::Files(mut files) if self.paths.len() <= MOST_FOUND => self.paths.append(&mut files),
            _ => {}
        }
    }
}

/// How a file is brought.
struct FileUpload<'u> {
    limits: &'u Limits,
    mode: Option<u32>,
    keep_stamp: bool,
}

impl FileUpload<'_> {
    async fn bring(
        &self,
        workdir: String,
        source: String,
        target: PathBuf,
        context: &mut StepContext<'_>,
        logs: &mut Logs,
    ) -> Result<StepEnd, StepError> {
        let what = uploading(&source, context);
        let mut landing = Landing::open(target, self.limits.max_size).await?;
        let command = command::UploadFile {
            workdir,
            source,
            max_size: self.limits.max_size,
            block_size: block_size(self.limits.block_size),
            keep_stamp: self.keep_stamp,
        };
        let command = WorkerCommand::UploadFile(Box::new(command));
        let seen = follow(context, logs, command, Duration::ZERO, &mut landing).await?;
        if let Some(end) = ended(&seen, &what, logs).await? {
            landing.discard().await;
            return Ok(end);
        }
        landing.settle(self.mode).await?;
        Ok(StepEnd::new(Outcome::Success, what))
    }
}

/// How a folder is brought.
struct FolderUpload<'u> {
    limits: &'u Limits,
    compress: Option<Compression>,
}

impl FolderUpload<'_> {
    async fn bring(
        &self,
        workdir: String,
        source: String,
        target: PathBuf,
        context: &mut StepContext<'_>,
        logs: &mut Logs,
    ) -> Result<StepEnd, StepError> {
        let what = uploading(&source, context);
        let mut landing = Landing::open(target, self.limits.max_size).await?;
        let command = command::UploadDirectory {
            workdir,
            source,
            max_size: self.limits.max_size,
            block_size: block_size(self.limits.block_size),
            compress: self.compress.map(|compress| match compress {
                Compression::Gzip => command::Compression::Gzip,
                Compression::Bzip2 => command::Compression::Bzip2,
            }),
        };
        let command = WorkerCommand::UploadDirectory(Box::new(command));
        let seen = follow(context, logs, command, Duration::ZERO, &mut landing).await?;
        if let Some(end) = ended(&seen, &what, logs).await? {
            landing.discard().await;
            return Ok(end);
        }
        let cancelled = Arc::new(AtomicBool::new(false));
        let unpacking = landing.unpack(self.compress, Arc::clone(&cancelled));
        tokio::pin!(unpacking);
        tokio::select! {
            // Kept, not dropped: a stop waits for its end below.
            done = &mut unpacking => done?,
            // Cancel-safe: a stop that was not returned is still to come.
            stopped = context.stop.stopped() => {
                cancelled.store(true, Ordering::Relaxed);
                // Looked at for each block and each entry, so this does not last; what it came to does not matter.
                match time::timeout(FILES_LIMIT, unpacking).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => debug!(error = error.chain(), "the unpacking of a folder was stopped"),
                    Err(_) => warn!("the unpacking of a folder does not stop; the disk does not answer"),
                }
                return Ok(interrupted(&what, &stopped));
            }
        }
        Ok(StepEnd::new(Outcome::Success, what))
    }
}

fn uploading(source: &str, context: &StepContext<'_>) -> String {
    // Before it is cut: half a secret would not be found.
    format!("uploading {}", WorkerPaths::of(context.info).file_name(&context.secrets.mask(source)))
}

/// The end of the step, if not all has come.
async fn ended(seen: &Seen, what: &str, logs: &mut Logs) -> Result<Option<StepEnd>, StepError> {
    if let Some(last) = seen.last_words() {
        logs.note(last).await?;
    }
    Ok(match seen.exit_code(what) {
        Ok(0) => None,
        Ok(_) => Some(StepEnd::new(Outcome::Failure, format!("{what} (failure)"))),
        Err(end) => Some(end),
    })
}

/// Shows the address of what is uploaded, if there is one.
async fn show_address(
    target: &UploadTarget,
    path: &Path,
    context: &StepContext<'_>,
) -> Result<(), StepError> {
    let Some(url) = &target.url else { return Ok(()) };
    let url = url.render(context.known()).await?;
    let text = match &target.url_text {
        Some(text) => text.render(context.known()).await?,
        None => file_name(Path::new(&*context.secrets.mask(&path.to_string_lossy()))),
    };
    let (text, url) = (context.secrets.mask(&text), context.secrets.mask(&url));
    context.store.add_step_url(context.step, &text, &url).await?;
    Ok(())
}
