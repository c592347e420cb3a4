//! The interpreter that a configuration runs in, with nothing in it that reaches out or runs away.
//!
//! # Laws
//! - Files can be read, not written; the environment can be read; no program can be started.
//! - No function that Lua can call runs for long without a look at the clock: what the standard library would do in C
//!   for ever (patterns, moves over tables that lie about their length, finalizers) is replaced, guarded or refused.
//! - Once the load is over, no file is opened any more: what a function answers follows from the configuration, the build
//!   and the clock.
//! - No nesting overflows the native stack: Lua stops at 200 nested C calls, for which the thread has room.
//!
//! # Not here
//! The constructors (`super::api`).

mod control;
mod files;
mod globals;
mod hook;
mod pattern;
mod strings;
mod tables;

use std::rc::Rc;

use mlua::{Lua, LuaOptions, StdLib, Table, Value};

pub(super) use files::{read_main, runnable};

use super::session::Session;

/// A fresh interpreter within the session's limits. `given` holds what is there besides the standard library.
pub(super) fn interpreter(session: &Rc<Session>) -> mlua::Result<Lua> {
    let libraries = StdLib::COROUTINE
        | StdLib::TABLE
        | StdLib::IO
        | StdLib::OS
        | StdLib::STRING
        | StdLib::UTF8
        | StdLib::MATH;
    let lua = Lua::new_with(libraries, LuaOptions::new())?;
    control::install(&lua, session)?;
    globals::install(&lua, session)?;
    strings::install(&lua, session)?;
    tables::install(&lua, session)?;
    files::install(&lua, session)?;
    Ok(lua)
}

/// Puts the limits in force and makes `given` known; from here on the interpreter runs the operator's text.
pub(super) fn arm(lua: &Lua, session: &Rc<Session>, given: Given) -> mlua::Result<()> {
    globals::seal(lua, session, given)?;
    lua.set_memory_limit(session.meter.limits().memory_bytes)?;
    hook::install(lua, session)
}

/// Puts the limits in force again, for a call of a function.
pub(super) fn watch(lua: &Lua, session: &Rc<Session>) -> mlua::Result<()> {
    hook::install(lua, session)
}

/// Mends what a call that was stopped has left behind.
pub(super) fn mend(lua: &Lua) -> mlua::Result<()> {
    control::rearm(lua)
}

/// What is there besides the standard library.
pub(super) struct Given {
    /// `c`.
    pub(super) c: Table,
    /// `None`.
    pub(super) none: Value,
}

pub(super) use files::provide;
