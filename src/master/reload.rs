//! From a reason to reload to a configuration in force, or to a word why not.
//!
//! One task owns the parts of the running configuration. Whoever wants a reload puts a request into its queue; all that
//! has gathered there while one reload ran is one reload, with all its causes.
//!
//! # Laws
//! - One reload runs, and at most one waits.
//! - A bad file changes nothing. Until the commit, all is as before.
//! - What was caused by a file alone takes away no more than half of the connected workers: half a file is often valid.
//! - Each request is answered, and each attempt remembered.
//!
//! # Not here
//! How a plan is carried out (`reconfig`), when a file counts as changed (`config::watch`).

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    time,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    build::Load,
    config::{self, FileWatch, Sightings, Watched},
    definition::{self, Cost, Deed, MasterDefinition, PlanItem, Problem, ReconfigPlan, plan::Transition},
    master::{
        generations::{Attempt, Cause, Generations, Item, Verdict, counted, named},
        reconfig::{Parts, PrepareError},
    },
    model::{BuilderName, Timestamp, WorkerName},
    worker::RegistryHandle,
};

/// Requests waiting for the running reload: operators and scripts, a few at once. All of them are one reload.
const REQUESTS_DEPTH: usize = 64;

/// How long whoever asks for a reload waits for its outcome: less than a client of the API waits for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(50);

/// Items and problems logged one by one; the rest is counted.
const MOST_LOGGED: usize = 200;

/// Why there is no outcome of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// The queue is full.
    #[error("too many reloads are asked for at once")]
    Busy,
    /// It takes long.
    #[error("the reload is not done within {} s; it goes on", ANSWER_WITHIN.as_secs())]
    Late,
    /// The master stops.
    #[error("the master is stopping")]
    Stopping,
}

/// A wish for a reload.
struct Request {
    cause: Cause,
    answer: oneshot::Sender<Arc<Attempt>>,
}

/// What others hold of the reloads.
#[derive(Clone)]
pub struct ReloadHandle {
    requests: mpsc::Sender<Request>,
    generations: watch::Receiver<Arc<Generations>>,
    look: Look,
    /// One dry run at a time: each may use as much memory as a configuration is given.
    dry: Arc<Semaphore>,
}

/// What a plan is compared with.
#[derive(Clone)]
struct Look {
    main: PathBuf,
    definition: watch::Receiver<Arc<MasterDefinition>>,
    load: watch::Receiver<Load>,
    registry: RegistryHandle,
}

/// The task.
pub(super) struct Reloads {
    parts: Parts,
    look: Look,
    files: FileWatch,
    requests: mpsc::Receiver<Request>,
    generations: watch::Sender<Arc<Generations>>,
    stop: CancellationToken,
}

impl ReloadHandle {
    /// Reloads the configuration, and tells what became of it.
    ///
    /// # Errors
    /// [`ReloadError`]; after [`ReloadError::Late`] the reload goes on.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the reload goes on.
    pub async fn reload(&self, cause: Cause) -> Result<Arc<Attempt>, ReloadError> {
        let (answer, outcome) = oneshot::channel();
        self.requests.try_send(Request { cause, answer }).map_err(|failure| match failure {
            mpsc::error::TrySendError::Full(_) => ReloadError::Busy,
            mpsc::error::TrySendError::Closed(_) => ReloadError::Stopping,
        })?;
        match time::timeout(ANSWER_WITHIN, outcome).await {
            Ok(outcome) => outcome.map_err(|_| ReloadError::Stopping),
            Err(_) => Err(ReloadError::Late),
        }
    }

