//! The task of one build: it claims the request, takes the steps in order, and writes down how it ended.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use tokio::time;
use tracing::{error, info, warn};

use crate::{
    build::{
        Family, conduct,
        control::{BuildControl, Running, StopKind},
        line::Line,
        lock::{Held, Locks, Owner},
        progress::Progress,
        properties::{self, Composed},
        step::{self, StepContext, StepEnd, WorkerLeft, WorkerPaths},
    },
    definition::{
        BuilderDefinition, Interpreter, Known, SecretName, Secrets, StepDefinition, WorkerDefinition,
        master::Settings,
    },
    model::{BuildId, Outcome, Properties, SourceStamps, Timestamp, WorkerInfo},
    secret::BuildSecrets,
    store::{
        BeginError, EndedStep, LINK_LOST, LogError, NewBuild, QueuedRequest, RequestEnd, Store, StoreError,
        Unfinished,
    },
    worker::OperatorHandle,
};

/// How long a request waits after its first loss; twice as long after each further one.
const FIRST_RETRY: Duration = Duration::from_secs(10);

/// How long it waits at most.
const LONGEST_RETRY: Duration = Duration::from_secs(3600);

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
    /// The way there.
    pub line: Line,
    /// Which of the builder's places there.
    pub place: u32,
    /// The folder of that place.
    pub folder: String,
    /// Where it goes on, if a master before this one has begun it.
    pub begun: Option<Unfinished>,
    /// What stops it.
    pub control: BuildControl,
    /// The master's folder.
    pub master_dir: Arc<Path>,
    /// Who calls the functions of its configuration, which lives as long as the build.
    pub interpreter: Interpreter,
    /// Who knows secrets.
    pub secrets: Arc<dyn Secrets>,
    /// Who hears what a build says of its worker.
    pub operator: OperatorHandle,
    /// How it asks for other builds.
    pub family: Family,
    /// The locks that all builds share. Those of this build, taken before it was given out, are given back at its end.
    pub locks: Locks,
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
    let secrets = Arc::new(BuildSecrets::new(Arc::clone(&assignment.secrets)));
    let info = match &assignment.begun {
        Some(begun) => begun.info.clone(),
        None => assignment.line.connection().map(|connection| connection.info()).unwrap_or_default(),
    };
    let held = assignment.locks.held(Owner::Request(request));
    let build = Build { assignment, info, secrets, store, held };
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
    /// Its locks, those of its steps too.
    held: Held,
}

