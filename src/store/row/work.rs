//! Rows about what is done: buildsets, requests, builds, steps, logs.

use serde::Serialize;

use super::{ApiRow, FieldKind, Table, field, maybe_seconds, seconds};
use crate::{
    model::{
        BuildId, BuildRequestId, BuilderId, BuildsetId, LogId, MasterId, Outcome, Properties, SchedulerId,
        StepId, Timestamp, WorkerId,
    },
    store::connection::Row,
};

/// What one trigger asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BuildsetRow {
    /// Its key.
    pub bsid: BuildsetId,
    /// The scheduler that asked, if one did.
    pub schedulerid: Option<SchedulerId>,
    /// Why, for people.
    pub reason: String,
    /// Set on each of its builds.
    pub properties: Properties,
    /// When it was asked for.
    #[serde(serialize_with = "seconds")]
    pub submitted_at: Timestamp,
    /// Whether all its requests have their outcome.
    pub complete: bool,
    /// Since when.
    #[serde(serialize_with = "maybe_seconds")]
    pub complete_at: Option<Timestamp>,
    /// The gravest outcome of its requests, once it is complete.
    pub results: Option<Outcome>,
    /// The build that asked, if one did.
    pub parent_buildid: Option<BuildId>,
    /// What that is to its builds, for people.
    pub parent_relationship: Option<String>,
}

impl ApiRow for BuildsetRow {
    const TABLE: Table = Table {
        resource: "buildsets",
        relation: "buildsets",
        columns: "id, schedulerid, reason, properties, submitted_at, complete_at, results, parent_buildid, \
                  parent_relationship",
        fields: &[
            field("bsid", "id", FieldKind::Integer),
            field("schedulerid", "schedulerid", FieldKind::MaybeInteger),
            field("submitted_at", "submitted_at", FieldKind::Instant),
            field("complete", "complete_at", FieldKind::Present),
            field("complete_at", "complete_at", FieldKind::Instant),
            field("results", "results", FieldKind::MaybeInteger),
            field("parent_buildid", "parent_buildid", FieldKind::MaybeInteger),
        ],
        is_small: false,
    };

    fn read(row: &Row, _: MasterId) -> Result<Self, sqlx::Error> {
        let complete_at = row.maybe_instant("complete_at")?;
        Ok(Self {
            bsid: BuildsetId(row.integer("id")?),
            schedulerid: row.maybe_integer("schedulerid")?.map(SchedulerId),
            reason: row.text("reason")?,
            properties: row.json("properties")?,
            submitted_at: row.instant("submitted_at")?,
            complete: complete_at.is_some(),
            complete_at,
            results: row.maybe_outcome("results")?,
            parent_buildid: row.maybe_integer("parent_buildid")?.map(BuildId),
            parent_relationship: row.maybe_text("parent_relationship")?,
        })
    }
}

/// The wish for one build of one builder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BuildRequestRow {
    /// Its key.
    pub buildrequestid: BuildRequestId,
    /// The buildset that it belongs to.
    pub buildsetid: BuildsetId,
    /// The builder that is wanted.
    pub builderid: BuilderId,
    /// Higher goes first.
    pub priority: i64,
    /// Whether a build of it runs or has ended.
    pub claimed: bool,
    /// Since when.
    #[serde(serialize_with = "maybe_seconds")]
    pub claimed_at: Option<Timestamp>,
    /// The master that claimed it.
    pub claimed_by_masterid: Option<MasterId>,
    /// Whether it has its outcome.
    pub complete: bool,
    /// Since when.
    #[serde(serialize_with = "maybe_seconds")]
    pub complete_at: Option<Timestamp>,
    /// Its outcome.
    pub results: Option<Outcome>,
    /// When it was asked for.
    #[serde(serialize_with = "seconds")]
    pub submitted_at: Timestamp,
    /// Whether another build waits for it.
    pub waited_for: bool,
    /// How many of its builds were lost.
    pub attempts: i64,
    /// Why it is complete, where no build says it.
    pub ended_because: Option<String>,
}

