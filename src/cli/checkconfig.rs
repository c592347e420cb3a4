//! `lunabot checkconfig`: all problems of a configuration at once, without a socket or a database.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::{Value, json};

use crate::{
    cli::{
        check_secrets,
        failure::{Failure, Kind},
    },
    config,
    definition::{self, Problem, problem::arrange},
    master::MasterFolder,
};

/// Checks a configuration; exit code 1 if it cannot be used.
pub(super) async fn run(path: &Path, as_json: bool) -> Result<ExitCode, Failure> {
    let file = file_of(path)?;
    let loaded = config::load(&file, config::Limits::default()).await?;
    let (problems, summary) = match definition::check(loaded.draft) {
        Ok(mut checked) => {
            let root = file.parent().unwrap_or(Path::new(""));
            checked.warnings.extend(check_secrets::problems(&checked, root).await);
            let is_good = !checked.warnings.iter().any(Problem::is_error);
            (arrange(checked.warnings), is_good.then(|| checked.definition.summary()))
        }
        Err(problems) => (problems, None),
    };
    if as_json {
        let shapes: Vec<Value> = problems.iter().map(Problem::to_json).collect();
        let answer =
            json!({ "file": file, "good": summary.is_some(), "summary": summary, "problems": shapes });
        anstream::println!("{answer:#}");
    } else {
        for problem in &problems {
            anstream::println!("{problem}");
        }
    }
    match summary {
        Some(summary) => {
            if !as_json {
                anstream::println!("{}: good: {summary}", file.display());
            }
            Ok(ExitCode::SUCCESS)
        }
        None => {
            let count = problems.iter().filter(|problem| problem.is_error()).count();
            let noun = if count == 1 { "problem" } else { "problems" };
            if !as_json {
                anstream::eprintln!("{count} {noun}");
            }
            Ok(ExitCode::from(Kind::Failed.exit_code()))
        }
    }
}

fn file_of(path: &Path) -> Result<PathBuf, Failure> {
    if path.is_dir() { Ok(MasterFolder::open(path)?.config()) } else { Ok(path.to_owned()) }
}
