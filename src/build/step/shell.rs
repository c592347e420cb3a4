//! `steps.ShellCommand`: one command on the worker, its output in the log `stdio`.
//!
//! # Laws
//! - The log is whole and on disk before the step has its end.
//! - After an interrupt the worker has a bounded time to report the end; then its link is cut, so that no step hangs.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::{self, Instant};
use tracing::warn;

use crate::{
    build::{
        control::{StopKind, Stopped},
        step::{StepContext, StepEnd},
    },
    definition::{Command, EnvironmentValue, RenderError, ShellCommand, Text},
    model::{LogStream, Outcome, Properties, Timestamp},
    protocol::{
        CommandId, FailureReason, ShellArguments, Update, WorkerCommand,
        command::{EnvironmentChange, ShellLine},
    },
    store::{LogError, LogWriter},
    worker::{CommandEvent, CommandEvents},
};

/// How long a worker may take to kill a command and say so, over the command's own `sigtermTime`.
const DEAD_WITHIN: Duration = Duration::from_secs(30);

/// How long output may wait in memory before readers of the log can see it.
const SHOWN_WITHIN: Duration = Duration::from_millis(100);

/// Runs the command and keeps its log.
///
/// # Errors
/// [`LogError`] if the log cannot be opened or closed. If it cannot be written in between, the command is
/// interrupted and the step is an exception.
pub async fn run(command: &ShellCommand, mut context: StepContext<'_>) -> Result<StepEnd, LogError> {
    let arguments = match render(command, context.env, context.properties) {
        Ok(arguments) => arguments,
        Err(error) => return Ok(StepEnd::new(Outcome::Exception, error.to_string())),
    };
    let summary = summary(&arguments.command);
    let mut log = context.store.open_log(context.step, "stdio", Timestamp::now()).await?;
    let followed = follow(command, arguments, &mut context, &mut log).await;
    let end = match followed {
        Ok(seen) => {
            let end = seen.end(command, &summary);
            // What the worker says about the end, the master adds as Buildbot's does.
            if let Some(line) = seen.last_words() {
                log.append(LogStream::Header, line.as_bytes()).await?;
            }
            end
        }
        Err(error) => {
            warn!(step = %context.step, error = &error as &dyn std::error::Error, "cannot write a log");
            StepEnd::new(Outcome::Exception, format!("cannot write the log: {error}"))
        }
    };
    log.close(Timestamp::now()).await?;
    Ok(end)
}

/// What was heard of a command.
#[derive(Debug, Default)]
struct Seen {
    rc: Option<i32>,
    reason: Option<FailureReason>,
    complete: bool,
    failure: Option<String>,
    stopped: Option<Stopped>,
}

