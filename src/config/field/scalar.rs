//! From a Lua value to a number of an option.

use std::time::Duration;

use mlua::Value;

use super::Wrong;
use crate::definition::{IdlePolicy, options::LONGEST_SECONDS, quantity};

/// A whole number, be it written `2` or `2.0`.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "checked: whole, and within what an i64 holds exactly"
        )]
        Value::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => Some(*number as i64),
        _ => None,
    }
}

/// A whole number within bounds.
pub(super) fn integer(value: &Value, least: i64, most: i64) -> Result<i64, Wrong> {
    let number = whole(value).ok_or(Wrong::Kind)?;
    if (least..=most).contains(&number) {
        Ok(number)
    } else {
        Err(Wrong::Because(format!("takes a whole number from {least} to {most}, not {number}")))
    }
}

/// A span of time of at least `least` seconds.
pub(super) fn seconds(value: &Value, least: f64) -> Result<Duration, Wrong> {
    let number = span(value)?;
    if number < least {
        Err(Wrong::Because(format!("takes at least {least} s, not {number}")))
    } else if number > LONGEST_SECONDS {
        Err(Wrong::Because(format!("takes at most {LONGEST_SECONDS} s (a century), not {number}")))
    } else {
        Duration::try_from_secs_f64(number).map_err(|_| Wrong::Kind)
    }
}

/// How long an idle instance is kept; as in Buildbot a negative number is for ever.
pub(super) fn idle(value: &Value) -> Result<IdlePolicy, Wrong> {
    if span(value)? < 0.0 {
        Ok(IdlePolicy::KeepUntilShutdown)
    } else {
        seconds(value, 0.0).map(IdlePolicy::after)
    }
}

/// Seconds, written as a number or as text with units.
fn span(value: &Value) -> Result<f64, Wrong> {
    let number = match value {
        Value::String(text) => {
            quantity::span(&text.to_string_lossy()).map_err(|e| Wrong::Because(e.to_string()))?
        }
        value => float(value).ok_or(Wrong::Kind)?,
    };
    if number.is_nan() {
        Err(Wrong::Because("takes a number of seconds, not NaN".into()))
    } else {
        Ok(number)
    }
}

/// A number of at least `least`.
pub(super) fn number(value: &Value, least: f64) -> Result<serde_json::Number, Wrong> {
    let number = float(value).ok_or(Wrong::Kind)?;
    let wrong = || Wrong::Because(format!("takes a number of at least {least}, not {number}"));
    serde_json::Number::from_f64(number).filter(|_| number >= least).ok_or_else(wrong)
}

#[expect(clippy::cast_precision_loss, reason = "far beyond the longest span where it begins to matter")]
const fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        _ => None,
    }
}

/// A number of bytes, written as a number or as text with a unit.
pub(super) fn bytes(value: &Value, least: i64, most: i64) -> Result<i64, Wrong> {
    let bytes = match value {
        Value::String(text) => {
            quantity::size(&text.to_string_lossy()).map_err(|e| Wrong::Because(e.to_string()))?
        }
        value => whole(value).ok_or(Wrong::Kind)?,
    };
    if (least..=most).contains(&bytes) {
        Ok(bytes)
    } else {
        Err(Wrong::Because(format!("takes from {least} to {most} bytes, not {bytes}")))
    }
}

/// Permissions of a file: up to four octal digits, as text.
pub(super) fn mode(value: &Value) -> Result<i64, Wrong> {
    // In Lua `0644` is six hundred and forty-four, so a number here is a mistake that nobody would see.
    let Value::String(text) = value else { return Err(Wrong::Kind) };
    let text = text.to_string_lossy();
    let digits = text.strip_prefix("0o").unwrap_or(&text);
    let is_octal = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| (b'0'..=b'7').contains(&b));
    match i64::from_str_radix(digits, 8) {
        Ok(mode) if is_octal => Ok(mode),
        _ => Err(Wrong::Because(format!("takes permissions in octal, like \"0644\", not {text:?}"))),
    }
}
