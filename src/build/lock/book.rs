//! The book of locks: who holds what, and who waits in which order. Plain values; whoever waits asks again when something
//! has changed.
//!
//! # Laws
//! - All or nothing: who is granted gets all locks of one of its alternatives at once, and holds none of the others.
//! - First come, first served: each waiter has a ticket from its first ask on, by which it stands in the lines of all locks
//!   that it might take. A grant leaves enough for those before it, so nobody starves.
//! - A count never exceeds the limit that held at the grant. Who wants more than the limit has the lock alone. What is held
//!   [by force](Book::hold) counts, and nobody else gets any until it is below the limit again.
//! - A waiter that waits for a build, perhaps through others, does not stand before that build. So the lines alone never lock
//!   anybody up: only builds that hold and wait can, and that is [found](Book::deadlock).
//!
//! # Not here
//! When to ask again (`handle`), what becomes of a deadlock (`step`).
//!
//! # Source
//! Behaviour: Buildbot, `locks.py` and `process/builder.py`, with one line of waiters in place of one for each lock: those
//! could stand in each other's way.

mod deadlock;
#[cfg(test)]
mod laws;
mod shown;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use self::{
    deadlock::{Cycle, Link},
    shown::{Blocked, LockState, Stand},
};
use crate::model::{BuildRequestId, LockName, StepId, WorkerName};

/// A lock: one for all, or one of a worker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockId {
    /// As the operator named it.
    pub name: LockName,
    /// Of which worker, if each has one of its own.
    pub worker: Option<WorkerName>,
}

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// So much of it; nothing at all is always to be had.
    Counting(u32),
    /// All of it, alone.
    Exclusive,
}

/// What somebody wants of a lock. Wants for the same lock are added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// Which.
    pub lock: LockId,
    /// How.
    pub mode: Mode,
}

/// Who holds locks, and waits for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A request, and the build of it.
    Request(BuildRequestId),
    /// A step of its build.
    Step {
        /// Of which request.
        request: BuildRequestId,
        /// Which.
        step: StepId,
    },
}

impl Owner {
    /// The request by which its build is known.
    pub const fn request(self) -> BuildRequestId {
        match self {
            Self::Request(request) | Self::Step { request, .. } => request,
        }
    }
}

/// What comes of an ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All wants of this alternative are held.
    Granted(usize),
    /// It waits; to be asked again when something has changed.
    Waiting,
}

/// Why an ask makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The build would wait for itself.
    #[error("the build already holds the lock {lock}")]
    AlreadyHeld {
        /// Which lock.
        lock: LockId,
    },
}

/// Whether a name is one lock, or one for each worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One for all: `util.MasterLock`.
    Master,
    /// One for each worker: `util.WorkerLock`.
    Worker,
}

/// How much there is of a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// One, or one for each worker.
    pub scope: Scope,
    /// The sum of what can be held at once.
    pub max_count: u32,
    /// The same for single workers.
    pub for_worker: BTreeMap<WorkerName, u32>,
}

impl Limits {
    /// Of the lock of one worker, or of the one lock.
    fn of(&self, worker: Option<&WorkerName>) -> u32 {
        worker.and_then(|worker| self.for_worker.get(worker)).copied().unwrap_or(self.max_count)
    }
}

/// Who holds what, and who waits.
#[derive(Clone, Debug, Default)]
pub struct Book {
    limits: BTreeMap<LockName, (Limits, Origin)>,
    /// Those that somebody holds or waits for.
    locks: BTreeMap<LockId, Lock>,
    held: BTreeMap<BuildRequestId, BTreeMap<Owner, Wants>>,
    waiting: BTreeMap<BuildRequestId, BTreeMap<Owner, Waiter>>,
    next_ticket: u64,
    version: u64,
}

/// Where limits come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Configured,
    /// From an earlier configuration, as long as somebody holds the lock or waits for it.
    Kept,
}

/// Merged: none is [`Mode::Counting`] of nothing.
type Wants = BTreeMap<LockId, Mode>;

