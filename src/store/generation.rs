//! A configuration comes into force: its rows are written in an open transaction, and seen by its commit.
//!
//! # Laws
//! - Only differences are written, in a fixed number of statements whatever the size of the configuration. Where the
//!   generation before is known to be in the database, only what differs from it is looked at.
//! - A name that is gone keeps its row, marked as not configured: history stays readable.
//! - Until the commit nobody sees anything; dropped, it leaves nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::Serialize;
use sqlx::AssertSqlSafe;
use tokio::sync::oneshot;

use crate::{
    definition::{BuilderDefinition, MasterDefinition, ReconfigPlan, WorkerDefinition, plan::Transition},
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
    /// The workers that are written, each once.
    pub workers: Vec<WorkerName>,
    /// The builders that are written, each once.
    pub builders: Vec<GenerationBuilder>,
    /// The schedulers that are written, each once.
    pub schedulers: Vec<SchedulerName>,
    /// What becomes of all others.
    pub others: Others,
}

/// What becomes of rows that are not listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Others {
    /// They are of what is gone: the lists are the whole configuration.
    #[default]
    Go,
    /// They stay as they are, but for these: the lists are what is new or has changed since the generation before.
    Stay(Box<Gone>),
}

/// What has gone since the generation before, and how many there are now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// Workers.
    pub workers: Vec<WorkerName>,
    /// Builders.
    pub builders: Vec<BuilderName>,
    /// Schedulers.
    pub schedulers: Vec<SchedulerName>,
    /// How many workers, builders and schedulers there are.
    pub counts: [usize; 3],
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

impl GenerationBuilder {
    /// Of this builder in a configuration with these workers.
    fn of(builder: &BuilderDefinition, workers: &BTreeMap<WorkerName, Arc<WorkerDefinition>>) -> Self {
        Self {
            name: builder.name.clone(),
            description: builder.description.clone(),
            tags: builder.tags.clone(),
            workers: builder.workers(workers).map(|worker| worker.name.clone()).collect(),
        }
    }
}

impl From<&MasterDefinition> for GenerationRows {
    /// All of it, whatever was there before.
    fn from(definition: &MasterDefinition) -> Self {
        Self {
            cause: String::new(),
            workers: definition.workers.keys().cloned().collect(),
            builders: definition
                .builders
                .values()
                .map(|builder| GenerationBuilder::of(builder, &definition.workers))
                .collect(),
            schedulers: definition.schedulers.keys().cloned().collect(),
            others: Others::Go,
        }
    }
}

impl GenerationRows {
    /// What `plan`, which leads to `definition`, changes of that which is kept. Right only if what it comes from is what
    /// the database has.
    pub fn of_plan(plan: &ReconfigPlan, definition: &MasterDefinition) -> Self {
        let mut rows = Self::default();
        let mut gone = Gone {
            counts: [definition.workers.len(), definition.builders.len(), definition.schedulers.len()],
            ..Gone::default()
        };
        for transition in &plan.workers {
            match transition {
                Transition::Add(new) => rows.workers.push(new.name.clone()),
                Transition::Remove(old) => gone.workers.push(old.name.clone()),
                // Of a worker, its name is kept, and which builders may use it.
                Transition::Change { .. } => {}
            }
        }
        let mut changed: BTreeMap<&BuilderName, &BuilderDefinition> = BTreeMap::new();
        for transition in &plan.builders {
            match transition {
                Transition::Add(_) => {}
                Transition::Remove(old) => gone.builders.push(old.name.clone()),
                Transition::Change { old, .. } => {
                    changed.insert(&old.name, old);
                }
            }
        }
        let added: BTreeSet<&BuilderName> = plan
            .builders
            .iter()
            .filter_map(|transition| match transition {
                Transition::Add(new) => Some(&new.name),
                _ => None,
            })
            .collect();
        for builder in definition.builders.values() {
            let was = changed.get(&builder.name).copied().unwrap_or(builder);
            let differs = added.contains(&builder.name)
                || (&was.description, &was.tags) != (&builder.description, &builder.tags)
                || (&was.worker_names, &was.worker_match) != (&builder.worker_names, &builder.worker_match)
                || plan.workers.iter().any(|transition| changes_workers_of(transition, builder));
            rows.builders.extend(differs.then(|| GenerationBuilder::of(builder, &definition.workers)));
        }
        for transition in &plan.schedulers {
            match transition {
                Transition::Add(new) => rows.schedulers.push(new.name.clone()),
                Transition::Remove(old) => gone.schedulers.push(old.name.clone()),
                Transition::Change { .. } => {}
            }
        }
        rows.others = Others::Stay(Box::new(gone));
        rows
    }

