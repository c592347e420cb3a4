//! Removes folders, and copies one.
//!
//! # Laws
//! - What is removed is removed by descriptors, never by paths: a link that appears meanwhile leads nowhere.
//! - A folder without permissions is given them and removed all the same. What cannot be removed is told, the rest goes.
//! - Entries that go are signs of life; limits and interrupts hold between two of them.

use std::{
    ffi::CString,
    fmt::Write as _,
    fs,
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fchmod, fstat, openat, statat, unlinkat},
    io::Errno,
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    job::{Early, FILES_LIMIT, Job, reason},
    outlet::Gone,
    shell,
};
use crate::protocol::{
    FailureReason, ShellArguments, Update,
    command::{CopyDirectory, RemoveDirectory, ShellLine},
};

/// How long a folder may take if the master sets no limit.
const REMOVE_LIMIT: Duration = Duration::from_secs(24 * 3600);
/// How often signs of life are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Folders within folders: each holds a descriptor and some stack. Paths as long as the system allows are mostly flatter.
const MAX_DEPTH: usize = 512;
/// Failures that are told; the rest is counted.
const TOLD_FAILURES: usize = 20;

/// Removes folders, to its `Complete`.
pub(super) async fn remove(job: &Job, arguments: &RemoveDirectory) -> Result<(), Gone> {
    let mut rc = 0;
    for dir in &arguments.dirs {
        // Without a `/` at its end, which would make a link the folder that it leads to.
        let path = job.folder.join(dir).components().collect::<PathBuf>();
        job.outlet.header(format!("removing {}\n", path.display())).await?;
        match remove_one(job, path, arguments).await {
            Ok(None) => {}
            Ok(Some(failures)) => {
                job.complain(failures.trim_end()).await?;
                rc = 1;
            }
            Err(Overdue::Early(Early::Gone)) => return Err(Gone),
            Err(Overdue::Early(Early::Interrupted)) => {
                job.tell_interrupt().await?;
                return job.finish(-1).await;
            }
            Err(Overdue::Early(Early::Failed(text))) => {
                job.complain(format!("rmdir: {text}")).await?;
                return job.finish(1).await;
            }
            Err(Overdue::Limit(reason, text)) => {
                job.outlet.update(Update::FailureReason(reason)).await?;
                job.outlet.header(format!("\ncommand timed out: {text}\n")).await?;
                return job.finish(-1).await;
            }
        }
    }
    job.finish(rc).await
}

/// Why a removal did not come to its end.
enum Overdue {
    Early(Early),
    Limit(FailureReason, String),
}

async fn remove_one(
    job: &Job,
    path: PathBuf,
    arguments: &RemoveDirectory,
) -> Result<Option<String>, Overdue> {
    if path.file_name().is_none() {
        // The root, or something that ends with `..`: nobody wishes that.
        return Ok(Some(format!("rmdir: refused to remove '{}'", path.display())));
    }
    job.go_on().map_err(Overdue::Early)?;
    let signs = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&signs);
    let removed = job.work(REMOVE_LIMIT, move |unwanted| sweep(&path, &told, unwanted));
    tokio::select! {
        biased;
        // The other is dropped then, and the sweep ends at its next entry.
        overdue = overdue(&signs, arguments, job.started) => Err(overdue),
        removed = removed => removed.map_err(Overdue::Early),
    }
}