impl ApiRow for BuildRequestRow {
    const TABLE: Table = Table {
        resource: "buildrequests",
        relation: "build_requests",
        columns: "id, buildsetid, builderid, -urgency AS priority, claimed_at, claimed_by, complete_at, results, submitted_at, \
                  waited_for, attempts, ended_because",
        fields: &[
            field("buildrequestid", "id", FieldKind::Integer),
            field("buildsetid", "buildsetid", FieldKind::Integer),
            field("builderid", "builderid", FieldKind::Integer),
            field("priority", "(-urgency)", FieldKind::Integer),
            field("claimed", "claimed_at", FieldKind::Present),
            field("complete", "complete_at", FieldKind::Present),
            field("complete_at", "complete_at", FieldKind::Instant),
            field("results", "results", FieldKind::MaybeInteger),
            field("submitted_at", "submitted_at", FieldKind::Instant),
        ],
        is_small: false,
    };

    fn read(row: &Row, _: MasterId) -> Result<Self, sqlx::Error> {
        let (claimed_at, complete_at) = (row.maybe_instant("claimed_at")?, row.maybe_instant("complete_at")?);
        Ok(Self {
            buildrequestid: BuildRequestId(row.integer("id")?),
            buildsetid: BuildsetId(row.integer("buildsetid")?),
            builderid: BuilderId(row.integer("builderid")?),
            priority: row.integer("priority")?,
            claimed: claimed_at.is_some(),
            claimed_at,
            claimed_by_masterid: row.maybe_integer("claimed_by")?.map(MasterId),
            complete: complete_at.is_some(),
            complete_at,
            results: row.maybe_outcome("results")?,
            submitted_at: row.instant("submitted_at")?,
            waited_for: row.flag("waited_for")?,
            attempts: row.integer("attempts")?,
            ended_because: row.maybe_text("ended_because")?,
        })
    }
}

/// One attempt at a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BuildRow {
    /// Its key.
    pub buildid: BuildId,
    /// Its number: from 1 for each builder, without gaps.
    pub number: i64,
    /// Of which builder.
    pub builderid: BuilderId,
    /// For which request.
    pub buildrequestid: BuildRequestId,
    /// On which worker.
    pub workerid: WorkerId,
    /// By which master.
    pub masterid: MasterId,
    /// When it began.
    #[serde(serialize_with = "seconds")]
    pub started_at: Timestamp,
    /// Whether it has ended.
    pub complete: bool,
    /// When it ended.
    #[serde(serialize_with = "maybe_seconds")]
    pub complete_at: Option<Timestamp>,
    /// How it ended.
    pub results: Option<Outcome>,
    /// What it does, or how it ended, for people.
    pub state_string: String,
    /// What its steps were rendered with.
    pub properties: Properties,
}

impl ApiRow for BuildRow {
    const TABLE: Table = Table {
        resource: "builds",
        relation: "builds",
        columns: "id, number, builderid, buildrequestid, workerid, masterid, started_at, complete_at, results, \
                  state_string, properties",
        fields: &[
            field("buildid", "id", FieldKind::Integer),
            field("number", "number", FieldKind::Integer),
            field("builderid", "builderid", FieldKind::Integer),
            field("buildrequestid", "buildrequestid", FieldKind::Integer),
            field("workerid", "workerid", FieldKind::Integer),
            field("started_at", "started_at", FieldKind::Instant),
            field("complete", "complete_at", FieldKind::Present),
            field("complete_at", "complete_at", FieldKind::Instant),
            field("results", "results", FieldKind::MaybeInteger),
        ],
        is_small: false,
    };

    fn read(row: &Row, _: MasterId) -> Result<Self, sqlx::Error> {
        let complete_at = row.maybe_instant("complete_at")?;
        Ok(Self {
            buildid: BuildId(row.integer("id")?),
            number: row.integer("number")?,
            builderid: BuilderId(row.integer("builderid")?),
            buildrequestid: BuildRequestId(row.integer("buildrequestid")?),
            workerid: WorkerId(row.integer("workerid")?),
            masterid: MasterId(row.integer("masterid")?),
            started_at: row.instant("started_at")?,
            complete: complete_at.is_some(),
            complete_at,
            results: row.maybe_outcome("results")?,
            state_string: row.text("state_string")?,
            properties: row.json("properties")?,
        })
    }
}

