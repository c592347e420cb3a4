//! Locks: what keeps builds and steps apart that must not run at the same time.
//!
//! [`book`] decides, over plain values: who holds what, and who waits in which order. [`Locks`] is the one that all builds of a
//! master share. A build asks for its builder's and its worker's locks before it begins, a step for its own.
//!
//! # Not here
//! How the operator writes them (`definition::lock`), and how a step waits (`step::locked`).

pub mod book;
mod handle;

use std::collections::BTreeMap;

pub use book::{
    Answer, AskError, Blocked, Book, Cycle, Limits, Link, LockId, LockState, Mode, Owner, Scope, Stand,
    WaitsFor, Want,
};
pub use handle::{AwaitsEnds, Held, Locks, Turn, TurnError, Turned};

use crate::{
    definition::{
        BuilderDefinition, LockAccess, LockDefinition, LockKind, LockMode, MasterDefinition, WorkerDefinition,
    },
    model::{LockName, WorkerName},
    store::Unfinished,
};

/// What `locks` of a builder, a worker or a step are on a worker.
pub fn wants(locks: &[LockAccess], worker: &WorkerName) -> Vec<Want> {
    let want = |access: &LockAccess| {
        let worker = match access.lock.kind {
            LockKind::Master => None,
            LockKind::Worker { .. } => Some(worker.clone()),
        };
        let mode = match access.mode {
            LockMode::Counting(count) => Mode::Counting(count),
            LockMode::Exclusive => Mode::Exclusive,
        };
        Want { lock: LockId { name: access.lock.name.clone(), worker }, mode }
    };
    locks.iter().map(want).collect()
}

impl Locks {
    /// Gives a build that has outlived its master what it held there, whatever others hold: for its builder, its worker and
    /// the step that runs.
    pub(super) fn hold_again(
        &self,
        begun: &Unfinished,
        builder: &BuilderDefinition,
        worker: &WorkerDefinition,
    ) {
        let request = begun.request.id;
        for locks in [&builder.locks, &worker.locks] {
            self.hold(Owner::Request(request), &wants(locks, &worker.name));
        }
        let running = usize::try_from(begun.step_number).ok().and_then(|number| builder.steps.get(number));
        if let Some(step) = running {
            self.hold(Owner::Step { request, step: begun.step }, &wants(&step.locks, &worker.name));
        }
    }
}

/// How much there is of each lock of a configuration.
pub fn limits(definition: &MasterDefinition) -> BTreeMap<LockName, Limits> {
    let of = |lock: &LockDefinition| {
        let (scope, for_worker) = match &lock.kind {
            LockKind::Master => (Scope::Master, BTreeMap::new()),
            LockKind::Worker { max_count_for_worker } => (Scope::Worker, max_count_for_worker.clone()),
        };
        Limits { scope, max_count: lock.max_count, for_worker }
    };
    definition.locks().iter().map(|(name, lock)| (name.clone(), of(lock))).collect()
}
