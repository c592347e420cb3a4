//! A change as the writer sees it: a closure that works in a transaction, and the answer that its caller waits for.
//!
//! # Laws
//! - What a job tells is written by the transaction that holds its changes, or not at all.
//!
//! # Not here
//! When jobs run and are answered (`writer`).

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Serialize;
use sqlx::{AssertSqlSafe, SqlSafeStr};
use tokio::sync::oneshot;

use crate::{
    model::{Event, EventId, EventKind, MasterId, Timestamp},
    store::{
        connection::{Arg, Connection, Dialect, Kind, Row, args, clean},
        error::{JobError, StoreError},
    },
};

/// Changes to be made in one savepoint.
pub(super) struct Job {
    pub(super) deed: &'static str,
    run: Run,
}

/// Runs the job, or answers its caller at once if there is no connection.
type Run = Box<dyn for<'t> FnOnce(Result<&'t mut Work, StoreError>) -> BoxFuture<'t, Settled> + Send>;

/// A job that has run: whether its changes stay, and how its caller is told.
struct Settled {
    keep: bool,
    answer: Answer,
}

pub(super) type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// The transaction in which a job works, and the events that it tells.
pub(super) struct Work {
    connection: Connection,
    pub(super) master: MasterId,
    told: Vec<Told>,
    /// Whether the job before has left its savepoint open.
    in_savepoint: bool,
    /// How many statements a job has run.
    #[cfg(test)]
    pub(super) statements: usize,
}

struct Told {
    kind: EventKind,
    key: i64,
    at: Timestamp,
    body: serde_json::Value,
}

impl Job {
    /// A job from its closure, and where its answer will come.
    pub(super) fn new<T, E, F>(deed: &'static str, job: F) -> (Self, oneshot::Receiver<Result<T, E>>)
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'t> FnOnce(&'t mut Work) -> BoxFuture<'t, Result<T, JobError<E>>> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let run: Run = Box::new(move |work| {
            Box::pin(async move {
                let result = match work {
                    Ok(work) => job(work).await.map_err(|error| error.named(deed)),
                    Err(error) => Err(error.into()),
                };
                let keep = result.is_ok();
                let answer: Answer = Box::new(move |committed| {
                    // A caller that no longer listens needs no answer.
                    drop(sender.send(committed.map_err(E::from).and(result)));
                });
                Settled { keep, answer }
            })
        });
        (Self { deed, run }, receiver)
    }

    /// Tells the caller that nothing was done.
    pub(super) async fn refuse(self, error: StoreError) {
        let settled = (self.run)(Err(error)).await;
        (settled.answer)(Ok(()));
    }
}

impl Work {
    pub(super) const fn new(connection: Connection, master: MasterId) -> Self {
        Self {
            connection,
            master,
            told: Vec::new(),
            in_savepoint: false,
            #[cfg(test)]
            statements: 0,
        }
    }

    pub(super) const fn dialect(&self) -> Dialect {
        self.connection.dialect()
    }

    /// Tells what happened, once it is committed.
    pub(super) fn tell(&mut self, kind: EventKind, key: i64, at: Timestamp, body: &impl Serialize) {
        let body = serde_json::to_value(body).expect("a row of the API is plain data");
        self.told.push(Told { kind, key, at, body });
    }

    pub(super) async fn execute(&mut self, sql: impl SqlSafeStr, args: Vec<Arg>) -> Result<u64, sqlx::Error> {
        #[cfg(test)]
        {
            self.statements += 1;
        }
        self.connection.execute(sql, args).await
    }

    pub(super) async fn rows(
        &mut self,
        sql: impl SqlSafeStr,
        args: Vec<Arg>,
    ) -> Result<Vec<Row>, sqlx::Error> {
        #[cfg(test)]
        {
            self.statements += 1;
        }
        self.connection.rows(sql, args).await
    }

    pub(super) async fn row(
        &mut self,
        sql: impl SqlSafeStr,
        args: Vec<Arg>,
    ) -> Result<Option<Row>, sqlx::Error> {
        #[cfg(test)]
        {
            self.statements += 1;
        }
        self.connection.row(sql, args).await
    }

    pub(super) async fn one(&mut self, sql: impl SqlSafeStr, args: Vec<Arg>) -> Result<Row, sqlx::Error> {
        #[cfg(test)]
        {
            self.statements += 1;
        }
        self.connection.one(sql, args).await
    }

