//! `GET /api/v2/buildrequests/ID/explain`: why a request does not run now, worker by worker, and what would change that.
//!
//! # Laws
//! - At most [`MOST_WORKERS`] workers and [`MOST_BUILDS`] builds are told one by one; the counts are of all.
//!
//! # Not here
//! The reasons themselves (`build::board`).

use std::collections::{BTreeMap, HashMap};

use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::{Value, json};

use crate::{
    build::{
        board::{Explanation, Hindrance, Standing, WhyNot, WorkerExplained},
        queue::Explained,
    },
    master::MasterHandle,
    model::{BuildRequestId, Timestamp, WorkerId, WorkerName},
    store::{BuildRow, WorkerRow},
    web::{error::ApiError, query::Asked},
};

/// Workers that are told one by one.
const MOST_WORKERS: usize = 1000;

/// The newest builds of a request.
const MOST_BUILDS: u32 = 100;

/// `GET /api/v2/buildrequests/ID/explain`.
pub(super) async fn request(
    State(master): State<MasterHandle>,
    Path(id): Path<i64>,
) -> Result<Json<Value>, ApiError> {
    let store = master.store();
    let mut one = Asked::default().only("buildrequestid", &id.to_string());
    one.query.limit = 1;
    let rows = store.build_requests(&one.query).await?.rows;
    let Some(row) = rows.into_iter().next() else {
        return Err(ApiError::not_found(format!("there is no buildrequest {id}")));
    };
    let builds = builds(&master, id).await?;
    let explained = master.explain(BuildRequestId(id)).await?;
    let mut builder = Asked::default().only("builderid", &row.builderid.to_string());
    builder.query.limit = 1;
    let builder = store.builders(&builder.query).await?.rows.into_iter().next().map(|builder| builder.name);
    let mut shape = json!({
        "buildrequestid": id,
        "builder": builder,
        "submitted_at": row.submitted_at.as_second(),
        "attempts": row.attempts,
        "complete": row.complete,
        "results": row.results,
        "ended_because": row.ended_because,
        "waiting": explained.is_some(),
        "waiting_since": null,
        "priority": row.priority,
        "reasons": [],
        "workers": [],
        "worker_counts": {},
        "builds": builds,
    });
    if let Some(Explained { request, explanation }) = explained {
        let since = absences(&master, &explanation).await?;
        shape["waiting_since"] = json!(request.waiting_since.as_second());
        shape["reasons"] = explanation.hindrances.iter().map(hindrance).collect();
        shape["worker_counts"] = json!(counts(&explanation));
        let shown = explanation.workers.iter().take(MOST_WORKERS);
        shape["workers"] = shown.map(|one| worker(one, &since)).collect();
    }
    Ok(Json(json!({ "explanations": [shape], "meta": {} })))
}

/// How many workers there are for each reason; `ready` are those that could take it.
fn counts(explanation: &Explanation) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for one in &explanation.workers {
        *counts.entry(word(one)).or_default() += 1;
    }
    counts
}

fn word(one: &WorkerExplained) -> &'static str {
    one.why.as_ref().map_or("ready", WhyNot::word)
}

fn hindrance(hindrance: &Hindrance) -> Value {
    let until = match hindrance {
        Hindrance::NotBefore(at) => Some(at.as_second()),
        _ => None,
    };
    json!({
        "reason": hindrance.word(),
        "text": hindrance.to_string(),
        "remedy": hindrance.remedy(),
        "until": until,
    })
}

/// A worker: `since` and `until` are null where nobody knows, or where it does not matter.
fn worker(one: &WorkerExplained, absent_since: &HashMap<WorkerName, Timestamp>) -> Value {
    let (since, until) = match &one.why {
        Some(WhyNot::Standing(Standing::Absent)) => (absent_since.get(&one.worker).copied(), None),
        Some(WhyNot::Standing(Standing::Paused(remark) | Standing::Stopping(remark))) => {
            (Some(remark.at), None)
        }
        Some(WhyNot::Standing(Standing::Quarantined(quarantine))) => {
            (Some(quarantine.since), Some(quarantine.until))
        }
        _ => (None, None),
    };
    json!({
        "name": one.worker,
        "reason": word(one),
        "text": one.why.as_ref().map(ToString::to_string),
        "remedy": one.why.as_ref().map(|why| why.remedy(&one.worker)),
        "since": since.map(Timestamp::as_second),
        "until": until.map(Timestamp::as_second),
    })
}

/// Since when those are away that are shown as absent.
async fn absences(
    master: &MasterHandle,
    explanation: &Explanation,
) -> Result<HashMap<WorkerName, Timestamp>, ApiError> {
    let shown = explanation.workers.iter().take(MOST_WORKERS);
    let absent = shown.filter(|one| matches!(one.why, Some(WhyNot::Standing(Standing::Absent))));
    let names: Vec<&str> = absent.map(|one| one.worker.as_str()).collect();
    let rows = workers(master, "name", &names).await?;
    Ok(rows.into_iter().filter_map(|row| Some((row.name, row.absent_since?))).collect())
}

/// The builds that ran for a request, the newest first.
async fn builds(master: &MasterHandle, request: i64) -> Result<Vec<Value>, ApiError> {
    let mut asked = Asked::parse(&[("order".into(), "-buildid".into())])?;
    asked = asked.only("buildrequestid", &request.to_string());
    asked.query.limit = MOST_BUILDS;
    let rows = master.store().builds(&asked.query).await?.rows;
    let mut ids: Vec<String> = rows.iter().map(|row| row.workerid.to_string()).collect();
    ids.sort_unstable();
    ids.dedup();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let names = workers(master, "workerid", &ids).await?;
    let names: HashMap<WorkerId, WorkerName> =
        names.into_iter().map(|worker| (worker.workerid, worker.name)).collect();
    Ok(rows.iter().map(|row| build(row, names.get(&row.workerid))).collect())
}

fn build(row: &BuildRow, worker: Option<&WorkerName>) -> Value {
    json!({
        "buildid": row.buildid,
        "number": row.number,
        "worker": worker,
        "started_at": row.started_at.as_second(),
        "complete_at": row.complete_at.map(Timestamp::as_second),
        "results": row.results,
        "state_string": row.state_string,
    })
}

/// The workers with one of these values in a field.
async fn workers(master: &MasterHandle, field: &str, values: &[&str]) -> Result<Vec<WorkerRow>, ApiError> {
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let pairs: Vec<_> = values.iter().map(|value| (field.to_owned(), (*value).to_owned())).collect();
    Ok(master.store().workers(&Asked::parse(&pairs)?.query).await?.rows)
}
