//! Buildsets and their requests: how builds are asked for, and the queue of each builder.
//!
//! # Laws
//! - A request is in the queue, claimed, or complete; a buildset is complete when all its requests are, and its
//!   outcome is the gravest of theirs.
//! - The queue's order is by priority, then by age; a request that comes back has its old place.

use std::collections::BTreeSet;

use sqlx::AssertSqlSafe;

use crate::{
    model::{
        BuildRequestId, BuilderName, BuildsetId, EventKind, MasterId, Outcome, Properties, SchedulerName,
        Timestamp, WorkerName,
    },
    store::{
        Store,
        child::{self, Orphans, Parent, ParentBuild},
        collapse,
        connection::{Arg, Kind, Row, args, clean},
        error::{JobError, StoreError, failed},
        generation::json,
        job::Work,
        row::{ApiRow, BuildRequestRow, BuildsetRow},
    },
};

/// What a trigger asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct NewBuildset {
    /// The scheduler that asks, if one does.
    pub scheduler: Option<SchedulerName>,
    /// Why, for people.
    pub reason: String,
    /// Set on each of its builds.
    pub properties: Properties,
    /// One build of each is wanted. A name that stands twice counts once.
    pub builders: Vec<BuilderName>,
    /// Higher goes first.
    pub priority: i32,
    /// The build that asks, if one does.
    pub parent: Option<Parent>,
    /// Those of the builders whose older requests give way to these, if they wait and would build the same.
    pub collapse: BTreeSet<BuilderName>,
}

/// A buildset that was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedBuildset {
    /// Its key.
    pub id: BuildsetId,
    /// Its requests, in the order of the builders that were asked for.
    pub requests: Vec<(BuilderName, BuildRequestId)>,
}

/// A place in a builder's queue: that of a request which was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueMark {
    priority: i32,
    id: BuildRequestId,
}

/// A request that waits for a worker.
#[derive(Clone, Debug, PartialEq)]
pub struct QueuedRequest {
    /// Its key.
    pub id: BuildRequestId,
    /// The buildset that it belongs to.
    pub buildset: BuildsetId,
    /// The builder that is wanted.
    pub builder: BuilderName,
    /// Higher goes first.
    pub priority: i32,
    /// When it was asked for.
    pub submitted_at: Timestamp,
    /// Since when it waits: since it was asked for, or since it came back.
    pub waiting_since: Timestamp,
    /// How many of its builds were lost.
    pub attempts: u32,
    /// Why it was asked for, for people.
    pub reason: String,
    /// The properties of its buildset.
    pub properties: Properties,
    /// It wants to wait until then. The queue gives it all the same.
    pub not_before: Option<Timestamp>,
    /// The worker that has just lost it.
    pub avoid: Option<WorkerName>,
    /// The build that asked for it, if one did.
    pub parent: Option<ParentBuild>,
}

impl QueuedRequest {
    /// Its place, from which the next page goes on.
    pub const fn mark(&self) -> QueueMark {
        QueueMark { priority: self.priority, id: self.id }
    }
}

impl Store {
    /// Asks for builds: a buildset, and a request for each of its builders.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] for a builder that is not configured or a scheduler that never was.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the buildset may be added all the same.
    pub async fn add_buildset(&self, new: NewBuildset, at: Timestamp) -> Result<AddedBuildset, StoreError> {
        self.write("add a buildset", move |work| Box::pin(add(work, new, at))).await
    }

    /// When a scheduler last asked for builds.
    pub async fn last_buildset_at(&self, scheduler: &SchedulerName) -> Result<Option<Timestamp>, StoreError> {
        let deed = "find a scheduler's last buildset";
        let row = self
            .pool
            .row(LAST_BUILDSET, args![scheduler.as_str()])
            .await
            .map_err(|error| failed(deed, error))?;
        row.map(|row| row.instant("submitted_at")).transpose().map_err(|error| failed(deed, error))
    }

    /// The next requests of a builder's queue: highest priority first, then oldest. `after` is the
    /// [mark](QueuedRequest::mark) of the last one of the page before. At most `limit`, and never more than 10,000.
    pub async fn queued_requests(
        &self,
        builder: &BuilderName,
        after: Option<QueueMark>,
        limit: u32,
    ) -> Result<Vec<QueuedRequest>, StoreError> {
        self.queue_page((QUEUE_SAME, QUEUE_LOWER), builder, after, limit, None).await
    }

