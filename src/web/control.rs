//! What can be asked for: JSON-RPC 2.0 by POST, as Buildbot's control methods.
//!
//! A body is `{"jsonrpc": "2.0", "method": "force", "id": 1, "params": {…}}`; the answer has the same `id`.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{ConnectInfo, Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use crate::{
    definition::suggest,
    master::{Cause, MasterHandle, StopMode},
    model::{BuildId, BuildRequestId, LetterId, Remark, Timestamp, WorkerId, WorkerName},
    scheduler::ForceRequest,
    web::{caller::Caller, error::ApiError, generation},
    worker::operator::{Deed, Obeyed},
};

/// As far as a scheduler's `priority` may go in the configuration.
const MOST_PRIORITY: i32 = 1_000_000;

/// What stands for the reason of a stop for which nobody gave one.
const NO_REASON: &str = "no reason given";

/// A call that could be read.
struct Call {
    id: Value,
    method: String,
    params: Map<String, Value>,
}

/// What went wrong with a call, with JSON-RPC's code for it.
struct CallError {
    code: i32,
    error: ApiError,
}

impl CallError {
    fn params(text: impl Into<String>) -> Self {
        Self { code: -32602, error: ApiError::bad_request(text) }
    }
}

impl<E: Into<ApiError>> From<E> for CallError {
    fn from(error: E) -> Self {
        Self { code: -32000, error: error.into() }
    }
}

fn parse(body: &[u8]) -> Result<Call, CallError> {
    let wrong = |code, text: &str| CallError { code, error: ApiError::bad_request(text) };
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| wrong(-32700, &format!("the body is no JSON: {error}")))?;
    let Value::Object(mut call) = value else { return Err(wrong(-32600, "the body is no JSON-RPC call")) };
    if call.get("jsonrpc") != Some(&json!("2.0")) {
        return Err(wrong(-32600, "`jsonrpc` must be \"2.0\""));
    }
    let id = call.remove("id").unwrap_or(Value::Null);
    let Some(Value::String(method)) = call.remove("method") else {
        return Err(wrong(-32600, "`method` must be a text"));
    };
    match call.remove("params") {
        Some(Value::Object(params)) => Ok(Call { id, method, params }),
        None => Ok(Call { id, method, params: Map::new() }),
        Some(_) => Err(CallError::params("`params` must be an object")),
    }
}

/// Reads a call, carries it out, and puts the answer into JSON-RPC's form.
async fn answer<F>(body: &Bytes, carry_out: impl FnOnce(String, Params) -> F) -> Response
where
    F: Future<Output = Result<Value, CallError>>,
{
    let (id, outcome) = match parse(body) {
        Ok(Call { id, method, params }) => (id, carry_out(method, Params(params)).await),
        Err(error) => (Value::Null, Err(error)),
    };
    match outcome {
        Ok(result) => Json(json!({ "jsonrpc": "2.0", "id": id, "result": result })).into_response(),
        Err(CallError { code, error }) => {
            let body = error.body();
            let failure = json!({ "code": code, "message": error.text(), "hint": body.get("hint") });
            (error.status(), Json(json!({ "jsonrpc": "2.0", "id": id, "error": failure }))).into_response()
        }
    }
}

fn unknown_method(method: &str, known: &str) -> CallError {
    let error = ApiError::bad_request(format!("unknown method `{method}`; this has `{known}`"));
    CallError { code: -32601, error }
}

/// The parameters of a call, taken one by one.
struct Params(Map<String, Value>);

impl Params {
    fn text(&mut self, name: &str) -> Result<Option<String>, CallError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(CallError::params(format!("`{name}` must be a text"))),
        }
    }

    /// As a number, or as a form writes it.
    fn priority(&mut self) -> Result<Option<i32>, CallError> {
        let Some(value) = self.0.remove("priority").filter(|value| !value.is_null()) else { return Ok(None) };
        let number = value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        let number =
            number.and_then(|number| i32::try_from(number).ok()).filter(|n| n.abs() <= MOST_PRIORITY);
        let wrong = || {
            CallError::params(format!(
                "`priority` must be a whole number from -{MOST_PRIORITY} to {MOST_PRIORITY}"
            ))
        };
        number.map(Some).ok_or_else(wrong)
    }

    fn count(&mut self, name: &str) -> Result<Option<u32>, CallError> {
        let wrong = || CallError::params(format!("`{name}` must be a whole number, 0 or more"));
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
                count.map(Some).ok_or_else(wrong)
            }
        }
    }

    fn flag(&mut self, name: &str) -> Result<bool, CallError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(CallError::params(format!("`{name}` must be true or false"))),
        }
    }
}

/// `POST /api/v2/forceschedulers/NAME`, method `force`: params `builderid` or `buildername`, `owner`, `reason`,
/// `priority`; all others are properties. The result is `[buildset id, {builder id: request id}]`.
pub(super) async fn force(
    State(master): State<MasterHandle>,
    Path(name): Path<String>,
    body: Bytes,
) -> Response {
    answer(&body, |method, mut params| async move {
        if method != "force" {
            return Err(unknown_method(&method, "force"));
        }
        let mut builder = params.text("buildername")?;
        if let Some(id) = params.0.remove("builderid") {
            let known = master.store().builder_ids().await?;
            let wanted = id.as_i64().or_else(|| id.as_str().and_then(|text| text.parse().ok()));
            let found = known.iter().find(|(_, id)| Some(id.0) == wanted).map(|(name, _)| name.to_string());
            builder = Some(found.ok_or_else(|| CallError::params(format!("there is no builder {id}")))?);
        }
        let request = ForceRequest {
            builder,
            owner: params.text("owner")?,
            reason: params.text("reason")?,
            priority: params.priority()?,
            properties: params.0.into_iter().collect(),
        };
        let added = master.force(&name, &request).await?;
        let ids = master.store().builder_ids().await?;
        let requests: BTreeMap<String, i64> = added
            .requests
            .iter()
            .filter_map(|(builder, request)| Some((ids.get(builder)?.to_string(), request.0)))
            .collect();
        Ok(json!([added.id, requests]))
    })
    .await
}

