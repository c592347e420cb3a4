//! What a worker is asked of itself, and what it tells, out of the values of this wire.
//!
//! # Laws
//! - A worker of any age is asked until it has told what it can, or has refused each question; that is four at most.
//!
//! # Not here
//! Which facts are kept (`protocol::facts`).

use serde_json::{Map, Number, Value as Json};

use super::{
    banana::MAX_LENGTH,
    failure::Failure,
    jelly::Value,
    versions::{NEWEST, Verb},
};
use crate::{model::WorkerInfo, protocol::facts};

/// The fact that is the version of the worker.
pub(super) const VERSION: &str = "version";
/// The longest text that is made one of JSON, in bytes. Longer ones are no facts.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// What a worker is asked. Those before 0.9 do not know the first, and older ones not the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Facts,
    OldFacts,
    Commands,
    Version,
}

impl Question {
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Facts => "getWorkerInfo",
            Self::OldFacts => "getSlaveInfo",
            Self::Commands => "getCommands",
            Self::Version => "getVersion",
        }
    }

    /// Takes the answer up, and tells what is to be asked next.
    pub(super) fn answered(self, answer: Result<Value, Failure>, facts: &mut WorkerInfo) -> Option<Self> {
        match (self, answer) {
            (Self::Facts, Ok(answer)) => {
                *facts = read(&answer);
                return None;
            }
            (Self::Facts, Err(_)) => return Some(Self::OldFacts),
            (Self::OldFacts, Ok(answer)) => *facts = read(&answer),
            (Self::Commands, Ok(commands)) => {
                *facts = with(std::mem::take(facts), facts::COMMANDS, &commands);
            }
            (Self::Version, Ok(version)) => *facts = with(std::mem::take(facts), VERSION, &version),
            (_, Err(_)) => {}
        }
        let misses = |name: &str| !facts.0.contains_key(name);
        match self {
            Self::OldFacts if misses(facts::COMMANDS) => Some(Self::Commands),
            Self::OldFacts | Self::Commands if misses(VERSION) => Some(Self::Version),
            _ => None,
        }
    }
}

/// The facts of an answer to `getWorkerInfo`; none of what is no dictionary.
fn read(answer: &Value) -> WorkerInfo {
    facts::read(answer.as_pairs().unwrap_or_default().iter().filter_map(|(name, value)| {
        let name = name.as_text().filter(|name| facts::is_wanted(name))?;
        Some((name.into_owned(), json(value)?))
    }))
}

/// The facts with one more, which the worker told by itself: old ones tell their commands and version so.
fn with(info: WorkerInfo, name: &'static str, value: &Value) -> WorkerInfo {
    let told = json(value).map(|value| (name.to_owned(), value));
    facts::read(info.0.into_iter().chain(told))
}

/// The answer to `getWorkerInfo`. Without the versions of its commands a worker knows all of them, as [`NEWEST`]; texts that
/// this wire does not carry are left out.
pub(super) fn write(WorkerInfo(mut facts): WorkerInfo) -> Value {
    facts.entry(facts::COMMANDS.to_owned()).or_insert_with(|| {
        Verb::names().into_iter().map(|name| (name.to_owned(), Json::from(NEWEST))).collect()
    });
    Value::Dict(written(facts))
}

fn written(facts: impl IntoIterator<Item = (String, Json)>) -> Vec<(Value, Value)> {
    let pair = |(name, json): (String, Json)| {
        let name = (name.len() <= MAX_LENGTH).then(|| Value::text(name))?;
        Some((name, value(json)?))
    };
    facts.into_iter().filter_map(pair).collect()
}

fn value(json: Json) -> Option<Value> {
    Some(match json {
        Json::Null => Value::None,
        Json::Bool(yes) => Value::Bool(yes),
        Json::Number(number) => {
            number.as_i64().map(Value::Int).or_else(|| number.as_f64().map(Value::Float))?
        }
        Json::String(text) if text.len() > MAX_LENGTH => return None,
        Json::String(text) => Value::text(text),
        Json::Array(items) => Value::List(items.into_iter().filter_map(value).collect()),
        Json::Object(pairs) => Value::Dict(written(pairs)),
    })
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
