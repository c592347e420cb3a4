//! `steps.ShellCommand`, and `steps.SetPropertyFromCommand`: one command on the worker, its output in the log `stdio`.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    StepContext, StepEnd, StepError, WorkerPaths, all_of,
    command::{self, follow},
    logs::Logs,
    peer::{Alone, Peer},
    seen::Seen,
};
use crate::{
    definition::{
        Command, EnvironmentValue, Extraction, Hook, HookArgument, HookCall, Known, RenderError, Rendering,
        SetPropertyFromCommand, ShellCommand,
    },
    model::{LogStream, Outcome, PropertyValue},
    protocol::{
        CommandId, ShellArguments, WorkerCommand,
        command::{EnvironmentChange, LogFile, ShellLine},
    },
    secret::BuildSecrets,
    store::LogError,
};

/// The longest value that a command may give a property: it is kept in one row, and copied for each step.
const LONGEST_VALUE: usize = 1024 * 1024;

/// Runs the command and keeps its logs.
pub(super) async fn run(
    command: &ShellCommand,
    context: &mut StepContext<'_>,
    logs: &mut Logs,
) -> Result<StepEnd, StepError> {
    let (end, _) = perform(command, context, logs, &mut Alone).await?;
    Ok(end)
}

/// Goes on with the command of a step that a master before this one has begun; its logs hold all up to `received`.
pub(super) async fn go_on(
    command: &ShellCommand,
    id: &CommandId,
    received: u64,
    context: &mut StepContext<'_>,
    logs: &mut Logs,
) -> Result<StepEnd, StepError> {
    // What it is called before people, and that its secrets are known.
    let arguments = render(command, context.env, context.known()).await?;
    for file in &arguments.log_files {
        logs.watch(file.name.clone(), command.lazy_log_files).await?;
    }
    let summary = summary(&arguments.command, context.secrets);
    let slow_death = command.sigterm_time.unwrap_or_default();
    let seen = command::go_on(context, logs, id, received, slow_death, &mut Alone).await?;
    tell_end(&seen, logs).await?;
    Ok(judged(&seen, command, &summary).0)
}

/// Runs the command, and makes its output a property.
pub(super) async fn set_property(
    set: &SetPropertyFromCommand,
    context: &mut StepContext<'_>,
    logs: &mut Logs,
) -> Result<StepEnd, StepError> {
    let what = match &set.extraction {
        Extraction::Property { name, strip } => What::Property(name.render(context.known()).await?, *strip),
        Extraction::Function(hook) => What::Table(hook),
    };
    let mut output = Output {
        stdout: Kept { wanted: set.include_stdout, ..Kept::default() },
        stderr: Kept { wanted: matches!(what, What::Table(_)), ..Kept::default() },
    };
    let (end, rc) = perform(&set.command, context, logs, &mut output).await?;
    // What did not come to its own end says nothing.
    let Some(rc) = rc else { return Ok(end) };
    // As in Buildbot, `decodeRC` says what the step is, and a failed command sets no property by itself; but a function is
    // asked all the same.
    let has_failed = matches!(end.outcome, Outcome::Failure | Outcome::Exception);
    let changes = match what {
        What::Property(..) if has_failed => return Ok(end),
        _ if output.overflows() => {
            let whose = match &what {
                What::Property(name, _) => format!("property '{name}'"),
                What::Table(_) => "`extract_fn`".to_owned(),
            };
            let line = format!("the output for {whose} has more than {LONGEST_VALUE} bytes");
            logs.note(&line).await?;
            return Ok(StepEnd::new(Outcome::Failure, line));
        }
        What::Property(name, strip) => {
            let text = output.stdout.text();
            BTreeMap::from([(name, if strip { text.trim().into() } else { text.into() })])
        }
        What::Table(hook) => extracted(hook, rc, &output, context).await?,
    };
    for (name, value) in &changes {
        logs.note(&format!("property changes: {name}: {value}")).await?;
    }
    let line = match (changes.len(), changes.keys().next()) {
        (1, Some(name)) => format!("property '{name}' set"),
        (0, _) | (_, None) => end.state,
        (count, Some(_)) => format!("{count} properties set"),
    };
    context.set_properties(changes, "SetPropertyFromCommand Step").await?;
    Ok(StepEnd::new(end.outcome, line))
}

