//! Builds that have ended, and how far they are told.
//!
//! # Laws
//! - What is told of builds is written together with how far they are told, so a restart neither repeats nor loses any.
//! - Who reports for the first time begins with what ends from then on: not with the history.
//!
//! # Not here
//! Of which builds somebody is told, and what (`reporter`).

use crate::{
    model::{
        BuildId, BuildRequestId, BuilderName, EventId, EventKind, Outcome, Properties, SchedulerName,
        Timestamp, WorkerName,
    },
    store::{
        NewLetter, Store,
        connection::{Row, args},
        error::{JobError, StoreError, failed},
        outbox,
    },
};

/// Builds that are read at once.
const MOST_READ: u32 = 100;

/// A build that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct FinishedBuild {
    /// The event that told of it.
    pub event: EventId,
    /// Its key.
    pub id: BuildId,
    /// Of which builder.
    pub builder: BuilderName,
    /// Its number among the builds of its builder.
    pub number: i64,
    /// For which request.
    pub request: BuildRequestId,
    /// On which worker.
    pub worker: WorkerName,
    /// Which scheduler asked for it, if one did.
    pub scheduler: Option<SchedulerName>,
    /// Why it was asked for, for people.
    pub reason: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub complete_at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// How the build of its builder before it ended, those aside that were tried again; nothing if there is none.
    pub previous: Option<Outcome>,
    /// How it ended, for people.
    pub state: String,
    /// What its steps were rendered with.
    pub properties: Properties,
}

impl FinishedBuild {
    /// One of which all is known: to try the texts of a mail with.
    pub fn sample() -> Self {
        let mut properties = Properties::new();
        properties.set("branch", "main", "Build");
        let name = "sample";
        Self {
            event: EventId(1),
            id: BuildId(1),
            builder: BuilderName::new(name).expect("it is a name"),
            number: 1,
            request: BuildRequestId(1),
            worker: WorkerName::new(name).expect("it is a name"),
            scheduler: None,
            reason: name.into(),
            started_at: Timestamp::UNIX_EPOCH,
            complete_at: Timestamp::UNIX_EPOCH,
            outcome: Outcome::Success,
            previous: None,
            state: name.into(),
            properties,
        }
    }
}

impl Store {
    /// The builds that have ended and are not told under this name, the first one first; at most a hundred. The first call
    /// ever under a name finds none, and those that end from then on are found by later ones.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the name may be known all the same.
    pub async fn untold_builds(&self, cursor: &str) -> Result<Vec<FinishedBuild>, StoreError> {
        let deed = "find builds that have ended";
        let known = self.pool.row(CURSOR, args![cursor]).await.map_err(|error| failed(deed, error))?;
        let Some(known) = known else {
            self.begin_cursor(cursor.to_owned()).await?;
            return Ok(Vec::new());
        };
        let event = known.integer("event").map_err(|error| failed(deed, error))?;
        let args = args![EventKind::BuildFinished.topic(), event, MOST_READ];
        let rows = self.pool.rows(FINISHED, args).await.map_err(|error| failed(deed, error))?;
        rows.iter().map(finished).collect::<Result<_, _>>().map_err(|error| failed(deed, error))
    }

    async fn begin_cursor(&self, cursor: String) -> Result<(), StoreError> {
        self.write("begin to tell of builds", move |work| {
            Box::pin(async move {
                work.execute(BEGIN, args![cursor]).await?;
                Ok::<_, JobError<StoreError>>(())
            })
        })
        .await
    }

    /// Notes that the builds up to this event are told under this name, by these letters. False, and nothing is written, if
    /// they were told before.
    pub async fn report_builds(
        &self,
        cursor: String,
        up_to: EventId,
        letters: Vec<NewLetter>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write("tell of builds", move |work| {
            Box::pin(async move {
                let moved = work.execute(MOVE, args![up_to.0, cursor]).await? > 0;
                if moved {
                    outbox::add(work, &letters, at).await?;
                }
                Ok::<_, JobError<StoreError>>(moved)
            })
        })
        .await
    }
}

const CURSOR: &str = "SELECT event FROM report_cursors WHERE name = $1";

const BEGIN: &str = "INSERT INTO report_cursors (name, event)
     SELECT $1, last FROM counters WHERE name = 'events' ON CONFLICT (name) DO NOTHING";

const MOVE: &str = "UPDATE report_cursors SET event = $1 WHERE name = $2 AND event < $1";

pub(super) const FINISHED: &str = "SELECT e.id AS event, b.id, n.name AS builder, b.number, b.buildrequestid, w.name AS worker,
         c.name AS scheduler, s.reason, b.started_at, b.complete_at, b.results, b.state_string, b.properties,
         (SELECT p.results FROM builds p WHERE p.builderid = b.builderid AND p.number < b.number
              AND p.complete_at IS NOT NULL AND p.results <> 5 ORDER BY p.number DESC LIMIT 1) AS previous
     FROM events e JOIN builds b ON b.id = e.about JOIN builders n ON n.id = b.builderid JOIN workers w ON w.id = b.workerid
         JOIN build_requests r ON r.id = b.buildrequestid JOIN buildsets s ON s.id = r.buildsetid
         LEFT JOIN schedulers c ON c.id = s.schedulerid
     WHERE e.kind = $1 AND e.id > $2 AND b.complete_at IS NOT NULL ORDER BY e.id LIMIT $3";

fn finished(row: &Row) -> Result<FinishedBuild, sqlx::Error> {
    Ok(FinishedBuild {
        event: EventId(row.integer("event")?),
        id: BuildId(row.integer("id")?),
        builder: row.parsed("builder")?,
        number: row.integer("number")?,
        request: BuildRequestId(row.integer("buildrequestid")?),
        worker: row.parsed("worker")?,
        scheduler: row.maybe_parsed("scheduler")?,
        reason: row.text("reason")?,
        started_at: row.instant("started_at")?,
        complete_at: row.instant("complete_at")?,
        outcome: row.maybe_outcome("results")?.unwrap_or(Outcome::Exception),
        previous: row.maybe_outcome("previous")?,
        state: row.text("state_string")?,
        properties: row.json("properties")?,
    })
}
