//! The worker's program: parse, run, exit code.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Parser, Subcommand};
use lunabot::{bot, exec, model::WorkerInfo};

/// A worker for a Lunabot master.
///
/// It cannot connect to a master over the network yet: the protocols for that come with a later version. Until then a
/// master runs commands on its own machine by a LocalWorker, which needs no other program, and `lunabot-worker info`
/// shows what this machine would tell a master.
///
/// Exit code: 0 if all went well, 1 if not, 2 if the command line is wrong.
#[derive(Debug, Parser)]
#[command(name = "lunabot-worker", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows what this machine would tell a master of itself.
    Info {
        /// The worker's folder; the notes in its `info` folder (`admin`, `host`) are told, too.
        #[arg(long, value_name = "DIR", default_value = ".")]
        basedir: PathBuf,
        /// As one JSON object instead of a line a fact.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    // First of all: this process may be a child on its way to become a command.
    if let Some(code) = exec::launch::stand_by() {
        return code;
    }
    let Command::Info { basedir, json } = Cli::parse().command;
    match info(&basedir, json) {
        Ok(()) => ExitCode::SUCCESS,
        // The chain on one line, so that it reads well in any log.
        Err(error) => {
            // There is nowhere left to say that this cannot be said.
            drop(writeln!(io::stderr(), "lunabot-worker: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn info(basedir: &Path, json: bool) -> anyhow::Result<()> {
    let cause = || format!("cannot use the folder `{}`", basedir.display());
    let basedir = basedir.canonicalize().with_context(cause)?;
    if !basedir.is_dir() {
        return Err(io::Error::from(io::ErrorKind::NotADirectory)).with_context(cause);
    }
    let info = bot::info::gather(&basedir);
    match show(&info, json) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        shown => shown.context("cannot write the answer"),
    }
}

fn show(info: &WorkerInfo, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, info)?;
        writeln!(out)?;
    } else {
        let width = info.0.keys().map(String::len).max().unwrap_or(0);
        for (name, value) in &info.0 {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let indented = text.replace('\n', &format!("\n{:width$}  ", ""));
            writeln!(out, "{name:width$}  {indented}")?;
        }
    }
    out.flush()
}
