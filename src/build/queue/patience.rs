//! Requests and the clock: those that may begin later, and those that have waited too long.
//!
//! # Laws
//! - A request is given up within a second of the end of its builder's `queue_timeout`, unless the store fails.
//!
//! # Not here
//! Which requests these are (`store::waiting`).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::Instant;
use tracing::{error, warn};

use super::{AFTER_FAILURE, Builds};
use crate::{
    definition::{BuilderDefinition, MasterDefinition},
    model::{BuilderName, Timestamp},
    store::StoreError,
};

/// When the clock matters next.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// When the next request is due, and of which builder; not known at first, and when one came back.
    due: Due,
    /// When to look for requests that have waited too long.
    give_up_at: Option<Timestamp>,
    /// Not before then: the store failed.
    not_before: Option<Instant>,
}

#[derive(Debug, Default)]
enum Due {
    #[default]
    Unknown,
    /// Nothing waits for the clock.
    Never,
    At(BuilderName, Timestamp),
}

impl Patience {
    /// When something is to be done by the clock.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let due = match &self.due {
            Due::At(_, at) => Some(*at),
            Due::Unknown => Some(Timestamp::now()),
            Due::Never => None,
        };
        let next = [due, self.give_up_at].into_iter().flatten().min()?;
        let left = Duration::try_from(next - Timestamp::now()).unwrap_or(Duration::ZERO);
        let at = Instant::now() + left;
        Some(self.not_before.map_or(at, |not_before| at.max(not_before)))
    }

    /// There is another configuration, or anything may have changed in the store.
    pub(super) fn look_at_all(&mut self, definition: &MasterDefinition) {
        self.due = Due::Unknown;
        let any = definition.builders.values().any(|builder| builder.queue_timeout.is_some());
        self.give_up_at = any.then(Timestamp::now);
    }

    /// A request of this builder begins to wait.
    pub(super) fn came(&mut self, builder: Option<&Arc<BuilderDefinition>>, now: Timestamp) {
        if let Some(patience) = builder.and_then(|builder| builder.queue_timeout) {
            let at = now + patience;
            self.give_up_at = Some(self.give_up_at.map_or(at, |earlier| earlier.min(at)));
        }
    }

    /// A request came back to the queue, perhaps to begin later.
    pub(super) fn came_back(&mut self) {
        self.due = Due::Unknown;
    }
}

impl Builds {
    /// Does what the clock demands.
    pub(super) async fn keep_patience(&mut self) {
        if self.patience.not_before.is_some_and(|at| at > Instant::now()) {
            return;
        }
        self.patience.not_before = None;
        let done = async {
            self.look_who_is_due().await?;
            self.give_up().await
        };
        if let Err(failure) = done.await {
            error!(error = &failure as &dyn std::error::Error, "cannot look at requests that wait");
            self.patience.not_before = Some(Instant::now() + AFTER_FAILURE);
        }
    }

    async fn look_who_is_due(&mut self) -> Result<(), StoreError> {
        let now = Timestamp::now();
        let mut due = BTreeSet::new();
        loop {
            match &self.patience.due {
                Due::Never => break,
                Due::At(_, at) if *at > now => break,
                Due::At(builder, _) => {
                    due.insert(builder.clone());
                }
                Due::Unknown => {}
            }
            self.patience.due = match self.store.next_due(now).await? {
                Some((builder, at)) => Due::At(builder, at),
                None => Due::Never,
            };
        }
        for builder in due {
            self.board.mark_stale(&builder);
        }
        Ok(())
    }

    async fn give_up(&mut self) -> Result<(), StoreError> {
        let now = Timestamp::now();
        if self.patience.give_up_at.is_none_or(|at| at > now) {
            return Ok(());
        }
        let definition = Arc::clone(&self.definition.borrow());
        let mut next: Option<Timestamp> = None;
        for builder in definition.builders.values() {
            let Some(patience) = builder.queue_timeout else { continue };
            loop {
                let gone = self.store.give_up_waiting(&builder.name, patience, now).await?;
                for request in &gone {
                    warn!(builder = %builder.name, source = %builder.place, %request, "no worker took a request in time; it is given up");
                    self.board.forget(&builder.name, *request);
                }
                if gone.is_empty() {
                    break;
                }
            }
            if let Some(since) = self.store.longest_waiting(&builder.name).await? {
                let at = since + patience;
                next = Some(next.map_or(at, |earlier| earlier.min(at)));
            }
        }
        self.patience.give_up_at = next;
        Ok(())
    }
}
