//! Which request goes to which worker next: a decision over plain values.
//!
//! The board knows the first requests of each builder that has some, and what runs. The queue tells it what changed, and
//! asks what is to be done next.
//!
//! # Laws
//! - Builders are served by the priority of their first request; among equals those with the fewest running builds, then the
//!   one that was served longest ago, then the one with the oldest request, then by name. So those that compete for the same
//!   workers have equal shares, and the order among requests of one builder is theirs in the store.
//! - A request starts at once if some worker may take it: one that is connected, that neither operator nor quarantine keeps from
//!   builds, that fits the builder, with a free slot and a free place for it, and with all locks free.
//! - What keeps one request from starting does not keep those behind it, unless it is the same that keeps them.
//! - A build that is lent the slot of its parent needs no other.
//! - Memory is bounded by the number of builders, whatever the length of the queue.
//!
//! # Not here
//! Store, connections, functions of the configuration (`queue`); the book of locks (`lock`).

mod candidate;
mod explain;
mod farm;
mod question;
mod round;
mod serve;
#[cfg(test)]
mod tests;
mod words;

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use self::farm::Farm;
pub use self::{
    candidate::{Standing, WhyNot},
    explain::{Explanation, Hindrance, WorkerExplained},
    question::Said,
};
pub(super) use self::{
    question::{Answer, AnswerTo, BuilderFacts, Matter, Question, WorkerFacts},
    round::{Move, Start, Stuck, Wanted},
};
use crate::{
    build::{
        busy::Busy,
        lock::{Locks, Owner},
    },
    definition::{BuilderDefinition, MasterDefinition, Mismatch, WorkerDefinition},
    model::{BuildRequestId, BuilderName, WorkerName},
    store::{QueueMark, QueuedRequest},
};

/// Requests of one builder that are read together: as many may start before the store is asked again.
pub(super) const PAGE: usize = 32;

/// Requests of one builder that are looked at, if those before them cannot start for reasons of their own.
const MOST_LOOKED_AT: usize = 1024;

/// The shortest time after which a function that said no is asked again, when something has changed.
const ASK_AGAIN_SOON: Duration = Duration::from_secs(1);

/// The longest time after which it is asked again, if nothing has.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// What the board asks of those that know the workers. Asked at most once for each in a round.
pub trait Outlook {
    /// How a worker stands.
    fn standing(&self, worker: &WorkerName) -> Standing;

    /// Whether a connected worker is what a builder wants, by what it says of itself. Asked for builders that want something.
    fn fits(&self, builder: &BuilderDefinition, worker: &WorkerDefinition) -> Result<(), Mismatch>;
}

/// What waits and what runs.
#[derive(Debug)]
pub(super) struct Board {
    definition: Arc<MasterDefinition>,
    farm: Farm,
    pending: BTreeMap<BuilderName, Pending>,
    pub(super) busy: Busy,
    /// Grows with each change that may let a request start which could not before.
    version: u64,
    /// The order of the builders that a function gave.
    ranking: Option<Ranking>,
    /// Whether that function is being asked.
    ranking_asked: bool,
    pub(super) locks: Locks,
    /// Requests that stand in the line of some lock.
    in_line: HashSet<BuildRequestId>,
    /// When a round is wanted though nothing changes.
    wake_at: Option<Instant>,
}

/// The order of the builders that a function gave; the usual one if it failed.
#[derive(Debug)]
struct Ranking {
    names: Option<Vec<BuilderName>>,
    version: u64,
    at: Instant,
}

impl Ranking {
    /// When the function is to be asked again: if something changed, at once, but after a failure not so soon.
    fn ask_again_at(&self, version: u64) -> Instant {
        match &self.names {
            _ if version == self.version => self.at + ASK_AGAIN,
            Some(_) => self.at,
            None => self.at + ASK_AGAIN_SOON,
        }
    }
}

/// The first requests of a builder.
#[derive(Debug, Default)]
struct Pending {
    window: VecDeque<QueuedRequest>,
    /// Those whose parents wait for them, wherever they are in the queue: they need no slot of their own.
    children: Vec<QueuedRequest>,
    /// The store may hold others than those in the window.
    stale: bool,
    /// The store has more behind the window.
    more: bool,
    /// A function is being asked about them.
    asked: bool,
    /// Functions said no, or failed.
    refused: HashMap<BuildRequestId, Refusal>,
    /// No function is asked before: the one that chooses among them chose none.
    all_refused: Option<Refusal>,
}

/// A function kept a request from starting.
#[derive(Clone, Debug)]
struct Refusal {
    said: Said,
    version: u64,
    at: Instant,
}

impl Refusal {
    /// When it is worth while to ask again.
    fn ask_again_at(&self, version: u64) -> Instant {
        self.at + if version == self.version { ASK_AGAIN } else { ASK_AGAIN_SOON }
    }
}

/// What the store is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refill {
    /// For which builder.
    pub(super) builder: BuilderName,
    /// From its first request, or behind this one.
    pub(super) after: Option<QueueMark>,
}

