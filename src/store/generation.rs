//! A configuration comes into force: its rows are written in an open transaction, and seen by its commit.
//!
//! # Laws
//! - Only differences are written, in a fixed number of statements whatever the size of the configuration.
//! - A name that is gone keeps its row, marked as not configured: history stays readable.
//! - Until the commit nobody sees anything; dropped, it leaves nothing.

use serde::Serialize;
use sqlx::AssertSqlSafe;
use tokio::sync::oneshot;

use crate::{
    definition::MasterDefinition,
    model::{BuilderName, EventKind, SchedulerName, Timestamp, WorkerName},
    store::{
        Store,
        connection::{Dialect, Kind, args, clean},
        error::StoreError,
        job::Work,
        row::GenerationRow,
        writer::Order,
    },
};

/// What this file does, for errors.
pub(super) const DEED: &str = "write the configuration";

/// What the store keeps of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GenerationRows {
    /// Why it came into force: `file`, `start`.
    pub cause: String,
    /// All workers, each once.
    pub workers: Vec<WorkerName>,
    /// All builders, each once.
    pub builders: Vec<GenerationBuilder>,
    /// All schedulers, each once.
    pub schedulers: Vec<SchedulerName>,
}

/// What the store keeps of a builder's definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationBuilder {
    /// Its name.
    pub name: BuilderName,
    /// A sentence for people.
    pub description: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The workers that may run its builds.
    pub workers: Vec<WorkerName>,
}

impl From<&MasterDefinition> for GenerationRows {
    fn from(definition: &MasterDefinition) -> Self {
        Self {
            cause: String::new(),
            workers: definition.workers.keys().cloned().collect(),
            builders: definition
                .builders
                .values()
                .map(|builder| GenerationBuilder {
                    name: builder.name.clone(),
                    description: builder.description.clone(),
                    tags: builder.tags.clone(),
                    workers: builder.worker_names.clone(),
                })
                .collect(),
            schedulers: definition.schedulers.keys().cloned().collect(),
        }
    }
}

/// A configuration that is written but not yet seen. It holds the writer: all other changes wait, for at most 10 s,
/// then it is rolled back. So its owner must not wait for another change before [`PreparedGeneration::commit`].
/// Dropped, it is rolled back.
#[derive(Debug)]
pub struct PreparedGeneration {
    number: i64,
    fate: oneshot::Sender<oneshot::Sender<Result<(), StoreError>>>,
}

/// An order to prepare, with where its answer goes.
pub(super) struct PreparedRows {
    pub(super) rows: GenerationRows,
    pub(super) at: Timestamp,
    pub(super) answer: oneshot::Sender<Result<PreparedGeneration, StoreError>>,
}

impl PreparedGeneration {
    pub(super) fn new(number: i64) -> (Self, oneshot::Receiver<oneshot::Sender<Result<(), StoreError>>>) {
        let (fate, receiver) = oneshot::channel();
        (Self { number, fate }, receiver)
    }

    /// The number that it will have: 1 for the first, without gaps.
    pub const fn number(&self) -> i64 {
        self.number
    }

    /// Brings it into force; answers with its number. Lasts at most 60 s.
    ///
    /// # Errors
    /// [`StoreError::PreparedTooLong`] if it came too late, [`StoreError::Commit`] if the database failed.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the configuration is in force or not; the generations tell.
    pub async fn commit(self) -> Result<i64, StoreError> {
        let (sender, receiver) = oneshot::channel();
        self.fate.send(sender).map_err(|_| StoreError::PreparedTooLong)?;
        receiver.await.unwrap_or(Err(StoreError::PreparedTooLong)).map(|()| self.number)
    }
}

impl Store {
    /// Writes a configuration in a transaction that stays open.
    ///
    /// # Errors
    /// If the database fails; nothing is written then.
    ///
    /// # Cancel safety
    /// Dropped before it returns, nothing is written.
    pub async fn prepare_generation(
        &self,
        rows: GenerationRows,
        at: Timestamp,
    ) -> Result<PreparedGeneration, StoreError> {
        let (answer, receiver) = oneshot::channel();
        self.order(DEED, Order::Prepare(PreparedRows { rows, at, answer })).await?;
        receiver.await.unwrap_or(Err(StoreError::Abandoned { deed: DEED }))
    }
}

