//! The global names: which of Lua's are there, and what happens with those that are not.

use std::rc::Rc;

use mlua::{Function, Lua, MultiValue, Table, Value, Variadic};

use super::Given;
use crate::{
    config::session::Session,
    definition::{Problem, suggest},
};

/// What Lua has and a configuration has not, with what to say about it.
const ABSENT: [(&str, &str); 7] = [
    ("package", "`require` looks below the folder of the main file"),
    ("unpack", "it is `table.unpack` now"),
    ("loadstring", "it is `load` now"),
    ("BuildmasterConfig", "it is `c`, and given"),
    ("True", "did you mean `true`?"),
    ("False", "did you mean `false`?"),
    ("null", "did you mean `None`?"),
];

/// The part of each library that only reads.
const OS: [&str; 5] = ["time", "date", "clock", "getenv", "difftime"];

/// Takes out what reaches out of the interpreter.
pub(super) fn install(lua: &Lua, session: &Rc<Session>) -> mlua::Result<()> {
    let globals = lua.globals();
    keep_only(lua, session, "os", &OS)?;
    guard_load(lua, session)?;
    guard_collector(lua, session)?;
    printing(lua, session)?;

    let traceback = lua.create_function(|lua, (message, level): (Option<String>, Option<usize>)| {
        lua.traceback(message.as_deref(), level.unwrap_or(1))
    })?;
    let debug = lua.create_table_from([("traceback", traceback)])?;
    seal_library(lua, session, "debug", &debug)?;
    globals.raw_set("debug", debug)
}

/// Makes the global table strict: reading what is not there is a problem. And makes what is given known.
pub(super) fn seal(lua: &Lua, session: &Rc<Session>, given: Given) -> mlua::Result<()> {
    let globals = lua.globals();
    let behind = lua.create_table()?;
    behind.raw_set("c", &given.c)?;
    behind.raw_set("None", given.none)?;

    let absent = {
        let session = Rc::clone(session);
        lua.create_function(move |lua, (_, key): (Value, Value)| {
            undefined(lua, &session, &key);
            Ok(Value::Nil)
        })?
    };
    let strict = lua.create_table_from([("__index", absent)])?;
    behind.set_metatable(Some(strict))?;

    let assign = {
        let (session, c) = (Rc::clone(session), given.c);
        lua.create_function(move |lua, (globals, key, value): (Table, Value, Value)| match &key {
            Value::String(name) if *name == "c" => assign_c(lua, &session, &c, &value),
            Value::String(name) if *name == "None" => Err(session.error(lua, "`None` cannot be set")),
            _ => globals.raw_set(key, value),
        })?
    };
    let metatable = lua.create_table()?;
    metatable.raw_set("__index", behind)?;
    metatable.raw_set("__newindex", assign)?;
    metatable.raw_set("__metatable", "the global table")?;
    globals.set_metatable(Some(metatable))
}

fn undefined(lua: &Lua, session: &Session, key: &Value) {
    let Value::String(name) = key else { return };
    let name = name.to_string_lossy();
    let place = session.at_name(session.place(lua), &name);
    let hint =
        ABSENT.iter().find(|(absent, _)| *absent == name).map(|(_, hint)| (*hint).to_owned()).or_else(|| {
            let mut known: Vec<String> =
                vec!["c".into(), "None".into(), "true".into(), "false".into(), "nil".into()];
            known.extend(lua.globals().pairs::<String, Value>().flatten().map(|(name, _)| name));
            known.sort();
            suggest::did_you_mean(&name, known.iter().map(String::as_str))
        });
    session.note_undefined(&name, place.clone());
    session.complain_here(lua, Problem::error(place, format!("`{name}` is not defined")).hint(hint));
}

/// `c = { … }` fills `c`, which is given; and `c = {}`, as Buildbot's own sample begins, does no harm.
fn assign_c(lua: &Lua, session: &Session, c: &Table, value: &Value) -> mlua::Result<()> {
    match value {
        Value::Table(table) if table == c => Ok(()),
        Value::Table(table) => {
            let mut pairs = table.pairs::<Value, Value>().collect::<mlua::Result<Vec<_>>>()?;
            // The order of a table's pairs is another in each load; that of the problems must not be.
            pairs.sort_by_key(|(key, _)| format!("{key:?}"));
            pairs.into_iter().try_for_each(|(key, value)| c.set(key, value))
        }
        _ => Err(session.error(lua, "`c` is given; set its fields: `c.workers = { … }`")),
    }
}

