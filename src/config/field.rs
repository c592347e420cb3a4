//! From a Lua value to the value of an option, by the table of options.
//!
//! # Laws
//! - A bad value becomes a problem that names the option, what it takes, and what it was given; never the text of a
//!   secret.
//! - What is copied is counted, since it leaves the interpreter and its memory limit.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use mlua::{Lua, LuaString, Value};

use super::{
    api::{
        dud::is_dud,
        made::{Field, Made, handle, is_none},
        render::rendered,
    },
    hooks,
    scalar::{bytes as whole_bytes, digits_or_text, idle, mode, number, seconds, whole},
    session::Session,
    shape::{Shape, describe, describe_hidden},
    tables::{log_files, outcomes, pairs, secret_table, text_table},
    worth::{Read, Renderables, worth},
};
use crate::{
    definition::{
        Condition, EnvironmentValue, Problem, Renderable, SecretText, Text, Worth,
        options::{Class, Constructor, Default, Kind, OptionSpec},
        record, suggest,
    },
    model::{Place, PropertyValue, Secret},
};

/// Lists nested in the list of a command.
const MOST_DEPTH: usize = 32;

/// What stands beside each value: keys, pointers, lengths.
pub(super) const VALUE_BYTES: usize = 64;

/// Reads the options of one call, or of one table.
pub(super) struct Reader<'a> {
    pub(super) lua: &'a Lua,
    pub(super) session: &'a Rc<Session>,
    /// Where the call stands.
    pub(super) place: Place,
    /// What a problem begins with: `worker "bot1"`.
    pub(super) label: Option<String>,
    /// What stands before the name of an option: `c.` or nothing.
    pub(super) prefix: String,
}

/// Why a value cannot be taken, after "`max_builds` takes a whole number, ".
pub(super) enum Wrong {
    /// It was told, or it follows from what was told.
    Told,
    /// It is of another kind.
    Kind,
    /// Another reason, as the rest of the sentence after the option's name.
    Because(String),
}

pub(super) type Taken<T> = mlua::Result<Result<T, Wrong>>;

/// Passes a reason on, and leaves an end by the limits to `?`.
macro_rules! taken {
    ($value:expr) => {
        match $value {
            Ok(value) => value,
            Err(wrong) => return Ok(Err(wrong)),
        }
    };
}

pub(super) use taken;

