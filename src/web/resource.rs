//! What there is to see: `workers`, `builders`, `builds` and kin, alone and below each other.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, Query as UrlQuery, State},
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    definition::{
        IdlePolicy, MasterDefinition, SchedulerDefinition, SchedulerKind, WorkerDefinition, WorkerKind,
    },
    master::MasterHandle,
    model::{BuildId, Place, Timestamp},
    store::{BuilderRow, Page, SchedulerRow, WorkerRow},
    web::{error::ApiError, query::Asked, source},
};

/// The pairs of a URL's question part.
pub(super) type Pairs = UrlQuery<Vec<(String, String)>>;

type Answer = Result<Json<Value>, ApiError>;

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noun {
    Workers,
    Builders,
    Buildsets,
    BuildRequests,
    Builds,
    Steps,
    Logs,
    Schedulers,
    Outbox,
}

impl Noun {
    const ALL: [Self; 9] = [
        Self::Workers,
        Self::Builders,
        Self::Buildsets,
        Self::BuildRequests,
        Self::Builds,
        Self::Steps,
        Self::Logs,
        Self::Schedulers,
        Self::Outbox,
    ];

    /// As it stands in a path, and as the key of its list.
    const fn plural(self) -> &'static str {
        match self {
            Self::Workers => "workers",
            Self::Builders => "builders",
            Self::Buildsets => "buildsets",
            Self::BuildRequests => "buildrequests",
            Self::Builds => "builds",
            Self::Steps => "steps",
            Self::Logs => "logs",
            Self::Schedulers => "schedulers",
            Self::Outbox => "outbox",
        }
    }

    /// The field that holds its key.
    const fn id(self) -> &'static str {
        match self {
            Self::Workers => "workerid",
            Self::Builders => "builderid",
            Self::Buildsets => "bsid",
            Self::BuildRequests => "buildrequestid",
            Self::Builds => "buildid",
            Self::Steps => "stepid",
            Self::Logs => "logid",
            Self::Schedulers => "schedulerid",
            Self::Outbox => "letterid",
        }
    }

    /// The field by which it may stand in a path besides its key.
    const fn name(self) -> Option<&'static str> {
        match self {
            Self::Workers | Self::Builders | Self::Steps | Self::Schedulers => Some("name"),
            Self::Logs => Some("slug"),
            Self::Buildsets | Self::BuildRequests | Self::Builds | Self::Outbox => None,
        }
    }

    /// The field that holds the key of what it lies below, for the pairs that make sense in a path.
    fn below(self, parent: Self) -> Option<&'static str> {
        match (parent, self) {
            (Self::Builders, Self::Builds | Self::BuildRequests) => Some("builderid"),
            (Self::Workers, Self::Builds) => Some("workerid"),
            (Self::BuildRequests, Self::Builds) => Some("buildrequestid"),
            (Self::Buildsets, Self::BuildRequests) => Some("buildsetid"),
            (Self::Builds, Self::Steps) => Some("buildid"),
            (Self::Steps, Self::Logs) => Some("stepid"),
            _ => None,
        }
    }

    /// How a number in a path is meant: below a builder a build's number, below a build a step's.
    const fn number(self, parent: Option<Self>) -> &'static str {
        match (parent, self) {
            (Some(Self::Builders), Self::Builds) | (Some(Self::Builds), Self::Steps) => "number",
            _ => self.id(),
        }
    }

    async fn list(self, master: &MasterHandle, asked: &Asked) -> Result<(Vec<Value>, Option<u64>), ApiError> {
        let (asked, store) = (&self.by_source(master, asked)?, master.store());
        let query = &asked.query;
        let (rows, total) = match self {
            Self::Workers => worker_shapes(master, &store.workers(query).await?),
            Self::Builders => builder_shapes(master, &store.builders(query).await?),
            Self::Buildsets => shapes(&store.buildsets(query).await?),
            Self::BuildRequests => shapes(&store.build_requests(query).await?),
            Self::Builds => shapes(&store.builds(query).await?),
            Self::Steps => shapes(&store.steps(query).await?),
            Self::Logs => shapes(&store.logs(query).await?),
            Self::Schedulers => scheduler_shapes(master, &store.schedulers(query).await?),
            Self::Outbox => shapes(&store.letters(query).await?),
        };
        Ok((asked.project(rows)?, total))
    }

    /// A question for what is written somewhere, as one for names: the database has no places.
    fn by_source<'a>(self, master: &MasterHandle, asked: &'a Asked) -> Result<Cow<'a, Asked>, ApiError> {
        let definition = master.definition();
        match self {
            Self::Workers => source::by_name(asked, places(&definition.workers, |worker| &worker.place)),
            Self::Builders => source::by_name(asked, places(&definition.builders, |builder| &builder.place)),
            Self::Schedulers => {
                source::by_name(asked, places(&definition.schedulers, |scheduler| &scheduler.place))
            }
            _ => Ok(Cow::Borrowed(asked)),
        }
    }
}

