//! Builds that outlive their master: what is written of a running command, and what a start finds of it.
//!
//! # Laws
//! - What is needed to go on is written before the command is started.
//! - A build is told of here only if it can go on as far as the store knows: it has exactly one step without an end, and the
//!   note beside its logs can be read.
//!
//! # Not here
//! The notes themselves (`log::note`), and whether a build still fits the configuration (`build::resume`).
//!
//! # Source
//! `docs/design/resume.md`.

use serde::{Deserialize, Serialize};

use crate::{
    model::{
        BuildId, BuildRequestId, BuilderName, BuildsetId, Outcome, Properties, StepId, WorkerInfo, WorkerName,
    },
    store::{
        Store, child,
        connection::{Row, args},
        error::{JobError, StoreError, failed},
        log::Note,
        request::QueuedRequest,
    },
};

/// What a step's row says of its running command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningCommand {
    /// The command, as the worker knows it.
    pub command: String,
    /// The session of the worker in which it lives.
    pub session: String,
    /// The names of the builder's steps: it goes on only with the same.
    pub steps: Vec<String>,
    /// Which of the builder's places on the worker it has.
    #[serde(default)]
    pub place: u32,
    /// The names of the secrets that the build had read.
    pub secrets: Vec<String>,
}

/// A build that the last run of this master left without an end, and that can go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Unfinished {
    /// Its key.
    pub build: BuildId,
    /// Its number among the builds of its builder.
    pub number: i64,
    /// For which request.
    pub request: QueuedRequest,
    /// On which worker.
    pub worker: WorkerName,
    /// What that said of itself.
    pub info: WorkerInfo,
    /// What its steps are rendered with.
    pub properties: Properties,
    /// The places of the steps that have ended, and how.
    pub ended: Vec<(i32, Outcome)>,
    /// The step that runs.
    pub step: StepId,
    /// Its place in the build, from 0.
    pub step_number: i32,
    /// What runs in it.
    pub running: RunningCommand,
    /// How far its logs are.
    pub note: Note,
}

impl Store {
    /// Writes down what runs in a step, so that it can be taken up again.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] if there is no such step.
    pub async fn note_command(&self, step: StepId, running: RunningCommand) -> Result<(), StoreError> {
        let deed = "note the command of a step";
        self.write(deed, move |work| {
            Box::pin(async move {
                let running = serde_json::to_string(&running).expect("names are JSON");
                let sql = "UPDATE steps SET resume = $1 WHERE id = $2 AND complete_at IS NULL";
                match work.execute(sql, args![running, step.0]).await? {
                    0 => Err(JobError::unknown(deed, "running step", &step)),
                    _ => Ok(()),
                }
            })
        })
        .await
    }

    /// The builds of this master's last run that can go on, the oldest first. To be called once, before the first build
    /// begins; those that are not taken up are [resolved](Store::resolve_unfinished).
    pub async fn unfinished(&self) -> Result<Vec<Unfinished>, StoreError> {
        let deed = "find builds that can go on";
        let rows = self.pool.rows(RESUMABLE, args![self.master.0]).await;
        let mut found: Vec<Unfinished> = Vec::new();
        for row in rows.map_err(|error| failed(deed, error))? {
            let step = StepId(row.integer("stepid").map_err(|error| failed(deed, error))?);
            let Some(note) = self.note(step).await else { continue };
            let ended =
                self.pool.rows(ENDED, args![row.integer("buildid").map_err(|error| failed(deed, error))?]);
            let ended = ended.await.map_err(|error| failed(deed, error))?;
            found.push(read(&row, step, note, &ended).map_err(|error| failed(deed, error))?);
        }
        Ok(found)
    }
}

/// With the one step of each that has no end; a build with several of them is none that this program left.
pub(super) const RESUMABLE: &str = "SELECT b.id AS buildid, b.number, b.properties, w.name AS worker, w.info, n.name AS builder,
         r.id AS requestid, r.buildsetid, -r.urgency AS priority, r.submitted_at, r.waiting_since, r.attempts, r.waited_for,
         s.reason, s.properties AS wanted, s.parent_buildid, p.buildrequestid AS parent_request, t.id AS stepid, t.number AS step_number, t.resume
     FROM steps t JOIN builds b ON b.id = t.buildid JOIN workers w ON w.id = b.workerid
         JOIN builders n ON n.id = b.builderid JOIN build_requests r ON r.id = b.buildrequestid
         JOIN buildsets s ON s.id = r.buildsetid LEFT JOIN builds p ON p.id = s.parent_buildid
     WHERE t.complete_at IS NULL AND t.resume IS NOT NULL AND b.complete_at IS NULL AND b.masterid = $1
         AND NOT EXISTS (SELECT 1 FROM steps o WHERE o.buildid = b.id AND o.complete_at IS NULL AND o.id <> t.id)
     ORDER BY b.id";

const ENDED: &str =
    "SELECT number, results FROM steps WHERE buildid = $1 AND complete_at IS NOT NULL ORDER BY number";

fn read(row: &Row, step: StepId, note: Note, ended: &[Row]) -> Result<Unfinished, sqlx::Error> {
    let place =
        |row: &Row, column| Ok::<_, sqlx::Error>(i32::try_from(row.integer(column)?).unwrap_or(i32::MAX));
    let outcome =
        |row: &Row| Ok((place(row, "number")?, row.maybe_outcome("results")?.unwrap_or(Outcome::Exception)));
    Ok(Unfinished {
        build: BuildId(row.integer("buildid")?),
        number: row.integer("number")?,
        request: QueuedRequest {
            id: BuildRequestId(row.integer("requestid")?),
            buildset: BuildsetId(row.integer("buildsetid")?),
            builder: row.parsed::<BuilderName>("builder")?,
            priority: place(row, "priority")?,
            submitted_at: row.instant("submitted_at")?,
            waiting_since: row.instant("waiting_since")?,
            attempts: u32::try_from(row.integer("attempts")?).unwrap_or(u32::MAX),
            reason: row.text("reason")?,
            properties: row.json("wanted")?,
            not_before: None,
            avoid: None,
            parent: child::parent(row)?,
        },
        worker: row.parsed("worker")?,
        info: row.json("info")?,
        properties: row.json("properties")?,
        ended: ended.iter().map(outcome).collect::<Result<_, sqlx::Error>>()?,
        step,
        step_number: place(row, "step_number")?,
        running: row.json("resume")?,
        note,
    })
}
