//! From a reason to reload to a configuration in force, or to a word why not.
//!
//! One task owns the parts of the running configuration. Whoever wants a reload puts a request into its queue; all that
//! has gathered there while one reload ran is one reload, with all its causes.
//!
//! # Laws
//! - One reload runs, and at most one waits.
//! - A bad file changes nothing. Until the commit, all is as before.
//! - What was caused by a file alone takes away no more than half of the connected workers: half a file is often valid.
//! - Requests that became one reload are held to the strictest limit among them.
//! - Each request is answered, and each attempt remembered.
//!
//! # Not here
//! What a plan would do (`look`), how it is carried out (`reconfig`), when a file counts as changed (`config::watch`).

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    time,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    config::{FileWatch, Limits, Watched},
    definition::{MasterDefinition, Problem, ReconfigPlan, problem},
    master::{
        generations::{Attempt, Cause, Generation, Generations, Verdict, counted, named},
        look::{Good, Look, Tense},
        passwords::Resolved,
        reconfig::{Parts, PrepareError},
    },
    model::Timestamp,
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
    /// The most links that it may cut.
    max_disconnects: Option<u32>,
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

/// The main file of the configuration, and how much a load of it may use.
pub(super) struct MainFile {
    pub(super) path: PathBuf,
    pub(super) limits: Limits,
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
    /// Reloads the configuration, unless that cuts more links than it may, and tells what became of it.
    ///
    /// # Errors
    /// [`ReloadError`]; after [`ReloadError::Late`] the reload goes on.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the reload goes on.
    pub async fn reload(
        &self,
        cause: Cause,
        max_disconnects: Option<u32>,
    ) -> Result<Arc<Attempt>, ReloadError> {
        let (answer, outcome) = oneshot::channel();
        self.requests.try_send(Request { cause, max_disconnects, answer }).map_err(
            |failure| match failure {
                mpsc::error::TrySendError::Full(_) => ReloadError::Busy,
                mpsc::error::TrySendError::Closed(_) => ReloadError::Stopping,
            },
        )?;
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
    pub async fn dry_run(&self, max_disconnects: Option<u32>) -> Result<Attempt, ReloadError> {
        let turn = time::timeout(ANSWER_WITHIN, self.dry.acquire()).await.map_err(|_| ReloadError::Late)?;
        let _turn = turn.map_err(|_| ReloadError::Stopping)?;
        let running = self.generations.borrow().running;
        let mut attempt = Attempt::new([Cause::Command].into(), max_disconnects);
        let (_, examined) = self.look.examine().await;
        let Some(Good { new, plan, resolved, .. }) = attempt.admit(examined, &self.look, running) else {
            return Ok(attempt);
        };
        let renewed = self.look.renewed_passwords(&new, &resolved, Tense::Would);
        let is_same = plan.is_empty() && renewed.is_empty();
        attempt.verdict = if is_same { Verdict::Unchanged } else { Verdict::Planned };
        attempt.items = self.look.items(&plan, Tense::Would);
        attempt.items.extend(renewed);
        attempt.summary = match attempt.items.len() {
            0 => format!("the configuration is unchanged; {running} goes on"),
            count => format!("{}; nothing is changed by a dry run", counted(count, "change")),
        };
        if let Some(text) = self.look.held(&plan) {
            attempt.summary = format!("{}; by a change of the file alone {text}", attempt.summary);
        }
        Ok(attempt)
    }

    /// What runs, and what became of the last reloads.
    pub fn generations(&self) -> Arc<Generations> {
        Arc::clone(&self.generations.borrow())
    }
}

impl Attempt {
    fn new(causes: BTreeSet<Cause>, max_disconnects: Option<u32>) -> Self {
        Self {
            at: Timestamp::now(),
            causes,
            verdict: Verdict::Unchanged,
            generation: None,
            items: Vec::new(),
            impact: None,
            max_disconnects,
            problems: Vec::new(),
            summary: String::new(),
        }
    }

