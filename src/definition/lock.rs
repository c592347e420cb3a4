//! Locks, as the operator defined them, and what builders, workers and steps want of them.
//!
//! # Laws
//! - One name is one lock: whatever has the same name is alike in all.
//! - What can never be had is a problem, and so is a step that wants what its build holds.
//!
//! # Not here
//! Who holds them (`build::lock`).
//!
//! # Source
//! Buildbot 4.3.0, `locks.py`, which checks little of this.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::Arc,
};

use crate::{
    definition::{
        BuilderDefinition, MasterDefinition, WorkerDefinition,
        problem::Problem,
        record::{Record, Value},
        shown::Shown,
        suggest,
    },
    model::{LockName, Place, WorkerName},
};

/// A lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockDefinition {
    /// Its name.
    pub name: LockName,
    /// One, or one for each worker.
    pub kind: LockKind,
    /// The sum of counts that can be held at once.
    pub max_count: u32,
    /// Where it was written.
    pub place: Place,
}

/// Whether a lock is one for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// `util.MasterLock`.
    Master,
    /// `util.WorkerLock`: each worker has one.
    Worker {
        /// The sum of counts for single workers.
        max_count_for_worker: BTreeMap<WorkerName, u32>,
    },
}

/// What is wanted of a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockAccess {
    /// Of which.
    pub lock: Arc<LockDefinition>,
    /// How.
    pub mode: LockMode,
    /// Where it was written.
    pub place: Place,
}

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockMode {
    /// Beside others, so much of it.
    Counting(u32),
    /// Alone.
    Exclusive,
}

const MODES: [&str; 2] = ["counting", "exclusive"];

impl LockDefinition {
    fn from_record(record: &Record, problems: &mut Vec<Problem>) -> Option<Self> {
        let given = record.text("name")?;
        let mut complain = |text: String| {
            problems.push(Problem::error(record.place.clone(), format!("lock {given:?}: {text}")));
        };
        let name = LockName::new(&given).map_err(|error| complain(error.to_string())).ok();
        let kind = if record.constructor.name == "WorkerLock" {
            let mut max_count_for_worker = BTreeMap::new();
            for (worker, count) in record.counts("maxCountForWorker") {
                match WorkerName::new(&worker) {
                    Ok(worker) => {
                        max_count_for_worker.insert(worker, within(count));
                    }
                    Err(error) => complain(format!("`maxCountForWorker`: worker {worker:?}: {error}")),
                }
            }
            LockKind::Worker { max_count_for_worker }
        } else {
            LockKind::Master
        };
        let max_count = within(record.integer("maxCount")?);
        Some(Self { name: name?, kind, max_count, place: record.place.clone() })
    }

    /// The sum of counts that can be held at once on a worker.
    pub fn limit(&self, worker: &WorkerName) -> u32 {
        match &self.kind {
            LockKind::Master => self.max_count,
            LockKind::Worker { max_count_for_worker } => {
                max_count_for_worker.get(worker).copied().unwrap_or(self.max_count)
            }
        }
    }

    fn highest_limit(&self) -> u32 {
        match &self.kind {
            LockKind::Master => self.max_count,
            LockKind::Worker { max_count_for_worker } => {
                max_count_for_worker.values().copied().fold(self.max_count, u32::max)
            }
        }
    }
}

