//! A call of one function of the configuration, for a build.
//!
//! # Laws
//! - Each call has the limits of a load to itself. What it did wrong is told to the one who asked, and the interpreter is
//!   ready for the next call.
//! - What a function is given is gone when it returns, wherever it was kept.
//!
//! # Not here
//! How a call comes to this thread (`live`).

use std::rc::Rc;

use mlua::{Lua, MultiValue, Value};
use tracing::warn;

use super::{
    api::given::{Facts, argument},
    hooks,
    meter::Stop,
    sandbox, script,
    session::Session,
    worth::{Renderables, worth},
};
use crate::{
    definition::{HookCall, HookError, Problem, Worth},
    model::PropertyValue,
};

/// More mistakes of one call than a person reads.
const TOLD: usize = 5;

/// An interpreter whose file has ended, and whose functions are called.
pub(super) struct Live {
    lua: Lua,
    session: Rc<Session>,
}

impl Live {
    pub(super) const fn new(lua: Lua, session: Rc<Session>) -> Self {
        Self { lua, session }
    }

    /// The load is over, and told.
    pub(super) fn begin(&self) {
        self.session.end_load();
        if let Err(error) = self.lua.gc_collect() {
            // It is only for the memory.
            warn!(error = &error as &dyn std::error::Error, "the interpreter cannot collect its garbage");
        }
    }

    /// Calls a function.
    pub(super) fn call(&self, call: HookCall) -> Result<Worth, HookError> {
        self.session.begin_call();
        let facts = Facts::default();
        let result = self.evaluate(call, &facts);
        facts.forget();
        self.lua.remove_global_hook();
        if let Err(error) = &result {
            script::complain(&self.session, error);
        }
        let stopped = self.session.meter.stopped();
        if stopped.is_some()
            && let Err(error) = sandbox::mend(&self.lua)
        {
            warn!(error = &error as &dyn std::error::Error, "the interpreter cannot be mended after a stop");
        }
        let (errors, warnings): (Vec<_>, Vec<_>) =
            self.session.end_call().into_iter().partition(Problem::is_error);
        for warning in warnings {
            warn!("{warning}");
        }
        match (result, &*errors) {
            (_, [first, ..]) if matches!(stopped, Some(Stop::Instructions | Stop::Wall)) => {
                let end = errors.last().unwrap_or(first);
                let place = end.place.clone().unwrap_or_else(|| self.session.main());
                Err(HookError::Endless { place, trace: end.trace.clone() })
            }
            (Ok(worth), []) => Ok(worth),
            (Err(error), []) => Err(HookError::Failed { text: error.to_string() }),
            (_, errors) => {
                let told: Vec<_> = errors.iter().take(TOLD).map(ToString::to_string).collect();
                Err(HookError::Failed { text: told.join("\n") })
            }
        }
    }

    fn evaluate(&self, call: HookCall, facts: &Facts) -> mlua::Result<Worth> {
        let (lua, session) = (&self.lua, &self.session);
        let function = hooks::function(lua, call.hook)?;
        let mut arguments = MultiValue::new();
        for given in call.arguments {
            arguments.push_back(argument(lua, session, facts, given)?);
        }
        sandbox::watch(lua, session)?;
        let value = function.call::<Value>(arguments)?;
        if value.is_nil() {
            return Ok(Worth::Plain(PropertyValue::Null));
        }
        Ok(match worth(lua, session, &value, Renderables::Taken)? {
            Ok(read) => read.worth,
            Err(why) => {
                // What stands in the place of a thing that could not be made was told.
                if !why.is_empty() {
                    let place = hooks::place(session, &function);
                    session.complain(Problem::error(place, format!("the answer of the function {why}")));
                }
                Worth::Plain(PropertyValue::Null)
            }
        })
    }
}
