//! Generations of the configuration, and what became of the last reloads.

use axum::{
    Json,
    extract::{Query as UrlQuery, State},
};
use serde_json::{Value, json};

use crate::{
    definition::{Deed, Problem},
    master::{
        Attempt, Generations, Impact, MasterHandle, Verdict,
        generations::{Cause, Item},
    },
    web::{error::ApiError, query::Asked, resource::Pairs},
};

/// `GET /api/v2/generations`: ours. The last loads, the newest first; beside them, under `status`, what runs, and whether
/// it is what the files say.
pub(super) async fn list(
    State(master): State<MasterHandle>,
    UrlQuery(pairs): Pairs,
) -> Result<Json<Value>, ApiError> {
    let asked = Asked::parse(&pairs)?;
    if !asked.query.filters.is_empty() || !asked.query.order.is_empty() {
        return Err(ApiError::bad_request("generations come the newest first, and have no filters"));
    }
    let generations = master.generations();
    let page = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let rows = generations.attempts.iter().skip(page(asked.query.offset)).take(page(asked.query.limit));
    let rows = asked.project(rows.map(|attempt| attempt_shape(attempt)).collect())?;
    let meta = json!({ "total": generations.attempts.len() });
    Ok(Json(json!({ "generations": rows, "status": status_shape(&generations), "meta": meta })))
}

/// A load and what became of it.
pub(super) fn attempt_shape(attempt: &Attempt) -> Value {
    let items = attempt.items.iter().map(item_shape);
    json!({
        "generation": attempt.generation,
        "at": attempt.at.as_second(),
        "causes": attempt.causes.iter().map(|cause| cause.name()).collect::<Vec<_>>(),
        "outcome": attempt.verdict.name(),
        "summary": attempt.summary,
        "items": items.collect::<Vec<_>>(),
        "impact": attempt.impact.as_ref().map(impact_shape),
        "too_many_cuts": attempt.too_many_cuts().is_some(),
        "tally": attempt.tally(),
        "max_disconnects": attempt.max_disconnects,
        "errors": attempt.errors(),
        "problems": attempt.problems.iter().map(Problem::to_json).collect::<Vec<_>>(),
    })
}

fn impact_shape(impact: &Impact) -> Value {
    let mut shape = json!(impact);
    let cuts = impact.disconnects.iter().map(|cut| {
        let mut shape = json!(cut);
        shape["shown"] = json!(cut.to_string());
        shape
    });
    shape["disconnects"] = cuts.collect();
    shape
}

fn item_shape(item: &Item) -> Value {
    let cost = match item.deed {
        Deed::Change(cost) => Some(cost.name()),
        Deed::Refuse => Some("restart"),
        Deed::Add | Deed::Remove => None,
    };
    json!({
        "change": item.change,
        "effect": item.effect,
        "noun": item.noun,
        "name": item.name,
        "deed": item.deed.name(),
        "cost": cost,
        "source": item.place,
        "shown": item.to_string(),
    })
}

fn status_shape(generations: &Generations) -> Value {
    let differs = generations.differs.as_ref().map(|attempt| {
        json!({
            "at": attempt.at.as_second(),
            "outcome": attempt.verdict.name(),
            "why": attempt.obstacle(),
            "errors": attempt.errors(),
        })
    });
    let is_held = generations.differs.as_ref().is_some_and(|attempt| attempt.verdict == Verdict::Held);
    let names = |causes: &std::collections::BTreeSet<Cause>| {
        causes.iter().map(|cause| cause.name()).collect::<Vec<_>>()
    };
    json!({
        "generation": generations.running.number,
        "since": generations.running.since.as_second(),
        "runs_what_is_on_disk": generations.differs.is_none() && generations.pending.is_none(),
        "differs": differs,
        "held": is_held,
        "pending": generations.pending.as_ref().map(names),
        "draining": generations.draining.keys().collect::<Vec<_>>(),
    })
}
