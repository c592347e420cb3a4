//! From a load to the calls of its functions: what ends with the one, and begins and ends with each of the others.

use mlua::Lua;

use super::Session;
use crate::definition::Problem;

impl Session {
    /// The load is over: from here on functions are called for builds. What only a load needs is let go.
    pub(in crate::config) fn end_load(&self) {
        self.calling.set(true);
        self.made.take();
        self.sources.take();
        self.excerpts.take();
        self.end_call();
    }

    /// A function is about to be called.
    pub(in crate::config) fn begin_call(&self) {
        self.meter.restart();
    }

    /// The function has returned; what it did wrong.
    pub(in crate::config) fn end_call(&self) -> Vec<Problem> {
        self.undefined.take();
        self.raised.take();
        self.lost.take();
        self.take_problems()
    }

    /// Refuses what only a load may do, once the load is over.
    pub(in crate::config) fn only_in_a_load(&self, lua: &Lua, what: &str) -> mlua::Result<()> {
        if self.calling.get() {
            Err(self.error(lua, format!("{what} while a build runs, only while the configuration is loaded")))
        } else {
            Ok(())
        }
    }
}
