//! `lunabot workers`.

use std::{collections::HashMap, path::Path, process::ExitCode};

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use crate::{
    cli::{
        failure::Failure,
        master::{RunningMaster, text},
        table::{self, Cell},
    },
    model::QuarantineCause,
};

/// Rows asked for at once.
const PAGE: usize = 1000;

/// Shows the workers that are configured, and those that only finish their builds; on top, if the configuration on disk
/// is not what runs, that.
pub(super) async fn run(dir: &Path, as_json: bool) -> Result<ExitCode, Failure> {
    let master = RunningMaster::of(dir)?;
    let workers = all(&master).await?;
    let status = master.api.get("/generations", &[("limit", "1")]).await?["status"].take();
    if as_json {
        let answer = json!({ "workers": workers, "configuration": status });
        anstream::println!("{answer:#}");
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(line) = difference(&status, dir) {
        let style = AnsiColor::Yellow.on_default();
        anstream::println!("{style}{line}{style:#}\n");
    }
    let builds = master.list("builds", "/builds", &[("complete", "false"), ("field", "workerid")]).await?;
    let mut running: HashMap<i64, usize> = HashMap::new();
    for build in &builds {
        if let Some(worker) = build["workerid"].as_i64() {
            *running.entry(worker).or_default() += 1;
        }
    }
    let rows: Vec<Vec<Cell>> = workers.iter().map(|worker| row(worker, &running)).collect();
    table::print(&["WORKER", "STATE", "BUILDS", "VERSION", "SYSTEM", "BUILDERS"], &rows);
    Ok(ExitCode::SUCCESS)
}

async fn all(master: &RunningMaster) -> Result<Vec<Value>, Failure> {
    let mut workers = Vec::new();
    loop {
        let (limit, offset) = (PAGE.to_string(), workers.len().to_string());
        let pairs = [("order", "name"), ("limit", limit.as_str()), ("offset", offset.as_str())];
        let page = master.list("workers", "/workers", &pairs).await?;
        let count = page.len();
        workers.extend(
            page.into_iter().filter(|worker| worker["configured"] != json!(false) || is_attached(worker)),
        );
        if count < PAGE {
            return Ok(workers);
        }
    }
}

/// What is to be said if the files on disk are not what runs.
fn difference(status: &Value, dir: &Path) -> Option<String> {
    let differs = status["differs"].as_object()?;
    let since = table::time_of_day(status, "since");
    let why = differs.get("why").and_then(Value::as_str).unwrap_or_default();
    let dir = dir.display();
    let hint = if status["held"] == true {
        format!("`lunabot reconfig {dir}` applies it")
    } else {
        format!("see `lunabot reconfig {dir} --dry-run`")
    };
    Some(format!("master.cfg.lua differs from what runs since {since}: {why}, {hint}"))
}

pub(super) fn is_attached(worker: &Value) -> bool {
    worker["connected_to"].as_array().is_some_and(|masters| !masters.is_empty())
}

fn row(worker: &Value, running: &HashMap<i64, usize>) -> Vec<Cell> {
    let count = worker["workerid"].as_i64().and_then(|id| running.get(&id)).copied().unwrap_or(0);
    let info = &worker["workerinfo"];
    let system = match (text(info, "os_id"), text(info, "os_version_id")) {
        ("", _) => text(info, "system").to_owned(),
        (id, version) => format!("{id} {version}"),
    };
    let builders = worker["configured_on"].as_array().map_or(0, Vec::len);
    vec![
        Cell::plain(text(worker, "name")),
        state(worker, count),
        Cell::plain(count.to_string()),
        Cell::plain(text(info, "version")),
        Cell::plain(system),
        Cell::plain(builders.to_string()),
    ]
}

/// The state of a worker with so many builds: what was said of it first, since that is why it gets none.
pub(super) fn state(worker: &Value, builds: usize) -> Cell {
    let (presence, style) = match (is_attached(worker), builds) {
        (true, _) if worker["configured"] == json!(false) => {
            ("draining".to_owned(), AnsiColor::Cyan.on_default())
        }
        (false, _) => absence(worker),
        (true, 0) => ("idle".to_owned(), AnsiColor::Green.on_default()),
        (true, _) => ("building".to_owned(), AnsiColor::Yellow.on_default()),
    };
    let mut words = Vec::new();
    for (what, word, reason) in
        [("graceful", "stopping", "graceful_reason"), ("paused", "paused", "pause_reason")]
    {
        if worker[what] == true {
            let reason = worker[reason].as_str().map(|reason| format!(" ({reason})")).unwrap_or_default();
            words.push(format!("{word}{reason}"));
        }
    }
    words.extend(quarantine(worker));
    if words.is_empty() {
        return Cell::styled(presence, style);
    }
    words.push(presence);
    let style = if is_attached(worker) { AnsiColor::Cyan.on_default() } else { style };
    Cell::styled(words.join(", "), style)
}

/// The quarantine of a worker: `quarantined until 12:03:10 (link lost, 3rd time)`.
fn quarantine(worker: &Value) -> Option<String> {
    let cause = quarantine_cause(worker)?;
    let until = table::instant(worker, "quarantined_until");
    let until = until.get(11..).unwrap_or_default();
    let count = match worker["quarantine_strikes"].as_u64().unwrap_or(1) {
        1 => String::new(),
        count => format!(", {} time", ordinal(count)),
    };
    Some(format!("quarantined until {until} ({}{count})", cause.brief()))
}

/// Why it is in quarantine, if it is.
pub(super) fn quarantine_cause(worker: &Value) -> Option<QuarantineCause> {
    worker["quarantine_cause"].as_str()?.parse().ok()
}

fn ordinal(number: u64) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// How a worker that is away is shown.
fn absence(worker: &Value) -> (String, Style) {
    if worker["options"]["latent"] == true {
        return (format!("no instance ({})", text(&worker["options"], "class")), Style::new());
    }
    if !worker["missing_since"].is_null() {
        let text = format!("missing since {}", table::instant(worker, "missing_since"));
        return (text, AnsiColor::Red.on_default().bold());
    }
    let text = if worker["last_connection"].is_null() {
        "never connected".to_owned()
    } else {
        format!("away since {}", table::instant(worker, "absent_since"))
    };
    (text, AnsiColor::Red.on_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_tells_first_why_a_worker_gets_no_builds() {
        let shown = |mut worker: Value, builds| {
            worker["last_connection"] = json!(null);
            let cell = state(&worker, builds).to_string();
            anstream::adapter::strip_str(&cell).to_string()
        };
        let attached = json!([{ "masterid": 1 }]);
        let latent = json!({ "options": { "latent": true, "class": "LibVirtWorker" } });
        assert_eq!(shown(latent, 0), "no instance (LibVirtWorker)");
        assert_eq!(shown(json!({ "connected_to": attached }), 0), "idle");
        let paused = json!({ "connected_to": attached, "paused": true, "pause_reason": "disk full" });
        assert_eq!(shown(paused, 1), "paused (disk full), building");
        let paused = json!({ "connected_to": [], "paused": true, "pause_reason": null });
        assert_eq!(shown(paused, 0), "paused, never connected");
        let both = json!({ "connected_to": attached, "paused": true, "graceful": true, "graceful_reason": "new disk" });
        assert_eq!(shown(both, 2), "stopping (new disk), paused, building");
        let quarantined = |strikes: u64| {
            json!({
                "connected_to": attached, "paused": true, "quarantined": true, "quarantine_cause": "link_lost",
                "quarantine_strikes": strikes, "quarantined_until": 10,
            })
        };
        let until = table::instant(&quarantined(1), "quarantined_until")[11..].to_owned();
        assert_eq!(shown(quarantined(1), 0), format!("paused, quarantined until {until} (link lost), idle"));
        for (strikes, count) in [(2, "2nd"), (3, "3rd"), (11, "11th"), (22, "22nd")] {
            assert!(shown(quarantined(strikes), 0).contains(&format!("(link lost, {count} time)")));
        }
    }
}
