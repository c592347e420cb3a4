//! `lunabot explain`: why a request does not run now.

use std::{path::Path, process::ExitCode};

use anstyle::AnsiColor;
use serde_json::Value;

use crate::cli::{
    failure::{Failure, HINT, Kind},
    master::{RunningMaster, text},
    table::{self, Cell},
};

/// With more workers than this, those that say the same share a line.
const MOST_LINES: usize = 30;

/// How many workers such a line names.
const MOST_NAMED: usize = 3;

/// Tells why a request waits: a number, or a builder, of which the first that waits is meant.
pub(super) async fn run(dir: &Path, request: &str, as_json: bool) -> Result<ExitCode, Failure> {
    let master = RunningMaster::of(dir)?;
    let id = match request.parse::<i64>() {
        Ok(id) => id,
        Err(_) => first_of(&master, request).await?,
    };
    let Some(told) = master.one("explanations", &format!("/buildrequests/{id}/explain")).await? else {
        let hint = "`lunabot force` tells the number of the request that it makes".to_owned();
        return Err(Failure::message(Kind::Failed, format!("there is no request {id}")).hint(hint));
    };
    if as_json {
        anstream::println!("{told:#}");
        return Ok(ExitCode::SUCCESS);
    }
    anstream::println!("{}", headline(&told));
    for reason in rows(&told, "reasons") {
        let until = instant(reason, "until", "until");
        anstream::println!("- {}{until}\n  {HINT}{}{HINT:#}", text(reason, "text"), text(reason, "remedy"));
    }
    let workers = worker_rows(rows(&told, "workers"), &told["worker_counts"], &dir.display().to_string());
    if !workers.is_empty() {
        anstream::println!();
        table::print(&["WORKER", "WHY NOT", "WHAT WOULD CHANGE IT"], &workers);
    }
    let builds: Vec<Vec<Cell>> = rows(&told, "builds").iter().map(build).collect();
    if !builds.is_empty() {
        anstream::println!();
        table::print(&["BUILD", "WORKER", "OUTCOME", "STARTED", "TOOK", "STATE"], &builds);
    }
    Ok(ExitCode::SUCCESS)
}

/// The request of a builder that is next to be given to a worker.
async fn first_of(master: &RunningMaster, builder: &str) -> Result<i64, Failure> {
    let id = master.builder_id(builder).await?.to_string();
    let wanted = [
        ("builderid", id.as_str()),
        ("complete", "false"),
        ("claimed", "false"),
        ("order", "-priority"),
        ("order", "buildrequestid"),
        ("limit", "1"),
    ];
    let rows = master.list("buildrequests", "/buildrequests", &wanted).await?;
    let first = rows.first().and_then(|row| row["buildrequestid"].as_i64());
    first.ok_or_else(|| Failure::message(Kind::Failed, format!("no request of {builder:?} waits")))
}

fn rows<'a>(told: &'a Value, key: &str) -> &'a [Value] {
    told[key].as_array().map_or(&[], Vec::as_slice)
}

/// `, until 2026-11-28 12:00:00`, or nothing.
fn instant(row: &Value, field: &str, word: &str) -> String {
    match table::instant(row, field) {
        at if at.is_empty() => at,
        at => format!(", {word} {at}"),
    }
}

fn headline(told: &Value) -> String {
    let request = format!("request {} of {}", told["buildrequestid"], text(told, "builder"));
    if told["waiting"] == true {
        let since = table::instant(told, "waiting_since");
        let keeps = |row: &Value| text(row, "reason") != "ready";
        let is_free = rows(told, "reasons").is_empty() && !rows(told, "workers").iter().all(keeps);
        let starts = if is_free { "; it starts now" } else { "" };
        return format!("{request} waits since {since}{starts}");
    }
    if told["complete"] == true {
        let outcome = table::outcome_of(told).map_or("complete", |outcome| outcome.word());
        return match text(told, "ended_because") {
            "" => format!("{request} does not wait: it is complete ({outcome})"),
            because => format!("{request} does not wait: it is complete ({outcome}): {because}"),
        };
    }
    match rows(told, "builds").first().filter(|build| build["complete_at"].is_null()) {
        Some(build) => {
            format!(
                "{request} does not wait: it runs as build {} on {}",
                build["number"],
                text(build, "worker")
            )
        }
        None => format!("{request} does not wait: it is about to begin"),
    }
}

