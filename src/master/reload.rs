//! From a reason to reload to a configuration in force, or to a word why not.
//!
//! One task owns the parts of the running configuration. Whoever wants a reload puts a request into its queue; all that
//! has gathered there while one reload ran is one reload, with all its causes.
//!
//! # Laws
//! - One reload runs, and at most one waits.
//! - A bad file changes nothing. Until the commit, all is as before.
//! - What was caused by a file alone takes away no more than half of the connected workers: half a file is often valid.
//! - Requests that became one reload are held to the strictest limit among them. What was refused by it is not brought
//!   into force by a file alone; a request without a limit does.
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
use tracing::error;

use crate::{
    config::{FileWatch, Limits, Watched},
    definition::{MasterDefinition, ReconfigPlan},
    master::{
        generations::{Attempt, Cause, Generations, Verdict, counted, named},
        look::{Good, Look, Tense},
        passwords::Resolved,
        reconfig::{Parts, PrepareError},
    },
};

/// Requests waiting for the running reload: operators and scripts, a few at once. All of them are one reload.
const REQUESTS_DEPTH: usize = 64;

/// How long whoever asks for a reload waits for its outcome: less than a client of the API waits for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(50);

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

/// All that is to become one reload.
#[derive(Default)]
struct Batch {
    causes: BTreeSet<Cause>,
    /// The strictest of their limits.
    max_disconnects: Option<u32>,
    answers: Vec<oneshot::Sender<Arc<Attempt>>>,
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
    /// The limit by which the last load was refused: changes of files are held to it.
    refused_by: Option<u32>,
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

impl Batch {
    fn add(&mut self, request: Request) {
        let Request { cause, max_disconnects, answer } = request;
        self.causes.insert(cause);
        self.max_disconnects = self.max_disconnects.into_iter().chain(max_disconnects).min();
        self.answers.push(answer);
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
        (Self { parts, look, files, requests, generations, refused_by: None, stop }, handle)
    }

    /// Reloads whenever there is a reason, until it is stopped; gives the parts back then.
    pub(super) async fn run(mut self) -> Parts {
        loop {
            let mut batch = Batch::default();
            tokio::select! {
                // Each arm is cancel-safe: what it has not returned is still there at the next turn.
                () = self.stop.cancelled() => return self.parts,
                Some(request) = self.requests.recv() => batch.add(request),
                () = self.files.changed() => {
                    batch.causes.insert(Cause::File);
                }
                () = self.parts.load_changed() => {
                    self.parts.settle();
                    self.tell(|_| {});
                    continue;
                }
            }
            while let Ok(request) = self.requests.try_recv() {
                batch.add(request);
            }
            if self.files.take_changed() {
                batch.causes.insert(Cause::File);
            }
            let Batch { causes, max_disconnects, answers } = batch;
            self.tell(|generations| generations.pending = Some(causes.clone()));
            let by_file_alone = causes.iter().all(|cause| *cause == Cause::File);
            let limit = if by_file_alone { self.refused_by } else { max_disconnects };
            let Some(attempt) = self.reload(causes, limit).await else { return self.parts };
            // A mistake in the file takes nothing back of what was said before it.
            if !by_file_alone || attempt.obstacle().is_none() {
                self.refused_by = attempt.too_many_cuts().and(limit);
            }
            self.tell(|generations| {
                generations.pending = None;
                generations.remember(&attempt);
            });
            // Only now: whoever has read of it in the log finds it when asked for.
            attempt.log();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_become_one_reload_are_held_to_the_strictest_limit() {
        let mut batch = Batch::default();
        for (cause, max_disconnects, strictest) in [
            (Cause::Signal, None, None),
            (Cause::Command, Some(3), Some(3)),
            (Cause::Command, Some(0), Some(0)),
            (Cause::Command, Some(7), Some(0)),
            (Cause::Signal, None, Some(0)),
        ] {
            let (answer, _) = oneshot::channel();
            batch.add(Request { cause, max_disconnects, answer });
            assert_eq!(batch.max_disconnects, strictest);
        }
        assert_eq!((batch.causes.len(), batch.answers.len()), (2, 5));
    }
}
