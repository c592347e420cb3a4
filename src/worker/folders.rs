//! Which builders a worker has, and their folders: derived once from a configuration, for all workers.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tokio::sync::watch;

use crate::{
    definition::MasterDefinition,
    model::{BuilderName, WorkerName},
    protocol::message::BuilderFolder,
};

/// The builders of each worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuilderFolders(HashMap<WorkerName, Arc<[BuilderFolder]>>);

/// Tells of a new configuration.
pub type FoldersWatch = watch::Receiver<Arc<BuilderFolders>>;

/// Folders in which a build may still work by an earlier configuration, each with its builder and worker: until that
/// build has ended, its worker must not be told another one.
pub type Lingering = BTreeMap<(BuilderName, WorkerName), String>;

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

    /// The same with the folders of an earlier configuration where builds still work.
    #[must_use]
    pub fn with(mut self, lingering: &Lingering) -> Self {
        for ((builder, worker), folder) in lingering {
            let mut list = self.of(worker).to_vec();
            let name: Arc<str> = builder.as_str().into();
            let folder = BuilderFolder { builder: name, folder: folder.clone() };
            match list.binary_search_by(|known| known.builder.as_ref().cmp(builder.as_str())) {
                Ok(index) => list[index] = folder,
                Err(index) => list.insert(index, folder),
            }
            self.0.insert(worker.clone(), list.into());
        }
        self
    }

    /// Those of these folders that `next` does not have, or has otherwise.
    pub fn left_by(&self, next: &Self) -> Lingering {
        let mut left = Lingering::new();
        for (worker, list) in &self.0 {
            if next.0.get(worker) == Some(list) {
                continue;
            }
            for BuilderFolder { builder, folder } in list.iter() {
                let builder = BuilderName::new(builder).expect("a folder has the name of its builder");
                if next.folder(worker, &builder) != Some(folder) {
                    left.insert((builder, worker.clone()), folder.clone());
                }
            }
        }
        left
    }

    /// The folder of a builder on a worker.
    pub fn folder(&self, worker: &WorkerName, builder: &BuilderName) -> Option<&str> {
        let list = self.0.get(worker)?;
        let index = list.binary_search_by(|known| known.builder.as_ref().cmp(builder.as_str())).ok()?;
        Some(&list[index].folder)
    }

    /// Those of a worker, by the builders' names; empty for a stranger.
    pub fn of(&self, worker: &WorkerName) -> Arc<[BuilderFolder]> {
        self.0.get(worker).map_or_else(|| Arc::new([]), Arc::clone)
    }
}
