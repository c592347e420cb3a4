//! What calls functions of the configuration in a build: `util.renderer` and `util.Transform`; and `util.FlattenList`.

use std::{collections::BTreeMap, rc::Rc};

use mlua::{AnyUserData, Function, Lua, MultiValue, Table, Value};

use super::{
    dud::is_dud,
    render::{Making, PIECE_BYTES, Rendered, give, handed, part},
};
use crate::{
    config::{hooks, session::Session, shape, shape::Shape},
    definition::{Call, Hook, Renderable, Worth},
    model::PropertyValue,
};

/// Arguments nested in arguments: more is a loop gone wrong.
const MOST_DEPTH: usize = 16;

/// Where the session is kept for the methods of what is rendered.
struct Known(Rc<Session>);

/// Puts them into `util`.
pub(super) fn install(lua: &Lua, session: &Rc<Session>, util: &Table) -> mlua::Result<()> {
    lua.set_app_data(Known(Rc::clone(session)));
    give(lua, session, util, "renderer", renderer)?;
    give(lua, session, util, "Transform", transform)?;
    give(lua, session, util, "FlattenList", flatten_list)
}

fn renderer(session: &Rc<Session>, lua: &Lua, arguments: MultiValue) -> Making {
    match &*arguments.into_vec() {
        [Value::Function(function)] => call(session, lua, function, true, Arguments::default()),
        [other] if is_dud(other) => Ok(Err(None)),
        [other] => {
            let found = shape::describe(other);
            Ok(Err(Some(format!("takes a function, `function(props) … end`, not {found}"))))
        }
        other => Ok(Err(Some(format!("takes one function, not {} values", other.len())))),
    }
}

fn transform(session: &Rc<Session>, lua: &Lua, arguments: MultiValue) -> Making {
    let mut given = arguments.into_vec();
    if let [Value::Table(all)] = &*given {
        // All in one table: those without a name, then those with one, as one table.
        let shape = Shape::of(all)?;
        let named = lua.create_table()?;
        for (name, value) in &shape.named {
            named.raw_set(name.as_str(), value)?;
        }
        given = shape.numbered.into_values().collect();
        if !shape.named.is_empty() {
            given.push(Value::Table(named));
        }
    }
    match given.split_first() {
        Some((Value::Function(function), rest)) => {
            let mut arguments = Arguments::default();
            if let Err(why) = arguments.add(session, lua, rest)? {
                return Ok(Err(why));
            }
            call(session, lua, function, false, arguments)
        }
        Some((other, _)) if is_dud(other) => Ok(Err(None)),
        other => {
            let found = other.map_or_else(|| "nothing".to_owned(), |(first, _)| shape::describe(first));
            Ok(Err(Some(format!("takes a function, and what it is given; not {found}"))))
        }
    }
}

fn flatten_list(session: &Rc<Session>, lua: &Lua, arguments: MultiValue) -> Making {
    let arguments = arguments.into_vec();
    let [list] = &*arguments else {
        return Ok(Err(Some(format!("takes one list, not {} values", arguments.len()))));
    };
    let read = match part(lua, session, "the list", list)? {
        Ok(read) => read,
        Err(why) => return Ok(Err(why)),
    };
    if !matches!(read.worth, Worth::List(_) | Worth::Plain(PropertyValue::Array(_)) | Worth::Rendered(_)) {
        return Ok(Err(Some(format!("takes a list, not {}", shape::describe(list)))));
    }
    if read.depth >= MOST_DEPTH {
        return Ok(Err(Some("it holds too many lists within lists".to_owned())));
    }
    let bytes = read.bytes.saturating_add(PIECE_BYTES);
    Ok(Ok(Rendered { renderable: Renderable::Flatten(Box::new(read.worth)), depth: read.depth + 1, bytes }))
}

/// What a function will be given.
#[derive(Default)]
struct Arguments {
    positional: Vec<Worth>,
    keywords: BTreeMap<String, Worth>,
    bytes: usize,
    depth: usize,
}

impl Arguments {
    /// Those of a call that was made before.
    fn of(call: &Call, rendered: &Rendered) -> Self {
        Self {
            positional: call.arguments.clone(),
            keywords: call.keywords.clone(),
            bytes: rendered.bytes,
            depth: rendered.depth.saturating_sub(1),
        }
    }