/// What becomes of the output of a command.
enum What<'a> {
    /// The value of this property, perhaps without white space around it.
    Property(String, bool),
    /// What a function makes of it.
    Table(&'a Hook),
}

/// What `extract_fn` makes of the output.
async fn extracted(
    hook: &Hook,
    rc: i32,
    output: &Output,
    context: &StepContext<'_>,
) -> Result<BTreeMap<String, PropertyValue>, StepError> {
    let arguments = [rc.into(), output.stdout.text().into(), output.stderr.text().into()];
    let arguments = arguments.into_iter().map(HookArgument::Value).collect();
    let answer =
        context.hooks.call(HookCall { hook: hook.id, arguments }).await.map_err(RenderError::Hook)?;
    match answer.value(context.known()).await? {
        PropertyValue::Object(table) => Ok(table.into_iter().collect()),
        // An empty table of Lua's is an empty list as well.
        PropertyValue::Array(list) if list.is_empty() => Ok(BTreeMap::new()),
        PropertyValue::Null => Ok(BTreeMap::new()),
        other => {
            let found = match other {
                PropertyValue::Array(_) => "a list",
                PropertyValue::String(_) => "text",
                PropertyValue::Number(_) => "a number",
                _ => "a truth value",
            };
            Err(StepError::Extract { place: hook.place.clone(), found })
        }
    }
}

/// The output of a command, within bounds.
struct Output {
    stdout: Kept,
    stderr: Kept,
}

/// One stream of it.
#[derive(Default)]
struct Kept {
    wanted: bool,
    bytes: Vec<u8>,
    overflows: bool,
}

impl Output {
    const fn overflows(&self) -> bool {
        self.stdout.overflows || self.stderr.overflows
    }
}

impl Kept {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    fn add(&mut self, bytes: &Bytes) {
        if !self.wanted || self.overflows {
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

impl Peer for Output {
    fn output(&mut self, stream: LogStream, bytes: &Bytes) {
        match stream {
            LogStream::Stdout => self.stdout.add(bytes),
            LogStream::Stderr => self.stderr.add(bytes),
            LogStream::Header => {}
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
    tell_end(&seen, logs).await?;
    Ok(judged(&seen, command, &summary))
}

/// What the worker does not say about the end, the master adds as Buildbot's does.
async fn tell_end(seen: &Seen, logs: &mut Logs) -> Result<(), LogError> {
    match (seen.last_words(), seen.rc) {
        (Some(words), _) => logs.note(words).await,
        (None, Some(rc)) => logs.note(&format!("program finished with exit code {rc}")).await,
        (None, None) => Ok(()),
    }
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
) -> Result<ShellArguments, StepError> {
    let mut env = BTreeMap::new();
    for (name, value) in builder_env.iter().chain(&command.env) {
        let change = match value {
            // As in Buildbot, what becomes a list is joined like one, and what becomes nothing is not set.
            EnvironmentValue::Set(text) => match text.rendering(known).await? {
                Rendering::Nothing => EnvironmentChange::Unset,
                Rendering::One(text) => EnvironmentChange::Set(text),
                Rendering::Several(texts) => EnvironmentChange::Joined(texts),
            },
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
        command: line(&command.command, known).await?,
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

/// What is run: a text for the shell, or a list.
async fn line(command: &Command, known: Known<'_>) -> Result<ShellLine, StepError> {
    let line = match command {
        Command::Shell(line) => match line.rendering(known).await? {
            Rendering::Nothing => ShellLine::Argv(Vec::new()),
            Rendering::One(line) => ShellLine::Shell(line),
            Rendering::Several(argv) => ShellLine::Argv(argv),
        },
        Command::Argv(argv) => ShellLine::Argv(all_of(argv, known).await?),
    };
    match line {
        ShellLine::Argv(argv) if argv.is_empty() => Err(StepError::NoCommand),
        line => Ok(line),
    }
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
