//! Passwords of workers that a provider of secrets knows: read whenever a configuration is looked at.
//!
//! # Laws
//! - A configuration with a password that cannot be had does not come into force; what runs is kept.
//! - Each load reads them anew, also from a file of Lua that has not changed; the files in which they may be are told, so
//!   that they can be watched.
//!
//! # Not here
//! What a worker must prove (`worker::gate`).

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::Path,
    sync::Arc,
};

use tokio::task;

use crate::{
    config::{self, Sightings},
    definition::{Cost, Deed, MasterDefinition, Problem, SecretName, WorkerDefinition, WorkerKind},
    master::generations::Item,
    reporter::mail,
    secret::{FindError, Masker, Providers},
    worker::Roster,
};

/// What a configuration needs besides itself to come into force.
pub(super) struct Resolved {
    /// What its workers must know.
    pub(super) roster: Roster,
    /// Where its secrets come from.
    pub(super) providers: Providers,
}

/// Reads the passwords that are secrets, and tells the files in which they may be. Looks at the templates of mails, too.
///
/// # Errors
/// A problem for each that cannot be had, or be used.
///
/// # Cancel safety
/// Dropped before it returns, it has changed nothing but what is masked.
pub(super) async fn resolve(
    definition: &MasterDefinition,
    root: &Path,
    masker: &Masker,
) -> (Sightings, Result<Resolved, Vec<Problem>>) {
    let providers = Providers::new(definition, root);
    let needed = needed(definition);
    let files: Vec<_> = needed.keys().flat_map(|name| providers.files(name)).collect();
    // Before they are read: a change after that must be seen.
    let seen = task::spawn_blocking(move || config::look_at(files)).await.unwrap_or_default();
    let (known, missing) = providers.find_all(needed.keys().cloned()).await;
    for (name, secret) in &known {
        masker.note(name, secret);
    }
    let mut problems: Vec<Problem> =
        missing.iter().filter_map(|(name, error)| Some(problem(needed.get(name)?, name, error))).collect();
    problems.extend(mail::problems(definition));
    if problems.is_empty() {
        match Roster::new(definition, &known) {
            Ok(roster) => return (seen, Ok(Resolved { roster, providers })),
            Err(bad) => {
                let place = definition.workers.get(&bad.worker).map(|worker| worker.place.clone());
                let text = format!("worker {:?}: {bad}: {}", bad.worker.as_str(), causes(&bad));
                problems.push(Problem::error(place, text));
            }
        }
    }
    (seen, Err(problems))
}

/// Each secret that is a password, with the first worker whose it is.
fn needed(definition: &MasterDefinition) -> BTreeMap<SecretName, Arc<WorkerDefinition>> {
    let mut needed = BTreeMap::new();
    for worker in definition.workers.values() {
        let WorkerKind::Remote { passwords } = &worker.kind else { continue };
        for name in passwords.named() {
            if let Entry::Vacant(vacant) = needed.entry(name.clone()) {
                vacant.insert(Arc::clone(worker));
            }
        }
    }
    needed
}

fn problem(worker: &WorkerDefinition, name: &SecretName, error: &FindError) -> Problem {
    let text =
        format!("worker {:?}: cannot have its password, the secret `{name}`: {error}", worker.name.as_str());
    let hint = match error {
        FindError::Nowhere { .. } => Some("put it there, readable by the master's user alone".to_owned()),
        // It says what to do.
        FindError::Fault { .. } => None,
    };
    Problem::error(worker.place.clone(), text).hint(hint)
}

fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Passwords that are others now though the configuration names the same secrets, as items of a plan.
pub(super) fn renewed(
    (old, old_roster): (&MasterDefinition, &Roster),
    (new, new_roster): (&MasterDefinition, &Roster),
    effect: &str,
) -> Vec<Item> {
    let is_renewed = |worker: &&Arc<WorkerDefinition>| {
        let name = worker.name.as_str();
        let is_same = old.workers.get(&worker.name).is_some_and(|old| old.kind == worker.kind);
        is_same && old_roster.passwords(name) != new_roster.passwords(name)
    };
    let renewed = new.workers.values().filter(is_renewed);
    renewed
        .map(|worker| Item {
            change: format!("~ worker {:?}: password … -> … (in place)", worker.name.as_str()),
            effect: effect.to_owned(),
            noun: "worker",
            name: worker.name.as_str().to_owned(),
            deed: Deed::Change(Cost::InPlace),
            place: worker.place.clone(),
        })
        .collect()
}
