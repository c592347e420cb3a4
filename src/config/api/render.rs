//! What is rendered with a build's properties: `util.Interpolate`, `util.Property`, `util.Secret`.
//!
//! # Laws
//! - What is nested in keywords stays shallow and small. Each use of a keyword copies it, and a few lines of doubling
//!   could otherwise ask for more memory than there is.
//!
//! # Not here
//! What calls functions, and `util.FlattenList` (`functions`).

use std::{collections::BTreeMap, rc::Rc};

use mlua::{AnyUserData, Lua, MetaMethod, MultiValue, Table, UserData, UserDataMethods, UserDataRef, Value};

use super::{
    dud::{Dud, is_dud},
    functions,
    none::is_none,
};
use crate::{
    config::{
        session::Session,
        shape::{self, Shape},
        worth::{Read, Renderables, worth},
    },
    definition::{Problem, Renderable, SecretName, Text, Worth, suggest},
    model::PropertyValue,
};

/// Something rendered, and how large it is.
#[derive(Clone, Debug)]
pub(in crate::config) struct Rendered {
    pub(in crate::config) renderable: Renderable,
    /// How deep tables and renderables are nested in it, with itself.
    pub(in crate::config) depth: usize,
    /// Of the text with all its keywords.
    pub(in crate::config) bytes: usize,
}

/// Formats nested in formats: more is a loop gone wrong.
const MOST_DEPTH: usize = 16;

/// The text of a format with all its keywords.
const MOST_BYTES: usize = 1 << 20;

/// A piece of a format takes this much without its text.
pub(super) const PIECE_BYTES: usize = 128;

impl UserData for Rendered {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| {
            Ok(Text::Rendered(this.renderable.clone()).shown())
        });
        methods.add_meta_function(MetaMethod::Index, |lua, (this, key): (AnyUserData, Value)| {
            functions::method(lua, this, &key)
        });
    }
}

/// Puts the renderables into `util`.
pub(super) fn install(lua: &Lua, session: &Rc<Session>, util: &Table) -> mlua::Result<()> {
    give(lua, session, util, "Interpolate", interpolate)?;
    give(lua, session, util, "Property", property)?;
    give(lua, session, util, "Secret", secret)
}

/// The rendered thing; or what is wrong, if it was not told already; or an end by the limits.
pub(super) type Making = mlua::Result<Result<Rendered, Option<String>>>;

/// Makes a function known that makes something rendered.
pub(super) fn give(
    lua: &Lua,
    session: &Rc<Session>,
    util: &Table,
    name: &'static str,
    make: fn(&Rc<Session>, &Lua, MultiValue) -> Making,
) -> mlua::Result<()> {
    let session = Rc::clone(session);
    let function = lua.create_function(move |lua, arguments: MultiValue| {
        handed(lua, &session, name, make(&session, lua, arguments))
    })?;
    util.raw_set(name, function)
}

/// What was made, as Lua gets it; what is wrong with it is told.
pub(super) fn handed(
    lua: &Lua,
    session: &Rc<Session>,
    name: &str,
    made: Making,
) -> mlua::Result<AnyUserData> {
    match made? {
        Ok(rendered) => {
            session.copy(lua, rendered.bytes)?;
            lua.create_userdata(rendered)
        }
        Err(why) => {
            if let Some(text) = why {
                let problem =
                    Problem::error(session.place_of_call(lua, None), format!("util.{name}: {text}"));
                session.complain_here(lua, problem);
            }
            lua.create_userdata(Dud(Rc::clone(session)))
        }
    }
}

/// What a call of Buildbot's may hold by position: a value that is rendered, or becomes part of what is.
pub(super) fn part(
    lua: &Lua,
    session: &Rc<Session>,
    what: &str,
    value: &Value,
) -> mlua::Result<Result<Read, Option<String>>> {
    if value.is_nil() {
        return Ok(Ok(Read { worth: Worth::Plain(PropertyValue::Null), bytes: PIECE_BYTES, depth: 0 }));
    }
    Ok(worth(lua, session, value, Renderables::Taken)?.map_err(|why| {
        // What stands for a thing that could not be made was told.
        (!why.is_empty()).then(|| format!("{what} {why}"))
    }))
}