#[derive(Clone, Debug, Default)]
struct Lock {
    /// In the order of their grants.
    holders: Vec<(Owner, Mode)>,
    /// By ticket.
    waiters: BTreeMap<u64, (Owner, Mode)>,
}

#[derive(Clone, Debug)]
struct Waiter {
    ticket: u64,
    alternatives: Vec<Wants>,
}

/// What is held of a lock, or stands before somebody.
#[derive(Clone, Copy, Debug, Default)]
struct Crowd {
    is_exclusive: bool,
    count: u64,
}

impl FromIterator<Mode> for Crowd {
    fn from_iter<T: IntoIterator<Item = Mode>>(modes: T) -> Self {
        modes.into_iter().fold(Self::default(), |crowd, mode| match mode {
            Mode::Counting(count) => Self { count: crowd.count.saturating_add(u64::from(count)), ..crowd },
            Mode::Exclusive => Self { is_exclusive: true, ..crowd },
        })
    }
}

impl Crowd {
    const fn is_nobody(self) -> bool {
        !self.is_exclusive && self.count == 0
    }

    /// Whether there is room for one more, of a lock with this limit.
    fn admits(self, mode: Mode, max: u32) -> bool {
        match mode {
            Mode::Exclusive => self.is_nobody(),
            // Who wants more than there can ever be waits until it is alone, and not for ever.
            Mode::Counting(count) => {
                self.is_nobody()
                    || (!self.is_exclusive && self.count.saturating_add(u64::from(count)) <= u64::from(max))
            }
        }
    }
}

impl Book {
    /// Grants the first alternative of which all wants can be had at once. If there is none, the owner stands in the line of
    /// each lock of each alternative; asking again it keeps its place, and these alternatives come in place of the earlier.
    ///
    /// # Errors
    /// [`AskError::AlreadyHeld`] if its build holds one of the locks already; then nothing has changed.
    pub fn ask(&mut self, owner: Owner, alternatives: &[Vec<Want>]) -> Result<Answer, AskError> {
        let alternatives: Vec<Wants> = alternatives.iter().map(|wants| merged(wants)).collect();
        self.check(owner, &alternatives)?;
        let ticket = self.ticket(owner);
        let granted = alternatives.iter().position(|wants| self.is_free(owner, ticket, wants));
        if let Some(granted) = granted {
            let wants = alternatives.into_iter().nth(granted).expect("a position is of the list");
            self.enter(owner, wants);
            self.withdraw(owner);
            return Ok(Answer::Granted(granted));
        }
        self.line_up(owner, ticket, &alternatives);
        Ok(Answer::Waiting)
    }

