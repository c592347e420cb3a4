//! Carries a plan out: prepare, which may fail and then has changed nothing; commit, which cannot; retire, which takes
//! its time and holds up nobody.
//!
//! # Laws
//! - After `prepare` failed, all is as before.
//! - After `commit`, what is new runs, and nothing new begins on what is gone.
//! - A worker that is gone keeps its link until its last build has ended; if it comes back before that, its link never
//!   went. (That a build keeps its folder is a law of the connection.)
//!
//! # Not here
//! When this is done, and whether (`reload`); the choice of a worker for a build (`build::claim`).

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
};

use futures_util::future::join_all;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info};

use crate::{
    build::Load,
    definition::{
        Cost, ListenerDefinition, MasterDefinition, ReconfigPlan, SchedulerDefinition, SchedulerKind,
        WorkerDefinition, listener, plan::Transition,
    },
    master::{passwords::Resolved, whereabouts::Whereabouts},
    model::{SchedulerName, Timestamp, WorkerName},
    net::{ServerTls, TlsError},
    scheduler::periodic,
    secret::Keeper,
    store::{GenerationRows, PreparedGeneration, Store, StoreError},
    worker::{
        LocalWorkers, RegistryHandle, Roster, certificates,
        gate::Gate,
        listener::{BindError, Bound, Serving, bind},
    },
};

/// The parts that a configuration has running.
pub(super) struct Parts {
    pub(super) store: Store,
    pub(super) registry: RegistryHandle,
    pub(super) definition: watch::Sender<Arc<MasterDefinition>>,
    /// What the log is told of it.
    pub(super) whereabouts: Whereabouts,
    pub(super) roster: watch::Sender<Arc<Roster>>,
    pub(super) local_workers: LocalWorkers,
    pub(super) periodic: HashMap<SchedulerName, PeriodicTask>,
    pub(super) gate: Gate,
    /// Who is asked for secrets.
    pub(super) keeper: Keeper,
    /// Ports by their addresses: what is spoken there may change while the socket stays.
    pub(super) listeners: HashMap<SocketAddr, Serving>,
    /// The master's folder, below which relative paths are.
    pub(super) root: PathBuf,
    /// Whether the database has what the running configuration says: then a change is written by its differences.
    pub(super) is_written: bool,
    /// What runs where.
    pub(super) load: watch::Receiver<Load>,
    /// Workers that are gone from the configuration and still have their link.
    pub(super) draining: BTreeMap<WorkerName, Arc<WorkerDefinition>>,
    /// Schedulers that end.
    pub(super) endings: TaskTracker,
}

/// Why a plan cannot be carried out. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A port cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A port cannot be had, since the running configuration has it in another form.
    #[error(
        "{new} cannot take the place of {old} while that is open; take the port away in one reload, and give it its new address in the next"
    )]
    Overlap {
        /// What is open.
        old: SocketAddr,
        /// What is wanted.
        new: SocketAddr,
    },
    /// A certificate cannot be used.
    #[error("cannot use the certificate of port {}", address.port())]
    Certificate {
        /// Of which port.
        address: SocketAddr,
        /// Why.
        source: TlsError,
    },
    /// The database does not take the configuration.
    #[error("cannot write the configuration to the database")]
    Store(#[from] StoreError),
}

/// A Periodic scheduler that runs.
pub(super) struct PeriodicTask {
    definition: watch::Sender<Arc<SchedulerDefinition>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// A plan that can no longer fail but by the last word of the database.
pub(super) struct Prepared {
    plan: ReconfigPlan,
    new: Arc<MasterDefinition>,
    resolved: Resolved,
    rows: PreparedGeneration,
    ports: Vec<Port>,
}

/// What becomes of a port.
enum Port {
    /// It is new.
    Open(SocketAddr, Bound),
    /// Its socket stays, and something else is behind it.
    Change(Arc<ListenerDefinition>, Option<ServerTls>),
    /// It goes.
    Close(SocketAddr),
}

/// What a commit has told to end.
#[must_use = "what is gone must be waited for"]
pub(super) struct Retired {
    schedulers: Vec<PeriodicTask>,
}

impl Parts {
    /// Gets all ready that may fail. The generation's rows stand in an open transaction, which holds all other writes
    /// back: commit soon, or drop it.
    pub(super) async fn prepare(
        &self,
        plan: ReconfigPlan,
        new: MasterDefinition,
        resolved: Resolved,
        cause: String,
    ) -> Result<Prepared, PrepareError> {
        // Ports before rows: a port that is taken must not hold the writer.
        let mut ports = Vec::new();
        for transition in &plan.listeners {
            ports.extend(self.prepare_port(transition, &new).await?);
        }
        let rows =
            if self.is_written { GenerationRows::of_plan(&plan, &new) } else { GenerationRows::from(&new) };
        let rows = GenerationRows { cause, ..rows };
        let rows = self.store.prepare_generation(rows, Timestamp::now()).await?;
        Ok(Prepared { plan, new: Arc::new(new), resolved, rows, ports })
    }

