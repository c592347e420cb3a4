//! `lunabot locks`.

use std::{path::Path, process::ExitCode};

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use crate::cli::{
    failure::Failure,
    master::{RunningMaster, text},
    table::{self, Cell},
};

/// How many of those who hold a lock, and of those who wait for it, a line names.
const MOST_NAMED: usize = 5;

/// Shows the locks: who holds them, and who waits in which order.
pub(super) async fn run(dir: &Path, as_json: bool) -> Result<ExitCode, Failure> {
    let master = RunningMaster::of(dir)?;
    let locks = master.list("locks", "/locks", &[]).await?;
    if as_json {
        let answer = serde_json::json!({ "locks": locks });
        anstream::println!("{answer:#}");
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<Cell>> = locks.iter().map(row).collect();
    table::print(&["LOCK", "WORKER", "HELD", "BY", "WAITING"], &rows);
    Ok(ExitCode::SUCCESS)
}

fn row(lock: &Value) -> Vec<Cell> {
    let none = Vec::new();
    let people = |key: &str| lock[key].as_array().unwrap_or(&none).clone();
    let (holders, waiters) = (people("holders"), people("waiters"));
    let worker = match (text(lock, "scope"), text(lock, "workername")) {
        ("worker", "") => "each",
        (_, worker) => worker,
    };
    let style = if waiters.is_empty() { Style::new() } else { AnsiColor::Yellow.on_default() };
    vec![
        Cell::plain(text(lock, "name")),
        Cell::plain(worker),
        Cell::styled(held(lock, &holders), style),
        Cell::plain(names(&holders)),
        Cell::plain(names(&waiters)),
    ]
}

/// How much of it is held: `2 of 3`, `exclusively`, `free`.
fn held(lock: &Value, holders: &[Value]) -> String {
    if holders.is_empty() {
        return "free".to_owned();
    }
    if holders.iter().any(|holder| holder["mode"] == "exclusive") {
        return "exclusively".to_owned();
    }
    let sum: i64 = holders.iter().filter_map(|holder| holder["count"].as_i64()).sum();
    format!("{sum} of {}", lock["max_count"])
}

fn names(people: &[Value]) -> String {
    let mut names: Vec<String> = people.iter().take(MOST_NAMED).map(name).collect();
    names.extend((people.len() > MOST_NAMED).then(|| format!("and {} more", people.len() - MOST_NAMED)));
    names.join(", ")
}

/// `linux/12 make (2)`: builder and number of the build, its step, how much of the lock.
fn name(person: &Value) -> String {
    let builder = match text(person, "builder") {
        "" => format!("request {}", person["buildrequestid"]),
        builder => builder.to_owned(),
    };
    let build = person["number"].as_i64().map(|number| format!("/{number}")).unwrap_or_default();
    let step = match text(person, "step") {
        "" => String::new(),
        step => format!(" {step}"),
    };
    let mode = match (text(person, "mode"), person["count"].as_i64()) {
        ("exclusive", _) => " (exclusive)".to_owned(),
        (_, Some(1) | None) => String::new(),
        (_, Some(count)) => format!(" ({count})"),
    };
    format!("{builder}{build}{step}{mode}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_tells_who_has_how_much_and_who_waits() {
        let shown = |lock: Value| -> Vec<String> {
            let cells = row(&lock);
            cells.iter().map(|cell| anstream::adapter::strip_str(&cell.to_string()).to_string()).collect()
        };
        let person = |builder: &str, number: Option<i64>, step: Option<&str>, mode: &str, count: i64| json!({ "builder": builder, "number": number, "step": step, "mode": mode, "count": count });
        let lock = json!({
            "name": "db", "scope": "master", "workername": null, "max_count": 3,
            "holders": [person("linux", Some(12), Some("make"), "counting", 2)],
            "waiters": [person("arm", Some(3), None, "exclusive", 1), person("mac", None, None, "counting", 1)],
        });
        assert_eq!(shown(lock), ["db", "", "2 of 3", "linux/12 make (2)", "arm/3 (exclusive), mac"]);
        let alone = json!({
            "name": "disk", "scope": "worker", "workername": "w", "max_count": 3,
            "holders": [person("linux", Some(12), None, "exclusive", 1)], "waiters": [],
        });
        assert_eq!(shown(alone), ["disk", "w", "exclusively", "linux/12 (exclusive)", ""]);
        let free = json!({ "name": "d", "scope": "worker", "workername": null, "max_count": 1, "holders": [], "waiters": [] });
        assert_eq!(shown(free), ["d", "each", "free", "", ""]);
    }
}
