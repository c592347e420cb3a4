//! From a Lua value to a text: plain, rendered in a build, or secret.

use mlua::{LuaString, Value};

use super::{VALUE_BYTES, Wrong, because};
use crate::{
    config::api::{dud::is_dud, render::rendered},
    definition::{Renderable, SecretText, Text},
    model::Secret,
};

/// Text as Rust knows it.
pub(super) fn utf8(text: &LuaString, bytes: &mut usize) -> Result<String, Wrong> {
    match text.to_str() {
        Ok(text) => {
            *bytes = bytes.saturating_add(text.len() + VALUE_BYTES);
            Ok(text.to_owned())
        }
        Err(_) => because("is text that is not UTF-8".into()),
    }
}

/// A text, or what becomes one in a build where that may stand.
pub(super) fn text(value: &Value, renderable: bool, bytes: &mut usize) -> Result<Text, Wrong> {
    if let Value::String(text) = value {
        return utf8(text, bytes).map(Text::Plain);
    }
    match rendered(value) {
        Some(rendered) if renderable => {
            *bytes = bytes.saturating_add(rendered.bytes);
            Ok(Text::Rendered(rendered.renderable.clone()))
        }
        _ => Err(Wrong::Kind),
    }
}

/// A text that is not shown, or `util.Secret`.
pub(super) fn secret(value: &Value, bytes: &mut usize) -> Result<SecretText, Wrong> {
    match value {
        Value::String(text) => Ok(SecretText::Given(Secret::new(utf8(text, bytes)?))),
        value if is_dud(value) => Err(Wrong::Told),
        value => match rendered(value).map(|rendered| rendered.renderable.clone()) {
            Some(Renderable::Secret(name)) => Ok(SecretText::Named(name)),
            _ => Err(Wrong::Kind),
        },
    }
}

/// A name that may consist of digits.
pub(super) fn digits_or_text(value: &Value, bytes: &mut usize) -> Result<String, Wrong> {
    match value {
        Value::Integer(number) => Ok(number.to_string()),
        Value::String(text) => utf8(text, bytes),
        value if is_dud(value) => Err(Wrong::Told),
        _ => Err(Wrong::Kind),
    }
}
