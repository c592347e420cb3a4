//! Builds and their steps: begun, followed, ended.
//!
//! # Laws
//! - A build begins together with the claim of its request; a request has at most one build without an end.
//! - Numbers of a builder's builds are 1, 2, 3 … without gaps.

use sqlx::AssertSqlSafe;

use crate::{
    model::{
        BuildId, BuildRequestId, BuilderName, EventKind, Outcome, Properties, StepId, Timestamp, WorkerName,
    },
    store::{
        Store,
        child::{self, Orphans},
        connection::args,
        error::{BeginError, JobError, StoreError},
        job::Work,
        request,
        row::{ApiRow, BuildRow, StepRow},
    },
};

/// How a step has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedStep<'a> {
    /// Its outcome.
    pub outcome: Outcome,
    /// The line that people read.
    pub state: &'a str,
    /// Whether it is left out where steps are shown.
    pub hidden: bool,
}

/// A build to begin.
#[derive(Clone, Debug, PartialEq)]
pub struct NewBuild {
    /// For which request.
    pub request: BuildRequestId,
    /// On which worker.
    pub worker: WorkerName,
    /// What its steps are rendered with. The store adds `buildnumber`, which only it knows.
    pub properties: Properties,
}

/// A build that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BegunBuild {
    /// Its key.
    pub id: BuildId,
    /// Its number among the builds of its builder.
    pub number: i64,
    /// Its builder.
    pub builder: BuilderName,
}

/// What becomes of a request when its build ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestEnd {
    /// It has the outcome of the build.
    Complete,
    /// It goes back to its place in the queue.
    Requeue {
        /// It should not begin before.
        not_before: Option<Timestamp>,
        /// Whether this was one of its attempts; not so if the master itself took the build back.
        counted: bool,
    },
}

impl Store {
    /// Begins a build: claims its request, numbers it.
    ///
    /// # Errors
    /// [`BeginError::AlreadyClaimed`] if another was quicker.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the build may have begun all the same: do not drop it, or begin it in a task.
    pub async fn begin_build(&self, new: NewBuild, at: Timestamp) -> Result<BegunBuild, BeginError> {
        self.write("begin a build", move |work| Box::pin(begin(work, new, at))).await
    }

    /// Sets all properties of a build anew: its steps may have set some.
    pub async fn set_build_properties(
        &self,
        build: BuildId,
        properties: Properties,
    ) -> Result<(), StoreError> {
        let deed = "set the properties of a build";
        self.write(deed, move |work| {
            Box::pin(async move {
                let properties = serde_json::to_string(&properties).expect("properties are JSON");
                let sql = "UPDATE builds SET properties = $1 WHERE id = $2";
                match work.execute(sql, args![properties, build.0]).await? {
                    0 => Err(JobError::unknown(deed, "build", &build)),
                    _ => Ok(()),
                }
            })
        })
        .await
    }

    /// Begins a step. `number` is its place in the build, from 0, each once; `state` is for people.
    pub async fn begin_step(
        &self,
        build: BuildId,
        number: i32,
        name: &str,
        state: &str,
        at: Timestamp,
    ) -> Result<StepId, StoreError> {
        let (name, state) = (name.to_owned(), state.to_owned());
        self.write("begin a step", move |work| {
            Box::pin(async move {
                let sql = format!(
                    "INSERT INTO steps (buildid, number, name, started_at, locks_acquired_at, state_string)
                     VALUES ($1, $2, $3, $4, $4, $5) RETURNING {}",
                    StepRow::TABLE.columns
                );
                let args = args![build.0, number, name, at, state];
                let row = work.one(AssertSqlSafe(sql), args).await?;
                let step = StepRow::read(&row, work.master)?;
                work.tell(EventKind::StepStarted, step.stepid.0, at, &step);
                Ok(step.stepid)
            })
        })
        .await
    }

    /// Adds an address to a running step, called `name` before people.
    pub async fn add_step_url(&self, step: StepId, name: &str, url: &str) -> Result<(), StoreError> {
        let deed = "add an address to a step";
        let address = serde_json::json!({ "name": name, "url": url });
        self.write(deed, move |work| {
            Box::pin(async move {
                let found = work.row("SELECT urls FROM steps WHERE id = $1", args![step.0]).await?;
                let found = found.ok_or_else(|| JobError::unknown(deed, "step", &step))?;
                let mut urls: Vec<serde_json::Value> = found.json("urls")?;
                urls.push(address);
                let urls = serde_json::to_string(&urls).expect("addresses are JSON");
                work.execute("UPDATE steps SET urls = $1 WHERE id = $2", args![urls, step.0]).await?;
                Ok(())
            })
        })
        .await
    }

