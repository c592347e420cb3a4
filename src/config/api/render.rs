//! `None`, and what is rendered with a build's properties: `util.Interpolate`, `util.Property`.
//!
//! # Laws
//! - What is nested in keywords stays shallow and small. Each use of a keyword copies it, and a few lines of doubling
//!   could otherwise ask for more memory than there is.

use std::{collections::BTreeMap, rc::Rc};

use mlua::{Lua, MetaMethod, MultiValue, Table, UserData, UserDataMethods, UserDataRef, Value};

use super::dud::{Dud, is_dud};
use crate::{
    config::{
        session::Session,
        shape::{self, Shape},
        worth::{Renderables, worth},
    },
    definition::{Problem, Renderable, SecretName, Text, Worth},
    model::PropertyValue,
};

/// The one value `None`.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct NoneValue;

/// Something rendered, and how large it is.
#[derive(Clone, Debug)]
pub(in crate::config) struct Rendered {
    pub(in crate::config) renderable: Renderable,
    /// Of nested formats.
    depth: usize,
    /// Of the text with all its keywords.
    pub(in crate::config) bytes: usize,
}

/// Formats nested in formats: more is a loop gone wrong.
const MOST_DEPTH: usize = 16;

/// The text of a format with all its keywords.
const MOST_BYTES: usize = 1 << 20;

/// A piece of a format takes this much without its text.
const PIECE_BYTES: usize = 128;

impl UserData for NoneValue {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, _, ()| Ok("None"));
    }
}

impl UserData for Rendered {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| {
            Ok(Text::Rendered(this.renderable.clone()).shown())
        });
    }
}

/// Puts the renderables into `util`.
pub(super) fn install(lua: &Lua, session: &Rc<Session>, util: &Table) -> mlua::Result<()> {
    for (name, make) in
        [("Interpolate", interpolate as Make), ("Property", property as Make), ("Secret", secret as Make)]
    {
        let session = Rc::clone(session);
        let function = lua.create_function(move |lua, arguments: MultiValue| {
            match make(&session, lua, &Given::of(arguments)?)? {
                Ok(rendered) => lua.create_userdata(rendered),
                Err(None) => lua.create_userdata(Dud(Rc::clone(&session))),
                Err(Some(text)) => {
                    let place = session.place_of_call(lua, name);
                    session.complain(Problem::error(place, format!("util.{name}: {text}")));
                    lua.create_userdata(Dud(Rc::clone(&session)))
                }
            }
        })?;
        util.raw_set(name, function)?;
    }
    Ok(())
}

/// The rendered thing; or what is wrong, if it was not told already; or an end by the limits.
type Make = fn(&Rc<Session>, &Lua, &Given) -> mlua::Result<Result<Rendered, Option<String>>>;

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

    fn at(&self, index: usize, name: &str) -> Option<&Value> {
        self.positional.get(index).or_else(|| self.keywords.get(name))
    }
}

fn interpolate(
    session: &Rc<Session>,
    lua: &Lua,
    given: &Given,
) -> mlua::Result<Result<Rendered, Option<String>>> {
    let format = match given.positional.first() {
        Some(Value::String(format)) => format,
        Some(other) if is_dud(other) => return Ok(Err(None)),
        other => {
            let found = other.map_or_else(|| "nothing".to_owned(), shape::describe);
            return Ok(Err(Some(format!("the format is text, not {found}"))));
        }
    };
    let Ok(format) = format.to_str() else { return Ok(Err(Some("the format is not UTF-8".into()))) };
    if given.positional.len() > 1 {
        return Ok(Err(Some("takes a format and a table of keywords, no other arguments".into())));
    }
    let mut keywords = BTreeMap::new();
    let (mut depth, mut largest) = (0, 0);
    for (name, value) in &given.keywords {
        let text = match value {
            Value::String(text) => match text.to_str() {
                Ok(text) => Worth::from(&*text),
                Err(_) => return Ok(Err(Some(format!("keyword `{name}` is not UTF-8")))),
            },
            Value::Integer(number) => Worth::Plain(number.to_string().into()),
            Value::Number(number) => Worth::Plain(number.to_string().into()),
            other if is_dud(other) => return Ok(Err(None)),
            other => {
                let Some(rendered) = rendered(other) else {
                    let found = shape::describe(other);
                    return Ok(Err(Some(format!("keyword `{name}` takes text, not {found}"))));
                };
                depth = depth.max(rendered.depth);
                largest = largest.max(rendered.bytes);
                Worth::Rendered(rendered.renderable.clone())
            }
        };
        if let Worth::Plain(PropertyValue::String(text)) = &text {
            largest = largest.max(text.len());
        }
        keywords.insert(name.clone(), text);
    }
    // Each hole may hold a copy of the largest keyword; what it comes to is known before it is made.
    let holes = format.matches('%').count();
    let bytes = holes.saturating_mul(largest + PIECE_BYTES).saturating_add(format.len() + PIECE_BYTES);
    if depth >= MOST_DEPTH || bytes > MOST_BYTES {
        return Ok(Err(Some("it holds too many formats within formats".into())));
    }
    session.copy(lua, bytes)?;
    Ok(match Renderable::interpolate(&format, &keywords, &[]) {
        Ok(renderable) => Ok(Rendered { renderable, depth: depth + 1, bytes }),
        Err(error) => Err(Some(error.to_string())),
    })
}

fn property(
    session: &Rc<Session>,
    lua: &Lua,
    given: &Given,
) -> mlua::Result<Result<Rendered, Option<String>>> {
    let known = ["key", "name", "default"];
    if let Some(name) = given.keywords.keys().find(|name| !known.contains(&name.as_str())) {
        return Ok(Err(Some(format!("unknown option `{name}`"))));
    }
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
    let mut bytes = name.len() + PIECE_BYTES;
    let default = match given.at(1, "default").filter(|value| !super::made::is_none(value)) {
        None => None,
        Some(value) => match worth(lua, session, value, Renderables::Taken)? {
            Ok((value, size)) => {
                bytes = bytes.saturating_add(size);
                Some(Box::new(value))
            }
            Err(why) if why.is_empty() => return Ok(Err(None)),
            Err(why) => return Ok(Err(Some(format!("the default {why}")))),
        },
    };
    session.copy(lua, bytes)?;
    let renderable = Renderable::Property { name, default, default_when_false: true };
    Ok(Ok(Rendered { renderable, depth: 1, bytes }))
}

fn secret(session: &Rc<Session>, lua: &Lua, given: &Given) -> mlua::Result<Result<Rendered, Option<String>>> {
    let name = match (&*given.positional, given.keywords.is_empty()) {
        ([Value::String(name)], true) => name.to_string_lossy(),
        ([other], true) if is_dud(other) => return Ok(Err(None)),
        _ => return Ok(Err(Some("takes the name of a secret, and nothing else".to_owned()))),
    };
    let bytes = name.len() + PIECE_BYTES;
    session.copy(lua, bytes)?;
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
    if super::made::is_none(value) {
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