/// `POST /api/v2/builds/ID`, method `stop`: param `reason`.
pub(super) async fn build(State(master): State<MasterHandle>, Path(id): Path<i64>, body: Bytes) -> Response {
    answer(&body, |method, mut params| async move {
        if method != "stop" {
            return Err(unknown_method(&method, "stop"));
        }
        let reason = params.text("reason")?;
        master.stop_build(BuildId(id), reason.as_deref().unwrap_or(NO_REASON))?;
        Ok(Value::Null)
    })
    .await
}

/// `POST /api/v2/buildrequests/ID`, method `cancel`: takes a waiting request from the queue, or stops its build.
pub(super) async fn build_request(
    State(master): State<MasterHandle>,
    Path(id): Path<i64>,
    body: Bytes,
) -> Response {
    answer(&body, |method, mut params| async move {
        if method != "cancel" {
            return Err(unknown_method(&method, "cancel"));
        }
        let reason = params.text("reason")?;
        if let Some(build) = master.store().running_build(BuildRequestId(id)).await? {
            master.stop_build(build, reason.as_deref().unwrap_or(NO_REASON))?;
        } else {
            master.cancel_request(BuildRequestId(id), reason.as_deref()).await?;
        }
        Ok(Value::Null)
    })
    .await
}

/// `POST /api/v2/outbox/ID`: ours. Method `retry` has a letter tried at once, also one that is given up; `drop` takes it out.
pub(super) async fn letter(State(master): State<MasterHandle>, Path(id): Path<i64>, body: Bytes) -> Response {
    answer(&body, |method, _| async move {
        match method.as_str() {
            "retry" => master.retry_letter(LetterId(id)).await?,
            "drop" => master.drop_letter(LetterId(id)).await?,
            _ => return Err(unknown_method(&method, "retry` and `drop")),
        }
        Ok(Value::Null)
    })
    .await
}

/// `POST /api/v2/workers/ID`, also by name, methods `pause`, `unpause`, `stop`, `kill`; ours: `resume`, `release`. Param: `reason`.
/// The result tells whether anything changed, and how many builds run there.
pub(super) async fn worker(
    State(master): State<MasterHandle>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(key): Path<String>,
    body: Bytes,
) -> Response {
    answer(&body, |method, mut params| async move {
        let deed = match method.as_str() {
            "pause" => Deed::Pause,
            "unpause" => Deed::Unpause,
            "stop" => Deed::Stop,
            "resume" => Deed::Resume,
            "kill" => Deed::Kill,
            "release" => Deed::Release,
            _ => {
                let known = "pause`, `unpause`, `stop`, `resume`, `kill` and `release";
                return Err(unknown_method(&method, known));
            }
        };
        let reason = params.text("reason")?;
        let worker = worker_name(&master, &key).await?;
        let remark = Remark::new(reason.as_deref(), Some(caller.name().await), Timestamp::now());
        let builds = master.builds_on(&worker);
        let obeyed = master.order_worker(worker.clone(), deed, remark).await?;
        Ok(json!({ "worker": worker, "changed": obeyed == Obeyed::Done, "builds_running": builds }))
    })
    .await
}

/// The worker of a key or a name, those too that are no longer configured.
async fn worker_name(master: &MasterHandle, key: &str) -> Result<WorkerName, CallError> {
    let store = master.store();
    let found = match (key.parse(), WorkerName::new(key)) {
        (Ok(id), _) => store.worker_name(WorkerId(id)).await?,
        (Err(_), Ok(name)) => store.worker_id(&name).await?.map(|_| name),
        (Err(_), Err(_)) => None,
    };
    found.ok_or_else(|| {
        let definition = master.definition();
        let hint = suggest::did_you_mean(key, definition.workers.keys().map(WorkerName::as_str));
        ApiError::not_found(format!("no worker is named `{key}`")).hint(hint.as_deref()).into()
    })
}

/// `POST /api/v2/masters/ID`, method `stop`: param `clean`; answers at once. Method `reconfig`: params `dry_run` and
/// `max_disconnects`, the most links that it may cut; answers when it is done, with the shape of `/generations`.
pub(super) async fn master(State(master): State<MasterHandle>, Path(id): Path<i64>, body: Bytes) -> Response {
    if id != master.store().master_id().0 {
        return (StatusCode::NOT_FOUND, Json(json!({ "error": format!("there is no master {id}") })))
            .into_response();
    }
    answer(&body, |method, mut params| async move {
        if method == "reconfig" {
            let limit = params.count("max_disconnects")?;
            let attempt = if params.flag("dry_run")? {
                Arc::new(master.dry_run(limit).await?)
            } else {
                master.reload(Cause::Command, limit).await?
            };
            return Ok(generation::attempt_shape(&attempt));
        }
        if method != "stop" {
            return Err(unknown_method(&method, "stop` and `reconfig"));
        }
        let mode = if params.flag("clean")? { StopMode::Clean } else { StopMode::Now };
        master.request_stop(mode);
        Ok(json!({ "pid": std::process::id(), "builds_running": master.builds_running() }))
    })
    .await
}
