//! Workers come and go, and what is said of them stays.

use std::collections::{BTreeMap, HashMap};

use sqlx::AssertSqlSafe;

use crate::{
    model::{
        BuilderId, EventKind, MasterId, Quarantine, QuarantineCause, Remark, Timestamp, WorkerId, WorkerInfo,
        WorkerName, WorkerRecord, WorkerWord,
    },
    store::{
        Store,
        connection::{Arg, Row, args, broken},
        error::{JobError, StoreError, failed},
        job::Work,
        row::{ApiRow, ConfiguredOn, WorkerRow},
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
                let sql = "UPDATE workers SET connected_to = $1, last_connection_at = $2, absent_since_at = NULL, info = $3 WHERE name = $4";
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
                let sql = "UPDATE workers SET connected_to = NULL, absent_since_at = $1 WHERE name = $2 AND connected_to = $3";
                let args = args![at, worker.as_str(), work.master.0];
                told(work, sql, args, EventKind::WorkerDetached, at).await?;
                Ok(())
            })
        })
        .await
    }

    /// Notes that a worker's link is gone after its program was told to stop: that wish is fulfilled with it.
    pub async fn worker_stopped(&self, worker: &WorkerName, at: Timestamp) -> Result<(), StoreError> {
        let worker = worker.clone();
        self.write("note that a worker stopped", move |work| {
            Box::pin(async move {
                let sql = "UPDATE workers SET connected_to = NULL, absent_since_at = $1, graceful = 0, graceful_reason = NULL, graceful_by = NULL, graceful_at = NULL WHERE name = $2 AND connected_to = $3";
                let args = args![at, worker.as_str(), work.master.0];
                told(work, sql, args, EventKind::WorkerDetached, at).await?;
                Ok(())
            })
        })
        .await
    }

    /// Notes what the operator says of a worker, in the place of what was said before.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] for one that was never configured.
    pub async fn set_worker_word(
        &self,
        worker: &WorkerName,
        word: &WorkerWord,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let deed = "note what is said of a worker";
        let (worker, word) = (worker.clone(), word.clone());
        self.write(deed, move |work| {
            Box::pin(async move {
                let sql = "UPDATE workers SET paused = $1, pause_reason = $2, paused_by = $3, paused_at = $4, graceful = $5, graceful_reason = $6, graceful_by = $7, graceful_at = $8 WHERE name = $9";
                let mut args = remark_args(word.paused.as_ref());
                args.extend(remark_args(word.stopping.as_ref()));
                args.push(worker.as_str().into());
                let row = told(work, sql, args, EventKind::WorkerStateChanged, at).await?;
                row.ok_or_else(|| JobError::unknown(deed, "worker", &worker))
            })
        })
        .await
    }

    /// Notes what a worker has against it, in the place of what it had before.
    ///
    /// # Errors
    /// As for [`Store::set_worker_word`].
    pub async fn set_worker_record(
        &self,
        worker: &WorkerName,
        record: &WorkerRecord,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let deed = "note what a worker has against it";
        let worker = worker.clone();
        let quarantine = record.quarantine.as_ref();
        let args = args![
            quarantine.map(|quarantine| quarantine.cause.word()),
            quarantine.and_then(|quarantine| quarantine.reason.as_deref()),
            quarantine.map(|quarantine| quarantine.since),
            quarantine.map(|quarantine| quarantine.until),
            serde_json::to_string(&record.strikes).expect("words and numbers are JSON"),
            worker.as_str(),
        ];
        self.write(deed, move |work| {
            Box::pin(async move {
                let sql = "UPDATE workers SET quarantine_cause = $1, quarantine_reason = $2, quarantined_at = $3, quarantined_until = $4, strikes = $5 WHERE name = $6";
                let row = told(work, sql, args, EventKind::WorkerStateChanged, at).await?;
                row.ok_or_else(|| JobError::unknown(deed, "worker", &worker))
            })
        })
        .await
    }

    /// What is said of the workers of which anything is, and what they have against them; those too that are no longer
    /// configured.
    pub async fn worker_words(&self) -> Result<HashMap<WorkerName, WorkerWord>, StoreError> {
        let deed = "read what is said of the workers";
        let sql = "SELECT name, paused, pause_reason, paused_by, paused_at, graceful, graceful_reason, graceful_by, graceful_at, quarantine_cause, quarantine_reason, quarantined_at, quarantined_until, strikes FROM workers WHERE paused = 1 OR graceful = 1 OR quarantine_cause IS NOT NULL OR strikes <> '{}'";
        let rows = self.pool.rows(sql, args![]).await.map_err(|error| failed(deed, error))?;
        let words = rows.iter().map(|row| {
            let word = WorkerWord {
                paused: remark(row, "paused", ["pause_reason", "paused_by", "paused_at"])?,
                stopping: remark(row, "graceful", ["graceful_reason", "graceful_by", "graceful_at"])?,
                record: record(row)?,
            };
            Ok((row.parsed("name")?, word))
        });
        words.collect::<Result<_, _>>().map_err(|error| failed(deed, error))
    }

    /// The name of a worker's key.
    pub async fn worker_name(&self, worker: WorkerId) -> Result<Option<WorkerName>, StoreError> {
        let deed = "find a worker";
        let row = self.pool.row("SELECT name FROM workers WHERE id = $1", args![worker.0]).await;
        let row = row.map_err(|error| failed(deed, error))?;
        row.map(|row| row.parsed("name")).transpose().map_err(|error| failed(deed, error))
    }
}

