//! What a configuration says of each worker, as its link needs it: derived once, for all of them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    definition::{
        HashedPassword, MasterDefinition, Passwords, SecretName, WorkerKind, password::PasswordError,
    },
    model::{Secret, WorkerName},
    protocol::message::BuilderFolder,
};

/// What a configuration says of each worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    entries: HashMap<WorkerName, Arc<RosterEntry>>,
    hashes: HashCost,
}

/// What the check of a hashed password costs, at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HashCost {
    /// The dearest hash; absent if no worker has one.
    pub(super) dearest: Option<HashedPassword>,
    /// How many hashes one worker has, at most.
    pub(super) most: usize,
}

/// Tells of a new configuration.
pub type RosterWatch = watch::Receiver<Arc<Roster>>;

/// What a configuration says of one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterEntry {
    /// Its builders and their folders, by the builders' names.
    pub folders: Arc<[BuilderFolder]>,
    /// How often its silent link is asked for a sign of life.
    pub keepalive_interval: Option<Duration>,
    /// How long its answer may take; the default if absent.
    pub keepalive_timeout: Option<Duration>,
    /// What it must know to log in; absent for one that cannot, which a LocalWorker is.
    pub passwords: Option<Passwords>,
}

/// A secret that is no password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret `{secret}` cannot be the password of worker `{worker}`")]
pub struct BadPassword {
    /// Whose.
    pub worker: WorkerName,
    /// Which.
    pub secret: SecretName,
    /// Why.
    #[source]
    pub why: PasswordError,
}

impl Roster {
    /// What this configuration says; passwords that a provider of secrets knows are in `known`.
    ///
    /// # Errors
    /// The worker whose password a secret cannot be, and what is wrong with the secret.
    pub fn new(
        definition: &MasterDefinition,
        known: &BTreeMap<SecretName, Secret>,
    ) -> Result<Self, BadPassword> {
        let mut folders: HashMap<&WorkerName, Vec<BuilderFolder>> = HashMap::new();
        for builder in definition.builders.values() {
            let name: Arc<str> = builder.name.as_str().into();
            for worker in &builder.worker_names {
                let folder =
                    BuilderFolder { builder: Arc::clone(&name), folder: builder.worker_build_dir.clone() };
                folders.entry(worker).or_default().push(folder);
            }
        }
        let mut entries = HashMap::with_capacity(definition.workers.len());
        for worker in definition.workers.values() {
            let passwords = match &worker.kind {
                WorkerKind::Remote { passwords } => {
                    let bad = |(secret, why)| BadPassword { worker: worker.name.clone(), secret, why };
                    Some(passwords.resolved(known).map_err(bad)?)
                }
                WorkerKind::Local { .. } => None,
            };
            let entry = RosterEntry {
                folders: folders.remove(&worker.name).unwrap_or_default().into(),
                keepalive_interval: worker.keepalive_interval,
                keepalive_timeout: worker.keepalive_timeout,
                passwords,
            };
            entries.insert(worker.name.clone(), Arc::new(entry));
        }
        let hashes = HashCost::of(entries.values().filter_map(|entry| entry.passwords.as_ref()));
        Ok(Self { entries, hashes })
    }

    /// What it says of a worker; nothing for one that is not defined.
    pub fn of(&self, worker: &WorkerName) -> Option<Arc<RosterEntry>> {
        self.entries.get(worker).map(Arc::clone)
    }

    /// The passwords of a worker that may log in.
    pub fn passwords(&self, worker: &str) -> Option<&Passwords> {
        self.entries.get(worker)?.passwords.as_ref()
    }

    /// What the check of a hashed password costs, at most.
    pub(super) const fn hashes(&self) -> &HashCost {
        &self.hashes
    }
}

impl HashCost {
    fn of<'a>(all: impl Iterator<Item = &'a Passwords>) -> Self {
        let mut cost = Self::default();
        for passwords in all {
            let mut count = 0;
            for hash in passwords.hashed() {
                count += 1;
                if cost.dearest.as_ref().is_none_or(|dearest| dearest.written_kib() < hash.written_kib()) {
                    cost.dearest = Some(hash.clone());
                }
            }
            cost.most = cost.most.max(count);
        }
        cost
    }
}
