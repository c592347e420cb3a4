//! The laws over a whole configuration.

mod folders;
mod labels;
mod reporters;
mod triggers;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use crate::{
    definition::{
        Draft, MasterDefinition, Password, Problem, SecretName, SecretUse, SecretsProvider,
        SecretsProviderKind, latent,
        listener::{self, ListenerId, Protocol},
        lock, suggest, suspect,
    },
    model::{Place, WorkerName},
};

/// A configuration that obeys all laws, and its warnings.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The configuration.
    pub definition: MasterDefinition,
    /// What somebody should look at.
    pub warnings: Vec<Problem>,
    /// The secrets that it names, and where.
    pub secrets: BTreeMap<SecretName, SecretUse>,
}

/// Holds a draft to the laws.
///
/// # Errors
/// All problems at once, errors and warnings, if one of them is an error.
pub fn check(draft: Draft) -> Result<Checked, Vec<Problem>> {
    let Draft {
        settings,
        workers,
        builders,
        schedulers,
        reporters,
        listeners,
        secrets_providers,
        secrets,
        interpreter,
        unreadable,
        is_incomplete,
        mut problems,
        place,
    } = draft;
    // A list that lost a member to another problem would let each mention of that member look wrong as well.
    let whole = !is_incomplete;

    let workers = by_name(workers, "worker", |w| (w.name.clone(), w.place.clone()), &mut problems);
    let builders = by_name(builders, "builder", |b| (b.name.clone(), b.place.clone()), &mut problems);
    let schedulers = by_name(schedulers, "scheduler", |s| (s.name.clone(), s.place.clone()), &mut problems);
    let reporters = by_name(reporters, "reporter", |r| (r.name.clone(), r.place.clone()), &mut problems);
    let listeners = listener::by_id(listeners, &mut problems);
    let secrets_providers = SecretsProvider::by_name(secrets_providers, &mut problems);

    for builder in builders.values() {
        for worker in builder
            .worker_names
            .iter()
            .filter(|name| !workers.contains_key(*name) && !unreadable.contains(name.as_str()))
        {
            // With a broken worker in the list, a name that cannot be found may be that one's.
            if whole || suggest::nearest(worker.as_str(), workers.keys().map(WorkerName::as_str)).is_some() {
                let text =
                    format!("builder {:?}: no worker is named {:?}", builder.name.as_str(), worker.as_str());
                let hint = absent(worker.as_str(), workers.keys().map(WorkerName::as_str));
                problems.push(Problem::error(builder.place.clone(), text).hint(hint));
            }
        }
    }
    for scheduler in schedulers.values() {
        for builder in scheduler
            .builder_names
            .iter()
            .filter(|name| !builders.contains_key(*name) && !unreadable.contains(name.as_str()))
        {
            if whole || suggest::nearest(builder.as_str(), builders.keys().map(AsRef::as_ref)).is_some() {
                let text = format!(
                    "scheduler {:?}: no builder is named {:?}",
                    scheduler.name.as_str(),
                    builder.as_str()
                );
                let hint = absent(builder.as_str(), builders.keys().map(AsRef::as_ref));
                problems.push(Problem::error(scheduler.place.clone(), text).hint(hint));
            }
        }
    }
    let triggers = triggers::Triggers { builders: &builders, schedulers: &schedulers };
    triggers.check(&unreadable, whole, &mut problems);
    reporters::Names {
        workers: &workers,
        builders: &builders,
        schedulers: &schedulers,
        unreadable: &unreadable,
        whole,
    }
    .check(&reporters, &mut problems);
    // A name of which nothing is known may be that of a worker that could not be read.
    let is_absent = |name: &WorkerName| {
        !workers.contains_key(name)
            && !unreadable.contains(name.as_str())
            && (whole || suggest::nearest(name.as_str(), workers.keys().map(WorkerName::as_str)).is_some())
    };
    lock::Parts { workers: &workers, builders: &builders, is_absent: &is_absent }.check(&mut problems);
    folders::of_builders(&builders, &workers, &mut problems);
    folders::of_local_workers(&workers, &mut problems);
    labels::Farm { workers: &workers, is_whole: whole && unreadable.is_empty() }
        .check(&builders, &mut problems);
    latent::shared_parts(workers.values().map(|worker| &**worker), &mut problems);
    if workers.is_empty() && whole && unreadable.is_empty() {
        problems.push(Problem::error(place, "no worker is defined").hint("set `c.workers`".to_owned()));
    }
    let failed = problems.iter().any(Problem::is_error);
    if !failed {
        // What is idle may be so because of what is wrong.
        suspect::Parts { workers: &workers, builders: &builders, schedulers: &schedulers }
            .warn(&mut problems);
        triggers.warn(&mut problems);
        hashed_passwords(&workers, &listeners, &mut problems);
        latent::without_a_port(workers.values().map(|worker| &**worker), &listeners, &mut problems);
        latent::not_started(workers.values().map(|worker| &**worker), &mut problems);
        open_variables(&workers, &secrets_providers, &mut problems);
    }
    if failed {
        return Err(problems);
    }
    let settings = Some(Arc::new(settings));
    let definition = MasterDefinition {
        settings,
        workers,
        builders,
        schedulers,
        reporters,
        listeners,
        secrets_providers,
        interpreter,
    };
    Ok(Checked { definition, warnings: problems, secrets })
}