/// The names of parts, and where they are written.
fn places<K: AsRef<str>, T>(
    parts: &BTreeMap<K, Arc<T>>,
    place: impl Fn(&T) -> &Place,
) -> impl Iterator<Item = (&str, &Place)> {
    parts.iter().map(move |(name, part)| (name.as_ref(), place(part)))
}

fn shapes<T: Serialize>(page: &Page<T>) -> (Vec<Value>, Option<u64>) {
    let rows = page.rows.iter().map(|row| serde_json::to_value(row).expect("a row is plain data"));
    (rows.collect(), page.total)
}

/// Workers with what only the running master knows: which of its links this is and from where, since when it counts as
/// missing, where it is written, and the options that tell what becomes of it.
fn worker_shapes(master: &MasterHandle, page: &Page<WorkerRow>) -> (Vec<Value>, Option<u64>) {
    let definition = master.definition();
    let now = Timestamp::now();
    let shape = |row: &WorkerRow| {
        let mut shape = serde_json::to_value(row).expect("a row is plain data");
        let worker = definition.workers.get(&row.name);
        // One that is started on demand is away whenever nothing needs it.
        let timeout = worker.filter(|worker| !worker.is_latent()).and_then(|worker| worker.missing_timeout);
        let since = row.absent_since.unwrap_or_else(|| master.started_at());
        let missing = timeout.is_some_and(|timeout| row.connected_to.is_empty() && since + timeout <= now);
        shape["missing_since"] = if missing { json!(since.as_second()) } else { Value::Null };
        let link = master.registry().connection(row.name.as_str());
        shape["link_epoch"] = link.as_ref().map_or(Value::Null, |link| json!(link.epoch.0));
        shape["link_peer"] =
            link.and_then(|link| link.peer).map_or(Value::Null, |peer| json!(peer.to_string()));
        shape["source"] = json!(worker.map(|worker| &worker.place));
        shape["options"] = worker.map_or(Value::Null, |worker| worker_options(worker));
        shape
    };
    (page.rows.iter().map(shape).collect(), page.total)
}

/// Builders with where they are written; null for those that are no longer configured.
fn builder_shapes(master: &MasterHandle, page: &Page<BuilderRow>) -> (Vec<Value>, Option<u64>) {
    let definition = master.definition();
    with_source(page, |row| definition.builders.get(&row.name).map(|builder| &builder.place))
}

/// The same for schedulers.
fn scheduler_shapes(master: &MasterHandle, page: &Page<SchedulerRow>) -> (Vec<Value>, Option<u64>) {
    let definition = master.definition();
    with_source(page, |row| definition.schedulers.get(&row.name).map(|scheduler| &scheduler.place))
}

fn with_source<'a, T: Serialize>(
    page: &Page<T>,
    source: impl Fn(&T) -> Option<&'a Place>,
) -> (Vec<Value>, Option<u64>) {
    let (mut rows, total) = shapes(page);
    for (shape, row) in rows.iter_mut().zip(&page.rows) {
        shape["source"] = json!(source(row));
    }
    (rows, total)
}

