//! Carries a plan out: prepare, which may fail and then has changed nothing; commit, which cannot; retire, which takes
//! its time.
//!
//! # Laws
//! - After `prepare` failed, all is as before.
//! - After `commit`, what is new runs; what is gone has been told to end, and `retire` waits for it.

use std::{collections::HashMap, sync::Arc};

use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{
    definition::{
        Cost, MasterDefinition, ReconfigPlan, SchedulerDefinition, SchedulerKind, WorkerDefinition,
        plan::Transition,
    },
    model::{SchedulerName, Timestamp, WorkerName},
    scheduler::periodic,
    store::{GenerationRows, PreparedGeneration, Store, StoreError},
    worker::{LocalWorkers, Roster},
};

/// The parts that a configuration has running.
pub(super) struct Parts {
    pub(super) store: Store,
    pub(super) definition: watch::Sender<Arc<MasterDefinition>>,
    pub(super) roster: watch::Sender<Arc<Roster>>,
    pub(super) local_workers: LocalWorkers,
    pub(super) periodic: HashMap<SchedulerName, PeriodicTask>,
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
    roster: Roster,
    rows: PreparedGeneration,
}

/// What a commit has told to end.
#[must_use = "what is gone must be waited for"]
pub(super) struct Retired {
    workers: Vec<WorkerName>,
    restarted: Vec<Arc<WorkerDefinition>>,
    schedulers: Vec<PeriodicTask>,
}

impl Parts {
    /// Gets all ready that may fail. The generation's rows stand in an open transaction, which holds all other writes
    /// back: commit soon, or drop it.
    pub(super) async fn prepare(
        &self,
        plan: ReconfigPlan,
        new: MasterDefinition,
    ) -> Result<Prepared, StoreError> {
        let roster = Roster::new(&new);
        let rows = self.store.prepare_generation(GenerationRows::from(&new), Timestamp::now()).await?;
        Ok(Prepared { plan, new: Arc::new(new), roster, rows })
    }

    /// Makes the new configuration the one that runs. Fails only if the database does not take it: then all is as
    /// before.
    pub(super) async fn commit(&mut self, prepared: Prepared) -> Result<Retired, StoreError> {
        let Prepared { plan, new, roster, rows } = prepared;
        rows.commit().await?;
        self.roster.send_replace(Arc::new(roster));
        self.definition.send_replace(new);
        let mut retired = Retired { workers: Vec::new(), restarted: Vec::new(), schedulers: Vec::new() };
        for transition in &plan.workers {
            self.change_worker(transition, &mut retired);
        }
        for transition in &plan.schedulers {
            self.change_scheduler(transition, &mut retired);
        }
        Ok(retired)
    }

    /// Waits for what is gone, and starts again what had to be cut.
    pub(super) async fn retire(&mut self, retired: Retired) {
        for worker in &retired.workers {
            self.local_workers.stop(worker).await;
        }
        for worker in &retired.restarted {
            self.local_workers.start(worker);
        }
        for scheduler in retired.schedulers {
            scheduler.end().await;
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

    fn change_worker(&mut self, transition: &Transition<WorkerDefinition>, retired: &mut Retired) {
        match transition {
            Transition::Add(new) => self.local_workers.start(new),
            Transition::Remove(old) => retired.workers.push(old.name.clone()),
            Transition::Change { new, .. } if transition.cost() >= Cost::Reattach => {
                retired.workers.push(new.name.clone());
                retired.restarted.push(Arc::clone(new));
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
        if let Err(failure) = self.task.await {
            error!(error = &failure as &dyn std::error::Error, "a scheduler failed");
        }
    }
}
