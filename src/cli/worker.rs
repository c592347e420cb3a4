//! `lunabot worker`: one worker in full, and what can be ordered of it.

use std::{path::Path, process::ExitCode};

use anstyle::Style;
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::{
    cli::{
        failure::{Failure, Kind},
        master::{RunningMaster, text},
        table, workers,
    },
    model::QuarantineCause,
};

/// What is wanted of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum WorkerDeed {
    /// Show all that is known of it
    Show,
    /// Give it no builds; those that run go on
    Pause,
    /// Give it builds again
    Unpause,
    /// Give it no builds, and have its program stop when those that run are done
    Stop,
    /// Take `stop` back
    Resume,
    /// Have its program stop at once; its builds are tried again
    Kill,
    /// End its quarantine
    Release,
}

/// Shows a worker, or has it do something.
pub(super) async fn run(
    dir: &Path,
    deed: WorkerDeed,
    name: &str,
    reason: Option<&str>,
    as_json: bool,
) -> Result<ExitCode, Failure> {
    let master = RunningMaster::of(dir)?;
    let worker = find(&master, name).await?;
    let path = format!("/workers/{}", worker["workerid"]);
    let method = match deed {
        WorkerDeed::Show => {
            show(&master, &worker, as_json).await?;
            return Ok(ExitCode::SUCCESS);
        }
        WorkerDeed::Pause => "pause",
        WorkerDeed::Unpause => "unpause",
        WorkerDeed::Stop => "stop",
        WorkerDeed::Resume => "resume",
        WorkerDeed::Kill => "kill",
        WorkerDeed::Release => "release",
    };
    let answer = master.api.call(&path, method, json!({ "reason": reason })).await?;
    if as_json {
        anstream::println!("{answer:#}");
        return Ok(ExitCode::SUCCESS);
    }
    let changed = answer["changed"] == true;
    let builds = answer["builds_running"].as_u64().unwrap_or(0);
    anstream::println!("{}", told(deed, name, changed, builds, dir));
    Ok(ExitCode::SUCCESS)
}

/// What has come of an order, in words.
fn told(deed: WorkerDeed, name: &str, changed: bool, builds: u64, dir: &Path) -> String {
    let go_on = match builds {
        0 => String::new(),
        1 => "; the build that runs goes on".to_owned(),
        n => format!("; the {n} builds that run go on"),
    };
    match (deed, changed) {
        (WorkerDeed::Pause, _) => format!("{name} is paused{go_on}"),
        (WorkerDeed::Unpause, true) => format!("{name} is no longer paused"),
        (WorkerDeed::Unpause, false) => format!("{name} was not paused"),
        (WorkerDeed::Stop, _) if builds == 0 => format!("{name} is told to stop"),
        (WorkerDeed::Stop, _) => {
            let dir = dir.display();
            format!(
                "{name} stops when its builds are done ({builds}); `lunabot worker {dir} resume {name}` takes that back"
            )
        }
        (WorkerDeed::Resume, true) => format!("{name} does not stop after all"),
        (WorkerDeed::Resume, false) => format!("{name} was not told to stop"),
        (WorkerDeed::Kill, _) if builds == 0 => format!("{name} is told to stop at once"),
        (WorkerDeed::Kill, _) => {
            format!("{name} is told to stop at once; its builds ({builds}) are tried again")
        }
        (WorkerDeed::Release, true) => format!("{name} is released from its quarantine"),
        (WorkerDeed::Release, false) => format!("{name} was not quarantined"),
        (WorkerDeed::Show, _) => String::new(),
    }
}

/// A worker by its name, or a failure that names the nearest one.
async fn find(master: &RunningMaster, name: &str) -> Result<Value, Failure> {
    let rows = master.list("workers", "/workers", &[("name", name)]).await?;
    if let Some(row) = rows.into_iter().next() {
        return Ok(row);
    }
    let all = master.list("workers", "/workers", &[("field", "name")]).await?;
    let names = all.iter().filter_map(|row| row["name"].as_str());
    let hint = crate::definition::suggest::did_you_mean(name, names)
        .unwrap_or_else(|| "`lunabot workers` shows all of them".to_owned());
    Err(Failure::message(Kind::Failed, format!("no worker is named {name:?}")).hint(hint))
}

