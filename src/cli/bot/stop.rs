//! `lunabot-worker stop`.

use std::{path::Path, process::ExitCode, time::Duration};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal},
};
use tokio::time::{self, Instant};

use crate::{
    cli::{
        bot::{folder::WorkerFolder, start::no_worker},
        failure::{Failure, Kind},
    },
    master::pid_lock::Holder,
};

/// How long a worker may take to stop: killing its commands and closing its connection takes less.
const STOPPED_WITHIN: Duration = Duration::from_secs(60);

/// How often the folder is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Stops the worker of a folder, and returns when it has stopped.
pub(super) async fn run(dir: &Path, quiet: bool) -> Result<ExitCode, Failure> {
    let folder = WorkerFolder::new(dir);
    if !folder.settings().exists() && !folder.pid().exists() {
        return Err(no_worker(&folder));
    }
    let stopped = end(&folder).await?;
    if !quiet {
        let dir = dir.display();
        match stopped {
            Some(pid) => anstream::println!("the worker in {dir}, with the process id {pid}, is stopped"),
            // No failure, as with `buildbot-worker`: what is asked for is so.
            None => anstream::println!("no worker runs in {dir}"),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Ends whoever holds the folder, and waits until it is gone; whom, if there was somebody.
pub(super) async fn end(folder: &WorkerFolder) -> Result<Option<u32>, Failure> {
    let limit = Instant::now() + STOPPED_WITHIN;
    let mut told = None;
    while let Some(holder) = folder.holder() {
        // One that has just begun has not said yet who it is.
        if told.is_none() {
            told = signal(folder, holder)?;
        }
        if Instant::now() >= limit {
            let whose = told.map_or_else(String::new, |pid: u32| format!(", with the process id {pid},"));
            let seconds = STOPPED_WITHIN.as_secs();
            let text =
                format!("the worker in {}{whose} did not stop within {seconds} s", folder.root().display());
            return Err(Failure::message(Kind::Failed, text).hint(format!("see {}", folder.log().display())));
        }
        time::sleep(LOOK_EVERY).await;
    }
    Ok(told)
}

/// Sends SIGTERM; to whom, if the holder has said who it is.
fn signal(folder: &WorkerFolder, holder: Holder) -> Result<Option<u32>, Failure> {
    let Some(pid) = holder.pid else { return Ok(None) };
    let Some(process) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
    let send = || {
        let pidfd = pidfd_open(process, PidfdFlags::empty());
        // Asked again: if it has ended meanwhile, its number may be another's, and that one holds nothing.
        if folder.holder() != Some(holder) {
            return Ok(());
        }
        match pidfd {
            Ok(pidfd) => pidfd_send_signal(pidfd, Signal::TERM),
            Err(Errno::NOSYS) => kill_process(process, Signal::TERM),
            Err(error) => Err(error),
        }
    };
    match send() {
        Ok(()) | Err(Errno::SRCH) => Ok(Some(pid)),
        Err(error) => {
            let text = format!(
                "cannot stop the worker in {}, with the process id {pid}: {error}",
                folder.root().display()
            );
            Err(Failure::message(Kind::Failed, text))
        }
    }
}
