//! The program on the worker's side: told what to run by messages, it runs it and tells what comes of it.
//!
//! It knows no wire: [`Bot::run`] serves one [`WorkerEnd`], whatever carries the messages. Inside the master's own
//! process that is nothing at all, and the worker is a LocalWorker ([`local`]).
//!
//! # Laws
//! - A command is answered by its updates and exactly one `Complete`, unless the link goes down first.
//! - No command outlives its link: when [`Bot::run`] returns, all are killed; what a killed process left is found by
//!   its mark ([`MARK`]) at the next start.
//! - A message is never waited for longer than the master takes to read what was said before it.
//!
//! # Not here
//! Processes (`exec`), wires (`protocol`), and sockets.

mod archive;
mod download;
mod environment;
mod folders;
mod header;
pub mod home;
pub mod info;
mod job;
pub mod local;
mod outlet;
mod pattern;
mod questions;
pub mod remote;
mod session;
mod shell;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tidy;
mod upload;
mod watch;

use std::{num::NonZeroU32, path::PathBuf};

pub use environment::HiddenVariables;

use crate::{exec::Mark, model::WorkerInfo, protocol::link::WorkerEnd};

/// The variable that each command carries, with the worker's folder as its value. A program that is to outlive the
/// worker is started without it: `env -u LUNABOT_WORKER_DIR program`.
pub const MARK: &str = "LUNABOT_WORKER_DIR";

/// What a worker needs to know of itself.
#[derive(Clone, Debug)]
pub struct BotSettings {
    /// Its folder, absolute; the builders' folders are below it. It exists.
    pub basedir: PathBuf,
    /// Whether folders in `basedir` are removed that are no builder's when the builders are told. Not `info`, and none in
    /// which a command runs; links are neither followed nor removed. Off by default.
    pub delete_leftover_dirs: bool,
    /// Whether the facts are told that only a master at the other end of a wire needs: its environment, the versions of
    /// its commands, and `delete_leftover_dirs`. Off by default.
    pub tells_wire_facts: bool,
    /// How many processors are told of, instead of those that are found.
    pub numcpus: Option<NonZeroU32>,
    /// Variables of this process that are neither told nor given to commands; none by default.
    pub hidden: HiddenVariables,
    /// Facts told besides those that are found on this machine; over them, where both tell the same.
    pub info: WorkerInfo,
}

impl BotSettings {
    /// A worker in a folder, with all else as it is by default.
    pub fn new(basedir: impl Into<PathBuf>) -> Self {
        Self {
            basedir: basedir.into(),
            delete_leftover_dirs: false,
            tells_wire_facts: false,
            numcpus: None,
            hidden: HiddenVariables::default(),
            info: WorkerInfo::default(),
        }
    }
}

/// A worker. It keeps nothing from one link to the next.
#[derive(Clone, Debug)]
pub struct Bot {
    settings: BotSettings,
}

/// Why a link was served no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEnd {
    /// It went down. Another may be made.
    Down,
    /// The master told the worker to stop.
    Shutdown,
}

impl Bot {
    /// A worker that is told nothing yet.
    pub fn new(settings: BotSettings) -> Self {
        Self { settings }
    }

    /// The mark by which this worker's commands are found in a later life.
    pub fn mark(&self) -> Mark {
        Mark { name: MARK.into(), value: self.settings.basedir.clone().into() }
    }

    /// Serves a link until it goes down or the master says to stop; then kills all commands.
    ///
    /// The kill takes what [`Process::kill`](crate::exec::Process::kill) takes, and 15 s of wall time at most.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it kills all commands without waiting for that.
    pub async fn run(&self, end: WorkerEnd) -> LinkEnd {
        session::serve(self, end).await
    }
}
