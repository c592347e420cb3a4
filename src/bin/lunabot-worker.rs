//! The worker's command line: parse, run, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use lunabot::cli::bot;

fn main() -> ExitCode {
    bot::run(bot::Arguments::parse()).unwrap_or_else(|failure| failure.report())
}
