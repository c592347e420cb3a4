//! `lunabot-worker start` and `restart`: from where, and how.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use crate::cli::{
    LogFormat,
    bot::{
        background,
        foreground::{self, Stage},
        on_runtime,
        ready::{Origin, Ready},
        stop,
    },
    failure::{Failure, Kind},
};

/// What `start` takes.
#[derive(Debug, Args)]
pub(super) struct StartOptions {
    /// The worker's folder
    #[arg(value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
    /// Stay in the foreground, and log to standard error, too
    #[arg(long)]
    pub(super) nodaemon: bool,
    /// The file with the password, whatever the settings say of it
    #[arg(long, value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
    /// How the log on standard error is written
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(super) log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or `lunabot::bot=debug,info`
    #[arg(long, default_value = "info", env = "LUNABOT_LOG")]
    pub(super) log_level: String,
    /// Say nothing but what is wrong
    #[arg(long, short)]
    pub(super) quiet: bool,
    /// How a worker is started in the background
    #[arg(long, hide = true)]
    pub(super) in_background: bool,
}

/// Starts a worker.
pub(super) fn run(options: &StartOptions) -> Result<ExitCode, Failure> {
    let origin = Origin::find(options.dir.as_deref())?;
    // All that can be told before it runs is told here, to whoever asks.
    let ready = Ready::prepare(&origin, options.password_file.as_deref())?;
    ready.folder.must_be_free()?;
    let stage = match &origin {
        _ if options.in_background => Stage::Background,
        Origin::File(_) if !options.nodaemon => {
            return on_runtime(background::start(&ready.folder, options));
        }
        Origin::File(_) | Origin::Variables(_) => Stage::Foreground(options.log_format),
    };
    foreground::run(ready, stage, &options.log_level)
}

/// Stops a worker, if it runs, and starts it.
pub(super) fn again(options: &StartOptions) -> Result<ExitCode, Failure> {
    let origin = Origin::find(options.dir.as_deref())?;
    // A worker that could not be started again is not stopped.
    Ready::prepare(&origin, options.password_file.as_deref())?;
    let stopped = on_runtime(stop::end(origin.folder()))?;
    if !options.quiet && stopped.is_none() {
        anstream::eprintln!("no worker ran in {}", origin.folder().root().display());
    }
    run(options)
}

/// A failure for a folder that has no settings.
pub(super) fn no_worker(folder: &super::folder::WorkerFolder) -> Failure {
    let dir = folder.root().display();
    let text = format!("there is no worker in {dir}: it has no worker.toml");
    let hint = if folder.tac().exists() {
        format!("`lunabot-worker create-worker --from-tac {dir}` takes over the settings of its buildbot.tac")
    } else {
        format!("make one with `lunabot-worker create-worker {dir} MASTER NAME`")
    };
    Failure::message(Kind::Failed, text).hint(hint)
}
