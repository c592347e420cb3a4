//! From a Lua value to a number of an option.

use std::time::Duration;

use mlua::Value;

use super::field::Wrong;
use crate::definition::options::LONGEST_SECONDS;

/// A whole number, be it written `2` or `2.0`.
pub(super) fn whole(value: &Value) -> Option<i64> {
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

/// A span of time of at least `least` seconds.
pub(super) fn seconds(value: &Value, least: f64) -> Result<Duration, Wrong> {
    let number = match value {
        #[expect(
            clippy::cast_precision_loss,
            reason = "far beyond the longest span where it begins to matter"
        )]
        Value::Integer(number) => *number as f64,
        Value::Number(number) => *number,
        _ => return Err(Wrong::Kind),
    };
    if number.is_nan() {
        Err(Wrong::Because("takes a number of seconds, not NaN".into()))
    } else if number < least {
        Err(Wrong::Because(format!("takes at least {least} s, not {number}")))
    } else if number > LONGEST_SECONDS {
        Err(Wrong::Because(format!("takes at most {LONGEST_SECONDS} s (a century), not {number}")))
    } else {
        Duration::try_from_secs_f64(number).map_err(|_| Wrong::Kind)
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
