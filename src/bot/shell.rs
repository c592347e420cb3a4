//! Runs one shell command, from its folder to its `Complete`.
//!
//! The order is always: header, output, why it is killed (if it is), the rest of its log files, how it ended (if not by
//! itself), `Rc`, elapsed time, `Elapsed`, `Complete`.
//!
//! Source of the order, the texts and the exit codes: Buildbot's worker, but for a program that cannot be run, of which is
//! told what a shell would tell.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::timeout;

use super::{
    environment, header,
    job::{FILES_LIMIT, Job},
    outlet::{Gone, Outlet},
    watch::Watch,
};
use crate::{
    exec::{EndSignal, Ended, Exit, KillReason, News, Process, Program, SpawnError, Spec, spawn},
    protocol::{FailureReason, ShellArguments, Update, command::ShellLine},
};

/// Runs it to its `Complete`. If nobody listens any more it is killed, and its end is waited for.
pub(super) async fn run(job: &Job, mut arguments: ShellArguments) -> Result<(), Gone> {
    let outlet = &job.outlet;
    let interrupt_signal = match arguments.interrupt_signal.parse::<EndSignal>() {
        Ok(signal) => signal,
        Err(unknown) => return outlet.fail(format!("cannot run the command: {unknown}")).await,
    };
    // Its input is the terminal's, which cannot be closed as a pipe can.
    arguments.use_pty &= arguments.stdin.is_none();
    // Without what says nothing: `.`, and a `/` at the end.
    let dir = job.folder.join(&arguments.workdir).components().collect::<PathBuf>();
    let mut env = environment::changed(&environment::own(&job.hidden), &arguments.env);
    env.insert("PWD".into(), dir.clone().into());
    outlet.header(header::opening(&arguments, &dir, &env)).await?;
    if let Err(cause) = make_folder(&dir).await {
        return outlet.fail(format!("cannot make the folder `{}`: {cause}", dir.display())).await;
    }
    let program = match &arguments.command {
        ShellLine::Shell(line) => Program::Shell(line.clone()),
        ShellLine::Argv(words) => Program::Argv(words.iter().map(Into::into).collect()),
    };
    let mut watch = Watch::begin(outlet, &arguments.log_files, &dir).await?;
    let spec = Spec {
        env,
        stdin: arguments.stdin.take(),
        on_terminal: arguments.use_pty,
        want_stdout: arguments.want_stdout,
        want_stderr: arguments.want_stderr,
        timeout: arguments.timeout,
        max_time: arguments.max_time,
        max_lines: arguments.max_lines,
        sigterm_time: arguments.sigterm_time,
        interrupt_signal,
        mark: Some(job.mark.clone()),
        interrupt: job.interrupt.token.clone(),
        ..Spec::new(program, dir)
    };
    let started = tokio::select! {
        // Dropped unfinished, it kills what it has started.
        started = timeout(FILES_LIMIT, spawn(spec)) => started,
        () = outlet.gone.cancelled() => return Err(Gone),
    };
    let mut process = match started {
        Ok(Ok(process)) => process,
        Ok(Err(error)) => {
            let Some(code) = error.shell_code() else { return outlet.fail(with_cause(&error)).await };
            if arguments.want_stderr {
                job.complain(with_cause(&error)).await?;
            }
            return finish(outlet, code, Duration::ZERO, None).await;
        }
        Err(_) => {
            let seconds = FILES_LIMIT.as_secs();
            return outlet.fail(format!("the command did not start within {seconds} s")).await;
        }
    };
    let Some(ended) = relay(&mut process, &mut watch, &arguments, job).await else {
        process.kill().await;
        return Err(Gone);
    };
    tell_end(&ended, outlet).await
}

/// Passes news on until the end; nothing if nobody listens any more.
async fn relay(
    process: &mut Process,
    watch: &mut Watch,
    arguments: &ShellArguments,
    job: &Job,
) -> Option<Ended> {
    let outlet = &job.outlet;
    loop {
        // Either, dropped unfinished, has taken nothing.
        let news = tokio::select! {
            news = process.next() => Some(news?),
            () = watch.due() => None,
            () = outlet.gone.cancelled() => return None,
        };
        match news {
            None => watch.look(outlet, process).await.ok()?,
            Some(News::Output { stream, bytes }) => {
                outlet.update(Update::Output { stream, bytes }).await.ok()?;
            }
            Some(News::Killing(reason)) => {
                let failure = match reason {
                    KillReason::Timeout => Some(FailureReason::Timeout),
                    KillReason::TimeoutWithoutOutput => Some(FailureReason::TimeoutWithoutOutput),
                    KillReason::TooManyLines { .. } => Some(FailureReason::MaxLines),
                    KillReason::Interrupted => None,
                };
                if let Some(failure) = failure {
                    outlet.update(Update::FailureReason(failure)).await.ok()?;
                }
                outlet.header(header::killing(reason, arguments, job.interrupt.why())).await.ok()?;
            }
            Some(News::Ended(ended)) => {
                watch.look(outlet, process).await.ok()?;
                return Some(ended);
            }
        }
    }
}

async fn tell_end(ended: &Ended, outlet: &Outlet) -> Result<(), Gone> {
    if ended.left_behind {
        let text = "processes left behind held the output open: those in the command's group are killed\n";
        outlet.header(text.to_owned()).await?;
    }
    let mut failure = None;
    // Source of -1: Buildbot's worker, after a signal, and after a kill that the program took for a wish.
    let rc = match ended.exit {
        Exit::Code(0) if ended.reason.is_some() => -1,
        Exit::Code(code) => code,
        Exit::Signal(signal) => {
            outlet.header(format!("process killed by signal {signal}\n")).await?;
            -1
        }
        Exit::Undead => {
            outlet.header("SIGKILL failed to kill process\nusing fake rc=-1\n".to_owned()).await?;
            failure = Some("SIGKILL failed to kill the command, its exit code is not known".to_owned());
            -1
        }
    };
    finish(outlet, rc, ended.elapsed, failure).await
}

async fn finish(outlet: &Outlet, rc: i32, elapsed: Duration, failure: Option<String>) -> Result<(), Gone> {
    outlet.update(Update::Rc(rc)).await?;
    outlet.header(format!("elapsedTime={:.6}\n", elapsed.as_secs_f64())).await?;
    outlet.update(Update::Elapsed(elapsed)).await?;
    outlet.complete(failure).await
}

async fn make_folder(dir: &Path) -> Result<(), String> {
    match timeout(FILES_LIMIT, tokio::fs::create_dir_all(dir)).await {
        Ok(made) => made.map_err(|error| error.to_string()),
        Err(_) => Err(format!("not done within {} s", FILES_LIMIT.as_secs())),
    }
}

/// One line for the log: the error, and what caused it.
fn with_cause(error: &SpawnError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}
