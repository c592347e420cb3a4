//! Who runs what: the queue's own book of the builds that it has started.
//!
//! # Laws
//! - A build has a seat from before it claims its request until its task has ended.
//! - Two builds of one builder on one worker have different places, since a place is a folder there.
//! - A build that sits on the seat of its parent, which waits for it, does not count for the worker a second time.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use tokio::sync::watch;

use crate::{
    build::control::BuildControl,
    definition::MasterDefinition,
    model::{BuildRequestId, BuilderName, WorkerName},
};

/// What runs where.
#[derive(Clone, Debug)]
pub struct Load {
    /// The configuration by which builds are given out: none begins by an earlier one any more.
    pub definition: Arc<MasterDefinition>,
    /// How many builds run on each worker that has some.
    pub workers: HashMap<WorkerName, usize>,
    /// How many builds of which builder run on which worker.
    pub pairs: HashMap<(BuilderName, WorkerName), usize>,
}

impl Load {
    /// How many builds of a builder run.
    pub fn of_builder(&self, builder: &BuilderName) -> usize {
        self.pairs.iter().filter(|((name, _), _)| name == builder).map(|(_, count)| count).sum()
    }

    /// How many builds run on a worker.
    pub fn of_worker(&self, worker: &WorkerName) -> usize {
        self.workers.get(worker).copied().unwrap_or(0)
    }
}

/// Where a build sits.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub(super) builder: BuilderName,
    pub(super) worker: WorkerName,
    /// Which of the builder's places on that worker, from 0.
    pub(super) place: u32,
    /// Whose seat it shares: that of its parent, which waits for it.
    pub(super) shared_with: Option<BuildRequestId>,
    pub(super) control: BuildControl,
}

/// Who runs what.
#[derive(Debug)]
pub(super) struct Busy {
    pub(super) builds: HashMap<BuildRequestId, Seat>,
    pub(super) load: watch::Sender<Load>,
    /// When each worker last ended a build, in turns of the clock.
    pub(super) last_used: HashMap<WorkerName, u64>,
    /// When each builder last began a build.
    pub(super) last_served: HashMap<BuilderName, u64>,
    clock: u64,
    builders: HashMap<BuilderName, usize>,
    places: HashMap<BuilderName, HashMap<WorkerName, BTreeSet<u32>>>,
    /// How many builds count for each worker.
    counted: HashMap<WorkerName, usize>,
    /// Seats of parents that are shared, and by whom.
    shared: HashMap<BuildRequestId, BuildRequestId>,
}

impl Busy {
    pub(super) fn new(definition: Arc<MasterDefinition>) -> Self {
        let load = Load { definition, workers: HashMap::new(), pairs: HashMap::new() };
        Self {
            builds: HashMap::new(),
            load: watch::Sender::new(load),
            last_used: HashMap::new(),
            last_served: HashMap::new(),
            clock: 0,
            builders: HashMap::new(),
            places: HashMap::new(),
            counted: HashMap::new(),
            shared: HashMap::new(),
        }
    }

    pub(super) fn take(&mut self, id: BuildRequestId, seat: Seat) {
        self.clock += 1;
        self.last_served.insert(seat.builder.clone(), self.clock);
        *self.builders.entry(seat.builder.clone()).or_default() += 1;
        let places = self.places.entry(seat.builder.clone()).or_default();
        places.entry(seat.worker.clone()).or_default().insert(seat.place);
        match seat.shared_with {
            Some(parent) => {
                self.shared.insert(parent, id);
            }
            None => *self.counted.entry(seat.worker.clone()).or_default() += 1,
        }
        self.load.send_modify(|load| {
            *load.workers.entry(seat.worker.clone()).or_default() += 1;
            *load.pairs.entry((seat.builder.clone(), seat.worker.clone())).or_default() += 1;
        });
        let before = self.builds.insert(id, seat);
        assert!(before.is_none(), "a request has one build at a time");
    }

    pub(super) fn release(&mut self, id: BuildRequestId) {
        let Some(seat) = self.builds.remove(&id) else { return };
        self.clock += 1;
        self.last_used.insert(seat.worker.clone(), self.clock);
        subtract(&mut self.builders, &seat.builder);
        if let Some(places) = self.places.get_mut(&seat.builder) {
            if let Some(taken) = places.get_mut(&seat.worker) {
                taken.remove(&seat.place);
                if taken.is_empty() {
                    places.remove(&seat.worker);
                }
            }
            if places.is_empty() {
                self.places.remove(&seat.builder);
            }
        }
        match seat.shared_with {
            Some(parent) => {
                self.shared.remove(&parent);
            }
            None => subtract(&mut self.counted, &seat.worker),
        }
        // Who shared its seat has it alone from now on.
        if let Some(child) = self.shared.remove(&id)
            && let Some(child) = self.builds.get_mut(&child)
        {
            child.shared_with = None;
            *self.counted.entry(child.worker.clone()).or_default() += 1;
        }
        self.load.send_modify(|load| {
            subtract(&mut load.workers, &seat.worker);
            subtract(&mut load.pairs, &(seat.builder, seat.worker));
        });
    }