    /// What a reload would do now. Changes nothing, and is not remembered.
    ///
    /// # Errors
    /// [`ReloadError::Late`] if others have asked for so many that this one does not get its turn.
    ///
    /// # Cancel safety
    /// Dropped before it returns, nothing is left but an interpreter that ends by its limits.
    pub async fn dry_run(&self) -> Result<Attempt, ReloadError> {
        let turn = time::timeout(ANSWER_WITHIN, self.dry.acquire()).await.map_err(|_| ReloadError::Late)?;
        let _turn = turn.map_err(|_| ReloadError::Stopping)?;
        let running = self.generations.borrow().running;
        let mut attempt = Attempt::new([Cause::Command].into());
        let (_, examined) = self.look.examine().await;
        match examined {
            Err(problems) => attempt.refuse(problems, &running.to_string()),
            Ok(Good { plan, warnings, .. }) => {
                attempt.verdict = if plan.is_empty() { Verdict::Unchanged } else { Verdict::Planned };
                attempt.problems = warnings;
                attempt.items = self.look.items(&plan, Tense::Would);
                attempt.summary = match plan.items().len() {
                    0 => format!("the configuration is unchanged; {running} goes on"),
                    count => format!("{}; nothing is changed by a dry run", counted(count, "change")),
                };
                if let Some(text) = self.look.held(&plan) {
                    attempt.summary = format!("{}; by a change of the file alone {text}", attempt.summary);
                }
            }
        }
        Ok(attempt)
    }

    /// What runs, and what became of the last reloads.
    pub fn generations(&self) -> Arc<Generations> {
        Arc::clone(&self.generations.borrow())
    }
}

/// A configuration that could come into force.
struct Good {
    new: MasterDefinition,
    plan: ReconfigPlan,
    warnings: Vec<Problem>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tense {
    Done,
    Would,
    Not,
}

impl Look {
    /// Load, check, plan, refusals. The files that were looked at are told, if the main file could be read.
    async fn examine(&self) -> (Option<Sightings>, Result<Good, Vec<Problem>>) {
        let loaded = match config::load(&self.main, config::Limits::default()).await {
            Ok(loaded) => loaded,
            Err(failure) => {
                let mut text = failure.to_string();
                let mut source = std::error::Error::source(&failure);
                while let Some(cause) = source {
                    text = format!("{text}: {cause}");
                    source = cause.source();
                }
                return (None, Err(vec![Problem::error(None, text)]));
            }
        };
        let checked = match definition::check(loaded.draft) {
            Ok(checked) => checked,
            Err(problems) => return (Some(loaded.seen), Err(problems)),
        };
        let plan = ReconfigPlan::between(&self.definition.borrow(), &checked.definition);
        let refusals = plan.refusals();
        if !refusals.is_empty() {
            let problems =
                refusals.into_iter().map(|refusal| Problem::error(None, refusal.to_string())).collect();
            return (Some(loaded.seen), Err(problems));
        }
        (Some(loaded.seen), Ok(Good { new: checked.definition, plan, warnings: checked.warnings }))
    }

    /// Why a file alone may not do this, if it may not.
    fn held(&self, plan: &ReconfigPlan) -> Option<String> {
        let (removed, connected) = {
            let definition = self.definition.borrow();
            let is_connected = |name: &WorkerName| self.registry.connection(name.as_str()).is_some();
            let removed = plan.workers.iter().filter(
                |transition| matches!(transition, Transition::Remove(old) if is_connected(&old.name)),
            );
            (removed.count(), definition.workers.keys().filter(|name| is_connected(name)).count())
        };
        is_held(removed, connected)
            .then(|| format!("it is held, since it removes {removed} of {connected} connected workers"))
    }

    fn items(&self, plan: &ReconfigPlan, tense: Tense) -> Vec<Item> {
        let load = self.load.borrow().clone();
        let items = plan.items().into_iter().map(|item| {
            let effect = match tense {
                Tense::Not => "not applied".to_owned(),
                Tense::Done => self.effect(&item, &load),
                Tense::Would => format!("would be {}", self.effect(&item, &load)),
            };
            Item { change: item.line, effect }
        });
        items.collect()
    }

