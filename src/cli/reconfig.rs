//! `lunabot reconfig`: applies the configuration on disk to the running master, or tells what that would do.

use std::{path::Path, process::ExitCode};

use anstyle::AnsiColor;
use serde_json::{Value, json};

use crate::cli::{
    failure::{Failure, Kind},
    master::{RunningMaster, text},
};

/// Prints what changes item by item; exit code 1 if it was refused or failed.
pub(super) async fn run(dir: &Path, dry_run: bool, as_json: bool) -> Result<ExitCode, Failure> {
    let master = RunningMaster::of(dir)?;
    let masters = master.list("masters", "/masters", &[]).await?;
    let id = masters.first().map(|row| row["masterid"].to_string()).unwrap_or_default();
    let params = json!({ "dry_run": dry_run });
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
        let change = text(item, "change");
        let style = match change.chars().next() {
            Some('+') => AnsiColor::Green.on_default(),
            Some('-') => AnsiColor::Red.on_default(),
            _ => AnsiColor::Yellow.on_default(),
        };
        anstream::println!("{style}{change}{style:#}: {}", text(item, "effect"));
    }
    let summary = text(&answer, "summary");
    if is_good {
        anstream::println!("{summary}");
        return Ok(code);
    }
    Err(Failure::message(Kind::Failed, summary))
}

fn list<'a>(answer: &'a Value, field: &str) -> &'a [Value] {
    answer[field].as_array().map_or(&[], Vec::as_slice)
}
