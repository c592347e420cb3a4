//! The law over labels: each builder has a worker that can have those it wants.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    definition::{BuilderDefinition, Problem, WorkerDefinition},
    model::{BuilderName, WorkerName},
};

/// Workers that are told one by one; of more, how many there are.
const SHOWN: usize = 3;

/// The workers that there are.
pub(super) struct Farm<'a> {
    pub(super) workers: &'a BTreeMap<WorkerName, Arc<WorkerDefinition>>,
    /// Whether no other was lost.
    pub(super) is_whole: bool,
}

impl Farm<'_> {
    /// Tells each builder that no worker can ever run.
    pub(super) fn check(
        &self,
        builders: &BTreeMap<BuilderName, Arc<BuilderDefinition>>,
        problems: &mut Vec<Problem>,
    ) {
        for builder in builders.values() {
            let names = &builder.worker_names;
            // A worker that is not there was told, or may be one that was lost.
            let is_known = if names.is_empty() {
                self.is_whole
            } else {
                names.iter().all(|name| self.workers.contains_key(name))
            };
            if !is_known || self.workers.is_empty() || builder.workers(self.workers).next().is_some() {
                continue;
            }
            let text = format!(
                "builder {:?}: no worker can ever run it: {}",
                builder.name.as_str(),
                self.ruled_out(builder)
            );
            problems.push(Problem::error(builder.place.clone(), text));
        }
    }

    /// What rules out which worker.
    fn ruled_out(&self, builder: &BuilderDefinition) -> String {
        let names = &builder.worker_names;
        let mut out: Vec<String> = Vec::new();
        let mut more: usize = 0;
        let all = self.workers.values().filter(|worker| names.is_empty() || names.contains(&worker.name));
        for worker in all {
            let Some(mismatch) = builder.worker_match.contradiction(worker) else { continue };
            if out.len() < SHOWN {
                out.push(format!("of worker {:?}, {mismatch}", worker.name.as_str()));
            } else {
                more += 1;
            }
        }
        if more > 0 {
            out.push(format!("and so on for {more} more"));
        }
        out.join("; ")
    }
}
