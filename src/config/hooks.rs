//! Functions of the configuration: kept in their interpreter, known outside by their number and their text.

use std::sync::Arc;

use mlua::{Function, Lua, Table, Value};

use super::session::Session;
use crate::{
    definition::{Hook, HookId},
    model::Place,
};

/// All functions that the configuration has given away: a list in the registry.
const HOOKS: &str = "lunabot.hooks";

/// Keeps a function, and tells by what it is known.
pub(super) fn register(lua: &Lua, session: &Session, function: &Function) -> mlua::Result<Hook> {
    session.only_in_a_load(lua, "no function can be given away")?;
    let known = match lua.named_registry_value::<Value>(HOOKS)? {
        Value::Table(known) => known,
        _ => {
            let known = lua.create_table()?;
            lua.set_named_registry_value(HOOKS, &known)?;
            known
        }
    };
    let number = u32::try_from(known.raw_len()).map_err(mlua::Error::external)?;
    known.raw_push(function)?;
    let (text, place) = source(session, function);
    Ok(Hook { id: HookId(number), text, place })
}

/// Whether there are any.
pub(super) fn any(lua: &Lua) -> mlua::Result<bool> {
    Ok(!lua.named_registry_value::<Value>(HOOKS)?.is_nil())
}

/// The function of this number.
pub(super) fn function(lua: &Lua, id: HookId) -> mlua::Result<Function> {
    lua.named_registry_value::<Table>(HOOKS)?.raw_get(i64::from(id.0) + 1)
}

/// Where a function begins.
pub(super) fn place(session: &Session, function: &Function) -> Place {
    source(session, function).1
}

/// The source lines of a function, and where they begin.
fn source(session: &Session, function: &Function) -> (Arc<str>, Place) {
    let info = function.info();
    let line = |line: Option<usize>| line.and_then(|line| u32::try_from(line).ok()).unwrap_or(0);
    let (first, last) = (line(info.line_defined), line(info.last_line_defined));
    match info.source.as_deref().and_then(|source| source.strip_prefix('@')) {
        Some(file) => (session.lines(file, first, last), Place::new(session.file(file), first)),
        // One of the standard library: its name is not known.
        None => ("a function of Lua".into(), session.main()),
    }
}