async fn overdue(signs: &AtomicU64, arguments: &RemoveDirectory, started: Instant) -> Overdue {
    let (mut seen, mut seen_at) = (0, Instant::now());
    loop {
        let now = Instant::now();
        let count = signs.load(Ordering::Relaxed);
        if count != seen {
            (seen, seen_at) = (count, now);
        }
        if let Some(limit) = arguments.max_time.filter(|&limit| now - started >= limit) {
            let text = format!("{} seconds elapsed", limit.as_secs_f64());
            return Overdue::Limit(FailureReason::Timeout, text);
        }
        if let Some(limit) = arguments.timeout.filter(|&limit| now - seen_at >= limit) {
            let text = format!("{} seconds without output", limit.as_secs_f64());
            return Overdue::Limit(FailureReason::TimeoutWithoutOutput, text);
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Removes a path and all below it; what could not be removed is told.
///
/// Blocks until that is done, or `unwanted` is cancelled.
pub(super) fn sweep(path: &Path, signs: &AtomicU64, unwanted: &CancellationToken) -> Option<String> {
    let mut sweep = Sweep { signs, unwanted, failures: String::new(), failed: 0 };
    sweep.entry(CWD, path, path, 0);
    sweep.failures()
}

struct Sweep<'a> {
    signs: &'a AtomicU64,
    unwanted: &'a CancellationToken,
    failures: String,
    failed: usize,
}

impl Sweep<'_> {
    /// Removes whatever has this name in an open folder.
    fn entry(
        &mut self,
        parent: BorrowedFd<'_>,
        name: impl rustix::path::Arg + Copy,
        path: &Path,
        depth: usize,
    ) {
        if self.unwanted.is_cancelled() {
            return;
        }
        let removed = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).and_then(|stat| {
            if FileType::from_raw_mode(stat.st_mode).is_dir() {
                self.empty(parent, name, path, depth)?;
                unlinkat(parent, name, AtFlags::REMOVEDIR)
            } else {
                unlinkat(parent, name, AtFlags::empty())
            }
        });
        self.signs.fetch_add(1, Ordering::Relaxed);
        match removed {
            Ok(()) | Err(Errno::NOENT) => {}
            // Something in it was told already, or nobody listens.
            Err(Errno::NOTEMPTY) if self.failed > 0 || self.unwanted.is_cancelled() => {}
            Err(error) => self.fail(path, error),
        }
    }

    fn empty(
        &mut self,
        parent: BorrowedFd<'_>,
        name: impl rustix::path::Arg + Copy,
        path: &Path,
        depth: usize,
    ) -> rustix::io::Result<()> {
        if depth == MAX_DEPTH {
            return Err(Errno::NAMETOOLONG);
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = match openat(parent, name, flags, Mode::empty()) {
            Err(Errno::ACCESS) => {
                rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
                openat(parent, name, flags, Mode::empty())?
            }
            opened => opened?,
        };
        let mode = Mode::from_raw_mode(fstat(&folder)?.st_mode);
        if !mode.contains(Mode::RWXU) {
            fchmod(&folder, mode | Mode::RWXU)?;
        }
        // All names first: to remove while a folder is read leaves it open what is still told.
        let mut names: Vec<CString> = Vec::new();
        for entry in Dir::read_from(&folder)? {
            names.push(entry?.file_name().to_owned());
        }
        for name in names.iter().filter(|name| !matches!(name.to_bytes(), b"." | b"..")) {
            let path = path.join(name.to_string_lossy().as_ref());
            self.entry(folder.as_fd(), name.as_c_str(), &path, depth + 1);
        }
        Ok(())
    }

    fn fail(&mut self, path: &Path, error: Errno) {
        self.failed += 1;
        if self.failed <= TOLD_FAILURES {
            let reason = reason(&error.into());
            writeln!(self.failures, "rmdir: cannot remove '{}': {reason}", path.display())
                .expect("text can be written");
        }
    }

    fn failures(mut self) -> Option<String> {
        if self.failed > TOLD_FAILURES {
            writeln!(self.failures, "rmdir: and {} more", self.failed - TOLD_FAILURES)
                .expect("text can be written");
        }
        (self.failed > 0).then_some(self.failures)
    }
}

/// Copies a folder, to its `Complete`: by `cp`, so that a worker of either kind makes the same copy.
pub(super) async fn copy(job: &Job, arguments: &CopyDirectory) -> Result<(), Gone> {
    let (from, to) = (job.folder.join(&arguments.from), job.folder.join(&arguments.to));
    let above = to.parent().map(Path::to_owned);
    let made = above.clone();
    let made = job.work(FILES_LIMIT, move |_| made.map_or(Ok(()), fs::create_dir_all)).await;
    let cause = match made {
        Ok(Ok(())) => {
            let words = ["cp", "-R", "-P", "-p", "-v"].map(str::to_owned);
            let paths = [from, to].map(|path| path.to_string_lossy().into_owned());
            let copy = ShellArguments {
                shown: None,
                command: ShellLine::Argv(words.into_iter().chain(paths).collect()),
                workdir: String::new(),
                env: [].into(),
                stdin: None,
                timeout: arguments.timeout,
                max_time: arguments.max_time,
                sigterm_time: None,
                interrupt_signal: "KILL".to_owned(),
                want_stdout: true,
                want_stderr: true,
                log_environ: arguments.log_environ,
                log_files: Vec::new(),
                max_lines: None,
                use_pty: false,
            };
            return shell::run(job, copy).await;
        }
        Ok(Err(error)) => reason(&error),
        Err(Early::Failed(text)) => text,
        Err(Early::Gone) => return Err(Gone),
        Err(Early::Interrupted) => {
            job.tell_interrupt().await?;
            return job.finish(-1).await;
        }
    };
    let folder = above.as_deref().unwrap_or(Path::new(""));
    job.outlet.fail(format!("cannot make the folder `{}`: {cause}", folder.display())).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_removal_and_signs_of_life_do_not() {
        let arguments = RemoveDirectory {
            dirs: Vec::new(),
            timeout: Some(Duration::from_secs(5)),
            max_time: None,
            log_environ: false,
        };
        let signs = AtomicU64::new(0);
        let started = Instant::now();
        let alive = async {
            for _ in 0..10 {
                sleep(Duration::from_secs(4)).await;
                signs.fetch_add(1, Ordering::Relaxed);
            }
            std::future::pending::<()>().await;
        };
        let reason = tokio::select! {
            Overdue::Limit(reason, _) = overdue(&signs, &arguments, started) => reason,
            () = alive => unreachable!(),
        };
        assert_eq!(reason, FailureReason::TimeoutWithoutOutput);
        assert!(started.elapsed() >= Duration::from_secs(45), "{:?}", started.elapsed());
    }

    #[test]
    fn nothing_more_is_removed_once_nobody_waits() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        let (signs, unwanted) = (AtomicU64::new(0), CancellationToken::new());
        unwanted.cancel();
        assert_eq!(sweep(dir.path(), &signs, &unwanted), None);
        assert!(dir.path().join("a").exists());
    }
}
