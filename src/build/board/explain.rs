//! Why a request does not run: for itself, and for each worker that might take it.
//!
//! # Not here
//! How that is said, and what would change it (`words`).

use std::collections::HashSet;

use super::{
    Board, Outlook, Said, WhyNot,
    candidate::{Candidate, examine},
};
use crate::{
    build::lock::{Owner, Stand, Want},
    definition::BuilderDefinition,
    model::{BuildRequestId, BuilderName, Timestamp, WorkerName},
    store::QueuedRequest,
};

/// Why a request does not run.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// What keeps it whatever the workers do; nothing if it could start now.
    pub hindrances: Vec<Hindrance>,
    /// Each worker that the builder names, all if it names none: first those that could ever take it, in each part by name.
    pub workers: Vec<WorkerExplained>,
}

/// Why a worker does not run a request.
#[derive(Clone, Debug)]
pub struct WorkerExplained {
    /// Which.
    pub worker: WorkerName,
    /// Why not; nothing if it could.
    pub why: Option<WhyNot>,
}

/// What keeps a request from starting, whatever the workers do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// The master gives out no more builds.
    Stopping,
    /// Its builder is not in the configuration.
    NotConfigured(BuilderName),
    /// No worker of the configuration can ever take it.
    NoWorker,
    /// It was lost, and waits before it is tried again.
    NotBefore(Timestamp),
    /// It was given to a worker just now.
    Given(WorkerName),
    /// So many of its builder come before it.
    Behind {
        /// How many.
        requests: u64,
        /// Whether there may be more of them.
        at_least: bool,
    },
    /// A function of the configuration is being asked.
    Asked,
    /// A function of the configuration kept it back.
    Refused(Said),
}

impl Board {
    /// Why a request does not run. `ahead` of it are so many of its builder, or more.
    pub(in crate::build) fn explain(
        &self,
        request: &QueuedRequest,
        (ahead, at_least): (u64, bool),
        outlook: &dyn Outlook,
        lent: &HashSet<BuildRequestId>,
        now: Timestamp,
    ) -> Explanation {
        let Some(builder) = self.definition.builders.get(&request.builder) else {
            let hindrances = vec![Hindrance::NotConfigured(request.builder.clone())];
            return Explanation { hindrances, workers: Vec::new() };
        };
        let mut hindrances = Vec::new();
        if let Some(seat) = self.busy.builds.get(&request.id) {
            hindrances.push(Hindrance::Given(seat.worker.clone()));
        }
        if let Some(at) = request.not_before.filter(|at| *at > now) {
            hindrances.push(Hindrance::NotBefore(at));
        }
        if let Some(pending) = self.pending.get(&request.builder) {
            let refused = pending.refused.get(&request.id).or(pending.all_refused.as_ref());
            hindrances.extend(refused.map(|refusal| Hindrance::Refused(refusal.said.clone())));
            if pending.asked {
                hindrances.push(Hindrance::Asked);
            }
        }
        if ahead > 0 {
            hindrances.push(Hindrance::Behind { requests: ahead, at_least });
        }
        let numbers = self.farm.of_builder(&builder.name);
        if numbers.is_empty() {
            hindrances.push(Hindrance::NoWorker);
        }
        let lends = self.lends(request, lent);
        let candidates = numbers.iter().map(|number| {
            let is_lent = lends == Some(*number);
            let seen = examine(outlook, (&self.farm, &self.busy), builder, *number, is_lent);
            let why = match seen {
                Ok(candidate) => self.locked(builder, request, &candidate),
                Err(why) => Some(why),
            };
            (*number, why)
        });
        let is_candidate: HashSet<usize> = numbers.iter().copied().collect();
        let others = self.farm.named_by(builder).into_iter().filter(|number| !is_candidate.contains(number));
        let others = others.map(|number| {
            let mismatch = builder.worker_match.contradiction(&self.farm.workers[number]);
            (number, Some(mismatch.map_or(WhyNot::TooFewLocks, WhyNot::Mismatch)))
        });
        let workers = candidates.chain(others);
        let workers = workers
            .map(|(number, why)| WorkerExplained { worker: self.farm.workers[number].name.clone(), why });
        Explanation { hindrances, workers: workers.collect() }
    }

    fn locked(
        &self,
        builder: &BuilderDefinition,
        request: &QueuedRequest,
        candidate: &Candidate,
    ) -> Option<WhyNot> {
        let (owner, wants) = (Owner::Request(request.id), self.wants(builder, candidate));
        if wants.is_empty() || self.locks.would_grant(owner, &wants) {
            return None;
        }
        Some(WhyNot::Locked { locks: self.taken(owner, &wants) })
    }
}

impl Board {
    /// The locks among these that cannot be had, each with who holds it and who waits for it.
    fn taken(&self, owner: Owner, wants: &[Want]) -> Vec<String> {
        let states = self.locks.snapshot();
        let blocked = wants.iter().filter(|want| !self.locks.would_grant(owner, std::slice::from_ref(want)));
        let told = blocked.map(|want| {
            let state =
                states.iter().find(|state| state.name == want.lock.name && state.worker == want.lock.worker);
            let names = |stands: &[Stand]| {
                let others = stands.iter().filter(|stand| stand.owner.request() != owner.request());
                others
                    .map(|stand| format!("request {}", stand.owner.request()))
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            let holders = state.map(|state| names(&state.holders)).filter(|names| !names.is_empty());
            let waiters = state.map(|state| names(&state.waiters)).filter(|names| !names.is_empty());
            match (holders, waiters) {
                (Some(holders), _) => format!("lock {}, held by {holders}", want.lock),
                (None, Some(waiters)) => format!("lock {}, for which {waiters} waits", want.lock),
                (None, None) => format!("lock {}", want.lock),
            }
        });
        told.collect()
    }
}