    /// How many workers, builders and schedulers the configuration has.
    fn counts(&self) -> [i64; 3] {
        let counts = match &self.others {
            Others::Go => [self.workers.len(), self.builders.len(), self.schedulers.len()],
            Others::Stay(gone) => gone.counts,
        };
        counts.map(|count| i64::try_from(count).expect("a list fits into memory"))
    }
}

/// Whether a builder, itself as it was, may use a worker that it could not use before, or the other way round.
fn changes_workers_of(transition: &Transition<WorkerDefinition>, builder: &BuilderDefinition) -> bool {
    match transition {
        Transition::Add(worker) | Transition::Remove(worker) => builder.may_use(worker),
        Transition::Change { old, new, .. } => builder.may_use(old) != builder.may_use(new),
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
    let gone = match &rows.others {
        Others::Go => None,
        Others::Stay(gone) => Some(&**gone),
    };
    let gone_workers = gone.map(|gone| gone.workers.as_slice());
    // One that comes back to the configuration was not missed meanwhile.
    let anew = ", absent_since_at = NULL, missing_reported_at = NULL";
    write_names(work, "workers", &rows.workers, gone_workers, anew).await?;
    if !rows.workers.is_empty() {
        // Nor was one that has never been seen: both are waited for from now on.
        let sql = "UPDATE workers SET absent_since_at = $1
             WHERE configured = 1 AND connected_to IS NULL AND absent_since_at IS NULL";
        work.execute(sql, args![at]).await?;
    }
    let gone_schedulers = gone.map(|gone| gone.schedulers.as_slice());
    write_names(work, "schedulers", &rows.schedulers, gone_schedulers, "").await?;
    write_builders(work, rows, gone.map(|gone| gone.builders.as_slice())).await?;

    let sql = "UPDATE counters SET last = last + 1 WHERE name = 'generations' RETURNING last";
    let number = work.one(sql, args![]).await?.integer("last")?;
    let [workers, builders, schedulers] = rows.counts();
    let generation = GenerationRow {
        generation: number,
        committed_at: at,
        cause: clean(rows.cause.clone()),
        workers,
        builders,
        schedulers,
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

/// Marks as gone what is in `gone`; without it, what is not in `listed`.
async fn write_gone(
    work: &mut Work,
    table: &'static str,
    listed: &str,
    gone: Option<&str>,
) -> Result<(), sqlx::Error> {
    let (names, which) = gone.map_or((listed, "NOT IN"), |gone| (gone, "IN"));
    let rows = work.dialect().rows(1, &[Kind::Text]);
    let sql = format!(
        "UPDATE {table} SET configured = 0 WHERE configured = 1 AND name {which} (SELECT c0 FROM {rows} AS r)"
    );
    work.execute(AssertSqlSafe(sql), args![names]).await?;
    Ok(())
}

/// Brings a table of mere names into agreement with a list. `anew` is what else is set of a name that was gone.
async fn write_names<T: AsRef<str>>(
    work: &mut Work,
    table: &'static str,
    listed: &[T],
    gone: Option<&[T]>,
    anew: &str,
) -> Result<(), sqlx::Error> {
    let names = name_rows(listed);
    if gone.is_none_or(|gone| !gone.is_empty()) {
        write_gone(work, table, &names, gone.map(name_rows).as_deref()).await?;
    }
    if !listed.is_empty() {
        let rows = work.dialect().rows(1, &[Kind::Text]);
        let here = format!(
            "INSERT INTO {table} (name, configured) SELECT c0, 1 FROM {rows} AS r WHERE true
             ON CONFLICT (name) DO UPDATE SET configured = 1{anew} WHERE {table}.configured = 0"
        );
        work.execute(AssertSqlSafe(here), args![names]).await?;
    }
    Ok(())
}

async fn write_builders(
    work: &mut Work,
    rows: &GenerationRows,
    gone: Option<&[BuilderName]>,
) -> Result<(), sqlx::Error> {
    let listed = name_rows(&rows.builders.iter().map(|builder| &builder.name).collect::<Vec<_>>());
    if gone.is_none_or(|gone| !gone.is_empty()) {
        write_gone(work, "builders", &listed, gone.map(name_rows).as_deref()).await?;
    }
    if !rows.builders.is_empty() {
        let builders = json(rows.builders.iter().map(|builder| {
            let tags = serde_json::to_string(&builder.tags).expect("texts are JSON");
            (builder.name.as_str(), builder.description.clone().map(clean), clean(tags))
        }));
        let given = work.dialect().rows(1, &[Kind::Text, Kind::Text, Kind::Text]);
        let differs = match work.dialect() {
            Dialect::Sqlite => "builders.description IS NOT excluded.description",
            #[cfg(feature = "postgres")]
            Dialect::Postgres => "builders.description IS DISTINCT FROM excluded.description",
        };
        let here = format!(
            "INSERT INTO builders (name, description, tags, configured) SELECT c0, c1, c2, 1 FROM {given} AS r WHERE true
             ON CONFLICT (name) DO UPDATE
                 SET configured = 1, description = excluded.description, tags = excluded.tags
                 WHERE builders.configured = 0 OR builders.tags <> excluded.tags OR {differs}"
        );
        work.execute(AssertSqlSafe(here), args![builders]).await?;
    }
    if gone.is_some_and(|gone| gone.is_empty() && rows.builders.is_empty()) {
        return Ok(());
    }

    let pairs =
        json(rows.builders.iter().flat_map(|builder| {
            builder.workers.iter().map(|worker| (builder.name.as_str(), worker.as_str()))
        }));
    let wanted = format!(
        "SELECT b.id, w.id FROM {} AS r JOIN builders b ON b.name = r.c0 JOIN workers w ON w.name = r.c1",
        work.dialect().rows(1, &[Kind::Text, Kind::Text])
    );
    match gone {
        None => {
            let gone = format!("DELETE FROM builder_workers WHERE (builderid, workerid) NOT IN ({wanted})");
            work.execute(AssertSqlSafe(gone), args![pairs.as_str()]).await?;
        }
        Some(gone) => {
            let touched: Vec<&BuilderName> =
                gone.iter().chain(rows.builders.iter().map(|builder| &builder.name)).collect();
            let touched = name_rows(&touched);
            let named = work.dialect().rows(2, &[Kind::Text]);
            let gone = format!(
                "DELETE FROM builder_workers
                 WHERE builderid IN (SELECT t.id FROM builders t WHERE t.name IN (SELECT c0 FROM {named} AS n))
                     AND (builderid, workerid) NOT IN ({wanted})"
            );
            work.execute(AssertSqlSafe(gone), args![pairs.as_str(), touched]).await?;
        }
    }
    let here = format!(
        "INSERT INTO builder_workers (builderid, workerid) {wanted} WHERE true ON CONFLICT (builderid, workerid) DO NOTHING"
    );
    work.execute(AssertSqlSafe(here), args![pairs]).await?;
    Ok(())
}

/// Names as rows of one column.
fn name_rows<T: AsRef<str>>(names: &[T]) -> String {
    json(names.iter().map(|name| (name.as_ref(),)))
}

/// Rows for [`Dialect::rows`].
pub(super) fn json<T: Serialize>(rows: impl Iterator<Item = T>) -> String {
    serde_json::to_string(&rows.collect::<Vec<_>>()).expect("numbers and texts are JSON")
}
