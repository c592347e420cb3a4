//! `lunabot checkconfig`: all problems of a configuration at once, without a socket or a database.

use std::{fmt::Write as _, io::IsTerminal as _, path::Path, process::ExitCode};

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use crate::{
    cli::{
        check_secrets,
        failure::{Failure, Kind},
    },
    config::{self, Sources},
    definition::{
        Problem,
        problem::{arrange, fold},
    },
    reporter::mail,
};

/// How it is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    /// Warnings count as errors.
    pub(super) strict: bool,
    /// For programs.
    pub(super) json: bool,
}

/// Checks a configuration; exit code 1 if it cannot be used.
pub(super) async fn run(path: &Path, limits: config::Limits, how: How) -> Result<ExitCode, Failure> {
    let file = if path.is_dir() { path.join("master.cfg.lua") } else { path.to_owned() };
    let (checked, sources) = match config::load(&file, limits).await {
        Ok(loaded) => loaded.check_whole(),
        Err(error) => return unread(path, &file, error, how),
    };
    let (problems, summary) = match checked {
        Ok(mut checked) => {
            let root = file.parent().unwrap_or(Path::new(""));
            let mut found = check_secrets::problems(&checked, root).await;
            found.extend(mail::problems(&checked.definition));
            sources.refine(&mut found);
            checked.warnings.append(&mut found);
            let is_good = !checked.warnings.iter().any(Problem::is_error);
            (arrange(checked.warnings), is_good.then(|| checked.definition.summary()))
        }
        Err(problems) => (problems, None),
    };
    let is_good = summary.is_some() && (problems.is_empty() || !how.strict);
    let code = if is_good { ExitCode::SUCCESS } else { ExitCode::from(Kind::Failed.exit_code()) };
    if how.json {
        let shapes: Vec<Value> = problems.iter().map(|problem| shape(problem, &sources)).collect();
        let answer = json!({ "file": file, "good": is_good, "summary": summary, "problems": shapes });
        anstream::println!("{answer:#}");
        return Ok(code);
    }
    let (errors, warnings) = counts(&problems);
    let is_terminal = std::io::stdout().is_terminal();
    for problem in fold(problems) {
        if is_terminal {
            anstream::println!("{}", drawn(&problem, &sources));
        } else {
            anstream::println!("{problem}");
        }
    }
    match summary {
        Some(summary) if is_good => anstream::println!("{}: good: {summary}", file.display()),
        Some(_) => anstream::eprintln!("{warnings}, which --strict does not let pass"),
        None => anstream::eprintln!("{errors}"),
    }
    Ok(code)
}

/// There is nothing to check, which is no fault of the configuration.
fn unread(path: &Path, file: &Path, error: config::LoadError, how: How) -> Result<ExitCode, Failure> {
    let hint = format!("make one with `lunabot create-master {}`", path.display());
    let failure = Failure::from(error).hint((path.is_dir() && !file.exists()).then_some(hint));
    if !how.json {
        return Err(failure);
    }
    let problem = Problem::error(None, failure.to_string());
    let problems = [shape(&problem, &Sources::default())];
    anstream::println!("{:#}", json!({ "file": file, "good": false, "summary": null, "problems": problems }));
    Ok(failure.exit_code())
}

fn counts(problems: &[Problem]) -> (String, String) {
    let count = |n: usize, noun: &str| if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") };
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    (count(errors, "problem"), count(problems.len() - errors, "warning"))
}

/// A problem for programs, with its line.
fn shape(problem: &Problem, sources: &Sources) -> Value {
    let mut shape = problem.to_json();
    shape["source"] = problem.place.as_ref().and_then(|place| sources.line(place)).into();
    shape
}

/// A problem for a person at a terminal: what, where, its line, and what to do.
fn drawn(problem: &Problem, sources: &Sources) -> String {
    const LAW: &str = "a string takes all that is written to it";
    let (bold, dim) = (Style::new().bold(), Style::new().dimmed());
    let (word, colour) = if problem.is_error() {
        ("error", AnsiColor::Red.on_default().bold())
    } else {
        ("warning", AnsiColor::Yellow.on_default().bold())
    };
    let mut out = format!("{colour}{word}{colour:#}{bold}: {}{bold:#}\n", problem.text);
    if let Some(place) = &problem.place {
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        writeln!(out, "{margin}{dim}-->{dim:#} {place}").expect(LAW);
        if let Some(line) = sources.line(place).filter(|line| !line.trim().is_empty()) {
            let (line, caret) = window(line, place.column);
            writeln!(out, "{dim}{number} |{dim:#} {line}").expect(LAW);
            if let Some(caret) = caret {
                writeln!(out, "{margin} {dim}|{dim:#} {}{colour}^{colour:#}", " ".repeat(caret)).expect(LAW);
            }
        }
        for frame in &problem.trace {
            writeln!(out, "{margin} {dim}= called from{dim:#} {frame}").expect(LAW);
        }
        if let Some(hint) = &problem.hint {
            writeln!(out, "{margin} {dim}={dim:#} {bold}hint{bold:#}: {hint}").expect(LAW);
        }
    } else if let Some(hint) = &problem.hint {
        writeln!(out, "  {dim}={dim:#} {bold}hint{bold:#}: {hint}").expect(LAW);
    }
    out
}

/// The part of a line that people can read, without control characters, and where in it the column is.
fn window(line: &str, column: u32) -> (String, Option<usize>) {
    const WIDE: usize = 110;
    const BEFORE: usize = 60;
    let chars: Vec<char> = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let column = usize::try_from(column).unwrap_or(0).checked_sub(1).filter(|column| *column < chars.len());
    let blank = chars.iter().take_while(|c| **c == ' ').count();
    let begin = match column {
        Some(column) if column > blank + WIDE - BEFORE => column - BEFORE,
        _ => blank.min(column.unwrap_or(blank)),
    };
    let mut shown: String = chars.iter().skip(begin).take(WIDE).collect();
    let mut caret = column.map(|column| column - begin);
    if begin > blank {
        shown.insert(0, '…');
        caret = caret.map(|caret| caret + 1);
    }
    if chars.len() > begin + WIDE {
        shown.push('…');
    }
    (shown.trim_end().to_owned(), caret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{definition::problem::Frame, model::Place};

    #[test]
    fn a_problem_at_a_terminal_shows_its_line_and_points_at_the_column() {
        let mut problem = Problem::error(Place::new("master.cfg.lua", 14).column(5), "unknown option `x`")
            .hint("did you mean `y`?".to_owned());
        problem.trace.push(Frame { place: Place::new("lib/a.lua", 3), function: Some("make".into()) });
        // Without the text, all else is still told.
        let drawn = drawn(&problem, &Sources::default());
        let plain = anstream::adapter::strip_str(&drawn).to_string();
        let expected = "error: unknown option `x`\n  --> master.cfg.lua:14:5\n   = called from lib/a.lua:3 in `make`\n   \
                        = hint: did you mean `y`?\n";
        assert_eq!(plain, expected);
    }

    #[test]
    fn a_long_line_is_cut_around_its_column() {
        assert_eq!(window("  a = b", 7), ("a = b".into(), Some(4)));
        assert_eq!(window("\tx", 0), ("x".into(), None));
        let long = format!("{}HERE{}", "-".repeat(300), "+".repeat(300));
        let (shown, caret) = window(&long, 301);
        let caret = caret.expect("it is within");
        assert_eq!(shown.chars().skip(caret).take(4).collect::<String>(), "HERE");
        assert!(shown.chars().count() < 120 && shown.starts_with('…') && shown.ends_with('…'));
        assert_eq!(window("short", 99).1, None);
    }
}