/// Writes the differences; the number of the new generation.
pub(super) async fn write(work: &mut Work, rows: &GenerationRows, at: Timestamp) -> Result<i64, sqlx::Error> {
    let workers = json(rows.workers.iter().map(|name| (name.as_str(),)));
    write_names(work, "workers", &workers).await?;
    // One that has never been seen is waited for from now on.
    let sql = "UPDATE workers SET absent_since_at = $1
         WHERE configured = 1 AND connected_to IS NULL AND absent_since_at IS NULL";
    work.execute(sql, args![at]).await?;
    let schedulers = json(rows.schedulers.iter().map(|name| (name.as_str(),)));
    write_names(work, "schedulers", &schedulers).await?;
    write_builders(work, rows).await?;

    let sql = "UPDATE counters SET last = last + 1 WHERE name = 'generations' RETURNING last";
    let number = work.one(sql, args![]).await?.integer("last")?;
    let generation = GenerationRow {
        generation: number,
        committed_at: at,
        cause: clean(rows.cause.clone()),
        workers: count(&rows.workers),
        builders: count(&rows.builders),
        schedulers: count(&rows.schedulers),
    };
    let sql = "INSERT INTO generations (id, committed_at, cause, workers, builders, schedulers) VALUES ($1, $2, $3, $4, $5, $6)";
    let args = args![
        number,
        at,
        generation.cause.as_str(),
        generation.workers,
        generation.builders,
        generation.schedulers
    ];
    work.execute(sql, args).await?;
    work.tell(EventKind::ConfigurationCommitted, number, at, &generation);
    Ok(number)
}

/// Brings a table of mere names into agreement with a list.
async fn write_names(work: &mut Work, table: &'static str, names: &str) -> Result<(), sqlx::Error> {
    let listed = work.dialect().rows(1, &[Kind::Text]);
    let gone = format!(
        "UPDATE {table} SET configured = 0 WHERE configured = 1 AND name NOT IN (SELECT c0 FROM {listed} AS r)"
    );
    work.execute(AssertSqlSafe(gone), args![names]).await?;
    let here = format!(
        "INSERT INTO {table} (name, configured) SELECT c0, 1 FROM {listed} AS r WHERE true
         ON CONFLICT (name) DO UPDATE SET configured = 1 WHERE {table}.configured = 0"
    );
    work.execute(AssertSqlSafe(here), args![names]).await?;
    Ok(())
}

async fn write_builders(work: &mut Work, rows: &GenerationRows) -> Result<(), sqlx::Error> {
    let builders = json(rows.builders.iter().map(|builder| {
        let tags = serde_json::to_string(&builder.tags).expect("texts are JSON");
        (builder.name.as_str(), builder.description.clone().map(clean), clean(tags))
    }));
    let listed = work.dialect().rows(1, &[Kind::Text, Kind::Text, Kind::Text]);
    let gone = format!(
        "UPDATE builders SET configured = 0 WHERE configured = 1 AND name NOT IN (SELECT c0 FROM {listed} AS r)"
    );
    work.execute(AssertSqlSafe(gone), args![builders.as_str()]).await?;
    let differs = match work.dialect() {
        Dialect::Sqlite => "builders.description IS NOT excluded.description",
        #[cfg(feature = "postgres")]
        Dialect::Postgres => "builders.description IS DISTINCT FROM excluded.description",
    };
    let here = format!(
        "INSERT INTO builders (name, description, tags, configured) SELECT c0, c1, c2, 1 FROM {listed} AS r WHERE true
         ON CONFLICT (name) DO UPDATE
             SET configured = 1, description = excluded.description, tags = excluded.tags
             WHERE builders.configured = 0 OR builders.tags <> excluded.tags OR {differs}"
    );
    work.execute(AssertSqlSafe(here), args![builders]).await?;

    let pairs =
        json(rows.builders.iter().flat_map(|builder| {
            builder.workers.iter().map(|worker| (builder.name.as_str(), worker.as_str()))
        }));
    let wanted = format!(
        "SELECT b.id, w.id FROM {} AS r JOIN builders b ON b.name = r.c0 JOIN workers w ON w.name = r.c1",
        work.dialect().rows(1, &[Kind::Text, Kind::Text])
    );
    let gone = format!("DELETE FROM builder_workers WHERE (builderid, workerid) NOT IN ({wanted})");
    work.execute(AssertSqlSafe(gone), args![pairs.as_str()]).await?;
    let here = format!(
        "INSERT INTO builder_workers (builderid, workerid) {wanted} WHERE true ON CONFLICT (builderid, workerid) DO NOTHING"
    );
    work.execute(AssertSqlSafe(here), args![pairs]).await?;
    Ok(())
}

/// Rows for [`Dialect::rows`].
pub(super) fn json<T: Serialize>(rows: impl Iterator<Item = T>) -> String {
    serde_json::to_string(&rows.collect::<Vec<_>>()).expect("numbers and texts are JSON")
}

fn count<T>(list: &[T]) -> i64 {
    i64::try_from(list.len()).expect("a list fits into memory")
}
