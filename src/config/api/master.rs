//! `c`: the table that the configuration fills.
//!
//! # Laws
//! - A field that does not exist is a problem at the line that sets it.
//! - Lists and tables are read when the file has ended, so that what is added later counts; the place is that of the
//!   last assignment.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use mlua::{Lua, Table, Value};

use super::{
    dud::{Dud, is_dud},
    made::Made,
};
use crate::{
    config::{field::Reader, session::Session, shape},
    definition::{
        Problem,
        options::{Kind, MASTER},
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
}

impl Master {
    /// An empty `c`.
    pub(in crate::config) fn new(lua: &Lua, session: &Rc<Session>) -> mlua::Result<Self> {
        let values = lua.create_table()?;
        for option in MASTER.options() {
            // Readable from the start: `c.workers[#c.workers + 1] = …`, `c.protocols.pb = …`.
            if matches!(option.kind, Kind::Objects(_) | Kind::Record(_)) {
                values.raw_set(option.name, lua.create_table()?)?;
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
            let (session, values, places) = (Rc::clone(session), values.clone(), Rc::clone(&places));
            let write = lua.create_function(move |lua, (_, key, value): (Value, Value, Value)| {
                write(lua, &session, &values, &places, &key, value)
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
        Ok(Self { c, values, places })
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
}

fn read(lua: &Lua, session: &Rc<Session>, values: &Table, key: &Value) -> mlua::Result<Value> {
    if let Some(name) = known(key) {
        return values.raw_get(name);
    }
    unknown(lua, session, key);
    lua.create_userdata(Dud(Rc::clone(session))).map(Value::UserData)
}

fn write(
    lua: &Lua,
    session: &Session,
    values: &Table,
    places: &RefCell<BTreeMap<&'static str, Place>>,
    key: &Value,
    value: Value,
) -> mlua::Result<()> {
    session.only_in_a_load(lua, "`c` cannot be changed")?;
    let Some(name) = known(key) else {
        // What is assigned may have told its own problem; that of the field is another.
        unknown(lua, session, key);
        return Ok(());
    };
    if is_dud(&value) {
        session.lose(None);
        return Ok(());
    }
    places.borrow_mut().insert(name, session.place(lua));
    values.raw_set(name, value)
}

fn known(key: &Value) -> Option<&'static str> {
    let Value::String(key) = key else { return None };
    key.to_str().ok().and_then(|key| MASTER.option(&key)).map(|option| option.name)
}

fn unknown(lua: &Lua, session: &Session, key: &Value) {
    let problem = match key {
        Value::String(name) => {
            let name = name.to_string_lossy();
            if MASTER.not_yet.contains(&name.as_str()) {
                Problem::error(
                    session.place(lua),
                    format!("option `c.{name}` of Buildbot is not supported yet"),
                )
            } else {
                let known = MASTER.options().map(|option| option.name).chain(MASTER.not_yet.iter().copied());
                let hint = suggest::nearest(&name, known).map(|near| format!("did you mean `c.{near}`?"));
                Problem::error(session.place(lua), format!("unknown option `c.{name}`")).hint(hint)
            }
        }
        other => Problem::error(
            session.place(lua),
            format!("`c` takes names as keys, not {}", shape::describe(other)),
        ),
    };
    session.complain(problem);
}