async fn follow(
    command: &ShellCommand,
    arguments: ShellArguments,
    context: &mut StepContext<'_>,
    log: &mut LogWriter,
) -> Result<Seen, LogError> {
    let mut seen = Seen::default();
    let id = next_command_id();
    let start = context.connection.start(
        id.clone(),
        context.builder.clone(),
        WorkerCommand::Shell(Box::new(arguments)),
    );
    let Ok(mut events) = start.await else { return Ok(seen) };
    let patience = DEAD_WITHIN + command.sigterm_time.unwrap_or_default();
    let mut give_up: Option<Instant> = None;
    let mut flush_at: Option<Instant> = None;
    loop {
        tokio::select! {
            // Output first: what was said before a stop belongs into the log.
            biased;
            // Cancel-safe: an event is taken only when it is returned.
            event = events.next() => match event {
                Some(CommandEvent::Update(update)) => {
                    match seen.note(update, log).await {
                        Ok(true) => {
                            flush_at.get_or_insert_with(|| Instant::now() + SHOWN_WITHIN);
                        }
                        Ok(false) => {}
                        Err(error) => {
                            interrupt(context, &id, "the master cannot write the log").await;
                            drain(&mut events, patience).await;
                            return Err(error);
                        }
                    }
                }
                // A shell command has nothing to transfer.
                Some(CommandEvent::Transfer(_)) => {}
                Some(CommandEvent::Complete(failure)) => {
                    seen.complete = true;
                    seen.failure = failure;
                    return Ok(seen);
                }
                None => return Ok(seen),
            },
            // Cancel-safe: a stop that was not returned is still to come.
            stopped = context.stop.stopped(), if seen.stopped.is_none() => {
                let line = format!("command interrupted: {}\n", stopped.reason);
                log.append(LogStream::Header, line.as_bytes()).await?;
                interrupt(context, &id, &stopped.reason).await;
                seen.stopped = Some(stopped);
                give_up = Some(Instant::now() + patience);
            }
            () = until(flush_at) => {
                flush_at = None;
                log.flush().await?;
            }
            () = until(give_up) => {
                warn!(worker = %context.connection.worker, command = %id, "does not end after an interrupt; cutting its link");
                context.connection.close();
                return Ok(seen);
            }
        }
        // A stream of output without a pause would keep the timer from its turn.
        if flush_at.is_some_and(|at| at <= Instant::now()) {
            flush_at = None;
            log.flush().await?;
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn interrupt(context: &StepContext<'_>, id: &CommandId, why: &str) {
    if context.connection.interrupt(id, why).await.is_err() {
        tracing::debug!(command = %id, "the link went down before the interrupt");
    }
}

/// Reads what a command still says, for as long as it may take to die.
async fn drain(events: &mut CommandEvents, patience: Duration) {
    let all = async { while let Some(CommandEvent::Update(_)) = events.next().await {} };
    if time::timeout(patience, all).await.is_err() {
        warn!("a command does not end after an interrupt");
    }
}

impl Seen {
    /// Takes an update into account; says whether the log has grown.
    async fn note(&mut self, update: Update, log: &mut LogWriter) -> Result<bool, LogError> {
        match update {
            Update::Output { stream, bytes } => {
                log.append(stream, &bytes).await?;
                return Ok(true);
            }
            Update::Rc(rc) => self.rc = Some(rc),
            Update::FailureReason(reason) => self.reason = Some(reason),
            Update::Elapsed(_) | Update::Log { .. } | Update::Stat(_) | Update::Files(_) => {}
        }
        Ok(false)
    }

    fn last_words(&self) -> Option<String> {
        match (self.complete, self.rc) {
            (true, Some(rc)) => Some(format!("program finished with exit code {rc}\n")),
            (true, None) => self.failure.as_ref().map(|failure| format!("{failure}\n")),
            (false, _) => Some("the link to the worker was lost\n".into()),
        }
    }

    fn end(&self, command: &ShellCommand, summary: &str) -> StepEnd {
        if let Some(stopped) = &self.stopped {
            let (outcome, word) = match stopped.kind {
                StopKind::Cancel => (Outcome::Cancelled, "interrupted"),
                StopKind::Requeue => (Outcome::Retry, "interrupted"),
            };
            return StepEnd::new(outcome, format!("{summary} {word}: {}", stopped.reason));
        }
        if !self.complete {
            return StepEnd::lost();
        }
        if let Some(reason) = self.reason {
            let why = match reason {
                FailureReason::Timeout => "ran too long",
                FailureReason::TimeoutWithoutOutput => "was silent too long",
                FailureReason::MaxLines => "wrote too many lines",
            };
            return StepEnd::new(Outcome::Failure, format!("{summary} {why} and was killed (timed out)"));
        }
        if let Some(failure) = &self.failure {
            return StepEnd::new(Outcome::Exception, format!("{summary}: {failure}"));
        }
        // A command that says nothing of its exit code cannot be called a success.
        let Some(rc) = self.rc else {
            return StepEnd::new(Outcome::Exception, format!("{summary} ended without an exit code"));
        };
        let outcome = command.decode_rc.get(&rc).copied().unwrap_or(Outcome::Failure);
        match outcome {
            Outcome::Success => StepEnd::new(outcome, summary),
            _ => StepEnd::new(outcome, format!("{summary} ({outcome}, exit code {rc})")),
        }
    }
}

fn render(
    command: &ShellCommand,
    builder_env: &BTreeMap<String, EnvironmentValue>,
    properties: &Properties,
) -> Result<ShellArguments, RenderError> {
    let all =
        |texts: &[Text]| texts.iter().map(|text| text.render(properties)).collect::<Result<Vec<_>, _>>();
    let mut env = BTreeMap::new();
    for (name, value) in builder_env.iter().chain(&command.env) {
        let change = match value {
            EnvironmentValue::Set(text) => EnvironmentChange::Set(text.render(properties)?),
            EnvironmentValue::Joined(texts) => EnvironmentChange::Joined(all(texts)?),
            EnvironmentValue::Unset => EnvironmentChange::Unset,
        };
        env.insert(name.clone(), change);
    }
    Ok(ShellArguments {
        command: match &command.command {
            Command::Shell(line) => ShellLine::Shell(line.render(properties)?),
            Command::Argv(argv) => ShellLine::Argv(all(argv)?),
        },
        workdir: command.workdir.render(properties)?,
        env,
        stdin: command
            .initial_stdin
            .as_ref()
            .map(|text| text.render(properties))
            .transpose()?
            .map(Into::into),
        timeout: command.timeout,
        max_time: command.max_time,
        sigterm_time: command.sigterm_time,
        interrupt_signal: command.interrupt_signal.clone(),
        want_stdout: command.want_stdout,
        want_stderr: command.want_stderr,
        log_environ: command.log_environ,
        log_files: Vec::new(),
        max_lines: None,
        use_pty: false,
    })
}

/// The first words of a command, for one line.
fn summary(command: &ShellLine) -> String {
    const WORDS: usize = 3;
    const LETTERS: usize = 40;
    let words: Vec<&str> = match command {
        ShellLine::Shell(line) => line.split_whitespace().collect(),
        ShellLine::Argv(argv) => argv.iter().map(String::as_str).collect(),
    };
    let shown: String =
        words.iter().take(WORDS).copied().collect::<Vec<_>>().join(" ").chars().take(LETTERS).collect();
    if words.len() > WORDS { format!("'{shown} ...'") } else { format!("'{shown}'") }
}

/// An id that no command of this master, in this life or an earlier one, had: workers outlive the master.
fn next_command_id() -> CommandId {
    static LIFE: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let life =
        LIFE.get_or_init(|| format!("{:x}-{:x}", Timestamp::now().as_microsecond(), std::process::id()));
    CommandId::new(format!("{life}-{}", COUNT.fetch_add(1, Ordering::Relaxed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> ShellCommand {
        let mut command = ShellCommand::sample("make test");
        command.decode_rc.insert(77, Outcome::Skipped);
        command
    }

    fn end(seen: &Seen) -> StepEnd {
        seen.end(&shell(), "'make test'")
    }

    fn complete(rc: i32) -> Seen {
        Seen { rc: Some(rc), complete: true, ..Seen::default() }
    }

    #[test]
    fn the_exit_code_decides_and_decode_rc_may_say_otherwise() {
        assert_eq!(end(&complete(0)).outcome, Outcome::Success);
        assert_eq!(end(&complete(77)).outcome, Outcome::Skipped);
        assert_eq!(end(&complete(1)).outcome, Outcome::Failure);
        assert_eq!(end(&complete(-1)).outcome, Outcome::Failure);
    }

    #[test]
    fn no_exit_code_is_no_success_and_no_completion_is_a_lost_worker() {
        assert_eq!(end(&Seen { complete: true, ..Seen::default() }).outcome, Outcome::Exception);
        assert_eq!(end(&Seen { rc: Some(0), ..Seen::default() }), StepEnd::lost());
    }

    #[test]
    fn a_failure_of_the_worker_wins_over_exit_code_zero() {
        let seen = Seen { failure: Some("broken".into()), ..complete(0) };
        assert_eq!(end(&seen).outcome, Outcome::Exception);
    }

    #[test]
    fn the_steps_environment_wins_over_the_builders() {
        let builder = BTreeMap::from([
            ("A".to_owned(), EnvironmentValue::Set("builder".into())),
            ("B".to_owned(), EnvironmentValue::Set("builder".into())),
        ]);
        let command =
            ShellCommand { env: BTreeMap::from([("A".to_owned(), EnvironmentValue::Unset)]), ..shell() };
        let arguments = render(&command, &builder, &Properties::new()).expect("all texts are plain");
        assert_eq!(arguments.env["A"], EnvironmentChange::Unset);
        assert_eq!(arguments.env["B"], EnvironmentChange::Set("builder".into()));
    }

    #[test]
    fn a_summary_is_short() {
        assert_eq!(summary(&ShellLine::Shell("make test".into())), "'make test'");
        assert_eq!(
            summary(&ShellLine::Argv(vec!["a".into(), "b".into(), "c".into(), "d".into()])),
            "'a b c ...'"
        );
    }
}
