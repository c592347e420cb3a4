//! `steps.ShellCommand`, and `steps.SetPropertyFromCommand`: one command on the worker, its output in the log `stdio`.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    StepContext, StepEnd, StepError, WorkerPaths, all_of,
    command::{NoPeer, Peer, Seen, follow},
    logs::Logs,
};
use crate::{
    definition::{Command, EnvironmentValue, Known, RenderError, SetPropertyFromCommand, ShellCommand},
    model::{LogStream, Outcome},
    protocol::{
        ShellArguments, WorkerCommand,
        command::{EnvironmentChange, LogFile, ShellLine},
    },
    secret::BuildSecrets,
};

/// The longest value that a command may give a property: it is kept in one row, and copied for each step.
const LONGEST_VALUE: usize = 1024 * 1024;

/// Runs the command and keeps its logs.
pub(super) async fn run(
    command: &ShellCommand,
    context: &mut StepContext<'_>,
    logs: &mut Logs,
) -> Result<StepEnd, StepError> {
    let (end, _) = perform(command, context, logs, &mut NoPeer).await?;
    Ok(end)
}

/// Runs the command, and makes its output a property.
pub(super) async fn set_property(
    set: &SetPropertyFromCommand,
    context: &mut StepContext<'_>,
    logs: &mut Logs,
) -> Result<StepEnd, StepError> {
    let property = set.property.render(context.known()).await?;
    let mut output = Output { wanted: set.include_stdout, bytes: Vec::new(), overflows: false };
    let (end, rc) = perform(&set.command, context, logs, &mut output).await?;
    // As in Buildbot, `decodeRC` says what the step is, and a failed command sets nothing.
    if rc.is_none() || matches!(end.outcome, Outcome::Failure | Outcome::Exception) {
        return Ok(end);
    }
    if output.overflows {
        let line = format!("the output for property '{property}' has more than {LONGEST_VALUE} bytes");
        logs.note(&line).await?;
        return Ok(StepEnd::new(Outcome::Failure, line));
    }
    let text = String::from_utf8_lossy(&output.bytes);
    let value = if set.strip { text.trim() } else { &*text };
    logs.note(&format!("property changes: {property}: {value:?}")).await?;
    context.set_property(&property, value.into(), "SetPropertyFromCommand Step").await?;
    Ok(StepEnd::new(end.outcome, format!("property '{property}' set")))
}

/// The standard output of a command, within bounds.
struct Output {
    wanted: bool,
    bytes: Vec<u8>,
    overflows: bool,
}

