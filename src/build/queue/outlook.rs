//! How the workers stand, for the board: what the registry and the operator's word say of them.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::{
    build::board::{Outlook, Standing},
    definition::{BuilderDefinition, Mismatch, WorkerDefinition},
    model::{BuilderName, WorkerName},
    worker::{ConnectionHandle, Epoch, OperatorHandle, RegistryHandle},
};

/// What a link's facts were found to be, for a builder and a worker.
type Found = HashMap<(BuilderName, WorkerName), (Epoch, Result<(), Mismatch>)>;

/// Asks registry and operator.
#[derive(Debug)]
pub(super) struct Farmland {
    registry: RegistryHandle,
    operator: OperatorHandle,
    /// What a worker says of itself is text that must be read; it stays the same as long as its link.
    found: Mutex<Found>,
}

impl Farmland {
    pub(super) fn new(registry: RegistryHandle, operator: OperatorHandle) -> Self {
        Self { registry, operator, found: Mutex::default() }
    }

    /// Another configuration may want something else.
    pub(super) fn forget(&self) {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn connection(&self, worker: &WorkerName) -> Option<ConnectionHandle> {
        self.registry.connection(worker.as_str()).filter(ConnectionHandle::is_up)
    }
}

impl Outlook for Farmland {
    fn standing(&self, worker: &WorkerName) -> Standing {
        let Some(connection) = self.connection(worker) else { return Standing::Absent };
        if connection.is_dismissed() {
            return Standing::Dismissed;
        }
        if self.operator.allows_builds(worker) {
            return Standing::Ready;
        }
        let word = self.operator.word(worker);
        if let Some(remark) = word.paused {
            return Standing::Paused(remark);
        }
        if let Some(remark) = word.stopping {
            return Standing::Stopping(remark);
        }
        match self.operator.quarantine(worker) {
            Some(quarantine) => Standing::Quarantined(quarantine),
            // It has just ended.
            None => Standing::Ready,
        }
    }

    fn fits(&self, builder: &BuilderDefinition, worker: &WorkerDefinition) -> Result<(), Mismatch> {
        if !builder.worker_match.asks_for_facts(worker) {
            return builder.worker_match.fits(worker, None);
        }
        let Some(connection) = self.connection(&worker.name) else {
            return builder.worker_match.fits(worker, None);
        };
        let key = (builder.name.clone(), worker.name.clone());
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((epoch, fits)) = found.get(&key)
            && *epoch == connection.epoch
        {
            return fits.clone();
        }
        let fits = builder.worker_match.fits(worker, Some(&connection.info()));
        found.insert(key, (connection.epoch, fits.clone()));
        fits
    }
}