    /// A page of a queue by two questions: for the rest of a priority, and for all lower ones. `extra` is the last
    /// argument of those that have one more.
    pub(super) async fn queue_page(
        &self,
        (same, lower): (&'static str, &'static str),
        builder: &BuilderName,
        after: Option<QueueMark>,
        limit: u32,
        extra: Option<Arg>,
    ) -> Result<Vec<QueuedRequest>, StoreError> {
        let deed = "read the queue";
        let limit = limit.min(10_000);
        let (mut rows, mut urgency) = (Vec::new(), i64::MIN);
        if let Some(mark) = after {
            urgency = -i64::from(mark.priority);
            let mut args = args![builder.as_str(), urgency, limit, mark.id.0];
            args.extend(extra.clone());
            rows = self.pool.rows(same, args).await.map_err(|error| failed(deed, error))?;
        }
        let left = limit.saturating_sub(u32::try_from(rows.len()).unwrap_or(limit));
        if left > 0 {
            let mut args = args![builder.as_str(), urgency, left];
            args.extend(extra);
            rows.extend(self.pool.rows(lower, args).await.map_err(|error| failed(deed, error))?);
        }
        let read = |row: &Row| queued(row, builder.clone());
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| failed(deed, error))
    }

    /// Takes a request out of the queue for good: cancelled, with the reason that somebody gave. False if it was no longer
    /// there, for a build of it runs or it is complete.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the request may be cancelled all the same.
    pub async fn cancel_request(
        &self,
        request: BuildRequestId,
        because: Option<&str>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let deed = "cancel a build request";
        let because = because.map(str::to_owned);
        self.write(deed, move |work| {
            Box::pin(complete_waiting(work, request, Outcome::Cancelled, because.clone(), at))
        })
        .await
    }
}

pub(super) const LAST_BUILDSET: &str = "SELECT submitted_at FROM buildsets
     WHERE schedulerid = (SELECT id FROM schedulers WHERE name = $1) ORDER BY submitted_at DESC LIMIT 1";

macro_rules! queue {
    ($rest:literal) => {
        concat!(
            "SELECT r.id, r.buildsetid, -r.urgency AS priority, r.submitted_at, r.waiting_since, r.attempts, r.not_before, r.waited_for, r.avoid_worker,
                 s.reason, s.properties, s.parent_buildid, p.buildrequestid AS parent_request
             FROM build_requests r JOIN buildsets s ON s.id = r.buildsetid LEFT JOIN builds p ON p.id = s.parent_buildid
             WHERE r.builderid = (SELECT id FROM builders WHERE name = $1)
                 AND r.claimed_at IS NULL AND r.complete_at IS NULL ",
            $rest
        )
    };
}

pub(super) use queue;

// Two questions, since SQLite seeks an index by one column that is compared, not by a pair of them.
/// The rest of a priority, after some request.
pub(super) const QUEUE_SAME: &str = queue!("AND r.urgency = $2 AND r.id > $4 ORDER BY r.id LIMIT $3");
/// All lower priorities.
pub(super) const QUEUE_LOWER: &str = queue!("AND r.urgency > $2 ORDER BY r.urgency, r.id LIMIT $3");
/// The same of those that are older than another request, and that nobody waits for.
pub(super) const OLDER_SAME: &str =
    queue!("AND r.urgency = $2 AND r.id > $4 AND r.id < $5 AND r.waited_for = 0 ORDER BY r.id LIMIT $3");
pub(super) const OLDER_LOWER: &str =
    queue!("AND r.urgency > $2 AND r.id < $4 AND r.waited_for = 0 ORDER BY r.urgency, r.id LIMIT $3");

/// A request that waits, from a row of such a question.
pub(super) fn queued(row: &Row, builder: BuilderName) -> Result<QueuedRequest, sqlx::Error> {
    Ok(QueuedRequest {
        id: BuildRequestId(row.integer("id")?),
        buildset: BuildsetId(row.integer("buildsetid")?),
        builder,
        priority: i32::try_from(row.integer("priority")?).unwrap_or(i32::MAX),
        submitted_at: row.instant("submitted_at")?,
        waiting_since: row.instant("waiting_since")?,
        attempts: u32::try_from(row.integer("attempts")?).unwrap_or(u32::MAX),
        reason: row.text("reason")?,
        properties: row.json("properties")?,
        not_before: row.maybe_instant("not_before")?,
        avoid: row.maybe_text("avoid_worker")?.and_then(|name| WorkerName::new(&name).ok()),
        parent: child::parent(row)?,
    })
}

