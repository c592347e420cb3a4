//! From Lua tables with keys of the operator's own to values of options: environments, texts, pairs, watched files, exit codes.

use std::collections::BTreeMap;

use mlua::{Table, Value};

use super::{
    Reader, Taken, VALUE_BYTES, Wrong, because,
    lists::{list, wrong_element},
    scalar::integer,
    taken,
    text::{secret, text, utf8},
};
use crate::{
    config::{
        api::{dud::is_dud, made::is_none},
        shape::{Shape, describe, describe_hidden},
    },
    definition::{
        EnvironmentValue, SecretText, Text, WatchedFile,
        options::{Kind, OptionSpec},
    },
    model::Outcome,
};

impl Reader<'_> {
    /// Reads `{ NAME = text, PATH = { text, text }, GONE = None }`.
    pub(super) fn environment(
        &self,
        spec: &OptionSpec,
        table: &Table,
        bytes: &mut usize,
    ) -> Taken<BTreeMap<String, EnvironmentValue>> {
        let shape = Shape::of(table)?;
        if let Some(index) = shape.numbered.keys().next() {
            return Ok(because(format!("takes {}; it has the key {index}", spec.kind.words())));
        }
        if let Some(odd) = shape.odd.first() {
            return Ok(because(format!("takes {}; it has {odd} as key", spec.kind.words())));
        }
        let mut variables = BTreeMap::new();
        for (name, value) in shape.named {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Ok(because(format!("holds {name:?}, which is no name of a variable")));
            }
            *bytes = bytes.saturating_add(name.len() + VALUE_BYTES);
            let variable = match &value {
                value if is_none(value) || matches!(value, Value::Boolean(false)) => EnvironmentValue::Unset,
                value if is_dud(value) => return Ok(Err(Wrong::Told)),
                Value::Table(table) => {
                    let mut texts = Vec::new();
                    for (index, element) in (1..).zip(taken!(list(table, Kind::Texts)?)) {
                        match text(&element, spec.renderable, bytes) {
                            Ok(text) => texts.push(text),
                            Err(_) if is_dud(&element) => return Ok(Err(Wrong::Told)),
                            Err(_) => {
                                let reason = wrong_element(Kind::Texts, index, &element);
                                return Ok(because(format!("variable `{name}` {reason}")));
                            }
                        }
                    }
                    EnvironmentValue::Joined(texts)
                }
                value => match text(value, spec.renderable, bytes) {
                    Ok(text) => EnvironmentValue::Set(text),
                    Err(Wrong::Because(reason)) => return Ok(because(format!("variable `{name}` {reason}"))),
                    Err(_) => {
                        return Ok(because(format!("variable `{name}` takes text, not {}", describe(value))));
                    }
                },
            };
            variables.insert(name, variable);
            self.within(*bytes)?;
        }
        Ok(Ok(variables))
    }
}

/// Reads `{ name = path, other = { filename = path, follow = true } }`.
pub(super) fn log_files(
    table: &Table,
    renderable: bool,
    bytes: &mut usize,
) -> Taken<BTreeMap<String, WatchedFile>> {
    let shape = Shape::of(table)?;
    if let Some(index) = shape.numbered.keys().next() {
        return Ok(because(format!("takes a table of names and paths; it has the key {index}")));
    }
    if let Some(odd) = shape.odd.first() {
        return Ok(because(format!("takes a table of names and paths; it has {odd} as key")));
    }
    let mut files = BTreeMap::new();
    for (name, value) in shape.named {
        *bytes = bytes.saturating_add(name.len() + VALUE_BYTES);
        let (path, follow) = match &value {
            Value::Table(table) => {
                let mut named = Shape::of(table)?.named;
                let path = named.remove("filename").unwrap_or(Value::Nil);
                let follow = match named.remove("follow") {
                    None => false,
                    Some(Value::Boolean(follow)) => follow,
                    Some(other) => {
                        let found = describe(&other);
                        return Ok(because(format!(
                            "file `{name}`: `follow` takes true or false, not {found}"
                        )));
                    }
                };
                if let Some(other) = named.keys().next() {
                    return Ok(because(format!(
                        "file `{name}` has `{other}`; there are `filename` and `follow`"
                    )));
                }
                (path, follow)
            }
            value => (value.clone(), false),
        };
        match text(&path, renderable, bytes) {
            Ok(path) => files.insert(name, WatchedFile { path, follow }),
            Err(_) if is_dud(&path) => return Ok(Err(Wrong::Told)),
            Err(Wrong::Because(reason)) => return Ok(because(format!("file `{name}` {reason}"))),
            Err(_) => {
                return Ok(because(format!("file `{name}` takes its path as text, not {}", describe(&path))));
            }
        };
    }
    Ok(Ok(files))
}