/// One step of a build.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepRow {
    /// Its key.
    pub stepid: StepId,
    /// Its place in the build, from 0.
    pub number: i64,
    /// Its name.
    pub name: String,
    /// Of which build.
    pub buildid: BuildId,
    /// When it began.
    #[serde(serialize_with = "seconds")]
    pub started_at: Timestamp,
    /// When it had its locks: when it began, unless it had to wait; nothing while it waits.
    #[serde(serialize_with = "maybe_seconds")]
    pub locks_acquired_at: Option<Timestamp>,
    /// Whether it has ended.
    pub complete: bool,
    /// When it ended.
    #[serde(serialize_with = "maybe_seconds")]
    pub complete_at: Option<Timestamp>,
    /// How it ended.
    pub results: Option<Outcome>,
    /// What it does, or how it ended, for people.
    pub state_string: String,
    /// Whether it is left out where steps are shown.
    pub hidden: bool,
    /// Addresses that it gave, each with `name` and `url`.
    pub urls: Vec<serde_json::Value>,
}

impl ApiRow for StepRow {
    const TABLE: Table = Table {
        resource: "steps",
        relation: "steps",
        columns: "id, number, name, buildid, started_at, locks_acquired_at, complete_at, results, state_string, hidden, urls",
        fields: &[
            field("stepid", "id", FieldKind::Integer),
            field("number", "number", FieldKind::Integer),
            field("name", "name", FieldKind::Text),
            field("buildid", "buildid", FieldKind::Integer),
            field("complete", "complete_at", FieldKind::Present),
        ],
        is_small: false,
    };

    fn read(row: &Row, _: MasterId) -> Result<Self, sqlx::Error> {
        let complete_at = row.maybe_instant("complete_at")?;
        Ok(Self {
            stepid: StepId(row.integer("id")?),
            number: row.integer("number")?,
            name: row.text("name")?,
            buildid: BuildId(row.integer("buildid")?),
            started_at: row.instant("started_at")?,
            locks_acquired_at: row.maybe_instant("locks_acquired_at")?,
            complete: complete_at.is_some(),
            complete_at,
            results: row.maybe_outcome("results")?,
            state_string: row.text("state_string")?,
            hidden: row.flag("hidden")?,
            urls: row.json("urls")?,
        })
    }
}

/// One log of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogRow {
    /// Its key.
    pub logid: LogId,
    /// Its name.
    pub name: String,
    /// Its name as it can stand in an address.
    pub slug: String,
    /// Of which step.
    pub stepid: StepId,
    /// Whether it is whole.
    pub complete: bool,
    /// Its lines; of an open log, those that a reader can see.
    pub num_lines: i64,
    /// Its size as stored before compression; of an open log, what a reader can see.
    pub num_bytes: i64,
    /// Buildbot's letter for a log of several streams: always `s`.
    pub r#type: char,
}

impl ApiRow for LogRow {
    const TABLE: Table = Table {
        resource: "logs",
        relation: "logs",
        columns: "id, name, slug, stepid, form, num_lines, num_bytes",
        fields: &[
            field("logid", "id", FieldKind::Integer),
            field("stepid", "stepid", FieldKind::Integer),
            field("slug", "slug", FieldKind::Text),
            field("name", "name", FieldKind::Text),
        ],
        is_small: false,
    };

    fn read(row: &Row, _: MasterId) -> Result<Self, sqlx::Error> {
        Ok(Self {
            logid: LogId(row.integer("id")?),
            name: row.text("name")?,
            slug: row.text("slug")?,
            stepid: StepId(row.integer("stepid")?),
            complete: row.text("form")? != "open",
            num_lines: row.integer("num_lines")?,
            num_bytes: row.integer("num_bytes")?,
            r#type: 's',
        })
    }
}
