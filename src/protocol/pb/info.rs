//! What a worker tells of itself, as facts.
//!
//! # Laws
//! - Its environment is left out, which may hold secrets, and so are its commands, which are no facts of its machine.
//! - What is kept is bounded: a fact is a line or two, not a file.

use serde_json::{Number, Value as Json};

use super::jelly::Value;
use crate::model::WorkerInfo;

/// Facts that are kept: a release file has some twenty.
const MAX_FACTS: usize = 256;
/// The longest text of one, in bytes.
const MAX_TEXT_BYTES: usize = 16 * 1024;

const LEFT_OUT: [&str; 3] = ["environ", "worker_commands", "slave_commands"];

/// The facts of an answer to `getWorkerInfo`; none of what is no dictionary.
pub(super) fn read(answer: &Value) -> WorkerInfo {
    let facts = answer.as_pairs().unwrap_or_default().iter().filter_map(|(key, value)| {
        let key = key.as_text().filter(|key| key.len() <= MAX_TEXT_BYTES)?;
        if LEFT_OUT.contains(&key.as_ref()) {
            return None;
        }
        Some((key.into_owned(), fact(value)?))
    });
    WorkerInfo(facts.take(MAX_FACTS).collect())
}

/// A plain value; nothing of others, and of numbers that JSON does not have.
fn fact(value: &Value) -> Option<Json> {
    Some(match value {
        Value::None => Json::Null,
        Value::Bool(yes) => Json::Bool(*yes),
        Value::Int(number) => Json::Number((*number).into()),
        Value::Float(number) => Json::Number(Number::from_f64(*number)?),
        Value::Text(text) | Value::Bytes(text) if text.len() <= MAX_TEXT_BYTES => {
            Json::String(String::from_utf8_lossy(text).into_owned())
        }
        _ => return None,
    })
}