    /// Makes the new configuration the one that runs; answers with the number of its generation. Fails only if the
    /// database does not take it: then all is as before.
    pub(super) async fn commit(&mut self, prepared: Prepared) -> Result<(i64, Retired), StoreError> {
        let Prepared { plan, new, resolved, rows, ports } = prepared;
        // Whoever does not hear of the outcome does not know what the database has.
        self.is_written = false;
        let number = rows.commit().await?;
        self.is_written = true;
        // From here on nothing can fail.
        self.keeper.change(resolved.providers);
        self.whereabouts.change(&new);
        self.roster.send_replace(Arc::new(resolved.roster));
        self.definition.send_replace(Arc::clone(&new));
        let mut retired = Retired { schedulers: Vec::new() };
        for transition in &plan.workers {
            self.change_worker(transition);
        }
        for port in ports {
            self.change_port(port);
        }
        for transition in &plan.schedulers {
            self.change_scheduler(transition, &mut retired);
        }
        self.move_schedulers(&new);
        Ok((number, retired))
    }

    /// Sees what is gone to its end. Returns at once; workers that drain are looked after by [`Parts::settle`].
    pub(super) fn retire(&mut self, retired: Retired) {
        for scheduler in retired.schedulers {
            self.endings.spawn(scheduler.end());
        }
        self.settle();
    }

    /// Takes the places and passwords of a configuration that is otherwise the one that runs.
    pub(super) fn refresh(&self, same: MasterDefinition, resolved: Resolved) {
        // The keeper needs no word: its providers are the same. And nobody is woken by a line that moved.
        self.roster.send_if_modified(|roster| {
            let is_new = **roster != resolved.roster;
            *roster = Arc::new(resolved.roster);
            is_new
        });
        self.move_schedulers(&same);
        let same = Arc::new(same);
        self.whereabouts.change(&same);
        self.definition.send_replace(same);
    }

    /// Gives the schedulers that stay as they are the places that they have now.
    fn move_schedulers(&self, new: &MasterDefinition) {
        for (name, task) in &self.periodic {
            let Some(moved) = new.schedulers.get(name) else { continue };
            task.definition.send_if_modified(|definition| {
                *definition = Arc::clone(moved);
                false
            });
        }
    }

