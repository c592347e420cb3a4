//! What functions of the configuration are asked, and what becomes of their answers.
//!
//! # Laws
//! - One question about a builder is out at a time; the others go on meanwhile.
//! - A function that said no, or failed, is asked again about that request when something has changed, but not within a second;
//!   and after ten seconds in any case. So is one that failed to order the builders; until it gives an order, the usual one is
//!   in force.
//! - An answer starts nothing that could not start without the question.

use std::{sync::Arc, time::Instant};

use super::{Board, Ranking, Refusal, candidate::Candidate};
use crate::{
    definition::{BuilderDefinition, Hook, Interpreter, WorkerDefinition},
    model::{BuildRequestId, BuilderName, WorkerName},
    store::QueuedRequest,
};

/// A question to functions of the configuration.
#[derive(Debug)]
pub(in crate::build) struct Question {
    pub(in crate::build) matter: Matter,
    /// Who calls them.
    pub(in crate::build) interpreter: Interpreter,
    version: u64,
}

/// What is asked.
#[derive(Debug)]
pub(in crate::build) enum Matter {
    /// In which order the builders are served.
    Ranking { hook: Hook, builders: Vec<BuilderFacts> },
    /// Which request of a builder starts on which worker.
    Build {
        builder: Arc<BuilderDefinition>,
        about: Box<BuilderFacts>,
        /// `c.select_next_worker`.
        select: Option<Hook>,
        /// In their order, each with the workers that may take it, the best first.
        requests: Vec<(QueuedRequest, Vec<WorkerFacts>)>,
    },
}

/// What functions are told of a builder.
#[derive(Clone, Debug)]
pub(in crate::build) struct BuilderFacts {
    pub(in crate::build) builder: Arc<BuilderDefinition>,
    pub(in crate::build) running: usize,
    /// So many are known; there may be more.
    pub(in crate::build) waiting: usize,
    /// Its first request.
    pub(in crate::build) first: Option<QueuedRequest>,
}

/// What functions are told of a worker.
#[derive(Clone, Debug)]
pub(in crate::build) struct WorkerFacts {
    pub(in crate::build) worker: Arc<WorkerDefinition>,
    pub(in crate::build) running: usize,
}

/// What functions said.
#[derive(Debug)]
pub(in crate::build) struct Answer {
    version: u64,
    pub(in crate::build) said: AnswerTo,
}

/// What functions said, to which question.
#[derive(Debug)]
pub(in crate::build) enum AnswerTo {
    /// This order; a failure leaves the usual one.
    Ranking(Option<Vec<BuilderName>>),
    /// This request starts on this worker.
    Start(BuilderName, BuildRequestId, WorkerName),
    /// These requests do not start now: all that were asked about, if none is named.
    Not(BuilderName, Option<BuildRequestId>, Said),
}

/// What a function said that kept a request from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The option that holds it: `canStartBuild`.
    pub function: &'static str,
    /// What it said, or how it failed.
    pub what: String,
}

impl Question {
    /// The answer to this question.
    pub(in crate::build) const fn answered(&self, said: AnswerTo) -> Answer {
        Answer { version: self.version, said }
    }
}

impl Board {
    pub(super) fn question(&self, matter: Matter) -> Question {
        Question { matter, interpreter: self.definition.interpreter.clone(), version: self.version }
    }

    pub(super) fn is_asked_about(&self, builder: &BuilderDefinition) -> bool {
        let selects = || self.definition.settings.as_ref().is_some_and(|s| s.select_next_worker.is_some());
        builder.next_build.is_some()
            || builder.next_worker.is_some()
            || builder.can_start_build.is_some()
            || selects()
    }

    pub(super) fn about(&self, builder: &Arc<BuilderDefinition>) -> BuilderFacts {
        let pending = self.pending.get(&builder.name);
        BuilderFacts {
            builder: Arc::clone(builder),
            running: self.busy.of_builder(&builder.name),
            waiting: pending.map_or(0, |pending| pending.window.len()),
            first: pending.and_then(|pending| pending.first().cloned()),
        }
    }

    pub(super) fn worker_facts(&self, candidate: &Candidate) -> WorkerFacts {
        let worker = Arc::clone(&self.farm.workers[candidate.number]);
        WorkerFacts { worker, running: candidate.running }
    }

    /// Notes an answer; what it wants to start is returned.
    pub(super) fn take_answer(
        &mut self,
        answer: Answer,
        now: Instant,
    ) -> Option<(BuilderName, BuildRequestId, WorkerName)> {
        let Answer { version, said } = answer;
        match said {
            AnswerTo::Ranking(names) => {
                self.ranking_asked = false;
                // What has changed meanwhile changes the next answer, not this one.
                self.ranking = Some(Ranking { names, version: self.version, at: now });
                None
            }
            AnswerTo::Start(builder, request, worker) => {
                let pending = self.pending.get_mut(&builder)?;
                pending.asked = false;
                pending.all_refused = None;
                pending.refused.remove(&request);
                Some((builder, request, worker))
            }
            AnswerTo::Not(builder, request, said) => {
                let pending = self.pending.get_mut(&builder)?;
                pending.asked = false;
                let refusal = Refusal { said, version, at: now };
                match request {
                    Some(request) => {
                        pending.refused.insert(request, refusal);
                    }
                    None => pending.all_refused = Some(refusal),
                }
                None
            }
        }
    }
}
