//! Builds that other builds asked for: followed by their parents, and not left behind by them.
//!
//! # Laws
//! - No request that its parent waits for is in the queue once the parent has ended: it is cancelled in the transaction in
//!   which the parent ends, or in which it would come into the queue.
//!
//! # Not here
//! How such builds are asked for (`request`), and how those that run are stopped (`build`).

use std::collections::{BTreeMap, btree_map::Entry};

use sqlx::AssertSqlSafe;

use crate::{
    model::{BuildId, BuildRequestId, BuilderId, BuilderName, BuildsetId, Outcome, StepId, Timestamp},
    store::{
        Store,
        connection::{Arg, Dialect, Kind, Row, args},
        error::{JobError, StoreError, failed},
        generation::json,
        job::Work,
        request,
        row::{ApiRow, BuildRequestRow},
    },
};

/// The build that asks for a buildset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Which.
    pub build: BuildId,
    /// Whether it waits for the builds.
    pub waits: bool,
    /// What it is to them, for people: `Triggered from`.
    pub relationship: String,
}

/// The build that asked for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParentBuild {
    /// Which.
    pub build: BuildId,
    /// For which request that one runs.
    pub request: BuildRequestId,
    /// Whether it waits for the build of this request.
    pub waits: bool,
}

/// A request that a build asked for, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its key.
    pub request: BuildRequestId,
    /// The buildset that it belongs to.
    pub buildset: BuildsetId,
    /// The builder that is wanted.
    pub builder: BuilderName,
    /// The key of that.
    pub builder_id: BuilderId,
    /// Its outcome, once it is complete.
    pub outcome: Option<Outcome>,
    /// Its builds, the first one first.
    pub builds: Vec<ChildBuild>,
}

/// A build of a request that a build asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildBuild {
    /// Its key.
    pub id: BuildId,
    /// Its number among the builds of its builder.
    pub number: i64,
    /// Its outcome, once it has ended.
    pub outcome: Option<Outcome>,
}

impl Store {
    /// The requests of some buildsets and their builds, in the order of the buildsets, then of age.
    pub async fn children(&self, buildsets: &[BuildsetId]) -> Result<Vec<Child>, StoreError> {
        let deed = "read the builds that a build asked for";
        let sql = children(self.pool.dialect());
        let wanted = json(buildsets.iter().enumerate().map(|(place, id)| (place, id.0)));
        let rows = self.pool.rows(AssertSqlSafe(sql), args![wanted]).await;
        gather(&rows.map_err(|error| failed(deed, error))?).map_err(|error| failed(deed, error))
    }

    /// Shows how a running step is: its line, unless that is to stay, and its addresses, each with a name for people.
    pub async fn show_step(
        &self,
        step: StepId,
        state: Option<String>,
        urls: &[(String, String)],
    ) -> Result<(), StoreError> {
        let deed = "show how a step is";
        let urls = urls.iter().map(|(name, url)| serde_json::json!({ "name": name, "url": url }));
        let urls = urls.collect::<serde_json::Value>().to_string();
        self.write(deed, move |work| {
            Box::pin(async move {
                let sql = "UPDATE steps SET urls = $1, state_string = COALESCE($2, state_string)
                     WHERE id = $3 AND complete_at IS NULL";
                match work.execute(sql, args![urls, state, step.0]).await? {
                    0 => Err(JobError::unknown(deed, "running step", &step)),
                    _ => Ok(()),
                }
            })
        })
        .await
    }
}

pub(super) fn children(dialect: Dialect) -> String {
    format!(
        "SELECT wanted.c0 AS place, r.id, r.buildsetid, r.builderid, n.name AS builder, r.results,
             b.id AS buildid, b.number, b.results AS outcome
         FROM {} AS wanted JOIN build_requests r ON r.buildsetid = wanted.c1 JOIN builders n ON n.id = r.builderid
             LEFT JOIN builds b ON b.buildrequestid = r.id",
        dialect.rows(1, &[Kind::Integer, Kind::Integer])
    )
}

