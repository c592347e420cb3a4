//! What is written of locks: that a step waits for its own, and since when it has them; and who their owners are to people.
//!
//! # Not here
//! Who holds what: that is the master's memory alone (`build::lock`).

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;

use crate::{
    model::{BuildId, BuildRequestId, BuilderName, EventKind, StepId, Timestamp},
    store::{
        Store,
        connection::{Kind, Row, args},
        error::{JobError, StoreError, failed},
        generation::json,
        row::{ApiRow, StepRow},
    },
};

/// Who holds a lock or waits for it, as people know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockOwner {
    /// Of which builder.
    pub builder: BuilderName,
    /// The build that runs, with its number; nothing while the request waits.
    pub build: Option<(BuildId, i64)>,
    /// The step of the build that runs, if one does.
    pub step: Option<(StepId, String)>,
}

impl Store {
    /// Writes down that a step waits for its locks, in words for people.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] if there is no such step, or if it has ended.
    pub async fn await_locks(&self, step: StepId, state: &str) -> Result<(), StoreError> {
        self.set_lock_state(step, state, None).await
    }

    /// Writes down that a step that had to wait has its locks now.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] if there is no such step, or if it has ended.
    pub async fn locks_acquired(&self, step: StepId, state: &str, at: Timestamp) -> Result<(), StoreError> {
        self.set_lock_state(step, state, Some(at)).await
    }

    async fn set_lock_state(
        &self,
        step: StepId,
        state: &str,
        acquired_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let deed = "note the locks of a step";
        let state = state.to_owned();
        self.write(deed, move |work| {
            Box::pin(async move {
                let sql = format!(
                    "UPDATE steps SET state_string = $1, locks_acquired_at = $2 WHERE id = $3 AND complete_at IS NULL RETURNING {}",
                    StepRow::TABLE.columns
                );
                let row = work.row(AssertSqlSafe(sql), args![state, acquired_at, step.0]).await?;
                let row = row.ok_or_else(|| JobError::unknown(deed, "running step", &step))?;
                let row = StepRow::read(&row, work.master)?;
                work.tell(EventKind::StepUpdated, step.0, Timestamp::now(), &row);
                Ok(())
            })
        })
        .await
    }

    /// Who these requests are; those that are not known are left out.
    pub async fn lock_owners(
        &self,
        requests: impl IntoIterator<Item = BuildRequestId> + Send,
    ) -> Result<BTreeMap<BuildRequestId, LockOwner>, StoreError> {
        let deed = "find the owners of locks";
        let ids = json(requests.into_iter().map(|request| (request.0,)));
        let listed = self.pool.dialect().rows(1, &[Kind::Integer]);
        let sql = format!(
            "SELECT r.id, n.name AS builder, b.id AS buildid, b.number, t.id AS stepid, t.name AS step
             FROM build_requests r JOIN builders n ON n.id = r.builderid
                 LEFT JOIN builds b ON b.buildrequestid = r.id AND b.complete_at IS NULL
                 LEFT JOIN steps t ON t.buildid = b.id AND t.complete_at IS NULL
             WHERE r.id IN (SELECT c0 FROM {listed} AS x)"
        );
        let rows =
            self.pool.rows(AssertSqlSafe(sql), args![ids]).await.map_err(|error| failed(deed, error))?;
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| failed(deed, error))
    }
}

fn read(row: &Row) -> Result<(BuildRequestId, LockOwner), sqlx::Error> {
    let build = match row.maybe_integer("buildid")? {
        Some(id) => Some((BuildId(id), row.integer("number")?)),
        None => None,
    };
    let step = match row.maybe_integer("stepid")? {
        Some(id) => Some((StepId(id), row.text("step")?)),
        None => None,
    };
    let owner = LockOwner { builder: row.parsed("builder")?, build, step };
    Ok((BuildRequestId(row.integer("id")?), owner))
}
