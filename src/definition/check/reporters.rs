//! The laws over reporters: whom they name is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::absent;
use crate::{
    definition::{
        BuilderDefinition, Problem, ReporterDefinition, SchedulerDefinition, WorkerDefinition,
        reporter::WatchedWorkers, suggest,
    },
    model::{BuilderName, ReporterName, SchedulerName, WorkerName},
};

/// What a reporter may name.
pub(super) struct Names<'a> {
    pub(super) workers: &'a BTreeMap<WorkerName, Arc<WorkerDefinition>>,
    pub(super) builders: &'a BTreeMap<BuilderName, Arc<BuilderDefinition>>,
    pub(super) schedulers: &'a BTreeMap<SchedulerName, Arc<SchedulerDefinition>>,
    /// Names of parts that could not be read, which naming is no second mistake.
    pub(super) unreadable: &'a BTreeSet<String>,
    /// Whether no other part was lost.
    pub(super) whole: bool,
}

impl Names<'_> {
    /// Tells each name that a reporter mentions and that is not there.
    pub(super) fn check(
        &self,
        reporters: &BTreeMap<ReporterName, Arc<ReporterDefinition>>,
        problems: &mut Vec<Problem>,
    ) {
        for reporter in reporters.values() {
            for generator in &reporter.builds {
                let builders = generator.builders.iter().flatten();
                for name in builders.filter(|name| !self.builders.contains_key(*name)) {
                    let defined = self.builders.keys().map(AsRef::as_ref);
                    problems.extend(self.problem(reporter, "builder", name.as_str(), defined));
                }
                let schedulers = generator.schedulers.iter().flatten();
                for name in schedulers.filter(|name| !self.schedulers.contains_key(*name)) {
                    let defined = self.schedulers.keys().map(AsRef::as_ref);
                    problems.extend(self.problem(reporter, "scheduler", name.as_str(), defined));
                }
            }
            for generator in &reporter.missing {
                let WatchedWorkers::Named(names) = &generator.workers else { continue };
                for name in names.iter().filter(|name| !self.workers.contains_key(*name)) {
                    let defined = self.workers.keys().map(AsRef::as_ref);
                    problems.extend(self.problem(reporter, "worker", name.as_str(), defined));
                }
            }
        }
    }

    /// The problem of a name that is not there, unless it may be that of a part which could not be read.
    fn problem<'b>(
        &self,
        reporter: &ReporterDefinition,
        noun: &str,
        name: &str,
        defined: impl Iterator<Item = &'b str> + Clone,
    ) -> Option<Problem> {
        let is_told = self.unreadable.contains(name)
            || (!self.whole && suggest::nearest(name, defined.clone()).is_none());
        (!is_told).then(|| {
            let text = format!("reporter {:?}: no {noun} is named {name:?}", reporter.name.as_str());
            Problem::error(reporter.place.clone(), text).hint(absent(name, defined))
        })
    }
}
