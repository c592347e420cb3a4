//! The functions of `table` that loop in C as long as a table says it is long.
//!
//! A table's own elements are bounded by memory. A `__len` of the operator's, or bounds given as numbers, are bounded by
//! nothing, and no hook runs within C.

use std::rc::Rc;

use mlua::{Function, Lua, MultiValue, Table, Value};

use super::globals::{relay, seal_library};
use crate::config::session::Session;

/// Those that trust `#t`.
const TRUSTING: [&str; 5] = ["insert", "remove", "sort", "concat", "unpack"];

/// More elements than `table.move` may touch at once: far more than the memory holds in a list worth having.
const MOST_MOVED: i64 = 10_000_000;

pub(super) fn install(lua: &Lua, session: &Rc<Session>) -> mlua::Result<()> {
    let library: Table = lua.globals().raw_get("table")?;
    for name in TRUSTING {
        let original: Function = library.raw_get(name)?;
        let session = Rc::clone(session);
        let guarded = lua.create_function(move |lua, arguments: MultiValue| {
            if let Some(Value::Table(table)) = arguments.front()
                && let Some(metatable) = table.metatable()
                && !metatable.raw_get::<Value>("__len")?.is_nil()
            {
                return Err(
                    session.error(lua, format!("`table.{name}` takes no table with a `__len` of its own"))
                );
            }
            original.call::<MultiValue>(arguments).map_err(|error| relay(lua, &session, &error))
        })?;
        library.raw_set(name, guarded)?;
    }

    let original: Function = library.raw_get("move")?;
    let guarded = {
        let session = Rc::clone(session);
        lua.create_function(move |lua, arguments: MultiValue| {
            if let (Some(Value::Integer(first)), Some(Value::Integer(last))) =
                (arguments.get(1), arguments.get(2))
                && last.saturating_sub(*first) > MOST_MOVED
            {
                return Err(session.error(lua, format!("`table.move` moves at most {MOST_MOVED} elements")));
            }
            original.call::<MultiValue>(arguments).map_err(|error| relay(lua, &session, &error))
        })?
    };
    library.raw_set("move", guarded)?;
    seal_library(lua, session, "table", &library)
}
