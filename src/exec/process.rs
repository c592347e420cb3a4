//! One child, from its start to the last of its output.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use rustix::fs::{Access, access};
use tokio::{
    io::{AsyncRead, AsyncWriteExt},
    process::{ChildStderr, ChildStdin},
    sync::{Notify, mpsc},
    task::spawn_blocking,
    time::{Instant, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    course::{Course, Demand, KillReason, PATIENCE},
    group::Group,
    lookup,
    outbox::Outbox,
    pipe::Pipe,
    spec::{EndSignal, Program, SpawnError, Spec},
    terminal,
};
use crate::model::LogStream;

/// News that wait for the reader, besides what the outbox gathers. With its 64 KiB pieces, and the pieces that are
/// read meanwhile, some hundred KiB are held for one child.
const DEPTH: usize = 2;

/// A child that was started.
///
/// Dropped, it is killed with its whole group, without grace. To wait for that, use [`Process::kill`].
#[derive(Debug)]
pub struct Process {
    id: u32,
    news: mpsc::Receiver<News>,
    interrupt: CancellationToken,
    kill: CancellationToken,
    life: Arc<Notify>,
}

/// What is told of a child, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// Output, cut anywhere: the bytes as they came. At most some 64 KiB.
    Output {
        /// Standard output or standard error.
        stream: LogStream,
        /// The bytes.
        bytes: Bytes,
    },
    /// It is being killed. Output may follow.
    Killing(KillReason),
    /// It has ended, and all its output was told. The last news.
    Ended(Ended),
}

/// How a child ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What became of its main process.
    pub exit: Exit,
    /// Why it was killed, if it was.
    pub reason: Option<KillReason>,
    /// From its start until its output was closed: wall time.
    pub elapsed: Duration,
    /// Whether processes that it left behind held its output open until it was closed here. Those in its group were
    /// killed.
    pub left_behind: bool,
}

/// What became of the main process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It ended by itself, with this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// It was still there [`PATIENCE`] after the last signal, SIGKILL: it hangs in the kernel, or is another user's.
    Undead,
}

/// Starts a child.
///
/// # Errors
/// Nothing runs after an error.
///
/// # Cancel safety
/// Dropped before it returns, a child that was already started is killed.
pub async fn spawn(spec: Spec) -> Result<Process, SpawnError> {
    // Forking, and folders that hang on a dead server, must not hold up the runtime's own threads. The reactor is
    // known there, too.
    spawn_blocking(move || start(spec)).await.expect("starting a child does not panic")
}

impl Process {
    /// The id of its main process, which is also the id of its group.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The next news; nothing after [`News::Ended`].
    ///
    /// # Cancel safety
    /// Loses nothing.
    pub async fn next(&mut self) -> Option<News> {
        self.news.recv().await
    }

    /// Ends it with its whole group, as the `Spec` says: SIGTERM first, perhaps. The end is told by [`Process::next`].
    pub fn interrupt(&self) {
        self.interrupt.cancel();
    }

    /// It does something, though it writes nothing: its `timeout` begins anew.
    pub fn sign_of_life(&self) {
        self.life.notify_one();
    }

    /// Kills it with its whole group by SIGKILL, and waits until it has ended. Its output is thrown away.
    ///
    /// Lasts at most [`PATIENCE`] twice. Nothing is returned if the end had been told before.
    ///
    /// # Cancel safety
    /// The kill goes on.
    pub async fn kill(mut self) -> Option<Ended> {
        self.kill.cancel();
        loop {
            match self.news.recv().await? {
                News::Ended(ended) => return Some(ended),
                News::Output { .. } | News::Killing(_) => {}
            }
        }
    }
}

