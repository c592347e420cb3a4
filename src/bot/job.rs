//! One command at work: how it tells, how it is ended, and how it moves bytes.
//!
//! # Laws
//! - Work on files runs on a thread of its own, and is waited for no longer than its limit, an interrupt or the link.
//! - A transfer is in lock-step: one block is on its way at most.

use std::{
    fmt::Display,
    io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::mpsc,
    task::spawn_blocking,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    environment::HiddenVariables,
    outlet::{Gone, Outlet},
};
use crate::{
    exec::Mark,
    model::LogStream,
    protocol::{Transfer, TransferReply, Update, command::MAX_BLOCK_BYTES},
};

/// How long a piece of work on files may take: a dead file server must not hold a command for ever.
pub(super) const FILES_LIMIT: Duration = Duration::from_secs(60);

/// Replies that wait for a command: it has one request on its way at most.
pub(super) const REPLIES: usize = 1;

/// What may interrupt a command: the first reason is the one that is told.
#[derive(Debug, Default)]
pub(super) struct Interrupt {
    why: OnceLock<String>,
    pub(super) token: CancellationToken,
}

impl Interrupt {
    /// Interrupts it, running or not yet.
    pub(super) fn interrupt(&self, why: String) {
        // Later reasons are not told: what they wish happens already.
        self.why.get_or_init(|| why);
        self.token.cancel();
    }

    /// Why; empty if that was not said.
    pub(super) fn why(&self) -> &str {
        self.why.get().map_or("", String::as_str)
    }
}

/// Why a command ends before it is done.
#[derive(Debug)]
pub(super) enum Early {
    /// Nobody listens any more.
    Gone,
    /// Somebody wishes it.
    Interrupted,
    /// It cannot go on; the text is for the log.
    Failed(String),
}

impl From<Gone> for Early {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Job {
    /// Where it tells.
    pub(super) outlet: Outlet,
    /// The builder's folder.
    pub(super) folder: PathBuf,
    /// What its processes carry.
    pub(super) mark: Mark,
    /// Variables that they do not get.
    pub(super) hidden: HiddenVariables,
    /// What may end it.
    pub(super) interrupt: Arc<Interrupt>,
    /// What the master answers to its transfers.
    pub(super) replies: mpsc::Receiver<TransferReply>,
    /// When it began.
    pub(super) started: Instant,
}

impl Job {
    /// A path below `workdir` of the builder's folder. An absolute one is itself; with `~` it begins at home.
    pub(super) fn path(&self, workdir: &str, path: &str) -> PathBuf {
        let home = || std::env::var_os("HOME").filter(|home| !home.is_empty());
        let expanded = match path.strip_prefix('~') {
            Some("") => home().map(PathBuf::from),
            Some(rest) => rest
                .strip_prefix('/')
                .and_then(|rest| home().map(|home| Path::new(&home).join(rest.trim_start_matches('/')))),
            None => None,
        };
        self.folder.join(workdir).join(expanded.unwrap_or_else(|| path.into()))
    }

    /// Does work on files. The token that it is given is cancelled once nobody waits for it.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce(&CancellationToken) -> T + Send + 'static,
    ) -> Result<T, Early> {
        let unwanted = CancellationToken::new();
        let _unwanted_with_us = unwanted.clone().drop_guard();
        let mut working = spawn_blocking(move || work(&unwanted));
        tokio::select! {
            biased;
            done = &mut working => Ok(done.expect("work on files does not panic")),
            () = self.outlet.gone.cancelled() => Err(Early::Gone),
            () = self.interrupt.token.cancelled() => Err(Early::Interrupted),
            () = sleep(limit) => Err(Early::Failed(format!("not done within {} s", limit.as_secs()))),
        }
    }

    /// Ends it early if that is wished.
    pub(super) fn go_on(&self) -> Result<(), Early> {
        if self.interrupt.token.is_cancelled() { Err(Early::Interrupted) } else { Ok(()) }
    }

    /// Sends a block, and waits until it is taken.
    pub(super) async fn write(&mut self, block: Bytes) -> Result<(), Early> {
        match self.ask(Transfer::Write(block)).await? {
            TransferReply::Taken => Ok(()),
            TransferReply::Data(_) => Err(Early::Failed("the master answered a block with data".to_owned())),
        }
    }

    /// Asks for the next bytes; none at the end.
    pub(super) async fn read(&mut self, most: u32) -> Result<Bytes, Early> {
        match self.ask(Transfer::Read { most }).await? {
            TransferReply::Data(bytes) if bytes.len() as u64 <= u64::from(most) => Ok(bytes),
            TransferReply::Data(_) => {
                Err(Early::Failed("the master sent more than it was asked for".to_owned()))
            }
            TransferReply::Taken => Err(Early::Failed("the master sent no data".to_owned())),
        }
    }

    async fn ask(&mut self, transfer: Transfer) -> Result<TransferReply, Early> {
        // An answer to nothing would be taken for the answer to this.
        while self.replies.try_recv().is_ok() {}
        let asked = async {
            self.outlet.transfer(transfer).await?;
            tokio::select! {
                reply = self.replies.recv() => reply.ok_or(Early::Gone),
                () = self.outlet.gone.cancelled() => Err(Early::Gone),
            }
        };
        tokio::select! {
            // What was asked before an interrupt is answered to nobody.
            biased;
            () = self.interrupt.token.cancelled() => Err(Early::Interrupted),
            reply = asked => reply,
        }
    }

    /// Tells why it was interrupted.
    pub(super) async fn tell_interrupt(&self) -> Result<(), Gone> {
        let why = self.interrupt.why();
        let colon = if why.is_empty() { "" } else { ": " };
        self.outlet.header(format!("command interrupted{colon}{why}\n")).await
    }

    /// Tells a failure as a program would.
    pub(super) async fn complain(&self, text: impl Display) -> Result<(), Gone> {
        let bytes = format!("{text}\n").into();
        self.outlet.update(Update::Output { stream: LogStream::Stderr, bytes }).await
    }

    /// Tells the end of a command that was carried out, well or not.
    pub(super) async fn finish(&self, rc: i32) -> Result<(), Gone> {
        self.outlet.finish(rc, self.started.elapsed(), None).await
    }
}

/// The next block's length: what the master wishes, but no more than a wire can carry or than is `left`.
pub(super) fn block_length(wished: u32, left: Option<u64>) -> u32 {
    let length = wished.clamp(1, MAX_BLOCK_BYTES);
    left.map_or(length, |left| u32::try_from(left).map_or(length, |left| left.min(length)))
}

/// What went wrong, without the number that the standard library puts behind it.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(number) => text.trim_end_matches(&format!(" (os error {number})")).to_owned(),
        None => text,
    }
}
