//! `lunabot outbox`: what is written to people and not sent yet.

use std::{path::Path, process::ExitCode};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::cli::{
    failure::Failure,
    master::{RunningMaster, text},
    table::{self, Cell},
};

/// How many addresses a line names.
const MOST_NAMED: usize = 2;

/// What is wanted of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LetterDeed {
    /// Try it at once, also if it was given up
    Retry,
    /// Take it out of the outbox; it is not sent
    Drop,
}

/// Shows the letters that are not sent yet, the oldest first.
pub(super) async fn run(dir: &Path, as_json: bool) -> Result<ExitCode, Failure> {
    let master = RunningMaster::of(dir)?;
    let letters = master.list("outbox", "/outbox", &[]).await?;
    if as_json {
        let answer = json!({ "outbox": letters });
        anstream::println!("{answer:#}");
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<Cell>> = letters.iter().map(row).collect();
    table::print(&["LETTER", "KIND", "TO", "SUBJECT", "SINCE", "ATTEMPTS", "NEXT", "ERROR"], &rows);
    Ok(ExitCode::SUCCESS)
}

/// Has a letter tried at once, or dropped.
pub(super) async fn order(
    dir: &Path,
    deed: LetterDeed,
    letter: i64,
    as_json: bool,
) -> Result<ExitCode, Failure> {
    let master = RunningMaster::of(dir)?;
    let (method, told) = match deed {
        LetterDeed::Retry => ("retry", "is tried now"),
        LetterDeed::Drop => ("drop", "is dropped"),
    };
    master.api.call(&format!("/outbox/{letter}"), method, json!({})).await?;
    if as_json {
        let answer = json!({ "letterid": letter, "done": method });
        anstream::println!("{answer:#}");
    } else {
        anstream::println!("letter {letter} {told}");
    }
    Ok(ExitCode::SUCCESS)
}

fn row(letter: &Value) -> Vec<Cell> {
    let next = if letter["given_up_at"].is_null() {
        Cell::plain(table::instant(letter, "next_try_at"))
    } else {
        Cell::styled("given up", AnsiColor::Red.on_default())
    };
    let style = if letter["last_error"].is_null() { Style::new() } else { AnsiColor::Yellow.on_default() };
    vec![
        Cell::plain(letter["letterid"].to_string()),
        Cell::plain(text(letter, "kind").replace('_', " ")),
        Cell::plain(people(letter)),
        Cell::plain(line(text(letter, "subject"))),
        Cell::plain(table::instant(letter, "created_at")),
        Cell::plain(letter["attempts"].to_string()),
        next,
        Cell::styled(line(text(letter, "last_error")), style),
    ]
}

/// The first addresses, and how many more there are.
fn people(letter: &Value) -> String {
    let none = Vec::new();
    let all = letter["recipients"].as_array().unwrap_or(&none);
    let mut names: Vec<String> = all.iter().filter_map(Value::as_str).take(MOST_NAMED).map(line).collect();
    names.extend((all.len() > MOST_NAMED).then(|| format!("and {} more", all.len() - MOST_NAMED)));
    names.join(", ")
}

/// Text that no terminal obeys.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_to_whom_about_what_and_why_it_is_not_sent() {
        let shown = |letter: Value| -> Vec<String> {
            let cells = row(&letter);
            cells.iter().map(|cell| anstream::adapter::strip_str(&cell.to_string()).to_string()).collect()
        };
        let mut letter = json!({
            "letterid": 7, "kind": "worker_missing", "recipients": ["a@x.org", "b@x.org", "c@x.org", "d@x.org"],
            "subject": "w1 is\u{1b}[31m missing", "created_at": 1_700_000_000, "attempts": 3, "next_try_at": null,
            "last_error": "550 no", "given_up_at": 1_700_000_900,
        });
        let cells = shown(letter.clone());
        let since = table::instant(&letter, "created_at");
        let expected = [
            "7",
            "worker missing",
            "a@x.org, b@x.org, and 2 more",
            "w1 is [31m missing",
            &since,
            "3",
            "given up",
            "550 no",
        ];
        assert_eq!(cells, expected);
        letter["given_up_at"] = Value::Null;
        letter["next_try_at"] = json!(1_700_000_060);
        letter["last_error"] = Value::Null;
        letter["recipients"] = json!(["a@x.org"]);
        let cells = shown(letter.clone());
        assert_eq!(cells[2], "a@x.org");
        assert_eq!(
            (cells[6].as_str(), cells[7].as_str()),
            (table::instant(&letter, "next_try_at").as_str(), "")
        );
    }
}