/// Each request once, with all its builds.
fn gather(rows: &[Row]) -> Result<Vec<Child>, sqlx::Error> {
    let mut children: BTreeMap<(i64, BuildRequestId), Child> = BTreeMap::new();
    for row in rows {
        let request = BuildRequestId(row.integer("id")?);
        let child = match children.entry((row.integer("place")?, request)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Child {
                request,
                buildset: BuildsetId(row.integer("buildsetid")?),
                builder: row.parsed("builder")?,
                builder_id: BuilderId(row.integer("builderid")?),
                outcome: row.maybe_outcome("results")?,
                builds: Vec::new(),
            }),
        };
        if let Some(id) = row.maybe_integer("buildid")? {
            let (number, outcome) = (row.integer("number")?, row.maybe_outcome("outcome")?);
            child.builds.push(ChildBuild { id: BuildId(id), number, outcome });
        }
    }
    let mut children: Vec<Child> = children.into_values().collect();
    for child in &mut children {
        child.builds.sort_by_key(|build| build.id);
    }
    Ok(children)
}

/// The parent in a row that has `parent_buildid`, `parent_request` and `waited_for`.
pub(super) fn parent(row: &Row) -> Result<Option<ParentBuild>, sqlx::Error> {
    let found = (row.maybe_integer("parent_buildid")?, row.maybe_integer("parent_request")?);
    let (Some(build), Some(request)) = found else { return Ok(None) };
    let waits = row.flag("waited_for")?;
    Ok(Some(ParentBuild { build: BuildId(build), request: BuildRequestId(request), waits }))
}

/// Of which requests in the queue it is asked whether the build that waits for them has ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Orphans {
    /// Of all.
    All,
    /// Of those that this build asked for.
    Of(BuildId),
    /// Of this one.
    One(BuildRequestId),
}

impl Orphans {
    /// The statement that cancels them, and its last argument.
    pub(super) fn cancel(self) -> (String, Option<i64>) {
        const HAS_ENDED: &str = "EXISTS (SELECT 1 FROM buildsets s JOIN builds p ON p.id = s.parent_buildid
                 WHERE s.id = build_requests.buildsetid AND p.complete_at IS NOT NULL)";
        let (which, key) = match self {
            Self::All => (HAS_ENDED.to_owned(), None),
            // From the build to its buildsets: there are few, whatever else waits.
            Self::Of(build) => {
                let which = "buildsetid IN (SELECT id FROM buildsets WHERE parent_buildid = $3)
                 AND EXISTS (SELECT 1 FROM builds WHERE id = $3 AND complete_at IS NOT NULL)";
                (which.to_owned(), Some(build.0))
            }
            Self::One(request) => (format!("id = $3 AND {HAS_ENDED}"), Some(request.0)),
        };
        let sql = format!(
            "UPDATE build_requests SET complete_at = $1, results = $2
             WHERE waited_for = 1 AND claimed_at IS NULL AND complete_at IS NULL AND {which} RETURNING {}",
            BuildRequestRow::TABLE.columns
        );
        (sql, key)
    }
}

/// Cancels the requests in the queue that a build waited for which has ended; how many there were.
pub(super) async fn cancel_orphans(
    work: &mut Work,
    which: Orphans,
    at: Timestamp,
) -> Result<u64, sqlx::Error> {
    let (sql, key) = which.cancel();
    let mut args = args![at, Outcome::Cancelled];
    args.extend(key.map(Arg::from));
    let mut cancelled = 0;
    for row in work.rows(AssertSqlSafe(sql), args).await? {
        let row = BuildRequestRow::read(&row, work.master)?;
        request::settle(work, &row, Outcome::Cancelled, at).await?;
        cancelled += 1;
    }
    Ok(cancelled)
}
