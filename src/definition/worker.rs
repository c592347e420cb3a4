//! A worker, as the operator defined it.

use std::{collections::BTreeMap, num::NonZeroU32, path::PathBuf, time::Duration};

use crate::{
    definition::{
        address::Mailbox,
        latent::LatentDefinition,
        lock::LockAccess,
        password::{PasswordError, Passwords},
        plan::{Cost, FieldChange, Planned, changes},
        problem::Problem,
        record::Record,
        render::Worth,
        suspect,
    },
    model::{Place, WorkerName},
};

/// A worker and its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerDefinition {
    /// Its name, unique in the master.
    pub name: WorkerName,
    /// How it is reached.
    pub kind: WorkerKind,
    /// How many builds it may run at once; no limit if absent.
    pub max_builds: Option<NonZeroU32>,
    /// Set on each of its builds, over all others.
    pub properties: BTreeMap<String, Worth>,
    /// Set on each of its builds where nothing else did.
    pub default_properties: BTreeMap<String, Worth>,
    /// How often an idle link is asked for a sign of life; never if absent.
    pub keepalive_interval: Option<Duration>,
    /// How long the answer may take; if absent, the smaller of 30 s and three intervals.
    pub keepalive_timeout: Option<Duration>,
    /// How long its builds wait for a program that can go on with them, when the link is lost; not at all if absent.
    pub resume_grace: Option<Duration>,
    /// How long it may be away before it counts as missing; never if absent.
    pub missing_timeout: Option<Duration>,
    /// Who is told when it is missing.
    pub notify_on_missing: Vec<Mailbox>,
    /// Whether they are told as well when it is back.
    pub notify_on_return: bool,
    /// What each build on it holds of locks.
    pub locks: Vec<LockAccess>,
    /// Where it was written.
    pub place: Place,
}

/// How a worker is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerKind {
    /// A program that connects to the master and proves itself with a password.
    Remote {
        /// What it must know, one of them.
        passwords: Passwords,
    },
    /// Inside the master's process.
    Local {
        /// Its folder: below `DIR/workers`, unless absolute.
        workdir: PathBuf,
    },
    /// Started on demand; an instance connects to the master by itself.
    Latent(Box<LatentDefinition>),
}

impl WorkerDefinition {
    /// A worker from its record; what is wrong goes to `problems`.
    pub fn from_record(record: &Record, problems: &mut Vec<Problem>) -> Option<Self> {
        let given = record.text("name")?;
        let name = match WorkerName::new(&given) {
            Ok(name) => name,
            Err(error) => {
                problems.push(Problem::error(record.place.clone(), format!("worker {given:?}: {error}")));
                return None;
            }
        };
        let kind = WorkerKind::from_record(record, &given, problems);
        let notify_on_missing = addresses(record, &given, problems);
        suspect::worker(&given, record, problems);
        Some(Self {
            name,
            kind: kind?,
            // Buildbot takes 0 for "no limit" as well.
            max_builds: record
                .integer("max_builds")
                .and_then(|n| u32::try_from(n).ok())
                .and_then(NonZeroU32::new),
            properties: record.properties("properties"),
            default_properties: record.properties("defaultProperties"),
            keepalive_interval: record.duration("keepalive_interval").filter(|interval| !interval.is_zero()),
            keepalive_timeout: record.duration("keepalive_timeout"),
            // A worker inside the master's process has no link that could be lost.
            resume_grace: (record.constructor.name != "LocalWorker")
                .then(|| record.duration("resume_grace"))
                .flatten()
                .filter(|grace| !grace.is_zero()),
            missing_timeout: record.duration("missing_timeout").filter(|timeout| !timeout.is_zero()),
            notify_on_missing: notify_on_missing?,
            notify_on_return: record.flag("notify_on_return"),
            locks: LockAccess::all_from_record(record, problems),
            place: record.place.clone(),
        })
    }

    /// Whether it runs inside the master's process.
    pub const fn is_local(&self) -> bool {
        matches!(self.kind, WorkerKind::Local { .. })
    }

    /// Whether it is started on demand.
    pub const fn is_latent(&self) -> bool {
        matches!(self.kind, WorkerKind::Latent(_))
    }

    /// The constructor that makes it.
    pub const fn class(&self) -> &'static str {
        match &self.kind {
            WorkerKind::Remote { .. } => "Worker",
            WorkerKind::Local { .. } => "LocalWorker",
            WorkerKind::Latent(latent) => latent.class(),
        }
    }
}

