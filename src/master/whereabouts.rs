//! Where workers, builders and schedulers are written in the configuration that runs: for the log, which must not wait for
//! anything.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{definition::MasterDefinition, model::Place};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noun {
    /// A worker.
    Worker,
    /// A builder.
    Builder,
    /// A scheduler.
    Scheduler,
}

/// The places of the configuration that runs; before there is one, of none.
#[derive(Clone, Debug)]
pub struct Whereabouts(Arc<Mutex<Arc<MasterDefinition>>>);

impl Whereabouts {
    /// Where a part of this name is written.
    pub fn place(&self, noun: Noun, name: &str) -> Option<Place> {
        // Held for as long as it takes to count up: whoever changes it logs nothing meanwhile.
        let definition = Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner));
        match noun {
            Noun::Worker => definition.workers.get(name).map(|worker| worker.place.clone()),
            Noun::Builder => definition.builders.get(name).map(|builder| builder.place.clone()),
            Noun::Scheduler => definition.schedulers.get(name).map(|scheduler| scheduler.place.clone()),
        }
    }

    /// Another configuration runs.
    pub fn change(&self, definition: &Arc<MasterDefinition>) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out, so that it is not dropped while others wait.
        let before = std::mem::replace(&mut *current, Arc::clone(definition));
        drop(current);
        drop(before);
    }
}

impl Default for Whereabouts {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Arc::new(MasterDefinition::nothing()))))
    }
}
