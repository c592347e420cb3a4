//! The hook by which instructions are counted and lines are seen.
//!
//! It is global: coroutines inherit it from the one that made them.

use std::rc::Rc;

use mlua::{HookTriggers, Lua, VmState, debug::DebugEvent};

use crate::config::session::Session;

/// Instructions between two looks at the clock: some ten microseconds.
const STRIDE: u32 = 1000;

/// Puts the hook in force.
pub(super) fn install(lua: &Lua, session: &Rc<Session>) -> mlua::Result<()> {
    set(lua, session, HookTriggers::new().every_line(), STRIDE)
}

fn set(lua: &Lua, session: &Rc<Session>, triggers: HookTriggers, stride: u32) -> mlua::Result<()> {
    let session = Rc::clone(session);
    lua.set_global_hook(triggers.every_nth_instruction(stride), move |lua, frame| {
        if frame.event() == DebugEvent::Line {
            session.see(frame);
            return Ok(VmState::Continue);
        }
        if let Err(stop) = session.meter.spend(u64::from(stride)) {
            // A `pcall` catches the error once. Raised again at each instruction, it gets out of all of them.
            if stride > 1 {
                set(lua, &session, HookTriggers::new(), 1)?;
            }
            return Err(session.stop_here(lua, stop));
        }
        Ok(VmState::Continue)
    })
}
