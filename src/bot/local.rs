//! A LocalWorker: a worker inside the master's own process, with nothing between the two but queues.
//!
//! # Laws
//! - One worker works in a folder, of whatever master, and of whatever kind.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::task::JoinHandle;

use super::{
    Bot, BotSettings,
    home::{self, NotHeld},
};
use crate::{
    exec::leftover::LeftoverError,
    model::WorkerName,
    protocol::link::{self, Link},
};

/// Why a LocalWorker could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its folder could not be made, or not be written.
    #[error("cannot use the folder `{}` of worker `{worker}`", folder.display())]
    Folder {
        /// Which worker.
        worker: WorkerName,
        /// Its folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another worker works in its folder.
    #[error("the folder `{}` of worker `{worker}` is in use{}", folder.display(), by(*pid))]
    Taken {
        /// Which worker.
        worker: WorkerName,
        /// Its folder.
        folder: PathBuf,
        /// The process in which the other one is, if it has told.
        pid: Option<u32>,
    },
    /// Whether commands of a former life still run could not be found out.
    #[error("cannot look for leftover commands of worker `{worker}`")]
    Leftovers {
        /// Which worker.
        worker: WorkerName,
        /// Why.
        source: LeftoverError,
    },
}

impl StartError {
    /// What the operator can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Folder { .. } => "the folder must be one that the master's user may make and write in",
            Self::Taken { .. } => "give it a `workdir` of its own, or stop the other one",
            Self::Leftovers { .. } => "the master needs /proc to be mounted",
        }
    }
}

fn by(pid: Option<u32>) -> String {
    pid.map(|pid| format!(", by process {pid}")).unwrap_or_default()
}

/// Starts a worker in `basedir`, which is made if it is missing. Commands that a former life left there are killed
/// first; that takes 10 s of wall time at most, and those that would not die by then are logged.
///
/// The worker ends, and kills its commands, when the link is dropped; the handle ends once it has.
///
/// # Cancel safety
/// Dropped before it returns, nothing was started.
pub async fn start(name: &WorkerName, basedir: &Path) -> Result<(Link, JoinHandle<()>), StartError> {
    let unusable = |source| StartError::Folder { worker: name.clone(), folder: basedir.to_owned(), source };
    let home = home::prepare(basedir).await.map_err(unusable)?;
    let held = home::hold(&home).await.map_err(|refused| match refused {
        NotHeld::Taken(pid) => StartError::Taken { worker: name.clone(), folder: home.clone(), pid },
        NotHeld::Failed(source) => unusable(source),
    })?;
    let bot = Bot::new(BotSettings::new(home));
    bot.kill_leftovers().await.map_err(|source| StartError::Leftovers { worker: name.clone(), source })?;
    let (link, end) = link::pair();
    let task = tokio::spawn(async move {
        bot.run(end).await;
        drop(held);
    });
    Ok((link, task))
}
