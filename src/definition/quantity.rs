//! Spans of time and sizes as text: `"1h30m"`, `"10 MiB"`.
//!
//! # Laws
//! - What a unit may mean is said by the error that refuses one: nothing is guessed.

/// The units of a span, each in seconds.
const SPANS: [(&str, f64); 6] =
    [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0), ("w", 604_800.0)];

/// The units of a size, each in bytes.
const SIZES: [(&str, u64); 10] = [
    ("B", 1),
    ("k", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// Why a text is no span or size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// It is no span.
    #[error(
        "is no span of time: {0:?}; write \"90s\", \"10m\", \"1h30m\" or \"2d\" (units: ms, s, m, h, d, w)"
    )]
    Span(String),
    /// It is no size.
    #[error(
        "is no size: {0:?}; write \"512 KiB\", \"10 MiB\" or \"1 GiB\" (units: B; k, M, G or KiB, MiB, GiB; kB, MB, GB)"
    )]
    Size(String),
}

/// Seconds in a text like `"1h30m"`, greater units first, each once; a minus sign may stand before all.
pub fn span(text: &str) -> Result<f64, QuantityError> {
    let wrong = || QuantityError::Span(text.to_owned());
    let trimmed = text.trim();
    let (sign, mut rest) = trimmed.strip_prefix('-').map_or((1.0, trimmed), |rest| (-1.0, rest));
    let mut seconds = 0.0;
    let mut smallest = f64::INFINITY;
    while !rest.is_empty() {
        let (number, after) = number(rest).ok_or_else(wrong)?;
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let unit = SPANS.iter().find(|(name, _)| *name == &after[..letters]).ok_or_else(wrong)?.1;
        if unit >= smallest {
            return Err(wrong());
        }
        smallest = unit;
        seconds += number * unit;
        rest = after[letters..].trim_start();
    }
    if smallest.is_infinite() { Err(wrong()) } else { Ok(sign * seconds) }
}

/// Bytes in a text like `"10 MiB"`.
pub fn size(text: &str) -> Result<i64, QuantityError> {
    let wrong = || QuantityError::Size(text.to_owned());
    let (number, unit) = number(text.trim()).ok_or_else(wrong)?;
    let unit = SIZES.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1;
    #[expect(clippy::cast_precision_loss, reason = "units are powers of two and ten, far below 2^53")]
    let bytes = number * unit as f64;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked: whole, and within what an i64 holds exactly"
    )]
    if bytes.fract() == 0.0 && bytes < 9e15 { Ok(bytes as i64) } else { Err(wrong()) }
}

/// The number that a text begins with, and what follows it without white space.
fn number(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let digits = &text[..end];
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit());
    Some((digits.parse().ok().filter(|_| is_number)?, text[end..].trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_units_greater_ones_first() {
        for (text, seconds) in [
            ("90s", 90.0),
            ("10m", 600.0),
            ("1h30m", 5400.0),
            ("1h 30m", 5400.0),
            ("2d", 172_800.0),
            ("1.5h", 5400.0),
            ("250ms", 0.25),
            ("-1s", -1.0),
        ] {
            assert_eq!(span(text), Ok(seconds), "{text}");
        }
        for bad in ["", "10", "soon", "10 minutes", "5m1h", "1m2m", "m", "1h-5m", "--1s", ".5h", "1e3s"] {
            assert_eq!(span(bad), Err(QuantityError::Span(bad.into())));
        }
    }

    #[test]
    fn sizes_have_one_unit() {
        for (text, bytes) in
            [("10 MiB", 10 << 20), ("512k", 512 << 10), ("1kB", 1000), ("0.5 GiB", 1 << 29), ("7B", 7)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "10", "ten MiB", "10 mib", "1.5B", "-1k", "99999999 GiB"] {
            assert_eq!(size(bad), Err(QuantityError::Size(bad.into())));
        }
    }
}
