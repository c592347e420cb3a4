//! Workers inside the master's process, kept alive: each is a `bot` on an in-process link.
//!
//! # Laws
//! - A LocalWorker that ended by itself is started again, after 1 s at first, then twice as long each time, at most 60 s.
//! - Once stopped, nothing of it runs: its commands are killed and its link is down.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{
    bot,
    definition::{WorkerDefinition, WorkerKind},
    model::WorkerName,
    worker::registry::{self, RegistryHandle},
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
    running: HashMap<WorkerName, Running>,
}

struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl LocalWorkers {
    /// None yet; their folders will lie below `root`.
    pub fn new(root: PathBuf, registry: RegistryHandle) -> Self {
        Self { root, registry, running: HashMap::new() }
    }

    /// Starts a worker. Does nothing for one that is no LocalWorker or runs already.
    pub fn start(&mut self, definition: &Arc<WorkerDefinition>) {
        let WorkerKind::Local { workdir } = &definition.kind else { return };
        if self.running.contains_key(&definition.name) {
            return;
        }
        let (name, basedir) = (definition.name.clone(), self.root.join(workdir));
        let stop = CancellationToken::new();
        let task = tokio::spawn(keep(name.clone(), basedir, self.registry.clone(), stop.clone()));
        self.running.insert(name, Running { stop, task });
    }

    /// Stops a worker and waits until nothing of it runs.
    pub async fn stop(&mut self, name: &WorkerName) {
        if let Some(running) = self.running.remove(name) {
            running.stop.cancel();
            end(name, running).await;
        }
    }

    /// Stops all of them and waits until nothing of them runs.
    pub async fn stop_all(&mut self) {
        let running: Vec<_> = self.running.drain().collect();
        for (_, worker) in &running {
            worker.stop.cancel();
        }
        for (name, worker) in running {
            end(&name, worker).await;
        }
    }
}

async fn end(name: &WorkerName, running: Running) {
    if time::timeout(STOP_WITHIN, running.task).await.is_err() {
        error!(worker = %name, "the local worker did not stop within {} s", STOP_WITHIN.as_secs());
    }
}

async fn keep(name: WorkerName, basedir: PathBuf, registry: RegistryHandle, stop: CancellationToken) {
    let mut delay = FIRST_DELAY;
    loop {
        match bot::local::start(&name, &basedir).await {
            Ok((link, bot)) => {
                match registry.attach(name.clone(), link, registry::PATIENCE).await {
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
                    Err(failure) => {
                        error!(worker = %name, error = &failure as &dyn std::error::Error, "cannot attach");
                    }
                }
                // The link is down now, which ends the bot once its commands are killed.
                if let Err(failure) = bot.await {
                    error!(worker = %name, error = &failure as &dyn std::error::Error, "the local worker failed");
                }
            }
            Err(failure) => {
                error!(worker = %name, error = &failure as &dyn std::error::Error, "cannot start the local worker");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = time::sleep(delay) => delay = (delay * 2).min(LONGEST_DELAY),
        }
    }
}
