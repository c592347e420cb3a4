//! The one book of locks that all builds share, and how one waits for it.
//!
//! # Laws
//! - The book is locked for single deeds, never over a wait.
//! - Whatever may let a waiter in changes [`Locks::changes`]; who waits asks again then, so no wake-up is lost.
//!
//! # Not here
//! Who may have what (`book`).

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::watch;

use super::{Answer, AskError, Blocked, Book, Cycle, Limits, LockState, Owner, Want};
use crate::model::LockName;

/// The locks of a master. Cheap to copy.
#[derive(Clone, Debug)]
pub struct Locks {
    book: Arc<Mutex<Book>>,
    version: watch::Sender<u64>,
}

impl Default for Locks {
    fn default() -> Self {
        Self { book: Arc::default(), version: watch::Sender::new(0) }
    }
}

impl Locks {
    /// Takes the first alternative that can be had, or stands in the lines of all: see [`Book::ask`].
    ///
    /// # Errors
    /// [`AskError::AlreadyHeld`] if its build holds one of the locks already; it then stands in no line.
    pub fn try_take(&self, owner: Owner, alternatives: &[Vec<Want>]) -> Result<Answer, AskError> {
        self.with(|book| {
            book.ask(owner, alternatives).inspect_err(|_| {
                book.withdraw(owner);
            })
        })
    }

    /// Stands in the lines without taking anything: see [`Book::stand`].
    ///
    /// # Errors
    /// As [`Self::try_take`].
    pub fn stand(&self, owner: Owner, alternatives: &[Vec<Want>]) -> Result<(), AskError> {
        self.with(|book| book.stand(owner, alternatives))
    }

    /// Whether an ask for this would be granted now.
    pub fn would_grant(&self, owner: Owner, wants: &[Want]) -> bool {
        self.with(|book| book.would_grant(owner, wants))
    }

    /// Gives an owner what it had when its build outlived a master: see [`Book::hold`].
    pub fn hold(&self, owner: Owner, wants: &[Want]) {
        self.with(|book| book.hold(owner, wants));
    }

    /// Takes an owner out of all lines.
    pub fn withdraw(&self, owner: Owner) {
        self.with(|book| book.withdraw(owner));
    }

    /// Gives back all that an owner holds, of a request also what its steps hold, and takes it out of all lines.
    pub fn release(&self, owner: Owner) {
        self.with(|book| book.release(owner));
    }

    /// The limits of a new configuration: see [`Book::set_limits`].
    pub fn set_limits(&self, limits: BTreeMap<LockName, Limits>) {
        self.with(|book| book.set_limits(limits));
    }

    /// A number that changes whenever somebody who waits may have what it waits for.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Each lock that an owner waits for and cannot have now.
    pub fn blockers(&self, owner: Owner) -> Vec<Blocked> {
        self.with(|book| book.blockers(owner))
    }

    /// All locks that are configured or in use, by name.
    pub fn snapshot(&self) -> Vec<LockState> {
        self.with(|book| book.snapshot())
    }

    /// The wait of a step for its locks.
    pub fn turn(&self, owner: Owner, wants: Vec<Want>) -> Turn {
        Turn { locks: self.clone(), owner, wants: [wants], changes: self.changes() }
    }

    /// What an owner holds already, to be given back when the guard is dropped.
    pub fn held(&self, owner: Owner) -> Held {
        Held { locks: self.clone(), owner, is_kept: AtomicBool::new(false) }
    }

    fn with<T>(&self, deed: impl FnOnce(&mut Book) -> T) -> T {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let done = deed(&mut book);
        let now = book.version();
        drop(book);
        self.version.send_if_modified(|version| {
            // Of two at a time, the later may come first.
            let is_newer = now > *version;
            *version = now.max(*version);
            is_newer
        });
        done
    }
}

/// Somebody who waits; dropped, it stands in no line any more.
#[derive(Debug)]
pub struct Turn {
    locks: Locks,
    owner: Owner,
    wants: [Vec<Want>; 1],
    changes: watch::Receiver<u64>,
}

/// What comes of a turn.
#[derive(Debug)]
pub enum Turned {
    /// All is held, until the guard is dropped.
    Taken(Held),
    /// These are in the way. To be asked again after [`Turn::changed`].
    Waiting(Vec<Blocked>),
}

/// Why there is nothing to wait for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TurnError {
    /// The build would wait for itself.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// Builds would wait for each other for ever.
    #[error("a deadlock of locks: {0}")]
    Deadlock(Cycle),
}

