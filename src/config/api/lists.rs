//! The lists and tables of `c` that are there from the start: `c.workers[1] = …`, `c.protocols.pb = …`.
//!
//! # Laws
//! - What is wrong in them is told with the line that wrote it, though nothing was assigned to `c` itself.
//!
//! # Not here
//! Tables that the operator made and assigned (`master`): those are read when the file has ended.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use mlua::{Lua, Table, Value};

use super::{
    dud::{Dud, is_dud},
    made::handle,
};
use crate::{
    config::{field::wrong_element, session::Session, shape},
    definition::{
        Problem,
        options::{Kind, OptionSpec},
    },
    model::Place,
};

/// The lines that wrote keys of tables, by option and key.
pub(super) type Lines = Rc<RefCell<BTreeMap<(&'static str, String), Place>>>;

/// An empty list or table for `option`; the lines that write its keys go to `lines`.
pub(super) fn table(
    lua: &Lua,
    session: &Rc<Session>,
    option: &'static OptionSpec,
    lines: &Lines,
) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let metatable = lua.create_table()?;
    let (session, lines) = (Rc::clone(session), Rc::clone(lines));
    let write = lua.create_function(move |lua, (table, key, value): (Table, Value, Value)| {
        match (option.kind, &key) {
            (Kind::Objects(class), Value::Integer(index)) if !value.is_nil() && !is_dud(&value) => {
                let is_part = handle(&value).is_some_and(|part| part.made.constructor.class == class);
                if !is_part {
                    let text = format!("`c.{}` {}", option.name, wrong_element(option.kind, *index, &value));
                    let problem = Problem::error(session.place(lua), text);
                    session.complain_here(lua, problem.hint(session.uncalled(&value)));
                    session.lose(None);
                    // The list keeps its length, so that what follows is where it belongs.
                    return table.raw_set(key, lua.create_userdata(Dud(Rc::clone(&session)))?);
                }
            }
            (Kind::Record(_), Value::String(name)) => {
                let name = name.to_string_lossy();
                let place = session.at_option(session.place(lua), &format!("{}.{name}", option.name));
                lines.borrow_mut().insert((option.name, name), place);
            }
            (Kind::Record(_), other) => {
                let text = format!("`c.{}` takes names as keys, not {}", option.name, shape::describe(other));
                session.complain_here(lua, Problem::error(session.place(lua), text));
                return Ok(());
            }
            _ => {}
        }
        table.raw_set(key, value)
    })?;
    metatable.raw_set("__newindex", write)?;
    metatable.raw_set("__metatable", "a table of the configuration")?;
    table.set_metatable(Some(metatable))?;
    Ok(table)
}