    /// What an item does to what runs.
    fn effect(&self, item: &PlanItem, load: &Load) -> String {
        let worker = || {
            let name = WorkerName::new(&item.name).ok().filter(|_| item.noun == "worker")?;
            Some((self.registry.connection(name.as_str()).is_some(), load.of_worker(&name)))
        };
        match (item.deed, worker()) {
            (Deed::Add, Some((true, _))) => "added, with the link that it still has".into(),
            (Deed::Add, _) => "added".into(),
            (Deed::Remove, Some((true, 0))) => "removed and disconnected".into(),
            (Deed::Remove, Some((true, builds))) => {
                format!("removed, and disconnected after {} that still runs", counted(builds, "build"))
            }
            (Deed::Remove, _) if item.noun == "builder" => {
                match BuilderName::new(&item.name).map_or(0, |name| load.of_builder(&name)) {
                    0 => "removed".into(),
                    builds => format!("removed; {} goes on to its end", counted(builds, "build")),
                }
            }
            (Deed::Remove, _) => "removed".into(),
            (Deed::Change(cost), Some((true, builds))) if cost >= Cost::Reattach => match builds {
                0 => "applied, with a new link".into(),
                builds => format!("applied, with a new link; {} is built again", counted(builds, "build")),
            },
            (Deed::Change(_), _) => "applied".into(),
        }
    }
}

/// Whether a change of a file may take away so many workers by itself.
const fn is_held(removed: usize, connected: usize) -> bool {
    removed >= 3 && removed * 2 > connected
}

impl Attempt {
    fn new(causes: BTreeSet<Cause>) -> Self {
        Self {
            at: Timestamp::now(),
            causes,
            verdict: Verdict::Unchanged,
            generation: None,
            items: Vec::new(),
            problems: Vec::new(),
            summary: String::new(),
        }
    }

    fn refuse(&mut self, problems: Vec<Problem>, running: &str) {
        self.verdict = Verdict::Refused;
        self.problems = problems;
        let count = counted(self.errors(), "problem");
        self.summary = format!("{count}; the running configuration, {running}, is kept");
    }

    fn log(&self) {
        for problem in self.problems.iter().take(MOST_LOGGED) {
            if problem.is_error() {
                error!("{problem}");
            } else {
                warn!("{problem}");
            }
        }
        for item in self.items.iter().take(MOST_LOGGED) {
            info!("{item}");
        }
        for (count, noun) in [(self.problems.len(), "problem"), (self.items.len(), "change")] {
            if let Some(more) = count.checked_sub(MOST_LOGGED).filter(|more| *more > 0) {
                info!("and {} more", counted(more, noun));
            }
        }
        let (cause, outcome) = (named(&self.causes), self.verdict.name());
        match self.verdict {
            Verdict::Committed | Verdict::Unchanged | Verdict::Planned => {
                info!(cause, outcome, "{}", self.summary);
            }
            Verdict::Held => warn!(cause, outcome, "{}", self.summary),
            Verdict::Refused | Verdict::Failed => error!(cause, outcome, "{}", self.summary),
        }
    }
}

impl Reloads {
    /// The reloads of the configuration whose parts run.
    pub(super) fn new(
        main: PathBuf,
        parts: Parts,
        files: FileWatch,
        generations: Generations,
        stop: CancellationToken,
    ) -> (Self, ReloadHandle) {
        let (sender, requests) = mpsc::channel(REQUESTS_DEPTH);
        let (generations, watch) = watch::channel(Arc::new(generations));
        let look = Look {
            main,
            definition: parts.definition.subscribe(),
            load: parts.load.clone(),
            registry: parts.registry.clone(),
        };
        let handle = ReloadHandle {
            requests: sender,
            generations: watch,
            look: look.clone(),
            dry: Arc::new(Semaphore::new(1)),
        };
        (Self { parts, look, files, requests, generations, stop }, handle)
    }

    /// Reloads whenever there is a reason, until it is stopped; gives the parts back then.
    pub(super) async fn run(mut self) -> Parts {
        loop {
            let mut causes = BTreeSet::new();
            let mut answers = Vec::new();
            tokio::select! {
                // Each arm is cancel-safe: what it has not returned is still there at the next turn.
                () = self.stop.cancelled() => return self.parts,
                Some(request) = self.requests.recv() => {
                    causes.insert(request.cause);
                    answers.push(request.answer);
                }
                () = self.files.changed() => {
                    causes.insert(Cause::File);
                }
                () = self.parts.load_changed() => {
                    self.parts.settle();
                    self.tell(|_| {});
                    continue;
                }
            }
            while let Ok(request) = self.requests.try_recv() {
                causes.insert(request.cause);
                answers.push(request.answer);
            }
            if self.files.take_changed() {
                causes.insert(Cause::File);
            }
            self.tell(|generations| generations.pending = Some(causes.clone()));
            let Some(attempt) = self.reload(causes).await else { return self.parts };
            attempt.log();
            self.tell(|generations| {
                generations.pending = None;
                generations.remember(&attempt);
            });
            let attempt = Arc::new(attempt);
            for answer in answers {
                // Whoever asked may have gone.
                drop(answer.send(Arc::clone(&attempt)));
            }
        }
    }

