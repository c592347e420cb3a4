//! The laws over folders: no two builds work in one, and a worker knows two builders by two names.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    path::Path,
    sync::Arc,
};

use crate::{
    definition::{BuilderDefinition, Problem, WorkerDefinition, WorkerKind},
    model::{BuilderName, WorkerName},
};

/// What a builder is called on its workers, and its folders there: one pair for each build that runs beside another.
type Slots<'a> = (&'a BuilderDefinition, Vec<(String, String)>);

/// Two builders of one worker that have a word in common.
struct Clash<'a> {
    first: &'a BuilderDefinition,
    second: &'a BuilderDefinition,
    word: &'a str,
    worker: &'a WorkerName,
}

/// Two builders in one folder of one worker would build over each other; of one name, the worker would know only one.
pub(super) fn of_builders(
    builders: &BTreeMap<BuilderName, Arc<BuilderDefinition>>,
    workers: &BTreeMap<WorkerName, Arc<WorkerDefinition>>,
    problems: &mut Vec<Problem>,
) {
    let slots: Vec<Slots<'_>> =
        builders.values().map(|builder| (&**builder, builder.slots().collect())).collect();
    let mut tell = |clash: &Clash<'_>, what: &str, hint: &str| {
        let Clash { first, second, word, worker } = clash;
        let text = format!(
            "builder {:?}: {what} {word:?} on worker {:?} with builder {:?}",
            second.name.as_str(),
            worker.as_str(),
            first.name.as_str(),
        );
        problems.push(Problem::error(second.place.clone(), text).hint(hint.to_owned()));
    };
    for clash in clashes(&slots, workers, |(_, folder)| folder) {
        tell(&clash, "shares the folder", "give one of them a `workerbuilddir` of its own");
    }
    // Names of builders differ; only those of their further builds may be like another's.
    for clash in clashes(&slots, workers, |(name, _)| name) {
        tell(
            &clash,
            "shares the name",
            "a builder with `max_builds_per_worker` has several; rename the other",
        );
    }
}

/// The clashes of one word of each pair; of each builder the first.
fn clashes<'a>(
    slots: &'a [Slots<'a>],
    workers: &'a BTreeMap<WorkerName, Arc<WorkerDefinition>>,
    word: impl Fn(&(String, String)) -> &String,
) -> Vec<Clash<'a>> {
    // Most builders have words of their own, on thousands of workers perhaps: there is nothing to look at.
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    for pair in slots.iter().flat_map(|(_, pairs)| pairs) {
        *uses.entry(word(pair)).or_default() += 1;
    }
    let mut owners: BTreeMap<(&str, &WorkerName), &BuilderDefinition> = BTreeMap::new();
    let mut told: BTreeSet<&BuilderName> = BTreeSet::new();
    let mut found = Vec::new();
    for (builder, pairs) in slots {
        for word in pairs.iter().map(|pair| word(pair).as_str()).filter(|word| uses[word] > 1) {
            for worker in builder.workers(workers) {
                match owners.entry((word, &worker.name)) {
                    Entry::Vacant(vacant) => {
                        vacant.insert(builder);
                    }
                    Entry::Occupied(first) => {
                        if told.insert(&builder.name) {
                            let (first, second) = (*first.get(), *builder);
                            found.push(Clash { first, second, word, worker: &worker.name });
                        }
                    }
                }
            }
        }
    }
    found
}

/// Two local workers in one folder would build over each other.
pub(super) fn of_local_workers(
    workers: &BTreeMap<WorkerName, Arc<WorkerDefinition>>,
    problems: &mut Vec<Problem>,
) {
    let mut owners: BTreeMap<&Path, &WorkerName> = BTreeMap::new();
    for worker in workers.values() {
        let WorkerKind::Local { workdir } = &worker.kind else { continue };
        if let Some(first) = owners.insert(workdir, &worker.name) {
            let text = format!(
                "worker {:?}: shares the folder {:?} with worker {:?}",
                worker.name.as_str(),
                workdir.display().to_string(),
                first.as_str()
            );
            let hint = "give one of them a `workdir` of its own".to_owned();
            problems.push(Problem::error(worker.place.clone(), text).hint(hint));
        }
    }
}