/// Flag, reason, by whom, when.
fn remark_args(remark: Option<&Remark>) -> Vec<Arg> {
    args![
        remark.is_some(),
        remark.and_then(|remark| remark.reason.as_deref()),
        remark.and_then(|remark| remark.by.as_deref()),
        remark.map(|remark| remark.at),
    ]
}

fn remark(row: &Row, flag: &str, columns: [&str; 3]) -> Result<Option<Remark>, sqlx::Error> {
    if !row.flag(flag)? {
        return Ok(None);
    }
    let [reason, by, at] = columns;
    let at = row.maybe_instant(at)?.unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(Some(Remark { reason: row.maybe_text(reason)?, by: row.maybe_text(by)?, at }))
}

/// What a worker has against it, as its row tells.
pub(super) fn record(row: &Row) -> Result<WorkerRecord, sqlx::Error> {
    let strikes: BTreeMap<QuarantineCause, u32> = row.json("strikes")?;
    let Some(cause) = row.maybe_text("quarantine_cause")? else {
        return Ok(WorkerRecord { strikes, quarantine: None });
    };
    let cause: QuarantineCause = cause.parse().map_err(|error| broken("quarantine_cause", error))?;
    let quarantine = Quarantine {
        cause,
        reason: row.maybe_text("quarantine_reason")?,
        strikes: strikes.get(&cause).copied().unwrap_or(1),
        since: row.instant("quarantined_at")?,
        until: row.instant("quarantined_until")?,
    };
    Ok(WorkerRecord { strikes, quarantine: Some(quarantine) })
}

/// Notes that no worker is attached: links do not outlive the process that has them.
pub(super) async fn detach_all(work: &mut Work, master: MasterId, at: Timestamp) -> Result<(), sqlx::Error> {
    let attached = work.rows("SELECT id FROM workers WHERE connected_to = $1", args![master.0]).await?;
    for row in attached {
        let sql = "UPDATE workers SET connected_to = NULL, absent_since_at = $1 WHERE id = $2";
        told(work, sql, args![at, row.integer("id")?], EventKind::WorkerDetached, at).await?;
    }
    Ok(())
}

/// Changes one worker and tells it; nothing if no row fits.
async fn told(
    work: &mut Work,
    update: &str,
    args: Vec<Arg>,
    kind: EventKind,
    at: Timestamp,
) -> Result<Option<()>, sqlx::Error> {
    // One question: with each attach there is one.
    let builders = work.dialect().list("builderid", "builder_workers WHERE workerid = workers.id");
    let sql = format!("{update} RETURNING {}, {builders} AS builders", WorkerRow::TABLE.columns);
    let Some(row) = work.row(AssertSqlSafe(sql), args).await? else { return Ok(None) };
    let mut worker = WorkerRow::read(&row, work.master)?;
    let builders: Vec<BuilderId> = row.json("builders")?;
    let masterid = work.master;
    worker.configured_on =
        builders.into_iter().map(|builderid| ConfiguredOn { masterid, builderid }).collect();
    work.tell(kind, worker.workerid.0, at, &worker);
    Ok(Some(()))
}