/// The table of options has no higher one.
fn within(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl LockAccess {
    /// What `locks` of a record holds, by the names of the locks: the order means nothing. What is wrong goes to `problems`.
    pub fn all_from_record(record: &Record, problems: &mut Vec<Problem>) -> Vec<Self> {
        let records = record.records("locks");
        let good = records.iter().filter(|access| !access.broken);
        let mut all: Vec<Self> = good.filter_map(|access| Self::from_record(access, problems)).collect();
        all.sort_by(|a, b| (&a.lock.name, a.mode).cmp(&(&b.lock.name, b.mode)));
        all
    }

    fn from_record(record: &Record, problems: &mut Vec<Problem>) -> Option<Self> {
        let Some(Value::Object(lock)) = record.values.get("lock") else {
            unreachable!("an access is made by a method of its lock")
        };
        let lock = LockDefinition::from_record(lock, problems)?;
        let mut complain = |text: String, hint: Option<String>| {
            let text = format!("lock {:?}: {text}", lock.name.as_str());
            problems.push(Problem::error(record.place.clone(), text).hint(hint));
        };
        let (mode, count) = (record.text("mode")?, within(record.integer("count")?));
        let mode = match mode.as_str() {
            "counting" => LockMode::Counting(count),
            "exclusive" if count == 1 => LockMode::Exclusive,
            "exclusive" => {
                let hint = "leave `count` out, or write `\"counting\"`".to_owned();
                complain(format!("an exclusive access has the `count` 1, not {count}"), Some(hint));
                return None;
            }
            other => {
                let hint = suggest::did_you_mean(other, MODES)
                    .unwrap_or_else(|| "there are \"counting\" and \"exclusive\"".to_owned());
                complain(format!("`mode`: unknown access {other:?}"), Some(hint));
                return None;
            }
        };
        let highest = lock.highest_limit();
        if count > highest {
            let text = format!(
                "a `count` of {count} can never be had, since `maxCount` is {highest}: no build can ever run"
            );
            complain(text, None);
            return None;
        }
        Some(Self { lock: Arc::new(lock), mode, place: record.place.clone() })
    }

    const fn is_for_nothing(&self) -> bool {
        matches!(self.mode, LockMode::Counting(0))
    }
}

impl BuilderDefinition {
    /// Whether its builds can ever have on this worker what they, their steps and the worker want of locks.
    pub fn can_lock_on(&self, worker: &WorkerDefinition) -> bool {
        let of_build = self.locks.iter().chain(&worker.locks);
        never_had(of_build, &worker.name).is_none()
            && self.steps.iter().all(|step| never_had(&step.locks, &worker.name).is_none())
    }
}

/// A lock of which more is wanted in all than a worker has.
fn never_had<'a>(
    wanted: impl IntoIterator<Item = &'a LockAccess>,
    worker: &WorkerName,
) -> Option<&'a LockDefinition> {
    let mut sums: BTreeMap<&LockName, (u64, &LockDefinition)> = BTreeMap::new();
    for access in wanted {
        let LockMode::Counting(count) = access.mode else { continue };
        sums.entry(&access.lock.name).or_insert((0, &access.lock)).0 += u64::from(count);
    }
    let too_much = sums.into_values().find(|(sum, lock)| *sum > u64::from(lock.limit(worker)));
    too_much.map(|(_, lock)| lock)
}

impl MasterDefinition {
    /// All locks that something in it wants, by name.
    pub fn locks(&self) -> BTreeMap<LockName, Arc<LockDefinition>> {
        accesses(self.builders.values(), self.workers.values())
            .map(|access| (access.lock.name.clone(), Arc::clone(&access.lock)))
            .collect()
    }
}

fn accesses<'a>(
    builders: impl Iterator<Item = &'a Arc<BuilderDefinition>>,
    workers: impl Iterator<Item = &'a Arc<WorkerDefinition>>,
) -> impl Iterator<Item = &'a LockAccess> {
    let of_builders = builders.flat_map(|builder| {
        builder.locks.iter().chain(builder.steps.iter().flat_map(|step| step.locks.iter()))
    });
    of_builders.chain(workers.flat_map(|worker| worker.locks.iter()))
}

/// The parts of a configuration that want locks.
pub(super) struct Parts<'a, K> {
    /// Its workers.
    pub workers: &'a BTreeMap<WorkerName, Arc<WorkerDefinition>>,
    /// Its builders.
    pub builders: &'a BTreeMap<K, Arc<BuilderDefinition>>,
    /// Whether a worker that is named is not there; else it may be one that could not be read.
    pub is_absent: &'a dyn Fn(&WorkerName) -> bool,
}