pub(super) async fn add(
    work: &mut Work,
    new: NewBuildset,
    at: Timestamp,
) -> Result<AddedBuildset, JobError<StoreError>> {
    let deed = "add a buildset";
    let scheduler = match &new.scheduler {
        None => None,
        Some(name) => {
            let row = work.row("SELECT id FROM schedulers WHERE name = $1", args![name.as_str()]).await?;
            let row = row.ok_or_else(|| JobError::unknown(deed, "scheduler", name))?;
            Some(row.integer("id")?)
        }
    };
    let mut builders: Vec<BuilderName> = Vec::with_capacity(new.builders.len());
    for name in new.builders {
        if !builders.contains(&name) {
            builders.push(name);
        }
    }
    let properties = serde_json::to_string(&new.properties).expect("properties are JSON");
    let open = i64::try_from(builders.len()).expect("a list fits into memory");
    let sql = format!(
        "INSERT INTO buildsets (schedulerid, reason, properties, submitted_at, open_requests, parent_buildid,
             parent_relationship)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING {}",
        BuildsetRow::TABLE.columns
    );
    let waited_for = new.parent.as_ref().filter(|parent| parent.waits).map(|parent| parent.build);
    let (parent, relationship) =
        new.parent.map(|parent| (parent.build.0, clean(parent.relationship))).unzip();
    let args = args![scheduler, clean(new.reason), properties, at, open, parent, relationship];
    let row = work.one(AssertSqlSafe(sql), args).await?;
    let buildset = BuildsetRow::read(&row, work.master)?;
    let id = buildset.bsid;
    work.tell(EventKind::BuildsetAdded, id.0, at, &buildset);

    // In the order asked for: a key tells the age.
    let listed = work.dialect().rows(1, &[Kind::Integer, Kind::Text]);
    let sql = format!(
        "INSERT INTO build_requests (buildsetid, builderid, urgency, submitted_at, waiting_since, collapse_key, waited_for)
         SELECT $2, b.id, $3, $4, $4, $5, $6 FROM {listed} AS r JOIN builders b ON b.name = r.c1 WHERE b.configured = 1 ORDER BY r.c0
         RETURNING {}, (SELECT name FROM builders WHERE builders.id = builderid) AS builder",
        BuildRequestRow::TABLE.columns
    );
    let names = json(builders.iter().enumerate().map(|(i, name)| (i, name.as_str())));
    let (urgency, key) = (-i64::from(new.priority), collapse::key(&new.properties));
    let args = args![names, id.0, urgency, at, key.as_str(), i64::from(waited_for.is_some())];
    let rows = work.rows(AssertSqlSafe(sql), args).await?;
    let mut requests = Vec::with_capacity(rows.len());
    for row in rows {
        let request = BuildRequestRow::read(&row, work.master)?;
        requests.push((row.parsed::<BuilderName>("builder")?, request));
    }
    requests.sort_by_key(|(_, request)| request.buildrequestid);
    if let Some(name) = builders.iter().find(|name| !requests.iter().any(|(builder, _)| builder == *name)) {
        return Err(JobError::unknown(deed, "configured builder", name));
    }
    for (_, request) in &requests {
        work.tell(EventKind::BuildRequestAdded, request.buildrequestid.0, at, request);
    }
    let collapsing = requests.iter().filter(|(name, _)| new.collapse.contains(name));
    let collapsing: Vec<_> = collapsing.map(|(_, row)| (row.builderid, row.buildrequestid)).collect();
    collapse::give_way(work, &collapsing, &key, urgency, at).await?;
    let requests = requests.into_iter().map(|(name, request)| (name, request.buildrequestid)).collect();
    if builders.is_empty() {
        // Nothing was wanted, so nothing is missing.
        complete_buildset(work, id, Outcome::Success, at).await?;
    }
    if let Some(parent) = waited_for {
        child::cancel_orphans(work, Orphans::Of(parent), at).await?;
    }
    Ok(AddedBuildset { id, requests })
}

