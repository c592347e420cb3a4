//! A child and the process group that it leads.
//!
//! # Laws
//! - A group is signalled only while its leader is alive or unreaped: else its number could be another's by now.
//!   (On kernels before 5.3, which have no pidfd, an end is seen only by reaping, and this law holds only up to it.)
//! - Dropped unreaped, the group is killed, and tokio reaps the leader.

use std::{io, process::ExitStatus};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Resource, Signal, kill_process, kill_process_group, pidfd_open, prlimit},
};
use tokio::{
    net::unix::pipe,
    process::{Child, ChildStderr, ChildStdin, ChildStdout},
};

use super::{heritage, launch, orphans};

/// See the module.
#[derive(Debug)]
pub(super) struct Group {
    child: Child,
    leader: Pid,
    watch: Option<pipe::Receiver>,
    reaped: bool,
}

impl Group {
    /// Takes charge of a child that leads a group of its own.
    ///
    /// Must be called within the runtime.
    pub(super) fn new(child: Child) -> io::Result<Self> {
        let leader = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .expect("a child that nobody waited for has its id");
        let mut group = Self { child, leader, watch: None, reaped: false };
        match pidfd_open(leader, PidfdFlags::empty()) {
            // No pipe, but only its readiness is asked for: it becomes readable when the process ends. tokio's general
            // `AsyncFd` cannot be made without `unsafe`.
            Ok(pidfd) => group.watch = Some(pipe::Receiver::from_owned_fd_unchecked(pidfd)?),
            Err(Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(group)
    }

    /// The leader.
    pub(super) fn leader(&self) -> Pid {
        self.leader
    }

    /// Gives it the limit of open files that this process had at first, in case it was not launched with it.
    ///
    /// It runs already. What it asks the system for in its first moment may be answered by the limit of this process, which
    /// is a higher one.
    pub(super) fn limit_open_files(&self) {
        let Some(limit) = heritage::limit_of_open_files().filter(|_| !launch::stands_by()) else { return };
        if let Err(error) = prlimit(Some(self.leader), Resource::Nofile, limit) {
            tracing::debug!(group = self.id(), %error, "a command may open more files than it should");
        }
    }

    /// The id of the leader, which is the group's.
    pub(super) fn id(&self) -> u32 {
        self.leader.as_raw_nonzero().get().unsigned_abs()
    }

    /// Our ends of its pipes; nothing the second time.
    pub(super) fn pipes(&mut self) -> (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdin.take(), self.child.stdout.take(), self.child.stderr.take())
    }

    /// Waits until the leader has ended; does not reap it.
    ///
    /// # Cancel safety
    /// Loses nothing.
    pub(super) async fn ended(&mut self) -> io::Result<()> {
        match &self.watch {
            Some(pidfd) => pidfd.readable().await,
            None => self.reap().await.map(drop),
        }
    }

    /// Reaps the leader: at once, if it has ended.
    pub(super) async fn reap(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.reaped = true;
        orphans::forget(self.leader);
        Ok(status)
    }

    /// Sends a signal to all of the group.
    pub(super) fn signal(&self, signal: Signal) {
        match kill_process_group(self.leader, signal) {
            // It may not lead its group yet: it is about to.
            Err(Errno::SRCH) if !self.reaped => {
                if let Err(error) = kill_process(self.leader, signal) {
                    tracing::debug!(group = self.id(), %error, "nobody is left to signal");
                }
            }
            // Nobody is left, or only what has taken another user: whether it ends is seen in time.
            Ok(()) | Err(Errno::SRCH | Errno::PERM) => {}
            Err(error) => tracing::error!(group = self.id(), %error, "cannot signal a process group"),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.reaped {
            self.signal(Signal::KILL);
            orphans::forget(self.leader);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::within, *};

    #[tokio::test]
    async fn an_end_is_seen_without_a_pidfd_too() {
        for with_pidfd in [true, false] {
            #[expect(clippy::disallowed_methods, reason = "this is the room that starts children")]
            let mut command = tokio::process::Command::new("/bin/sh");
            let mut group =
                Group::new(command.args(["-c", "exit 3"]).process_group(0).spawn().unwrap()).unwrap();
            group.watch = group.watch.take().filter(|_| with_pidfd);
            within(group.ended()).await.unwrap();
            assert_eq!(group.reaped, !with_pidfd, "it is reaped no earlier than it must be");
            assert_eq!(within(group.reap()).await.unwrap().code(), Some(3));
        }
    }
}