/// The arguments of a call: by position and by name.
struct Given {
    positional: Vec<Value>,
    keywords: BTreeMap<String, Value>,
}

impl Given {
    fn of(arguments: MultiValue) -> mlua::Result<Self> {
        let mut positional = arguments.into_vec();
        let mut keywords = BTreeMap::new();
        if let [Value::Table(all)] = &*positional {
            let shape = Shape::of(all)?;
            keywords = shape.named;
            positional = shape.numbered.into_values().collect();
        } else if positional.len() > 1
            && let Some(Value::Table(last)) = positional.last()
            && last.raw_len() == 0
        {
            keywords = Shape::of(last)?.named;
            positional.pop();
        }
        Ok(Self { positional, keywords })
    }

    /// Those of `util.Property`, whose default may be a table: it is one of options if a name in it is one, or nearly.
    fn of_property(arguments: MultiValue) -> mlua::Result<Result<Self, String>> {
        let mut given = match &*arguments.iter().collect::<Vec<_>>() {
            [Value::Table(_)] => Self::of(arguments)?,
            _ => Self { positional: arguments.into_vec(), keywords: BTreeMap::new() },
        };
        if given.positional.len() > 1
            && let Some(Value::Table(last)) = given.positional.last()
        {
            let shape = Shape::of(last)?;
            let is_option = |name: &String| suggest::nearest(name, OF_PROPERTY).is_some();
            if shape.numbered.is_empty() && shape.named.keys().any(is_option) {
                given.keywords = shape.named;
                given.positional.pop();
            }
        }
        if given.positional.len() > 3 {
            return Ok(Err("takes a name, a default, and `defaultWhenFalse`; no more".to_owned()));
        }
        Ok(match given.keywords.keys().find(|name| !OF_PROPERTY.contains(&name.as_str())) {
            None => Ok(given),
            Some(name) => {
                let hint = suggest::did_you_mean(name, OF_PROPERTY).map(|hint| format!(", {hint}"));
                Err(format!("unknown option `{name}`{}", hint.unwrap_or_default()))
            }
        })
    }

    fn at(&self, index: usize, name: &str) -> Option<&Value> {
        self.positional.get(index).or_else(|| self.keywords.get(name))
    }
}

fn interpolate(session: &Rc<Session>, lua: &Lua, arguments: MultiValue) -> Making {
    let given = Given::of(arguments)?;
    let format = match given.positional.first() {
        Some(Value::String(format)) => format,
        Some(other) if is_dud(other) => return Ok(Err(None)),
        other => {
            let found = other.map_or_else(|| "nothing".to_owned(), shape::describe);
            return Ok(Err(Some(format!("the format is text, not {found}"))));
        }
    };
    let Ok(format) = format.to_str() else { return Ok(Err(Some("the format is not UTF-8".into()))) };
    if given.positional.len() > 1 && !given.keywords.is_empty() {
        return Ok(Err(Some("takes values by position or by name, not both".into())));
    }
    let (mut depth, mut largest) = (0, 0);
    let mut positional = Vec::new();
    for (index, value) in (1..).zip(&given.positional[1..]) {
        match part(lua, session, &format!("value {index}"), value)? {
            Ok(read) => {
                (depth, largest) = (depth.max(read.depth), largest.max(read.bytes));
                positional.push(read.worth);
            }
            Err(why) => return Ok(Err(why)),
        }
    }
    let mut keywords = BTreeMap::new();
    for (name, value) in &given.keywords {
        match part(lua, session, &format!("keyword `{name}`"), value)? {
            Ok(read) => {
                (depth, largest) = (depth.max(read.depth), largest.max(read.bytes));
                keywords.insert(name.clone(), read.worth);
            }
            Err(why) => return Ok(Err(why)),
        }
    }
    // Each hole may hold a copy of the largest keyword; what it comes to is known before it is made.
    let holes = format.matches('%').count();
    let bytes = holes.saturating_mul(largest + PIECE_BYTES).saturating_add(format.len() + PIECE_BYTES);
    if depth >= MOST_DEPTH || bytes > MOST_BYTES {
        return Ok(Err(Some("it holds too many formats within formats".into())));
    }
    Ok(match Renderable::interpolate(&format, &keywords, &positional) {
        Ok(renderable) => Ok(Rendered { renderable, depth: depth + 1, bytes }),
        Err(error) => Err(Some(error.to_string())),
    })
}