impl Board {
    pub(super) fn new(definition: Arc<MasterDefinition>, locks: Locks) -> Self {
        let mut board = Self {
            locks,
            farm: Farm::of(&definition),
            busy: Busy::new(Arc::clone(&definition)),
            definition,
            pending: BTreeMap::new(),
            version: 0,
            ranking: None,
            ranking_asked: false,
            in_line: HashSet::new(),
            wake_at: None,
        };
        board.mark_all_stale();
        board
    }

    /// From now on builds are given out by this configuration.
    pub(super) fn reconfigure(&mut self, definition: Arc<MasterDefinition>) {
        if !Arc::ptr_eq(&self.definition, &definition) {
            self.farm = Farm::of(&definition);
            self.ranking = None;
            self.pending.retain(|name, _| definition.builders.contains_key(name));
            for pending in self.pending.values_mut() {
                // Another function may say something else.
                pending.refused.clear();
                pending.all_refused = None;
            }
            self.busy.last_used.retain(|name, _| definition.workers.contains_key(name));
            self.busy.last_served.retain(|name, _| definition.builders.contains_key(name));
            self.busy.load.send_modify(|load| load.definition = Arc::clone(&definition));
            self.definition = definition;
        }
        self.mark_all_stale();
    }

    /// Something changed that may let a request start: a worker came, a lock is free.
    pub(super) fn something_changed(&mut self) {
        self.version += 1;
    }

    /// The store may have other requests of this builder than those that are known; false if it is not configured.
    pub(super) fn mark_stale(&mut self, builder: &BuilderName) -> bool {
        self.version += 1;
        match self.pending.get_mut(builder) {
            Some(pending) => pending.stale = true,
            None => return false,
        }
        true
    }

    /// The store may have other requests than those that are known.
    pub(super) fn mark_all_stale(&mut self) {
        self.version += 1;
        for name in self.definition.builders.keys() {
            self.pending.entry(name.clone()).or_default().stale = true;
        }
    }

    /// What was read of a builder's queue: a page, and whether there is more behind it. What is to be read next, if none of
    /// it is of use.
    pub(super) fn refill(
        &mut self,
        refill: &Refill,
        requests: Vec<QueuedRequest>,
        more: bool,
    ) -> Option<Refill> {
        let pending = self.pending.get_mut(&refill.builder)?;
        if refill.after.is_none() {
            pending.stale = false;
            pending.window.clear();
        }
        let last = requests.last().map(QueuedRequest::mark);
        // Those that start just now may not be claimed in the store yet.
        let waiting = requests.into_iter().filter(|request| !self.busy.builds.contains_key(&request.id));
        pending.window.extend(waiting);
        pending.more = more;
        let window = &pending.window;
        pending.refused.retain(|id, _| window.iter().any(|request| request.id == *id));
        let after = last.filter(|_| more && pending.window.is_empty())?;
        Some(Refill { builder: refill.builder.clone(), after: Some(after) })
    }

    /// These requests are waited for by builds that lend them their seats. All that there are: earlier ones are forgotten.
    pub(super) fn set_children(&mut self, children: Vec<QueuedRequest>) {
        self.version += 1;
        self.pending.values_mut().for_each(|pending| pending.children.clear());
        for child in children {
            if let Some(pending) = self.pending.get_mut(&child.builder)
                && !self.busy.builds.contains_key(&child.id)
            {
                pending.children.push(child);
            }
        }
    }

    /// A request is complete, perhaps without a build.
    pub(super) fn forget(&mut self, builder: &BuilderName, request: BuildRequestId) {
        if let Some(pending) = self.pending.get_mut(builder)
            && let Some(index) = pending.find(request)
        {
            pending.take(index);
        }
    }

    /// A build has ended, or has not begun after all.
    pub(super) fn release(&mut self, request: BuildRequestId) {
        self.version += 1;
        self.locks.release(Owner::Request(request));
        self.busy.release(request);
    }
}

/// A request that a builder knows: first those of the window, then the children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Index(usize);

impl Pending {
    fn indexes(&self) -> impl Iterator<Item = Index> + use<> {
        (0..self.window.len() + self.children.len()).map(Index)
    }

    fn request(&self, Index(index): Index) -> Option<&QueuedRequest> {
        match index.checked_sub(self.window.len()) {
            None => self.window.get(index),
            Some(child) => self.children.get(child),
        }
    }

    fn first(&self) -> Option<&QueuedRequest> {
        self.request(Index(0))
    }

    fn find(&self, request: BuildRequestId) -> Option<Index> {
        self.indexes().find(|index| self.request(*index).is_some_and(|known| known.id == request))
    }

    /// Takes a request out.
    fn take(&mut self, Index(index): Index) -> QueuedRequest {
        let request = match index.checked_sub(self.window.len()) {
            None => self.window.remove(index),
            Some(child) => Some(self.children.remove(child)),
        };
        let request = request.expect("an index is of a request that is known");
        self.window.retain(|other| other.id != request.id);
        self.children.retain(|other| other.id != request.id);
        self.refused.remove(&request.id);
        // The window was one page; what lies behind it is looked up when it is used up.
        self.stale |= self.window.is_empty() && self.more;
        request
    }
}
