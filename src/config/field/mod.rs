//! From a Lua value to the value of an option, by the table of options.
//!
//! # Laws
//! - A bad value becomes a problem that names the option, what it takes, and what it was given; never the text of a
//!   secret.
//! - What is copied is counted, since it leaves the interpreter and its memory limit.

mod kind;
mod lists;
mod ports;
mod scalar;
mod tables;
mod text;
mod values;

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use mlua::{Lua, Value};

pub(super) use lists::wrong_element;

use super::{
    api::{
        dud::is_dud,
        made::{Field, Made, is_none},
        render::rendered,
    },
    session::Session,
    shape::{Shape, describe, describe_hidden},
};
use crate::{
    definition::{
        Problem, known,
        options::{Constructor, Default, Kind, OptionSpec},
        record, suggest,
    },
    model::Place,
};

/// What stands beside each value: keys, pointers, lengths.
const VALUE_BYTES: usize = 64;

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
enum Wrong {
    /// It was told, or it follows from what was told.
    Told,
    /// It is of another kind.
    Kind,
    /// Another reason, as the rest of the sentence after the option's name.
    Because(String),
}

type Taken<T> = mlua::Result<Result<T, Wrong>>;

/// Passes a reason on, and leaves an end by the limits to `?`.
macro_rules! taken {
    ($value:expr) => {
        match $value {
            Ok(value) => value,
            Err(wrong) => return Ok(Err(wrong)),
        }
    };
}

use taken;

impl Reader<'_> {
    /// Gathers a problem of this call.
    pub(super) fn complain(&self, text: &str, hint: Option<String>) {
        let text = self.label.as_ref().map_or_else(|| text.to_owned(), |label| format!("{label}: {text}"));
        self.session.complain_here(self.lua, Problem::error(self.place.clone(), text).hint(hint));
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
                None if known::is_ignored(constructor.name, &name) => {}
                None if constructor.not_yet.contains(&name.as_str()) => {
                    self.complain(&known::not_yet(&format!("option `{}{name}`", self.prefix)), None);
                }
                None => {
                    let hint = self.meant(constructor, &name);
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

    /// What was probably meant by an option that nobody has.
    fn meant(&self, constructor: &Constructor, name: &str) -> Option<String> {
        if let Some(now) = known::option(name) {
            return Some(format!("it is `{}{now}` now", self.prefix));
        }
        let names = constructor.options().map(|option| option.name);
        let near = suggest::nearest(name, names.chain(constructor.not_yet.iter().copied()))?;
        let is_here = constructor.option(near).is_some();
        Some(known::did_you_mean(&format!("{}{near}", self.prefix), is_here))
    }

    /// Reads one option; nothing if it cannot be read, which is told.
    pub(super) fn option(
        &self,
        spec: &OptionSpec,
        value: &Value,
        made: &Made,
    ) -> mlua::Result<Option<Field>> {
        let name = format!("{}{}", self.prefix, spec.name);
        // There, `false` is a value.
        let is_bool = matches!(spec.kind, Kind::Bool | Kind::Condition);
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
                let hint = self.session.uncalled(value).or_else(|| lists::unwanted_lock(spec.kind, value));
                let hint = hint.or_else(|| {
                    let is_late = spec.renderable && matches!(value, Value::Function(_));
                    is_late.then(|| "write `util.renderer(function(props) … end)`".to_owned())
                });
                self.complain(&text, hint);
            }
        }
        Ok(None)
    }

    /// A table with options of its own, called `name`.
    fn nested(&self, constructor: &'static Constructor, name: &str, shape: Shape) -> mlua::Result<Rc<Made>> {
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

    /// Stops early where one value alone is more than all may be.
    fn within(&self, bytes: usize) -> mlua::Result<()> {
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
                | Kind::Function
                | Kind::Texts
                | Kind::Names
                | Kind::Labels
                | Kind::Number { .. }
                | Kind::Secret
                | Kind::SecretTable
                | Kind::Record(_)
                | Kind::Records(_)
        )
}

fn because<T>(reason: String) -> Result<T, Wrong> {
    Err(Wrong::Because(reason))
}
