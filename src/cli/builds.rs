//! `lunabot builds`.

use std::{collections::HashMap, path::Path, process::ExitCode};

use anstyle::AnsiColor;
use serde_json::{Value, json};

use crate::cli::{
    failure::Failure,
    master::{RunningMaster, text},
    table::{self, Cell},
};

/// Shows the newest builds, the newest first.
pub(super) async fn run(
    dir: &Path,
    builder: Option<&str>,
    limit: u32,
    as_json: bool,
) -> Result<ExitCode, Failure> {
    let master = RunningMaster::of(dir)?;
    let limit = limit.to_string();
    let mut pairs = vec![("order", "-buildid"), ("limit", limit.as_str())];
    let id = match builder {
        Some(name) => Some(master.builder_id(name).await?.to_string()),
        None => None,
    };
    pairs.extend(id.as_deref().map(|id| ("builderid", id)));
    let builds = master.list("builds", "/builds", &pairs).await?;
    if as_json {
        let answer = json!({ "builds": builds });
        anstream::println!("{answer:#}");
        return Ok(ExitCode::SUCCESS);
    }
    let builders = names(&master, "builders", "builderid", &builds).await?;
    let workers = names(&master, "workers", "workerid", &builds).await?;
    let name = |names: &HashMap<i64, String>, row: &Value, key: &str| {
        row[key].as_i64().and_then(|id| names.get(&id)).cloned().unwrap_or_default()
    };
    let rows: Vec<Vec<Cell>> = builds
        .iter()
        .map(|build| {
            let outcome = match table::outcome_of(build) {
                Some(outcome) => Cell::styled(outcome.word(), table::outcome_style(outcome)),
                None => Cell::styled("running", AnsiColor::Yellow.on_default()),
            };
            vec![
                Cell::plain(name(&builders, build, "builderid")),
                Cell::plain(build["number"].to_string()),
                outcome,
                Cell::plain(name(&workers, build, "workerid")),
                Cell::plain(table::instant(build, "started_at")),
                Cell::plain(table::duration(build)),
                Cell::plain(text(build, "state_string")),
            ]
        })
        .collect();
    table::print(&["BUILDER", "NUMBER", "OUTCOME", "WORKER", "STARTED", "TOOK", "STATE"], &rows);
    Ok(ExitCode::SUCCESS)
}

/// The names of those that some rows mention.
async fn names(
    master: &RunningMaster,
    noun: &str,
    key: &str,
    rows: &[Value],
) -> Result<HashMap<i64, String>, Failure> {
    let mut ids: Vec<String> =
        rows.iter().filter_map(|row| row[key].as_i64()).map(|id| id.to_string()).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut pairs: Vec<(&str, &str)> = ids.iter().map(|id| (key, id.as_str())).collect();
    pairs.extend([("field", key), ("field", "name")]);
    let found = master.list(noun, &format!("/{noun}"), &pairs).await?;
    Ok(found.iter().filter_map(|row| Some((row[key].as_i64()?, row["name"].as_str()?.to_owned()))).collect())
}
