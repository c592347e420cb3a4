//! The command line of `lunabot-worker`.
//!
//! # Laws
//! - An exit code is 0, 1 or 2, as the help says: a service manager knows no more of them.
//! - No password is in an error, a log, or the list of processes by our doing.
//! - No thread runs before the umask is set and the process has left its session.
//!
//! # Not here
//! What is said to a master, and when it is tried again (`bot::remote`).

mod background;
mod check;
mod create;
#[cfg(test)]
mod documents;
mod endpoint;
mod file;
mod folder;
mod foreground;
mod info;
mod key;
mod options;
mod python;
mod ready;
mod settings;
mod stamp;
mod start;
mod stop;
mod tac;
mod value;
mod variables;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use options::Options;
use start::StartOptions;

use crate::cli::failure::{Failure, Kind};

/// A worker: it connects to its master, a Lunabot or a Buildbot, and runs the commands of builds.
#[derive(Debug, Parser)]
#[command(name = "lunabot-worker", version, max_term_width = 100, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, and for a worker in the foreground: it was stopped, or its master told it to;
1 refused or failed, also a worker that gave up (maxretries), or one in the background that has not
attached within 10 s; 2 wrong usage.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a folder for a new worker, or take over that of a `buildbot-worker`
    CreateWorker(Box<Options>),
    /// Start a worker, in the background if it has a folder with settings
    #[command(long_about = START, after_help = EXIT_CODES)]
    Start(StartOptions),
    /// Stop a running worker, and return when it has stopped
    Stop {
        /// The worker's folder
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Say nothing but what is wrong
        #[arg(long, short)]
        quiet: bool,
    },
    /// Stop a worker if it runs, and start it
    #[command(after_help = EXIT_CODES)]
    Restart(StartOptions),
    /// Show what this machine would tell a master of itself
    Info {
        /// The worker's folder; the notes in its `info` folder (`admin`, `host`) are told, too
        #[arg(long, value_name = "DIR", default_value = ".")]
        basedir: PathBuf,
        /// As one JSON object instead of a line a fact
        #[arg(long)]
        json: bool,
    },
}

const START: &str = "\
Start a worker.

With DIR, or in a folder that has a worker.toml, the settings are read from there, and the worker runs in the background: \
the command returns once it has attached to its master. With --nodaemon it stays in the foreground.

In a folder without a worker.toml the settings are read from the environment, as those of Buildbot's image: BUILDMASTER, \
BUILDMASTER_PORT (9989), BUILDMASTER_PROTOCOL (pb), WORKERNAME, WORKERPASS, WORKER_ENVIRONMENT_BLACKLIST; ours are \
WORKERPASS_FILE and BUILDMASTER_CONNECTION_STRING. The worker then runs in the current folder and in the foreground, and \
gives up after 10 failures in a row.

In the foreground SIGINT and SIGTERM stop it; SIGHUP asks the master for a stop once all builds are done, if \
allow_shutdown is `signal`.";

/// Runs a command to its end. Not within a runtime: a worker makes its own.
pub fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let outcome = match arguments.command {
        Command::CreateWorker(options) => on_runtime(create::run(*options)),
        Command::Start(options) => start::run(&options),
        Command::Stop { dir, quiet } => on_runtime(stop::run(&dir, quiet)),
        Command::Restart(options) => start::again(&options),
        Command::Info { basedir, json } => info::run(&basedir, json),
    };
    outcome.map_err(Failure::plain)
}

/// Waits for a command that needs no other thread.
fn on_runtime<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Kind::Failed, error))?;
    let outcome = runtime.block_on(command);
    // Whoever waits for a password that nobody types must not keep the process.
    runtime.shutdown_background();
    outcome
}