impl Turn {
    /// Takes all wants, if they can be had at once.
    ///
    /// # Errors
    /// [`TurnError`] if they can never be had; then it stands in no line any more, which ends the deadlock for all others in it.
    pub fn ask(&mut self) -> Result<Turned, TurnError> {
        // Before the ask: what changes after it is seen.
        self.changes.mark_unchanged();
        let owner = self.owner;
        self.locks.with(|book| {
            let asked = book.ask(owner, &self.wants).inspect_err(|_| {
                book.withdraw(owner);
            });
            match asked? {
                Answer::Granted(_) => Ok(Turned::Taken(self.locks.held(owner))),
                Answer::Waiting => match book.deadlock(owner) {
                    None => Ok(Turned::Waiting(book.blockers(owner))),
                    Some(cycle) => {
                        book.withdraw(owner);
                        Err(TurnError::Deadlock(cycle))
                    }
                },
            }
        })
    }

    /// Waits until it should ask again.
    ///
    /// # Cancel safety
    /// Dropped before it returns, nothing is lost.
    pub async fn changed(&mut self) {
        self.changes.changed().await.expect("it holds the locks, and so the one who tells of changes");
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.locks.withdraw(self.owner);
    }
}

/// Locks that are given back when this is dropped.
#[derive(Debug)]
pub struct Held {
    locks: Locks,
    owner: Owner,
    is_kept: AtomicBool,
}

impl Held {
    /// Gives nothing back: what the locks are for goes on without this master.
    pub fn keep(&self) {
        self.is_kept.store(true, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.is_kept.load(Ordering::Relaxed) {
            return;
        }
        self.locks.release(self.owner);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time;

    use super::*;
    use crate::{
        build::lock::{LockId, Mode, Scope},
        model::{BuildRequestId, StepId},
    };

    const PATIENCE: Duration = Duration::from_secs(60);

    fn wants(text: &str) -> Vec<Want> {
        let lock = LockId { name: LockName::new(text).unwrap(), worker: None };
        vec![Want { lock, mode: Mode::Counting(1) }]
    }

    const fn step(number: i64) -> Owner {
        Owner::Step { request: BuildRequestId(number), step: StepId(number) }
    }

    fn taken(turn: &mut Turn) -> Held {
        match turn.ask() {
            Ok(Turned::Taken(held)) => held,
            other => panic!("{other:?}"),
        }
    }

    fn waits(turn: &mut Turn) -> usize {
        match turn.ask() {
            Ok(Turned::Waiting(blocked)) => blocked.len(),
            other => panic!("{other:?}"),
        }
    }

    async fn changed(turn: &mut Turn) {
        time::timeout(PATIENCE, turn.changed()).await.expect("it is told");
    }

    #[tokio::test]
    async fn who_waits_is_told_of_what_is_given_back_withdrawn_and_raised() {
        let locks = Locks::default();
        let mut first = locks.turn(step(1), wants("a"));
        let held = taken(&mut first);
        let mut second = locks.turn(step(2), wants("a"));
        let mut third = locks.turn(step(3), wants("a"));
        assert_eq!((waits(&mut second), waits(&mut third)), (1, 1));
        drop(held);
        changed(&mut second).await;
        changed(&mut third).await;
        assert_eq!(waits(&mut third), 1, "the second stands before it");
        drop(second);
        changed(&mut third).await;
        let held = taken(&mut third);
        let mut fourth = locks.turn(step(4), wants("a"));
        waits(&mut fourth);
        let limits = Limits { scope: Scope::Master, max_count: 2, for_worker: BTreeMap::new() };
        locks.set_limits(BTreeMap::from([(LockName::new("a").unwrap(), limits)]));
        changed(&mut fourth).await;
        drop((taken(&mut fourth), held));
        assert!(locks.snapshot().iter().all(|state| state.holders.is_empty() && state.waiters.is_empty()));
    }

    #[tokio::test]
    async fn a_deadlock_ends_the_turn_of_one_and_the_others_go_on() {
        let locks = Locks::default();
        for (number, text) in [(1, "a"), (2, "b")] {
            let owner = Owner::Request(BuildRequestId(number));
            assert_eq!(locks.try_take(owner, &[wants(text)]), Ok(Answer::Granted(0)));
        }
        let mut first = locks.turn(step(1), wants("b"));
        waits(&mut first);
        let mut second = locks.turn(step(2), wants("a"));
        assert_eq!(
            second.ask().unwrap_err().to_string(),
            "a deadlock of locks: build of request 2 holds `b` and waits for `a`, held by request 1, which waits for `b`"
        );
        changed(&mut first).await;
        waits(&mut first);
        locks.release(Owner::Request(BuildRequestId(2)));
        changed(&mut first).await;
        drop(taken(&mut first));
    }
}
