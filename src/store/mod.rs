//! The database: one typed method for one question, on SQLite or PostgreSQL; and the files of the logs.
//!
//! [`Store::open`] brings the database to this program's version, starts the one task that writes, and the one that
//! compresses closed logs. Readers ask through connections of their own and are never in the writer's way.
//!
//! # Laws
//! - A method that changes something returns once the change is durable; what happened is then on its way to the
//!   listeners, in the order of commits.
//! - A caller that is dropped does not undo its change.
//! - All SQL of the program is here. No statement takes longer the longer the history is.
//!
//! # Not here
//! Which build runs when (`build`), who listens (`mq`), and the lock on the master's folder (`master`).

mod build;
mod child;
mod collapse;
mod connection;
mod error;
mod finished;
mod generation;
mod job;
mod lock;
mod log;
mod missing;
mod open;
mod outbox;
mod query;
mod read;
mod request;
mod resolve;
mod resume;
mod row;
mod waiting;
mod worker;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

pub use build::{BegunBuild, EndedStep, NewBuild, RequestEnd};
pub use child::{Child, ChildBuild, Parent, ParentBuild};
pub use error::{BeginError, StoreError};
pub use finished::FinishedBuild;
pub use generation::{GenerationBuilder, GenerationRows, Gone, Others, PreparedGeneration};
pub use lock::LockOwner;
pub use log::{LogError, LogLines, LogPiece, LogPlace, LogWriter, Note};
pub use missing::{AbsentWorker, LINK_LOST, LostBuild, ReturnedWorker};
pub use open::OpenError;
pub use outbox::{NewLetter, QueuedLetter};
pub use query::{Direction, Filter, FilterOp, MOST_ROWS, OrderBy, Page, Query, QueryError};
pub use request::{AddedBuildset, NewBuildset, QueueMark, QueuedRequest};
pub use resolve::Resolved;
pub use resume::{RunningCommand, Unfinished};
pub use row::{
    BuildRequestRow, BuildRow, BuilderRow, BuildsetRow, ConfiguredOn, ConnectedTo, EventRow, GenerationRow,
    LetterRow, LogRow, SchedulerRow, StepRow, WorkerRow,
};

use crate::{
    definition::DatabaseDefinition,
    model::{Event, MasterId},
};
use connection::Pool;
use error::JobError;
use job::{Job, Work};
use log::Logs;
use writer::{Order, WAITING, Writer};

/// How long [`Store::close`] waits for the writer, and for the readers.
const CLOSE_LIMIT: Duration = Duration::from_secs(60);

/// The database and the logs. A clone is another handle on the same.
#[derive(Clone, Debug)]
pub struct Store {
    orders: mpsc::Sender<Order>,
    pool: Pool,
    master: MasterId,
    logs: Arc<Logs>,
}

impl Store {
    /// Opens the database, making it if it is missing, and brings it to this program's version.
    ///
    /// A relative path of a SQLite file lies below `base`, the master's folder. Logs lie below `logs`. What happens is
    /// sent to `committed` in the order of commits; if nobody takes it within 10 s, it is dropped with an error in the
    /// program's log (the store has it still). Must be called within a tokio runtime, where its tasks run.
    ///
    /// # Errors
    /// [`OpenError`]: the file or server cannot be reached, or has a later version.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it leaves at most an empty database.
    pub async fn open(
        database: &DatabaseDefinition,
        base: &Path,
        logs: PathBuf,
        committed: mpsc::Sender<Vec<Arc<Event>>>,
    ) -> Result<Self, OpenError> {
        let opened = open::open(database, base).await?;
        let logs = Arc::new(Logs::open(logs).await?);
        let (orders, receiver) = mpsc::channel(WAITING);
        let work = Work::new(opened.connection, opened.master);
        let writer = Writer { work, opener: opened.opener, orders: receiver, committed };
        tokio::spawn(writer.run());
        let store = Self { orders, pool: opened.pool, master: opened.master, logs };
        store.start_compressor();
        Ok(store)
    }

    /// Ends the store: what was ordered before is done, what comes later is refused. Open logs should be closed first.
    /// Lasts at most two minutes.
    pub async fn close(&self) {
        self.logs.stop_compressor().await;
        let (sender, closed) = oneshot::channel();
        if self.orders.send(Order::Close(sender)).await.is_ok() && timeout(CLOSE_LIMIT, closed).await.is_err()
        {
            tracing::error!("the store did not finish its work within 60 s");
        }
        if timeout(CLOSE_LIMIT, self.pool.close()).await.is_err() {
            tracing::error!("the store's readers did not finish within 60 s");
        }
    }

    /// This master's key.
    pub const fn master_id(&self) -> MasterId {
        self.master
    }

    /// Gives an order to the writer; waits while it has more than it can take.
    async fn order(&self, deed: &'static str, order: Order) -> Result<(), StoreError> {
        self.orders.send(order).await.map_err(|_| StoreError::Closed { deed })
    }

    /// Has a job run by the writer; its result once it is committed. `deed` completes "cannot …" in errors.
    async fn write<T, E, F>(&self, deed: &'static str, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'t> FnOnce(&'t mut Work) -> BoxFuture<'t, Result<T, JobError<E>>> + Send + 'static,
    {
        let (job, answer) = Job::new(deed, job);
        self.order(deed, Order::Write(job)).await?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Abandoned { deed }.into()))
    }
}
