//! From a `Spec` to a child that runs.
//!
//! # Laws
//! - Whatever is wrong with a `Spec` is told before anything runs.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use rustix::fs::{Access, access};
use tokio::{
    process::Child,
    sync::{Notify, mpsc},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    course::Course,
    group::Group,
    heritage,
    launch::{self, Launch},
    leftover::Mark,
    lookup, orphans,
    outbox::Outbox,
    pipe::Pipe,
    process::Process,
    run::{Output, Run, feed},
    spec::{Program, SpawnError, Spec},
    terminal,
    tree::{self, Tree},
};
use crate::model::LogStream;

/// News that wait for the reader, besides what the outbox gathers. With its 64 KiB pieces, and the pieces that are
/// read meanwhile, some hundred KiB are held for one child.
const DEPTH: usize = 2;

/// Starts a child, and the task that follows it.
///
/// Blocks. Must be called within the runtime.
pub(super) fn start(spec: Spec) -> Result<Process, SpawnError> {
    let folder = |source| SpawnError::Folder { dir: spec.dir.clone(), source };
    let dir = std::path::absolute(&spec.dir).map_err(folder)?;
    if !dir.metadata().map_err(folder)?.is_dir() {
        return Err(folder(io::ErrorKind::NotADirectory.into()));
    }
    access(&dir, Access::EXEC_OK).map_err(|error| folder(error.into()))?;
    let bad = |bytes: &[u8]| bytes.contains(&0);
    for (name, value) in &spec.env {
        let name_bytes = name.as_encoded_bytes();
        if name.is_empty() || name_bytes.contains(&b'=') || bad(name_bytes) || bad(value.as_encoded_bytes()) {
            return Err(SpawnError::Variable { name: name.clone() });
        }
    }
    let shell;
    let words = match &spec.program {
        Program::Argv(words) => words.as_slice(),
        Program::Shell(line) => {
            shell = ["/bin/sh".into(), "-c".into(), line.into()];
            shell.as_slice()
        }
    };
    let (program, arguments) = words.split_first().ok_or(SpawnError::Empty)?;
    let path = spec.env.get(OsStr::new("PATH"));
    let file = lookup::find(program, &dir, path.map(OsString::as_os_str))?;

    let refused = |source| SpawnError::Start { program: program.clone(), source };
    let on_terminal = spec.on_terminal && spec.stdin.is_none();
    let terminal = on_terminal.then(terminal::open).transpose().map_err(refused)?;
    let marks = spec.mark.clone().map(|workers| (tree::new_mark(), workers));
    let mut command = prepared(&file, program, on_terminal, &spec.env, marks.as_ref());
    command.args(arguments).current_dir(&dir);
    let ours = match terminal {
        Some((ours, theirs)) => {
            command
                .stdin(theirs.try_clone().map_err(refused)?)
                .stdout(theirs.try_clone().map_err(refused)?)
                .stderr(theirs);
            Some(ours)
        }
        None => {
            let stdin = if spec.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
            command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
            None
        }
    };
    heritage::let_children_hear_signals();
    orphans::reap_if_they_come();
    let mut command = tokio::process::Command::from(command);
    let child = orphans::start(|| command.kill_on_drop(true).spawn(), Child::id).map_err(refused)?;
    let mut group = Group::new(child).map_err(refused)?;
    group.limit_open_files();

    let (stdin, stdout, stderr) = group.pipes();
    let stdout = ours.map(|ours| Box::new(ours) as Output).or_else(|| Some(Box::new(stdout?)));
    let kill = CancellationToken::new();
    let (to_reader, news) = mpsc::channel(DEPTH);
    let life = Arc::new(Notify::new());
    let process = Process {
        id: group.id(),
        news,
        interrupt: spec.interrupt.clone(),
        kill: kill.clone(),
        life: Arc::clone(&life),
    };
    let started = Instant::now();
    let run = Run {
        course: Course::new(&spec, started),
        started,
        tree: Arc::new(Tree::new(group.leader(), marks)),
        group,
        stdout: Pipe::new(stdout, spec.want_stdout.then_some(LogStream::Stdout)),
        stderr: Pipe::new(stderr, spec.want_stderr.then_some(LogStream::Stderr)),
        outbox: Outbox::default(),
        to_reader,
        interrupt: spec.interrupt,
        kill,
        life,
    };
    tokio::spawn(async move {
        // Fed beside the reading: a child may write much before it reads all.
        let _feeder =
            stdin.zip(spec.stdin).map(|fed| AbortOnDropHandle::new(tokio::spawn(feed(fed.0, fed.1))));
        run.finish().await;
    });
    Ok(process)
}

/// The beginning of a command: who runs it, in what environment.
fn prepared(
    file: &Path,
    called: &OsStr,
    on_terminal: bool,
    env: &BTreeMap<OsString, OsString>,
    marks: Option<&(Mark, Mark)>,
) -> Command {
    let marks = marks.into_iter().flat_map(|(own, workers)| [own, workers]);
    let env = env.iter().chain(marks.map(|mark| (&mark.name, &mark.value)));
    let launch = Launch { file, called, open_files: heritage::open_files(), on_terminal };
    if let Some(mut command) = launch.command() {
        command.env_clear().envs(env.map(|(name, value)| (launch::hidden(name), value)));
        return command;
    }
    // Without it only a program can make the terminal the one that rules its session. Without that, too, the terminal is
    // one for reading and writing.
    let ruler = on_terminal.then(|| lookup::find(OsStr::new("setsid"), Path::new("/"), None).ok()).flatten();
    #[expect(clippy::disallowed_methods, reason = "this is the room that starts children")]
    let mut command = Command::new(ruler.as_deref().unwrap_or(file));
    match &ruler {
        // It makes the session, and with it the group, without a fork: it leads no group before.
        Some(_) => command.arg("-c").arg(file),
        None => command.arg0(called).process_group(0),
    };
    command.env_clear().envs(env);
    command
}
