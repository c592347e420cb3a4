//! What functions of the configuration are given: values, the properties of a build, a step.
//!
//! # Laws
//! - They can be read, not written. A property that is not set is nil.
//! - They are empty once the function has returned: what an interpreter keeps must not hold builds in memory, nor be taken
//!   for what is known of the next one.

use std::{cell::RefCell, rc::Rc};

use mlua::{Lua, MetaMethod, MultiValue, Table, UserData, UserDataMethods, UserDataRef, Value};

use super::none::NoneValue;
use crate::{
    config::{session::Session, shape},
    definition::HookArgument,
    model::{Properties, PropertyValue},
};

/// What the running call was given.
#[derive(Debug, Default)]
pub(in crate::config) struct Facts(RefCell<Vec<Shared>>);

/// The properties of a build, until the function returns.
type Shared = Rc<RefCell<Option<Properties>>>;

impl Facts {
    fn keep(&self, properties: Properties) -> Shared {
        let shared: Shared = Rc::new(RefCell::new(Some(properties)));
        self.0.borrow_mut().push(Rc::clone(&shared));
        shared
    }

    /// The function has returned.
    pub(in crate::config) fn forget(self) {
        for shared in self.0.into_inner() {
            shared.replace(None);
        }
    }
}

/// `props`: the properties of a build.
#[derive(Clone, Debug)]
struct Props {
    session: Rc<Session>,
    properties: Shared,
}

/// `step`: one that is about to run, or has run.
#[derive(Clone, Debug)]
struct Step {
    name: String,
    props: Props,
}

/// What `step` has, for those who misspell it.
const OF_STEP: &str = "`name`, `build`, `getProperty`, `hasProperty`, `getProperties`";

/// As Lua sees what a function is given.
pub(in crate::config) fn argument(
    lua: &Lua,
    session: &Rc<Session>,
    facts: &Facts,
    given: HookArgument,
) -> mlua::Result<Value> {
    let props = |properties| Props { session: Rc::clone(session), properties: facts.keep(properties) };
    match given {
        HookArgument::Value(PropertyValue::Null) => Ok(Value::Nil),
        HookArgument::Value(value) => in_lua(lua, &value),
        HookArgument::Properties(properties) => lua.create_userdata(props(properties)).map(Value::UserData),
        HookArgument::Step { name, properties } => {
            lua.create_userdata(Step { name, props: props(properties) }).map(Value::UserData)
        }
    }
}

/// A value of JSON as Lua has it. What is null within a list or table is `None`: nil would leave a hole.
fn in_lua(lua: &Lua, value: &PropertyValue) -> mlua::Result<Value> {
    Ok(match value {
        PropertyValue::Null => NoneValue::of(lua)?,
        PropertyValue::Bool(flag) => Value::Boolean(*flag),
        PropertyValue::Number(number) => match number.as_i64() {
            Some(number) => Value::Integer(number),
            None => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
        },
        PropertyValue::String(text) => Value::String(lua.create_string(text)?),
        PropertyValue::Array(list) => {
            let table = lua.create_table_with_capacity(list.len(), 0)?;
            for value in list {
                table.raw_push(in_lua(lua, value)?)?;
            }
            Value::Table(table)
        }
        PropertyValue::Object(members) => {
            let table = lua.create_table_with_capacity(0, members.len())?;
            for (name, value) in members {
                table.raw_set(name.as_str(), in_lua(lua, value)?)?;
            }
            Value::Table(table)
        }
    })
}

impl Props {
    fn read<T>(&self, lua: &Lua, look: impl FnOnce(&Properties) -> mlua::Result<T>) -> mlua::Result<T> {
        match &*self.properties.borrow() {
            Some(properties) => look(properties),
            None => Err(self
                .session
                .error(lua, "the properties of a build are known only to the call they were given to")),
        }
    }

    /// The value of a property; nil if it is not set.
    fn get(&self, lua: &Lua, name: &str) -> mlua::Result<Option<Value>> {
        self.read(lua, |properties| match properties.get(name) {
            None => Ok(None),
            Some(PropertyValue::Null) => Ok(Some(Value::Nil)),
            Some(value) => in_lua(lua, value).map(Some),
        })
    }

    /// The name that a method was given.
    fn name(&self, lua: &Lua, method: &str, given: Option<&Value>) -> mlua::Result<String> {
        match given {
            Some(Value::String(name)) => Ok(name.to_string_lossy()),
            other => {
                let found = other.map_or_else(|| "nothing".to_owned(), shape::describe);
                Err(self.session.error(lua, format!("`{method}` takes the name of a property, not {found}")))
            }
        }
    }

