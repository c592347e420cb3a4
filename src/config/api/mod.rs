//! What a configuration can call: the modules of `buildbot.plugins`, generated from the table of options.

pub(super) mod call;
pub(super) mod dud;
pub(super) mod functions;
pub(super) mod given;
mod lists;
pub(super) mod made;
pub(super) mod master;
pub(super) mod none;
pub(super) mod render;
pub(super) mod results;

use std::{collections::BTreeMap, rc::Rc};

use mlua::{Lua, Table, Value};

use super::{sandbox, session::Session};
use crate::definition::{
    Problem,
    known::{self, Known},
    options::CONSTRUCTORS,
    suggest,
};

/// Modules of Buildbot in which there is nothing yet.
const EMPTY_MODULES: [&str; 3] = ["buildslave", "changes", "machine"];

/// Other names of modules, from older manuals.
const OLD_NAMES: [(&str, &str); 1] = [("status", "reporters")];

/// Makes `require "buildbot.plugins"` and its modules.
pub(super) fn install(lua: &Lua, session: &Rc<Session>) -> mlua::Result<()> {
    let mut modules: BTreeMap<&str, Table> = BTreeMap::new();
    for name in CONSTRUCTORS.iter().map(|constructor| constructor.module).chain(EMPTY_MODULES) {
        if !modules.contains_key(name) {
            modules.insert(name, lua.create_table()?);
        }
    }
    for constructor in CONSTRUCTORS {
        let function = {
            let session = Rc::clone(session);
            lua.create_function(move |lua, arguments| call::construct(lua, &session, constructor, arguments))?
        };
        session.note_constructor(&function, constructor.path());
        modules[constructor.module].raw_set(constructor.name, function)?;
    }
    render::install(lua, session, &modules["util"])?;
    functions::install(lua, session, &modules["util"])?;
    results::install(lua, session, &modules["util"])?;

    let plugins = lua.create_table()?;
    for (old, name) in OLD_NAMES {
        plugins.raw_set(old, modules[name].clone())?;
    }
    for (name, module) in modules {
        seal(lua, session, Some(name), &module)?;
        plugins.raw_set(name, module)?;
    }
    seal(lua, session, None, &plugins)?;
    sandbox::provide(lua, "buildbot.plugins", &plugins)?;
    sandbox::provide(lua, "lunabot.plugins", &plugins)
}

/// Names of older versions of Buildbot, and what to write instead.
const REPLACED: [(&str, &str, &str); 2] = [
    ("util", "WithProperties", "write `util.Interpolate \"…%(prop:name)s…\"`"),
    ("util", "IRenderable", "write `util.renderer(function(props) … end)`"),
];

fn replacement(module: &str, member: &str) -> Option<&'static str> {
    REPLACED.iter().find(|(of, old, _)| *of == module && *old == member).map(|(.., new)| *new)
}

/// What was probably meant by a name that nobody has; else what there is.
fn meant(module: Option<&str>, given: &str, members: &[String]) -> Option<String> {
    let path = |member: &str| module.map_or_else(|| member.to_owned(), |module| format!("{module}.{member}"));
    let buildbots = known::members(module.unwrap_or_default());
    let near = suggest::nearest(given, members.iter().map(String::as_str).chain(buildbots.iter().copied()));
    match near {
        Some(near) => Some(known::did_you_mean(&path(near), members.iter().any(|member| member == near))),
        None if members.is_empty() => None,
        None => Some(format!("there are: {}", members.join(", "))),
    }
}

/// Makes a misspelt member a problem, and stands something in its place that does no further harm.
fn seal(lua: &Lua, session: &Rc<Session>, name: Option<&'static str>, module: &Table) -> mlua::Result<()> {
    let mut members: Vec<String> =
        module.pairs::<String, Value>().flatten().map(|(member, _)| member).collect();
    members.sort();
    let absent = {
        let session = Rc::clone(session);
        lua.create_function(move |lua, (_, member): (Value, Value)| {
            let member = match &member {
                Value::String(member) => member.to_string_lossy(),
                other => super::shape::describe(other),
            };
            let path = name.map_or_else(|| member.clone(), |name| format!("{name}.{member}"));
            let module = name.unwrap_or_default();
            let replaced = replacement(module, &member).map(str::to_owned);
            let (text, hint) = match known::member(module, &member) {
                _ if replaced.is_some() => (format!("there is no `{path}`"), replaced),
                Some(Known::NotYet(hint)) => (known::not_yet(&format!("`{path}`")), hint.map(str::to_owned)),
                Some(Known::Former(hint)) => (format!("there is no `{path}`"), Some(hint.to_owned())),
                None => (format!("there is no `{path}`"), meant(name, &member, &members)),
            };
            let place = session.at_name(session.place(lua), &member);
            session.complain_here(lua, Problem::error(place, text).hint(hint));
            lua.create_userdata(dud::Dud(Rc::clone(&session)))
        })?
    };
    let fixed = {
        let session = Rc::clone(session);
        lua.create_function(move |lua, (_, key, _): (Value, Value, Value)| -> mlua::Result<()> {
            let key = super::shape::describe(&key);
            Err(session.error(lua, format!("the plugins cannot be changed: the key is {key}")))
        })?
    };
    module.set_metatable(Some(lua.create_table_from([("__index", absent), ("__newindex", fixed)])?))
}
