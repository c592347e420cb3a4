//! A builder, as the operator defined it: which steps, on which workers.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use crate::{
    definition::{
        Collapse, Hook, WorkerDefinition, WorkerMatch,
        lock::LockAccess,
        plan::{FieldChange, Planned, changes},
        problem::Problem,
        record::{Record, Value},
        render::Worth,
        step::{EnvironmentValue, StepDefinition},
    },
    model::{BuilderName, Place, WorkerName},
};

/// A builder and its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuilderDefinition {
    /// Its name, unique in the master.
    pub name: BuilderName,
    /// The workers that it names, in the order of their names, each once; if none, it has all that match.
    pub worker_names: Vec<WorkerName>,
    /// What a worker must be besides.
    pub worker_match: WorkerMatch,
    /// Its steps. Shared: a running build keeps those that it began with.
    pub steps: Arc<[StepDefinition]>,
    /// Its folder on a worker, below the worker's own.
    pub worker_build_dir: String,
    /// Environment of all its commands; a step's own wins.
    pub env: BTreeMap<String, EnvironmentValue>,
    /// Set on each of its builds, over those of the request.
    pub properties: BTreeMap<String, Worth>,
    /// Set on each of its builds where nothing else did.
    pub default_properties: BTreeMap<String, Worth>,
    /// What its builds hold of locks.
    pub locks: Vec<LockAccess>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// A sentence for people.
    pub description: Option<String>,
    /// How many of its builds one worker may run at once; at least 1.
    pub max_builds_per_worker: u32,
    /// How often a build that is lost with its worker is tried again.
    pub max_retries: u32,
    /// How long a request may wait for a worker; without end if absent.
    pub queue_timeout: Option<Duration>,
    /// Chooses the worker of a build.
    pub next_worker: Option<Hook>,
    /// Chooses the request that is served next.
    pub next_build: Option<Hook>,
    /// Has the last word before a build starts.
    pub can_start_build: Option<Hook>,
    /// What becomes of an older request when a newer one comes in; as the master's settings say if absent.
    pub collapse: Option<Collapse>,
    /// Where it was written.
    pub place: Place,
}

impl BuilderDefinition {
    /// A builder from its record; what is wrong goes to `problems`.
    pub fn from_record(record: &Record, problems: &mut Vec<Problem>) -> Option<Self> {
        let given = record.text("name")?;
        let mut complain = |text: String| {
            problems.push(Problem::error(record.place.clone(), format!("builder {given:?}: {text}")));
        };
        let name = BuilderName::new(&given).map_err(|error| complain(error.to_string())).ok();
        let mut names = record.texts("workernames");
        names.extend(record.text("workername"));
        let worker_match = WorkerMatch::from_record(record, &mut complain);
        if names.is_empty() && worker_match.is_empty() {
            complain("no worker is named; give `workername`, `workernames` or `worker_match`".into());
        }
        let mut worker_names = Vec::with_capacity(names.len());
        // A farm has thousands of workers, and a builder may name them all.
        let mut seen = HashSet::new();
        for text in names {
            match WorkerName::new(&text) {
                Ok(worker) if seen.insert(worker.clone()) => worker_names.push(worker),
                Ok(_) => {}
                Err(error) => complain(format!("worker {text:?}: {error}")),
            }
        }
        // Their order means nothing, and Lua's `pairs` gives another one at each load.
        worker_names.sort();
        let worker_build_dir = record
            .text("workerbuilddir")
            .or_else(|| record.text("builddir"))
            .unwrap_or_else(|| safe_folder(&given));
        if let Err(why) = check_folder(&worker_build_dir) {
            complain(format!("folder {worker_build_dir:?} {why}"));
        }
        let steps = match record.get("factory") {
            Some(Value::Object(factory)) => factory_steps(&factory, problems),
            _ => return None,
        };
        let locks = LockAccess::all_from_record(record, problems);
        Some(Self {
            name: name?,
            worker_names,
            worker_match,
            steps,
            worker_build_dir,
            env: record.environment("env"),
            properties: record.properties("properties"),
            default_properties: record.properties("defaultProperties"),
            locks,
            tags: record.texts("tags"),
            description: record.text("description"),
            max_builds_per_worker: number(record, "max_builds_per_worker").unwrap_or(1),
            max_retries: number(record, "max_retries").unwrap_or_default(),
            queue_timeout: record.duration("queue_timeout"),
            next_worker: record.hook("nextWorker"),
            next_build: record.hook("nextBuild"),
            can_start_build: record.hook("canStartBuild"),
            collapse: Collapse::from_record(record),
            place: record.place.clone(),
        })
    }

    /// Whether its builds may run on this worker, as far as the configuration tells: it is named, or none is, and no
    /// property of it is in the way. What the worker tells of itself may still be.
    pub fn may_use(&self, worker: &WorkerDefinition) -> bool {
        // They are in order, and thousands perhaps.
        let is_named = self.worker_names.is_empty() || self.worker_names.binary_search(&worker.name).is_ok();
        is_named && self.worker_match.can_fit(worker)
    }

