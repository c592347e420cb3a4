//! `c`: the table that the configuration fills.
//!
//! # Laws
//! - A field that does not exist is a problem at the line that sets it.
//! - Lists and tables are read when the file has ended, so that what is added later counts; the place is that of the
//!   last assignment.
//! - Of two assignments the last one counts. If it drops what the first one held, a warning says so.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use mlua::{Lua, Table, Value};

use super::{
    dud::{Dud, is_dud},
    lists::{self, Lines},
    made::{Field, Made},
};
use crate::{
    config::{
        field::Reader,
        session::Session,
        shape::{self, Shape},
    },
    definition::{
        Problem,
        known::{self, Known},
        options::{Constructor, Kind, MASTER, OptionSpec},
        suggest,
    },
    model::Place,
};

/// What was assigned to `c`.
pub(in crate::config) struct Master {
    /// What Lua sees as `c`: an empty table that watches.
    pub(in crate::config) c: Table,
    /// The values by name.
    values: Table,
    /// The lines of the assignments.
    places: Rc<RefCell<BTreeMap<&'static str, Place>>>,
    /// The lines that wrote into tables which were there from the start.
    lines: Lines,
}

impl Master {
    /// An empty `c`.
    pub(in crate::config) fn new(lua: &Lua, session: &Rc<Session>) -> mlua::Result<Self> {
        let values = lua.create_table()?;
        let lines = Lines::default();
        for option in MASTER.options() {
            // Readable from the start: `c.workers[#c.workers + 1] = …`, `c.protocols.pb = …`.
            if matches!(option.kind, Kind::Objects(_) | Kind::Record(_)) {
                values.raw_set(option.name, lists::table(lua, session, option, &lines)?)?;
            }
        }
        let places = Rc::new(RefCell::new(BTreeMap::new()));
        let c = lua.create_table()?;
        let metatable = lua.create_table()?;
        {
            let (session, values) = (Rc::clone(session), values.clone());
            let read =
                lua.create_function(move |lua, (_, key): (Value, Value)| read(lua, &session, &values, &key))?;
            metatable.raw_set("__index", read)?;
        }
        {
            let (session, values, places, lines) =
                (Rc::clone(session), values.clone(), Rc::clone(&places), Rc::clone(&lines));
            let write = lua.create_function(move |lua, (_, key, value): (Value, Value, Value)| {
                write(lua, &session, &Kept { values: &values, places: &places, lines: &lines }, &key, value)
            })?;
            metatable.raw_set("__newindex", write)?;
        }
        {
            let values = values.clone();
            let pairs = lua.create_function(move |lua, _: Value| {
                Ok((lua.globals().raw_get::<Value>("next")?, values.clone(), Value::Nil))
            })?;
            metatable.raw_set("__pairs", pairs)?;
        }
        metatable.raw_set("__metatable", "the configuration")?;
        c.set_metatable(Some(metatable))?;
        Ok(Self { c, values, places, lines })
    }

    /// The record of `c`, in the making, once the file has ended.
    pub(in crate::config) fn finish(&self, lua: &Lua, session: &Rc<Session>) -> mlua::Result<Made> {
        let made = Made::new(&MASTER, session.main());
        let places = self.places.borrow();
        for option in MASTER.options() {
            let value: Value = self.values.raw_get(option.name)?;
            let is_untouched = match &value {
                Value::Nil => true,
                Value::Table(table) => table.is_empty() && !places.contains_key(option.name),
                _ => false,
            };
            if is_untouched {
                continue;
            }
            if let (Kind::Record(table), Value::Table(given)) = (option.kind, &value)
                && !places.contains_key(option.name)
            {
                let part = self.given(lua, session, option, table, given)?;
                made.fields.borrow_mut().insert(option.name, Field::Part(part));
                continue;
            }
            let place = places.get(option.name).cloned().unwrap_or_else(|| session.main());
            let reader = Reader { lua, session, place, label: None, prefix: "c.".into() };
            match reader.option(option, &value, &made)? {
                Some(field) => {
                    made.fields.borrow_mut().insert(option.name, field);
                }
                None if matches!(option.kind, Kind::Objects(_)) => session.lose(None),
                None => {}
            }
        }
        made.places.replace(places.clone());
        Ok(made)
    }

    /// Reads a table that was there from the start, each key at the line that wrote it.
    fn given(
        &self,
        lua: &Lua,
        session: &Rc<Session>,
        option: &OptionSpec,
        constructor: &'static Constructor,
        table: &Table,
    ) -> mlua::Result<Rc<Made>> {
        let lines = self.lines.borrow();
        let shape = Shape::of(table)?;
        let line = |key: &str| lines.get(&(option.name, key.to_owned())).cloned();
        let place = shape.named.keys().find_map(|key| line(key)).unwrap_or_else(|| session.main());
        let made = Rc::new(Made::new(constructor, place.clone()));
        for (key, value) in shape.named {
            let place = line(&key).unwrap_or_else(|| place.clone());
            made.places
                .borrow_mut()
                .extend(constructor.option(&key).map(|known| (known.name, place.clone())));
            let reader = Reader { lua, session, place, label: None, prefix: format!("c.{}.", option.name) };
            reader.options(&made, BTreeMap::from([(key, value)]))?;
        }
        Ok(made)
    }
}