impl Reader<'_> {
    /// Gathers a problem of this call.
    pub(super) fn complain(&self, text: &str, hint: Option<String>) {
        let text = self.label.as_ref().map_or_else(|| text.to_owned(), |label| format!("{label}: {text}"));
        self.session.complain(Problem::error(self.place.clone(), text).hint(hint));
    }

    /// Reads options by name into `made`, and tells which are missing.
    pub(super) fn options(&self, made: &Made, given: BTreeMap<String, Value>) -> mlua::Result<()> {
        let constructor = made.constructor;
        // Then what is missing was meant to be there.
        let is_told = made.broken.get();
        let names: BTreeSet<String> = given.keys().cloned().collect();
        for (name, value) in given {
            match constructor.option(&name) {
                Some(spec) => match self.option(spec, &value, made)? {
                    Some(field) => {
                        made.fields.borrow_mut().insert(spec.name, field);
                    }
                    None if is_vital(spec) => made.broken.set(true),
                    None => {}
                },
                None if constructor.not_yet.contains(&name.as_str()) => {
                    self.complain(
                        &format!("option `{}{name}` of Buildbot is not supported yet", self.prefix),
                        None,
                    );
                }
                None => {
                    let known = constructor.options().map(|option| option.name);
                    let near = suggest::nearest(&name, known.chain(constructor.not_yet.iter().copied()));
                    let hint = near.map(|near| format!("did you mean `{}{near}`?", self.prefix));
                    self.complain(&format!("unknown option `{}{name}`", self.prefix), hint);
                }
            }
        }
        let required = constructor.options().filter(|option| matches!(option.default, Default::Required));
        for spec in required {
            if !is_told && !names.contains(spec.name) && !made.fields.borrow().contains_key(spec.name) {
                self.complain(&format!("`{}{}` is missing", self.prefix, spec.name), None);
                made.broken.set(true);
            }
        }
        Ok(())
    }

    /// Reads one option; nothing if it cannot be read, which is told.
    pub(super) fn option(
        &self,
        spec: &OptionSpec,
        value: &Value,
        made: &Made,
    ) -> mlua::Result<Option<Field>> {
        let name = format!("{}{}", self.prefix, spec.name);
        let is_bool = matches!(spec.kind, Kind::Bool);
        if spec.nullable && (is_none(value) || (!is_bool && matches!(value, Value::Boolean(false)))) {
            return Ok(Some(Field::Plain(record::Value::None)));
        }
        if is_dud(value) {
            return Ok(None);
        }
        let mut bytes = VALUE_BYTES;
        let read = self.read(spec, &name, value, &mut bytes)?;
        self.session.copy(self.lua, bytes)?;
        made.bytes.set(made.bytes.get().saturating_add(bytes));
        #[cfg(test)]
        self.session.note_option(made.constructor.path(), spec.name, read.is_ok());
        match read {
            Ok(field) => return Ok(Some(field)),
            Err(Wrong::Told) => {}
            Err(Wrong::Because(reason)) => self.complain(&format!("`{name}` {reason}"), None),
            Err(Wrong::Kind) if rendered(value).is_some() && !spec.renderable => {
                let text = format!(
                    "`{name}` is read when the configuration is loaded; {} cannot stand in it",
                    describe(value)
                );
                self.complain(&text, None);
            }
            Err(Wrong::Kind) => {
                let found = match spec.kind {
                    Kind::Hidden | Kind::Secret | Kind::Secrets | Kind::SecretTable => describe_hidden(value),
                    _ => describe(value),
                };
                let text = format!("`{name}` takes {}, not {found}", spec.kind.words());
                self.complain(&text, self.session.uncalled(value));
            }
        }
        Ok(None)
    }

    fn read(&self, spec: &OptionSpec, name: &str, value: &Value, bytes: &mut usize) -> Taken<Field> {
        use record::Value as V;
        let plain = |value: V| Ok(Ok(Field::Plain(value)));
        match (spec.kind, value) {
            (Kind::Text | Kind::Command | Kind::Name, value)
                if spec.renderable && rendered(value).is_some() =>
            {
                plain(V::Text(taken!(text(value, true, bytes))))
            }
            (Kind::Function | Kind::TextOrFunction, Value::Function(function)) => {
                plain(V::Hook(hooks::register(self.lua, self.session, function)?))
            }
            (Kind::Text | Kind::TextOrFunction, value) => {
                plain(V::Text(taken!(text(value, spec.renderable, bytes))))
            }
            (Kind::Bool | Kind::Integer { .. } | Kind::Table, value)
                if spec.renderable && rendered(value).is_some() =>
            {
                let Read { worth, bytes: size, .. } = taken!(self.worth(spec, value)?);
                *bytes = bytes.saturating_add(size);
                plain(V::Worth(worth))
            }
            (Kind::Name, value) if !spec.renderable || rendered(value).is_none() => {
                plain(V::Text(Text::Plain(taken!(digits_or_text(value, bytes)))))
            }
            (Kind::Names, Value::Table(table)) => {
                let mut names = Vec::new();
                for (index, element) in (1..).zip(taken!(list(table, spec.kind)?)) {
                    match digits_or_text(&element, bytes) {
                        Ok(name) => names.push(Text::Plain(name)),
                        Err(_) => return Ok(because(wrong_element(spec.kind, index, &element))),
                    }
                    self.within(*bytes)?;
                }
                plain(V::Texts(names))
            }
            (Kind::Names, value) => plain(V::Texts(vec![Text::Plain(taken!(digits_or_text(value, bytes)))])),
            (Kind::Hidden, Value::String(text)) => plain(V::Hidden(Secret::new(taken!(utf8(text, bytes))))),
            (Kind::Secret, value) => plain(V::Secret(taken!(secret(value, bytes)))),
            (Kind::Secrets, Value::Table(table)) => {
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
                plain(V::Secrets(secrets))
            }
            (Kind::Secrets, one) => plain(V::Secrets(vec![taken!(secret(one, bytes))])),
            (Kind::SecretTable, Value::Table(table)) => {
                Ok(secret_table(table, bytes)?.map(|secrets| Field::Plain(V::SecretTable(secrets))))
            }
            (Kind::TextTable, Value::Table(table)) => {
                Ok(text_table(table, spec.renderable, bytes)?.map(|texts| Field::Plain(V::TextTable(texts))))
            }
            (Kind::Number { least }, value) => match number(value, least) {
                Ok(number) => plain(V::Number(number)),
                Err(wrong) => Ok(Err(wrong)),
            },
            (Kind::Bytes { least, most }, value) => match whole_bytes(value, least, most) {
                Ok(number) => plain(V::Integer(number)),
                Err(wrong) => Ok(Err(wrong)),
            },
            (Kind::Idle, value) => match idle(value) {
                Ok(policy) => plain(V::Idle(policy)),
                Err(wrong) => Ok(Err(wrong)),
            },
            (Kind::Port, Value::String(text)) => plain(V::Text(Text::Plain(taken!(utf8(text, bytes))))),
            (Kind::Port, Value::Integer(port)) => plain(V::Text(Text::Plain(port.to_string()))),
            (Kind::Bool | Kind::Switch(_), Value::Boolean(flag)) => plain(V::Bool(*flag)),
            (Kind::Integer { least, most }, value) => plain(V::Integer(match whole(value) {
                Some(number) if (least..=most).contains(&number) => number,
                Some(number) => {
                    return Ok(because(format!("takes a whole number from {least} to {most}, not {number}")));
                }
                None => return Ok(Err(Wrong::Kind)),
            })),
            (Kind::Seconds { least }, value) => match seconds(value, least) {
                Ok(duration) => plain(V::Seconds(duration)),
                Err(wrong) => Ok(Err(wrong)),
            },
            (Kind::Texts, value) if spec.renderable && rendered(value).is_some() => {
                plain(V::Texts(vec![taken!(text(value, true, bytes))]))
            }
            (Kind::Texts, Value::String(one)) => plain(V::Texts(vec![Text::Plain(taken!(utf8(one, bytes)))])),
            (Kind::Condition, Value::Boolean(flag)) => plain(V::Condition(Condition::Fixed(*flag))),
            (Kind::Condition, Value::Function(function)) => {
                let hook = hooks::register(self.lua, self.session, function)?;
                plain(V::Condition(Condition::Asked(hook)))
            }
            (Kind::Condition, value) if spec.renderable && rendered(value).is_some() => {
                let read = taken!(self.worth(spec, value)?);
                *bytes = bytes.saturating_add(read.bytes);
                plain(V::Condition(Condition::Rendered(read.worth)))
            }
            (Kind::Texts | Kind::Command, Value::Table(table)) => {
                let mut elements = taken!(list(table, spec.kind)?);
                if matches!(spec.kind, Kind::Command) {
                    elements = taken!(self.flattened(elements)?);
                }
                let mut texts = Vec::new();
                for (index, element) in (1..).zip(elements) {
                    match text(&element, spec.renderable, bytes) {
                        Ok(text) => texts.push(text),
                        Err(_) if is_dud(&element) => return Ok(Err(Wrong::Told)),
                        Err(Wrong::Because(reason)) => {
                            return Ok(because(format!("element {index} {reason}")));
                        }
                        Err(_) => return Ok(because(wrong_element(spec.kind, index, &element))),
                    }
                    self.within(*bytes)?;
                }
                plain(V::Texts(texts))
            }
            (Kind::Command, value @ Value::String(_)) => plain(V::Text(taken!(text(value, true, bytes)))),
            (Kind::Properties, Value::Table(_)) => {
                let read = taken!(self.worth(spec, value)?);
                *bytes = bytes.saturating_add(read.bytes);
                match read.worth {
                    Worth::Plain(PropertyValue::Object(map)) => plain(V::Properties(
                        map.into_iter().map(|(name, value)| (name, value.into())).collect(),
                    )),
                    Worth::Table(table) => plain(V::Properties(table)),
                    // An empty table is a list as well.
                    Worth::Plain(PropertyValue::Array(list)) if list.is_empty() => {
                        plain(V::Properties(BTreeMap::new()))
                    }
                    _ => Ok(because("takes a table of names and values, not a list".into())),
                }
            }
            (Kind::Environment, Value::Table(table)) => self.environment(spec, table, bytes),
            (Kind::Outcomes, Value::Table(table)) => {
                Ok(outcomes(table)?.map(|outcomes| Field::Plain(V::Outcomes(outcomes))))
            }
            (Kind::LogFiles, Value::Table(table)) => {
                Ok(log_files(table, spec.renderable, bytes)?.map(|files| Field::Plain(V::LogFiles(files))))
            }
            (Kind::Mode, value) => Ok(mode(value).map(|mode| Field::Plain(V::Integer(mode)))),
            (Kind::Json, value) => {
                let read = taken!(self.worth(spec, value)?);
                *bytes = bytes.saturating_add(read.bytes);
                plain(V::Worth(read.worth))
            }
            (Kind::Table, Value::Table(_)) => {
                let Read { worth, bytes: size, .. } = taken!(self.worth(spec, value)?);
                *bytes = bytes.saturating_add(size);
                plain(V::Worth(match worth {
                    // An empty table is a list as well.
                    Worth::Plain(PropertyValue::Array(list)) if list.is_empty() => {
                        Worth::Plain(PropertyValue::Object(serde_json::Map::new()))
                    }
                    table @ (Worth::Plain(PropertyValue::Object(_)) | Worth::Table(_)) => table,
                    _ => return Ok(because("takes a table of names and values, not a list".into())),
                }))
            }
            (Kind::Pairs, Value::Table(table)) => {
                Ok(pairs(table, bytes)?.map(|pairs| Field::Plain(V::Pairs(pairs))))
            }
            (Kind::Records(constructor), Value::Table(table)) => {
                Ok(Ok(Field::Parts(taken!(self.records(spec, constructor, name, table, bytes)?))))
            }
            (Kind::Record(constructor) | Kind::Switch(constructor), Value::Table(table)) => {
                let shape = Shape::of(table)?;
                if let Some(index) = shape.numbered.keys().next() {
                    return Ok(because(format!("takes {}; it has the key {index}", spec.kind.words())));
                }
                Ok(Ok(Field::Part(self.nested(constructor, name, shape)?)))
            }
            (Kind::Ports(constructor), value) => {
                Ok(Ok(Field::Parts(taken!(self.ports(spec, constructor, name, value, bytes)?))))
            }
            (Kind::Object(class), value) => match part(value, class) {
                Some(part) => Ok(Ok(Field::Part(part))),
                None => Ok(Err(Wrong::Kind)),
            },
            (Kind::Objects(class), Value::Table(table)) => {
                let mut parts = Vec::new();
                for (index, element) in (1..).zip(taken!(list(table, spec.kind)?)) {
                    match part(&element, class) {
                        Some(part) => parts.push(part),
                        None if is_dud(&element) => {}
                        None => {
                            let reason = wrong_element(spec.kind, index, &element);
                            self.session.lose(None);
                            self.complain(&format!("`{name}` {reason}"), self.session.uncalled(&element));
                        }
                    }
                    *bytes = bytes.saturating_add(size_of::<usize>());
                }
                Ok(Ok(Field::Parts(parts)))
            }
            (Kind::Objects(class), value) if part(value, class).is_some() => Ok(because(format!(
                "takes {}, not {}; put it into braces",
                spec.kind.words(),
                describe(value)
            ))),
            _ => Ok(Err(Wrong::Kind)),
        }
    }

    /// The elements of a command, those of lists within it too.
    fn flattened(&self, elements: Vec<Value>) -> Taken<Vec<Value>> {
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
            self.session.copy(self.lua, VALUE_BYTES)?;
            let inner = taken!(list(inner, Kind::Command)?);
            waiting.extend(inner.into_iter().rev().map(|element| (element, depth + 1)));
        }
        Ok(Ok(out))
    }

    /// A value that JSON can hold, or what becomes one.
    fn worth(&self, spec: &OptionSpec, value: &Value) -> Taken<Read> {
        let renderables = if spec.renderable { Renderables::Taken } else { Renderables::Refused };
        Ok(worth(self.lua, self.session, value, renderables)?
            .map_err(|why| if why.is_empty() { Wrong::Told } else { Wrong::Because(why) }))
    }

    /// A table with options of its own, called `name`.
    pub(super) fn nested(
        &self,
        constructor: &'static Constructor,
        name: &str,
        shape: Shape,
    ) -> mlua::Result<Rc<Made>> {
        let made = Rc::new(Made::new(constructor, self.place.clone()));
        let inner = Reader {
            lua: self.lua,
            session: self.session,
            place: self.place.clone(),
            label: self.label.clone(),
            prefix: format!("{name}."),
        };
        inner.options(&made, shape.named)?;
        Ok(made)
    }

    fn environment(&self, spec: &OptionSpec, table: &mlua::Table, bytes: &mut usize) -> Taken<Field> {
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
        Ok(Ok(Field::Plain(record::Value::Environment(variables))))
    }

    /// Stops early where one value alone is more than all may be.
    pub(super) fn within(&self, bytes: usize) -> mlua::Result<()> {
        if bytes > self.session.meter.limits().memory_bytes {
            self.session.copy(self.lua, bytes)
        } else {
            Ok(())
        }
    }
}

