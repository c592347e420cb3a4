//! `lunabot stop`.

use std::{path::Path, process::ExitCode, time::Duration};

use serde_json::json;
use tokio::time::{self, Instant};

use crate::cli::{
    failure::{Failure, Kind},
    master::RunningMaster,
};

/// How long a master may take to stop when it does not wait for builds: its own limits take less.
const STOPPED_WITHIN: Duration = Duration::from_secs(120);

/// How often the folder is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Stops the master of a folder, and returns when it has stopped.
pub(super) async fn run(dir: &Path, clean: bool) -> Result<ExitCode, Failure> {
    let master = RunningMaster::of(dir)?;
    let masters = master.list("masters", "/masters", &[]).await?;
    let id = masters.first().map(|row| row["masterid"].to_string()).unwrap_or_default();
    let answer = master.api.call(&format!("/masters/{id}"), "stop", json!({ "clean": clean })).await?;
    let running = answer["builds_running"].as_u64().unwrap_or(0);
    if clean && running > 0 {
        anstream::eprintln!(
            "waiting for {running} running builds; `lunabot stop {}` interrupts them",
            dir.display()
        );
    }
    let limit = (!clean).then(|| Instant::now() + STOPPED_WITHIN);
    while master.folder.holder().is_some() {
        if limit.is_some_and(|limit| limit < Instant::now()) {
            let pid = answer["pid"].as_u64().unwrap_or(0);
            let text = format!("the master did not stop within {} s", STOPPED_WITHIN.as_secs());
            let hint =
                format!("see lunabot.log; `kill -9 {pid}` loses no build: the next start resolves them");
            return Err(Failure::message(Kind::Failed, text).hint(hint));
        }
        time::sleep(LOOK_EVERY).await;
    }
    anstream::println!("the master in {} is stopped", dir.display());
    Ok(ExitCode::SUCCESS)
}
