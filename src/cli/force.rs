//! `lunabot force`.

use std::{path::Path, process::ExitCode};

use serde_json::{Map, Value, json};

use crate::{
    cli::{
        failure::{Failure, Kind},
        follow,
        master::{RunningMaster, text},
        table,
    },
    definition::suggest,
    model::Outcome,
};

/// What somebody wants.
pub(super) struct Wish {
    pub(super) builder: String,
    pub(super) properties: Vec<(String, String)>,
    pub(super) scheduler: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) priority: Option<i32>,
}

/// Reads `NAME=VALUE`.
pub(super) fn parse_property(text: &str) -> Result<(String, String), String> {
    // These are words of the request itself.
    const TAKEN: [&str; 5] = ["builderid", "buildername", "owner", "priority", "reason"];
    match text.split_once('=') {
        Some((name, _)) if TAKEN.contains(&name) => Err(format!("`{name}` cannot be set this way")),
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a property is NAME=VALUE".into()),
    }
}

/// Asks for a build; with `wait` follows it, and lets the exit code tell its outcome.
pub(super) async fn run(dir: &Path, wish: Wish, wait: bool, as_json: bool) -> Result<ExitCode, Failure> {
    let master = RunningMaster::of(dir)?;
    let scheduler = match &wish.scheduler {
        Some(name) => name.clone(),
        None => scheduler_for(&master, &wish.builder).await?,
    };
    let mut params = Map::new();
    for (name, value) in &wish.properties {
        params.insert(name.clone(), json!(value));
    }
    params.insert("buildername".into(), json!(wish.builder));
    params.insert("owner".into(), json!(std::env::var("USER").unwrap_or_default()));
    params.insert("reason".into(), json!(wish.reason));
    params.insert("priority".into(), json!(wish.priority));
    let answer = master.api.call(&format!("/forceschedulers/{scheduler}"), "force", params.into()).await?;
    let request = answer[1].as_object().and_then(|requests| requests.values().next()).and_then(Value::as_i64);
    let Some(request) = request else {
        return Err(Failure::message(Kind::Failed, "the master made no request of it"));
    };
    if !wait {
        if as_json {
            let answer = json!({ "buildsetid": answer[0], "buildrequestid": request });
            anstream::println!("{answer:#}");
        } else {
            anstream::println!("build request {request} for {}", wish.builder);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let output = if as_json { follow::Output::None } else { follow::Output::Log };
    let done = follow::request(&master, request, output).await?;
    if as_json {
        let because = done.because;
        let answer = json!({ "buildsetid": answer[0], "buildrequestid": request, "build": done.build, "ended_because": because });
        anstream::println!("{answer:#}");
    } else {
        let style = table::outcome_style(done.outcome);
        let without_build = done.because.as_deref().unwrap_or("the request was cancelled");
        let state = done.build.as_ref().map_or(without_build, |build| text(build, "state_string"));
        anstream::eprintln!("{style}{}{style:#}: {state}", done.outcome);
    }
    Ok(ExitCode::from(exit_code(done.outcome)))
}

/// The exit code of an outcome, as the help tells it.
const fn exit_code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Success | Outcome::Warnings | Outcome::Skipped => 0,
        Outcome::Failure => 1,
        Outcome::Exception | Outcome::Retry => 11,
        Outcome::Cancelled => 13,
    }
}

async fn scheduler_for(master: &RunningMaster, builder: &str) -> Result<String, Failure> {
    let schedulers = master.list("forceschedulers", "/forceschedulers", &[]).await?;
    let asks = |scheduler: &&Value| {
        scheduler["builder_names"].as_array().is_some_and(|names| names.iter().any(|name| name == builder))
    };
    if let Some(found) = schedulers.iter().find(asks) {
        return Ok(text(found, "name").to_owned());
    }
    let names: Vec<&str> = schedulers
        .iter()
        .filter_map(|scheduler| scheduler["builder_names"].as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let hint = suggest::did_you_mean(builder, names.iter().copied()).unwrap_or_else(|| {
        "add `schedulers.ForceScheduler { name = \"force\", builderNames = { … } }` to c.schedulers".into()
    });
    let text = format!("no force scheduler asks a builder named {builder:?}");
    Err(Failure::message(Kind::Failed, text).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_is_a_name_and_a_value_which_may_hold_more_equal_signs() {
        assert_eq!(parse_property("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(parse_property("a="), Ok(("a".into(), String::new())));
        for bad in ["a", "=b", "owner=me"] {
            assert!(parse_property(bad).is_err(), "{bad}");
        }
    }
}