/// Whether a definition without this option would let more look wrong than the option itself.
fn is_vital(spec: &OptionSpec) -> bool {
    matches!(spec.default, Default::Required)
        || matches!(
            spec.kind,
            Kind::Text
                | Kind::Texts
                | Kind::Names
                | Kind::Number { .. }
                | Kind::Secret
                | Kind::SecretTable
                | Kind::Record(_)
                | Kind::Records(_)
        )
}

pub(super) fn because<T>(reason: String) -> Result<T, Wrong> {
    Err(Wrong::Because(reason))
}

pub(super) fn wrong_element(kind: Kind, index: i64, element: &Value) -> String {
    format!("takes {}; element {index} is {}", kind.words(), describe(element))
}

pub(super) fn list(table: &mlua::Table, kind: Kind) -> Taken<Vec<Value>> {
    match Shape::of(table)?.into_list() {
        Ok(list) => Ok(Ok(list)),
        Err(why) => Ok(because(format!("takes {}; {why}", kind.words()))),
    }
}

pub(super) fn utf8(text: &LuaString, bytes: &mut usize) -> Result<String, Wrong> {
    match text.to_str() {
        Ok(text) => {
            *bytes = bytes.saturating_add(text.len() + VALUE_BYTES);
            Ok(text.to_owned())
        }
        Err(_) => because("is text that is not UTF-8".into()),
    }
}

pub(super) fn text(value: &Value, renderable: bool, bytes: &mut usize) -> Result<Text, Wrong> {
    if let Value::String(text) = value {
        return utf8(text, bytes).map(Text::Plain);
    }
    match rendered(value) {
        Some(rendered) if renderable => {
            *bytes = bytes.saturating_add(rendered.bytes);
            Ok(Text::Rendered(rendered.renderable.clone()))
        }
        _ => Err(Wrong::Kind),
    }
}

/// A text that is not shown, or `util.Secret`.
pub(super) fn secret(value: &Value, bytes: &mut usize) -> Result<SecretText, Wrong> {
    match value {
        Value::String(text) => Ok(SecretText::Given(Secret::new(utf8(text, bytes)?))),
        value if is_dud(value) => Err(Wrong::Told),
        value => match rendered(value).map(|rendered| rendered.renderable.clone()) {
            Some(Renderable::Secret(name)) => Ok(SecretText::Named(name)),
            _ => Err(Wrong::Kind),
        },
    }
}

fn part(value: &Value, class: Class) -> Option<Rc<Made>> {
    handle(value)
        .filter(|handle| handle.made.constructor.class == class)
        .map(|handle| Rc::clone(&handle.made))
}
