//! What a configuration says of each worker, as its link needs it: derived once, for all of them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    definition::{MasterDefinition, WorkerKind},
    model::{Secret, WorkerName},
    protocol::message::BuilderFolder,
};

/// What a configuration says of each worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster(HashMap<WorkerName, Arc<RosterEntry>>);

/// Tells of a new configuration.
pub type RosterWatch = watch::Receiver<Arc<Roster>>;

/// What a configuration says of one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterEntry {
    /// Its builders and their folders, by the builders' names.
    pub folders: Arc<[BuilderFolder]>,
    /// How often its silent link is asked for a sign of life.
    pub keepalive_interval: Option<Duration>,
    /// What it must know to log in; absent for one that cannot, which a LocalWorker is.
    pub password: Option<Secret>,
}

impl Roster {
    /// What this configuration says.
    pub fn new(definition: &MasterDefinition) -> Self {
        let mut folders: HashMap<&WorkerName, Vec<BuilderFolder>> = HashMap::new();
        for builder in definition.builders.values() {
            let name: Arc<str> = builder.name.as_str().into();
            for worker in &builder.worker_names {
                let folder =
                    BuilderFolder { builder: Arc::clone(&name), folder: builder.worker_build_dir.clone() };
                folders.entry(worker).or_default().push(folder);
            }
        }
        let entries = definition.workers.values().map(|worker| {
            let entry = RosterEntry {
                folders: folders.remove(&worker.name).unwrap_or_default().into(),
                keepalive_interval: worker.keepalive_interval,
                password: match &worker.kind {
                    WorkerKind::Remote { password } => Some(password.clone()),
                    WorkerKind::Local { .. } => None,
                },
            };
            (worker.name.clone(), Arc::new(entry))
        });
        Self(entries.collect())
    }

    /// What it says of a worker; nothing for one that is not defined.
    pub fn of(&self, worker: &WorkerName) -> Option<Arc<RosterEntry>> {
        self.0.get(worker).map(Arc::clone)
    }

    /// The password of a worker that may log in.
    pub fn password(&self, worker: &str) -> Option<&Secret> {
        self.0.get(worker)?.password.as_ref()
    }
}
