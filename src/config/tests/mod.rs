//! Whole files, loaded and checked: those of `tests/config`, and the laws of a load.

mod calls;
mod choosing;
mod faults;
mod files;
mod latent;
mod laws;
mod lives;
mod master;
mod options;
mod outline;
mod runaway;
mod secrets;
mod texts;
mod traces;
mod triggers;
mod walk;

use std::{path::Path, time::Duration};

use super::{Limits, Loaded, load};
use crate::definition::check::Checked;

/// No test waits for the wall clock; what runs away is stopped by its instructions, on any machine after as many.
pub(super) const LIMITS: Limits =
    Limits { instructions: 3_000_000, memory_bytes: 128 << 20, wall: Duration::from_secs(30) };

/// Loads a file.
async fn load_file(path: &Path) -> Loaded {
    load(path, LIMITS).await.expect("the file can be read")
}

/// Loads a text that stands in `master.cfg.lua`.
async fn load_text(text: &str) -> Loaded {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = folder.path().join("master.cfg.lua");
    std::fs::write(&path, text).expect("there is room for a file");
    load_file(&path).await
}

/// All problems of a text, a line each, without the columns.
async fn problems(text: &str) -> Vec<String> {
    let mut problems = match load_text(text).await.check() {
        Ok(checked) => checked.warnings,
        Err(problems) => problems,
    };
    for problem in &mut problems {
        problem.place = problem.place.take().map(|place| place.column(0));
    }
    problems.iter().map(ToString::to_string).collect()
}

/// A text that is good, checked.
async fn checked(text: &str) -> Checked {
    load_text(text).await.check().unwrap_or_else(|problems| {
        panic!("refused:\n{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

fn lines(result: &Result<Checked, Vec<crate::definition::Problem>>) -> Vec<String> {
    match result {
        Ok(checked) => checked.warnings.iter().map(ToString::to_string).collect(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}
