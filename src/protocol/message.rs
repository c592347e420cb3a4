//! The messages between master and worker, the same for every wire.
//!
//! Source: what Buildbot's PB and msgpack carry, brought to one form; `docs/architecture.md` tells the way of a message.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;

use super::command::WorkerCommand;
use crate::model::{LogStream, WorkerInfo};

/// A command that was started, unique as long as the worker lives: also across links and restarts of the master.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(Arc<str>);

impl CommandId {
    /// An id from its text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One life of a worker's commands: they may outlive a link, and are wanted again by this name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(Arc<str>);

impl SessionId {
    /// The fact by which a worker tells it. No property is made of it.
    pub const FACT: &'static str = "lunabot_session";

    /// An id from its text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the master says.
#[derive(Clone, Debug, PartialEq)]
pub enum ToWorker {
    /// The builders of this worker and their folders below its own: all of them, each time.
    SetBuilders(Vec<BuilderFolder>),
    /// Run a command. Its `Update`s come until its `Complete`.
    Start {
        /// Names it in all that follows.
        id: CommandId,
        /// For which builder: its folder is where the command's paths begin.
        builder: Arc<str>,
        /// What to run.
        command: WorkerCommand,
    },
    /// End a command early. It is answered by the command's `Complete`.
    Interrupt {
        /// Which.
        id: CommandId,
        /// Why, for the log.
        why: String,
    },
    /// The answer to a [`FromWorker::Transfer`] that wants one; the worker waits for it.
    Reply {
        /// Of which command.
        id: CommandId,
        /// What.
        reply: TransferReply,
    },
    /// A command that was started on an earlier link, and whose end nobody heard: it must not run on beside the build that
    /// is tried again. Not answered.
    Abandon {
        /// Which.
        id: CommandId,
    },
    /// From now on, commands outlive the link by so much, and what is said of them is numbered by [`FromWorker::Mark`]s.
    /// Before the first command; only to a worker that has told its [`SessionId`]. Not answered.
    OutliveLinks(Duration),
    /// A command of an earlier link is to go on. What comes after `received` is said again; or
    /// [`FromWorker::Unknown`].
    Adopt {
        /// Which.
        id: CommandId,
        /// The last [`FromWorker::Mark`] of it that was heard; 0 if none was.
        received: u64,
        /// What the last block of a transfer was answered, if one was: should that be asked again, it is answered so.
        reply: Option<Box<TransferReply>>,
    },
    /// What a command said up to this mark is safe: the worker may forget it. Not answered.
    Acknowledge {
        /// Of which command.
        id: CommandId,
        /// The mark.
        number: u64,
    },
    /// Are you there? Answered by [`FromWorker::Pong`] with the same number.
    Ping(u64),
    /// Stop the program, once its commands are killed.
    Shutdown,
}

/// A builder and its folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BuilderFolder {
    /// The builder's name.
    pub builder: Arc<str>,
    /// Its folder, below the worker's.
    pub folder: String,
}

/// What a worker says.
#[derive(Clone, Debug, PartialEq)]
pub enum FromWorker {
    /// The first message on each link: who it is and what it is made of.
    Hello(WorkerInfo),
    /// News of a running command, in order.
    Update {
        /// Which.
        id: CommandId,
        /// What is new.
        update: Update,
    },
    /// A running command moves bytes to or from the master.
    Transfer {
        /// Which.
        id: CommandId,
        /// What.
        transfer: Transfer,
    },
    /// The command has ended. Nothing follows for this id.
    Complete {
        /// Which.
        id: CommandId,
        /// Why it could not be carried out, if it could not; the text is for the log.
        failure: Option<String>,
    },
    /// All that was said of a command up to here is known by this number, which grows. Only if commands
    /// [outlive links](ToWorker::OutliveLinks).
    Mark {
        /// Of which command.
        id: CommandId,
        /// The number.
        number: u64,
    },
    /// There is no such command to [adopt](ToWorker::Adopt): it was never heard of, or is given up. Nothing follows for
    /// this id.
    Unknown {
        /// Which.
        id: CommandId,
    },
    /// The program stops, and its commands with it: none of them will be gone on with. Only if commands
    /// [outlive links](ToWorker::OutliveLinks).
    SessionOver,
    /// I am here.
    Pong(u64),
    /// It wishes to stop once its builds are done: no more are given to it, and it is told to shut down.
    WantsShutdown,
}

/// News of a running command.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// Output, cut anywhere: the bytes as they came.
    Output {
        /// Which of its streams.
        stream: LogStream,
        /// The bytes.
        bytes: Bytes,
    },
    /// Its exit code; -1 after a signal.
    Rc(i32),
    /// Why it is being killed by the worker.
    FailureReason(FailureReason),
    /// How long it took.
    Elapsed(Duration),
    /// What was added to a watched file.
    Log {
        /// The name of its log.
        name: Arc<str>,
        /// The bytes.
        bytes: Bytes,
    },
    /// What a path is.
    Stat(Box<FileStat>),
    /// Paths or names, in no order.
    Files(Vec<String>),
}

/// What a path is, in the words of `stat(2)`. Instants are seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the field names are those of the system call")]
pub struct FileStat {
    pub mode: u32,
    pub inode: u64,
    pub device: u64,
    pub links: u64,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub accessed_at: i64,
    pub modified_at: i64,
    pub changed_at: i64,
}

/// Bytes of a file on their way, in lock-step: after `Write` and `Read` the worker waits for the [`TransferReply`].
#[derive(Clone, Debug, PartialEq)]
pub enum Transfer {
    /// The next block of an upload. Answered by [`TransferReply::Taken`], whatever becomes of it: to end a transfer early,
    /// interrupt its command.
    Write(Bytes),
    /// So many bytes at most are wanted next. Answered by [`TransferReply::Data`].
    Read {
        /// How many.
        most: u32,
    },
    /// No more blocks come, or are wanted. Not answered; comes also after a failure.
    Close,
    /// The stream of a folder is complete. Not answered; comes also after an interrupt or at a size limit, with a stream
    /// cut anywhere; and not at all if the folder could not be read.
    Unpack,
    /// The times of the file that was sent, in seconds since 1970; after its `Close`. Not answered.
    Times {
        /// When it was read last.
        accessed_at: f64,
        /// When it was changed last.
        modified_at: f64,
    },
}

/// What the master answers to a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferReply {
    /// The block was taken; the next may come.
    Taken,
    /// The next bytes; none at the end.
    Data(Bytes),
}

/// Why the worker kills a command by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureReason {
    /// It ran longer than `max_time`.
    Timeout,
    /// It was silent longer than `timeout`.
    TimeoutWithoutOutput,
    /// It wrote more than `max_lines`.
    MaxLines,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_small_since_each_link_keeps_room_for_many() {
        assert!(size_of::<ToWorker>() <= 64, "{}", size_of::<ToWorker>());
        assert!(size_of::<FromWorker>() <= 96, "{}", size_of::<FromWorker>());
    }
}
