//! Follows a request through its builds, and a build through the logs of its steps.

use std::{
    io::{IsTerminal as _, Write as _},
    time::Duration,
};

use anstyle::{AnsiColor, Style};
use serde_json::Value;
use tokio::time;

use crate::{
    cli::{
        failure::{Failure, Kind},
        master::{RunningMaster, text},
        table,
    },
    model::{LogStream, Outcome, RecordReader},
};

/// How often the master is asked for news.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What is shown of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// Nothing.
    None,
    /// Its log.
    Log,
}

/// How a request ended.
pub(super) struct Done {
    /// Its outcome.
    pub(super) outcome: Outcome,
    /// Its last build; none if it was cancelled or gave way to another while it waited.
    pub(super) build: Option<Value>,
    /// Why it ended, where no build says it.
    pub(super) because: Option<String>,
}

/// Waits until a request is complete, and shows its builds meanwhile.
pub(super) async fn request(master: &RunningMaster, request: i64, output: Output) -> Result<Done, Failure> {
    let mut shown: Vec<i64> = Vec::new();
    let mut waiting_told = false;
    loop {
        let row = master.one("buildrequests", &format!("/buildrequests/{request}")).await?;
        let row =
            row.ok_or_else(|| Failure::message(Kind::Failed, format!("build request {request} is gone")))?;
        let id = request.to_string();
        let pairs = [("buildrequestid", id.as_str()), ("order", "buildid")];
        let builds = master.list("builds", "/builds", &pairs).await?;
        for build in &builds {
            let Some(id) = build["buildid"].as_i64().filter(|id| !shown.contains(id)) else { continue };
            shown.push(id);
            if output == Output::Log {
                self::build(master, id, Show::steps(None, true)).await?;
            }
        }
        if let (Some(true), Some(outcome)) = (row["complete"].as_bool(), table::outcome_of(&row)) {
            let last = builds.last().and_then(|build| build["buildid"].as_i64());
            let build = match last {
                Some(id) => master.one("builds", &format!("/builds/{id}")).await?,
                None => None,
            };
            let because = row["ended_because"].as_str().map(str::to_owned);
            return Ok(Done { outcome, build, because });
        }
        if builds.is_empty() && !waiting_told && output == Output::Log {
            waiting_told = true;
            anstream::eprintln!("build request {request} waits for a worker");
        }
        time::sleep(LOOK_EVERY).await;
    }
}

/// Which steps of a build are shown, and until when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Show<'a> {
    only: Option<&'a str>,
    until_complete: bool,
}

impl<'a> Show<'a> {
    /// All steps or one; until the build is complete or only what is there.
    pub(super) const fn steps(only: Option<&'a str>, until_complete: bool) -> Self {
        Self { only, until_complete }
    }
}

/// Shows the logs of a build's steps in their order; says how many steps were shown.
pub(super) async fn build(master: &RunningMaster, build: i64, show: Show<'_>) -> Result<usize, Failure> {
    let mut next = 0;
    let mut shown = 0;
    loop {
        // Asked before its steps: a build that is complete gets no more of them.
        let row = master.one("builds", &format!("/builds/{build}")).await?.unwrap_or_default();
        let complete = row["complete"].as_bool().unwrap_or(true);
        let offset = next.to_string();
        let pairs = [("order", "number"), ("offset", offset.as_str())];
        let steps = master.list("steps", &format!("/builds/{build}/steps"), &pairs).await?;
        for step in &steps {
            next += 1;
            if show.only.is_none_or(|only| text(step, "name") == only) {
                shown += 1;
                self::step(master, step, show).await?;
            }
        }
        if complete || !show.until_complete {
            return Ok(shown);
        }
        if steps.is_empty() {
            time::sleep(LOOK_EVERY).await;
        }
    }
}

async fn step(master: &RunningMaster, step: &Value, show: Show<'_>) -> Result<(), Failure> {
    let bold = Style::new().bold();
    let id = step["stepid"].as_i64().unwrap_or_default();
    if show.only.is_none() {
        anstream::eprintln!("{bold}--- {} ---{bold:#}", text(step, "name"));
    }
    let mut told = 0;
    loop {
        let row = master.one("steps", &format!("/steps/{id}")).await?.unwrap_or_default();
        let logs = master.list("logs", &format!("/steps/{id}/logs"), &[("order", "logid")]).await?;
        for log in logs.iter().skip(told) {
            told += 1;
            let path =
                format!("/logs/{}/{}", log["logid"], if show.until_complete { "follow" } else { "records" });
            self::log(master, &path).await?;
        }
        if row["complete"].as_bool().unwrap_or(true) {
            if told == 0 && !text(&row, "state_string").is_empty() {
                anstream::eprintln!("{}", text(&row, "state_string"));
            }
            return Ok(());
        }
        if !show.until_complete {
            return Ok(());
        }
        time::sleep(LOOK_EVERY).await;
    }
}

/// Prints the records of a log as they come.
async fn log(master: &RunningMaster, path: &str) -> Result<(), Failure> {
    let mut pieces = master.api.stream(path).await?;
    let mut printer = Printer::new();
    while let Some(piece) = pieces.next().await? {
        printer.print(&piece).map_err(|error| Failure::new(Kind::Failed, error))?;
    }
    Ok(())
}

/// Prints records: to a terminal with colours for what is not plain output, to a pipe the bytes as they were.
struct Printer {
    colours: bool,
    reader: RecordReader,
}

impl Printer {
    fn new() -> Self {
        Self { colours: std::io::stdout().is_terminal(), reader: RecordReader::new() }
    }

    fn print(&mut self, piece: &[u8]) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        self.reader.feed(piece, |stream, bytes| {
            let style = match stream {
                LogStream::Header => AnsiColor::Blue.on_default(),
                LogStream::Stderr => AnsiColor::Red.on_default(),
                LogStream::Stdout => Style::new(),
            };
            if self.colours {
                write!(out, "{style}")?;
                out.write_all(bytes)?;
                write!(out, "{style:#}")
            } else {
                out.write_all(bytes)
            }
        })?;
        out.flush()
    }
}
