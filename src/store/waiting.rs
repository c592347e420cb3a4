//! Requests that wait: which may begin, which begin later, which have waited too long.
//!
//! # Laws
//! - No question reads more of a queue than it gives back, whatever its length.

use std::time::Duration;

use crate::{
    model::{BuildRequestId, BuilderName, Outcome, Timestamp},
    store::{
        Store,
        connection::{Row, args},
        error::{JobError, StoreError, failed},
        request::{self, QueueMark, QueuedRequest, queue},
    },
};

/// Children of builds that wait, read at once.
const MOST_CHILDREN: u32 = 10_000;

/// Requests that are given up in one transaction.
const MOST_EXPIRED: u32 = 1000;

/// How far a count of those before a request goes.
const MOST_COUNTED: u32 = 1000;

impl Store {
    /// As [`Store::queued_requests`], but only those that need not wait any more at this instant.
    pub async fn due_requests(
        &self,
        builder: &BuilderName,
        at: Timestamp,
        after: Option<QueueMark>,
        limit: u32,
    ) -> Result<Vec<QueuedRequest>, StoreError> {
        self.queue_page((DUE_SAME, DUE_LOWER), builder, after, limit, Some(at.into())).await
    }

    /// The next request that begins to be due after this instant: when, and of which builder.
    pub async fn next_due(&self, at: Timestamp) -> Result<Option<(BuilderName, Timestamp)>, StoreError> {
        let deed = "find the next request that is due";
        let row = self.pool.row(NEXT_DUE, args![at]).await.map_err(|error| failed(deed, error))?;
        let read = |row: Row| Ok((row.parsed("builder")?, row.instant("not_before")?));
        row.map(read).transpose().map_err(|error| failed(deed, error))
    }

    /// The requests that wait and for which builds of these requests wait, the most urgent first.
    pub async fn waiting_children(
        &self,
        parents: &[BuildRequestId],
    ) -> Result<Vec<QueuedRequest>, StoreError> {
        let deed = "find the requests for which builds wait";
        let mut found = Vec::new();
        for parent in parents {
            let rows = self.pool.rows(CHILDREN, args![parent.0, MOST_CHILDREN]).await;
            for row in rows.map_err(|error| failed(deed, error))? {
                let builder = row.parsed("builder").map_err(|error| failed(deed, error))?;
                found.push(request::queued(&row, builder).map_err(|error| failed(deed, error))?);
            }
        }
        Ok(found)
    }

    /// A request that waits; nothing if it is claimed or complete, or if there is none.
    pub async fn waiting_request(&self, id: BuildRequestId) -> Result<Option<QueuedRequest>, StoreError> {
        let deed = "find a waiting request";
        let row = self.pool.row(ONE, args![id.0]).await.map_err(|error| failed(deed, error))?;
        let read = |row: Row| {
            let builder = row.parsed("builder")?;
            request::queued(&row, builder)
        };
        row.map(read).transpose().map_err(|error| failed(deed, error))
    }

    /// How many requests of its builder come before this one; true if there may be more.
    pub async fn requests_before(&self, request: &QueuedRequest) -> Result<(u64, bool), StoreError> {
        let deed = "count the requests before another";
        let args = args![request.builder.as_str(), -i64::from(request.priority), request.id.0, MOST_COUNTED];
        let row = self.pool.row(BEFORE, args).await.map_err(|error| failed(deed, error))?;
        let count = row.map_or(Ok(0), |row| row.integer("count")).map_err(|error| failed(deed, error))?;
        let count = u64::try_from(count).unwrap_or(0);
        Ok((count, count >= u64::from(MOST_COUNTED)))
    }

    /// Since when the request of a builder waits that waits for the longest time.
    pub async fn longest_waiting(&self, builder: &BuilderName) -> Result<Option<Timestamp>, StoreError> {
        let deed = "find the request that waits longest";
        let row =
            self.pool.row(LONGEST, args![builder.as_str()]).await.map_err(|error| failed(deed, error))?;
        row.map(|row| row.instant("waiting_since")).transpose().map_err(|error| failed(deed, error))
    }