/// The options of `util.Property`.
const OF_PROPERTY: [&str; 4] = ["key", "name", "default", "defaultWhenFalse"];

fn property(session: &Rc<Session>, lua: &Lua, arguments: MultiValue) -> Making {
    let given = match Given::of_property(arguments)? {
        Ok(given) => given,
        Err(why) => return Ok(Err(Some(why))),
    };
    let name = match given.at(0, "name").or_else(|| given.keywords.get("key")) {
        Some(Value::String(name)) => match name.to_str() {
            Ok(name) => name.to_owned(),
            Err(_) => return Ok(Err(Some("the name is not UTF-8".into()))),
        },
        Some(other) if is_dud(other) => return Ok(Err(None)),
        other => {
            let found = other.map_or_else(|| "nothing".to_owned(), shape::describe);
            return Ok(Err(Some(format!("the name of the property is text, not {found}"))));
        }
    };
    let (mut bytes, mut depth) = (name.len() + PIECE_BYTES, 0);
    let default = match given.at(1, "default").filter(|value| !value.is_nil() && !is_none(value)) {
        None => None,
        Some(value) => match part(lua, session, "the default", value)? {
            Ok(read) => {
                (bytes, depth) = (bytes.saturating_add(read.bytes), read.depth);
                Some(Box::new(read.worth))
            }
            Err(why) => return Ok(Err(why)),
        },
    };
    if depth >= MOST_DEPTH {
        return Ok(Err(Some("it holds too many defaults within defaults".into())));
    }
    let default_when_false = match given.at(2, "defaultWhenFalse") {
        None | Some(Value::Nil) => true,
        Some(Value::Boolean(flag)) => *flag,
        Some(other) => {
            let found = shape::describe(other);
            return Ok(Err(Some(format!("`defaultWhenFalse` takes true or false, not {found}"))));
        }
    };
    let renderable = Renderable::Property { name, default, default_when_false };
    Ok(Ok(Rendered { renderable, depth: depth + 1, bytes }))
}

fn secret(_: &Rc<Session>, _: &Lua, arguments: MultiValue) -> Making {
    let given = Given::of(arguments)?;
    let name = match (&*given.positional, given.keywords.is_empty()) {
        ([Value::String(name)], true) => name.to_string_lossy(),
        ([other], true) if is_dud(other) => return Ok(Err(None)),
        _ => return Ok(Err(Some("takes the name of a secret, and nothing else".to_owned()))),
    };
    let bytes = name.len() + PIECE_BYTES;
    Ok(match SecretName::new(&name) {
        Ok(name) => Ok(Rendered { renderable: Renderable::Secret(name), depth: 1, bytes }),
        Err(error) => Err(Some(error.to_string())),
    })
}

/// Something rendered, if the value is that.
pub(in crate::config) fn rendered(value: &Value) -> Option<UserDataRef<Rendered>> {
    match value {
        Value::UserData(data) => data.borrow::<Rendered>().ok(),
        _ => None,
    }
}

/// For people, if it is of this file.
pub(in crate::config) fn describe(value: &Value) -> Option<String> {
    if is_none(value) {
        return Some("`None`".to_owned());
    }
    rendered(value).map(|rendered| match rendered.renderable {
        Renderable::Property { .. } => "`util.Property`".to_owned(),
        Renderable::Interpolate(_) => "`util.Interpolate`".to_owned(),
        Renderable::Secret(_) => "`util.Secret`".to_owned(),
        Renderable::Call(ref call) if call.takes_properties => "`util.renderer`".to_owned(),
        Renderable::Call(_) => "`util.Transform`".to_owned(),
        Renderable::Flatten(_) => "`util.FlattenList`".to_owned(),
    })
}