    /// Has an owner stand in the line of each lock of each alternative, without taking what it could have; as [`Self::ask`]
    /// it keeps its place.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn stand(&mut self, owner: Owner, alternatives: &[Vec<Want>]) -> Result<(), AskError> {
        let alternatives: Vec<Wants> = alternatives.iter().map(|wants| merged(wants)).collect();
        self.check(owner, &alternatives)?;
        self.line_up(owner, self.ticket(owner), &alternatives);
        Ok(())
    }

    fn line_up(&mut self, owner: Owner, ticket: u64, alternatives: &[Wants]) {
        self.next_ticket = self.next_ticket.max(ticket + 1);
        let stands = standing(alternatives);
        let waiters = self.waiting.entry(owner.request()).or_default();
        let earlier = waiters.insert(owner, Waiter { ticket, alternatives: alternatives.to_vec() });
        for (lock, mode) in &stands {
            self.locks.entry(lock.clone()).or_default().waiters.insert(ticket, (owner, *mode));
        }
        let is_new = earlier.as_ref().is_none_or(|earlier| earlier.alternatives != alternatives);
        if is_new && (earlier.is_some() || self.held.contains_key(&owner.request())) {
            // It may take less than before; or others wait now for a build that they did not wait for, and so stand no more
            // before it.
            self.version += 1;
        }
        let earlier = earlier.map(|waiter| standing(&waiter.alternatives)).unwrap_or_default();
        for id in earlier.keys().filter(|id| !stands.contains_key(*id)) {
            self.leave(id, |lock| {
                lock.waiters.remove(&ticket);
            });
        }
    }

    /// Whether an ask for this one alternative would be granted now.
    pub fn would_grant(&self, owner: Owner, wants: &[Want]) -> bool {
        let wants = [merged(wants)];
        self.check(owner, &wants).is_ok() && self.is_free(owner, self.ticket(owner), &wants[0])
    }

    /// Gives an owner what it had when its build outlived a master, whatever others hold.
    pub fn hold(&mut self, owner: Owner, wants: &[Want]) {
        self.enter(owner, merged(wants));
        self.version += 1;
    }

    /// A number that grows with each change by which somebody may get what it waits for, or be in a deadlock.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Takes an owner out of all lines; true if it stood in one.
    pub fn withdraw(&mut self, owner: Owner) -> bool {
        let Some(owners) = self.waiting.get_mut(&owner.request()) else { return false };
        let Some(waiter) = owners.remove(&owner) else { return false };
        if owners.is_empty() {
            self.waiting.remove(&owner.request());
        }
        for (id, _) in standing(&waiter.alternatives) {
            self.leave(&id, |lock| {
                lock.waiters.remove(&waiter.ticket);
            });
        }
        true
    }

    /// Gives back all that an owner holds, and takes it out of all lines; of a request also what its steps hold. True if there
    /// was anything.
    pub fn release(&mut self, owner: Owner) -> bool {
        let all_of_build = matches!(owner, Owner::Request(_));
        let mut owners = BTreeSet::from([owner]);
        if all_of_build {
            owners.extend(self.held.get(&owner.request()).into_iter().flat_map(BTreeMap::keys));
            owners.extend(self.waiting.get(&owner.request()).into_iter().flat_map(BTreeMap::keys));
        }
        let mut was_any = false;
        for owner in owners {
            was_any |= self.withdraw(owner);
            let Some(of_build) = self.held.get_mut(&owner.request()) else { continue };
            let Some(wants) = of_build.remove(&owner) else { continue };
            if of_build.is_empty() {
                self.held.remove(&owner.request());
            }
            was_any = true;
            for id in wants.into_keys() {
                self.leave(&id, |lock| lock.holders.retain(|(holder, _)| *holder != owner));
            }
        }
        was_any
    }

    /// The limits of a new configuration. Lower ones revoke nothing. A lock that is in the configuration no more keeps its
    /// last limits until nobody holds it or waits for it. True if anything has changed.
    pub fn set_limits(&mut self, limits: BTreeMap<LockName, Limits>) -> bool {
        let mut next: BTreeMap<_, _> =
            limits.into_iter().map(|(name, limits)| (name, (limits, Origin::Configured))).collect();
        for (name, (limits, _)) in &self.limits {
            if !next.contains_key(name) && self.is_in_use(name) {
                next.insert(name.clone(), (limits.clone(), Origin::Kept));
            }
        }
        let is_new = next != self.limits;
        self.limits = next;
        self.version += u64::from(is_new);
        is_new
    }

    fn check(&self, owner: Owner, alternatives: &[Wants]) -> Result<(), AskError> {
        let held = self.held.get(&owner.request()).into_iter().flat_map(BTreeMap::values);
        let held: BTreeSet<&LockId> = held.flat_map(BTreeMap::keys).collect();
        match alternatives.iter().flat_map(BTreeMap::keys).find(|lock| held.contains(lock)) {
            Some(lock) => Err(AskError::AlreadyHeld { lock: lock.clone() }),
            None => Ok(()),
        }
    }

    /// The ticket that an owner has, or that it would get.
    fn ticket(&self, owner: Owner) -> u64 {
        let owners = self.waiting.get(&owner.request());
        owners.and_then(|owners| owners.get(&owner)).map_or(self.next_ticket, |waiter| waiter.ticket)
    }

    fn is_free(&self, owner: Owner, ticket: u64, wants: &Wants) -> bool {
        let build = owner.request();
        let holds = self.held.contains_key(&build);
        wants.iter().all(|(id, mode)| {
            let Some(lock) = self.locks.get(id) else { return true };
            let before = lock.before(build, ticket).filter(|(waiter, _)| {
                // A build that holds nothing keeps nobody waiting.
                !holds || !self.waits_for(waiter.request(), build)
            });
            let crowd: Crowd = lock.held_by_others(build).chain(before).map(|(_, mode)| mode).collect();
            crowd.admits(*mode, self.max_count(id))
        })
    }

    fn max_count(&self, lock: &LockId) -> u32 {
        // Of a lock that nobody has told of there is one: a build may ask for it that began long ago.
        self.limits.get(&lock.name).map_or(1, |(limits, _)| limits.of(lock.worker.as_ref()))
    }

    fn enter(&mut self, owner: Owner, wants: Wants) {
        if wants.is_empty() {
            return;
        }
        let held = self.held.entry(owner.request()).or_default().entry(owner).or_default();
        for (id, mode) in wants {
            let lock = self.locks.entry(id.clone()).or_default();
            lock.holders.retain(|(holder, _)| *holder != owner);
            let mode = held.get(&id).map_or(mode, |earlier| sum(*earlier, mode));
            lock.holders.push((owner, mode));
            held.insert(id, mode);
        }
    }

    /// Changes who holds a lock and waits for it, and forgets what nobody needs any more.
    fn leave(&mut self, id: &LockId, change: impl FnOnce(&mut Lock)) {
        let Some(lock) = self.locks.get_mut(id) else { return };
        change(lock);
        self.version += 1;
        if !lock.holders.is_empty() || !lock.waiters.is_empty() {
            return;
        }
        self.locks.remove(id);
        let is_kept = self.limits.get(&id.name).is_some_and(|(_, origin)| *origin == Origin::Kept);
        if is_kept && !self.is_in_use(&id.name) {
            self.limits.remove(&id.name);
        }
    }

    fn is_in_use(&self, name: &LockName) -> bool {
        let first = LockId { name: name.clone(), worker: None };
        self.locks.range(first..).next().is_some_and(|(id, _)| id.name == *name)
    }
}