impl Peer for Output {
    fn output(&mut self, stream: LogStream, bytes: &Bytes) {
        if !self.wanted || stream != LogStream::Stdout || self.overflows {
            return;
        }
        if self.bytes.len() + bytes.len() > LONGEST_VALUE {
            self.overflows = true;
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }
}

/// Runs a command; its exit code comes along if that is what decided.
async fn perform<P: Peer>(
    command: &ShellCommand,
    context: &mut StepContext<'_>,
    logs: &mut Logs,
    peer: &mut P,
) -> Result<(StepEnd, Option<i32>), StepError> {
    let mut arguments = render(command, context.env, context.known()).await?;
    if hide(&mut arguments, context) {
        logs.note("the environment is not listed, since a secret is in it").await?;
    }
    for file in &arguments.log_files {
        logs.watch(file.name.clone(), command.lazy_log_files).await?;
    }
    let summary = summary(&arguments.command, context.secrets);
    let slow_death = command.sigterm_time.unwrap_or_default();
    let arguments = WorkerCommand::Shell(Box::new(arguments));
    let seen = follow(context, logs, arguments, slow_death, peer).await?;
    // What the worker says about the end, the master adds as Buildbot's does.
    if let Some(words) = seen.last_words() {
        logs.note(words).await?;
    } else if let Some(rc) = seen.rc {
        logs.note(&format!("program finished with exit code {rc}")).await?;
    }
    Ok(judged(&seen, command, &summary))
}

/// Keeps the secrets of a command out of what the worker itself logs of it; whether its environment is therefore not
/// listed, though it should be.
fn hide(arguments: &mut ShellArguments, context: &StepContext<'_>) -> bool {
    let secrets = context.secrets;
    // Only words can be shown otherwise than they are run.
    if let ShellLine::Shell(line) = &mut arguments.command
        && WorkerPaths::of(context.info) == WorkerPaths::Posix
        && secrets.is_in(line)
    {
        let line = std::mem::take(line);
        arguments.command = ShellLine::Argv(vec!["/bin/sh".into(), "-c".into(), line]);
    }
    if let ShellLine::Argv(words) = &arguments.command
        && words.iter().any(|word| secrets.is_in(word))
    {
        arguments.shown = Some(words.iter().map(|word| secrets.mask(word).into_owned()).collect());
    }
    let is_hidden = arguments.env.values().any(|change| match change {
        EnvironmentChange::Set(text) => secrets.is_in(text),
        EnvironmentChange::Joined(texts) => texts.iter().any(|text| secrets.is_in(text)),
        EnvironmentChange::Unset => false,
    });
    is_hidden && std::mem::replace(&mut arguments.log_environ, false)
}

fn judged(seen: &Seen, command: &ShellCommand, summary: &str) -> (StepEnd, Option<i32>) {
    let rc = match seen.exit_code(summary) {
        Ok(rc) => rc,
        Err(end) => return (end, None),
    };
    let outcome = command.decode_rc.get(&rc).copied().unwrap_or(Outcome::Failure);
    let state = match outcome {
        Outcome::Success => summary.to_owned(),
        _ => format!("{summary} ({outcome}, exit code {rc})"),
    };
    (StepEnd::new(outcome, state), Some(rc))
}

async fn render(
    command: &ShellCommand,
    builder_env: &BTreeMap<String, EnvironmentValue>,
    known: Known<'_>,
) -> Result<ShellArguments, RenderError> {
    let mut env = BTreeMap::new();
    for (name, value) in builder_env.iter().chain(&command.env) {
        let change = match value {
            EnvironmentValue::Set(text) => EnvironmentChange::Set(text.render(known).await?),
            EnvironmentValue::Joined(texts) => EnvironmentChange::Joined(all_of(texts, known).await?),
            EnvironmentValue::Unset => EnvironmentChange::Unset,
        };
        env.insert(name.clone(), change);
    }
    let stdin = match &command.initial_stdin {
        Some(text) => Some(text.render(known).await?.into()),
        None => None,
    };
    let mut log_files = Vec::with_capacity(command.log_files.len());
    for (name, file) in &command.log_files {
        let path = file.path.render(known).await?;
        log_files.push(LogFile { name: name.as_str().into(), path, follow: file.follow });
    }
    Ok(ShellArguments {
        shown: None,
        command: match &command.command {
            Command::Shell(line) => ShellLine::Shell(line.render(known).await?),
            Command::Argv(argv) => ShellLine::Argv(all_of(argv, known).await?),
        },
        workdir: command.workdir.render(known).await?,
        env,
        stdin,
        timeout: command.timeout,
        max_time: command.max_time,
        sigterm_time: command.sigterm_time,
        interrupt_signal: command.interrupt_signal.clone(),
        want_stdout: command.want_stdout,
        want_stderr: command.want_stderr,
        log_environ: command.log_environ,
        log_files,
        max_lines: command.max_lines,
        use_pty: command.use_pty,
    })
}

/// The first words of a command, for one line.
fn summary(command: &ShellLine, secrets: &BuildSecrets) -> String {
    const WORDS: usize = 3;
    const LETTERS: usize = 40;
    // Before they are cut: half a secret would not be found.
    let texts: Vec<_> = match command {
        ShellLine::Shell(line) => vec![secrets.mask(line)],
        ShellLine::Argv(argv) => argv.iter().map(|word| secrets.mask(word)).collect(),
    };
    let words: Vec<&str> = texts.iter().flat_map(|text| text.split_whitespace()).collect();
    let shown: String =
        words.iter().take(WORDS).copied().collect::<Vec<_>>().join(" ").chars().take(LETTERS).collect();
    if words.len() > WORDS { format!("'{shown} ...'") } else { format!("'{shown}'") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Properties, WorkerInfo};

    #[test]
    fn the_exit_code_decides_and_decode_rc_may_say_otherwise() {
        let mut command = ShellCommand::sample("make test");
        command.decode_rc.insert(77, Outcome::Skipped);
        let outcome = |rc| judged(&Seen::sample(rc), &command, "'make test'").0.outcome;
        assert_eq!(outcome(0), Outcome::Success);
        assert_eq!(outcome(77), Outcome::Skipped);
        assert_eq!(outcome(1), Outcome::Failure);
        assert_eq!(outcome(-1), Outcome::Failure);
    }

    #[tokio::test]
    async fn the_steps_environment_wins_over_the_builders() {
        let builder = BTreeMap::from([
            ("A".to_owned(), EnvironmentValue::Set("builder".into())),
            ("B".to_owned(), EnvironmentValue::Set("builder".into())),
        ]);
        let command = ShellCommand {
            env: BTreeMap::from([("A".to_owned(), EnvironmentValue::Unset)]),
            ..ShellCommand::sample("make test")
        };
        let (properties, worker) = (Properties::new(), WorkerInfo::default());
        let known = Known::plain(&properties, &worker);
        let arguments = render(&command, &builder, known).await.expect("all texts are plain");
        assert_eq!(arguments.env["A"], EnvironmentChange::Unset);
        assert_eq!(arguments.env["B"], EnvironmentChange::Set("builder".into()));
    }

    #[test]
    fn a_summary_is_short() {
        let none = BuildSecrets::none();
        assert_eq!(summary(&ShellLine::Shell("make test".into()), &none), "'make test'");
        assert_eq!(
            summary(&ShellLine::Argv(vec!["a".into(), "b".into(), "c".into(), "d".into()]), &none),
            "'a b c ...'"
        );
        assert_eq!(
            summary(&ShellLine::Argv(vec!["sh".into(), "-c".into(), "a\nb".into()]), &none),
            "'sh -c a ...'"
        );
    }
}