    /// One of Buildbot's methods.
    fn method(&self, lua: &Lua, method: &str, arguments: MultiValue) -> mlua::Result<Value> {
        let mut arguments = arguments.into_vec();
        // With a colon, the object itself comes first.
        if arguments.first().is_some_and(|first| props(first).is_some() || step(first).is_some()) {
            arguments.remove(0);
        }
        match method {
            "getProperty" => {
                let name = self.name(lua, method, arguments.first())?;
                let default = arguments.get(1).cloned().unwrap_or(Value::Nil);
                Ok(self.get(lua, &name)?.unwrap_or(default))
            }
            "hasProperty" | "has_key" => {
                let name = self.name(lua, method, arguments.first())?;
                Ok(Value::Boolean(self.get(lua, &name)?.is_some()))
            }
            "getPropertySource" => {
                let name = self.name(lua, method, arguments.first())?;
                self.read(lua, |properties| match properties.iter().find(|(known, _)| **known == name) {
                    Some((_, property)) => lua.create_string(&property.source).map(Value::String),
                    None => Ok(Value::Nil),
                })
            }
            "asDict" => self.as_dict(lua).map(Value::Table),
            "getProperties" => lua.create_userdata(self.clone()).map(Value::UserData),
            _ => Err(self.session.error(
                lua,
                format!("`{method}`: properties cannot be set here; that is what `steps.SetProperty` is for"),
            )),
        }
    }

    /// As in Buildbot: names, and for each its value and who set it.
    fn as_dict(&self, lua: &Lua) -> mlua::Result<Table> {
        self.read(lua, |properties| {
            let all = lua.create_table_with_capacity(0, properties.len())?;
            for (name, property) in properties {
                let source = lua.create_string(&property.source).map(Value::String)?;
                let pair = lua.create_sequence_from([in_lua(lua, &property.value)?, source])?;
                all.raw_set(name.as_str(), pair)?;
            }
            Ok(all)
        })
    }

    /// A method, bound to this.
    fn bound(&self, lua: &Lua, method: &'static str) -> mlua::Result<Value> {
        let this = self.clone();
        lua.create_function(move |lua, arguments| this.method(lua, method, arguments)).map(Value::Function)
    }
}

/// The methods of `props`.
const METHODS: [&str; 7] =
    ["getProperty", "hasProperty", "has_key", "getPropertySource", "asDict", "getProperties", "setProperty"];

/// Those of them that a step has.
const METHODS_OF_STEP: [&str; 5] = ["getProperty", "hasProperty", "has_key", "getProperties", "setProperty"];

fn known<const N: usize>(methods: [&'static str; N], key: &str) -> Option<&'static str> {
    methods.into_iter().find(|method| *method == key)
}

impl UserData for Props {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Index, |lua, this, key: Value| {
            let name = this.name(lua, "props", Some(&key))?;
            match known(METHODS, &name) {
                Some(method) => this.bound(lua, method),
                None => Ok(this.get(lua, &name)?.unwrap_or(Value::Nil)),
            }
        });
        methods.add_meta_method(
            MetaMethod::NewIndex,
            |lua, this, (key, _): (Value, Value)| -> mlua::Result<()> {
                let key = match &key {
                    Value::String(key) => format!("property `{}`", key.to_string_lossy()),
                    other => shape::describe(other),
                };
                let text = format!("{key} cannot be set here; that is what `steps.SetProperty` is for");
                Err(this.session.error(lua, text))
            },
        );
        methods.add_meta_method(MetaMethod::Pairs, |lua, this, ()| {
            let all = lua.create_table()?;
            this.read(lua, |properties| {
                properties.iter().try_for_each(|(name, property)| {
                    all.raw_set(name.as_str(), in_lua(lua, &property.value)?)
                })
            })?;
            Ok((lua.globals().raw_get::<Value>("next")?, all, Value::Nil))
        });
        methods.add_meta_method(MetaMethod::ToString, |_, _, ()| Ok("the properties of a build"));
    }
}

impl UserData for Step {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Index, |lua, this, key: Value| {
            let key = match &key {
                Value::String(key) => key.to_string_lossy(),
                other => shape::describe(other),
            };
            match (key.as_str(), known(METHODS_OF_STEP, &key)) {
                (_, Some(method)) => this.props.bound(lua, method),
                ("name", _) => lua.create_string(&this.name).map(Value::String),
                ("build", _) => lua.create_userdata(this.props.clone()).map(Value::UserData),
                _ => {
                    let text = format!("a step has no `{key}` here, there are: {OF_STEP}");
                    Err(this.props.session.error(lua, text))
                }
            }
        });
        methods.add_meta_method(MetaMethod::NewIndex, |lua, this, _: (Value, Value)| -> mlua::Result<()> {
            Err(this.props.session.error(lua, "a step cannot be changed here"))
        });
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| Ok(format!("step {:?}", this.name)));
    }
}

fn props(value: &Value) -> Option<UserDataRef<Props>> {
    match value {
        Value::UserData(data) => data.borrow::<Props>().ok(),
        _ => None,
    }
}

fn step(value: &Value) -> Option<UserDataRef<Step>> {
    match value {
        Value::UserData(data) => data.borrow::<Step>().ok(),
        _ => None,
    }
}
