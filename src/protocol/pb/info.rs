//! What a worker tells of itself, out of the values of this wire.
//!
//! # Not here
//! Which facts are kept (`protocol::facts`).

use serde_json::{Map, Number, Value as Json};

use super::jelly::Value;
use crate::{model::WorkerInfo, protocol::facts};

/// The longest text that is made one of JSON, in bytes. Longer ones are no facts.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// The facts of an answer to `getWorkerInfo`; none of what is no dictionary.
pub(super) fn read(answer: &Value) -> WorkerInfo {
    facts::read(answer.as_pairs().unwrap_or_default().iter().filter_map(|(name, value)| {
        let name = name.as_text().filter(|name| facts::is_wanted(name))?;
        Some((name.into_owned(), json(value)?))
    }))
}

/// The facts with one more, which the worker told by itself: old ones tell their commands and version so.
pub(super) fn with(info: WorkerInfo, name: &'static str, value: &Value) -> WorkerInfo {
    let told = json(value).map(|value| (name.to_owned(), value));
    facts::read(info.0.into_iter().chain(told))
}

/// A plain value, or a dictionary of such; nothing of others, and of numbers that JSON does not have.
fn json(value: &Value) -> Option<Json> {
    match value {
        Value::Dict(pairs) => {
            let pairs = pairs.iter().filter_map(|(key, value)| Some((text(key)?, plain(value)?)));
            Some(Json::Object(pairs.collect::<Map<_, _>>()))
        }
        value => plain(value),
    }
}

fn plain(value: &Value) -> Option<Json> {
    Some(match value {
        Value::None => Json::Null,
        Value::Bool(yes) => Json::Bool(*yes),
        Value::Int(number) => Json::Number((*number).into()),
        Value::Float(number) => Json::Number(Number::from_f64(*number)?),
        Value::Text(_) | Value::Bytes(_) => Json::String(text(value)?),
        _ => return None,
    })
}

fn text(value: &Value) -> Option<String> {
    let bytes = value.as_bytes().filter(|bytes| bytes.len() <= MAX_TEXT_BYTES)?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}
