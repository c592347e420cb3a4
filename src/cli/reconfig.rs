//! `lunabot reconfig`: applies the configuration on disk to the running master, or tells what that would do.

use std::{path::Path, process::ExitCode};

use anstyle::AnsiColor;
use serde_json::{Value, json};

use crate::cli::{
    failure::{Failure, Kind},
    master::{RunningMaster, text},
};

/// Prints what changes item by item; exit code 1 if it was refused or failed.
pub(super) async fn run(
    dir: &Path,
    dry_run: bool,
    limit: Option<u32>,
    as_json: bool,
) -> Result<ExitCode, Failure> {
    let master = RunningMaster::of(dir)?;
    let masters = master.list("masters", "/masters", &[]).await?;
    let id = masters.first().map(|row| row["masterid"].to_string()).unwrap_or_default();
    let params = json!({ "dry_run": dry_run, "max_disconnects": limit });
    let answer = master.api.call(&format!("/masters/{id}"), "reconfig", params).await?;
    let is_good = matches!(text(&answer, "outcome"), "committed" | "unchanged" | "planned");
    let code = if is_good { ExitCode::SUCCESS } else { ExitCode::from(Kind::Failed.exit_code()) };
    if as_json {
        anstream::println!("{answer:#}");
        return Ok(code);
    }
    for problem in list(&answer, "problems") {
        anstream::eprintln!("{}", text(problem, "shown"));
    }
    for item in list(&answer, "items") {
        let style = match text(item, "change").chars().next() {
            Some('+') => AnsiColor::Green.on_default(),
            Some('-') => AnsiColor::Red.on_default(),
            Some('!') => AnsiColor::Red.on_default().bold(),
            _ => AnsiColor::Yellow.on_default(),
        };
        let (change, rest) = split(item);
        anstream::println!("{style}{change}{style:#}{rest}");
    }
    if answer["too_many_cuts"] == true {
        for cut in list(&answer["impact"], "disconnects") {
            anstream::eprintln!("{}", text(cut, "shown"));
        }
    }
    if let Some(tally) = answer["tally"].as_str() {
        anstream::println!("{tally}");
    }
    let summary = text(&answer, "summary");
    if is_good {
        anstream::println!("{summary}");
        return Ok(code);
    }
    Err(Failure::message(Kind::Failed, summary))
}

/// An item as people read it, in what changes and what becomes of that.
fn split(item: &Value) -> (&str, &str) {
    let (shown, change) = (text(item, "shown"), text(item, "change"));
    shown.strip_prefix(change).map_or((shown, ""), |rest| (change, rest))
}

fn list<'a>(answer: &'a Value, field: &str) -> &'a [Value] {
    answer[field].as_array().map_or(&[], Vec::as_slice)
}
