//! From a Lua value to what JSON can hold: the values of properties.

use std::rc::Rc;

use mlua::{Lua, Value};

use super::{
    api::made::is_none,
    session::Session,
    shape::{Shape, describe},
};
use crate::model::PropertyValue;

/// Tables nested in tables: more is a table that holds itself.
const MOST_DEPTH: usize = 32;

/// What stands beside each value: keys, pointers, lengths.
const VALUE_BYTES: usize = 64;

/// A value as JSON can hold it, and what it takes in memory; or why it cannot be held, after the option's name.
pub(super) fn json(
    lua: &Lua,
    session: &Rc<Session>,
    value: &Value,
) -> mlua::Result<Result<(PropertyValue, usize), String>> {
    let mut bytes = 0;
    let value = nested(lua, session, value, "", 0, &mut bytes)?;
    Ok(value.map(|value| (value, bytes)))
}

fn nested(
    lua: &Lua,
    session: &Rc<Session>,
    value: &Value,
    path: &str,
    depth: usize,
    bytes: &mut usize,
) -> mlua::Result<Result<PropertyValue, String>> {
    let at = |path: &str| if path.is_empty() { String::new() } else { format!(" at `{path}`") };
    let refuse = |why: &str| Ok(Err(format!("holds {why}{}", at(path))));
    *bytes = bytes.saturating_add(VALUE_BYTES);
    // One table may stand in many places, and be copied for each.
    session.copy(lua, VALUE_BYTES)?;
    if depth > MOST_DEPTH {
        return Ok(Err("holds tables nested too deeply, or a table that holds itself".to_owned()));
    }
    Ok(Ok(match value {
        value if is_none(value) => PropertyValue::Null,
        Value::Boolean(flag) => PropertyValue::Bool(*flag),
        Value::Integer(number) => PropertyValue::from(*number),
        Value::Number(number) => match serde_json::Number::from_f64(*number) {
            Some(number) => PropertyValue::Number(number),
            None => return refuse(&format!("the number {number}, which JSON cannot hold,")),
        },
        Value::String(text) => match text.to_str() {
            Ok(text) => {
                *bytes = bytes.saturating_add(text.len());
                session.copy(lua, text.len())?;
                PropertyValue::String(text.to_owned())
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
                    let path = format!("{path}[{index}]");
                    match nested(lua, session, element, &path, depth + 1, bytes)? {
                        Ok(value) => out.push(value),
                        Err(why) => return Ok(Err(why)),
                    }
                }
                PropertyValue::Array(out)
            } else if shape.numbered.is_empty() {
                let mut out = serde_json::Map::new();
                for (name, element) in shape.named {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    match nested(lua, session, &element, &path, depth + 1, bytes)? {
                        Ok(value) => {
                            session.copy(lua, name.len())?;
                            *bytes = bytes.saturating_add(name.len());
                            out.insert(name, value);
                        }
                        Err(why) => return Ok(Err(why)),
                    }
                }
                PropertyValue::Object(out)
            } else {
                return refuse("a table that is a list and has names as well");
            }
        }
        other => return refuse(&describe(other)),
    }))
}