/// Gives a waiting request its outcome, for a reason that no build tells; false if it waits no more.
pub(super) async fn complete_waiting(
    work: &mut Work,
    request: BuildRequestId,
    outcome: Outcome,
    because: Option<String>,
    at: Timestamp,
) -> Result<bool, JobError<StoreError>> {
    let sql =
        "SELECT 1 AS here FROM build_requests WHERE id = $1 AND claimed_at IS NULL AND complete_at IS NULL";
    let waits = work.row(sql, args![request.0]).await?.is_some();
    if waits {
        complete(work, request, outcome, because.as_deref(), at).await?;
    }
    Ok(waits)
}

/// Gives a request its outcome; and its buildset, if it was the last one.
pub(super) async fn complete(
    work: &mut Work,
    request: BuildRequestId,
    outcome: Outcome,
    because: Option<&str>,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    let sql = format!(
        "UPDATE build_requests SET complete_at = $1, results = $2, ended_because = $3 WHERE id = $4 RETURNING {}",
        BuildRequestRow::TABLE.columns
    );
    let row = work.one(AssertSqlSafe(sql), args![at, outcome, because, request.0]).await?;
    let row = BuildRequestRow::read(&row, work.master)?;
    settle(work, &row, outcome, at).await
}

/// Tells that a request has its outcome, and gives one to its buildset if it was the last one.
pub(super) async fn settle(
    work: &mut Work,
    row: &BuildRequestRow,
    outcome: Outcome,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    work.tell(EventKind::BuildRequestComplete, row.buildrequestid.0, at, row);
    let sql =
        "UPDATE buildsets SET open_requests = open_requests - 1 WHERE id = $1 RETURNING open_requests, worst";
    let buildset = work.one(sql, args![row.buildsetid.0]).await?;
    let worst = buildset.maybe_outcome("worst")?.map_or(outcome, |worst| worst.worst(outcome));
    if buildset.integer("open_requests")? > 0 {
        let sql = "UPDATE buildsets SET worst = $1 WHERE id = $2";
        work.execute(sql, args![worst, row.buildsetid.0]).await?;
        return Ok(());
    }
    complete_buildset(work, row.buildsetid, worst, at).await
}

async fn complete_buildset(
    work: &mut Work,
    id: BuildsetId,
    outcome: Outcome,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    let sql = format!(
        "UPDATE buildsets SET worst = $1, results = $1, complete_at = $2 WHERE id = $3 RETURNING {}",
        BuildsetRow::TABLE.columns
    );
    let row = work.one(AssertSqlSafe(sql), args![outcome, at, id.0]).await?;
    let row = BuildsetRow::read(&row, work.master)?;
    work.tell(EventKind::BuildsetComplete, id.0, at, &row);
    Ok(())
}

/// Puts a claimed request back into the queue.
pub(super) async fn requeue(
    work: &mut Work,
    request: BuildRequestId,
    not_before: Option<Timestamp>,
    counted: bool,
    worker: i64,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    let sql = format!(
        "UPDATE build_requests SET claimed_at = NULL, claimed_by = NULL, attempts = attempts + $1, not_before = $2,
             waiting_since = $3, avoid_worker = CASE WHEN $1 = 1 THEN (SELECT name FROM workers WHERE id = $5) ELSE avoid_worker END
         WHERE id = $4 RETURNING {}",
        BuildRequestRow::TABLE.columns
    );
    let args = args![i64::from(counted), not_before, at, request.0, worker];
    let row = work.one(AssertSqlSafe(sql), args).await?;
    let row = BuildRequestRow::read(&row, work.master)?;
    work.tell(EventKind::BuildRequestUnclaimed, request.0, at, &row);
    if row.waited_for {
        child::cancel_orphans(work, Orphans::One(request), at).await?;
    }
    Ok(())
}

/// Takes a request out of the queue for a build; nothing if it is not there.
pub(super) async fn claim(
    work: &mut Work,
    request: BuildRequestId,
    master: MasterId,
    at: Timestamp,
) -> Result<Option<BuildRequestRow>, sqlx::Error> {
    let sql = format!(
        "UPDATE build_requests SET claimed_at = $1, claimed_by = $2
         WHERE id = $3 AND claimed_at IS NULL AND complete_at IS NULL RETURNING {}",
        BuildRequestRow::TABLE.columns
    );
    let Some(row) = work.row(AssertSqlSafe(sql), args![at, master.0, request.0]).await? else {
        return Ok(None);
    };
    let row = BuildRequestRow::read(&row, master)?;
    work.tell(EventKind::BuildRequestClaimed, request.0, at, &row);
    Ok(Some(row))
}