    /// Ends a step. Its logs should be closed.
    pub async fn finish_step(
        &self,
        step: StepId,
        end: EndedStep<'_>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let deed = "end a step";
        let EndedStep { outcome, state, hidden } = end;
        let state = state.to_owned();
        self.write(deed, move |work| {
            Box::pin(async move {
                end_step(work, step, EndedStep { outcome, state: &state, hidden }, at)
                    .await?
                    .ok_or_else(|| JobError::unknown(deed, "running step", &step))
            })
        })
        .await
    }

    /// Ends a build and settles its request, in one transaction; `state` is for people. Its steps should have ended
    /// and its logs be closed.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] if the build does not exist or has ended.
    pub async fn finish_build(
        &self,
        build: BuildId,
        outcome: Outcome,
        state: &str,
        request: RequestEnd,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let deed = "end a build";
        let state = state.to_owned();
        self.write(deed, move |work| {
            Box::pin(async move {
                end_build(work, build, outcome, &state, request, at)
                    .await?
                    .ok_or_else(|| JobError::unknown(deed, "running build", &build))
            })
        })
        .await
    }
}

async fn begin(work: &mut Work, new: NewBuild, at: Timestamp) -> Result<BegunBuild, JobError<BeginError>> {
    let NewBuild { request, worker, mut properties } = new;
    let master = work.master;
    let Some(claimed) = request::claim(work, request, master, at).await? else {
        let known = work.row("SELECT 1 AS here FROM build_requests WHERE id = $1", args![request.0]).await?;
        return Err(JobError::Refused(match known {
            Some(_) => BeginError::AlreadyClaimed { request },
            None => BeginError::NoSuchRequest { request },
        }));
    };
    let Some(found) = work.row("SELECT id FROM workers WHERE name = $1", args![worker.as_str()]).await?
    else {
        return Err(JobError::Refused(BeginError::UnknownWorker { request, worker }));
    };
    let sql = "UPDATE builders SET last_number = last_number + 1 WHERE id = $1 RETURNING last_number, name";
    let builder = work.one(sql, args![claimed.builderid.0]).await?;
    let number = builder.integer("last_number")?;
    properties.set("buildnumber", number, "Build");
    let sql = format!(
        "INSERT INTO builds (number, builderid, buildrequestid, workerid, masterid, started_at, state_string, properties)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING {}",
        BuildRow::TABLE.columns
    );
    let properties = serde_json::to_string(&properties).expect("properties are JSON");
    let args = args![
        number,
        claimed.builderid.0,
        request.0,
        found.integer("id")?,
        master.0,
        at,
        "running",
        properties,
    ];
    let row = work.one(AssertSqlSafe(sql), args).await?;
    let build = BuildRow::read(&row, master)?;
    work.tell(EventKind::BuildStarted, build.buildid.0, at, &build);
    Ok(BegunBuild { id: build.buildid, number, builder: builder.parsed("name")? })
}

/// Ends a step; nothing if it has ended before.
pub(super) async fn end_step(
    work: &mut Work,
    step: StepId,
    end: EndedStep<'_>,
    at: Timestamp,
) -> Result<Option<()>, sqlx::Error> {
    let EndedStep { outcome, state, hidden } = end;
    let sql = format!(
        "UPDATE steps SET complete_at = $1, results = $2, state_string = $3, hidden = $4 WHERE id = $5 AND complete_at IS NULL RETURNING {}",
        StepRow::TABLE.columns
    );
    let arguments = args![at, outcome, state, hidden, step.0];
    let Some(row) = work.row(AssertSqlSafe(sql), arguments).await? else {
        return Ok(None);
    };
    let row = StepRow::read(&row, work.master)?;
    work.tell(EventKind::StepFinished, step.0, at, &row);
    Ok(Some(()))
}

/// Ends a build and settles its request; nothing if it has ended before.
pub(super) async fn end_build(
    work: &mut Work,
    build: BuildId,
    outcome: Outcome,
    state: &str,
    request: RequestEnd,
    at: Timestamp,
) -> Result<Option<()>, sqlx::Error> {
    let sql = format!(
        "UPDATE builds SET complete_at = $1, results = $2, state_string = $3 WHERE id = $4 AND complete_at IS NULL RETURNING {}",
        BuildRow::TABLE.columns
    );
    let Some(row) = work.row(AssertSqlSafe(sql), args![at, outcome, state, build.0]).await? else {
        return Ok(None);
    };
    let row = BuildRow::read(&row, work.master)?;
    work.tell(EventKind::BuildFinished, build.0, at, &row);
    match request {
        RequestEnd::Complete => request::complete(work, row.buildrequestid, outcome, None, at).await?,
        RequestEnd::Requeue { not_before, counted } => {
            request::requeue(work, row.buildrequestid, not_before, counted, row.workerid.0, at).await?;
        }
    }
    child::cancel_orphans(work, Orphans::Of(build), at).await?;
    Ok(Some(()))
}