    /// What may come into force; if it may not, this tells why.
    fn admit(
        &mut self,
        examined: Result<Good, Vec<Problem>>,
        look: &Look,
        running: Generation,
    ) -> Option<Good> {
        let mut good = match examined {
            Ok(good) => good,
            Err(problems) => {
                self.refuse(problems, &running.to_string());
                return None;
            }
        };
        self.problems.append(&mut good.warnings);
        if good.plan.is_empty() {
            return Some(good);
        }
        self.impact = Some(look.impact(&good.plan));
        if !good.refusals.is_empty() {
            self.items = look.items(&good.plan, Tense::Not);
            good.refusals.append(&mut self.problems);
            self.refuse(problem::arrange(good.refusals), &running.to_string());
            return None;
        }
        let (Some(count), Some(limit)) = (self.too_many_cuts(), self.max_disconnects) else {
            return Some(good);
        };
        self.items = look.items(&good.plan, Tense::Not);
        self.verdict = Verdict::Refused;
        self.summary = format!(
            "it would cut {}, and at most {limit} may be cut; the running configuration, {running}, is kept",
            counted(count, "link")
        );
        None
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
        let cuts = self.too_many_cuts().and(self.impact.as_ref());
        let cuts = cuts.map_or(&[][..], |impact| &impact.disconnects);
        for cut in cuts.iter().take(MOST_LOGGED) {
            error!("{cut}");
        }
        let counts = [(self.problems.len(), "problem"), (self.items.len(), "change"), (cuts.len(), "link")];
        for (count, noun) in counts {
            if let Some(more) = count.checked_sub(MOST_LOGGED).filter(|more| *more > 0) {
                info!("and {} more", counted(more, noun));
            }
        }
        if let Some(tally) = self.tally() {
            info!("{tally}");
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
        main: MainFile,
        parts: Parts,
        files: FileWatch,
        generations: Generations,
        stop: CancellationToken,
    ) -> (Self, ReloadHandle) {
        let (sender, requests) = mpsc::channel(REQUESTS_DEPTH);
        let (generations, watch) = watch::channel(Arc::new(generations));
        let look = Look {
            main: main.path,
            limits: main.limits,
            definition: parts.definition.subscribe(),
            load: parts.load.clone(),
            registry: parts.registry.clone(),
            generations: watch.clone(),
            roster: parts.roster.subscribe(),
            root: parts.root.clone(),
            masker: parts.keeper.masker().clone(),
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
            let mut limits = Vec::new();
            tokio::select! {
                // Each arm is cancel-safe: what it has not returned is still there at the next turn.
                () = self.stop.cancelled() => return self.parts,
                Some(request) = self.requests.recv() => {
                    causes.insert(request.cause);
                    limits.extend(request.max_disconnects);
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
                limits.extend(request.max_disconnects);
                answers.push(request.answer);
            }
            if self.files.take_changed() {
                causes.insert(Cause::File);
            }
            self.tell(|generations| generations.pending = Some(causes.clone()));
            let Some(attempt) = self.reload(causes, limits.into_iter().min()).await else {
                return self.parts;
            };
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
        let draining = self.parts.draining.clone();
        self.generations.send_modify(|generations| {
            let generations = Arc::make_mut(generations);
            change(generations);
            generations.draining = draining;
        });
    }

    /// One reload; nothing if the master stops meanwhile.
    async fn reload(&mut self, causes: BTreeSet<Cause>, max_disconnects: Option<u32>) -> Option<Attempt> {
        let running = self.generations.borrow().running;
        let by_file_alone = causes.iter().all(|cause| *cause == Cause::File);
        let mut attempt = Attempt::new(causes, max_disconnects);
        // Whatever becomes of the rest: who renews a certificate asks for a reload.
        self.parts.renew_certificates().await;
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
        let Some(Good { new, plan, resolved, .. }) = attempt.admit(examined, &self.look, running) else {
            return Some(attempt);
        };
        if plan.is_empty() {
            // The lines may have moved all the same.
            attempt.items = self.look.renewed_passwords(&new, &resolved, Tense::Done);
            self.parts.refresh(new, resolved);
            attempt.summary = match attempt.items.len() {
                0 => format!("the configuration is unchanged; {running} goes on"),
                count => {
                    let count = counted(count, "password");
                    format!("the configuration is unchanged; {count} in force anew; {running} goes on")
                }
            };
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
        attempt.items.extend(self.look.renewed_passwords(&new, &resolved, Tense::Done));
        match self.bring_into_force(plan, new, resolved, &attempt).await {
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
                attempt.impact = None;
                for item in &mut attempt.items {
                    item.effect = "not applied".into();
                }
                let why = match failure {
                    // What the database said may name hosts and statements: that is for the log.
                    PrepareError::Store(_) => "the database does not take the configuration".to_owned(),
                    PrepareError::Bind(failure) => format!("{failure}: {}", failure.source),
                    PrepareError::Overlap { .. } => failure.to_string(),
                    PrepareError::Certificate { ref source, .. } => {
                        let cause = std::error::Error::source(source);
                        format!(
                            "{failure}: {source}{}",
                            cause.map_or_else(String::new, |cause| format!(": {cause}"))
                        )
                    }
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
        resolved: Resolved,
        attempt: &Attempt,
    ) -> Result<i64, PrepareError> {
        let prepared = self.parts.prepare(plan, new, resolved, named(&attempt.causes)).await?;
        let (number, retired) = self.parts.commit(prepared).await?;
        self.parts.retire(retired);
        Ok(number)
    }
}
