//! Which reader takes the value of an option, by the kind of the option.

use mlua::Value;

use super::{
    Reader, Taken, Wrong, because,
    lists::part,
    scalar::{bytes as whole_bytes, idle, integer, mode, number, seconds},
    tables::{counts, log_files, outcomes, pairs, secret_table, text_table},
    taken,
    text::{digits_or_text, secret, text, utf8},
};
use crate::{
    config::{
        api::{made::Field, render::rendered},
        hooks,
        shape::{Shape, describe},
    },
    definition::{
        Condition, Text,
        options::{Kind, OptionSpec},
        record::Value as V,
    },
    model::Secret,
};

impl Reader<'_> {
    /// Reads the value of the option that is shown as `name`, and counts what it takes in `bytes`.
    pub(super) fn read(
        &self,
        spec: &OptionSpec,
        name: &str,
        value: &Value,
        bytes: &mut usize,
    ) -> Taken<Field> {
        let plain = |value: V| Ok(Ok(Field::Plain(value)));
        let is_rendered = spec.renderable && rendered(value).is_some();
        match (spec.kind, value) {
            (Kind::Text | Kind::Command | Kind::Name, value) if is_rendered => {
                plain(V::Text(taken!(text(value, true, bytes))))
            }
            (Kind::Texts, value) if is_rendered => plain(V::Texts(vec![taken!(text(value, true, bytes))])),
            (Kind::Bool | Kind::Integer { .. } | Kind::Table, value) if is_rendered => {
                plain(V::Worth(taken!(self.worth(spec, value, bytes)?)))
            }
            (Kind::Condition, value) if is_rendered => {
                plain(V::Condition(Condition::Rendered(taken!(self.worth(spec, value, bytes)?))))
            }

            (Kind::Function | Kind::TextOrFunction, Value::Function(function)) => {
                plain(V::Hook(hooks::register(self.lua, self.session, function)?))
            }
            (Kind::Condition, Value::Function(function)) => {
                let hook = hooks::register(self.lua, self.session, function)?;
                plain(V::Condition(Condition::Asked(hook)))
            }
            (Kind::Condition, Value::Boolean(flag)) => plain(V::Condition(Condition::Fixed(*flag))),

            (Kind::Text | Kind::TextOrFunction, value) => {
                plain(V::Text(taken!(text(value, spec.renderable, bytes))))
            }
            (Kind::Command, value @ Value::String(_)) => plain(V::Text(taken!(text(value, true, bytes)))),
            (Kind::Texts, Value::String(one)) => plain(V::Texts(vec![Text::Plain(taken!(utf8(one, bytes)))])),
            (Kind::Words, Value::String(one)) => plain(V::Text(Text::Plain(taken!(utf8(one, bytes))))),
            (Kind::Texts | Kind::Command | Kind::Words | Kind::BoolOrTexts, Value::Table(table)) => {
                plain(V::Texts(taken!(self.texts(spec, table, bytes)?)))
            }
            (Kind::Name, value) => plain(V::Text(Text::Plain(taken!(digits_or_text(value, bytes))))),
            (Kind::Names, Value::Table(table)) => plain(V::Texts(taken!(self.names(spec, table, bytes)?))),
            (Kind::Names, value) => plain(V::Texts(vec![Text::Plain(taken!(digits_or_text(value, bytes)))])),
            (Kind::Port, Value::String(text)) => plain(V::Text(Text::Plain(taken!(utf8(text, bytes))))),
            (Kind::Port, Value::Integer(port)) => plain(V::Text(Text::Plain(port.to_string()))),

            (Kind::Hidden, Value::String(text)) => plain(V::Hidden(Secret::new(taken!(utf8(text, bytes))))),
            (Kind::Secret, value) => plain(V::Secret(taken!(secret(value, bytes)))),
            (Kind::Secrets, Value::Table(table)) => {
                plain(V::Secrets(taken!(self.secrets(spec, table, bytes)?)))
            }
            (Kind::Secrets, one) => plain(V::Secrets(vec![taken!(secret(one, bytes))])),

            (Kind::Bool | Kind::BoolOrTexts | Kind::Switch(_), Value::Boolean(flag)) => plain(V::Bool(*flag)),
            (Kind::Integer { least, most }, value) => plain(V::Integer(taken!(integer(value, least, most)))),
            (Kind::Number { least }, value) => plain(V::Number(taken!(number(value, least)))),
            (Kind::Bytes { least, most }, value) => {
                plain(V::Integer(taken!(whole_bytes(value, least, most))))
            }
            (Kind::Seconds { least }, value) => plain(V::Seconds(taken!(seconds(value, least)))),
            (Kind::Idle, value) => plain(V::Idle(taken!(idle(value)))),
            (Kind::Mode, value) => plain(V::Integer(taken!(mode(value)))),

            (Kind::Json, value) => plain(V::Worth(taken!(self.worth(spec, value, bytes)?))),
            (Kind::Table, Value::Table(_)) => plain(V::Worth(taken!(self.table(spec, value, bytes)?))),
            (Kind::Properties | Kind::Labels, Value::Table(_)) => {
                plain(V::Properties(taken!(self.properties(spec, value, bytes)?)))
            }
            (Kind::SecretTable, Value::Table(table)) => {
                plain(V::SecretTable(taken!(secret_table(table, bytes)?)))
            }
            (Kind::TextTable, Value::Table(table)) => {
                plain(V::TextTable(taken!(text_table(table, spec.renderable, bytes)?)))
            }
            (Kind::Environment, Value::Table(table)) => {
                plain(V::Environment(taken!(self.environment(spec, table, bytes)?)))
            }
            (Kind::Outcomes, Value::Table(table)) => plain(V::Outcomes(taken!(outcomes(table)?))),
            (Kind::Counts { least, most }, Value::Table(table)) => {
                plain(V::Counts(taken!(counts(table, (least, most), bytes)?)))
            }
            (Kind::LogFiles, Value::Table(table)) => {
                plain(V::LogFiles(taken!(log_files(table, spec.renderable, bytes)?)))
            }
            (Kind::Pairs, Value::Table(table)) => plain(V::Pairs(taken!(pairs(table, bytes)?))),

            (Kind::Record(constructor) | Kind::Switch(constructor), Value::Table(table)) => {
                let shape = Shape::of(table)?;
                if let Some(index) = shape.numbered.keys().next() {
                    return Ok(because(format!("takes {}; it has the key {index}", spec.kind.words())));
                }
                Ok(Ok(Field::Part(self.nested(constructor, name, shape)?)))
            }
            (Kind::Records(constructor), Value::Table(table)) => {
                Ok(Ok(Field::Parts(taken!(self.records(spec, constructor, name, table, bytes)?))))
            }
            (Kind::Ports(constructor), value) => {
                Ok(Ok(Field::Parts(taken!(self.ports(spec, constructor, name, value, bytes)?))))
            }
            (Kind::Object(class), value) => match part(value, class) {
                Some(part) => Ok(Ok(Field::Part(part))),
                None => Ok(Err(Wrong::Kind)),
            },
            (Kind::Objects(class), Value::Table(table)) => {
                Ok(Ok(Field::Parts(taken!(self.parts(spec, class, name, table, bytes)?))))
            }
            (Kind::Objects(class), value) if part(value, class).is_some() => Ok(because(format!(
                "takes {}, not {}; put it into braces",
                spec.kind.words(),
                describe(value)
            ))),
            _ => Ok(Err(Wrong::Kind)),
        }
    }
}
