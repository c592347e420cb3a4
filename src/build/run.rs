//! The task of one build: it claims the request, takes the steps in order, and writes down how it ended.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use tokio::time;
use tracing::{error, info, warn};

use crate::{
    build::{
        MOST_ATTEMPTS,
        control::{BuildControl, Running, StopKind},
        progress::Progress,
        properties::{self, Composed},
        step::{self, StepContext, StepEnd, WorkerLeft, WorkerPaths},
    },
    definition::{
        BuilderDefinition, Interpreter, Known, Secrets, StepDefinition, WorkerDefinition, master::Settings,
    },
    model::{BuildId, Outcome, Properties, SourceStamps, Timestamp, WorkerInfo},
    secret::BuildSecrets,
    store::{BeginError, EndedStep, LogError, NewBuild, QueuedRequest, RequestEnd, Store, StoreError},
    worker::ConnectionHandle,
};

/// How long a request waits after its first loss; twice as long after each further one.
const FIRST_RETRY: Duration = Duration::from_secs(10);

/// All that a build needs.
pub(super) struct Assignment {
    /// What was asked for.
    pub request: QueuedRequest,
    /// What concerns all builds; absent only where there is no configuration.
    pub settings: Option<Arc<Settings>>,
    /// By which steps, as they were when it began.
    pub builder: Arc<BuilderDefinition>,
    /// On which worker, as it was then.
    pub worker: Arc<WorkerDefinition>,
    /// Its link.
    pub connection: ConnectionHandle,
    /// What stops it.
    pub control: BuildControl,
    /// The master's folder.
    pub master_dir: Arc<Path>,
    /// Who calls the functions of its configuration, which lives as long as the build.
    pub interpreter: Interpreter,
    /// Who knows secrets.
    pub secrets: Arc<dyn Secrets>,
}

/// The delays before an end that could not be written down is written again: some ten minutes in all.
const WRITE_AGAIN: [u64; 14] = [1, 1, 2, 4, 8, 16, 30, 60, 60, 60, 60, 60, 120, 120];

/// What became of an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ran {
    /// The request was settled, by this build or by somebody else.
    Settled,
    /// The store failed before the build began: the request still waits.
    NotBegun,
}

/// Runs a build to its end. If the store fails under it, its end is written again and again; what still cannot be
/// written is resolved by the next start of the master.
pub(super) async fn run(assignment: Assignment, store: Store, running: Running) -> Ran {
    let request = assignment.request.id;
    let (builder, worker) = (Arc::clone(&assignment.builder), assignment.worker.name.clone());
    let info = assignment.connection.info();
    let secrets = Arc::new(BuildSecrets::new(Arc::clone(&assignment.secrets)));
    let build = Build { assignment, info, secrets, store };
    match build.run(&running).await {
        Ok(()) => Ran::Settled,
        Err(failure) => {
            let failure = &failure as &dyn std::error::Error;
            let (builder, source) = (&builder.name, &builder.place);
            error!(%builder, %request, %worker, %source, error = failure, "a build could not begin");
            Ran::NotBegun
        }
    }
}

struct Build {
    assignment: Assignment,
    /// What the worker says of itself.
    info: WorkerInfo,
    /// What it has read.
    secrets: Arc<BuildSecrets>,
    store: Store,
}

impl Build {
    async fn run(&self, running: &Running) -> Result<(), LogError> {
        let Assignment { request, builder, worker, control, .. } = &self.assignment;
        let hooks = self.assignment.interpreter.hooks();
        let none = BTreeMap::new();
        let global = self.assignment.settings.as_ref().map_or(&none, |settings| &settings.properties);
        let composed =
            properties::compose(global, &request.properties, builder, worker, &self.info, hooks).await;
        let Composed { mut properties, fault } = composed;
        if let Some(basedir) = self.info.text("basedir") {
            let builddir = WorkerPaths::of(&self.info).join(basedir, &builder.worker_build_dir);
            properties.set("basedir", basedir, "Worker");
            properties.set("builddir", builddir, "Worker");
        }
        let new =
            NewBuild { request: request.id, worker: worker.name.clone(), properties: properties.clone() };
        let begun = match self.store.begin_build(new, Timestamp::now()).await {
            Ok(begun) => begun,
            // Somebody else has it, or it was cancelled: both are the end of this attempt.
            Err(BeginError::AlreadyClaimed { .. } | BeginError::NoSuchRequest { .. }) => return Ok(()),
            Err(BeginError::UnknownWorker { worker, .. }) => {
                unreachable!("a committed configuration has a row for worker {worker}")
            }
            Err(BeginError::Store(error)) => return Err(error.into()),
        };
        let guard = running.enter(begun.id, control.clone());
        properties.set("buildnumber", begun.number, "Build");
        info!(builder = %builder.name, number = begun.number, worker = %worker.name, "build started");
        let (outcome, state, end) = match fault {
            Some(fault) => (Outcome::Exception, fault, RequestEnd::Complete),
            None => match self.steps(begun.id, &mut properties).await {
                Ok(progress) => self.verdict(&progress),
                Err(failure) => {
                    let failure = &failure as &dyn std::error::Error;
                    let (builder, source) = (&builder.name, &builder.place);
                    error!(%builder, number = begun.number, %source, error = failure, "a build cannot go on");
                    self.lost("the master could not write it down")
                }
            },
        };
        self.write_end(begun.id, outcome, &state, end).await;
        drop(guard);
        info!(builder = %builder.name, number = begun.number, %outcome, "build finished");
        Ok(())
    }