/// Keeps some functions of a library. The others are told by name when they are asked for.
fn keep_only(lua: &Lua, session: &Rc<Session>, name: &'static str, kept: &[&str]) -> mlua::Result<()> {
    let all: Table = lua.globals().raw_get(name)?;
    let library = lua.create_table()?;
    for key in kept {
        library.raw_set(*key, all.raw_get::<Value>(*key)?)?;
    }
    seal_library(lua, session, name, &library)?;
    lua.globals().raw_set(name, library)
}

/// Makes an absent member of a library an error that says why.
pub(super) fn seal_library(
    lua: &Lua,
    session: &Rc<Session>,
    name: &'static str,
    library: &Table,
) -> mlua::Result<()> {
    let session = Rc::clone(session);
    let mut members: Vec<String> = library.pairs::<String, Value>().flatten().map(|(key, _)| key).collect();
    members.sort();
    let absent = lua.create_function(move |lua, (_, key): (Value, Value)| -> mlua::Result<()> {
        let key = match &key {
            Value::String(key) => key.to_string_lossy(),
            _ => "?".to_owned(),
        };
        let hint = suggest::did_you_mean(&key, members.iter().map(String::as_str))
            .unwrap_or_else(|| format!("there are: {}", members.join(", ")));
        Err(session.error(lua, format!("a configuration has no `{name}.{key}`, {hint}")))
    })?;
    library.set_metatable(Some(lua.create_table_from([("__index", absent)])?))
}

/// Precompiled chunks can break the interpreter, so only text is loaded.
fn guard_load(lua: &Lua, session: &Rc<Session>) -> mlua::Result<()> {
    let original: Function = lua.globals().raw_get("load")?;
    let session = Rc::clone(session);
    let guarded = lua.create_function(move |lua, arguments: MultiValue| {
        let mut arguments = arguments.into_vec();
        if arguments.len() < 3 {
            arguments.resize(3, Value::Nil);
        }
        arguments[2] = Value::String(lua.create_string("t")?);
        original
            .call::<MultiValue>(MultiValue::from_vec(arguments))
            .map_err(|error| relay(lua, &session, &error))
    })?;
    lua.globals().raw_set("load", guarded)
}

fn guard_collector(lua: &Lua, session: &Rc<Session>) -> mlua::Result<()> {
    let session = Rc::clone(session);
    let guarded = lua.create_function(move |lua, what: Option<String>| match what.as_deref() {
        None | Some("collect") => lua.gc_collect().map(|()| Value::Integer(0)),
        Some("count") => {
            let bytes = u32::try_from(lua.used_memory()).unwrap_or(u32::MAX);
            Ok(Value::Number(f64::from(bytes) / 1024.0))
        }
        Some(_) => Err(session.error(lua, "`collectgarbage` takes \"collect\" or \"count\" here")),
    })?;
    lua.globals().raw_set("collectgarbage", guarded)
}

/// `print` goes to the log, `warn` to the warnings.
fn printing(lua: &Lua, session: &Rc<Session>) -> mlua::Result<()> {
    const SHOWN: usize = 1000;
    let print = {
        let (session, tostring) = (Rc::clone(session), lua.globals().raw_get::<Function>("tostring")?);
        lua.create_function(move |lua, values: Variadic<Value>| {
            let mut text = String::new();
            for value in values.iter() {
                let shown: mlua::LuaString = tostring.call(value)?;
                if !text.is_empty() {
                    text.push('\t');
                }
                text.extend(shown.to_string_lossy().chars().take(SHOWN));
                if text.len() > SHOWN {
                    break;
                }
            }
            tracing::info!(place = %session.place(lua), "{text}");
            Ok(())
        })?
    };
    let warn = {
        let session = Rc::clone(session);
        lua.create_function(move |lua, text: mlua::LuaString| {
            let text: String = text.to_string_lossy().chars().take(SHOWN).collect();
            let warning = Problem::warning(session.place(lua), "warning of the configuration", text);
            session.complain_here(lua, warning);
            Ok(())
        })?
    };
    lua.globals().raw_set("print", print)?;
    lua.globals().raw_set("warn", warn)
}

/// An error of a function of the standard library, which had no line since we called it.
pub(super) fn relay(lua: &Lua, session: &Session, error: &mlua::Error) -> mlua::Error {
    match error {
        mlua::Error::RuntimeError(text) if !session.meter.is_stopped() => {
            let text = text.split("\nstack traceback:").next().unwrap_or_default();
            let has_place = session.files().iter().any(|file| text.starts_with(&format!("{file}:")));
            if has_place { mlua::Error::RuntimeError(text.to_owned()) } else { session.error(lua, text) }
        }
        other => other.clone(),
    }
}