fn worker_options(worker: &WorkerDefinition) -> Value {
    let seconds = |span: Option<Duration>| span.map(|span| span.as_secs_f64());
    let mut options = json!({
        "class": worker.class(),
        "latent": worker.is_latent(),
        "max_builds": worker.max_builds,
        "keepalive_interval": seconds(worker.keepalive_interval),
        "missing_timeout": seconds(worker.missing_timeout),
    });
    if let WorkerKind::Latent(latent) = &worker.kind {
        options["build_wait_timeout"] = match latent.build_wait_timeout {
            IdlePolicy::StopAtOnce => json!(0.0),
            IdlePolicy::StopAfter(span) => json!(span.as_secs_f64()),
            // As the operator writes it.
            IdlePolicy::KeepUntilShutdown => json!(-1.0),
        };
        options["attach_timeout"] = json!(latent.attach_timeout.as_secs_f64());
        options["check_instance_interval"] = json!(latent.check_instance_interval.as_secs_f64());
    }
    options
}

fn listed(key: &str, rows: &[Value], total: Option<u64>) -> Json<Value> {
    let meta = total.map_or_else(|| json!({}), |total| json!({ "total": total }));
    Json(json!({ key: rows, "meta": meta }))
}

/// `GET /api/v2/…`: a list, or one thing, by its path: `builders/linux/builds/7/steps`.
pub(super) async fn by_path(
    State(master): State<MasterHandle>,
    Path(path): Path<String>,
    UrlQuery(pairs): Pairs,
) -> Answer {
    let asked = Asked::parse(&pairs)?;
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let nothing = || ApiError::not_found(format!("there is nothing at /api/v2/{path}"));
    let mut above: Option<(Noun, Value)> = None;
    for pair in parts.chunks(2) {
        let noun = Noun::ALL.into_iter().find(|noun| noun.plural() == pair[0]).ok_or_else(nothing)?;
        let scope = match &above {
            None => None,
            Some((parent, row)) => {
                Some((noun.below(*parent).ok_or_else(nothing)?, row[parent.id()].to_string()))
            }
        };
        let Some(key) = pair.get(1) else {
            let asked = scope.into_iter().fold(asked, |asked, (field, id)| asked.only(field, &id));
            let (rows, total) = noun.list(&master, &asked).await?;
            return Ok(listed(noun.plural(), &rows, total));
        };
        let mut wanted =
            scope.into_iter().fold(Asked::default(), |asked, (field, id)| asked.only(field, &id));
        wanted.query.limit = 1;
        let by = match (key.parse::<i64>(), noun.name()) {
            (Ok(_), _) => noun.number(above.as_ref().map(|(parent, _)| *parent)),
            (Err(_), Some(name)) => name,
            (Err(_), None) => return Err(nothing()),
        };
        let (mut rows, _) = noun.list(&master, &wanted.only(by, key)).await?;
        let row =
            rows.pop().ok_or_else(|| ApiError::not_found(format!("there is no {} {key}", singular(noun))))?;
        above = Some((noun, row));
    }
    let (noun, row) = above.ok_or_else(nothing)?;
    Ok(listed(noun.plural(), &asked.project(vec![row])?, None))
}

fn singular(noun: Noun) -> &'static str {
    match noun {
        Noun::Outbox => "letter",
        noun => noun.plural().strip_suffix('s').expect("all other nouns have a plural in s"),
    }
}

/// `GET /api/v2/builds/ID`.
pub(super) async fn one_build(
    State(master): State<MasterHandle>,
    Path(id): Path<i64>,
    pairs: Pairs,
) -> Answer {
    by_path(State(master), Path(format!("builds/{id}")), pairs).await
}

/// `GET /api/v2/workers/ID`, also by name.
pub(super) async fn one_worker(
    State(master): State<MasterHandle>,
    Path(key): Path<String>,
    pairs: Pairs,
) -> Answer {
    by_path(State(master), Path(format!("workers/{key}")), pairs).await
}

/// `GET /api/v2/buildrequests/ID`.
pub(super) async fn one_build_request(
    State(master): State<MasterHandle>,
    Path(id): Path<i64>,
    pairs: Pairs,
) -> Answer {
    by_path(State(master), Path(format!("buildrequests/{id}")), pairs).await
}

