//! What a step does, a file a kind.
//!
//! # Laws
//! - The logs of a step are whole and on disk before the step has its end.
//! - A property that a step sets is durable before the step has its end.
//! - What a step leaves for people (logs, states, properties, addresses) is without the secrets of its build.

mod command;
mod download;
mod folder;
mod landing;
mod locked;
mod logs;
mod peer;
mod place;
mod safe;
mod seen;
mod shell;
#[cfg(test)]
mod tests;
mod transfer;
mod trigger;
mod unpack;
mod upload;
mod worker_path;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use tracing::warn;

pub(super) use worker_path::WorkerPaths;

use self::{logs::Logs, place::PlaceError, transfer::TransferError};
use crate::{
    build::{
        Family,
        control::StopListener,
        line::Line,
        lock::{Held, Locks, TurnError},
    },
    definition::{
        EnvironmentValue, HookArgument, Hooks, Known, RenderError, StepDefinition, StepKind, Text,
        TriggerError,
    },
    model::{BuildId, Outcome, Place, Properties, PropertyValue, SourceStamps, StepId, WorkerInfo},
    protocol::{CommandId, Unfit},
    secret::BuildSecrets,
    store::{LogError, Note, QueuedRequest, RunningCommand, Store, StoreError},
};

/// The most characters of the line that people read of a step: what is longer stands in its log.
const LONGEST_LINE: usize = 500;

/// What a step works with.
pub struct StepContext<'a> {
    /// Which.
    pub step: StepId,
    /// Of which build.
    pub build: BuildId,
    /// For which request.
    pub request: &'a QueuedRequest,
    /// The locks that all builds share.
    pub locks: &'a Locks,
    /// Which of the builder's places on the worker it has.
    pub place: u32,
    /// Where its logs go.
    pub store: &'a Store,
    /// Where its commands go.
    pub line: &'a Line,
    /// What the worker said of itself.
    pub info: &'a WorkerInfo,
    /// The steps of the builder.
    pub steps: &'a [StepDefinition],
    /// The builder's environment, under the step's own.
    pub env: &'a BTreeMap<String, EnvironmentValue>,
    /// What is built.
    pub sources: &'a SourceStamps,
    /// Who calls the functions of its configuration.
    pub hooks: &'a dyn Hooks,
    /// Its secrets.
    pub secrets: &'a Arc<BuildSecrets>,
    /// What it is rendered with, and what it may change.
    pub properties: &'a mut Properties,
    /// The master's folder, where relative paths of the master begin.
    pub master_dir: &'a Path,
    /// Where the web interface is reached from outside.
    pub buildbot_url: &'a str,
    /// How it asks for other builds.
    pub family: &'a Family,
    /// Says when somebody wants it to end.
    pub stop: StopListener,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepEnd {
    /// Its outcome.
    pub outcome: Outcome,
    /// The line that people read.
    pub state: String,
    /// Whether the worker can be used for what follows.
    pub worker: WorkerLeft,
    /// Whether it is left out where steps are shown.
    pub hidden: bool,
    /// What the worker said of itself, if it said that no command would fare better; and how it said so.
    pub unfit: Option<(Unfit, String)>,
}

/// What is left of the worker after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerLeft {
    /// It is there.
    Connected,
    /// Its link was lost.
    Lost,
    /// The master stops: the step has no end, and the next master goes on with it.
    Left,
}

impl StepEnd {
    /// An end with the worker still there.
    pub fn new(outcome: Outcome, state: impl Into<String>) -> Self {
        Self { outcome, state: state.into(), worker: WorkerLeft::Connected, hidden: false, unfit: None }
    }

    /// There is none: the next master goes on with the step.
    pub fn left() -> Self {
        Self { worker: WorkerLeft::Left, ..Self::new(Outcome::Retry, "left to the next master") }
    }

    /// The link was lost under the step.
    pub fn lost() -> Self {
        Self { worker: WorkerLeft::Lost, ..Self::new(Outcome::Retry, "lost connection") }
    }
}

