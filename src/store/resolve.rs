//! After a start: what the last run of this master left without an end gets one.

use std::collections::BTreeMap;

use crate::{
    model::{BuildId, BuilderName, MasterId, Outcome, StepId, Timestamp},
    store::{
        Store,
        build::{EndedStep, RequestEnd, end_build, end_step},
        child::{self, Orphans},
        connection::args,
        error::{JobError, StoreError},
        job::Work,
        log::LogError,
        resume::Unfinished,
        worker,
    },
};

/// How often a build of a builder that is no longer configured may be tried again.
const DEFAULT_RETRIES: u32 = 3;

/// What was resolved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Builds that had no end.
    pub builds: u64,
    /// Requests of these that went back to the queue.
    pub requeued: u64,
    /// Requests of these that had their last attempt, and failed.
    pub failed: u64,
    /// Requests in the queue that were cancelled, since the build that waited for them has ended.
    pub cancelled: u64,
}

impl Store {
    /// Gives an end to all builds, steps and logs of this master that have none, and notes that no worker is attached.
    /// To be called once, before the first build begins. The builds of `taken_up` are left as they are: they go on.
    ///
    /// A build without an end becomes `Retry` and its request waits again, unless it was lost
    /// more often than its builder's number in `retries` (3 for one that is not there): then both end as `Exception`. Logs keep what is on disk.
    ///
    /// # Errors
    /// [`LogError`]: a file of a log cannot be read, or the database failed. Called again, it goes on.
    pub async fn resolve_unfinished(
        &self,
        retries: BTreeMap<BuilderName, u32>,
        taken_up: &[Unfinished],
        at: Timestamp,
    ) -> Result<Resolved, LogError> {
        let steps: Vec<StepId> = taken_up.iter().map(|build| build.step).collect();
        self.sweep_notes(&steps).await?;
        self.close_open_logs(&steps, at).await?;
        let builds: Vec<BuildId> = taken_up.iter().map(|build| build.build).collect();
        let resolved = self.write("resolve what the last run left", move |work| {
            Box::pin(async move {
                Ok::<_, JobError<StoreError>>(resolve(work, &retries, &steps, &builds, at).await?)
            })
        });
        Ok(resolved.await?)
    }
}

pub(super) const OPEN_STEPS: &str = "SELECT s.id FROM steps s JOIN builds b ON b.id = s.buildid
     WHERE s.complete_at IS NULL AND b.masterid = $1 ORDER BY s.id";

pub(super) const OPEN_BUILDS: &str =
    "SELECT b.id, r.attempts, n.name AS builder FROM builds b JOIN build_requests r ON r.id = b.buildrequestid
         JOIN builders n ON n.id = b.builderid
     WHERE b.complete_at IS NULL AND b.masterid = $1 ORDER BY b.id";

async fn resolve(
    work: &mut Work,
    retries: &BTreeMap<BuilderName, u32>,
    steps: &[StepId],
    builds: &[BuildId],
    at: Timestamp,
) -> Result<Resolved, sqlx::Error> {
    let state = "the master was killed";
    let MasterId(master) = work.master;
    for row in work.rows(OPEN_STEPS, args![master]).await? {
        let step = StepId(row.integer("id")?);
        if steps.contains(&step) {
            continue;
        }
        let end = EndedStep { outcome: Outcome::Retry, state, hidden: false };
        end_step(work, step, end, at).await?;
    }
    let mut resolved = Resolved::default();
    for row in work.rows(OPEN_BUILDS, args![master]).await? {
        let build = BuildId(row.integer("id")?);
        if builds.contains(&build) {
            continue;
        }
        let retries = retries.get(&row.parsed::<BuilderName>("builder")?).copied().unwrap_or(DEFAULT_RETRIES);
        let again = row.integer("attempts")? < i64::from(retries);
        let (outcome, request) = if again {
            (Outcome::Retry, RequestEnd::Requeue { not_before: None, counted: true })
        } else {
            (Outcome::Exception, RequestEnd::Complete)
        };
        end_build(work, build, outcome, state, request, at).await?;
        resolved.builds += 1;
        *(if again { &mut resolved.requeued } else { &mut resolved.failed }) += 1;
    }
    // Each end cancels what it leaves behind; this finds what a later law may have left out.
    resolved.cancelled += child::cancel_orphans(work, Orphans::All, at).await?;
    worker::detach_all(work, MasterId(master), at).await?;
    Ok(resolved)
}
