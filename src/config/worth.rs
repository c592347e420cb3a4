//! From a Lua value to what JSON can hold, or to what becomes such in a build: the values of properties.

use std::{collections::BTreeMap, rc::Rc};

use mlua::{Lua, Value};

use super::{
    api::{
        dud::is_dud,
        made::is_none,
        render::{self, rendered},
    },
    session::Session,
    shape::{Shape, describe},
};
use crate::{definition::Worth, model::PropertyValue};

/// Tables nested in tables, and what is rendered: more is a table that holds itself.
const MOST_DEPTH: usize = 32;

/// What stands beside each value: keys, pointers, lengths.
const VALUE_BYTES: usize = 64;

/// How a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renderables {
    /// They may stand in it.
    Taken,
    /// They may not.
    Refused,
}

/// A value that was read.
pub(super) struct Read {
    pub(super) worth: Worth,
    /// What it takes in memory.
    pub(super) bytes: usize,
    /// How deep tables and renderables are nested in it.
    pub(super) depth: usize,
}

/// A value as JSON can hold it; or why it cannot be held, after the option's name. The reason is empty if it was told
/// before.
pub(super) fn worth(
    lua: &Lua,
    session: &Rc<Session>,
    value: &Value,
    renderables: Renderables,
) -> mlua::Result<Result<Read, String>> {
    let mut reader = Reader { lua, session, renderables, bytes: 0, depth: 0 };
    let value = reader.nested(value, "", 0)?;
    Ok(value.map(|worth| Read { worth, bytes: reader.bytes, depth: reader.depth }))
}

struct Reader<'a> {
    lua: &'a Lua,
    session: &'a Rc<Session>,
    renderables: Renderables,
    bytes: usize,
    depth: usize,
}

impl Reader<'_> {
    fn nested(&mut self, value: &Value, path: &str, depth: usize) -> mlua::Result<Result<Worth, String>> {
        let at = |path: &str| if path.is_empty() { String::new() } else { format!(" at `{path}`") };
        let refuse = |why: &str| Ok(Err(format!("holds {why}{}", at(path))));
        self.count(VALUE_BYTES)?;
        let depth = depth + rendered(value).map_or(0, |rendered| rendered.depth);
        if depth > MOST_DEPTH {
            return Ok(Err("holds tables nested too deeply, or a table that holds itself".to_owned()));
        }
        self.depth = self.depth.max(depth);
        Ok(Ok(match value {
            value if is_none(value) => Worth::Plain(PropertyValue::Null),
            value if is_dud(value) => return Ok(Err(String::new())),
            Value::Boolean(flag) => Worth::Plain(PropertyValue::Bool(*flag)),
            Value::Integer(number) => Worth::Plain(PropertyValue::from(*number)),
            Value::Number(number) => match serde_json::Number::from_f64(*number) {
                Some(number) => Worth::Plain(PropertyValue::Number(number)),
                None => return refuse(&format!("the number {number}, which JSON cannot hold,")),
            },
            Value::String(text) => match text.to_str() {
                Ok(text) => {
                    self.count(text.len())?;
                    Worth::Plain(PropertyValue::String(text.to_owned()))
                }
                Err(_) => return refuse("text that is not UTF-8"),
            },
            Value::Table(table) => {
                let shape = Shape::of(table)?;
                if let Some(odd) = shape.odd.first() {
                    return refuse(&format!("a table with {odd} as key"));
                }
                if shape.named.is_empty() {
                    let list = match shape.into_list() {
                        Ok(list) => list,
                        Err(why) => return Ok(Err(format!("holds a list{}; {why}", at(path)))),
                    };
                    let mut out = Vec::new();
                    for (index, element) in (1..).zip(&list) {
                        match self.nested(element, &format!("{path}[{index}]"), depth + 1)? {
                            Ok(worth) => out.push(worth),
                            Err(why) => return Ok(Err(why)),
                        }
                    }
                    joined(Worth::List(out))
                } else if shape.numbered.is_empty() {
                    let mut out = BTreeMap::new();
                    for (name, element) in shape.named {
                        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                        match self.nested(&element, &path, depth + 1)? {
                            Ok(worth) => {
                                self.count(name.len())?;
                                out.insert(name, worth);
                            }
                            Err(why) => return Ok(Err(why)),
                        }
                    }
                    joined(Worth::Table(out))
                } else {
                    return refuse("a table that is a list and has names as well");
                }
            }
            other => match rendered(other) {
                Some(rendered) if self.renderables == Renderables::Taken => {
                    self.count(rendered.bytes)?;
                    Worth::Rendered(rendered.renderable.clone())
                }
                Some(_) => {
                    let what = render::describe(other).unwrap_or_default();
                    return refuse(&format!("{what}, which is rendered in a build,"));
                }
                None => return refuse(&describe(other)),
            },
        }))
    }

    /// One table may stand in many places, and be copied for each.
    fn count(&mut self, bytes: usize) -> mlua::Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        self.session.copy(self.lua, bytes)
    }
}

/// What holds nothing rendered is one plain value. Moved, not copied: tables nest.
fn joined(worth: Worth) -> Worth {
    let is_plain = |worth: &Worth| matches!(worth, Worth::Plain(_));
    let value = |worth: Worth| match worth {
        Worth::Plain(value) => value,
        Worth::Rendered(_) | Worth::List(_) | Worth::Table(_) => PropertyValue::Null,
    };
    match worth {
        Worth::List(list) if list.iter().all(is_plain) => {
            Worth::Plain(PropertyValue::Array(list.into_iter().map(value).collect()))
        }
        Worth::Table(table) if table.values().all(is_plain) => {
            let members = table.into_iter().map(|(name, worth)| (name, value(worth)));
            Worth::Plain(PropertyValue::Object(members.collect()))
        }
        worth => worth,
    }
}