    /// Gives up the requests of a builder that have waited for this long: they end as exceptions. At most a thousand; they
    /// are returned.
    pub async fn give_up_waiting(
        &self,
        builder: &BuilderName,
        patience: Duration,
        at: Timestamp,
    ) -> Result<Vec<BuildRequestId>, StoreError> {
        let builder = builder.clone();
        self.write("give up requests that waited too long", move |work| {
            Box::pin(async move {
                let rows = work.rows(TOO_LONG, args![builder.as_str(), at - patience, MOST_EXPIRED]).await?;
                let because =
                    format!("no worker took it within its `queue_timeout` of {} s", patience.as_secs());
                let mut gone = Vec::with_capacity(rows.len());
                for row in rows {
                    let id = BuildRequestId(row.integer("id")?);
                    request::complete(work, id, Outcome::Exception, Some(&because), at).await?;
                    gone.push(id);
                }
                Ok::<_, JobError<StoreError>>(gone)
            })
        })
        .await
    }
}

pub(super) const DUE_SAME: &str = queue!(
    "AND r.urgency = $2 AND r.id > $4 AND (r.not_before IS NULL OR r.not_before <= $5) ORDER BY r.id LIMIT $3"
);
pub(super) const DUE_LOWER: &str = queue!(
    "AND r.urgency > $2 AND (r.not_before IS NULL OR r.not_before <= $4) ORDER BY r.urgency, r.id LIMIT $3"
);

pub(super) const NEXT_DUE: &str = "SELECT b.name AS builder, r.not_before
     FROM build_requests r JOIN builders b ON b.id = r.builderid
     WHERE r.claimed_at IS NULL AND r.complete_at IS NULL AND r.not_before > $1 ORDER BY r.not_before LIMIT 1";

pub(super) const LONGEST: &str = "SELECT waiting_since FROM build_requests
     WHERE builderid = (SELECT id FROM builders WHERE name = $1) AND claimed_at IS NULL AND complete_at IS NULL
     ORDER BY waiting_since LIMIT 1";

pub(super) const TOO_LONG: &str = "SELECT id FROM build_requests
     WHERE builderid = (SELECT id FROM builders WHERE name = $1) AND claimed_at IS NULL AND complete_at IS NULL
         AND waiting_since <= $2 ORDER BY waiting_since LIMIT $3";

pub(super) const BEFORE: &str = "SELECT COUNT(*) AS count FROM (SELECT 1 AS one FROM build_requests
     WHERE builderid = (SELECT id FROM builders WHERE name = $1) AND claimed_at IS NULL AND complete_at IS NULL
         AND (urgency < $2 OR (urgency = $2 AND id < $3)) LIMIT $4) AS them";

const CHILDREN: &str = "SELECT r.id, r.buildsetid, -r.urgency AS priority, r.submitted_at, r.waiting_since, r.attempts, r.not_before,
         r.waited_for, r.avoid_worker, s.reason, s.properties, s.parent_buildid, p.buildrequestid AS parent_request, n.name AS builder
     FROM builds p JOIN buildsets s ON s.parent_buildid = p.id JOIN build_requests r ON r.buildsetid = s.id
         JOIN builders n ON n.id = r.builderid
     WHERE p.buildrequestid = $1 AND p.complete_at IS NULL
         AND r.claimed_at IS NULL AND r.complete_at IS NULL AND r.waited_for = 1
     ORDER BY r.urgency, r.id LIMIT $2";

const ONE: &str = "SELECT r.id, r.buildsetid, -r.urgency AS priority, r.submitted_at, r.waiting_since, r.attempts, r.not_before,
         r.waited_for, r.avoid_worker, s.reason, s.properties, s.parent_buildid, p.buildrequestid AS parent_request, n.name AS builder
     FROM build_requests r JOIN buildsets s ON s.id = r.buildsetid LEFT JOIN builds p ON p.id = s.parent_buildid
         JOIN builders n ON n.id = r.builderid
     WHERE r.id = $1 AND r.claimed_at IS NULL AND r.complete_at IS NULL";
