//! Which builders a worker has, and their folders: derived once from a configuration, for all workers.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::watch;

use crate::{definition::MasterDefinition, model::WorkerName, protocol::message::BuilderFolder};

/// The builders of each worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuilderFolders(HashMap<WorkerName, Arc<[BuilderFolder]>>);

/// Tells of a new configuration.
pub type FoldersWatch = watch::Receiver<Arc<BuilderFolders>>;

impl BuilderFolders {
    /// Those of a configuration.
    pub fn new(definition: &MasterDefinition) -> Self {
        let mut lists: HashMap<WorkerName, Vec<BuilderFolder>> = HashMap::new();
        for builder in definition.builders.values() {
            let name: Arc<str> = builder.name.as_str().into();
            for worker in &builder.worker_names {
                let folder =
                    BuilderFolder { builder: Arc::clone(&name), folder: builder.worker_build_dir.clone() };
                lists.entry(worker.clone()).or_default().push(folder);
            }
        }
        Self(lists.into_iter().map(|(worker, list)| (worker, list.into())).collect())
    }

    /// Those of a worker, by the builders' names; empty for a stranger.
    pub fn of(&self, worker: &WorkerName) -> Arc<[BuilderFolder]> {
        self.0.get(worker).map_or_else(|| Arc::new([]), Arc::clone)
    }
}
