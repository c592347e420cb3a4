//! Rows for people: aligned columns, colours in a terminal, outcomes in their colours.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::model::{Outcome, Timestamp};

/// A cell: text and how it is shown.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { text, style } = self;
        write!(f, "{style}{text}{style:#}")
    }
}

impl Cell {
    /// Text in the colour of all text.
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style::new() }
    }

    /// Text in a colour.
    pub(super) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }
}

/// Prints a table on standard output. The last column is not padded, so a pipe gets no spaces at line ends.
pub(super) fn print(heads: &[&str], rows: &[Vec<Cell>]) {
    let bold = Style::new().bold();
    let head: Vec<Cell> = heads.iter().map(|head| Cell::styled(*head, bold)).collect();
    let widths: Vec<usize> = (0..heads.len())
        .map(|column| {
            std::iter::once(&head).chain(rows).map(|row| row[column].text.chars().count()).max().unwrap_or(0)
        })
        .collect();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            write!(line, "{cell}").expect("a text takes all");
            if column + 1 < row.len() {
                line.extend(std::iter::repeat_n(' ', widths[column] - cell.text.chars().count() + 2));
            }
        }
        anstream::println!("{line}");
    }
}

/// The colour of an outcome.
pub(super) fn outcome_style(outcome: Outcome) -> Style {
    let color = match outcome {
        Outcome::Success => AnsiColor::Green,
        Outcome::Warnings => AnsiColor::Yellow,
        Outcome::Failure => AnsiColor::Red,
        Outcome::Skipped => AnsiColor::BrightBlack,
        Outcome::Exception => AnsiColor::Magenta,
        Outcome::Retry | Outcome::Cancelled => AnsiColor::Cyan,
    };
    color.on_default()
}

/// The outcome in a row's `results`, if it has one.
pub(super) fn outcome_of(row: &Value) -> Option<Outcome> {
    row["results"].as_i64().and_then(|code| i32::try_from(code).ok()).and_then(|code| code.try_into().ok())
}

/// An instant in the zone of the one who reads, to the second.
pub(super) fn instant(row: &Value, field: &str) -> String {
    let instant = row[field].as_i64().and_then(|seconds| Timestamp::from_second(seconds).ok());
    instant.map_or_else(String::new, |at| {
        at.to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
    })
}

/// The time of the day of an instant, in the zone of the one who reads: `12:03`.
pub(super) fn time_of_day(row: &Value, field: &str) -> String {
    instant(row, field).get(11..16).unwrap_or_default().to_owned()
}

/// How long something took, or has taken until now.
pub(super) fn duration(row: &Value) -> String {
    let Some(start) = row["started_at"].as_i64() else { return String::new() };
    let end = row["complete_at"].as_i64().unwrap_or_else(|| Timestamp::now().as_second());
    let seconds = (end - start).max(0);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}