impl Lock {
    /// Those who hold it but for one build.
    fn held_by_others(&self, build: BuildRequestId) -> impl Iterator<Item = (Owner, Mode)> {
        self.holders.iter().copied().filter(move |(holder, _)| holder.request() != build)
    }

    /// Those of other builds who stand before a ticket.
    fn before(&self, build: BuildRequestId, ticket: u64) -> impl Iterator<Item = (Owner, Mode)> {
        let before = self.waiters.range(..ticket).map(|(_, waiter)| *waiter);
        before.filter(move |(waiter, _)| waiter.request() != build)
    }
}

/// Wants with one for each lock, and without those for nothing.
fn merged(wants: &[Want]) -> Wants {
    let mut out = Wants::new();
    for Want { lock, mode } in wants {
        if *mode != Mode::Counting(0) {
            out.entry(lock.clone()).and_modify(|earlier| *earlier = sum(*earlier, *mode)).or_insert(*mode);
        }
    }
    out
}

const fn sum(a: Mode, b: Mode) -> Mode {
    match (a, b) {
        (Mode::Counting(a), Mode::Counting(b)) => Mode::Counting(a.saturating_add(b)),
        // Who has all of it has what it counts for as well.
        _ => Mode::Exclusive,
    }
}

/// What a waiter may take of each lock at most.
fn standing(alternatives: &[Wants]) -> Wants {
    let mut out = Wants::new();
    for (lock, mode) in alternatives.iter().flatten() {
        out.entry(lock.clone()).and_modify(|most| *most = (*most).max(*mode)).or_insert(*mode);
    }
    out
}
