//! What is wrong with a configuration, and where.

use std::fmt;

use crate::model::Place;

/// Whether a problem keeps the configuration from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, but somebody should look.
    Warning,
}

/// One thing that is wrong, in one line: place, deed, hint.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Whether it is fatal.
    pub severity: Severity,
    /// Where; absent only for what concerns no line (a file that cannot be read has its name as place).
    pub place: Option<Place>,
    /// What is wrong, beginning with the object: ``worker "arm64-3": unknown option `max_build` ``.
    pub text: String,
    /// What to do, if that can be told: ``did you mean `max_builds`?``
    pub hint: Option<String>,
    /// Warnings of one kind fold after five; errors never do.
    pub kind: &'static str,
    /// From where in the operator's files the function was called in which it stands, the innermost call first.
    pub trace: Vec<Frame>,
}

/// A call in the operator's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where it was made.
    pub place: Place,
    /// In which function; absent for what stands in no function.
    pub function: Option<String>,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)?;
        self.function.as_ref().map_or(Ok(()), |function| write!(f, " in `{function}`"))
    }
}

/// The calls that led somewhere, the innermost first, as a text ends with them: ``; called from lib/a.lua:3 in `make` ``.
#[derive(Clone, Copy, Debug)]
pub struct CalledFrom<'a>(pub &'a [Frame]);

impl fmt::Display for CalledFrom<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, frame) in self.0.iter().enumerate() {
            write!(f, "{} {frame}", if index == 0 { "; called from" } else { ", from" })?;
        }
        Ok(())
    }
}

impl Problem {
    /// Something fatal.
    pub fn error(place: impl Into<Option<Place>>, text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            place: place.into(),
            text: text.into(),
            hint: None,
            kind: "",
            trace: Vec::new(),
        }
    }

    /// Something to look at; `kind` groups those that fold into one line.
    pub fn warning(place: impl Into<Option<Place>>, kind: &'static str, text: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, kind, ..Self::error(place, text) }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The same for programs.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "file": self.place.as_ref().map(|place| place.file.as_ref()),
            "line": self.place.as_ref().map(|place| place.line).filter(|line| *line > 0),
            "column": self.place.as_ref().map(|place| place.column).filter(|column| *column > 0),
            "kind": (!self.kind.is_empty()).then_some(self.kind),
            "trace": self.trace.iter().map(|frame| serde_json::json!({
                "file": frame.place.file.as_ref(),
                "line": frame.place.line,
                "function": frame.function,
            })).collect::<Vec<_>>(),
            "severity": if self.is_error() { "error" } else { "warning" },
            "text": self.text,
            "hint": self.hint,
            "shown": self.to_string(),
        })
    }

    /// Whether it keeps the configuration from being used.
    pub const fn is_error(&self) -> bool {
        matches!(self.severity, Severity::Error)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if !self.is_error() {
            f.write_str("warning: ")?;
        }
        f.write_str(&self.text)?;
        if let Some(hint) = &self.hint {
            write!(f, ", {hint}")?;
        }
        CalledFrom(&self.trace).fmt(f)
    }
}

/// Puts problems in the order of their places, each once.
pub fn arrange(mut problems: Vec<Problem>) -> Vec<Problem> {
    // What concerns a line as a whole comes after what is somewhere in it.
    let key = |p: &Problem| {
        let place = p.place.as_ref()?;
        Some((place.file.to_string(), place.line, place.column.wrapping_sub(1)))
    };
    problems.sort_by_cached_key(key);
    problems.dedup_by(|a, b| key(a) == key(b) && a.text == b.text);
    problems
}

/// Folds warnings of one kind after five: a loop makes one mistake a thousand times.
pub fn fold(mut problems: Vec<Problem>) -> Vec<Problem> {
    const SHOWN: usize = 5;
    let mut seen: std::collections::BTreeMap<&'static str, usize> = std::collections::BTreeMap::new();
    problems.retain(|p| {
        let count = seen.entry(p.kind).or_default();
        *count += usize::from(!p.is_error());
        p.is_error() || *count <= SHOWN
    });
    for (kind, count) in seen {
        if let Some(more) = count.checked_sub(SHOWN).filter(|more| *more > 0) {
            problems.push(Problem::warning(None, kind, format!("{kind}: {more} more of this kind")));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_come_in_the_order_of_their_lines_and_warnings_fold_after_five() {
        let mut problems =
            vec![Problem::error(Place::new("f", 9), "late"), Problem::error(Place::new("f", 1), "early")];
        problems
            .extend((0..8).map(|i| Problem::warning(Place::new("f", 20 + i), "unlisted", format!("w{i}"))));
        let lines: Vec<String> = fold(arrange(problems)).iter().map(ToString::to_string).collect();
        assert_eq!(lines[0], "f:1: early");
        assert_eq!(lines[1], "f:9: late");
        assert_eq!(lines.len(), 2 + 5 + 1);
        assert_eq!(lines[7], "warning: unlisted: 3 more of this kind");
    }
}