fn read(lua: &Lua, session: &Rc<Session>, values: &Table, key: &Value) -> mlua::Result<Value> {
    if let Some(name) = known(key) {
        return values.raw_get(name);
    }
    if matches!(key, Value::String(name) if known::is_ignored("c", &name.to_string_lossy())) {
        return Ok(Value::Nil);
    }
    unknown(lua, session, key);
    lua.create_userdata(Dud(Rc::clone(session))).map(Value::UserData)
}

/// What a write changes.
struct Kept<'a> {
    values: &'a Table,
    places: &'a RefCell<BTreeMap<&'static str, Place>>,
    lines: &'a Lines,
}

fn write(lua: &Lua, session: &Rc<Session>, kept: &Kept<'_>, key: &Value, value: Value) -> mlua::Result<()> {
    session.only_in_a_load(lua, "`c` cannot be changed")?;
    let Kept { values, places, lines } = kept;
    let Some(name) = known(key) else {
        // What is assigned may have told its own problem; that of the field is another.
        unknown(lua, session, key);
        return Ok(());
    };
    if is_dud(&value) {
        session.lose(None);
        return Ok(());
    }
    let place = session.at_option(session.place(lua), name);
    let Some(option) = MASTER.option(name) else { return Ok(()) };
    let kind = option.kind;
    if value.is_nil() && matches!(kind, Kind::Objects(_) | Kind::Record(_)) {
        // As it was in the beginning: readable, and empty.
        places.borrow_mut().remove(name);
        return values.raw_set(name, lists::table(lua, session, option, lines)?);
    }
    if let Value::Table(old) = values.raw_get(name)?
        && drops(&old, &value)?
    {
        let first = places.borrow().get(name).map_or_else(String::new, |first| format!(" at {first}"));
        let text = format!("`c.{name}` is set again; what it was given{first} is dropped");
        let hint = match kind {
            Kind::Objects(_) => format!("add to it with `table.insert(c.{name}, …)`"),
            _ => format!("add to it with `c.{name}.KEY = …`"),
        };
        session.remark(Problem::warning(place.clone(), "value that is set again", text).hint(hint));
    }
    places.borrow_mut().insert(name, place);
    values.raw_set(name, value)
}

/// Whether something in a table would be lost if `new` took its place: an element of a list, or a key.
fn drops(old: &Table, new: &Value) -> mlua::Result<bool> {
    let Value::Table(new) = new else { return Ok(!old.is_empty()) };
    if old == new || old.is_empty() {
        return Ok(false);
    }
    let kept = Shape::of(new)?;
    let values: BTreeSet<usize> = kept.numbered.values().map(address).collect();
    let old = Shape::of(old)?;
    let is_dropped = |value: &Value| !values.contains(&address(value));
    Ok(old.numbered.values().any(is_dropped) || old.named.keys().any(|name| !kept.named.contains_key(name)))
}

fn address(value: &Value) -> usize {
    value.to_pointer() as usize
}

fn known(key: &Value) -> Option<&'static str> {
    let Value::String(key) = key else { return None };
    key.to_str().ok().and_then(|key| MASTER.option(&key)).map(|option| option.name)
}

fn unknown(lua: &Lua, session: &Session, key: &Value) {
    let problem = match key {
        Value::String(name) => {
            let name = name.to_string_lossy();
            let place = || session.at_option(session.place(lua), &name);
            match known::key(&name) {
                _ if known::is_ignored("c", &name) => return,
                Some(Known::Former(hint)) => {
                    Problem::error(place(), format!("unknown option `c.{name}`")).hint(hint.to_owned())
                }
                Some(Known::NotYet(hint)) => {
                    let text = known::not_yet(&format!("option `c.{name}`"));
                    Problem::error(place(), text).hint(hint.map(str::to_owned))
                }
                None if MASTER.not_yet.contains(&name.as_str()) => {
                    Problem::error(place(), known::not_yet(&format!("option `c.{name}`")))
                }
                None => {
                    let names =
                        MASTER.options().map(|option| option.name).chain(MASTER.not_yet.iter().copied());
                    let near = suggest::nearest(&name, names);
                    let hint = near
                        .map(|near| known::did_you_mean(&format!("c.{near}"), MASTER.option(near).is_some()));
                    Problem::error(place(), format!("unknown option `c.{name}`")).hint(hint)
                }
            }
        }
        other => {
            let text = format!("`c` takes names as keys, not {}", shape::describe(other));
            Problem::error(session.place(lua), text)
        }
    };
    session.complain_here(lua, problem);
}