    /// By position. The inner result is what is wrong, if it was not told.
    fn add(
        &mut self,
        session: &Rc<Session>,
        lua: &Lua,
        values: &[Value],
    ) -> mlua::Result<Result<(), Option<String>>> {
        for value in values {
            let what = format!("argument {}", self.positional.len() + 1);
            match part(lua, session, &what, value)? {
                Ok(read) => {
                    self.bytes = self.bytes.saturating_add(read.bytes);
                    self.depth = self.depth.max(read.depth);
                    self.positional.push(read.worth);
                }
                Err(why) => return Ok(Err(why)),
            }
        }
        Ok(Ok(()))
    }

    /// By name.
    fn add_named(
        &mut self,
        session: &Rc<Session>,
        lua: &Lua,
        table: &Table,
    ) -> mlua::Result<Result<(), Option<String>>> {
        let shape = Shape::of(table)?;
        if let Some(key) = shape.numbered.keys().next() {
            return Ok(Err(Some(format!("takes a table of names and values; it has the key {key}"))));
        }
        if let Some(odd) = shape.odd.first() {
            return Ok(Err(Some(format!("takes a table of names and values; it has {odd} as key"))));
        }
        for (name, value) in shape.named {
            match part(lua, session, &format!("argument `{name}`"), &value)? {
                Ok(read) => {
                    self.bytes = self.bytes.saturating_add(read.bytes).saturating_add(name.len());
                    self.depth = self.depth.max(read.depth);
                    self.keywords.insert(name, read.worth);
                }
                Err(why) => return Ok(Err(why)),
            }
        }
        Ok(Ok(()))
    }
}

fn call(
    session: &Rc<Session>,
    lua: &Lua,
    function: &Function,
    takes_properties: bool,
    arguments: Arguments,
) -> Making {
    let hook = hooks::register(lua, session, function)?;
    Ok(made(hook, takes_properties, arguments))
}

fn made(hook: Hook, takes_properties: bool, arguments: Arguments) -> Result<Rendered, Option<String>> {
    let Arguments { positional, keywords, bytes, depth } = arguments;
    if depth >= MOST_DEPTH {
        return Err(Some("it holds too many arguments within arguments".to_owned()));
    }
    let call = Call { hook, takes_properties, arguments: positional, keywords };
    let bytes = bytes.saturating_add(PIECE_BYTES);
    Ok(Rendered { renderable: Renderable::Call(Box::new(call)), depth: depth + 1, bytes })
}

/// `withArgs` and `withKwArgs` of a renderer, with a colon or a dot; nothing else has anything to be read.
pub(super) fn method(lua: &Lua, this: AnyUserData, key: &Value) -> mlua::Result<Function> {
    let session = match lua.app_data_ref::<Known>() {
        Some(known) => Rc::clone(&known.0),
        None => return Err(mlua::Error::runtime("nothing can be read of what is rendered")),
    };
    let key = match key {
        Value::String(key) => key.to_string_lossy(),
        other => shape::describe(other),
    };
    let is_renderer = {
        let this = this.borrow::<Rendered>()?;
        matches!(&this.renderable, Renderable::Call(call) if call.takes_properties)
    };
    let is_named = match key.as_str() {
        "withArgs" if is_renderer => false,
        "withKwArgs" if is_renderer => true,
        _ => {
            let what = super::render::describe(&Value::UserData(this)).unwrap_or_default();
            let hint =
                if is_renderer { "there are: withArgs, withKwArgs" } else { "it is a value only in a build" };
            return Err(session.error(lua, format!("{what} has no `{key}`, {hint}")));
        }
    };
    lua.create_function(move |lua, arguments: MultiValue| {
        let mut arguments = arguments.into_vec();
        // With a colon, the renderer itself comes first.
        if arguments.first().is_some_and(|first| matches!(first, Value::UserData(data) if *data == this)) {
            arguments.remove(0);
        }
        let more = with(&session, lua, &this, is_named, &arguments);
        handed(lua, &session, "renderer", more)
    })
}

fn with(session: &Rc<Session>, lua: &Lua, this: &AnyUserData, is_named: bool, given: &[Value]) -> Making {
    let (hook, mut arguments) = {
        let this = this.borrow::<Rendered>()?;
        let Renderable::Call(call) = &this.renderable else { return Ok(Err(None)) };
        (call.hook.clone(), Arguments::of(call, &this))
    };
    if given.iter().any(is_dud) {
        return Ok(Err(None));
    }
    let added = match given {
        [Value::Table(table)] if is_named => arguments.add_named(session, lua, table)?,
        _ if is_named => Err(Some("`withKwArgs` takes one table of names and values".to_owned())),
        values => arguments.add(session, lua, values)?,
    };
    Ok(match added {
        Ok(()) => made(hook, true, arguments),
        Err(why) => Err(why),
    })
}
