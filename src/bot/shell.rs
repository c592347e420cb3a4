//! Runs one shell command, from its folder to its `Complete`.
//!
//! The order is always: header, output, why it is killed (if it is), how it ended (if not by itself), elapsed time,
//! `Rc`, `Elapsed`, `Complete`.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    environment, header,
    outlet::{Gone, Outlet},
};
use crate::{
    exec::{EndSignal, Ended, Exit, KillReason, Mark, News, Process, Program, SpawnError, Spec, spawn},
    protocol::{FailureReason, ShellArguments, Update, command::ShellLine},
};

/// How long a folder may take to be made, and a program to be found and started: a dead file server must not hold a
/// command for ever.
const FILES_LIMIT: Duration = Duration::from_secs(60);

/// What may interrupt a command: the first reason is the one that is told.
#[derive(Debug, Default)]
pub(super) struct Interrupt {
    why: OnceLock<String>,
    token: CancellationToken,
}

impl Interrupt {
    /// Interrupts it, running or not yet.
    pub(super) fn interrupt(&self, why: String) {
        // Later reasons are not told: what they wish happens already.
        self.why.get_or_init(|| why);
        self.token.cancel();
    }
}

/// A command and where it runs.
#[derive(Debug)]
pub(super) struct Order {
    /// What is to be done.
    pub(super) arguments: ShellArguments,
    /// The builder's folder.
    pub(super) folder: PathBuf,
    /// What its processes carry.
    pub(super) mark: Mark,
    /// What may end it.
    pub(super) interrupt: Arc<Interrupt>,
}

/// Runs it to its `Complete`. If nobody listens any more it is killed, and its end is waited for.
pub(super) async fn run(order: Order, outlet: &Outlet) -> Result<(), Gone> {
    let Order { mut arguments, folder, mark, interrupt } = order;
    let interrupt_signal = match arguments.interrupt_signal.parse::<EndSignal>() {
        Ok(signal) => signal,
        Err(unknown) => return outlet.complete(Some(format!("cannot run the command: {unknown}"))).await,
    };
    let dir = folder.join(&arguments.workdir);
    let mut env = environment::changed(&environment::own(), &arguments.env);
    env.insert("PWD".into(), dir.clone().into());
    outlet.header(header::opening(&arguments, &dir, &env)).await?;
    if let Err(cause) = make_folder(&dir).await {
        outlet.header(format!("cannot make the folder `{}`: {cause}\n", dir.display())).await?;
        return finish(outlet, 126, Duration::ZERO, None).await;
    }
    let program = match &arguments.command {
        ShellLine::Shell(line) => Program::Shell(line.clone()),
        ShellLine::Argv(words) => Program::Argv(words.iter().map(Into::into).collect()),
    };
    let spec = Spec {
        env,
        stdin: arguments.stdin.take(),
        want_stdout: arguments.want_stdout,
        want_stderr: arguments.want_stderr,
        timeout: arguments.timeout,
        max_time: arguments.max_time,
        sigterm_time: arguments.sigterm_time,
        interrupt_signal,
        mark: Some(mark),
        interrupt: interrupt.token.clone(),
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
            outlet.header(with_cause(&error)).await?;
            return finish(outlet, error.shell_code(), Duration::ZERO, None).await;
        }
        Err(_) => {
            let text = format!("the command did not start within {} s", FILES_LIMIT.as_secs());
            outlet.header(format!("{text}\n")).await?;
            return finish(outlet, 126, FILES_LIMIT, None).await;
        }
    };
    let Some(ended) = relay(&mut process, &arguments, &interrupt, outlet).await else {
        process.kill().await;
        return Err(Gone);
    };
    tell_end(&ended, outlet).await
}

/// Passes news on until the end; nothing if nobody listens any more.
async fn relay(
    process: &mut Process,
    arguments: &ShellArguments,
    interrupt: &Interrupt,
    outlet: &Outlet,
) -> Option<Ended> {
    loop {
        let news = tokio::select! {
            // Dropped unfinished, it has taken nothing.
            news = process.next() => news?,
            () = outlet.gone.cancelled() => return None,
        };
        match news {
            News::Output { stream, bytes } => outlet.update(Update::Output { stream, bytes }).await.ok()?,
            News::Killing(reason) => {
                let failure = match reason {
                    KillReason::Timeout => Some(FailureReason::Timeout),
                    KillReason::TimeoutWithoutOutput => Some(FailureReason::TimeoutWithoutOutput),
                    KillReason::Interrupted => None,
                };
                if let Some(failure) = failure {
                    outlet.update(Update::FailureReason(failure)).await.ok()?;
                }
                let why = interrupt.why.get().map_or("", String::as_str);
                outlet.header(header::killing(reason, arguments, why)).await.ok()?;
            }
            News::Ended(ended) => return Some(ended),
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
            let text = "the command did not die of SIGKILL";
            outlet.header(format!("{text}, its exit code is not known\n")).await?;
            failure = Some(text.to_owned());
            -1
        }
    };
    finish(outlet, rc, ended.elapsed, failure).await
}

async fn finish(outlet: &Outlet, rc: i32, elapsed: Duration, failure: Option<String>) -> Result<(), Gone> {
    outlet.header(format!("elapsedTime={:.6}\n", elapsed.as_secs_f64())).await?;
    outlet.update(Update::Rc(rc)).await?;
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
    format!("{error}{cause}\n")
}