fn by_name<K: Ord + AsRef<str>, T>(
    list: Vec<T>,
    noun: &'static str,
    key: impl Fn(&T) -> (K, Place),
    problems: &mut Vec<Problem>,
) -> BTreeMap<K, Arc<T>> {
    let mut map: BTreeMap<K, Arc<T>> = BTreeMap::new();
    for item in list {
        let (name, place) = key(&item);
        match map.entry(name) {
            Entry::Vacant(vacant) => {
                vacant.insert(Arc::new(item));
            }
            Entry::Occupied(first) => {
                let (name, first) = key(first.get());
                let text = format!("{noun} {:?} is defined twice, first at {first}", name.as_ref());
                problems.push(Problem::error(place, text));
            }
        }
    }
    map
}

/// The hint for a name that is not defined: the nearest one, else a few of those that are.
fn absent<'a>(given: &str, defined: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    suggest::did_you_mean(given, defined.clone()).or_else(|| {
        const SHOWN: usize = 5;
        let few: Vec<&str> = defined.clone().take(SHOWN).collect();
        let more = defined.count().saturating_sub(SHOWN);
        match (few.is_empty(), more) {
            (true, _) => Some("none is defined".into()),
            (false, 0) => Some(format!("defined: {}", few.join(", "))),
            (false, more) => Some(format!("defined: {} and {more} more", few.join(", "))),
        }
    })
}

/// PB checks a password by its digest, for which a hash will not do.
fn hashed_passwords(
    workers: &BTreeMap<WorkerName, Arc<super::WorkerDefinition>>,
    listeners: &BTreeMap<ListenerId, Arc<super::ListenerDefinition>>,
    problems: &mut Vec<Problem>,
) {
    if listeners.values().any(|listener| listener.id.protocol == Protocol::Msgpack) {
        return;
    }
    for worker in workers.values() {
        let super::WorkerKind::Remote { passwords } = &worker.kind else { continue };
        // What a provider knows may be either.
        let may_be_plain = |password: &Password| !matches!(password, Password::Hashed(_));
        if !passwords.all().iter().any(may_be_plain) {
            let text = format!(
                "worker {:?}: its password is hashed, which PB cannot check, and there is no port for msgpack",
                worker.name.as_str()
            );
            let hint = "set `c.protocols.msgpack_experimental_v7`".to_owned();
            problems
                .push(Problem::warning(worker.place.clone(), "worker that cannot log in", text).hint(hint));
        }
    }
}

/// Commands of a LocalWorker have the master's environment but for what begins with `LUNABOT_`.
fn open_variables(
    workers: &BTreeMap<WorkerName, Arc<super::WorkerDefinition>>,
    providers: &BTreeMap<String, Arc<SecretsProvider>>,
    problems: &mut Vec<Problem>,
) {
    if !workers.values().any(|worker| worker.is_local()) {
        return;
    }
    for provider in providers.values() {
        let SecretsProviderKind::Environment { prefix } = &provider.kind else { continue };
        if !prefix.starts_with("LUNABOT_") {
            let text = format!(
                "secrets.SecretInEnvironment: variables that begin with {prefix:?} are seen by each command of a LocalWorker"
            );
            let hint = "let `prefix` begin with `LUNABOT_`".to_owned();
            problems.push(Problem::warning(provider.place.clone(), "secret that is seen", text).hint(hint));
        }
    }
}
