//! From a Lua table to a list: of texts, names, secrets, of tables with options, and of what constructors made.
//!
//! # Laws
//! - An element that cannot be read is told by its number.

use std::rc::Rc;

use mlua::{Lua, Table, Value};

use super::{
    Reader, Taken, VALUE_BYTES, Wrong, because, taken,
    text::{digits_or_text, secret, text},
};
use crate::{
    config::{
        api::{
            dud::is_dud,
            made::{Made, handle},
        },
        session::Session,
        shape::{Shape, describe, describe_hidden},
    },
    definition::{
        SecretText, Text,
        options::{Class, Constructor, Kind, OptionSpec},
    },
};

/// Lists nested in the list of a command.
const MOST_DEPTH: usize = 32;

impl Reader<'_> {
    /// A list of texts; that of a command may hold lists of its own.
    pub(super) fn texts(&self, spec: &OptionSpec, table: &Table, bytes: &mut usize) -> Taken<Vec<Text>> {
        let mut elements = taken!(list(table, spec.kind)?);
        if matches!(spec.kind, Kind::Command) {
            elements = taken!(flattened(self.lua, self.session, elements)?);
        }
        let mut texts = Vec::new();
        for (index, element) in (1..).zip(elements) {
            match text(&element, spec.renderable, bytes) {
                Ok(text) => texts.push(text),
                Err(_) if is_dud(&element) => return Ok(Err(Wrong::Told)),
                Err(Wrong::Because(reason)) => return Ok(because(format!("element {index} {reason}"))),
                Err(_) => return Ok(because(wrong_element(spec.kind, index, &element))),
            }
            self.within(*bytes)?;
        }
        Ok(Ok(texts))
    }

    /// A list of names that may consist of digits.
    pub(super) fn names(&self, spec: &OptionSpec, table: &Table, bytes: &mut usize) -> Taken<Vec<Text>> {
        let mut names = Vec::new();
        for (index, element) in (1..).zip(taken!(list(table, spec.kind)?)) {
            match digits_or_text(&element, bytes) {
                Ok(name) => names.push(Text::Plain(name)),
                Err(_) => return Ok(because(wrong_element(spec.kind, index, &element))),
            }
            self.within(*bytes)?;
        }
        Ok(Ok(names))
    }

    /// A list of secrets.
    pub(super) fn secrets(
        &self,
        spec: &OptionSpec,
        table: &Table,
        bytes: &mut usize,
    ) -> Taken<Vec<SecretText>> {
        let mut secrets = Vec::new();
        for (index, element) in (1..).zip(taken!(list(table, spec.kind)?)) {
            match secret(&element, bytes) {
                Ok(secret) => secrets.push(secret),
                Err(_) if is_dud(&element) => return Ok(Err(Wrong::Told)),
                Err(_) => {
                    let (words, found) = (spec.kind.words(), describe_hidden(&element));
                    return Ok(because(format!("takes {words}; element {index} is {found}")));
                }
            }
            self.within(*bytes)?;
        }
        Ok(Ok(secrets))
    }

    /// A list of tables with options of their own.
    pub(super) fn records(
        &self,
        spec: &OptionSpec,
        constructor: &'static Constructor,
        name: &str,
        table: &Table,
        bytes: &mut usize,
    ) -> Taken<Vec<Rc<Made>>> {
        let mut records = Vec::new();
        for (index, element) in (1..).zip(taken!(list(table, spec.kind)?)) {
            let Value::Table(element) = &element else {
                let told = is_dud(&element);
                return Ok(if told {
                    Err(Wrong::Told)
                } else {
                    because(wrong_element(spec.kind, index, &element))
                });
            };
            let shape = Shape::of(element)?;
            if let Some(key) = shape.numbered.keys().next() {
                return Ok(because(format!(
                    "takes {}; element {index} has the key {key}",
                    spec.kind.words()
                )));
            }
            let made = self.nested(constructor, &format!("{name}[{index}]"), shape)?;
            *bytes = bytes.saturating_add(made.bytes.get());
            records.push(made);
            self.within(*bytes)?;
        }
        Ok(Ok(records))
    }

    /// A list of what constructors of a class made. What is no such thing is told, and the others are taken.
    pub(super) fn parts(
        &self,
        spec: &OptionSpec,
        class: Class,
        name: &str,
        table: &Table,
        bytes: &mut usize,
    ) -> Taken<Vec<Rc<Made>>> {
        let mut parts = Vec::new();
        for (index, element) in (1..).zip(taken!(list(table, spec.kind)?)) {
            match part(&element, class) {
                Some(part) => parts.push(part),
                None if is_dud(&element) => {}
                None => {
                    let reason = wrong_element(spec.kind, index, &element);
                    self.session.lose(None);
                    let hint = self.session.uncalled(&element).or_else(|| unwanted_lock(spec.kind, &element));
                    self.complain(&format!("`{name}` {reason}"), hint);
                }
            }
            *bytes = bytes.saturating_add(size_of::<usize>());
        }
        Ok(Ok(parts))
    }
}

/// The hint for a lock that stands where it must be said what is wanted of it.
pub(super) fn unwanted_lock(kind: Kind, value: &Value) -> Option<String> {
    let is_lock = matches!(kind, Kind::Objects(Class::LockAccess)) && part(value, Class::Lock).is_some();
    is_lock.then(|| "write `{ lock:access(\"exclusive\") }`".to_owned())
}

/// What a constructor of this class made.
pub(super) fn part(value: &Value, class: Class) -> Option<Rc<Made>> {
    handle(value)
        .filter(|handle| handle.made.constructor.class == class)
        .map(|handle| Rc::clone(&handle.made))
}

/// The elements of a table that is a list.
pub(super) fn list(table: &Table, kind: Kind) -> Taken<Vec<Value>> {
    match Shape::of(table)?.into_list() {
        Ok(list) => Ok(Ok(list)),
        Err(why) => Ok(because(format!("takes {}; {why}", kind.words()))),
    }
}

/// What is said of an element that cannot be taken.
pub(in crate::config) fn wrong_element(kind: Kind, index: i64, element: &Value) -> String {
    format!("takes {}; element {index} is {}", kind.words(), describe(element))
}

/// The elements of a command, those of lists within it too.
fn flattened(lua: &Lua, session: &Session, elements: Vec<Value>) -> Taken<Vec<Value>> {
    let mut out = Vec::new();
    // What is still to come, the next one last; with each how deep it is nested.
    let mut waiting: Vec<_> = elements.into_iter().rev().map(|element| (element, 0)).collect();
    while let Some((element, depth)) = waiting.pop() {
        let Value::Table(inner) = &element else {
            out.push(element);
            continue;
        };
        if depth == MOST_DEPTH {
            return Ok(because("holds lists nested too deeply, or a list that holds itself".into()));
        }
        // One list may stand in many places, and be copied for each.
        session.copy(lua, VALUE_BYTES)?;
        let inner = taken!(list(inner, Kind::Command)?);
        waiting.extend(inner.into_iter().rev().map(|element| (element, depth + 1)));
    }
    Ok(Ok(out))
}
