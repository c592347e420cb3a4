//! Builders, workers and requests as the functions of the configuration are given them: plain tables.
//!
//! # Laws
//! - What is not there is left out, so that it is nil in Lua.
//! - Of a worker's properties only those are shown that need no build to be known.

use serde_json::{Map, json};

use crate::{
    definition::{BuilderDefinition, WorkerDefinition},
    model::{Properties, PropertyValue, WorkerInfo},
    store::QueuedRequest,
};

/// A builder, of which so many builds run, and so many requests wait.
pub fn builder(builder: &BuilderDefinition, running: usize, waiting: usize) -> PropertyValue {
    json!({ "name": builder.name.as_str(), "tags": builder.tags, "running": running, "waiting": waiting })
}

/// A worker on which so many builds run, and what it tells of itself.
pub fn worker(worker: &WorkerDefinition, running: usize, info: &WorkerInfo) -> PropertyValue {
    let written = worker.default_properties.iter().chain(&worker.properties);
    let properties: Map<_, _> =
        written.filter_map(|(name, worth)| Some((name.clone(), worth.plain()?))).collect();
    let mut table =
        json!({ "name": worker.name.as_str(), "running": running, "properties": properties, "info": info });
    if let Some(most) = worker.max_builds {
        table["max_builds"] = most.get().into();
    }
    table
}

/// A request that waits.
pub fn request(request: &QueuedRequest) -> PropertyValue {
    json!({
        "id": request.id.0,
        "builder": request.builder.as_str(),
        "priority": request.priority,
        "submitted_at": request.submitted_at.as_second(),
        "attempts": request.attempts,
        "reason": request.reason,
        "properties": plain(&request.properties),
    })
}

fn plain(properties: &Properties) -> Map<String, PropertyValue> {
    properties.into_iter().map(|(name, property)| (name.clone(), property.value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{
        Text,
        options::LOCAL_WORKER,
        record::{Record, Value},
    };
    use crate::model::Place;

    #[test]
    fn a_worker_is_shown_with_what_is_known_without_a_build() {
        let mut record = Record::new(&LOCAL_WORKER, Place::new("master.cfg.lua", 1));
        record.values.insert("name", Value::Text(Text::Plain("bot".into())));
        let own = [("os".to_owned(), "bsd".into())].into();
        let defaults = [("os".to_owned(), "linux".into()), ("cpu".to_owned(), "arm".into())].into();
        record.values.insert("properties", Value::Properties(own));
        record.values.insert("defaultProperties", Value::Properties(defaults));
        let made =
            |record: &Record| WorkerDefinition::from_record(record, &mut Vec::new()).expect("it is good");
        let info: WorkerInfo = serde_json::from_value(json!({ "numcpus": 8 })).expect("a table");
        let expected = json!({ "name": "bot", "running": 1, "properties": { "os": "bsd", "cpu": "arm" }, "info": { "numcpus": 8 } });
        assert_eq!(worker(&made(&record), 1, &info), expected);
        record.values.insert("max_builds", Value::Integer(2));
        assert_eq!(worker(&made(&record), 1, &info)["max_builds"], 2);
    }
}