    /// Waits until builds have come or gone while something waits for their end.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the change is still to be seen.
    pub(super) async fn load_changed(&mut self) {
        if self.draining.is_empty() || self.load.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Disconnects the gone workers whose last build has ended.
    pub(super) fn settle(&mut self) {
        let load = self.load.borrow_and_update().clone();
        // Until the queue has heard of the newest configuration, it may still begin a build by an earlier one.
        if !Arc::ptr_eq(&load.definition, &self.definition.borrow()) {
            return;
        }
        let mut idle = Vec::new();
        self.draining.retain(|name, old| {
            let stays = load.of_worker(name) > 0;
            if !stays {
                idle.push(Arc::clone(old));
            }
            stays
        });
        for old in idle {
            info!(worker = %old.name, source = %old.place, "removed worker is idle, so its link is closed");
            self.disconnect(&old);
        }
    }

    fn disconnect(&mut self, old: &WorkerDefinition) {
        if old.is_local() {
            self.local_workers.stop(&old.name);
        } else if let Some(connection) = self.registry.connection(old.name.as_str()) {
            connection.close();
        }
    }

    /// The plan to nothing: everything that asks for builds ends.
    pub(super) async fn stop_schedulers(&mut self) {
        let tasks: Vec<_> = self.periodic.drain().map(|(_, task)| task).collect();
        for task in &tasks {
            task.stop.cancel();
        }
        for task in tasks {
            task.end().await;
        }
    }

    /// Reads certificates again whose files have changed. A few seconds at most.
    pub(super) async fn renew_certificates(&self) {
        join_all(self.listeners.values().map(Serving::renew_certificate)).await;
    }

    /// Takes the socket of a port that is new, and reads its certificate.
    async fn prepare_port(
        &self,
        transition: &Transition<ListenerDefinition>,
        all: &MasterDefinition,
    ) -> Result<Option<Port>, PrepareError> {
        let new = match transition {
            Transition::Add(new) | Transition::Change { new, .. } => new,
            // Another protocol is spoken there from now on.
            Transition::Remove(old)
                if all.listeners.keys().any(|listener| listener.address == old.id.address) =>
            {
                return Ok(None);
            }
            Transition::Remove(old) => return Ok(Some(Port::Close(old.id.address))),
        };
        let address = new.id.address;
        let tls = match &new.tls {
            None => None,
            Some(files) => {
                let loaded = certificates::load(files, &self.root).await;
                Some(loaded.map_err(|source| PrepareError::Certificate { address, source })?)
            }
        };
        if self.listeners.contains_key(&address) {
            return Ok(Some(Port::Change(Arc::clone(new), tls)));
        }
        if let Some(old) = self.listeners.keys().copied().find(|old| listener::overlap(*old, address)) {
            return Err(PrepareError::Overlap { old, new: address });
        }
        Ok(Some(Port::Open(address, bind(new, tls)?)))
    }

    fn change_port(&mut self, port: Port) {
        match port {
            Port::Open(address, bound) => {
                self.listeners.insert(address, bound.serve(self.gate.clone()));
            }
            Port::Change(new, tls) => {
                if let Some(serving) = self.listeners.get(&new.id.address) {
                    serving.change(&new, tls);
                }
            }
            // Those who came by it stay.
            Port::Close(address) => {
                if let Some(serving) = self.listeners.remove(&address) {
                    serving.close();
                }
            }
        }
    }

    fn change_worker(&mut self, transition: &Transition<WorkerDefinition>) {
        match transition {
            Transition::Add(new) => {
                // One that comes back while it drains keeps its link, unless it is of another class now.
                if let Some(old) = self.draining.remove(&new.name)
                    && old.class() != new.class()
                {
                    self.disconnect(&old);
                }
                self.local_workers.start(new);
            }
            Transition::Remove(old) => {
                self.draining.insert(old.name.clone(), Arc::clone(old));
            }
            Transition::Change { old, new, .. } if transition.cost() >= Cost::Reattach => {
                // A LocalWorker that stays one is begun anew by its folder.
                if !(old.is_local() && new.is_local()) {
                    self.disconnect(old);
                }
                self.local_workers.start(new);
            }
            // Read from the definition by those who use it.
            Transition::Change { .. } => {}
        }
    }

    fn change_scheduler(&mut self, transition: &Transition<SchedulerDefinition>, retired: &mut Retired) {
        let (old, new) = match transition {
            Transition::Add(new) => (None, Some(new)),
            Transition::Remove(old) => (Some(old), None),
            Transition::Change { old, new, .. } => (Some(old), Some(new)),
        };
        let periodic =
            |scheduler: &&Arc<SchedulerDefinition>| matches!(scheduler.kind, SchedulerKind::Periodic { .. });
        let (was, is) = (old.filter(periodic), new.filter(periodic));
        match (was.and_then(|was| self.periodic.get(&was.name)), is) {
            (Some(task), Some(is)) => {
                task.definition.send_replace(Arc::clone(is));
            }
            (Some(_), None) => {
                if let Some(task) = was.and_then(|was| self.periodic.remove(&was.name)) {
                    task.stop.cancel();
                    retired.schedulers.push(task);
                }
            }
            (None, Some(is)) => {
                let (definition, watch) = watch::channel(Arc::clone(is));
                let stop = CancellationToken::new();
                let task = tokio::spawn(periodic::run(watch, self.store.clone(), stop.clone()));
                self.periodic.insert(is.name.clone(), PeriodicTask { definition, stop, task });
            }
            (None, None) => {}
        }
    }
}

impl PeriodicTask {
    /// Waits for the task: it hears its stop at once, unless it waits for the database, which bounds its waits.
    async fn end(self) {
        let scheduler = Arc::clone(&self.definition.borrow());
        if let Err(failure) = self.task.await {
            let (name, error) = (&scheduler.name, &failure as &dyn std::error::Error);
            error!(scheduler = %name, source = %scheduler.place, error, "a scheduler failed");
        }
    }
}
