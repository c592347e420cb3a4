//! `lunabot start`: the master in the foreground.

use std::{path::Path, process::ExitCode, time::Duration};

use tokio::time;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    cli::{
        LogFormat,
        failure::Failure,
        log_file::Rotation,
        logging,
        service::{Signals, notify},
    },
    config,
    exec::heritage,
    master::{self, Cause, Master, MasterFolder, MasterHandle, StopMode, Whereabouts},
    secret::Masker,
    web,
};

/// How long open requests may take to end when the master has stopped.
const REQUESTS_END_WITHIN: Duration = Duration::from_secs(5);

/// Runs the master until it is told to stop.
pub(super) async fn run(
    dir: &Path,
    format: LogFormat,
    level: &str,
    limits: config::Limits,
) -> Result<ExitCode, Failure> {
    let folder = MasterFolder::open(dir)?;
    if let Some(holder) = folder.holder() {
        return Err(master::FolderError::Taken { path: dir.to_owned(), pid: holder.pid }.into());
    }
    let masker = Masker::new();
    let log =
        logging::Log { file: &folder.log_file(), rotation: Rotation::default(), stderr: Some(format), level };
    let whereabouts = Whereabouts::default();
    logging::start(&log, &masker, &whereabouts)?;
    // Each worker is an open file, and the usual soft limit is a thousand.
    if let Err(error) = heritage::raise_open_files(ENOUGH_OPEN_FILES) {
        warn!(%error, "cannot raise the limit of open files; it bounds how many workers can be connected");
    }
    // Before anything runs: a signal during the start must find its handler.
    let mut signals = Signals::new()?;
    info!(version = env!("CARGO_PKG_VERSION"), folder = %dir.display(), "BuildMaster is starting");
    let started = tokio::select! {
        // Dropped by a signal, a start has taken nothing that the next one could not use.
        started = master::start(folder, limits, masker, whereabouts) => started,
        () = signals.stop() => {
            info!("told to stop while it was starting");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let (mut master, listener) = started.inspect_err(log_failure)?;
    for warning in &master.warnings {
        warn!("{warning}");
    }
    let stop_web = CancellationToken::new();
    let mut web = tokio::spawn(web::serve(listener, master.handle.clone(), stop_web.clone()));
    // Not kept: a configuration that nothing runs by any more lets its interpreter go.
    info!("configuration: {}", master.handle.definition().summary());
    info!("BuildMaster is running");
    notify("READY=1");

    let mode = wait_for_stop(&mut master, &mut signals).await;
    notify("STOPPING=1");
    // A second signal overtakes a clean stop that waits for builds.
    let handle = master.handle.clone();
    let overtake = tokio::spawn(async move {
        signals.stop().await;
        handle.request_stop(StopMode::Now);
    });
    master.stop(mode).await;
    overtake.abort();
    stop_web.cancel();
    if time::timeout(REQUESTS_END_WITHIN, &mut web).await.is_err() {
        web.abort();
    }
    Ok(ExitCode::SUCCESS)
}

/// The problems stand in the log, too: under a supervisor it is all that people see.
fn log_failure(failure: &master::StartError) {
    if let master::StartError::Problems { problems } = failure {
        for problem in problems {
            error!("{problem}");
        }
    }
    error!(error = failure as &dyn std::error::Error, "BuildMaster is not started");
}

async fn wait_for_stop(master: &mut Master, signals: &mut Signals) -> StopMode {
    let Signals { interrupt, terminate, hangup } = signals;
    loop {
        tokio::select! {
            // Cancel-safe: the request is still there, and a signal is kept until it is read.
            mode = master.stop_requested() => return mode,
            _ = interrupt.recv() => return StopMode::Now,
            _ = terminate.recv() => return StopMode::Now,
            // Signals that come while a reload is waited for are one, so these tasks are few.
            _ = hangup.recv() => drop(tokio::spawn(reload(master.handle.clone()))),
        }
    }
}

/// Beyond this no farm goes, and commands that close all files they might have would take long.
const ENOUGH_OPEN_FILES: u64 = 262_144;

/// Reloads, and keeps the service manager informed. What became of it is in the log already.
async fn reload(master: MasterHandle) {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    notify(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1_000_000 + now.tv_nsec / 1000));
    if let Err(failure) = master.reload(Cause::Signal, None).await {
        warn!(error = &failure as &dyn std::error::Error, "SIGHUP is heard");
    }
    notify("READY=1");
}
