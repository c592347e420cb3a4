//! What stands for a thing that could not be made.

use mlua::{MetaMethod, MultiValue, UserData, UserDataMethods, Value};

/// Stands where a thing could not be made, and its problem was told: it can be called, read and listed, and says no more.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Dud;

impl UserData for Dud {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Call, |_, _, _: MultiValue| Ok(Self));
        methods.add_meta_method(MetaMethod::Index, |_, _, _: Value| Ok(Self));
        methods.add_meta_method(MetaMethod::NewIndex, |_, _, _: (Value, Value)| Ok(()));
        methods.add_meta_method(MetaMethod::ToString, |_, _, ()| Ok("unknown"));
    }
}

/// Whether a value stands for one that could not be made.
pub(in crate::config) fn is_dud(value: &Value) -> bool {
    matches!(value, Value::UserData(data) if data.is::<Dud>())
}