/// Why a step could not be carried out.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Render(#[from] RenderError),
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(transparent)]
    Transfer(#[from] TransferError),
    #[error("there is no command to run: it became nothing, or an empty list")]
    NoCommand,
    #[error("{place}: `extract_fn` returned {found}, where a table of names and values is wanted")]
    Extract { place: Place, found: &'static str },
    #[error("`{option}` became no table of names and values")]
    NoTable { option: &'static str },
    #[error(transparent)]
    Trigger(#[from] TriggerError),
    #[error(transparent)]
    Lock(#[from] TurnError),
    #[error("cannot write the log")]
    Log(#[from] LogError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs a step, unless its `doStepIf` says that there is nothing to do.
///
/// # Errors
/// [`LogError`] if the store cannot be used, so that the build cannot go on. If only the file of a log cannot be written,
/// the command is interrupted and the step is an exception.
pub async fn run(step: &StepDefinition, mut context: StepContext<'_>) -> Result<StepEnd, LogError> {
    let wanted = step.do_step_if.holds(context.known(), || vec![context.as_argument(step)]).await;
    let (end, logs) = match wanted {
        Ok(false) => (StepEnd::new(Outcome::Skipped, "skipped"), None),
        Ok(true) => {
            let mut logs = context.open_logs().await?;
            // Given back when this has ended, in whatever way.
            let taken = locked::take(step, &mut context).await;
            let end = match taken {
                Ok(Ok(held)) => {
                    let end = match perform(step, &mut context, &mut logs).await {
                        Ok(end) => end,
                        Err(error) => failed(error, &context, &mut logs).await?,
                    };
                    if end.worker == WorkerLeft::Left {
                        held.iter().for_each(Held::keep);
                    }
                    end
                }
                Ok(Err(end)) => end,
                Err(error) => failed(error, &context, &mut logs).await?,
            };
            (end, Some(logs))
        }
        Err(error) => {
            let mut logs = context.open_logs().await?;
            (failed(error.into(), &context, &mut logs).await?, Some(logs))
        }
    };
    conclude(step, end, logs, context).await
}

/// Goes on with a step whose command a master before this one has started. Its `doStepIf` has been asked.
///
/// # Errors
/// As for [`run`].
pub async fn go_on(
    step: &StepDefinition,
    running: &RunningCommand,
    note: Note,
    mut context: StepContext<'_>,
) -> Result<StepEnd, LogError> {
    let secrets = Arc::clone(context.secrets);
    let mut logs = Logs::reopen(context.store, context.step, secrets, note.logs).await?;
    let id = CommandId::new(running.command.as_str());
    let held = locked::still_held(&context);
    let end = match &step.kind {
        StepKind::Shell(command) => {
            match shell::go_on(command, &id, note.number, &mut context, &mut logs).await {
                Ok(end) => end,
                Err(error) => failed(error, &context, &mut logs).await?,
            }
        }
        // Nothing else is noted.
        _ => StepEnd::lost(),
    };
    if end.worker == WorkerLeft::Left {
        held.keep();
    }
    conclude(step, end, Some(logs), context).await
}

/// The end of a step that was not begun.
///
/// # Errors
/// As for [`run`].
pub async fn pass_over(
    step: &StepDefinition,
    end: StepEnd,
    context: StepContext<'_>,
) -> Result<StepEnd, LogError> {
    conclude(step, end, None, context).await
}

/// Asks whether the step is shown, and closes its logs.
async fn conclude(
    step: &StepDefinition,
    mut end: StepEnd,
    mut logs: Option<Logs>,
    context: StepContext<'_>,
) -> Result<StepEnd, LogError> {
    if end.worker == WorkerLeft::Left {
        // The logs stay open, as they were noted.
        return Ok(end);
    }
    let arguments = || {
        let outcome = HookArgument::Value(end.outcome.code().into());
        vec![outcome, context.as_argument(step)]
    };
    match step.hide_step_if.holds(context.known(), arguments).await {
        Ok(hidden) => end.hidden = hidden,
        // As in Buildbot: a step whose function fails is an exception, and shown.
        Err(error) => {
            let mut open = match logs.take() {
                Some(open) => open,
                None => context.open_logs().await?,
            };
            let failed = failed(error.into(), &context, &mut open).await?;
            logs = Some(open);
            end = StepEnd { outcome: end.outcome.worst(failed.outcome), state: failed.state, ..end };
        }
    }
    if let Some(logs) = logs {
        logs.close().await?;
    }
    if let Some((_, words)) = &mut end.unfit {
        *words = context.secrets.mask(words).into_owned();
    }
    Ok(described(step, end, &context).await)
}

/// The end of a step that could not be carried out: why stands in its log.
async fn failed(error: StepError, context: &StepContext<'_>, logs: &mut Logs) -> Result<StepEnd, LogError> {
    if let StepError::Store(error) | StepError::Log(LogError::Store(error)) = error {
        return Err(error.into());
    }
    let state = context.secrets.mask(&chain(&error)).into_owned();
    let outcome = match &error {
        StepError::Transfer(error) => error.outcome(),
        _ => Outcome::Exception,
    };
    if outcome == Outcome::Exception {
        warn!(step = %context.step, error = state, "a step could not be carried out");
    }
    // If the log is what failed, closing it tells so again.
    if let Err(error) = logs.note(&state).await {
        warn!(step = %context.step, error = &error as &dyn std::error::Error, "cannot write a log");
    }
    Ok(StepEnd::new(outcome, state))
}

async fn perform(
    step: &StepDefinition,
    context: &mut StepContext<'_>,
    logs: &mut Logs,
) -> Result<StepEnd, StepError> {
    match &step.kind {
        StepKind::Shell(command) => shell::run(command, context, logs).await,
        StepKind::SetPropertyFromCommand(set) => shell::set_property(set, context, logs).await,
        StepKind::SetProperty { property, value } => {
            let (property, value) =
                (property.render(context.known()).await?, value.value(context.known()).await?);
            let line = format!("{property}: {value}");
            context.set_property(&property, value, "SetProperty Step").await?;
            logs.note(&line).await?;
            Ok(StepEnd::new(Outcome::Success, format!("property '{property}' set")))
        }
        StepKind::UploadFile(upload) => upload::file(upload, context, logs).await,
        StepKind::UploadDirectory(upload) => upload::directory(upload, context, logs).await,
        StepKind::UploadMany(upload) => upload::many(upload, context, logs).await,
        StepKind::Download(download) => download::run(download, context, logs).await,
        StepKind::MakeDirectory { dir } => folder::make(dir, context, logs).await,
        StepKind::RemoveDirectory { dirs } => folder::remove(dirs, context, logs).await,
        StepKind::CopyDirectory(copy) => folder::copy(copy, context, logs).await,
        StepKind::Trigger(trigger) => {
            trigger::run(trigger, !step.description.running.is_empty(), context, logs).await
        }
    }
}

/// The line that people read while a step runs.
pub async fn running_line(step: &StepDefinition, known: Known<'_>, secrets: &BuildSecrets) -> String {
    let words = joined(&step.description.running, known).await.unwrap_or_else(|| "running".to_owned());
    one_line(&secrets.mask(&with_suffix(step, words, known).await))
}

/// The end with the operator's words in place of the step's own, where they were given.
async fn described(step: &StepDefinition, mut end: StepEnd, context: &StepContext<'_>) -> StepEnd {
    let known = context.known();
    let words = match joined(&step.description.done, known).await {
        Some(words) => Some(words),
        None => joined(&step.description.running, known).await,
    };
    if let Some(words) = words {
        end.state = match end.outcome {
            Outcome::Success => words,
            Outcome::Warnings | Outcome::Failure | Outcome::Skipped => format!("{words} ({})", end.outcome),
            // Why it could not be carried out must not be lost.
            Outcome::Exception | Outcome::Retry | Outcome::Cancelled => format!("{words}: {}", end.state),
        };
    }
    // Before it is cut: half a secret would not be found.
    end.state = one_line(&context.secrets.mask(&with_suffix(step, end.state, known).await));
    end
}

/// A text as one line, whatever names and values are in it.
fn one_line(text: &str) -> String {
    let words = text.split(char::is_control).filter(|words| !words.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    if line.chars().nth(LONGEST_LINE).is_none() {
        return line;
    }
    line.chars().take(LONGEST_LINE - 1).chain(['…']).collect()
}

async fn with_suffix(step: &StepDefinition, line: String, known: Known<'_>) -> String {
    match joined(&step.description.suffix, known).await {
        Some(suffix) => format!("{line} {suffix}"),
        None => line,
    }
}

/// Words for people; none if there are none, or if they cannot be rendered: a line is no reason to fail.
async fn joined(words: &[Text], known: Known<'_>) -> Option<String> {
    all_of(words, known).await.ok().filter(|words| !words.is_empty()).map(|words| words.join(" "))
}

/// All texts of a list, rendered; one that becomes a list gives its members.
async fn all_of(texts: &[Text], known: Known<'_>) -> Result<Vec<String>, RenderError> {
    let mut out = Vec::with_capacity(texts.len());
    for text in texts {
        out.append(&mut text.flat(known).await?);
    }
    Ok(out)
}

/// An error and its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl StepContext<'_> {
    /// The step, as its functions are given it.
    fn as_argument(&self, step: &StepDefinition) -> HookArgument {
        HookArgument::Step { name: step.name.clone(), properties: self.properties.clone() }
    }

    /// What texts are rendered with.
    fn known(&self) -> Known<'_> {
        Known {
            properties: self.properties,
            worker: self.info,
            sources: self.sources,
            hooks: self.hooks,
            secrets: &**self.secrets,
        }
    }

    /// Opens the logs of the step.
    async fn open_logs(&self) -> Result<Logs, LogError> {
        Logs::open(self.store, self.step, Arc::clone(self.secrets)).await
    }

    /// Sets a property of the build, as [`Self::set_properties`] does.
    async fn set_property(
        &mut self,
        name: &str,
        value: PropertyValue,
        source: &str,
    ) -> Result<(), StoreError> {
        self.set_properties([(name.to_owned(), value)], source).await
    }

    /// Sets properties of the build, durably and without secrets: properties are shown to everybody.
    async fn set_properties(
        &mut self,
        values: impl IntoIterator<Item = (String, PropertyValue)>,
        source: &str,
    ) -> Result<(), StoreError> {
        for (name, value) in values {
            self.properties.set(&*self.secrets.mask(&name), self.secrets.mask_value(value), source);
        }
        self.store.set_build_properties(self.build, self.properties.clone()).await
    }
}