impl Build {
    async fn run(&self, running: &Running) -> Result<(), LogError> {
        if let Some(begun) = &self.assignment.begun {
            self.go_on(begun, running).await;
            return Ok(());
        }
        let Assignment { request, builder, worker, control, .. } = &self.assignment;
        let hooks = self.assignment.interpreter.hooks();
        let none = BTreeMap::new();
        let global = self.assignment.settings.as_ref().map_or(&none, |settings| &settings.properties);
        let composed =
            properties::compose(global, &request.properties, builder, worker, &self.info, hooks).await;
        let Composed { mut properties, fault } = composed;
        if let Some(basedir) = self.info.text("basedir") {
            let builddir = WorkerPaths::of(&self.info).join(basedir, &self.assignment.folder);
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
        let _running = running.enter(begun.id, control.clone());
        properties.set("buildnumber", begun.number, "Build");
        info!(builder = %builder.name, number = begun.number, worker = %worker.name, "build started");
        match fault {
            Some(fault) => {
                let end = (Outcome::Exception, fault, RequestEnd::Complete);
                self.end(begun.id, begun.number, end).await;
            }
            None => {
                let came = self.steps(begun.id, &mut properties, None).await;
                self.conclude(begun.id, begun.number, came).await;
            }
        }
        Ok(())
    }

    /// Goes on with a build that the last master left in the middle of a step.
    async fn go_on(&self, begun: &Unfinished, running: &Running) {
        let Assignment { builder, worker, control, .. } = &self.assignment;
        let _running = running.enter(begun.build, control.clone());
        info!(builder = %builder.name, number = begun.number, worker = %worker.name, "build is taken up again");
        for name in &begun.running.secrets {
            let read = match SecretName::new(name) {
                Ok(name) => self.secrets.secret(&name).await.is_ok(),
                Err(_) => false,
            };
            if !read {
                let why =
                    format!("the secret `{name}` cannot be read any more, so its log could not be masked");
                return self.end(begun.build, begun.number, self.lost(&why)).await;
            }
        }
        let mut properties = begun.properties.clone();
        let came = self.steps(begun.build, &mut properties, Some(begun)).await;
        self.conclude(begun.build, begun.number, came).await;
    }

    /// What came of the steps; nothing if the next master goes on with them.
    async fn conclude(&self, build: BuildId, number: i64, came: Result<Option<Progress>, LogError>) {
        let end = match came {
            Ok(Some(progress)) => {
                let end = self.verdict(&progress);
                // First: the worker is given no other build meanwhile.
                conduct::note(&self.assignment, number, &progress, end.0).await;
                end
            }
            Ok(None) => {
                self.held.keep();
                info!(builder = %self.assignment.builder.name, number, "build is left to the next master");
                return;
            }
            Err(failure) => {
                let failure = &failure as &dyn std::error::Error;
                let (builder, source) = (&self.assignment.builder.name, &self.assignment.builder.place);
                error!(%builder, number, %source, error = failure, "a build cannot go on");
                self.lost("the master could not write it down")
            }
        };
        self.end(build, number, end).await;
    }

    async fn end(&self, build: BuildId, number: i64, (outcome, state, end): (Outcome, String, RequestEnd)) {
        self.write_end(build, outcome, &state, end).await;
        info!(builder = %self.assignment.builder.name, number, %outcome, "build finished");
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

    /// Takes the steps in order, from the one that has begun if one has; nothing if the next master goes on with one.
    async fn steps(
        &self,
        build: BuildId,
        properties: &mut Properties,
        begun: Option<&Unfinished>,
    ) -> Result<Option<Progress>, LogError> {
        let mut progress = Progress::new();
        for (number, step) in self.assignment.builder.steps.iter().enumerate() {
            let number = i32::try_from(number).unwrap_or(i32::MAX);
            if let Some(begun) = begun.filter(|begun| number < begun.step_number) {
                if let Some((_, outcome)) = begun.ended.iter().find(|(place, _)| *place == number) {
                    progress.after(step, *outcome);
                }
                continue;
            }
            let begun = begun.filter(|begun| number == begun.step_number);
            if begun.is_none() && !progress.wants(step) {
                continue;
            }
            let end = self.step(build, number, step, properties, begun).await?;
            match end.worker {
                WorkerLeft::Left => return Ok(None),
                WorkerLeft::Lost => progress.lose_worker(),
                WorkerLeft::Connected => {}
            }
            progress.doubt_worker(end.unfit);
            progress.after(step, end.outcome);
        }
        Ok(Some(progress))
    }

    async fn step(
        &self,
        build: BuildId,
        number: i32,
        step: &StepDefinition,
        properties: &mut Properties,
        begun: Option<&Unfinished>,
    ) -> Result<StepEnd, LogError> {
        let Assignment { builder, line, control, master_dir, interpreter, locks, .. } = &self.assignment;
        // Of a step that goes on, a stop may have come before it.
        let stop = if begun.is_some() { control.listen_to_all() } else { control.listen() };
        let sources = SourceStamps::of_properties(properties);
        let known = Known {
            properties,
            worker: &self.info,
            sources: &sources,
            hooks: interpreter.hooks(),
            secrets: &*self.secrets,
        };
        let id = match begun {
            Some(begun) => begun.step,
            None => {
                let state = step::running_line(step, known, &self.secrets).await;
                self.store.begin_step(build, number, &step.name, &state, Timestamp::now()).await?
            }
        };
        let settings = self.assignment.settings.as_ref();
        let context = StepContext {
            step: id,
            build,
            place: self.assignment.place,
            request: &self.assignment.request,
            locks,
            store: &self.store,
            line,
            info: &self.info,
            steps: &builder.steps,
            env: &builder.env,
            sources: &sources,
            hooks: interpreter.hooks(),
            secrets: &self.secrets,
            properties,
            master_dir,
            buildbot_url: settings.map_or("", |settings| &settings.buildbot_url),
            family: &self.assignment.family,
            stop,
        };
        // A stop between two steps, or before the first, concerns those that do not always run.
        let stopped = control.first().filter(|_| !step.always_run);
        let end = match (begun, stopped) {
            (Some(begun), _) => step::go_on(step, &begun.running, begun.note.clone(), context).await?,
            (None, Some(stopped)) => {
                let end = StepEnd::new(outcome_of(stopped.kind), format!("not run: {}", stopped.reason));
                step::pass_over(step, end, context).await?
            }
            (None, None) => step::run(step, context).await?,
        };
        if end.worker == WorkerLeft::Left {
            return Ok(end);
        }
        let ended = EndedStep { outcome: end.outcome, state: &end.state, hidden: end.hidden };
        self.store.finish_step(id, ended, Timestamp::now()).await?;
        if line.session().is_some() {
            // What the worker has kept of it, and what was noted, is wanted no more.
            line.settle().await;
            self.store.drop_note(id).await?;
        }
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
            return self.lost(&format!("{LINK_LOST}{} was lost", self.assignment.worker.name));
        }
        (progress.outcome(), progress.state(), RequestEnd::Complete)
    }

    fn lost(&self, why: &str) -> (Outcome, String, RequestEnd) {
        let request = &self.assignment.request;
        // Not behind the back of the one that waits: that hears of it, and comes again as a whole if it is to.
        if let Some(parent) = request.parent.filter(|parent| parent.waits) {
            let state = format!("{why}; not tried again, since build {} waits for it", parent.build);
            return (Outcome::Exception, state, RequestEnd::Complete);
        }
        lost(request.attempts, self.assignment.builder.max_retries, why, Timestamp::now())
    }
}

/// A build that was lost through no fault of its own, after so many earlier losses: tried again, but not for ever.
fn lost(earlier: u32, max_retries: u32, why: &str, now: Timestamp) -> (Outcome, String, RequestEnd) {
    let (losses, attempts) = (earlier.saturating_add(1), max_retries.saturating_add(1));
    if losses >= attempts {
        let state = match losses {
            1 => format!("{why}; not tried again"),
            losses => format!("{why}; given up after {losses} attempts"),
        };
        return (Outcome::Exception, state, RequestEnd::Complete);
    }
    let delay = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(earlier)).min(LONGEST_RETRY);
    let state = format!("{why}; attempt {losses} of {attempts}");
    (Outcome::Retry, state, RequestEnd::Requeue { not_before: Some(now + delay), counted: true })
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
    fn a_lost_build_is_tried_again_after_longer_and_longer_waits_and_then_is_given_up() {
        let now = Timestamp::UNIX_EPOCH;
        let again = |seconds| RequestEnd::Requeue {
            not_before: Some(Timestamp::from_second(seconds).unwrap()),
            counted: true,
        };
        for (earlier, seconds) in [(0, 10), (1, 20), (2, 40)] {
            let (outcome, _, end) = lost(earlier, 3, "lost", now);
            assert_eq!((outcome, end), (Outcome::Retry, again(seconds)));
        }
        let (outcome, state, end) = lost(3, 3, "lost", now);
        assert_eq!((outcome, end), (Outcome::Exception, RequestEnd::Complete));
        assert_eq!(state, "lost; given up after 4 attempts");
        let (_, _, end) = lost(900, 1000, "lost", now);
        assert_eq!(end, again(3600));
    }

    #[test]
    fn a_builder_may_want_no_retries() {
        let (outcome, state, end) = lost(0, 0, "lost", Timestamp::UNIX_EPOCH);
        assert_eq!((outcome, end), (Outcome::Exception, RequestEnd::Complete));
        assert_eq!(state, "lost; not tried again");
    }
}
