//! What is legal, but probably not what was meant: warnings of a configuration.
//!
//! # Laws
//! - A warning keeps nothing from running. Its kind is one of a few, so that many of one kind fold into one line.
//! - Warned is of what the operator wrote, never of a default.
//!
//! # Not here
//! What is wrong (`check`, and each definition).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crate::{
    definition::{
        BuilderDefinition, MasterDefinition, Problem, SchedulerDefinition, WorkerDefinition, WorkerKind,
        record::Record,
    },
    model::{BuilderName, Place, SchedulerName, WorkerName},
};

/// A link that is asked more often than this is asked for nothing.
const SHORTEST_KEEPALIVE: Duration = Duration::from_secs(5);

/// Warns of the options of one worker.
pub(super) fn worker(name: &str, record: &Record, problems: &mut Vec<Problem>) {
    let mut warn = |kind, text: &str, hint: &str| {
        let text = format!("worker {name:?}: {text}");
        problems.push(Problem::warning(record.place.clone(), kind, text).hint(hint.to_owned()));
    };
    let interval = record.duration("keepalive_interval").filter(|interval| !interval.is_zero());
    if record.is_given("keepalive_interval") && interval.is_some_and(|interval| interval < SHORTEST_KEEPALIVE)
    {
        let text = "`keepalive_interval` is shorter than 5 s, so its link is never at rest";
        warn("short keepalive", text, "3600 s is the default");
    }
    let tells = !record.texts("notify_on_missing").is_empty();
    let counts = record.duration("missing_timeout").is_some_and(|timeout| !timeout.is_zero());
    if record.is_given("missing_timeout") && counts && !tells {
        let text = "`missing_timeout` is set, and nobody is told";
        warn("nobody is told", text, "name addresses in `notify_on_missing`");
    }
    if tells && !counts {
        let text = "`notify_on_missing` is set, and without a `missing_timeout` it never counts as missing";
        warn("nobody is told", text, "give a `missing_timeout`");
    }
}

/// What is looked at as a whole.
pub(super) struct Parts<'p> {
    pub(super) workers: &'p BTreeMap<WorkerName, Arc<WorkerDefinition>>,
    pub(super) builders: &'p BTreeMap<BuilderName, Arc<BuilderDefinition>>,
    pub(super) schedulers: &'p BTreeMap<SchedulerName, Arc<SchedulerDefinition>>,
}

impl Parts<'_> {
    /// Warns of what is used nowhere, and of names that look alike.
    pub(super) fn warn(&self, problems: &mut Vec<Problem>) {
        self.idle(problems);
        alike("worker", self.workers.iter().map(|(name, worker)| (name.as_str(), &worker.place)), problems);
        alike("builder", self.builders.iter().map(|(name, one)| (name.as_str(), &one.place)), problems);
        alike("scheduler", self.schedulers.iter().map(|(name, one)| (name.as_str(), &one.place)), problems);
    }

    fn idle(&self, problems: &mut Vec<Problem>) {
        let used: BTreeSet<&WorkerName> =
            self.builders.values().flat_map(|b| b.workers(self.workers)).map(|worker| &worker.name).collect();
        if !self.builders.is_empty() {
            for worker in self.workers.values().filter(|worker| !used.contains(&worker.name)) {
                let text = format!("worker {:?}: no builder uses it", worker.name.as_str());
                problems.push(Problem::warning(worker.place.clone(), "worker without a builder", text));
            }
        }
        let asked: BTreeSet<_> = self.schedulers.values().flat_map(|s| &s.builder_names).collect();
        for builder in self.builders.values() {
            if !asked.contains(&builder.name) {
                let text = format!("builder {:?}: no scheduler asks for its builds", builder.name.as_str());
                problems.push(Problem::warning(builder.place.clone(), "builder without a scheduler", text));
            }
            if builder.steps.is_empty() {
                let text = format!("builder {:?}: its factory has no steps", builder.name.as_str());
                problems.push(Problem::warning(builder.place.clone(), "builder without steps", text));
            }
        }
    }
}

/// Names that differ in nothing but capital letters.
fn alike<'p>(noun: &str, names: impl Iterator<Item = (&'p str, &'p Place)>, problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<String, (&str, &Place)> = BTreeMap::new();
    for (name, place) in names {
        if let Some((first, at)) = seen.insert(name.to_lowercase(), (name, place)) {
            let text =
                format!("{noun} {name:?}: differs from {noun} {first:?}, at {at}, in capital letters only");
            problems.push(Problem::warning(place.clone(), "names that look alike", text));
        }
    }
}

/// Warns of passwords in files that everybody can read, as `is_exposed` knows of each file.
pub fn readable_passwords(
    definition: &MasterDefinition,
    is_exposed: impl Fn(&str) -> bool,
    problems: &mut Vec<Problem>,
) {
    let mut exposed: BTreeMap<Arc<str>, bool> = BTreeMap::new();
    for worker in definition.workers.values() {
        let WorkerKind::Remote { passwords } = &worker.kind else { continue };
        let file = &worker.place.file;
        let is_exposed = *exposed.entry(Arc::clone(file)).or_insert_with(|| is_exposed(file));
        if is_exposed && passwords.plain().next().is_some() {
            let text = format!(
                "worker {:?}: its password stands in {file}, which everybody on this machine can read",
                worker.name.as_str()
            );
            let hint = format!("`chmod o-r {file}`, or give `util.Secret`");
            let problem = Problem::warning(worker.place.clone(), "password that all can read", text);
            problems.push(problem.hint(hint));
        }
    }
}