impl WorkerKind {
    fn from_record(record: &Record, name: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let mut passwords = |texts| {
            Passwords::new(texts).inspect_err(|error| problems.push(bad_password(name, error, record))).ok()
        };
        match record.constructor.name {
            "LocalWorker" => {
                let workdir = PathBuf::from(record.text("workdir").unwrap_or_else(|| name.to_owned()));
                if workdir.components().any(|part| part == std::path::Component::ParentDir) {
                    let text = format!(
                        "worker {name:?}: `workdir` must not climb out of the workers' folder with `..`"
                    );
                    problems.push(Problem::error(record.place.clone(), text));
                    return None;
                }
                Some(Self::Local { workdir })
            }
            "Worker" => Some(Self::Remote { passwords: passwords(record.secrets("password")?)? }),
            _ => {
                let given = record.secrets("password");
                let has_password = given.is_some();
                let passwords = given.and_then(passwords);
                let is_well = passwords.is_some() || !has_password;
                let label = format!("worker {name:?}");
                let latent = LatentDefinition::from_record(record, &label, passwords, problems);
                latent.filter(|_| is_well).map(|latent| Self::Latent(Box::new(latent)))
            }
        }
    }
}

/// Who is told when a worker is missing.
fn addresses(record: &Record, name: &str, problems: &mut Vec<Problem>) -> Option<Vec<Mailbox>> {
    let mut addresses = Some(Vec::new());
    for text in record.texts("notify_on_missing") {
        match Mailbox::parse(&text) {
            Ok(address) => addresses.iter_mut().for_each(|addresses| addresses.push(address.clone())),
            Err(error) => {
                let text = format!("worker {name:?}: `notify_on_missing`: {error}");
                problems.push(Problem::error(record.place.clone(), text));
                addresses = None;
            }
        }
    }
    addresses
}

/// What is wrong with a password, without showing it.
fn bad_password(worker: &str, error: &PasswordError, record: &Record) -> Problem {
    let (why, hint) = match error {
        PasswordError::Hash(why) => {
            (format!(": {why}"), Some("make one with `lunabot hash-password`".to_owned()))
        }
        PasswordError::Empty | PasswordError::TooMany { .. } => (String::new(), None),
    };
    Problem::error(record.place.clone(), format!("worker {worker:?}: {error}{why}")).hint(hint)
}

impl Planned for WorkerDefinition {
    const NOUN: &'static str = "worker";

    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn changes(&self, new: &Self) -> Vec<FieldChange> {
        let mut out = changes!(self, new;
            "max_builds" max_builds InPlace,
            "properties" properties InPlace,
            "defaultProperties" default_properties InPlace,
            "keepalive_interval" keepalive_interval InPlace,
            "keepalive_timeout" keepalive_timeout InPlace,
            "resume_grace" resume_grace InPlace,
            "missing_timeout" missing_timeout InPlace,
            "notify_on_missing" notify_on_missing InPlace,
            "notify_on_return" notify_on_return InPlace,
            "locks" locks InPlace,
        );
        match (&self.kind, &new.kind) {
            // The next login needs the new password; a live link was proved with the old one and stays.
            (WorkerKind::Remote { passwords: old }, WorkerKind::Remote { passwords: new }) if old != new => {
                out.push(FieldChange::hidden("password", Cost::InPlace));
            }
            (WorkerKind::Local { workdir: old }, WorkerKind::Local { workdir: new }) if old != new => {
                out.push(FieldChange::new("workdir", &old.display(), &new.display(), Cost::Reattach));
            }
            (WorkerKind::Latent(old), WorkerKind::Latent(new)) if old.class() == new.class() => {
                out.extend(old.changes(new));
            }
            _ if self.class() != new.class() => {
                out.push(FieldChange::new("class", &self.class(), &new.class(), Cost::Replace));
            }
            _ => {}
        }
        out
    }
}
#[cfg(test)]
impl WorkerDefinition {
    /// One inside the master of which nothing is said but its name, for tests; its folder is called as it is.
    pub(crate) fn bare(name: &str) -> Self {
        Self {
            name: WorkerName::new(name).expect("the test gives a good name"),
            kind: WorkerKind::Local { workdir: name.into() },
            max_builds: None,
            properties: BTreeMap::new(),
            default_properties: BTreeMap::new(),
            keepalive_interval: None,
            keepalive_timeout: None,
            resume_grace: None,
            missing_timeout: None,
            notify_on_missing: Vec::new(),
            notify_on_return: false,
            locks: Vec::new(),
            place: Place::new("master.cfg.lua", 1),
        }
    }
}
