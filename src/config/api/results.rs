//! Buildbot's constants for outcomes: `util.SUCCESS`, and `require "buildbot.process.results"`.

use std::rc::Rc;

use mlua::{Lua, Table};

use crate::{
    config::{sandbox, session::Session},
    model::Outcome,
};

/// Puts the constants into `util`, and into a module of their own beside the words for them.
pub(super) fn install(lua: &Lua, session: &Rc<Session>, util: &Table) -> mlua::Result<()> {
    let results = lua.create_table()?;
    let words = lua.create_table()?;
    for outcome in Outcome::ALL {
        let name = outcome.word().to_uppercase();
        util.raw_set(name.as_str(), outcome.code())?;
        results.raw_set(name, outcome.code())?;
        words.raw_set(outcome.code(), outcome.word())?;
    }
    util.raw_set("Results", &words)?;
    results.raw_set("Results", words)?;
    super::seal(lua, session, Some("results"), &results)?;
    sandbox::provide(lua, "buildbot.process.results", &results)
}