fn start(spec: Spec) -> Result<Process, SpawnError> {
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
    // Only a program can make the terminal the one that rules its session. Without it, it is one for reading and writing.
    let ruler = terminal.as_ref().and_then(|_| lookup::find(OsStr::new("setsid"), &dir, None).ok());
    #[expect(clippy::disallowed_methods, reason = "this is the room that starts children")]
    let mut command = std::process::Command::new(ruler.as_ref().unwrap_or(&file));
    match &ruler {
        // It makes the session, and with it the group, without a fork: it leads no group before.
        Some(_) => command.arg("-c").arg(&file),
        None => command.arg0(program).process_group(0),
    };
    command
        .args(arguments)
        .current_dir(&dir)
        .env_clear()
        .envs(&spec.env)
        .envs(spec.mark.as_ref().map(|mark| (&mark.name, &mark.value)));
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
    let child = tokio::process::Command::from(command).kill_on_drop(true).spawn().map_err(refused)?;
    let mut group = Group::new(child).map_err(refused)?;

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

/// Writes all, then closes. A child that does not want it has closed its end, which is its own affair.
async fn feed(mut stdin: ChildStdin, bytes: Bytes) {
    if let Err(error) = stdin.write_all(&bytes).await {
        tracing::debug!(%error, "a command did not read all of its input");
    }
}

/// Our end of its standard output, or of its terminal.
type Output = Box<dyn AsyncRead + Send + Unpin>;

/// What the task of a child owns.
struct Run {
    course: Course,
    started: Instant,
    group: Group,
    stdout: Pipe<Output>,
    stderr: Pipe<ChildStderr>,
    outbox: Outbox,
    to_reader: mpsc::Sender<News>,
    interrupt: CancellationToken,
    kill: CancellationToken,
    life: Arc<Notify>,
}

impl Run {
    /// All that is left to do with it.
    async fn finish(mut self) {
        let left_behind = self.live().await;
        let exit = self.bury(left_behind).await;
        let ended =
            Ended { exit, reason: self.course.reason(), elapsed: self.started.elapsed(), left_behind };
        // The reader may take its time: it ends this by dropping its `Process`, and nothing runs any more.
        while let Some(news) = self.outbox.pop(Instant::now()) {
            if self.to_reader.send(news).await.is_err() {
                return;
            }
        }
        if self.to_reader.send(News::Ended(ended)).await.is_err() {
            tracing::debug!("nobody waited for the end of a command");
        }
    }

    /// Until all is told or nothing more is waited for. Whether pipes were still held open is returned.
    async fn live(&mut self) -> bool {
        let (mut interrupted, mut killed) = (false, false);
        loop {
            if self.course.has_exited() && self.stdout.is_closed() && self.stderr.is_closed() {
                return false;
            }
            let now = Instant::now();
            let has_room = self.outbox.has_room();
            self.course.set_held(!has_room, now);
            let due_at = self.outbox.due_at(now);
            let is_due = due_at.is_some_and(|at| at <= now);
            let wake_at = [due_at.filter(|_| !is_due), self.course.deadline()].into_iter().flatten().min();
            // Every arm may be dropped unfinished: reads and permits take nothing before they are ready.
            let demand = tokio::select! {
                () = self.kill.cancelled(), if !killed => {
                    killed = true;
                    Some(self.course.kill(Instant::now()))
                }
                () = self.to_reader.closed(), if !killed => {
                    killed = true;
                    Some(self.course.kill(Instant::now()))
                }
                () = self.interrupt.cancelled(), if !interrupted => {
                    interrupted = true;
                    self.course.interrupt(Instant::now())
                }
                permit = self.to_reader.reserve(), if is_due && !killed => {
                    if let (Ok(permit), Some(news)) = (permit, self.outbox.pop(Instant::now())) {
                        permit.send(news);
                    }
                    None
                }
                bytes = self.stdout.read(), if has_room && !self.stdout.is_closed() => {
                    take(&mut self.course, &mut self.outbox, self.stdout.told_as, bytes)
                }
                bytes = self.stderr.read(), if has_room && !self.stderr.is_closed() => {
                    take(&mut self.course, &mut self.outbox, self.stderr.told_as, bytes)
                }
                () = self.life.notified() => {
                    self.course.heard(0, Instant::now());
                    None
                }
                result = self.group.ended(), if !self.course.has_exited() => {
                    if let Err(error) = result {
                        tracing::error!(%error, "cannot watch a command");
                    }
                    self.course.exited(Instant::now());
                    None
                }
                () = at(wake_at) => self.course.due(Instant::now()),
            };
            match demand {
                Some(Demand::Begin(reason, signal)) => {
                    self.outbox.push_reason(reason);
                    self.group.signal(signal.signal());
                }
                Some(Demand::Signal(signal)) => self.group.signal(signal.signal()),
                Some(Demand::GiveUp) => return self.course.has_exited(),
                None => {}
            }
            if killed {
                // Nobody reads it, and it must not hold up the end.
                self.outbox = Outbox::default();
            }
        }
    }

    /// Kills what must not be left of the group, and reaps its leader.
    async fn bury(&mut self, left_behind: bool) -> Exit {
        // After an end of its own, whoever has let go of its output may stay: a service that a later step uses.
        if left_behind || self.course.reason().is_some() {
            self.group.signal(EndSignal::Kill.signal());
        }
        if !self.course.has_exited() {
            return Exit::Undead;
        }
        match tokio::time::timeout(PATIENCE, self.group.reap()).await {
            Ok(Ok(status)) => exit_of(status),
            Ok(Err(error)) => {
                tracing::error!(%error, "cannot learn how a command ended");
                Exit::Undead
            }
            Err(_) => Exit::Undead,
        }
    }
}

fn take(
    course: &mut Course,
    outbox: &mut Outbox,
    told_as: Option<LogStream>,
    bytes: Option<BytesMut>,
) -> Option<Demand> {
    let bytes = bytes?;
    let now = Instant::now();
    course.heard(bytes.len(), now);
    let stream = told_as?;
    let lines = memchr::memchr_iter(b'\n', &bytes).count();
    let (is_told, demand) = course.lines(lines as u64, now);
    if is_told {
        outbox.push(stream, bytes);
    }
    demand
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Undead,
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
