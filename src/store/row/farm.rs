//! Rows about what is configured: workers, builders, schedulers, configurations, and the events of all.

use serde::Serialize;

use super::{ApiRow, FieldKind, Table, field, maybe_seconds, seconds};
use crate::{
    model::{
        BuilderId, BuilderName, EventId, EventKind, MasterId, QuarantineCause, SchedulerId, SchedulerName,
        Timestamp, WorkerId, WorkerInfo, WorkerName,
    },
    store::{
        connection::{Row, broken},
        worker,
    },
};

/// A worker.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the API")]
pub struct WorkerRow {
    /// Its key.
    pub workerid: WorkerId,
    /// Its name.
    pub name: WorkerName,
    /// Whether the configuration in force has it.
    pub configured: bool,
    /// What it said of itself when it last attached.
    pub workerinfo: WorkerInfo,
    /// Whether it is given no builds for now.
    pub paused: bool,
    /// Why it is paused.
    pub pause_reason: Option<String>,
    /// Who paused it.
    pub paused_by: Option<String>,
    /// When it was paused.
    #[serde(serialize_with = "maybe_seconds")]
    pub paused_at: Option<Timestamp>,
    /// Whether it stops once its builds are done.
    pub graceful: bool,
    /// Why it stops.
    pub graceful_reason: Option<String>,
    /// Who wants it to stop; nobody if it wants that itself.
    pub graceful_by: Option<String>,
    /// Since when that is wanted.
    #[serde(serialize_with = "maybe_seconds")]
    pub graceful_at: Option<Timestamp>,
    /// Whether it is given no builds for a while, for it failed some.
    pub quarantined: bool,
    /// Why.
    pub quarantine_cause: Option<QuarantineCause>,
    /// What it was about, for people.
    pub quarantine_reason: Option<String>,
    /// How many times it was for this cause since its last good build.
    pub quarantine_strikes: Option<u32>,
    /// Since when.
    #[serde(serialize_with = "maybe_seconds")]
    pub quarantined_at: Option<Timestamp>,
    /// Until when.
    #[serde(serialize_with = "maybe_seconds")]
    pub quarantined_until: Option<Timestamp>,
    /// The master that it is attached to: none or one.
    pub connected_to: Vec<ConnectedTo>,
    /// When it last attached; nothing if it never did.
    #[serde(serialize_with = "maybe_seconds")]
    pub last_connection: Option<Timestamp>,
    /// Since when it is away, or waited for if it never came; nothing while it is attached.
    #[serde(serialize_with = "maybe_seconds")]
    pub absent_since: Option<Timestamp>,
    /// When it was last told to be missing: of this absence if it is not before that; nothing if its return is told.
    #[serde(serialize_with = "maybe_seconds")]
    pub missing_reported_at: Option<Timestamp>,
    /// The builders that it may build.
    pub configured_on: Vec<ConfiguredOn>,
}

/// A link from a worker to a master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ConnectedTo {
    /// The master.
    pub masterid: MasterId,
}

/// A builder that a worker may build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ConfiguredOn {
    /// On which master.
    pub masterid: MasterId,
    /// Which builder.
    pub builderid: BuilderId,
}

impl ApiRow for WorkerRow {
    const TABLE: Table = Table {
        resource: "workers",
        relation: "workers",
        columns: "id, name, configured, info, paused, pause_reason, paused_by, paused_at, graceful, graceful_reason, graceful_by, graceful_at, quarantine_cause, quarantine_reason, quarantined_at, quarantined_until, strikes, connected_to, last_connection_at, absent_since_at, missing_reported_at",
        fields: &[
            field("workerid", "id", FieldKind::Integer),
            field("name", "name", FieldKind::Text),
            field("configured", "configured", FieldKind::Flag),
            field("paused", "paused", FieldKind::Flag),
            field("graceful", "graceful", FieldKind::Flag),
            field("quarantined", "quarantined_until", FieldKind::Present),
            field("quarantined_until", "quarantined_until", FieldKind::Instant),
            field("connected", "connected_to", FieldKind::Present),
            field("last_connection", "last_connection_at", FieldKind::Instant),
            field("absent_since", "absent_since_at", FieldKind::Instant),
            field("missing_reported_at", "missing_reported_at", FieldKind::Instant),
        ],
        is_small: true,
    };

    fn read(row: &Row, _: MasterId) -> Result<Self, sqlx::Error> {
        let connected = row.maybe_integer("connected_to")?;
        let quarantine = worker::record(row)?.quarantine;
        Ok(Self {
            workerid: WorkerId(row.integer("id")?),
            name: row.parsed("name")?,
            configured: row.flag("configured")?,
            workerinfo: row.json("info")?,
            paused: row.flag("paused")?,
            pause_reason: row.maybe_text("pause_reason")?,
            paused_by: row.maybe_text("paused_by")?,
            paused_at: row.maybe_instant("paused_at")?,
            graceful: row.flag("graceful")?,
            graceful_reason: row.maybe_text("graceful_reason")?,
            graceful_by: row.maybe_text("graceful_by")?,
            graceful_at: row.maybe_instant("graceful_at")?,
            quarantined: quarantine.is_some(),
            quarantine_cause: quarantine.as_ref().map(|quarantine| quarantine.cause),
            quarantine_strikes: quarantine.as_ref().map(|quarantine| quarantine.strikes),
            quarantined_at: quarantine.as_ref().map(|quarantine| quarantine.since),
            quarantined_until: quarantine.as_ref().map(|quarantine| quarantine.until),
            quarantine_reason: quarantine.and_then(|quarantine| quarantine.reason),
            connected_to: connected.map(|id| ConnectedTo { masterid: MasterId(id) }).into_iter().collect(),
            last_connection: row.maybe_instant("last_connection_at")?,
            absent_since: row.maybe_instant("absent_since_at")?,
            missing_reported_at: row.maybe_instant("missing_reported_at")?,
            // Filled by whoever asks: it lies in another table.
            configured_on: Vec::new(),
        })
    }
}

