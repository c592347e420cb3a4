//! The properties of a build, put together in Buildbot's order: the worker's win over all that people wrote.

//!
//! # Laws
//! - Properties are shown to everybody, so no secret can be rendered into one.

use std::collections::BTreeMap;

use crate::{
    definition::{BuilderDefinition, Hooks, Known, NoSecrets, WorkerDefinition, Worth},
    model::{Properties, SourceStamps, WorkerInfo},
};

/// What a build begins with.
pub struct Composed {
    /// Its properties.
    pub properties: Properties,
    /// Why one of them could not be rendered.
    pub fault: Option<String>,
}

/// Puts a build's properties together. Later wins: those of all builds (`c.properties`), request, builder, worker, then
/// what the build itself knows. What is rendered knows what was set before it; those of all builds know the request's.
///
/// Source: Buildbot, `process/build.py` (`setupPropertiesKnownBeforeBuildStarts`).
pub async fn compose(
    global: &BTreeMap<String, Worth>,
    request: &Properties,
    builder: &BuilderDefinition,
    worker: &WorkerDefinition,
    info: &WorkerInfo,
    hooks: &dyn Hooks,
) -> Composed {
    let mut composing =
        Composing { composed: Composed { properties: request.clone(), fault: None }, info, hooks };
    // Under all others, and yet with the request's at hand: they fill what the request leaves open.
    composing.default_all(global, "Global").await;
    composing.set_all(&builder.properties, "Builder").await;
    composing.default_all(&builder.default_properties, "Builder").await;
    composing.set_all(&worker.properties, "Worker").await;
    composing.composed.properties.set("workername", worker.name.as_str(), "Worker");
    composing.default_all(&worker.default_properties, "Worker").await;
    let mut composed = composing.composed;
    composed.properties.set("buildername", builder.name.as_str(), "Builder");
    for name in ["branch", "revision", "repository", "project", "codebase"] {
        composed.properties.set_default(name, "", "Build");
    }
    composed
}

struct Composing<'a> {
    composed: Composed,
    info: &'a WorkerInfo,
    hooks: &'a dyn Hooks,
}

impl Composing<'_> {
    async fn set_all(&mut self, values: &BTreeMap<String, Worth>, source: &str) {
        for (name, worth) in values {
            self.set(name, worth, source).await;
        }
    }

    async fn default_all(&mut self, values: &BTreeMap<String, Worth>, source: &str) {
        for (name, worth) in values {
            if self.composed.properties.get(name).is_none() {
                self.set(name, worth, source).await;
            }
        }
    }

    async fn set(&mut self, name: &str, worth: &Worth, source: &str) {
        let value = match worth {
            Worth::Plain(value) => Ok(value.clone()),
            worth => {
                let sources = SourceStamps::of_properties(&self.composed.properties);
                let known = Known {
                    properties: &self.composed.properties,
                    worker: self.info,
                    sources: &sources,
                    hooks: self.hooks,
                    secrets: &NoSecrets,
                };
                worth.value(known).await
            }
        };
        match value {
            Ok(value) => self.composed.properties.set(name, value, source),
            Err(error) => {
                let fault = || format!("property `{name}` of the {}: {error}", source.to_lowercase());
                self.composed.fault.get_or_insert_with(fault);
            }
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::{
        definition::{NoHooks, Renderable},
        model::{Place, PropertyValue},
    };

    fn table(pairs: &[(&str, &str)]) -> BTreeMap<String, Worth> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect()
    }

    #[tokio::test]
    async fn the_workers_properties_win_its_defaults_only_fill_gaps_and_those_of_all_builds_lose() {
        let place = Place::new("master.cfg.lua", 1);
        let builder = BuilderDefinition {
            properties: table(&[("who", "builder"), ("os", "builder")]),
            default_properties: table(&[("who", "no"), ("colour", "builder")]),
            ..BuilderDefinition::bare("linux")
        };
        let worker = WorkerDefinition {
            properties: table(&[("os", "worker")]),
            default_properties: table(&[("colour", "no"), ("gap", "worker"), ("site", "no")]),
            place,
            ..WorkerDefinition::bare("bot")
        };
        let mut request = Properties::new();
        request.set("os", "request", "Force Build Form");
        request.set("reason", "request", "Force Build Form");
        request.set("workername", "forged", "Force Build Form");
        let mut global = table(&[("os", "global"), ("reason", "global"), ("site", "lab")]);
        let why = Renderable::Property { name: "reason".into(), default: None, default_when_false: true };
        global.insert("why".into(), Worth::Rendered(why));
        let all =
            compose(&global, &request, &builder, &worker, &WorkerInfo::default(), &NoHooks).await.properties;
        let value = |name: &str| all.get(name).and_then(PropertyValue::as_str).unwrap_or_default();
        let source = all.iter().find(|(name, _)| *name == "site").map(|(_, site)| site.source.as_str());
        assert_eq!(
            (value("site"), source),
            ("lab", Some("Global")),
            "defaults fill what nothing else has set"
        );
        assert_eq!(value("why"), "request", "those of all builds may use the request's");
        assert_eq!(value("os"), "worker");
        assert_eq!(value("who"), "builder");
        assert_eq!(value("reason"), "request");
        assert_eq!(value("colour"), "builder");
        assert_eq!(value("gap"), "worker");
        assert_eq!(value("workername"), "bot");
        assert_eq!(value("buildername"), "linux");
    }
}
