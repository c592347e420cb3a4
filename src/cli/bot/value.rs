//! A value as an operator wrote it, and what a setting takes of it.
//!
//! # Laws
//! - A value does not print: it may be a password.
//! - What is refused is said as what would be taken, in words that hold wherever it was written.

use std::{ops::RangeInclusive, path::PathBuf};

/// A value as it was written.
#[derive(Clone, PartialEq)]
pub(super) enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// A whole number whose digits were octal.
    Octal(i64),
    /// Yes or no.
    Flag(bool),
    /// A list of texts.
    Texts(Vec<String>),
    /// Something else, which no setting takes.
    Other,
}

/// The name of a value, the first of several.
pub(super) fn name_in<T: Copy + PartialEq>(all: &[(&'static str, T)], wanted: T) -> Option<&'static str> {
    all.iter().find(|(_, value)| *value == wanted).map(|(name, _)| *name)
}

/// One of these names, for what it stands for.
pub(super) fn one_of<T: Copy>(all: &[(&'static str, T)], value: Value) -> Result<T, String> {
    let names: Vec<String> = all.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let takes = format!("it takes {}", names.join(" or "));
    let Value::Text(text) = value else { return Err(takes) };
    let found = all.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| format!("{takes}, not {text:?}"))
}

/// A text that is not empty.
pub(super) fn text(value: Value) -> Result<String, String> {
    match value {
        Value::Text(text) if !text.is_empty() => Ok(text),
        Value::Text(_) => Err("it is empty".to_owned()),
        _ => Err("it takes a text".to_owned()),
    }
}

/// One without control characters.
pub(super) fn one_line(value: Value) -> Result<String, String> {
    let text = text(value)?;
    if text.contains(|c: char| c.is_control()) {
        Err("it takes a text of one line".to_owned())
    } else {
        Ok(text)
    }
}

/// A worker's name.
pub(super) fn name(value: Value) -> Result<String, String> {
    let name = one_line(value)?;
    if name.chars().count() > 200 { Err("it has more than 200 characters".to_owned()) } else { Ok(name) }
}

/// A path.
pub(super) fn path(value: Value) -> Result<PathBuf, String> {
    Ok(PathBuf::from(text(value)?))
}

/// Yes or no.
pub(super) fn flag(value: &Value) -> Result<bool, String> {
    match value {
        Value::Flag(flag) => Ok(*flag),
        _ => Err("it takes true or false".to_owned()),
    }
}

/// A whole number within bounds.
pub(super) fn number<T>(value: &Value, range: RangeInclusive<T>) -> Result<T, String>
where
    T: TryFrom<i64> + PartialOrd + std::fmt::Display,
{
    let takes = format!("it takes a whole number from {} to {}", range.start(), range.end());
    let (Value::Number(number) | Value::Octal(number)) = *value else { return Err(takes) };
    let found = T::try_from(number).ok().filter(|found| range.contains(found));
    found.ok_or_else(|| format!("{takes}, not {number}"))
}

/// A mask of modes, never from decimal digits.
pub(super) fn umask(value: &Value) -> Result<u32, String> {
    let takes = "it takes a mask in octal, as \"022\"";
    let mask = match value {
        Value::Octal(mask) => u32::try_from(*mask).ok(),
        Value::Text(text) => {
            let digits = text.strip_prefix("0o").unwrap_or(text);
            let is_octal = !digits.is_empty() && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
            u32::from_str_radix(digits, 8).ok().filter(|_| is_octal)
        }
        Value::Number(_) => return Err(format!("{takes}; this number is decimal")),
        _ => None,
    };
    mask.filter(|mask| *mask <= 0o777).ok_or_else(|| takes.to_owned())
}

/// Names of variables, or patterns of them.
pub(super) fn patterns(value: Value) -> Result<Vec<String>, String> {
    let Value::Texts(patterns) = value else {
        return Err("it takes a list of names, as [\"SECRET_*\"]".to_owned());
    };
    match patterns.iter().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
        Some(name) => Err(format!("no variable has a name like {name:?}")),
        None => Ok(patterns),
    }
}
