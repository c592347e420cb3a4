//! `steps.MakeDirectory`, `steps.RemoveDirectory`, `steps.CopyDirectory`: folders on the worker.

use std::{
    path::{Component, Path},
    time::Duration,
};

use super::{StepContext, StepEnd, StepError, all_of, command::follow, logs::Logs, peer::NoPeer};
use crate::{
    definition::{Text, step},
    model::Outcome,
    protocol::{
        Unfit, WorkerCommand,
        command::{CopyDirectory, RemoveDirectory},
    },
};

/// How long the removal of a folder may be silent. Source: the default of Buildbot's worker.
const REMOVED_WITHIN: Duration = Duration::from_secs(120);

/// Makes a folder.
pub(super) async fn make(
    dir: &Text,
    context: &mut StepContext<'_>,
    logs: &mut Logs,
) -> Result<StepEnd, StepError> {
    let dir = dir.render(context.known()).await?;
    let words = Words::new(&["making", "made", "make"], &dir);
    command(WorkerCommand::MakeDirectory { dirs: vec![dir] }, words, context, logs).await
}

/// Whether an exit code is a number of the system, and not what a program made of it. Source: Buildbot's worker.
const fn tells_errno(command: &WorkerCommand) -> bool {
    matches!(command, WorkerCommand::MakeDirectory { .. })
}

/// Removes folders.
pub(super) async fn remove(
    dirs: &[Text],
    context: &mut StepContext<'_>,
    logs: &mut Logs,
) -> Result<StepEnd, StepError> {
    let known = context.known();
    let dirs = all_of(dirs, known).await?;
    // A property that is not set renders to nothing, and would remove the builder's own folder.
    let is_nothing = |dir: &&String| Path::new(dir.trim()).components().all(|part| part == Component::CurDir);
    if let Some(dir) = dirs.iter().find(is_nothing) {
        let state = format!("`{dir}` is the builder's own folder; name something in it");
        logs.note(&state).await?;
        return Ok(StepEnd::new(Outcome::Failure, state));
    }
    let shown = match dirs.as_slice() {
        [dir] => dir.clone(),
        dirs => format!("{} folders", dirs.len()),
    };
    let words = Words::new(&["removing", "removed", "remove"], &shown);
    let remove = RemoveDirectory { dirs, timeout: Some(REMOVED_WITHIN), max_time: None, log_environ: false };
    command(WorkerCommand::RemoveDirectory(Box::new(remove)), words, context, logs).await
}

/// Copies a folder.
pub(super) async fn copy(
    copy: &step::CopyDirectory,
    context: &mut StepContext<'_>,
    logs: &mut Logs,
) -> Result<StepEnd, StepError> {
    let (from, to) = (copy.from.render(context.known()).await?, copy.to.render(context.known()).await?);
    let words = Words::new(&["copying", "copied", "copy"], &format!("{from} to {to}"));
    let copy = CopyDirectory { from, to, timeout: copy.timeout, max_time: copy.max_time, log_environ: false };
    command(WorkerCommand::CopyDirectory(Box::new(copy)), words, context, logs).await
}

/// What people read of the end.
struct Words {
    doing: String,
    done: String,
    failed: String,
}

impl Words {
    /// Of a verb as in *making*, *made*, *cannot make*.
    fn new([doing, done, verb]: &[&str; 3], object: &str) -> Self {
        Self {
            doing: format!("{doing} {object}"),
            done: format!("{done} {object}"),
            failed: format!("cannot {verb} {object}"),
        }
    }
}

async fn command(
    command: WorkerCommand,
    words: Words,
    context: &mut StepContext<'_>,
    logs: &mut Logs,
) -> Result<StepEnd, StepError> {
    let tells_errno = tells_errno(&command);
    let seen = follow(context, logs, command, Duration::ZERO, &mut NoPeer).await?;
    if let Some(last) = seen.last_words() {
        logs.note(last).await?;
    }
    Ok(match seen.exit_code(&words.doing) {
        Ok(0) => StepEnd::new(Outcome::Success, words.done),
        Ok(rc) => {
            let unfit = if tells_errno { Unfit::of_errno(rc) } else { None };
            let state = format!("{} (failure, exit code {rc})", words.failed);
            let unfit = unfit.map(|unfit| (unfit, state.clone()));
            StepEnd { unfit, ..StepEnd::new(Outcome::Failure, state) }
        }
        Err(end) => end,
    })
}
