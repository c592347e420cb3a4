//! Workers inside the master's process, kept alive: each is a `bot` on an in-process link.
//!
//! # Laws
//! - A LocalWorker that ended by itself is started again, after 1 s at first, then twice as long each time, at most 60 s.
//! - Once stopped, nothing of it runs: its commands are killed and its link is down.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use tokio::time;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{
    bot,
    definition::{WorkerDefinition, WorkerKind},
    model::WorkerName,
    worker::{
        registry::{self, RegistryHandle},
        roster::RosterWatch,
    },
};

const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// How long a worker may take to kill its commands when it is stopped; the bot itself gives up sooner.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// The LocalWorkers that run.
pub struct LocalWorkers {
    /// `DIR/workers`.
    root: PathBuf,
    registry: RegistryHandle,
    roster: RosterWatch,
    running: HashMap<WorkerName, Running>,
    /// Those that were told to stop: another one of the same name waits until nothing of them runs.
    ending: HashMap<WorkerName, CancellationToken>,
}

struct Running {
    basedir: PathBuf,
    stop: CancellationToken,
    ended: CancellationToken,
}

impl LocalWorkers {
    /// None yet; their folders will lie below `root`.
    pub fn new(root: PathBuf, registry: RegistryHandle, roster: RosterWatch) -> Self {
        Self { root, registry, roster, running: HashMap::new(), ending: HashMap::new() }
    }

    /// Starts a worker, once nothing of an earlier one of its name runs. Does nothing for one that is no LocalWorker or
    /// runs already in its folder; one that runs in another folder is stopped first.
    pub fn start(&mut self, definition: &Arc<WorkerDefinition>) {
        let WorkerKind::Local { workdir } = &definition.kind else { return };
        let (name, basedir) = (definition.name.clone(), self.root.join(workdir));
        match self.running.get(&name) {
            Some(running) if running.basedir == basedir => return,
            Some(_) => self.stop(&name),
            None => {}
        }
        let before = self.ending.remove(&name);
        let running = Running {
            basedir: basedir.clone(),
            stop: CancellationToken::new(),
            ended: CancellationToken::new(),
        };
        let (registry, roster) = (self.registry.clone(), self.roster.clone());
        let (stop, ended) = (running.stop.clone(), running.ended.clone().drop_guard());
        self.running.insert(name.clone(), running);
        tokio::spawn(async move {
            if let Some(before) = before {
                end(&name, &before).await;
            }
            keep(name, basedir, registry, roster, stop).await;
            drop(ended);
        });
    }

    /// Tells a worker to stop; returns at once. Does nothing for one that does not run.
    pub fn stop(&mut self, name: &WorkerName) {
        self.ending.retain(|_, ended| !ended.is_cancelled());
        if let Some(running) = self.running.remove(name) {
            running.stop.cancel();
            self.ending.insert(name.clone(), running.ended);
        }
    }

    /// Stops all of them and waits until nothing of them runs.
    pub async fn stop_all(&mut self) {
        let running: Vec<_> = self.running.keys().cloned().collect();
        for name in &running {
            self.stop(name);
        }
        for (name, ended) in self.ending.drain() {
            end(&name, &ended).await;
        }
    }
}

async fn end(name: &WorkerName, ended: &CancellationToken) {
    if time::timeout(STOP_WITHIN, ended.cancelled()).await.is_err() {
        error!(worker = %name, "the local worker did not stop within {} s", STOP_WITHIN.as_secs());
    }
}

async fn keep(
    name: WorkerName,
    basedir: PathBuf,
    registry: RegistryHandle,
    roster: RosterWatch,
    stop: CancellationToken,
) {
    let complain = |failure: &(dyn std::error::Error + 'static), what: &str| {
        let source = roster.borrow().place(name.as_str()).map(tracing::field::display);
        error!(worker = %name, source, error = failure, "{what}");
    };
    let mut delay = FIRST_DELAY;
    // It may have been told to stop while an earlier one ended.
    while !stop.is_cancelled() {
        match bot::local::start(&name, &basedir).await {
            Ok((link, bot)) => {
                match registry.attach(name.clone(), None, link, registry::PATIENCE).await {
                    Ok(connection) => {
                        tokio::select! {
                            // Cancel-safe: tokens stay cancelled.
                            () = stop.cancelled() => {
                                connection.close();
                                connection.gone().await;
                            }
                            () = connection.gone() => delay = FIRST_DELAY,
                        }
                    }
                    Err(failure) => complain(&failure, "cannot attach"),
                }
                // The link is down now, which ends the bot once its commands are killed.
                if let Err(failure) = bot.await {
                    complain(&failure, "the local worker failed");
                }
            }
            Err(failure) => complain(&failure, "cannot start the local worker"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = time::sleep(delay) => delay = (delay * 2).min(LONGEST_DELAY),
        }
    }
}