    /// Those of `workers` that may run its builds, by name.
    pub fn workers<'a>(
        &'a self,
        workers: &'a BTreeMap<WorkerName, Arc<WorkerDefinition>>,
    ) -> impl Iterator<Item = &'a Arc<WorkerDefinition>> {
        let named = self.worker_names.iter().filter_map(|name| workers.get(name));
        let all = self.worker_names.is_empty().then(|| workers.values()).into_iter().flatten();
        named.chain(all).filter(|worker| self.worker_match.can_fit(worker))
    }

    /// As what, and in which folder, a worker knows it for its builds number 0, 1 and so on of those that run at once.
    pub fn slot(&self, number: u32) -> (String, String) {
        let (name, folder) = (self.name.as_str(), &*self.worker_build_dir);
        match number {
            0 => (name.to_owned(), folder.to_owned()),
            _ => (format!("{name} #{}", number + 1), format!("{folder}-{}", number + 1)),
        }
    }

    /// All that a worker knows it as: names and folders.
    pub fn slots(&self) -> impl Iterator<Item = (String, String)> {
        (0..self.max_builds_per_worker).map(|number| self.slot(number))
    }
}

/// A number whose bounds the table of options has.
fn number(record: &Record, option: &str) -> Option<u32> {
    record.integer(option).and_then(|number| u32::try_from(number).ok())
}

/// The steps of a `BuildFactory`. Steps of one name get a number, as in Buildbot: `shell`, `shell_1`.
fn factory_steps(factory: &Record, problems: &mut Vec<Problem>) -> Arc<[StepDefinition]> {
    let Some(Value::Objects(records)) = factory.get("steps") else { return Arc::new([]) };
    let mut used: BTreeMap<String, u32> = BTreeMap::new();
    let mut steps = Vec::with_capacity(records.len());
    for mut step in records.iter().filter_map(|record| StepDefinition::from_record(record, problems)) {
        let count = used.entry(step.name.clone()).or_default();
        if *count > 0 {
            step.name = format!("{}_{count}", step.name);
        }
        *count += 1;
        steps.push(step);
    }
    steps.into()
}

/// The folder of a builder without one of its own: letters, digits, `-` and `_` stay, all else becomes `_`.
fn safe_folder(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '_' }).collect()
}

fn check_folder(folder: &str) -> Result<(), &'static str> {
    match folder {
        "" => Err("is empty"),
        // The worker keeps its own description there.
        "info" => Err("is kept by the worker for itself"),
        _ if folder.starts_with('/') => Err("is absolute; it lies below the worker's folder"),
        _ if folder.split(['/', '\\']).any(|part| part == "..") => {
            Err("climbs out of the worker's folder with `..`")
        }
        _ if folder.contains('\0') => Err("holds a zero byte"),
        _ => Ok(()),
    }
}

impl Planned for BuilderDefinition {
    const NOUN: &'static str = "builder";

    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn changes(&self, new: &Self) -> Vec<FieldChange> {
        let mut out = changes!(self, new;
            "workernames" worker_names InPlace,
            "worker_match" worker_match InPlace,
            "workerbuilddir" worker_build_dir InPlace,
            "env" env InPlace,
            "properties" properties InPlace,
            "defaultProperties" default_properties InPlace,
            "locks" locks InPlace,
            "tags" tags InPlace,
            "description" description InPlace,
            "max_builds_per_worker" max_builds_per_worker InPlace,
            "max_retries" max_retries InPlace,
            "queue_timeout" queue_timeout InPlace,
            "nextWorker" next_worker InPlace,
            "nextBuild" next_build InPlace,
            "canStartBuild" can_start_build InPlace,
            "collapseRequests" collapse InPlace,
        );
        if self.steps != new.steps {
            let names =
                |steps: &[StepDefinition]| steps.iter().map(|s| s.name.clone()).collect::<Vec<_>>().join(" ");
            let (old, new) = (names(&self.steps), names(&new.steps));
            let new = if old == new { "the same names, other commands".to_owned() } else { new };
            out.push(FieldChange::new("factory", &old, &new, super::Cost::InPlace));
        }
        out
    }
}

#[cfg(test)]
impl BuilderDefinition {
    /// One of which nothing is said but its name, for tests; its folder is called as it is.
    pub(crate) fn bare(name: &str) -> Self {
        Self {
            name: BuilderName::new(name).expect("the test gives a good name"),
            worker_names: Vec::new(),
            worker_match: WorkerMatch::default(),
            steps: Arc::new([]),
            worker_build_dir: name.to_owned(),
            env: BTreeMap::new(),
            properties: BTreeMap::new(),
            default_properties: BTreeMap::new(),
            tags: Vec::new(),
            locks: Vec::new(),
            description: None,
            max_builds_per_worker: 1,
            max_retries: 3,
            queue_timeout: None,
            next_worker: None,
            next_build: None,
            can_start_build: None,
            collapse: None,
            place: Place::new("master.cfg.lua", 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builds_that_run_beside_the_first_have_names_and_folders_of_their_own() {
        let builder = BuilderDefinition { max_builds_per_worker: 3, ..BuilderDefinition::bare("linux") };
        let pair = |name: &str, folder: &str| (name.to_owned(), folder.to_owned());
        let expected = [pair("linux", "linux"), pair("linux #2", "linux-2"), pair("linux #3", "linux-3")];
        assert_eq!(builder.slots().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_builders_folder_is_safe_whatever_its_name() {
        assert_eq!(safe_folder("Linux (gcc) ../x"), "Linux__gcc_____x");
        assert!(check_folder("a/b").is_ok());
        for bad in ["", "info", "/tmp", "a/../b", ".."] {
            assert!(check_folder(bad).is_err(), "{bad}");
        }
    }
}
