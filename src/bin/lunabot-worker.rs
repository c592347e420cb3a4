//! The worker's command line: parse, run, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use lunabot::{cli::bot, exec};

fn main() -> ExitCode {
    // First of all: this process may be a child on its way to become a command.
    if let Some(code) = exec::launch::stand_by() {
        return code;
    }
    bot::run(bot::Arguments::parse()).unwrap_or_else(|failure| failure.report())
}
