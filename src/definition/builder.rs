//! A builder, as the operator defined it: which steps, on which workers.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use crate::{
    definition::{
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
    /// The workers that may run its builds, in the order of their names, each once.
    pub worker_names: Vec<WorkerName>,
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
        if names.is_empty() {
            complain("no worker is named; give `workername` or `workernames`".into());
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
            steps,
            worker_build_dir,
            env: record.environment("env"),
            properties: record.properties("properties"),
            default_properties: record.properties("defaultProperties"),
            locks,
            tags: record.texts("tags"),
            description: record.text("description"),
            place: record.place.clone(),
        })
    }
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
            "workerbuilddir" worker_build_dir InPlace,
            "env" env InPlace,
            "properties" properties InPlace,
            "defaultProperties" default_properties InPlace,
            "locks" locks InPlace,
            "tags" tags InPlace,
            "description" description InPlace,
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
mod tests {
    use super::*;

    #[test]
    fn a_builders_folder_is_safe_whatever_its_name() {
        assert_eq!(safe_folder("Linux (gcc) ../x"), "Linux__gcc_____x");
        assert!(check_folder("a/b").is_ok());
        for bad in ["", "info", "/tmp", "a/../b", ".."] {
            assert!(check_folder(bad).is_err(), "{bad}");
        }
    }
}