async fn show(master: &RunningMaster, worker: &Value, as_json: bool) -> Result<(), Failure> {
    let id = worker["workerid"].to_string();
    let running = [("workerid", id.as_str()), ("complete", "false"), ("order", "buildid")];
    let builds = master.list("builds", "/builds", &running).await?;
    let builders = builders_of(master, worker).await?;
    if as_json {
        let answer = json!({ "worker": worker, "builders": builders, "builds": builds });
        anstream::println!("{answer:#}");
        return Ok(());
    }
    line("worker", text(worker, "name"));
    line("written at", worker["source"]["shown"].as_str().unwrap_or("not in the configuration any more"));
    line("state", &workers::state(worker, builds.len()).to_string());
    for (what, noun) in [("paused", "pause"), ("graceful", "stop")] {
        if worker[what] == true {
            line(
                noun,
                &remark(worker, what, if what == "paused" { "pause_reason" } else { "graceful_reason" }),
            );
        }
    }
    if worker["quarantined"] == true {
        let (since, until) =
            (table::instant(worker, "quarantined_at"), table::instant(worker, "quarantined_until"));
        let why = workers::quarantine_cause(worker).map_or("", QuarantineCause::sentence);
        let reason =
            worker["quarantine_reason"].as_str().map(|reason| format!(": {reason}")).unwrap_or_default();
        line("quarantine", &format!("since {since}, until {until}, for {why}{reason}"));
    }
    if workers::is_attached(worker) {
        let since = table::instant(worker, "last_connection");
        let from = worker["link_peer"].as_str().unwrap_or("this process");
        line("connected", &format!("since {since}, from {from}"));
    }
    let names = builders.iter().map(|builder| text(builder, "name")).collect::<Vec<_>>();
    line("builders", &names.join(", "));
    for build in &builds {
        let builder = builders.iter().find(|builder| builder["builderid"] == build["builderid"]);
        let name = builder.map_or("a builder that it had", |builder| text(builder, "name"));
        let (number, since) = (&build["number"], table::instant(build, "started_at"));
        line("builds", &format!("{name} {number}, since {since}: {}", text(build, "state_string")));
    }
    for (option, value) in worker["options"].as_object().into_iter().flatten() {
        let value = if value.is_null() { "None".to_owned() } else { fact(value) };
        line(option, &value);
    }
    for (key, value) in worker["workerinfo"].as_object().into_iter().flatten() {
        line(key, &fact(value));
    }
    Ok(())
}

async fn builders_of(master: &RunningMaster, worker: &Value) -> Result<Vec<Value>, Failure> {
    let on = worker["configured_on"].as_array().into_iter().flatten();
    let ids: Vec<String> = on.map(|on| on["builderid"].to_string()).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut pairs: Vec<(&str, &str)> = ids.iter().map(|id| ("builderid", id.as_str())).collect();
    pairs.extend([("order", "name"), ("field", "builderid"), ("field", "name")]);
    Ok(master.list("builders", "/builders", &pairs).await?)
}

/// Since when, by whom, why.
fn remark(worker: &Value, what: &str, reason: &str) -> String {
    let since = table::instant(worker, &format!("{what}_at"));
    let by = worker[format!("{what}_by")].as_str().map(|by| format!(" by {by}")).unwrap_or_default();
    let reason = worker[reason].as_str().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("since {since}{by}{reason}")
}

/// A fact in one line: texts as they are but for what a terminal would obey, tables as `name value`.
fn fact(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.trim().replace('\n', "; "),
        Value::Object(table) => {
            let pairs = table.iter().map(|(name, value)| format!("{name} {}", fact(value)));
            pairs.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn line(label: &str, value: &str) {
    let bold = Style::new().bold();
    anstream::println!("{bold}{label:<20}{bold:#} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_come_of_an_order_is_told_in_one_sentence() {
        let told = |deed, changed, builds| told(deed, "w1", changed, builds, Path::new("ci"));
        insta::assert_snapshot!(
            [
                told(WorkerDeed::Pause, true, 0),
                told(WorkerDeed::Pause, true, 1),
                told(WorkerDeed::Pause, true, 3),
                told(WorkerDeed::Unpause, true, 0),
                told(WorkerDeed::Unpause, false, 0),
                told(WorkerDeed::Stop, true, 0),
                told(WorkerDeed::Stop, true, 2),
                told(WorkerDeed::Resume, true, 2),
                told(WorkerDeed::Resume, false, 0),
                told(WorkerDeed::Kill, true, 0),
                told(WorkerDeed::Kill, true, 1),
                told(WorkerDeed::Release, true, 0),
                told(WorkerDeed::Release, false, 0),
            ]
            .join("\n"),
            @r"
        w1 is paused
        w1 is paused; the build that runs goes on
        w1 is paused; the 3 builds that run go on
        w1 is no longer paused
        w1 was not paused
        w1 is told to stop
        w1 stops when its builds are done (2); `lunabot worker ci resume w1` takes that back
        w1 does not stop after all
        w1 was not told to stop
        w1 is told to stop at once
        w1 is told to stop at once; its builds (1) are tried again
        w1 is released from its quarantine
        w1 was not quarantined
        "
        );
    }

    #[test]
    fn a_fact_is_one_line_that_no_terminal_obeys() {
        assert_eq!(fact(&json!("a\nb\u{1b}[31m\n")), "a; b [31m");
        assert_eq!(fact(&json!({ "shell": "3.3", "uploadFile": "2.16" })), "shell 3.3, uploadFile 2.16");
        assert_eq!(fact(&json!(8)), "8");
    }
}
