//! What a worker answers to `get_worker_info`.
//!
//! # Laws
//! - Of its environment only the home of its user is looked at, and that is told to nobody.

use rmpv::ValueRef;
use serde_json::{Number, Value as Json};

use super::{
    arguments::HiddenWords,
    frame::{self, field},
    path::{Base, System},
};
use crate::{model::WorkerInfo, protocol::facts};

/// The pairs of a map.
type Map<'v> = [(ValueRef<'v>, ValueRef<'v>)];

/// Where the worker's paths begin; nothing if it does not say.
pub(super) fn base(info: &Map<'_>) -> Option<Base> {
    let text = |map: &Map<'_>, name| {
        let text = std::str::from_utf8(frame::text(field(map, name)?)?).ok()?;
        (!text.is_empty()).then(|| text.to_owned())
    };
    let system = match text(info, "system").as_deref() {
        Some("nt") => System::Nt,
        _ => System::Posix,
    };
    let environ = match field(info, "environ") {
        Some(ValueRef::Map(environ)) => environ.as_slice(),
        _ => &[],
    };
    let home = match system {
        System::Posix => text(environ, "HOME"),
        System::Nt => text(environ, "USERPROFILE")
            .or_else(|| Some(text(environ, "HOMEDRIVE").unwrap_or_default() + &text(environ, "HOMEPATH")?)),
    };
    Some(Base { system, dir: text(info, "basedir")?, home })
}

/// What it tells of itself.
pub(super) fn facts(info: &Map<'_>) -> WorkerInfo {
    facts::read(info.iter().filter_map(|(key, value)| {
        let key = std::str::from_utf8(frame::text(key)?).ok().filter(|key| facts::is_wanted(key))?;
        Some((key.to_owned(), fact(value)?))
    }))
}

/// A value as JSON has it; nothing of lists, of bytes, and of numbers that JSON does not have.
fn fact(value: &ValueRef<'_>) -> Option<Json> {
    Some(match value {
        ValueRef::Nil => Json::Null,
        ValueRef::Boolean(yes) => (*yes).into(),
        ValueRef::Integer(_) => frame::integer(value)?.into(),
        ValueRef::F32(_) | ValueRef::F64(_) => Json::Number(Number::from_f64(frame::number(value)?)?),
        ValueRef::String(text) => String::from_utf8_lossy(text.as_bytes()).into(),
        // The versions of its commands.
        ValueRef::Map(versions) => versions
            .iter()
            .filter_map(|(name, version)| {
                let [name, version] =
                    [name, version].map(|text| std::str::from_utf8(frame::text(text)?).ok());
                Some((name?.to_owned(), Json::from(version?)))
            })
            .collect(),
        ValueRef::Array(_) | ValueRef::Binary(_) | ValueRef::Ext(..) => return None,
    })
}

/// Whether it knows hidden words.
pub(super) fn hidden_words(info: &Map<'_>) -> HiddenWords {
    match field(info, facts::HIDES_WORDS) {
        Some(ValueRef::Boolean(true)) => HiddenWords::Understood,
        _ => HiddenWords::Unknown,
    }
}

/// Whether folders that no builder has shall be removed: this worker leaves that to its master.
pub(super) fn wants_leftovers_removed(info: &Map<'_>) -> bool {
    match field(info, "delete_leftover_dirs") {
        Some(ValueRef::Boolean(yes)) => *yes,
        Some(other) => frame::integer(other).is_some_and(|number| number != 0),
        None => false,
    }
}
