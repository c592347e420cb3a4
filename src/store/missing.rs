//! Workers that are missing, and those that are back: what is known of them, and that it was told.
//!
//! A loss is told if its worker's `missing_reported_at` is no earlier than the instant at which the worker went away. So a
//! restart of the master tells nothing again, and a worker that comes back and goes away again is told again.
//!
//! # Laws
//! - That a loss is told is written together with the letters that tell it, for all workers of a report or for none.
//! - A loss is told once, and so is the return from it.
//! - A report is a few statements, however many workers it is about.
//!
//! # Not here
//! When an absence is worth a letter and to whom (`reporter`), and how letters are kept (`outbox`).

use std::collections::BTreeSet;

use serde::Serialize;
use sqlx::AssertSqlSafe;

use crate::{
    model::{BuildId, BuilderName, EventKind, Timestamp, WorkerId, WorkerInfo, WorkerName},
    store::{
        NewLetter, Store,
        connection::{Arg, Dialect, Kind, Row, args},
        error::{JobError, StoreError, failed},
        generation::json,
        job::Work,
        outbox,
        query::MOST_ROWS,
    },
};

/// How the state of a build begins that was lost with its worker.
pub const LINK_LOST: &str = "the link to worker ";

/// How much earlier than the loss of its worker a build may have noticed it, in microseconds.
const NOTICED_BEFORE: i64 = 60_000_000;

/// A worker that is configured and not connected.
#[derive(Clone, Debug, PartialEq)]
pub struct AbsentWorker {
    /// Its name.
    pub name: WorkerName,
    /// Since when it is away, or waited for if it never came.
    pub absent_since: Timestamp,
    /// When it last attached; nothing if it never did.
    pub last_connection: Option<Timestamp>,
    /// When it was last told to be missing: of this absence if it is not before `absent_since`.
    pub reported_at: Option<Timestamp>,
    /// What it last said of itself.
    pub info: WorkerInfo,
}

impl AbsentWorker {
    /// Whether this absence is told.
    pub fn is_reported(&self) -> bool {
        self.reported_at.is_some_and(|reported| reported >= self.absent_since)
    }
}

/// A worker that is connected, and was told to be missing before.
#[derive(Clone, Debug, PartialEq)]
pub struct ReturnedWorker {
    /// Its name.
    pub name: WorkerName,
    /// Since when it is connected.
    pub last_connection: Option<Timestamp>,
    /// When it was told to be missing.
    pub reported_at: Timestamp,
    /// What it says of itself.
    pub info: WorkerInfo,
}

/// A build that was lost with its worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostBuild {
    /// On which worker.
    pub worker: WorkerName,
    /// Of which builder.
    pub builder: BuilderName,
    /// Its number among the builds of its builder.
    pub number: i64,
    /// Its key.
    pub build: BuildId,
}

/// What an event says of a worker that is missing or back.
#[derive(Serialize)]
struct Told {
    workerid: WorkerId,
    name: WorkerName,
    absent_since: Option<i64>,
    last_connection: Option<i64>,
    missing_reported_at: Option<i64>,
}

/// Why a report is not written.
enum Unwritten {
    /// A worker is not as the report says.
    Otherwise,
    Store(StoreError),
}

impl From<StoreError> for Unwritten {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Store {
    /// The workers that are configured and not connected, by name; those too whose absence is told.
    pub async fn absent_workers(&self) -> Result<Vec<AbsentWorker>, StoreError> {
        let deed = "find the absent workers";
        let rows = self.pool.rows(ABSENT, args![]).await.map_err(|error| failed(deed, error))?;
        let read = |row: &Row| {
            Ok(AbsentWorker {
                name: row.parsed("name")?,
                absent_since: row.instant("absent_since_at")?,
                last_connection: row.maybe_instant("last_connection_at")?,
                reported_at: row.maybe_instant("missing_reported_at")?,
                info: row.json("info")?,
            })
        };
        let absent = rows.iter().map(read).collect::<Result<Vec<_>, _>>();
        let mut absent = absent.map_err(|error| failed(deed, error))?;
        absent.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(absent)
    }

    /// The workers that were told to be missing and are connected, by name.
    pub async fn returned_workers(&self) -> Result<Vec<ReturnedWorker>, StoreError> {
        let deed = "find the workers that are back";
        let rows = self.pool.rows(RETURNED, args![]).await.map_err(|error| failed(deed, error))?;
        let read = |row: &Row| {
            Ok(ReturnedWorker {
                name: row.parsed("name")?,
                last_connection: row.maybe_instant("last_connection_at")?,
                reported_at: row.instant("missing_reported_at")?,
                info: row.json("info")?,
            })
        };
        let returned = rows.iter().map(read).collect::<Result<Vec<_>, _>>();
        let mut returned = returned.map_err(|error| failed(deed, error))?;
        returned.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(returned)
    }

    /// The builds that were lost when these workers went away, each with the instant at which it did; by worker, the oldest
    /// first. At most `limit`, and never more than 10,000.
    pub async fn lost_builds(
        &self,
        losses: &[(WorkerName, Timestamp)],
        limit: u32,
    ) -> Result<Vec<LostBuild>, StoreError> {
        let deed = "find the builds that were lost with workers";
        let earliest = |since: &Timestamp| since.as_microsecond() - NOTICED_BEFORE;
        let losses = json(losses.iter().map(|(worker, since)| (worker.as_str(), earliest(since))));
        let args = args![losses, limit.min(MOST_ROWS)];
        let rows = self.pool.rows(AssertSqlSafe(lost(self.pool.dialect())), args).await;
        let rows = rows.map_err(|error| failed(deed, error))?;
        let read = |row: &Row| {
            Ok(LostBuild {
                worker: row.parsed("worker")?,
                builder: row.parsed("builder")?,
                number: row.integer("number")?,
                build: BuildId(row.integer("id")?),
            })
        };
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| failed(deed, error))
    }

