//! The locks of a step: taken before its work, given back when it ends.
//!
//! # Laws
//! - The wait ends with a stop, with the loss of the worker, and when it would last for ever; it has no other limit.
//! - While it waits, people can read for what and behind whom.
//!
//! # Not here
//! Who gets what (`build::lock`); the locks of the whole build, which it has before it begins.

use std::collections::BTreeMap;

use tracing::info;

use super::{StepContext, StepEnd, StepError, one_line, running_line};
use crate::{
    build::{
        control::{StopKind, Stopped},
        lock::{self, Blocked, Held, Owner, Stand, Turned},
    },
    definition::StepDefinition,
    model::{BuildRequestId, Outcome, Timestamp},
    store::{LockOwner, StoreError},
};

/// How many are named of those who are in the way.
const MOST_NAMED: usize = 3;

/// Takes the locks of a step, however long that lasts.
///
/// # Errors
/// Within: the end of the step, if it does not come to its work. [`StepError::Lock`] if it would wait for ever.
pub(super) async fn take(
    step: &StepDefinition,
    context: &mut StepContext<'_>,
) -> Result<Result<Option<Held>, StepEnd>, StepError> {
    let wants = lock::wants(&step.locks, &context.line.worker);
    if wants.is_empty() {
        return Ok(Ok(None));
    }
    let mut turn = context.locks.turn(owner(context), wants);
    let mut told: Option<String> = None;
    loop {
        let blocked = match turn.ask()? {
            Turned::Taken(held) => {
                if told.is_some() {
                    let state = running_line(step, context.known(), context.secrets).await;
                    context.store.locks_acquired(context.step, &state, Timestamp::now()).await?;
                }
                return Ok(Ok(Some(held)));
            }
            Turned::Waiting(blocked) => blocked,
        };
        let state = waiting_line(context, &blocked).await?;
        if told.as_ref() != Some(&state) {
            info!(step = %context.step, build = %context.build, "{state}");
            context.store.await_locks(context.step, &state).await?;
            told = Some(state);
        }
        tokio::select! {
            // A stop first: what a stopping master gives back is not for those that it stops. All are cancel-safe.
            biased;
            stopped = context.stop.stopped() => return Ok(Err(stopped_end(&stopped))),
            () = context.line.lost() => return Ok(Err(StepEnd::lost())),
            () = turn.changed() => {}
        }
    }
}

/// What a step that goes on holds: it was given that by force.
pub(super) fn still_held(context: &StepContext<'_>) -> Held {
    context.locks.held(owner(context))
}

const fn owner(context: &StepContext<'_>) -> Owner {
    Owner::Step { request: context.request.id, step: context.step }
}

fn stopped_end(stopped: &Stopped) -> StepEnd {
    let outcome = match stopped.kind {
        StopKind::Cancel => Outcome::Cancelled,
        StopKind::Requeue => Outcome::Retry,
    };
    StepEnd::new(outcome, format!("stopped while it waited for its locks: {}", stopped.reason))
}

/// For what a step waits: `waiting for lock db, held by build 12 of linux`.
async fn waiting_line(context: &StepContext<'_>, blocked: &[Blocked]) -> Result<String, StoreError> {
    let Some(first) = blocked.first() else { return Ok("waiting for its locks".to_owned()) };
    let (deed, people) =
        if first.holders.is_empty() { ("behind", &first.before) } else { ("held by", &first.holders) };
    let named = people.iter().take(MOST_NAMED).map(|stand| stand.owner.request());
    let owners = context.store.lock_owners(named).await?;
    let also = match blocked.len() - 1 {
        0 => String::new(),
        more => format!(" (and for {more} more)"),
    };
    let line = format!("waiting for lock {}, {deed} {}{also}", first.lock, names(people, &owners));
    Ok(one_line(&context.secrets.mask(&line)))
}

fn names(people: &[Stand], owners: &BTreeMap<BuildRequestId, LockOwner>) -> String {
    let name = |stand: &Stand| {
        let request = stand.owner.request();
        match owners.get(&request) {
            Some(LockOwner { builder, build: Some((_, number)), .. }) => {
                format!("build {number} of {builder}")
            }
            Some(LockOwner { builder, build: None, .. }) => format!("request {request} of {builder}"),
            None => format!("request {request}"),
        }
    };
    let mut names: Vec<String> = people.iter().take(MOST_NAMED).map(name).collect();
    names.extend((people.len() > MOST_NAMED).then(|| format!("{} more", people.len() - MOST_NAMED)));
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => "nobody".to_owned(),
    }
}