    /// Writes the end of the build down, again and again if the store fails.
    async fn write_end(&self, build: BuildId, outcome: Outcome, state: &str, end: RequestEnd) {
        let mut delays = WRITE_AGAIN.iter();
        loop {
            let Err(failure) = self.store.finish_build(build, outcome, state, end, Timestamp::now()).await
            else {
                return;
            };
            let next = delays.next();
            tell_unwritten(build, &failure, next.copied());
            let Some(delay) = next else { return };
            time::sleep(Duration::from_secs(*delay)).await;
        }
    }

    async fn steps(&self, build: BuildId, properties: &mut Properties) -> Result<Progress, LogError> {
        let mut progress = Progress::new();
        for (number, step) in self.assignment.builder.steps.iter().enumerate() {
            if !progress.wants(step) {
                continue;
            }
            let number = i32::try_from(number).unwrap_or(i32::MAX);
            let end = self.step(build, number, step, properties).await?;
            progress.after(step, end.outcome);
            if end.worker == WorkerLeft::Lost {
                progress.lose_worker();
            }
        }
        Ok(progress)
    }

    async fn step(
        &self,
        build: BuildId,
        number: i32,
        step: &StepDefinition,
        properties: &mut Properties,
    ) -> Result<StepEnd, LogError> {
        let Assignment { builder, connection, control, master_dir, interpreter, .. } = &self.assignment;
        let stop = control.listen();
        let sources = SourceStamps::of_properties(properties);
        let known = Known {
            properties,
            worker: &self.info,
            sources: &sources,
            hooks: interpreter.hooks(),
            secrets: &*self.secrets,
        };
        let state = step::running_line(step, known, &self.secrets).await;
        let id = self.store.begin_step(build, number, &step.name, &state, Timestamp::now()).await?;
        let context = StepContext {
            step: id,
            build,
            store: &self.store,
            connection,
            info: &self.info,
            builder: builder.name.as_str().into(),
            env: &builder.env,
            sources: &sources,
            hooks: interpreter.hooks(),
            secrets: &self.secrets,
            properties,
            master_dir,
            stop,
        };
        // A stop between two steps, or before the first, concerns those that do not always run.
        let end = if let Some(stopped) = control.first().filter(|_| !step.always_run) {
            let end = StepEnd::new(outcome_of(stopped.kind), format!("not run: {}", stopped.reason));
            step::pass_over(step, end, context).await?
        } else {
            step::run(step, context).await?
        };
        let ended = EndedStep { outcome: end.outcome, state: &end.state, hidden: end.hidden };
        self.store.finish_step(id, ended, Timestamp::now()).await?;
        Ok(end)
    }

    /// What the build came to, and what becomes of its request.
    fn verdict(&self, progress: &Progress) -> (Outcome, String, RequestEnd) {
        let stopped = self.assignment.control.first();
        if let Some(stopped) = &stopped {
            let state = format!("{}: {}", stopped_word(stopped.kind), stopped.reason);
            return match stopped.kind {
                StopKind::Cancel => (Outcome::Cancelled, state, RequestEnd::Complete),
                // The master's own stop is no fault of the build: it does not count as an attempt.
                StopKind::Requeue => {
                    (Outcome::Retry, state, RequestEnd::Requeue { not_before: None, counted: false })
                }
            };
        }
        if progress.is_worker_lost() {
            return self.lost(&format!("the link to worker {} was lost", self.assignment.worker.name));
        }
        (progress.outcome(), progress.state(), RequestEnd::Complete)
    }

    fn lost(&self, why: &str) -> (Outcome, String, RequestEnd) {
        lost(self.assignment.request.attempts, why, Timestamp::now())
    }
}

/// A build that was lost through no fault of its own, after so many earlier attempts: tried again, but not for ever.
fn lost(earlier: u32, why: &str, now: Timestamp) -> (Outcome, String, RequestEnd) {
    let attempts = earlier + 1;
    if attempts >= MOST_ATTEMPTS {
        let state = format!("{why}; given up after {attempts} attempts");
        return (Outcome::Exception, state, RequestEnd::Complete);
    }
    let not_before = now + FIRST_RETRY * 2_u32.pow(earlier);
    let state = format!("{why}; attempt {attempts} of {MOST_ATTEMPTS}");
    (Outcome::Retry, state, RequestEnd::Requeue { not_before: Some(not_before), counted: true })
}

fn tell_unwritten(build: BuildId, failure: &StoreError, again_in: Option<u64>) {
    let failure = failure as &dyn std::error::Error;
    match again_in {
        Some(delay) => {
            warn!(%build, error = failure, "cannot write the end of a build; tried again in {delay} s");
        }
        None => {
            error!(%build, error = failure, "the end of a build is left to the next start of the master");
        }
    }
}

const fn outcome_of(kind: StopKind) -> Outcome {
    match kind {
        StopKind::Cancel => Outcome::Cancelled,
        StopKind::Requeue => Outcome::Retry,
    }
}

const fn stopped_word(kind: StopKind) -> &'static str {
    match kind {
        StopKind::Cancel => "build stopped",
        StopKind::Requeue => "build interrupted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_build_has_three_attempts_each_after_a_longer_wait_and_then_is_given_up() {
        let now = Timestamp::UNIX_EPOCH;
        let again = |seconds| RequestEnd::Requeue {
            not_before: Some(Timestamp::from_second(seconds).unwrap()),
            counted: true,
        };
        let (outcome, _, end) = lost(0, "lost", now);
        assert_eq!((outcome, end), (Outcome::Retry, again(10)));
        let (outcome, _, end) = lost(1, "lost", now);
        assert_eq!((outcome, end), (Outcome::Retry, again(20)));
        let (outcome, state, end) = lost(2, "lost", now);
        assert_eq!((outcome, end), (Outcome::Exception, RequestEnd::Complete));
        assert_eq!(state, "lost; given up after 3 attempts");
    }
}
