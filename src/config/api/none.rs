//! `None`: the one value by which the operator says that there is nothing.

use mlua::{Lua, MetaMethod, UserData, UserDataMethods, Value};

/// The one value `None`.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct NoneValue;

/// Where it is kept, so that values made later hold the same.
const NONE: &str = "lunabot.none";

impl UserData for NoneValue {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, _, ()| Ok("None"));
    }
}

impl NoneValue {
    /// Makes it, once for an interpreter.
    pub(in crate::config) fn install(lua: &Lua) -> mlua::Result<Value> {
        let none = lua.create_userdata(Self).map(Value::UserData)?;
        lua.set_named_registry_value(NONE, &none)?;
        Ok(none)
    }

    /// The value, as the operator has it.
    pub(in crate::config) fn of(lua: &Lua) -> mlua::Result<Value> {
        lua.named_registry_value(NONE)
    }
}

/// Whether a value is `None`.
pub(in crate::config) fn is_none(value: &Value) -> bool {
    matches!(value, Value::UserData(data) if data.is::<NoneValue>())
}
