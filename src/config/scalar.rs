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