    /// Tells that these workers are missing, each with the instant since which it is absent, by these letters. False, and
    /// nothing is written, if one of them is connected, absent since another instant, no longer configured, or told before.
    pub async fn report_missing(
        &self,
        workers: Vec<(WorkerName, Timestamp)>,
        letters: Vec<NewLetter>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let workers: BTreeSet<_> =
            workers.iter().map(|(worker, since)| (worker.as_str(), since.as_microsecond())).collect();
        let (count, rows) = (workers.len(), json(workers.iter()));
        let kind = EventKind::WorkerMissing;
        self.report("tell of missing workers", missing, args![at, rows], count, kind, letters, at).await
    }

    /// Tells that these workers are back, by these letters. False, and nothing is written, if one of them is not connected,
    /// no longer configured, or was not told to be missing.
    pub async fn report_returned(
        &self,
        workers: Vec<WorkerName>,
        letters: Vec<NewLetter>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let workers: BTreeSet<_> = workers.iter().map(|worker| (worker.as_str(),)).collect();
        let (count, rows) = (workers.len(), json(workers.iter()));
        let kind = EventKind::WorkerReturned;
        self.report("tell of workers that are back", back, args![rows], count, kind, letters, at).await
    }

    /// Changes so many workers, tells each, and writes the letters; or nothing at all.
    #[expect(clippy::too_many_arguments, reason = "the two reports differ in all of these")]
    async fn report(
        &self,
        deed: &'static str,
        update: fn(Dialect) -> String,
        args: Vec<Arg>,
        count: usize,
        kind: EventKind,
        letters: Vec<NewLetter>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let written = self.write(deed, move |work| {
            Box::pin(async move {
                let told = if count > 0 { told(work, update, args, kind, at).await? } else { 0 };
                // All that was changed is taken back.
                if told != count {
                    return Err(JobError::Refused(Unwritten::Otherwise));
                }
                outbox::add(work, &letters, at).await?;
                Ok(())
            })
        });
        match written.await {
            Ok(()) => Ok(true),
            Err(Unwritten::Otherwise) => Ok(false),
            Err(Unwritten::Store(error)) => Err(error),
        }
    }
}

// Sorted by the one who asks: for their order, SQLite would walk all workers by name.
pub(super) const ABSENT: &str =
    "SELECT name, absent_since_at, last_connection_at, missing_reported_at, info FROM workers
     WHERE configured = 1 AND connected_to IS NULL AND absent_since_at IS NOT NULL";

// With the sign, SQLite does not walk all that are connected.
pub(super) const RETURNED: &str = "SELECT name, last_connection_at, missing_reported_at, info FROM workers
     WHERE missing_reported_at IS NOT NULL AND configured = 1 AND +connected_to IS NOT NULL";

pub(super) fn lost(dialect: Dialect) -> String {
    // The order of the tables: each worker that is asked for, then its few builds since then.
    format!(
        "SELECT w.name AS worker, n.name AS builder, b.number, b.id
         FROM {} AS r CROSS JOIN workers w CROSS JOIN builds b CROSS JOIN builders n
         WHERE w.name = r.c0 AND b.workerid = w.id AND b.complete_at >= r.c1 AND b.results IN (4, 5)
             AND substr(b.state_string, 1, {}) = '{LINK_LOST}' AND n.id = b.builderid
         ORDER BY w.name, b.id LIMIT $2",
        dialect.rows(1, &[Kind::Text, Kind::Integer]),
        LINK_LOST.len(),
    )
}

/// Notes that workers are told to be missing. A clock that was set back must not have them told again.
pub(super) fn missing(dialect: Dialect) -> String {
    format!(
        "UPDATE workers SET missing_reported_at = CASE WHEN absent_since_at > $1 THEN absent_since_at ELSE $1 END
         FROM {} AS r WHERE workers.name = r.c0 AND absent_since_at = r.c1 AND configured = 1 AND connected_to IS NULL
             AND (missing_reported_at IS NULL OR missing_reported_at < absent_since_at) RETURNING {COLUMNS}",
        dialect.rows(2, &[Kind::Text, Kind::Integer]),
    )
}

/// Notes that workers are told to be back.
pub(super) fn back(dialect: Dialect) -> String {
    format!(
        "UPDATE workers SET missing_reported_at = NULL FROM {} AS r
         WHERE workers.name = r.c0 AND configured = 1 AND connected_to IS NOT NULL AND missing_reported_at IS NOT NULL
         RETURNING {COLUMNS}",
        dialect.rows(1, &[Kind::Text]),
    )
}

const COLUMNS: &str = "id, name, absent_since_at, last_connection_at, missing_reported_at";

/// Changes workers and tells each; how many.
async fn told(
    work: &mut Work,
    update: fn(Dialect) -> String,
    args: Vec<Arg>,
    kind: EventKind,
    at: Timestamp,
) -> Result<usize, sqlx::Error> {
    let rows = work.rows(AssertSqlSafe(update(work.dialect())), args).await?;
    let seconds =
        |row: &Row, column| Ok::<_, sqlx::Error>(row.maybe_instant(column)?.map(Timestamp::as_second));
    for row in &rows {
        let told = Told {
            workerid: WorkerId(row.integer("id")?),
            name: row.parsed("name")?,
            absent_since: seconds(row, "absent_since_at")?,
            last_connection: seconds(row, "last_connection_at")?,
            missing_reported_at: seconds(row, "missing_reported_at")?,
        };
        work.tell(kind, told.workerid.0, at, &told);
    }
    Ok(rows.len())
}
