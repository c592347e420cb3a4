//! What a configuration says of each worker, as its link needs it: derived once, for all of them.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap},
    iter,
    sync::Arc,
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    definition::{
        HashedPassword, MasterDefinition, Passwords, SecretName, WorkerKind, password::PasswordError,
    },
    model::{Place, Secret, WorkerName},
    protocol::message::BuilderFolder,
};

/// What a configuration says of each worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    entries: BTreeMap<WorkerName, Arc<RosterEntry>>,
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
    /// Its builders and their folders, by the builders' names; a builder that runs several builds there has several.
    pub folders: Arc<[BuilderFolder]>,
    /// How often its silent link is asked for a sign of life.
    pub keepalive_interval: Option<Duration>,
    /// How long its answer may take; the default if absent.
    pub keepalive_timeout: Option<Duration>,
    /// How long its commands may outlive its link; not at all if absent.
    pub resume_grace: Option<Duration>,
    /// How it may log in.
    pub login: Login,
    /// Where it is written.
    pub place: Place,
}

/// How a worker may log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// With one of these passwords.
    With(Passwords),
    /// Not at all: it runs inside the master's process.
    Local,
    /// Not at all: nobody but an instance may have its name, and none was started.
    Latent,
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
            let slots: Vec<BuilderFolder> = builder
                .slots()
                .map(|(builder, folder)| BuilderFolder { builder: builder.into(), folder })
                .collect();
            for worker in builder.workers(&definition.workers) {
                folders.entry(&worker.name).or_default().extend_from_slice(&slots);
            }
        }
        let mut entries = Vec::with_capacity(definition.workers.len());
        for worker in definition.workers.values() {
            let login = match &worker.kind {
                WorkerKind::Remote { passwords } => {
                    let bad = |(secret, why)| BadPassword { worker: worker.name.clone(), secret, why };
                    Login::With(passwords.resolved(known).map_err(bad)?)
                }
                WorkerKind::Local { .. } => Login::Local,
                WorkerKind::Latent(_) => Login::Latent,
            };
            let entry = RosterEntry {
                folders: folders.remove(&worker.name).unwrap_or_default().into(),
                keepalive_interval: worker.keepalive_interval,
                keepalive_timeout: worker.keepalive_timeout,
                resume_grace: worker.resume_grace,
                login,
                place: worker.place.clone(),
            };
            entries.push((worker.name.clone(), Arc::new(entry)));
        }
        // They come in the order of their names, in which a map is made without looking for places.
        let entries: BTreeMap<_, _> = entries.into_iter().collect();
        let hashes = HashCost::of(entries.values().filter_map(|entry| entry.login.passwords()));
        Ok(Self { entries, hashes })
    }

    /// The workers of whom the other one says something else, or says something at all, or nothing.
    pub(super) fn differing<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a WorkerName> {
        // Side by side, since both are in the order of the names.
        let (mut ours, mut theirs) = (self.entries.iter().peekable(), other.entries.iter().peekable());
        iter::from_fn(move || {
            loop {
                let order = match (ours.peek(), theirs.peek()) {
                    (Some((one, _)), Some((two, _))) => one.cmp(two),
                    (Some(_), None) => Ordering::Less,
                    (None, Some(_)) => Ordering::Greater,
                    (None, None) => return None,
                };
                match order {
                    Ordering::Less => return ours.next().map(|(name, _)| name),
                    Ordering::Greater => return theirs.next().map(|(name, _)| name),
                    Ordering::Equal => {
                        let (one, two) = (ours.next(), theirs.next());
                        if let (Some((name, one)), Some((_, two))) = (one, two)
                            && one != two
                        {
                            return Some(name);
                        }
                    }
                }
            }
        })
    }

    /// What it says of a worker; nothing for one that is not defined.
    pub fn of(&self, worker: &WorkerName) -> Option<Arc<RosterEntry>> {
        self.entries.get(worker).map(Arc::clone)
    }

    /// Where a worker is written, for the master's own log.
    pub(super) fn place(&self, worker: &str) -> Option<Place> {
        self.entries.get(worker).map(|entry| entry.place.clone())
    }

    /// The passwords of a worker that may log in.
    pub fn passwords(&self, worker: &str) -> Option<&Passwords> {
        self.entries.get(worker)?.login.passwords()
    }

    /// Why nobody may log in under a name, for the master's own log.
    pub(super) fn why_not(&self, worker: &str) -> &'static str {
        match self.entries.get(worker).map(|entry| &entry.login) {
            Some(Login::Local) => "it is a LocalWorker, which does not log in",
            Some(Login::Latent) => "it is a latent worker, of which no instance was started",
            Some(Login::With(_)) | None => "no such worker is defined",
        }
    }

    /// What the check of a hashed password costs, at most.
    pub(super) const fn hashes(&self) -> &HashCost {
        &self.hashes
    }
}

impl Login {
    /// The passwords of one that may log in.
    const fn passwords(&self) -> Option<&Passwords> {
        match self {
            Self::With(passwords) => Some(passwords),
            Self::Local | Self::Latent => None,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{
        Text, WorkerDefinition,
        options::LOCAL_WORKER,
        record::{Record, Value},
    };

    fn roster(workers: &[(&str, u32, u64)]) -> Roster {
        let mut definition = MasterDefinition::nothing();
        for (name, line, keepalive) in workers {
            let mut record = Record::new(&LOCAL_WORKER, Place::new("master.cfg.lua", *line));
            record.values.insert("name", Value::Text(Text::Plain((*name).to_owned())));
            record.values.insert("keepalive_interval", Value::Seconds(Duration::from_secs(*keepalive)));
            let made = WorkerDefinition::from_record(&record, &mut Vec::new()).unwrap();
            definition.workers.insert(made.name.clone(), Arc::new(made));
        }
        Roster::new(&definition, &BTreeMap::new()).unwrap()
    }

    #[test]
    fn two_rosters_differ_in_what_came_went_or_changed_and_not_in_what_only_moved() {
        let first = roster(&[("a", 1, 60), ("b", 2, 60), ("c", 3, 60), ("x", 4, 60)]);
        let second = roster(&[("a", 1, 60), ("b", 7, 60), ("c", 3, 61), ("d", 4, 60)]);
        let names = |one: &Roster, two| one.differing(two).map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&first, &second), ["c", "d", "x"]);
        assert_eq!(names(&second, &first), ["c", "d", "x"]);
        let same = first.clone();
        assert!(names(&first, &same).is_empty());
        assert_eq!(names(&Roster::default(), &first), ["a", "b", "c", "x"]);
        assert_eq!(second.place("b").map(|place| place.line), Some(7));
    }
}
