//! After a start: what the last run of this master left without an end gets one.

use crate::{
    model::{BuildId, MasterId, Outcome, StepId, Timestamp},
    store::{
        Store,
        build::{EndedStep, RequestEnd, end_build, end_step},
        connection::args,
        error::{JobError, StoreError},
        job::Work,
        log::LogError,
        worker,
    },
};

/// What was resolved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Builds that had no end.
    pub builds: u64,
    /// Requests of these that went back to the queue.
    pub requeued: u64,
    /// Requests of these that had their last attempt, and failed.
    pub failed: u64,
}

impl Store {
    /// Gives an end to all builds, steps and logs of this master that have none, and notes that no worker is attached.
    /// To be called once, before the first build begins.
    ///
    /// A build without an end becomes `Retry` and its request waits again, unless this was attempt number
    /// `most_attempts`: then both end as `Exception`. Logs keep what is on disk.
    ///
    /// # Errors
    /// [`LogError`]: a file of a log cannot be read, or the database failed. Called again, it goes on.
    pub async fn resolve_unfinished(&self, most_attempts: u32, at: Timestamp) -> Result<Resolved, LogError> {
        self.close_open_logs(at).await?;
        let resolved = self.write("resolve what the last run left", move |work| {
            Box::pin(async move { Ok::<_, JobError<StoreError>>(resolve(work, most_attempts, at).await?) })
        });
        Ok(resolved.await?)
    }
}

pub(super) const OPEN_STEPS: &str = "SELECT s.id FROM steps s JOIN builds b ON b.id = s.buildid
     WHERE s.complete_at IS NULL AND b.masterid = $1 ORDER BY s.id";

pub(super) const OPEN_BUILDS: &str =
    "SELECT b.id, r.attempts FROM builds b JOIN build_requests r ON r.id = b.buildrequestid
     WHERE b.complete_at IS NULL AND b.masterid = $1 ORDER BY b.id";

async fn resolve(work: &mut Work, most_attempts: u32, at: Timestamp) -> Result<Resolved, sqlx::Error> {
    let state = "the master was killed";
    let MasterId(master) = work.master;
    for row in work.rows(OPEN_STEPS, args![master]).await? {
        let end = EndedStep { outcome: Outcome::Retry, state, hidden: false };
        end_step(work, StepId(row.integer("id")?), end, at).await?;
    }
    let mut resolved = Resolved::default();
    for row in work.rows(OPEN_BUILDS, args![master]).await? {
        let again = row.integer("attempts")? + 1 < i64::from(most_attempts);
        let (outcome, request) = if again {
            (Outcome::Retry, RequestEnd::Requeue { not_before: None, counted: true })
        } else {
            (Outcome::Exception, RequestEnd::Complete)
        };
        end_build(work, BuildId(row.integer("id")?), outcome, state, request, at).await?;
        resolved.builds += 1;
        *(if again { &mut resolved.requeued } else { &mut resolved.failed }) += 1;
    }
    worker::detach_all(work, MasterId(master), at).await?;
    Ok(resolved)
}