/// A builder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BuilderRow {
    /// Its key.
    pub builderid: BuilderId,
    /// Its name.
    pub name: BuilderName,
    /// A sentence for people.
    pub description: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Whether the configuration in force has it.
    pub configured: bool,
    /// The masters that have it: none or this one.
    pub masterids: Vec<MasterId>,
}

impl ApiRow for BuilderRow {
    const TABLE: Table = Table {
        resource: "builders",
        relation: "builders",
        columns: "id, name, configured, description, tags",
        fields: &[
            field("builderid", "id", FieldKind::Integer),
            field("name", "name", FieldKind::Text),
            field("configured", "configured", FieldKind::Flag),
            field("tags", "tags", FieldKind::Texts),
        ],
        is_small: true,
    };

    fn read(row: &Row, master: MasterId) -> Result<Self, sqlx::Error> {
        let configured = row.flag("configured")?;
        Ok(Self {
            builderid: BuilderId(row.integer("id")?),
            name: row.parsed("name")?,
            description: row.maybe_text("description")?,
            tags: row.json("tags")?,
            configured,
            masterids: configured.then_some(master).into_iter().collect(),
        })
    }
}

/// A scheduler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SchedulerRow {
    /// Its key.
    pub schedulerid: SchedulerId,
    /// Its name.
    pub name: SchedulerName,
    /// Whether the configuration in force has it.
    pub configured: bool,
    /// The master that runs it.
    pub masterid: Option<MasterId>,
}

impl ApiRow for SchedulerRow {
    const TABLE: Table = Table {
        resource: "schedulers",
        relation: "schedulers",
        columns: "id, name, configured",
        fields: &[
            field("schedulerid", "id", FieldKind::Integer),
            field("name", "name", FieldKind::Text),
            field("configured", "configured", FieldKind::Flag),
        ],
        is_small: true,
    };

    fn read(row: &Row, master: MasterId) -> Result<Self, sqlx::Error> {
        let configured = row.flag("configured")?;
        Ok(Self {
            schedulerid: SchedulerId(row.integer("id")?),
            name: row.parsed("name")?,
            configured,
            masterid: configured.then_some(master),
        })
    }
}

/// A configuration that came into force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GenerationRow {
    /// Its number: 1 for the first, without gaps.
    pub generation: i64,
    /// When it came into force.
    #[serde(serialize_with = "seconds")]
    pub committed_at: Timestamp,
    /// Why it did.
    pub cause: String,
    /// How many workers it has.
    pub workers: i64,
    /// How many builders it has.
    pub builders: i64,
    /// How many schedulers it has.
    pub schedulers: i64,
}

impl ApiRow for GenerationRow {
    const TABLE: Table = Table {
        resource: "configurations",
        relation: "generations",
        columns: "id, committed_at, cause, workers, builders, schedulers",
        fields: &[field("generation", "id", FieldKind::Integer)],
        is_small: false,
    };

    fn read(row: &Row, _: MasterId) -> Result<Self, sqlx::Error> {
        Ok(Self {
            generation: row.integer("id")?,
            committed_at: row.instant("committed_at")?,
            cause: row.text("cause")?,
            workers: row.integer("workers")?,
            builders: row.integer("builders")?,
            schedulers: row.integer("schedulers")?,
        })
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventRow {
    /// Its key: grows with the order of commits.
    pub eventid: EventId,
    /// What kind of thing.
    pub kind: EventKind,
    /// The key of the row that it is about.
    pub key: i64,
    /// When.
    #[serde(serialize_with = "seconds")]
    pub at: Timestamp,
    /// The row that it is about, as it was then.
    pub body: serde_json::Value,
}

impl ApiRow for EventRow {
    const TABLE: Table = Table {
        resource: "events",
        relation: "events",
        columns: "id, kind, about, at, body",
        fields: &[field("eventid", "id", FieldKind::Integer), field("kind", "kind", FieldKind::Text)],
        is_small: false,
    };

    fn read(row: &Row, _: MasterId) -> Result<Self, sqlx::Error> {
        Ok(Self {
            eventid: EventId(row.integer("id")?),
            kind: row.text("kind")?.parse().map_err(|error| broken("kind", error))?,
            key: row.integer("about")?,
            at: row.instant("at")?,
            body: row.json("body")?,
        })
    }
}
