//! `lunabot-worker start`: the worker in the background, until it has attached.
//!
//! The program starts itself again, and hears of that whether it has attached: a line on its standard output. Its
//! standard error is the end of `worker.log`, for what is said outside the log.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use crate::{
    cli::{
        bot::{folder::WorkerFolder, start::StartOptions},
        failure::{Failure, Kind},
        log_file,
    },
    exec::{Heard, detached},
};

/// How long it is waited for. Source: `buildbot-worker start`.
const ATTACHED_WITHIN: Duration = Duration::from_secs(10);

/// How much of the log is shown when something went wrong.
const SHOWN_LINES: usize = 10;
const SHOWN_BYTES: u64 = 16 * 1024;

/// Starts the worker of a folder, whose path is its true one.
pub(super) async fn start(folder: &WorkerFolder, options: &StartOptions) -> Result<ExitCode, Failure> {
    let log = folder.log();
    let failed = |text: String| Failure::message(Kind::Failed, text);
    let unwritable = |error: io::Error| failed(format!("cannot write the log {}: {error}", log.display()));
    let stderr = log_file::append_to(&log).map_err(unwritable)?;
    let before = stderr.metadata().map_err(unwritable)?.len();
    let mut arguments: Vec<OsString> =
        ["start", "--in-background", "--log-level", &options.log_level].map(OsString::from).into();
    if let Some(path) = &options.password_file {
        let path = std::path::absolute(path).map_err(|error| failed(error.to_string()))?;
        arguments.extend(["--password-file".into(), path.into()]);
    }
    arguments.extend(["--".into(), folder.root().into()]);
    let unstartable =
        |error: io::Error| failed(format!("cannot start the worker in the background: {error}"));
    let program = std::env::current_exe().map_err(unstartable)?;
    let mut worker = detached(&program, &arguments, folder.root(), stderr).map_err(unstartable)?;
    let (id, dir) = (worker.id(), folder.root().display());
    let heard = worker.hear(ATTACHED_WITHIN).await.map_err(unstartable)?;
    if heard == Heard::Line {
        if !options.quiet {
            anstream::println!("the worker in {dir} is attached, with the process id {id}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    for line in last_lines(&log, before) {
        anstream::eprintln!("{line}");
    }
    let log = log.display();
    Err(match heard {
        Heard::Closed(status) => {
            let how = status.and_then(|status| status.code());
            let how = how.map_or_else(String::new, |code| format!(" (exit code {code})"));
            failed(format!("the worker in {dir} has ended{how}"))
                .hint(format!("the end of its log {log} is above"))
        }
        Heard::Line | Heard::Nothing => {
            let seconds = ATTACHED_WITHIN.as_secs();
            let text = format!(
                "the worker in {dir} has not attached within {seconds} s; it goes on trying, with the process id {id}"
            );
            failed(text)
                .hint(format!("its log is {log}, the end is above; `lunabot-worker stop {dir}` ends it"))
        }
    })
}

/// The last lines of a log of those that came after its first `before` bytes.
fn last_lines(path: &Path, before: u64) -> Vec<String> {
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        // It may have been set aside.
        let from = if size < before { 0 } else { before };
        file.seek(SeekFrom::Start(from.max(size.saturating_sub(SHOWN_BYTES))))?;
        let mut bytes = Vec::new();
        file.take(SHOWN_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].to_vec()
}

/// Tells the one that has started this process that the worker is attached. Nobody may hear it any more.
pub(super) fn tell_attached() {
    use io::Write as _;
    let told = || -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "attached")?;
        out.flush()?;
        let nowhere = fs::OpenOptions::new().write(true).open("/dev/null")?;
        Ok(rustix::stdio::dup2_stdout(nowhere)?)
    };
    if let Err(error) = told() {
        tracing::debug!(%error, "nobody waits for this worker to attach");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_log_the_last_lines_of_this_life_are_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("worker.log");
        let lines: Vec<_> = (0..100).map(|number| format!("line {number}\n")).collect();
        let all = lines.concat();
        fs::write(&path, &all).unwrap();
        let expected: Vec<_> = (90..100).map(|number| format!("line {number}")).collect();
        assert_eq!(last_lines(&path, 0), expected);
        assert_eq!(last_lines(&path, 10_000), expected, "it was set aside");
        let before = all.find("line 98").unwrap() as u64;
        assert_eq!(last_lines(&path, before), ["line 98", "line 99"]);
        assert!(last_lines(&dir.path().join("none"), 0).is_empty());
    }
}
