//! Errors, and what Lua runs on the way of one.
//!
//! A hook that raises leaves hooks switched off until its error is caught. What of the operator's runs in between could
//! not be stopped: the message handler of `xpcall`, and the `__close` of what goes out of scope. Once the load is stopped,
//! neither is called any more. Finalizers (`__gc`) always run without hooks, so there are none.

use std::rc::Rc;

use mlua::{Function, Lua, MultiValue, Table, Value};

use super::globals::relay;
use crate::config::session::Session;

/// All metatables that the operator has: a table with weak keys. The value is `true`, or the `__close` that was taken out.
const METATABLES: &str = "lunabot.metatables";

/// In Lua, since `error` counts levels of the stack from the one who calls it, and values pass through unchanged.
const GUARDED: &str = r"
local error, xpcall, note_raised, is_stopped = ...
return
  function(value, level)
    note_raised()
    level = level or 1
    -- One more, for this function.
    error(value, level > 0 and level + 1 or 0)
  end,
  function(f, handler, ...)
    return xpcall(f, function(...)
      if is_stopped() then return ... end
      return handler(...)
    end, ...)
  end
";

pub(super) fn install(lua: &Lua, session: &Rc<Session>) -> mlua::Result<()> {
    let globals = lua.globals();
    // An error may be any value; the line where it was raised is kept beside it.
    let note_raised = {
        let session = Rc::clone(session);
        lua.create_function(move |lua, ()| {
            session.note_raised(session.place(lua));
            Ok(())
        })?
    };
    let is_stopped = {
        let session = Rc::clone(session);
        lua.create_function(move |_, ()| Ok(session.meter.is_stopped()))?
    };
    let originals: (Function, Function) = (globals.raw_get("error")?, globals.raw_get("xpcall")?);
    let (error, xpcall): (Function, Function) =
        lua.load(GUARDED).set_name("=lunabot").call((originals.0, originals.1, note_raised, is_stopped))?;
    globals.raw_set("error", error)?;
    globals.raw_set("xpcall", xpcall)?;
    metatables(lua, session)
}

/// Takes the `__close` out of all metatables, for a load or a call that is stopped: they must not run any more.
pub(super) fn disarm(lua: &Lua) -> mlua::Result<()> {
    let known: Table = lua.named_registry_value(METATABLES)?;
    let nothing = lua.create_function(|_, _: MultiValue| Ok(()))?;
    known.for_each(|metatable: Table, kept: Value| {
        let close: Value = metatable.raw_get("__close")?;
        if !close.is_nil() && matches!(kept, Value::Boolean(_)) {
            metatable.raw_set("__close", &nothing)?;
            // To an element that is there, so the walk goes on.
            known.raw_set(metatable, close)?;
        }
        Ok(())
    })
}

/// Puts them back, for the next call of a function.
pub(super) fn rearm(lua: &Lua) -> mlua::Result<()> {
    let known: Table = lua.named_registry_value(METATABLES)?;
    known.for_each(|metatable: Table, kept: Value| {
        if !matches!(kept, Value::Boolean(_)) {
            metatable.raw_set("__close", kept)?;
            known.raw_set(metatable, true)?;
        }
        Ok(())
    })
}

fn metatables(lua: &Lua, session: &Rc<Session>) -> mlua::Result<()> {
    let known = lua.create_table()?;
    known.set_metatable(Some(lua.create_table_from([("__mode", "k")])?))?;
    // Those that are there without `setmetatable`: of text, and of open files.
    let given: (Table, Table) = lua.load("return getmetatable(''), getmetatable(io.stdout)").call(())?;
    known.raw_set(given.0, true)?;
    known.raw_set(given.1, true)?;
    lua.set_named_registry_value(METATABLES, &known)?;

    let original: Function = lua.globals().raw_get("setmetatable")?;
    let session = Rc::clone(session);
    let guarded = lua.create_function(move |lua, arguments: MultiValue| {
        if let Some(Value::Table(metatable)) = arguments.get(1) {
            if !metatable.raw_get::<Value>("__gc")?.is_nil() {
                return Err(session.error(lua, "a configuration has no finalizers (`__gc`)"));
            }
            known.raw_set(metatable, true)?;
        }
        original.call::<MultiValue>(arguments).map_err(|error| relay(lua, &session, &error))
    })?;
    lua.globals().raw_set("setmetatable", guarded)
}