    /// Changes what others see.
    fn tell(&self, change: impl FnOnce(&mut Generations)) {
        let draining = self.parts.draining.keys().cloned().collect();
        self.generations.send_modify(|generations| {
            let generations = Arc::make_mut(generations);
            change(generations);
            generations.draining = draining;
        });
    }

    /// One reload; nothing if the master stops meanwhile.
    async fn reload(&mut self, causes: BTreeSet<Cause>) -> Option<Attempt> {
        let running = self.generations.borrow().running;
        let by_file_alone = causes.iter().all(|cause| *cause == Cause::File);
        let mut attempt = Attempt::new(causes);
        let (seen, examined) = tokio::select! {
            // Cancel-safe: nothing has happened yet.
            examined = self.look.examine() => examined,
            () = self.stop.cancelled() => return None,
        };
        if let Some(seen) = seen {
            // A wrong file names perhaps not all that the right one will read.
            let watched = if examined.is_ok() { Watched::Only } else { Watched::Also };
            self.files.read(seen, watched);
        }
        let Good { new, plan, warnings } = match examined {
            Ok(good) => good,
            Err(problems) => {
                attempt.refuse(problems, &running.to_string());
                return Some(attempt);
            }
        };
        attempt.problems = warnings;
        if plan.is_empty() {
            // The lines may have moved all the same.
            self.parts.refresh(new);
            attempt.summary = format!("the configuration is unchanged; {running} goes on");
            return Some(attempt);
        }
        if let Some(text) = self.look.held(&plan).filter(|_| by_file_alone) {
            attempt.verdict = Verdict::Held;
            attempt.items = self.look.items(&plan, Tense::Not);
            attempt.summary = format!(
                "{text}; the running configuration, {running}, is kept; `lunabot reconfig` applies the change"
            );
            return Some(attempt);
        }
        // The links and builds as they are before they are touched.
        attempt.items = self.look.items(&plan, Tense::Done);
        match self.bring_into_force(plan, new, &attempt).await {
            Ok(number) => {
                attempt.verdict = Verdict::Committed;
                attempt.generation = Some(number);
                let count = counted(attempt.items.len(), "change");
                attempt.summary = format!("generation {number} is in force: {count}");
            }
            Err(failure) => {
                error!(
                    error = &failure as &dyn std::error::Error,
                    "the configuration cannot be brought into force"
                );
                attempt.verdict = Verdict::Failed;
                for item in &mut attempt.items {
                    item.effect = "not applied".into();
                }
                let why = match failure {
                    // What the database said may name hosts and statements: that is for the log.
                    PrepareError::Store(_) => "the database does not take the configuration".to_owned(),
                    PrepareError::Bind(failure) => format!("{failure}: {}", failure.source),
                };
                attempt.summary = format!("{why}; the running configuration, {running}, is kept");
            }
        }
        Some(attempt)
    }

    /// Prepare, commit, retire. Not to be interrupted: the store bounds its waits.
    async fn bring_into_force(
        &mut self,
        plan: ReconfigPlan,
        new: MasterDefinition,
        attempt: &Attempt,
    ) -> Result<i64, PrepareError> {
        let prepared = self.parts.prepare(plan, new, named(&attempt.causes)).await?;
        let (number, retired) = self.parts.commit(prepared).await?;
        self.parts.retire(retired);
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_alone_takes_away_at_most_half_of_the_workers_or_two() {
        for (removed, connected) in [(0, 0), (1, 1), (2, 2), (2, 3), (3, 6), (50, 100)] {
            assert!(!is_held(removed, connected), "{removed} of {connected}");
        }
        for (removed, connected) in [(3, 3), (3, 5), (4, 7), (51, 100), (100, 100)] {
            assert!(is_held(removed, connected), "{removed} of {connected}");
        }
    }
}
