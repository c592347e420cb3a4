//! What stands for a thing that could not be made.

use std::rc::Rc;

use mlua::{MetaMethod, MultiValue, UserData, UserDataMethods, Value};

use crate::config::session::Session;

/// Stands where a thing could not be made, and its problem was told: it can be called, read and listed, and says no more.
#[derive(Clone, Debug)]
pub(in crate::config) struct Dud(pub(in crate::config) Rc<Session>);

impl UserData for Dud {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Call, |_, this, arguments: MultiValue| {
            this.0.lose(name(&arguments));
            Ok(this.clone())
        });
        methods.add_meta_method(MetaMethod::Index, |_, this, _: Value| Ok(this.clone()));
        methods.add_meta_method(MetaMethod::NewIndex, |_, _, _: (Value, Value)| Ok(()));
        methods.add_meta_method(MetaMethod::ToString, |_, _, ()| Ok("unknown"));
    }
}

/// The name that the thing would have had, in either form of a call.
fn name(arguments: &MultiValue) -> Option<String> {
    let name = match arguments.front() {
        Some(Value::Table(all)) => match all.raw_get("name").ok()? {
            Value::Nil => all.raw_get(1).ok()?,
            name => name,
        },
        Some(first) => first.clone(),
        None => Value::Nil,
    };
    match name {
        Value::String(name) => Some(name.to_string_lossy()),
        _ => None,
    }
}

/// Whether a value stands for one that could not be made.
pub(in crate::config) fn is_dud(value: &Value) -> bool {
    matches!(value, Value::UserData(data) if data.is::<Dud>())
}