/// `GET /api/v2/outbox/ID`.
pub(super) async fn one_letter(
    State(master): State<MasterHandle>,
    Path(id): Path<i64>,
    pairs: Pairs,
) -> Answer {
    by_path(State(master), Path(format!("outbox/{id}")), pairs).await
}

/// `GET /api/v2/builds/ID/properties`: name to value and source.
pub(super) async fn build_properties(State(master): State<MasterHandle>, Path(id): Path<i64>) -> Answer {
    let properties = master.store().build_properties(BuildId(id)).await?;
    let properties = properties.ok_or_else(|| ApiError::not_found(format!("there is no build {id}")))?;
    let table: serde_json::Map<String, Value> = properties
        .iter()
        .map(|(name, property)| (name.clone(), json!([property.value, property.source])))
        .collect();
    Ok(Json(json!({ "properties": [table], "meta": {} })))
}

/// `GET /api/v2/`: what the installation is called.
pub(super) async fn root(State(master): State<MasterHandle>) -> Answer {
    let definition = master.definition();
    let settings = definition.settings.as_deref();
    let row = json!({
        "title": settings.map(|settings| settings.title.as_str()),
        "titleURL": settings.map(|settings| settings.title_url.as_str()),
        "buildbotURL": settings.map(|settings| settings.buildbot_url.as_str()),
        "version": env!("CARGO_PKG_VERSION"),
    });
    Ok(Json(json!({ "application_spec": [row], "meta": { "total": 1 } })))
}

fn master_row(master: &MasterHandle) -> Value {
    json!({
        "masterid": master.store().master_id(),
        "name": master.definition().settings.as_deref().map(|settings| settings.title.as_str()),
        "active": true,
        "last_active": master.started_at().as_second(),
        "started_at": master.started_at().as_second(),
        "pid": std::process::id(),
        "builds_running": master.builds_running(),
        "version": env!("CARGO_PKG_VERSION"),
    })
}

/// `GET /api/v2/masters`.
pub(super) async fn masters(State(master): State<MasterHandle>) -> Answer {
    Ok(listed("masters", &[master_row(&master)], Some(1)))
}

/// `GET /api/v2/masters/1`.
pub(super) async fn master(State(master): State<MasterHandle>, Path(id): Path<i64>) -> Answer {
    if id == master.store().master_id().0 {
        return Ok(listed("masters", &[master_row(&master)], Some(1)));
    }
    Err(ApiError::not_found(format!("there is no master {id}")))
}

fn force_rows(definition: &MasterDefinition) -> Vec<Value> {
    let shape = |scheduler: &SchedulerDefinition| match &scheduler.kind {
        SchedulerKind::Force { button_name, label, reason, .. } => Some(json!({
            "name": scheduler.name.as_str(),
            "label": label,
            "button_name": button_name,
            "builder_names": scheduler.builder_names.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
            "default_reason": reason,
            "enabled": true,
            "source": scheduler.place,
        })),
        SchedulerKind::Periodic { .. } | SchedulerKind::Triggerable { .. } => None,
    };
    definition.schedulers.values().filter_map(|scheduler| shape(scheduler)).collect()
}

/// `GET /api/v2/forceschedulers`.
pub(super) async fn force_schedulers(State(master): State<MasterHandle>, UrlQuery(pairs): Pairs) -> Answer {
    let asked = Asked::parse(&pairs)?;
    let rows = force_rows(&master.definition());
    let total = u64::try_from(rows.len()).ok();
    Ok(listed("forceschedulers", &asked.project(rows)?, total))
}

/// `GET /api/v2/forceschedulers/NAME`.
pub(super) async fn force_scheduler(State(master): State<MasterHandle>, Path(name): Path<String>) -> Answer {
    let rows = force_rows(&master.definition());
    match rows.into_iter().find(|row| row["name"] == name.as_str()) {
        Some(row) => Ok(listed("forceschedulers", &[row], Some(1))),
        None => Err(ApiError::not_found(format!("no force scheduler is named `{name}`"))),
    }
}
