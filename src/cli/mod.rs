//! The command line: ask and show, decide nothing.
//!
//! # Laws
//! - What was asked for goes to standard output; what went wrong, and the progress of waiting, to standard error.
//! - A terminal gets colours and tables, a pipe plain text, `--json` JSON.
//! - An error has its cause, a hint where there is one, and an exit code ([`failure`]).

pub mod bot;
mod builds;
mod check_secrets;
mod checkconfig;
mod create_master;
mod explain;
pub mod failure;
mod follow;
mod force;
mod hash_password;
#[cfg(test)]
mod kept_log;
mod locks;
mod log;
mod log_file;
mod log_mask;
mod log_source;
mod logging;
mod mail_test;
mod master;
mod outbox;
mod password;
mod reconfig;
mod service;
mod start;
mod stop;
mod table;
mod worker;
mod workers;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use failure::Failure;
use outbox::LetterDeed;
use worker::WorkerDeed;

use crate::{config, definition::quantity};

/// A continuous-integration master in the manner of Buildbot, configured in Lua.
#[derive(Debug, Parser)]
#[command(name = "lunabot", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 refused or failed, also a build that failed; 2 wrong usage; 3 no master runs;
4 a master runs already; 5 the machine does not let it; 11 a forced build ended in an exception;
13 it was cancelled.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a folder for a new master, with a configuration that runs as it is
    CreateMaster {
        /// The folder; made if it is missing
        dir: PathBuf,
        /// Only write what editors need, over that of an older version; touch nothing else
        #[arg(long)]
        editor: bool,
    },
    /// Check a configuration without running it: all problems at once
    Checkconfig {
        /// A master's folder, or a configuration file
        #[arg(default_value = ".")]
        path: PathBuf,
        /// Count warnings as errors
        #[arg(long)]
        strict: bool,
        #[command(flatten)]
        limits: ConfigLimits,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Hash a worker's password, read from standard input, for its `password` in the configuration
    HashPassword,
    /// Run the master in the foreground
    Start {
        /// The master's folder
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// How the log on standard error is written
        #[arg(long, value_enum, default_value_t = LogFormat::Text)]
        log_format: LogFormat,
        /// What is logged: error, warn, info, debug, trace, or `lunabot::worker=debug,info`
        #[arg(long, default_value = "info", env = "LUNABOT_LOG")]
        log_level: String,
        #[command(flatten)]
        limits: ConfigLimits,
    },
    /// Stop a running master, and return when it has stopped
    Stop {
        /// The master's folder
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Let running builds end first
        #[arg(long)]
        clean: bool,
    },
    /// Apply the configuration on disk to the running master
    Reconfig {
        /// The master's folder
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Only tell what would change
        #[arg(long)]
        dry_run: bool,
        /// Refuse it, and change nothing, if it would cut more links of workers than this
        #[arg(long, value_name = "N")]
        max_disconnects: Option<u32>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the workers and what they are doing
    Workers {
        /// The master's folder
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the locks: who holds them, and who waits for them in which order
    Locks {
        /// The master's folder
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the letters that are not sent yet, or have one tried again or dropped
    Outbox {
        /// The master's folder
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// What; without it, all letters are shown
        #[arg(value_enum, requires = "letter")]
        deed: Option<LetterDeed>,
        /// The letter's number
        #[arg(value_name = "ID")]
        letter: Option<i64>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell why a request does not run now: for each worker why not, and what would change that
    Explain {
        /// The master's folder
        dir: PathBuf,
        /// The request's number; or a builder, of which the first request that waits is meant
        request: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one worker in full, or pause, unpause, stop, resume, kill or release it
    Worker {
        /// The master's folder
        dir: PathBuf,
        /// What
        #[arg(value_enum)]
        deed: WorkerDeed,
        /// The worker
        name: String,
        /// Why, for those who look at it later
        #[arg(long)]
        reason: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Ask for a build
    Force {
        /// The master's folder
        dir: PathBuf,
        /// The builder
        builder: String,
        /// A property of the build; may be given several times
        #[arg(short, long = "property", value_name = "NAME=VALUE", value_parser = force::parse_property)]
        property: Vec<(String, String)>,
        /// The force scheduler; the first one that asks this builder, unless given
        #[arg(long)]
        scheduler: Option<String>,
        /// Why
        #[arg(long)]
        reason: Option<String>,
        /// Before requests of lower priority; the scheduler's, unless given
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        priority: Option<i32>,
        /// Follow the build's log, and let the exit code tell its outcome
        #[arg(long)]
        wait: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the newest builds
    Builds {
        /// The master's folder
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Only those of this builder
        #[arg(long)]
        builder: Option<String>,
        /// How many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Send a mail as the configuration says, and show what is said on the way; no master needs to run
    MailTest {
        /// The master's folder
        dir: PathBuf,
        /// To whom
        address: String,
        /// The reporter whose way it goes; the first one, unless given
        #[arg(long, value_name = "NAME")]
        reporter: Option<String>,
    },
    /// Print the log of a build
    Log {
        /// The master's folder
        dir: PathBuf,
        /// The builder
        builder: String,
        /// The number of the build
        number: i64,
        /// Only this step
        step: Option<String>,
        /// Go on until the build has ended
        #[arg(long, short)]
        follow: bool,
    },
}

/// How much one load of the configuration may use; a running master keeps this for each reload.
#[derive(Clone, Copy, Debug, Args)]
pub struct ConfigLimits {
    /// How much memory a load of the configuration may take
    #[arg(long = "config-memory", value_name = "SIZE", default_value = "256 MiB", value_parser = parse_memory)]
    memory: usize,
    /// How many instructions a load of the configuration may take
    #[arg(long = "config-instructions", value_name = "N", default_value_t = config::Limits::default().instructions,
          value_parser = clap::value_parser!(u64).range(100_000..))]
    instructions: u64,
    /// How long a load of the configuration may take
    #[arg(long = "config-time", value_name = "SPAN", default_value = "5s", value_parser = parse_wall)]
    time: Duration,
}

impl ConfigLimits {
    const fn limits(self) -> config::Limits {
        config::Limits { instructions: self.instructions, memory_bytes: self.memory, wall: self.time }
    }
}

/// Below this not even the constructors have room.
const LEAST_MEMORY: i64 = 8 << 20;

/// More is no limit any more.
const MOST_MEMORY: i64 = 64 << 30;

fn parse_memory(text: &str) -> Result<usize, String> {
    let bytes = quantity::size(text).map_err(|error| error.to_string())?;
    if !(LEAST_MEMORY..=MOST_MEMORY).contains(&bytes) {
        return Err("takes from 8 MiB to 64 GiB".to_owned());
    }
    usize::try_from(bytes).map_err(|error| error.to_string())
}

fn parse_wall(text: &str) -> Result<Duration, String> {
    let seconds = quantity::span(text).map_err(|error| error.to_string())?;
    // A reload is answered within 50 s.
    if (0.1..=40.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("takes from 100ms to 40s".to_owned())
    }
}

/// How a log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one object a line.
    Json,
}

/// Runs a command to its end.
pub async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.command {
        Command::CreateMaster { dir, editor: true } => create_master::editor(&dir),
        Command::CreateMaster { dir, editor: false } => create_master::run(&dir),
        Command::Checkconfig { path, strict, limits, json } => {
            let how = checkconfig::How { strict, json };
            checkconfig::run(&path, limits.limits(), how).await
        }
        Command::HashPassword => hash_password::run().await,
        Command::Start { dir, log_format, log_level, limits } => {
            start::run(&dir, log_format, &log_level, limits.limits()).await
        }
        Command::Stop { dir, clean } => stop::run(&dir, clean).await,
        Command::Reconfig { dir, dry_run, max_disconnects, json } => {
            reconfig::run(&dir, dry_run, max_disconnects, json).await
        }
        Command::Explain { dir, request, json } => explain::run(&dir, &request, json).await,
        Command::MailTest { dir, address, reporter } => {
            mail_test::run(&dir, &address, reporter.as_deref()).await
        }
        Command::Locks { dir, json } => locks::run(&dir, json).await,
        Command::Outbox { dir, deed, letter, json } => match deed.zip(letter) {
            None => outbox::run(&dir, json).await,
            Some((deed, letter)) => outbox::order(&dir, deed, letter, json).await,
        },
        Command::Workers { dir, json } => workers::run(&dir, json).await,
        Command::Worker { dir, deed, name, reason, json } => {
            worker::run(&dir, deed, &name, reason.as_deref(), json).await
        }
        Command::Force { dir, builder, property, scheduler, reason, priority, wait, json } => {
            let wish = force::Wish { builder, properties: property, scheduler, reason, priority };
            force::run(&dir, wish, wait, json).await
        }
        Command::Builds { dir, builder, limit, json } => {
            builds::run(&dir, builder.as_deref(), limit, json).await
        }
        Command::Log { dir, builder, number, step, follow } => {
            log::run(&dir, &builder, number, step.as_deref(), follow).await
        }
    }
}
