//! `lunabot log`.

use std::{path::Path, process::ExitCode};

use crate::cli::{
    failure::{Failure, Kind},
    follow::{self, Show},
    master::{RunningMaster, text},
};

/// Prints the logs of a build, of all its steps or of one.
pub(super) async fn run(
    dir: &Path,
    builder: &str,
    number: i64,
    step: Option<&str>,
    until_complete: bool,
) -> Result<ExitCode, Failure> {
    let master = RunningMaster::of(dir)?;
    let builder_id = master.builder_id(builder).await?;
    let row = master.one("builds", &format!("/builders/{builder_id}/builds/{number}")).await?;
    let Some(build) = row.as_ref().and_then(|row| row["buildid"].as_i64()) else {
        let text = format!("builder {builder:?} has no build {number}");
        let hint = format!("see `lunabot builds {} --builder {builder}`", dir.display());
        return Err(Failure::message(Kind::Failed, text).hint(hint));
    };
    let shown = follow::build(&master, build, Show::steps(step, until_complete)).await?;
    if let (Some(step), 0) = (step, shown) {
        let steps = master.list("steps", &format!("/builds/{build}/steps"), &[("order", "number")]).await?;
        let names: Vec<&str> = steps.iter().map(|row| text(row, "name")).collect();
        let failure = Failure::message(Kind::Failed, format!("build {number} has no step named {step:?}"));
        return Err(failure.hint(format!("it has: {}", names.join(", "))));
    }
    Ok(ExitCode::SUCCESS)
}
