//! The properties of a build, put together in Buildbot's order: the worker's win over all that people wrote.

use std::collections::BTreeMap;

use crate::{
    definition::{BuilderDefinition, WorkerDefinition},
    model::{Properties, PropertyValue},
};

/// Puts a build's properties together. Later wins: request, builder, worker, then what the build itself knows.
///
/// Source: Buildbot, `process/build.py` (`setupPropertiesKnownBeforeBuildStarts`).
pub fn compose(request: &Properties, builder: &BuilderDefinition, worker: &WorkerDefinition) -> Properties {
    let mut properties = request.clone();
    set_all(&mut properties, &builder.properties, "Builder");
    default_all(&mut properties, &builder.default_properties, "Builder");
    set_all(&mut properties, &worker.properties, "Worker");
    properties.set("workername", worker.name.as_str(), "Worker");
    default_all(&mut properties, &worker.default_properties, "Worker");
    properties.set("buildername", builder.name.as_str(), "Builder");
    for name in ["branch", "revision", "repository", "project", "codebase"] {
        properties.set_default(name, "", "Build");
    }
    properties
}

fn set_all(properties: &mut Properties, values: &BTreeMap<String, PropertyValue>, source: &str) {
    for (name, value) in values {
        properties.set(name.clone(), value.clone(), source);
    }
}

fn default_all(properties: &mut Properties, values: &BTreeMap<String, PropertyValue>, source: &str) {
    for (name, value) in values {
        properties.set_default(name, value.clone(), source);
    }
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, sync::Arc};

    use super::*;
    use crate::{
        definition::WorkerKind,
        model::{BuilderName, Place, WorkerName},
    };

    fn table(pairs: &[(&str, &str)]) -> BTreeMap<String, PropertyValue> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect()
    }

    #[test]
    fn the_workers_properties_win_and_its_defaults_only_fill_gaps() {
        let place = Place::new("master.cfg.lua", 1);
        let builder = BuilderDefinition {
            name: BuilderName::new("linux").expect("a good name"),
            worker_names: Vec::new(),
            steps: Arc::new([]),
            worker_build_dir: "linux".into(),
            env: BTreeMap::new(),
            properties: table(&[("who", "builder"), ("os", "builder")]),
            default_properties: table(&[("who", "no"), ("colour", "builder")]),
            tags: Vec::new(),
            description: None,
            place: place.clone(),
        };
        let worker = WorkerDefinition {
            name: WorkerName::new("bot").expect("a good name"),
            kind: WorkerKind::Local { workdir: PathBuf::from("bot") },
            max_builds: None,
            properties: table(&[("os", "worker")]),
            default_properties: table(&[("colour", "no"), ("gap", "worker")]),
            keepalive_interval: None,
            keepalive_timeout: None,
            missing_timeout: None,
            notify_on_missing: Vec::new(),
            place,
        };
        let mut request = Properties::new();
        request.set("os", "request", "Force Build Form");
        request.set("reason", "request", "Force Build Form");
        request.set("workername", "forged", "Force Build Form");
        let all = compose(&request, &builder, &worker);
        let value = |name: &str| all.get(name).and_then(PropertyValue::as_str).unwrap_or_default();
        assert_eq!(value("os"), "worker");
        assert_eq!(value("who"), "builder");
        assert_eq!(value("reason"), "request");
        assert_eq!(value("colour"), "builder");
        assert_eq!(value("gap"), "worker");
        assert_eq!(value("workername"), "bot");
        assert_eq!(value("buildername"), "linux");
    }
}
