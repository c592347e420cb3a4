//! The last stage of `tests/run`: no secret of the tests is in anything that they left.
//!
//! What is searched lies in the folder `LUNABOT_TEST_TRACES`: tests of secrets copy there what a master wrote, answered and
//! showed. Before the search it is proved that it can fail; and it does fail if something that should be there is not.

mod search;

use std::{path::Path, process::ExitCode};

/// What tests of secrets leave at least: the beginnings of paths or the ends of them.
const EXPECTED: [(&str, &str); 7] = [
    ("the log of a master", "lunabot.log"),
    ("what it says on standard error", "stderr.txt"),
    ("its database", "state.sqlite"),
    ("a compressed log", ".log.zst"),
    ("answers of the API", "api.txt"),
    ("the list of processes while a step runs", "processes.txt"),
    ("tables of PostgreSQL", "postgres.txt"),
];

fn main() -> ExitCode {
    let Some(folder) = std::env::var_os("LUNABOT_TEST_TRACES") else {
        eprintln!("LUNABOT_TEST_TRACES names no folder; `tests/run` sets it");
        return ExitCode::FAILURE;
    };
    match check(Path::new(&folder)) {
        Ok(files) => {
            println!("{files} files were searched, and no secret was found");
            ExitCode::SUCCESS
        }
        Err(problems) => {
            problems.iter().for_each(|problem| eprintln!("{problem}"));
            ExitCode::FAILURE
        }
    }
}

fn check(folder: &Path) -> Result<usize, Vec<String>> {
    search::prove_that_it_finds().map_err(|why| vec![format!("the search is no good: {why}")])?;
    let searched = search::search(folder).map_err(|error| vec![format!("{}: {error}", folder.display())])?;
    let mut problems: Vec<String> =
        searched.found.iter().map(|found| format!("a secret is in {found}")).collect();
    for (what, end) in EXPECTED {
        if !searched.files.iter().any(|file| file.ends_with(end)) {
            problems.push(format!("no test left {what} (…{end}) in {}", folder.display()));
        }
    }
    if problems.is_empty() { Ok(searched.files.len()) } else { Err(problems) }
}
