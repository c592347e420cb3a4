//! What the worker answers to `get_worker_info`.
//!
//! # Source
//! Buildbot 4.3.0: `BotBase.remote_getWorkerInfo` in `buildbot_worker/base.py`, and what its master expects to be there.

use rmpv::ValueRef;
use serde_json::Value as Json;

use crate::{model::WorkerInfo, protocol::facts};

/// What is told: the facts, and what a master must find besides them.
pub(super) fn answer(info: &WorkerInfo) -> ValueRef<'_> {
    let mut told: Vec<_> =
        info.0.iter().map(|(name, value)| (ValueRef::from(name.as_str()), fact(value))).collect();
    let mut add = |name: &'static str, value: ValueRef<'static>| {
        if !info.0.contains_key(name) {
            told.push((name.into(), value));
        }
    };
    add("environ", ValueRef::Map(Vec::new()));
    let commands = facts::OUR_COMMANDS.map(|name| (ValueRef::from(name), ValueRef::from(facts::OUR_VERSION)));
    add(facts::COMMANDS, ValueRef::Map(commands.into()));
    // Buildbot's master takes it for granted.
    add("delete_leftover_dirs", ValueRef::Boolean(false));
    add(facts::HIDES_WORDS, ValueRef::Boolean(true));
    ValueRef::Map(told)
}

fn fact(value: &Json) -> ValueRef<'_> {
    match value {
        Json::Null => ValueRef::Nil,
        Json::Bool(yes) => ValueRef::Boolean(*yes),
        Json::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => number.as_f64().map_or(ValueRef::Nil, ValueRef::F64),
        },
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => ValueRef::Array(items.iter().map(fact).collect()),
        Json::Object(fields) => {
            ValueRef::Map(fields.iter().map(|(name, value)| (name.as_str().into(), fact(value))).collect())
        }
    }
}