impl<K: Ord> Parts<'_, K> {
    /// Holds them to the laws.
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        self.one_name_one_lock(problems);
        for builder in self.builders.values() {
            self.waits_for_itself(builder, problems);
            self.can_run(builder, problems);
        }
    }

    fn one_name_one_lock(&self, problems: &mut Vec<Problem>) {
        let mut locks: BTreeMap<&LockName, &Arc<LockDefinition>> = BTreeMap::new();
        // One that many share is looked at once.
        let mut told: BTreeSet<(&str, u32)> = BTreeSet::new();
        for access in accesses(self.builders.values(), self.workers.values()) {
            let lock = &access.lock;
            let first = match locks.entry(&lock.name) {
                Entry::Vacant(vacant) => {
                    self.of_known_workers(lock, problems);
                    vacant.insert(lock);
                    continue;
                }
                Entry::Occupied(first) => *first.get(),
            };
            // The later one is the one to be changed.
            let is_later = (&first.place.file, first.place.line) <= (&lock.place.file, lock.place.line);
            let (first, lock) = if is_later { (first, lock) } else { (lock, first) };
            if first != lock && told.insert((&lock.place.file, lock.place.line)) {
                let text = format!(
                    "lock {:?}: there is another of this name at {}, of another kind or with other counts",
                    lock.name.as_str(),
                    first.place
                );
                let hint = "give it a name of its own, or make it once and use it twice".to_owned();
                problems.push(Problem::error(lock.place.clone(), text).hint(hint));
            }
        }
    }

    fn of_known_workers(&self, lock: &LockDefinition, problems: &mut Vec<Problem>) {
        let LockKind::Worker { max_count_for_worker } = &lock.kind else { return };
        for worker in max_count_for_worker.keys().filter(|worker| (self.is_absent)(worker)) {
            let text = format!(
                "lock {:?}: `maxCountForWorker`: no worker is named {:?}",
                lock.name.as_str(),
                worker.as_str()
            );
            let hint = suggest::did_you_mean(worker.as_str(), self.workers.keys().map(WorkerName::as_str));
            problems.push(Problem::error(lock.place.clone(), text).hint(hint));
        }
    }

    fn workers_of<'b>(
        &'b self,
        builder: &'b BuilderDefinition,
    ) -> impl Iterator<Item = &'b WorkerDefinition> {
        builder.worker_names.iter().filter_map(|name| self.workers.get(name).map(|worker| &**worker))
    }

    fn waits_for_itself(&self, builder: &BuilderDefinition, problems: &mut Vec<Problem>) {
        let names = |locks: &[LockAccess]| -> BTreeSet<LockName> {
            locks
                .iter()
                .filter(|access| !access.is_for_nothing())
                .map(|access| access.lock.name.clone())
                .collect()
        };
        if builder.steps.iter().all(|step| step.locks.is_empty()) {
            return;
        }
        let of_builder = names(&builder.locks);
        let of_workers: BTreeSet<LockName> =
            self.workers_of(builder).flat_map(|worker| names(&worker.locks)).collect();
        for step in builder.steps.iter() {
            for lock in names(&step.locks) {
                let holder = match (of_builder.contains(&lock), of_workers.contains(&lock)) {
                    (true, _) => "its build",
                    (false, true) => "its worker",
                    (false, false) => continue,
                };
                let text = format!(
                    "builder {:?}: its step {:?} wants the lock {:?}, which {holder} holds for the whole build",
                    builder.name.as_str(),
                    step.name,
                    lock.as_str(),
                );
                problems.push(Problem::error(step.place.clone(), text));
            }
        }
    }

    fn can_run(&self, builder: &BuilderDefinition, problems: &mut Vec<Problem>) {
        let mut workers = self.workers_of(builder);
        let Some(first) = workers.next() else { return };
        if builder.can_lock_on(first) || workers.any(|worker| builder.can_lock_on(worker)) {
            return;
        }
        let of_steps = builder.steps.iter().find_map(|step| never_had(&step.locks, &first.name));
        let lock = never_had(builder.locks.iter().chain(&first.locks), &first.name).or(of_steps);
        let lock = lock.map_or_else(String::new, |lock| format!(" of the lock {:?}", lock.name.as_str()));
        let text = format!(
            "builder {:?}: it wants more{lock} than there is on any of its workers: no build can ever run",
            builder.name.as_str()
        );
        problems.push(Problem::error(builder.place.clone(), text));
    }
}

impl Shown for LockAccess {
    fn shown(&self) -> String {
        let lock = &self.lock;
        let name = lock.name.as_str();
        let limits = match &lock.kind {
            LockKind::Master => lock.max_count.to_string(),
            LockKind::Worker { max_count_for_worker } => {
                let single =
                    max_count_for_worker.iter().map(|(worker, count)| format!(", {count} on {worker}"));
                format!("{} on each worker{}", lock.max_count, single.collect::<String>())
            }
        };
        match self.mode {
            LockMode::Counting(count) => format!("{name:?} counting {count} of {limits}"),
            LockMode::Exclusive => format!("{name:?} exclusive, of {limits}"),
        }
    }
}