    /// How many builds of a builder run.
    pub(super) fn of_builder(&self, builder: &BuilderName) -> usize {
        self.builders.get(builder).copied().unwrap_or(0)
    }

    /// How many builds count for a worker.
    pub(super) fn counted(&self, worker: &WorkerName) -> usize {
        self.counted.get(worker).copied().unwrap_or(0)
    }

    /// The first free place of a builder on a worker, of so many.
    pub(super) fn free_place(&self, builder: &BuilderName, worker: &WorkerName, most: u32) -> Option<u32> {
        let taken = self.places.get(builder).and_then(|places| places.get(worker));
        // After a reload that lowered the limit, some may sit on places beyond it: they count.
        let count = taken.map_or(0, BTreeSet::len);
        let has_room = u32::try_from(count).is_ok_and(|count| count < most);
        (0..most).find(|place| has_room && taken.is_none_or(|taken| !taken.contains(place)))
    }

    /// Whether somebody sits on the seat of this build beside it.
    pub(super) fn is_shared(&self, parent: BuildRequestId) -> bool {
        self.shared.contains_key(&parent)
    }
}

fn subtract<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(builder: &str, place: u32) -> Seat {
        Seat {
            builder: BuilderName::new(builder).unwrap(),
            worker: WorkerName::new("w").unwrap(),
            place,
            shared_with: None,
            control: BuildControl::new(),
        }
    }

    fn busy() -> Busy {
        Busy::new(Arc::new(MasterDefinition::nothing()))
    }

    #[test]
    fn a_worker_is_free_again_once_each_of_its_builds_has_ended() {
        let worker = WorkerName::new("w").unwrap();
        let mut busy = busy();
        busy.take(BuildRequestId(1), seat("a", 0));
        busy.take(BuildRequestId(2), seat("b", 0));
        assert_eq!(busy.load.borrow().of_worker(&worker), 2);
        busy.release(BuildRequestId(1));
        busy.release(BuildRequestId(1));
        assert_eq!(busy.load.borrow().of_worker(&worker), 1);
        assert_eq!(busy.load.borrow().of_builder(&BuilderName::new("a").unwrap()), 0);
        busy.release(BuildRequestId(2));
        let load = busy.load.borrow();
        assert!(load.workers.is_empty() && load.pairs.is_empty() && busy.builds.is_empty());
        assert!(busy.places.is_empty() && busy.builders.is_empty());
    }

    #[test]
    fn a_place_is_given_to_one_build_at_a_time() {
        let (builder, worker) = (BuilderName::new("a").unwrap(), WorkerName::new("w").unwrap());
        let mut busy = busy();
        assert_eq!(busy.free_place(&builder, &worker, 2), Some(0));
        busy.take(BuildRequestId(1), seat("a", 0));
        assert_eq!(busy.free_place(&builder, &worker, 2), Some(1));
        busy.take(BuildRequestId(2), seat("a", 1));
        assert_eq!(busy.free_place(&builder, &worker, 2), None);
        busy.release(BuildRequestId(1));
        assert_eq!(busy.free_place(&builder, &worker, 2), Some(0));
        // The limit was lowered, and one build runs on the second place.
        assert_eq!(busy.free_place(&builder, &worker, 1), None);
    }

    #[test]
    fn a_build_on_the_seat_of_its_parent_does_not_count() {
        let worker = WorkerName::new("w").unwrap();
        let mut busy = busy();
        busy.take(BuildRequestId(1), seat("parent", 0));
        busy.take(BuildRequestId(2), Seat { shared_with: Some(BuildRequestId(1)), ..seat("child", 0) });
        assert_eq!((busy.counted(&worker), busy.load.borrow().of_worker(&worker)), (1, 2));
        assert!(busy.is_shared(BuildRequestId(1)));
        busy.release(BuildRequestId(1));
        assert_eq!(busy.counted(&worker), 1);
        assert!(!busy.is_shared(BuildRequestId(1)));
        busy.release(BuildRequestId(2));
        assert_eq!(busy.counted(&worker), 0);
    }
}