    pub(super) async fn begin(&mut self) -> Result<(), sqlx::Error> {
        self.told.clear();
        self.in_savepoint = false;
        self.execute(self.dialect().begin(), args![]).await.map(drop)
    }

    /// Runs one job in its savepoint. An error is about the connection: the job's own are in its answer.
    pub(super) async fn run(
        &mut self,
        job: Job,
        answers: &mut Vec<(&'static str, Answer)>,
    ) -> Result<(), sqlx::Error> {
        let (deed, told) = (job.deed, self.told.len());
        if let Err(error) = self.open_savepoint().await {
            let error = Arc::new(error);
            job.refuse(StoreError::Disconnected { deed, source: Arc::clone(&error) }).await;
            return Err(sqlx::Error::AnyDriverError(Box::new(error)));
        }
        if !self.run_alone(job, answers).await {
            self.told.truncate(told);
            self.execute("ROLLBACK TO SAVEPOINT job", args![]).await?;
        }
        Ok(())
    }

    /// Ends the savepoint of the job before, if there was one, and opens the next; the last one ends with the transaction.
    async fn open_savepoint(&mut self) -> Result<(), sqlx::Error> {
        let ends_one = std::mem::replace(&mut self.in_savepoint, true);
        match self.dialect() {
            // At once, as in a commit.
            Dialect::Sqlite if ends_one => {
                self.execute("RELEASE SAVEPOINT job; SAVEPOINT job", args![]).await?;
            }
            #[cfg(feature = "postgres")]
            Dialect::Postgres if ends_one => {
                self.execute("RELEASE SAVEPOINT job", args![]).await?;
                self.execute("SAVEPOINT job", args![]).await?;
            }
            _ => {
                self.execute("SAVEPOINT job", args![]).await?;
            }
        }
        Ok(())
    }

    /// Runs the only job of a transaction, which needs no savepoint; false if its changes must not stay.
    pub(super) async fn run_alone(&mut self, job: Job, answers: &mut Vec<(&'static str, Answer)>) -> bool {
        let deed = job.deed;
        let settled = (job.run)(Ok(self)).await;
        answers.push((deed, settled.answer));
        settled.keep
    }

    /// Writes the events and commits.
    pub(super) async fn commit(&mut self) -> Result<Vec<Arc<Event>>, sqlx::Error> {
        let told = std::mem::take(&mut self.told);
        if told.is_empty() {
            self.execute("COMMIT", args![]).await?;
            return Ok(Vec::new());
        }
        let count = i64::try_from(told.len()).expect("a group's events can be counted");
        let rows: Vec<_> = (1_i64..)
            .zip(&told)
            .map(|(place, told)| {
                (place, told.kind.topic(), told.key, told.at.as_microsecond(), clean(told.body.to_string()))
            })
            .collect();
        let rows = serde_json::to_string(&rows).expect("numbers and texts are JSON");
        // The last thing before the commit: until then no other master can take a number.
        let number = "UPDATE counters SET last = last + $1 WHERE name = 'events' RETURNING last";
        let kinds = [Kind::Integer, Kind::Text, Kind::Integer, Kind::Integer, Kind::Text];
        let insert = format!(
            "INSERT INTO events (id, kind, about, at, body) SELECT counters.last - $1 + c0, c1, c2, c3, c4 FROM {} AS r, counters WHERE counters.name = 'events'",
            self.dialect().rows(2, &kinds)
        );
        let last = match self.dialect() {
            // At once: each statement on its own would wake the thread of the database and be woken by it.
            Dialect::Sqlite => {
                let all = format!("{number}; {insert}; COMMIT");
                self.one(AssertSqlSafe(all), args![count, rows]).await?
            }
            #[cfg(feature = "postgres")]
            Dialect::Postgres => {
                let last = self.one(number, args![count]).await?;
                self.execute(AssertSqlSafe(insert), args![count, rows]).await?;
                self.execute("COMMIT", args![]).await?;
                last
            }
        };
        let ids = last.integer("last")? - count + 1..;
        let event =
            |(id, Told { kind, key, at, body })| Arc::new(Event { id: EventId(id), kind, key, at, body });
        Ok(ids.zip(told).map(event).collect())
    }

    /// Ends the connection in order.
    pub(super) async fn close(self) {
        self.connection.close().await;
    }

    pub(super) async fn rollback(&mut self) -> Result<(), sqlx::Error> {
        self.told.clear();
        self.execute("ROLLBACK", args![]).await.map(drop)
    }
}
