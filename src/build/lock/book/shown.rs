//! The book as people read it.

use std::{collections::BTreeMap, fmt};

use super::{Book, Crowd, LockId, Mode, Owner, Scope};
use crate::model::{LockName, WorkerName};

/// Somebody who holds a lock or waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    /// Who.
    pub owner: Owner,
    /// How; of a waiter with a choice, the most that it may take.
    pub mode: Mode,
}

/// A lock that somebody waits for, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Which.
    pub lock: LockId,
    /// Who holds it, in the order of their grants.
    pub holders: Vec<Stand>,
    /// Who stands before the one that waits, the first one first.
    pub before: Vec<Stand>,
}

/// A lock as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockState {
    /// Its name.
    pub name: LockName,
    /// Of which worker. A lock that each worker has is told of without one while nobody holds it or waits for it.
    pub worker: Option<WorkerName>,
    /// One, or one for each worker.
    pub scope: Scope,
    /// The sum of what can be held at once.
    pub max_count: u32,
    /// Who holds it, in the order of their grants.
    pub holders: Vec<Stand>,
    /// Who waits, the first one first.
    pub waiters: Vec<Stand>,
}

impl fmt::Display for LockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.worker {
            None => write!(f, "`{}`", self.name),
            Some(worker) => write!(f, "`{}` of worker {worker}", self.name),
        }
    }
}

const fn stand((owner, mode): (Owner, Mode)) -> Stand {
    Stand { owner, mode }
}

impl Book {
    /// Each lock that an owner waits for and cannot have now.
    pub fn blockers(&self, owner: Owner) -> Vec<Blocked> {
        let build = owner.request();
        let Some(waiter) = self.waiting.get(&build).and_then(|owners| owners.get(&owner)) else {
            return Vec::new();
        };
        let wants = super::standing(&waiter.alternatives);
        let blocked = wants.into_iter().filter_map(|(id, mode)| {
            let lock = self.locks.get(&id)?;
            let holders: Vec<_> = lock.held_by_others(build).map(stand).collect();
            let before: Vec<_> = lock.before(build, waiter.ticket).map(stand).collect();
            let crowd: Crowd = holders.iter().chain(&before).map(|stand| stand.mode).collect();
            let is_free = crowd.admits(mode, self.max_count(&id));
            (!is_free).then_some(Blocked { lock: id, holders, before })
        });
        blocked.collect()
    }

    /// All locks that are configured or in use, by name.
    pub fn snapshot(&self) -> Vec<LockState> {
        let mut states: BTreeMap<LockId, LockState> = BTreeMap::new();
        for (id, lock) in &self.locks {
            let state = LockState {
                name: id.name.clone(),
                worker: id.worker.clone(),
                scope: if id.worker.is_some() { Scope::Worker } else { Scope::Master },
                max_count: self.max_count(id),
                holders: lock.holders.iter().copied().map(stand).collect(),
                waiters: lock.waiters.values().copied().map(stand).collect(),
            };
            states.insert(id.clone(), state);
        }
        for (name, (limits, _)) in &self.limits {
            if self.is_in_use(name) {
                continue;
            }
            let (scope, max_count) = (limits.scope, limits.max_count);
            let state = LockState {
                name: name.clone(),
                worker: None,
                scope,
                max_count,
                holders: Vec::new(),
                waiters: Vec::new(),
            };
            states.insert(LockId { name: name.clone(), worker: None }, state);
        }
        states.into_values().collect()
    }
}
