//! One child, from its start to the last of its output.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{Notify, mpsc},
    task::spawn_blocking,
};
use tokio_util::sync::CancellationToken;

use super::{
    course::KillReason,
    spec::{SpawnError, Spec},
    start::start,
};
use crate::model::LogStream;

/// A child that was started.
///
/// Dropped, it is killed with its whole group, without grace. To wait for that, use [`Process::kill`].
#[derive(Debug)]
pub struct Process {
    pub(super) id: u32,
    pub(super) news: mpsc::Receiver<News>,
    pub(super) interrupt: CancellationToken,
    pub(super) kill: CancellationToken,
    pub(super) life: Arc<Notify>,
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
    /// It was still there [`PATIENCE`](super::PATIENCE) after the last signal, SIGKILL: it hangs in the kernel, or is another user's.
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
    /// Lasts at most [`PATIENCE`](super::PATIENCE) twice. Nothing is returned if the end had been told before.
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
