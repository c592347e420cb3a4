//! `GET /api/v2/locks`: which locks there are, who holds them, and who waits in which order.
//!
//! # Not here
//! Who gets what (`build::lock`).

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Query as UrlQuery, State},
};
use serde_json::{Value, json};

use crate::{
    build::lock::{LockState, Mode, Owner, Scope, Stand},
    master::MasterHandle,
    model::BuildRequestId,
    store::LockOwner,
    web::{error::ApiError, query::Asked, resource::Pairs},
};

/// `GET /api/v2/locks`: by name, and of those that workers have by worker.
pub(super) async fn list(
    State(master): State<MasterHandle>,
    UrlQuery(pairs): Pairs,
) -> Result<Json<Value>, ApiError> {
    let asked = Asked::parse(&pairs)?;
    let locks = master.locks();
    let people = locks.iter().flat_map(|lock| lock.holders.iter().chain(&lock.waiters));
    let requests: Vec<BuildRequestId> = people.map(|stand| stand.owner.request()).collect();
    let owners = if requests.is_empty() {
        BTreeMap::new()
    } else {
        master.store().lock_owners(requests).await.map_err(ApiError::from)?
    };
    let rows: Vec<Value> = locks.iter().map(|lock| shape(lock, &owners)).collect();
    let total = rows.len();
    Ok(Json(json!({ "locks": asked.project(rows)?, "meta": { "total": total } })))
}

fn shape(lock: &LockState, owners: &BTreeMap<BuildRequestId, LockOwner>) -> Value {
    let all = |stands: &[Stand]| stands.iter().map(|stand| person(stand, owners)).collect::<Vec<_>>();
    json!({
        "name": lock.name,
        "scope": match lock.scope {
            Scope::Master => "master",
            Scope::Worker => "worker",
        },
        "workername": lock.worker,
        "max_count": lock.max_count,
        "holders": all(&lock.holders),
        "waiters": all(&lock.waiters),
    })
}

/// Somebody who holds a lock or waits for it: `stepid` and `step` are null if it is the whole build.
fn person(stand: &Stand, owners: &BTreeMap<BuildRequestId, LockOwner>) -> Value {
    let request = stand.owner.request();
    let owner = owners.get(&request);
    let build = owner.and_then(|owner| owner.build);
    let stepid = match stand.owner {
        Owner::Request(_) => None,
        Owner::Step { step, .. } => Some(step),
    };
    let running = owner.and_then(|owner| owner.step.as_ref()).filter(|(id, _)| Some(*id) == stepid);
    let (mode, count) = match stand.mode {
        Mode::Counting(count) => ("counting", count),
        // As Buildbot has it.
        Mode::Exclusive => ("exclusive", 1),
    };
    json!({
        "buildrequestid": request,
        "builder": owner.map(|owner| &owner.builder),
        "buildid": build.map(|(id, _)| id),
        "number": build.map(|(_, number)| number),
        "stepid": stepid,
        "step": running.map(|(_, name)| name),
        "mode": mode,
        "count": count,
    })
}
