//! The hook by which instructions are counted and lines are seen.
//!
//! It is global: coroutines inherit it from the one that made them.

use std::rc::Rc;

use mlua::{HookTriggers, Lua, VmState, debug::DebugEvent};

use super::control;
use crate::config::session::Session;

/// Instructions between two looks at the clock: some ten microseconds.
const STRIDE: u32 = 1000;

/// Puts the hook in force.
pub(super) fn install(lua: &Lua, session: &Rc<Session>) -> mlua::Result<()> {
    let session = Rc::clone(session);
    let triggers = HookTriggers::new().every_line().every_nth_instruction(STRIDE);
    lua.set_global_hook(triggers, move |lua, frame| {
        if frame.event() == DebugEvent::Line {
            session.see(frame);
            return Ok(VmState::Continue);
        }
        match session.meter.spend(u64::from(STRIDE)) {
            Ok(()) => Ok(VmState::Continue),
            Err(stop) => {
                let error = session.stop_here(lua, stop);
                control::disarm(lua)?;
                raise_always(lua, error.clone())?;
                Err(error)
            }
        }
    })
}

/// A `pcall` catches the error once. Raised again at each instruction, it gets out of all of them.
fn raise_always(lua: &Lua, error: mlua::Error) -> mlua::Result<()> {
    lua.set_global_hook(HookTriggers::new().every_nth_instruction(1), move |lua, _| {
        // The callback is global, but how often it is called each coroutine has for itself, from the time it was made.
        raise_always(lua, error.clone())?;
        Err(error.clone())
    })
}
