//! `lunabot-worker info`.

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::Context as _;

use crate::{
    bot,
    cli::failure::{Failure, Kind},
    model::WorkerInfo,
};

/// Shows what this machine would tell a master.
pub(super) fn run(dir: &Path, json: bool) -> Result<ExitCode, Failure> {
    let failed = |error: anyhow::Error| Failure::new(Kind::Failed, error);
    let cause = || format!("cannot use the folder `{}`", dir.display());
    let dir = dir.canonicalize().with_context(cause).map_err(failed)?;
    if !dir.is_dir() {
        let error = anyhow::Error::new(io::Error::from(io::ErrorKind::NotADirectory)).context(cause());
        return Err(failed(error));
    }
    match show(&bot::info::gather(&dir), json) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        shown => shown.context("cannot write the answer").map_err(failed)?,
    }
    Ok(ExitCode::SUCCESS)
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
