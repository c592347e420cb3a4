//! From a Lua value to the ports of a protocol: a number, a text, a table, or a list of these.
//!
//! # Laws
//! - Each becomes the record of a port's table: a number or a text stands for a table with a `port` and no more.
//!
//! # Not here
//! What the texts mean (`definition::endpoint`).

use std::rc::Rc;

use mlua::Value;

use super::{
    Reader, Taken, Wrong, because,
    lists::{list, wrong_element},
    taken,
    text::utf8,
};
use crate::{
    config::{
        api::{
            dud::is_dud,
            made::{Field, Made},
        },
        shape::Shape,
    },
    definition::{
        Text,
        options::{Constructor, OptionSpec},
        record,
    },
};

impl Reader<'_> {
    /// One port, or a list of them.
    pub(super) fn ports(
        &self,
        spec: &OptionSpec,
        constructor: &'static Constructor,
        name: &str,
        value: &Value,
        bytes: &mut usize,
    ) -> Taken<Vec<Rc<Made>>> {
        let several = match value {
            Value::Table(table) => Shape::of(table)?.named.is_empty(),
            _ => false,
        };
        if !several {
            return Ok(self.port(constructor, name, value, bytes)?.map(|port| vec![port]));
        }
        let Value::Table(table) = value else { return Ok(Err(Wrong::Kind)) };
        let mut ports = Vec::new();
        for (index, element) in (1..).zip(taken!(list(table, spec.kind)?)) {
            match self.port(constructor, &format!("{name}[{index}]"), &element, bytes)? {
                Ok(port) => ports.push(port),
                Err(Wrong::Kind) => return Ok(because(wrong_element(spec.kind, index, &element))),
                Err(wrong) => return Ok(Err(wrong)),
            }
            self.within(*bytes)?;
        }
        if ports.is_empty() { Ok(because("names no port".into())) } else { Ok(Ok(ports)) }
    }

    /// One port: a number or a text is short for a table with a `port` and no more.
    fn port(
        &self,
        constructor: &'static Constructor,
        name: &str,
        value: &Value,
        bytes: &mut usize,
    ) -> Taken<Rc<Made>> {
        let text = match value {
            Value::Integer(port) => port.to_string(),
            Value::String(text) => taken!(utf8(text, bytes)),
            Value::Table(table) => {
                let shape = Shape::of(table)?;
                if let Some(index) = shape.numbered.keys().next() {
                    return Ok(because(format!("is a list and a table at once: it has the key {index}")));
                }
                return Ok(Ok(self.nested(constructor, name, shape)?));
            }
            value if is_dud(value) => return Ok(Err(Wrong::Told)),
            _ => return Ok(Err(Wrong::Kind)),
        };
        let made = Rc::new(Made::new(constructor, self.place.clone()));
        made.fields.borrow_mut().insert("port", Field::Plain(record::Value::Text(Text::Plain(text))));
        Ok(Ok(made))
    }
}
