//! Which builder may use which workers, derived once from a configuration: in numbers, which are quicker than names.

use std::{collections::HashMap, sync::Arc};

use crate::{
    definition::{BuilderDefinition, MasterDefinition, WorkerDefinition},
    model::{BuilderName, WorkerName},
};

/// The workers of a configuration and who may use them.
#[derive(Debug)]
pub(super) struct Farm {
    pub(super) workers: Vec<Arc<WorkerDefinition>>,
    by_name: HashMap<WorkerName, usize>,
    builders: HashMap<BuilderName, Vec<usize>>,
}

impl Farm {
    pub(super) fn of(definition: &MasterDefinition) -> Self {
        let workers: Vec<_> = definition.workers.values().cloned().collect();
        let by_name: HashMap<_, _> =
            workers.iter().enumerate().map(|(number, worker)| (worker.name.clone(), number)).collect();
        let numbers = |builder: &BuilderDefinition| -> Vec<usize> {
            let may_use = |number: &usize| {
                let worker = &workers[*number];
                builder.may_use(worker) && builder.can_lock_on(worker)
            };
            if builder.worker_names.is_empty() {
                return (0..workers.len()).filter(may_use).collect();
            }
            let named = builder.worker_names.iter().filter_map(|name| by_name.get(name).copied());
            named.filter(may_use).collect()
        };
        let builders =
            definition.builders.values().map(|builder| (builder.name.clone(), numbers(builder))).collect();
        Self { workers, by_name, builders }
    }

    /// The workers that a builder may use, as far as the configuration tells.
    pub(super) fn of_builder(&self, builder: &BuilderName) -> &[usize] {
        self.builders.get(builder).map_or(&[], Vec::as_slice)
    }

    /// The workers that a builder names; all if it names none.
    pub(super) fn named_by(&self, builder: &BuilderDefinition) -> Vec<usize> {
        if builder.worker_names.is_empty() {
            return (0..self.workers.len()).collect();
        }
        builder.worker_names.iter().filter_map(|name| self.number(name)).collect()
    }

    pub(super) fn number(&self, worker: &WorkerName) -> Option<usize> {
        self.by_name.get(worker).copied()
    }
}
