//! Workers come and go.

use sqlx::AssertSqlSafe;

use crate::{
    model::{EventKind, MasterId, Timestamp, WorkerInfo, WorkerName},
    store::{
        Store,
        connection::{Arg, args},
        error::{JobError, StoreError},
        job::Work,
        read::CONFIGURED_ON,
        row::{ApiRow, WorkerRow},
    },
};

impl Store {
    /// Notes that a worker's link is up, and what it says of itself.
    pub async fn worker_attached(
        &self,
        worker: &WorkerName,
        info: &WorkerInfo,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let deed = "note that a worker attached";
        let worker = worker.clone();
        let info = serde_json::to_string(info).expect("what a worker says is JSON");
        self.write(deed, move |work| {
            Box::pin(async move {
                let sql = format!(
                    "UPDATE workers SET connected_to = $1, last_connection_at = $2, absent_since_at = NULL, info = $3 WHERE name = $4 RETURNING {}",
                    WorkerRow::TABLE.columns
                );
                let args = args![work.master.0, at, info, worker.as_str()];
                let row = told(work, sql, args, EventKind::WorkerAttached, at).await?;
                row.ok_or_else(|| JobError::unknown(deed, "worker", &worker))
            })
        })
        .await
    }

    /// Notes that a worker's link is gone. Nothing happens if it was not up.
    pub async fn worker_detached(&self, worker: &WorkerName, at: Timestamp) -> Result<(), StoreError> {
        let worker = worker.clone();
        self.write("note that a worker detached", move |work| {
            Box::pin(async move {
                let sql = format!(
                    "UPDATE workers SET connected_to = NULL, absent_since_at = $1 WHERE name = $2 AND connected_to = $3 RETURNING {}",
                    WorkerRow::TABLE.columns
                );
                let args = args![at, worker.as_str(), work.master.0];
                told(work, sql, args, EventKind::WorkerDetached, at).await?;
                Ok(())
            })
        })
        .await
    }
}

/// Notes that no worker is attached: links do not outlive the process that has them.
pub(super) async fn detach_all(work: &mut Work, master: MasterId, at: Timestamp) -> Result<(), sqlx::Error> {
    let attached = work.rows("SELECT id FROM workers WHERE connected_to = $1", args![master.0]).await?;
    for row in attached {
        let sql = format!(
            "UPDATE workers SET connected_to = NULL, absent_since_at = $1 WHERE id = $2 RETURNING {}",
            WorkerRow::TABLE.columns
        );
        told(work, sql, args![at, row.integer("id")?], EventKind::WorkerDetached, at).await?;
    }
    Ok(())
}

/// Changes one worker and tells it; nothing if no row fits.
async fn told(
    work: &mut Work,
    sql: String,
    args: Vec<Arg>,
    kind: EventKind,
    at: Timestamp,
) -> Result<Option<()>, sqlx::Error> {
    let Some(row) = work.row(AssertSqlSafe(sql), args).await? else { return Ok(None) };
    let mut worker = WorkerRow::read(&row, work.master)?;
    let sql = format!("{CONFIGURED_ON} = $1 ORDER BY builderid");
    for row in work.rows(AssertSqlSafe(sql), args![worker.workerid.0]).await? {
        worker.configured_on.push(super::read::configured_on(&row, work.master)?);
    }
    work.tell(kind, worker.workerid.0, at, &worker);
    Ok(Some(()))
}
