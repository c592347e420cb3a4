//! The master's command line: parse, run, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use lunabot::{cli, exec};

fn main() -> ExitCode {
    // First of all: this process may be a child on its way to become a command.
    if let Some(code) = exec::launch::stand_by() {
        return code;
    }
    let arguments = cli::Arguments::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return cli::failure::Failure::new(cli::failure::Kind::Environment, error).report(),
    };
    let outcome = runtime.block_on(cli::run(arguments));
    // What still blocks (a look-up of a host, an interpreter that was given up) must not keep the process.
    runtime.shutdown_background();
    outcome.unwrap_or_else(|failure| failure.report())
}
