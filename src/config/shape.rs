//! What a Lua table is: a list, a table of names, or neither; and what any value is called before people.

use std::collections::BTreeMap;

use mlua::{Table, Value};

use super::api::{made, render};

/// A table, taken apart. Metamethods are not asked: what counts is what is there.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// The values at whole numbers.
    pub(super) numbered: BTreeMap<i64, Value>,
    /// The values at names, in their order: Lua's own is another in each load.
    pub(super) named: BTreeMap<String, Value>,
    /// What other keys there are, each by what it is.
    pub(super) odd: Vec<String>,
}

impl Shape {
    /// Takes a table apart.
    pub(super) fn of(table: &Table) -> mlua::Result<Self> {
        let mut shape = Self::default();
        for pair in table.pairs::<Value, Value>() {
            match pair? {
                (Value::Integer(index), value) => {
                    shape.numbered.insert(index, value);
                }
                (Value::String(name), value) => match name.to_str() {
                    Ok(name) => {
                        shape.named.insert(name.to_owned(), value);
                    }
                    Err(_) => shape.odd.push("text that is not UTF-8".to_owned()),
                },
                (key, _) => shape.odd.push(describe(&key)),
            }
        }
        shape.odd.sort();
        Ok(shape)
    }

    /// The values of a list, in order.
    ///
    /// # Errors
    /// Why it is none.
    pub(super) fn into_list(self) -> Result<Vec<Value>, String> {
        if let Some(name) = self.named.keys().next() {
            return Err(format!("it has a key {name:?}"));
        }
        if let Some(key) = self.odd.first() {
            return Err(format!("it has {key} as key"));
        }
        for (expected, index) in (1..).zip(self.numbered.keys()) {
            if *index < 1 {
                return Err(format!("it has the key {index}, and lists begin at 1"));
            }
            if *index != expected {
                return Err(format!("it has a hole: element {expected} is nil"));
            }
        }
        Ok(self.numbered.into_values().collect())
    }
}

/// A value for people: what it is, and what it says where that is short.
pub(super) fn describe(value: &Value) -> String {
    const SHOWN: usize = 40;
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Boolean(flag) => format!("`{flag}`"),
        Value::Integer(number) => format!("a whole number ({number})"),
        Value::Number(number) => format!("a number ({number})"),
        Value::String(text) => {
            let text = text.to_string_lossy();
            if text.chars().count() > SHOWN {
                format!("text ({:?}…)", text.chars().take(SHOWN).collect::<String>())
            } else {
                format!("text ({text:?})")
            }
        }
        Value::Table(table) if table.raw_len() > 0 => "a list".to_owned(),
        Value::Table(table) if table.is_empty() => "an empty table".to_owned(),
        Value::Table(_) => "a table".to_owned(),
        Value::Function(_) => "a function".to_owned(),
        value => made::describe(value)
            .or_else(|| render::describe(value))
            .unwrap_or_else(|| format!("a {}", value.type_name())),
    }
}

/// The same without what it says: for what is not shown.
pub(super) fn describe_hidden(value: &Value) -> String {
    match value {
        Value::Integer(_) => "a whole number".to_owned(),
        Value::Number(_) => "a number".to_owned(),
        Value::String(_) => "text".to_owned(),
        other => describe(other),
    }
}
