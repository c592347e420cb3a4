//! The task of a child: what comes of it goes to its reader, and what its course demands is done.
use std::{os::unix::process::ExitStatusExt, process::ExitStatus, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWriteExt},
    process::{ChildStderr, ChildStdin},
    sync::{Notify, mpsc},
    task::spawn_blocking,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    course::{Course, Demand, PATIENCE},
    group::Group,
    outbox::Outbox,
    pipe::Pipe,
    process::{Ended, Exit, News},
    spec::EndSignal,
    tree::Tree,
};
use crate::model::LogStream;

/// How long a signal waits for those of the tree that are outside of the group to be found.
const LOOK_LIMIT: Duration = Duration::from_secs(1);
/// Between two looks for those that do not die at once.
const PAUSE: Duration = Duration::from_millis(10);

/// Our end of its standard output, or of its terminal.
pub(super) type Output = Box<dyn AsyncRead + Send + Unpin>;

/// What the task of a child owns.
pub(super) struct Run {
    pub(super) course: Course,
    pub(super) started: Instant,
    pub(super) group: Group,
    pub(super) tree: Arc<Tree>,
    pub(super) stdout: Pipe<Output>,
    pub(super) stderr: Pipe<ChildStderr>,
    pub(super) outbox: Outbox,
    pub(super) to_reader: mpsc::Sender<News>,
    pub(super) interrupt: CancellationToken,
    pub(super) kill: CancellationToken,
    pub(super) life: Arc<Notify>,
}

impl Run {
    /// All that is left to do with it.
    pub(super) async fn finish(mut self) {
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
                    self.signal(signal).await;
                }
                Some(Demand::Signal(signal)) => self.signal(signal).await,
                Some(Demand::GiveUp) => return self.course.has_exited(),
                None => {}
            }
            if killed {
                // Nobody reads it, and it must not hold up the end.
                self.outbox = Outbox::default();
            }
        }
    }

    /// Sends a signal to all processes of the command. Not much is held up: a second at most.
    async fn signal(&mut self, signal: EndSignal) {
        let tree = Arc::clone(&self.tree);
        let sent = if signal == EndSignal::Kill {
            // They are to be found first: once the leader is dead, its children are somebody else's.
            let killed = timeout(LOOK_LIMIT, spawn_blocking(move || tree.kill().map(drop))).await;
            self.group.signal(signal.signal());
            killed
        } else {
            self.group.signal(signal.signal());
            let signal = signal.signal();
            timeout(LOOK_LIMIT, spawn_blocking(move || tree.signal_strays(signal))).await
        };
        match sent.map(|sent| sent.expect("a look at the processes does not panic")) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(group = self.group.id(), %error, "a command's processes outside of its group are not found");
            }
            Err(_) => {
                tracing::warn!(group = self.group.id(), "the search for a command's processes takes long");
            }
        }
    }

    /// Kills what is left of the tree until nothing is.
    async fn fell(&mut self) {
        let until = Instant::now() + PATIENCE;
        loop {
            let tree = Arc::clone(&self.tree);
            match timeout(LOOK_LIMIT, spawn_blocking(move || tree.kill())).await {
                Ok(killed) => match killed.expect("a look at the processes does not panic") {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                },
                // Told by now.
                Err(_) => return,
            }
            if Instant::now() + PAUSE >= until {
                tracing::error!(group = self.group.id(), "processes of a command do not die");
                return;
            }
            sleep(PAUSE).await;
        }
    }

    /// Kills what must not be left of the command, and reaps its leader.
    async fn bury(&mut self, left_behind: bool) -> Exit {
        // After an end of its own, whoever has let go of its output may stay: a service that a later step uses.
        if left_behind || self.course.reason().is_some() {
            self.group.signal(EndSignal::Kill.signal());
        }
        if self.course.reason().is_some() {
            self.fell().await;
        }
        if !self.course.has_exited() {
            return Exit::Undead;
        }
        match timeout(PATIENCE, self.group.reap()).await {
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
    let mut bytes = bytes?;
    let now = Instant::now();
    course.heard(bytes.len(), now);
    let stream = told_as?;
    let count = memchr::memchr_iter(b'\n', &bytes).count();
    let (most, demand) = course.lines(count as u64, now);
    if let Some(most) = most.and_then(|most| usize::try_from(most).ok()) {
        let told = memchr::memchr_iter(b'\n', &bytes).take(most).last().map_or(0, |end| end + 1);
        bytes.truncate(told);
    }
    if !bytes.is_empty() {
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

/// Writes all, then closes. A child that does not want it has closed its end, which is its own affair.
pub(super) async fn feed(mut stdin: ChildStdin, bytes: Bytes) {
    if let Err(error) = stdin.write_all(&bytes).await {
        tracing::debug!(%error, "a command did not read all of its input");
    }
}