/// A line for each worker; if they are many, one for each reason. Commands are told as they are to be given for this folder.
fn worker_rows(workers: &[Value], counts: &Value, dir: &str) -> Vec<Vec<Cell>> {
    let row = |names: String, worker: &Value| row(names, worker, dir);
    let all: u64 = counts.as_object().map_or(0, |counts| counts.values().filter_map(Value::as_u64).sum());
    if all <= MOST_LINES as u64 {
        return workers.iter().map(|worker| row(text(worker, "name").to_owned(), worker)).collect();
    }
    let mut reasons: Vec<&str> = Vec::new();
    for worker in workers {
        let reason = text(worker, "reason");
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    let line = |reason: &str| {
        let alike: Vec<&Value> = workers.iter().filter(|worker| text(worker, "reason") == reason).collect();
        let named: Vec<&str> = alike.iter().take(MOST_NAMED).map(|worker| text(worker, "name")).collect();
        let count = counts[reason].as_u64().unwrap_or(0);
        let others = count.saturating_sub(named.len() as u64);
        let names = match others {
            0 => named.join(", "),
            others => format!("{} and {others} more", named.join(", ")),
        };
        row(names, alike[0])
    };
    reasons.into_iter().map(line).collect()
}

fn row(names: String, worker: &Value, dir: &str) -> Vec<Cell> {
    let why = match text(worker, "text") {
        "" => Cell::styled("could take it", AnsiColor::Green.on_default()),
        why => {
            let (since, until) = (instant(worker, "since", "since"), instant(worker, "until", "until"));
            Cell::styled(format!("{why}{since}{until}"), AnsiColor::Yellow.on_default())
        }
    };
    let remedy = text(worker, "remedy").replace("lunabot worker DIR", &format!("lunabot worker {dir}"));
    vec![Cell::plain(names), why, Cell::plain(remedy)]
}

fn build(build: &Value) -> Vec<Cell> {
    let outcome = match table::outcome_of(build) {
        Some(outcome) => Cell::styled(outcome.word(), table::outcome_style(outcome)),
        None => Cell::styled("running", AnsiColor::Yellow.on_default()),
    };
    vec![
        Cell::plain(build["number"].to_string()),
        Cell::plain(text(build, "worker")),
        outcome,
        Cell::plain(table::instant(build, "started_at")),
        Cell::plain(table::duration(build)),
        Cell::plain(text(build, "state_string")),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(rows: &[Vec<Cell>]) -> Vec<Vec<String>> {
        let plain = |cell: &Cell| anstream::adapter::strip_str(&cell.to_string()).to_string();
        rows.iter().map(|row| row.iter().map(plain).collect()).collect()
    }

    fn worker(name: &str, reason: &str) -> Value {
        json!({ "name": name, "reason": reason, "text": format!("is {reason}"), "remedy": "wait" })
    }

    #[test]
    fn few_workers_have_a_line_each_and_many_that_say_the_same_share_one() {
        let few = worker_rows(&[worker("a", "absent"), worker("b", "absent")], &json!({ "absent": 2 }), "ci");
        assert_eq!(shown(&few), [["a", "is absent", "wait"], ["b", "is absent", "wait"]]);
        let mut many: Vec<Value> = (0..40).map(|number| worker(&format!("w{number}"), "absent")).collect();
        many.push(worker("x", "full"));
        let told = worker_rows(&many, &json!({ "absent": 5000, "full": 1 }), "ci");
        assert_eq!(
            shown(&told),
            [["w0, w1, w2 and 4997 more", "is absent", "wait"], ["x", "is full", "wait"]]
        );
    }

    #[test]
    fn a_request_that_does_not_wait_is_told_as_what_it_is() {
        let running = json!({
            "buildrequestid": 7, "builder": "linux", "waiting": false, "complete": false,
            "builds": [{ "number": 3, "worker": "w1", "complete_at": null }],
        });
        assert_eq!(headline(&running), "request 7 of linux does not wait: it runs as build 3 on w1");
        let ended = json!({
            "buildrequestid": 7, "builder": "linux", "waiting": false, "complete": true, "results": 4,
            "ended_because": "no worker took it", "builds": [],
        });
        assert_eq!(
            headline(&ended),
            "request 7 of linux does not wait: it is complete (exception): no worker took it"
        );
    }
}
