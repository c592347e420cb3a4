//! `schedulers.Periodic`: asks again and again, at an even pace.
//!
//! # Laws
//! - The pace outlives a restart: the next time counts from the last buildset in the store, and a time that passed
//!   while the master was down comes at once, once.
//! - A builder whose queue is not empty is not asked again, so a pace that is too fast fills no queue.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::{sync::watch, time};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use crate::{
    definition::{SchedulerDefinition, SchedulerKind},
    model::{BuilderName, Properties, Timestamp},
    store::{NewBuildset, Store, StoreError},
};

/// How long a scheduler waits before it asks a store that failed again.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Asks at the pace of its definition, the newest one that the watch holds, until it is stopped.
pub async fn run(
    definition: watch::Receiver<Arc<SchedulerDefinition>>,
    store: Store,
    stop: CancellationToken,
) {
    let mut definition = definition;
    loop {
        let current = Arc::clone(&definition.borrow_and_update());
        let SchedulerKind::Periodic { interval, reason } = &current.kind else { return };
        let wait = match store.last_buildset_at(&current.name).await {
            Ok(last) => until_next(last, *interval, Timestamp::now()),
            Err(failure) => {
                complain(&definition, &failure);
                AFTER_FAILURE
            }
        };
        tokio::select! {
            // Cancel-safe: tokens, watches and timers lose nothing.
            () = stop.cancelled() => return,
            changed = definition.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            () = time::sleep(wait) => {}
        }
        let pause = match ask(&current, reason, &store).await {
            Ok(true) => continue,
            // All its builders have work waiting: look again when the next one would be due.
            Ok(false) => *interval,
            Err(failure) => {
                complain(&definition, &failure);
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            changed = definition.changed() => if changed.is_err() {
                return;
            },
            () = time::sleep(pause) => {}
        }
    }
}

/// Tells where the scheduler is written now: the lines may have moved since it asked.
fn complain(definition: &watch::Receiver<Arc<SchedulerDefinition>>, failure: &StoreError) {
    let scheduler = Arc::clone(&definition.borrow());
    error!(scheduler = %scheduler.name, source = %scheduler.place, error = failure as &dyn std::error::Error, "cannot ask for builds");
}

/// How long from `now` to the next time.
fn until_next(last: Option<Timestamp>, interval: Duration, now: Timestamp) -> Duration {
    let Some(last) = last else { return Duration::ZERO };
    // A clock that was set back must not silence the scheduler for longer than its pace.
    let since = Duration::try_from(now - last).unwrap_or_default();
    interval.saturating_sub(since)
}

/// Asks those of its builders that have nothing waiting; false if there are none.
async fn ask(scheduler: &SchedulerDefinition, reason: &str, store: &Store) -> Result<bool, StoreError> {
    let mut builders: Vec<BuilderName> = Vec::new();
    for builder in &scheduler.builder_names {
        if store.queued_requests(builder, None, 1).await?.is_empty() {
            builders.push(builder.clone());
        } else {
            debug!(scheduler = %scheduler.name, %builder, "still has a request waiting, not asked again");
        }
    }
    if builders.is_empty() {
        return Ok(false);
    }
    let mut properties = Properties::new();
    for (name, value) in &scheduler.properties {
        properties.set(name.clone(), value.clone(), "Scheduler");
    }
    properties.set("scheduler", scheduler.name.as_str(), "Scheduler");
    let set = NewBuildset {
        scheduler: Some(scheduler.name.clone()),
        reason: reason.to_owned(),
        properties,
        builders,
        priority: scheduler.priority,
        parent: None,
        // None of them had one that waits.
        collapse: BTreeSet::new(),
    };
    store.add_buildset(set, Timestamp::now()).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_time_counts_from_the_last_and_a_missed_one_comes_at_once() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let interval = Duration::from_secs(60);
        assert_eq!(until_next(None, interval, at(1000)), Duration::ZERO);
        assert_eq!(until_next(Some(at(990)), interval, at(1000)), Duration::from_secs(50));
        assert_eq!(until_next(Some(at(10)), interval, at(1000)), Duration::ZERO);
        assert_eq!(until_next(Some(at(2000)), interval, at(1000)), interval);
    }
}
