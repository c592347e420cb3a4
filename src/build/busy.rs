//! Who runs what: the queue's own book of the builds that it has started.

use std::{
    collections::{HashMap, HashSet},
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
    /// Which builder's build runs on which worker.
    pub pairs: HashSet<(BuilderName, WorkerName)>,
}

impl Load {
    /// How many builds of a builder run.
    pub fn of_builder(&self, builder: &BuilderName) -> usize {
        self.pairs.iter().filter(|(name, _)| name == builder).count()
    }

    /// How many builds run on a worker.
    pub fn of_worker(&self, worker: &WorkerName) -> usize {
        self.workers.get(worker).copied().unwrap_or(0)
    }
}

/// Who runs what.
#[derive(Debug)]
pub(super) struct Busy {
    pub(super) builds: HashMap<BuildRequestId, (BuilderName, WorkerName, BuildControl)>,
    pub(super) load: watch::Sender<Load>,
    pub(super) last_used: HashMap<WorkerName, u64>,
    pub(super) clock: u64,
}

impl Busy {
    pub(super) fn new(definition: Arc<MasterDefinition>) -> Self {
        let load = Load { definition, workers: HashMap::new(), pairs: HashSet::new() };
        Self { builds: HashMap::new(), load: watch::Sender::new(load), last_used: HashMap::new(), clock: 0 }
    }

    pub(super) fn take(
        &mut self,
        id: BuildRequestId,
        builder: &BuilderName,
        worker: &WorkerName,
        control: BuildControl,
    ) {
        self.builds.insert(id, (builder.clone(), worker.clone(), control));
        self.load.send_modify(|load| {
            *load.workers.entry(worker.clone()).or_default() += 1;
            load.pairs.insert((builder.clone(), worker.clone()));
        });
    }

    pub(super) fn release(&mut self, id: BuildRequestId) {
        let Some((builder, worker, _)) = self.builds.remove(&id) else { return };
        self.clock += 1;
        self.last_used.insert(worker.clone(), self.clock);
        self.load.send_modify(|load| {
            if let Some(count) = load.workers.get_mut(&worker) {
                *count -= 1;
                if *count == 0 {
                    load.workers.remove(&worker);
                }
            }
            load.pairs.remove(&(builder, worker));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_free_again_once_each_of_its_builds_has_ended() {
        let (builder, other) = (BuilderName::new("a").unwrap(), BuilderName::new("b").unwrap());
        let worker = WorkerName::new("w").unwrap();
        let mut busy = Busy::new(Arc::new(MasterDefinition::nothing()));
        busy.take(BuildRequestId(1), &builder, &worker, BuildControl::new());
        busy.take(BuildRequestId(2), &other, &worker, BuildControl::new());
        assert_eq!(busy.load.borrow().of_worker(&worker), 2);
        busy.release(BuildRequestId(1));
        busy.release(BuildRequestId(1));
        assert_eq!(busy.load.borrow().of_worker(&worker), 1);
        assert!(!busy.load.borrow().pairs.contains(&(builder, worker.clone())));
        busy.release(BuildRequestId(2));
        let load = busy.load.borrow();
        assert!(load.workers.is_empty() && load.pairs.is_empty() && busy.builds.is_empty());
    }
}