/// Reads `{ name = text }`.
pub(super) fn text_table(
    table: &Table,
    renderable: bool,
    bytes: &mut usize,
) -> Taken<BTreeMap<String, Text>> {
    let named = taken!(names_only(table)?);
    let mut texts = BTreeMap::new();
    for (name, value) in named {
        *bytes = bytes.saturating_add(name.len() + VALUE_BYTES);
        match text(&value, renderable, bytes) {
            Ok(text) => texts.insert(name, text),
            Err(_) if is_dud(&value) => return Ok(Err(Wrong::Told)),
            Err(Wrong::Because(reason)) => return Ok(because(format!("`{name}` {reason}"))),
            Err(_) => return Ok(because(format!("`{name}` takes text, not {}", describe(&value)))),
        };
    }
    Ok(Ok(texts))
}

/// Reads `{ name = text, other = util.Secret "…" }`.
pub(super) fn secret_table(table: &Table, bytes: &mut usize) -> Taken<BTreeMap<String, SecretText>> {
    let named = taken!(names_only(table)?);
    let mut secrets = BTreeMap::new();
    for (name, value) in named {
        *bytes = bytes.saturating_add(name.len() + VALUE_BYTES);
        match secret(&value, bytes) {
            Ok(secret) => secrets.insert(name, secret),
            Err(_) if is_dud(&value) => return Ok(Err(Wrong::Told)),
            Err(_) => {
                let found = describe_hidden(&value);
                return Ok(because(format!("`{name}` takes text or `util.Secret`, not {found}")));
            }
        };
    }
    Ok(Ok(secrets))
}

/// Reads `{ { "vol-1", "/dev/sdf" } }`.
pub(super) fn pairs(table: &Table, bytes: &mut usize) -> Taken<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for (index, element) in (1..).zip(taken!(list(table, Kind::Pairs)?)) {
        let wrong = || Ok(because(wrong_element(Kind::Pairs, index, &element)));
        let Value::Table(pair) = &element else {
            return if is_dud(&element) { Ok(Err(Wrong::Told)) } else { wrong() };
        };
        let found = Shape::of(pair)?.into_list();
        match found.as_deref() {
            Ok([Value::String(first), Value::String(second)]) => {
                pairs.push((taken!(utf8(first, bytes)), taken!(utf8(second, bytes))));
            }
            Ok(list) if list.iter().any(is_dud) => return Ok(Err(Wrong::Told)),
            _ => return wrong(),
        }
    }
    Ok(Ok(pairs))
}

/// Reads `{ name = 5 }`.
pub(super) fn counts(
    table: &Table,
    (least, most): (i64, i64),
    bytes: &mut usize,
) -> Taken<BTreeMap<String, i64>> {
    let shape = Shape::of(table)?;
    if let Some(odd) = shape.numbered.keys().map(ToString::to_string).chain(shape.odd).next() {
        return Ok(because(format!("takes a table of names and whole numbers; it has the key {odd}")));
    }
    let mut counts = BTreeMap::new();
    for (name, value) in shape.named {
        *bytes = bytes.saturating_add(name.len() + VALUE_BYTES);
        match integer(&value, least, most) {
            Ok(count) => counts.insert(name, count),
            Err(_) if is_dud(&value) => return Ok(Err(Wrong::Told)),
            Err(Wrong::Because(reason)) => return Ok(because(format!("`{name}` {reason}"))),
            Err(_) => {
                return Ok(because(format!("`{name}` takes a whole number, not {}", describe(&value))));
            }
        };
    }
    Ok(Ok(counts))
}

/// The members of a table that has names only.
fn names_only(table: &Table) -> Taken<BTreeMap<String, Value>> {
    let shape = Shape::of(table)?;
    if let Some(index) = shape.numbered.keys().next() {
        return Ok(because(format!("takes a table of names and texts; it has the key {index}")));
    }
    if let Some(odd) = shape.odd.first() {
        return Ok(because(format!("takes a table of names and texts; it has {odd} as key")));
    }
    Ok(Ok(shape.named))
}

/// Reads `{ [0] = "success", [77] = "skipped" }`.
pub(super) fn outcomes(table: &Table) -> Taken<BTreeMap<i32, String>> {
    let shape = Shape::of(table)?;
    if let Some(name) = shape.named.keys().next() {
        return Ok(because(format!("takes a table of exit codes and outcomes; {name:?} is no exit code")));
    }
    if let Some(odd) = shape.odd.first() {
        return Ok(because(format!("takes a table of exit codes and outcomes; {odd} is no exit code")));
    }
    let mut outcomes = BTreeMap::new();
    for (code, value) in shape.numbered {
        let Ok(code) = i32::try_from(code) else {
            return Ok(because(format!("takes a table of exit codes and outcomes; {code} is no exit code")));
        };
        let word = match &value {
            Value::String(word) => word.to_string_lossy(),
            // Buildbot's constants are numbers.
            Value::Integer(number) => {
                match i32::try_from(*number).ok().and_then(|n| Outcome::try_from(n).ok()) {
                    Some(outcome) => outcome.word().to_owned(),
                    None => {
                        return Ok(because(format!(
                            "has {number} for exit code {code}, which is no outcome"
                        )));
                    }
                }
            }
            other => {
                return Ok(because(format!(
                    "has {} for exit code {code}, which is no outcome",
                    describe(other)
                )));
            }
        };
        outcomes.insert(code, word);
    }
    Ok(Ok(outcomes))
}
