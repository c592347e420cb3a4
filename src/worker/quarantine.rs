//! When a worker that fails builds is left alone, and for how long: rules over plain values.
//!
//! A strike is a build that was lost by the worker's own fault. It brings a quarantine: 10 s, and twice as long each time
//! that the same fault comes again, an hour at most.
//!
//! # Laws
//! - While a quarantine runs, another strike of its cause changes nothing; one of another cause counts if it reaches
//!   further.
//! - A quarantine ends by its time, by [`release`], or by a good build. Only the good build wipes the strikes off: the next
//!   quarantine is then as short as the first.
//! - What a person says (a pause) is neither asked for nor changed here.
//!
//! # Not here
//! What counts as a strike (`build::conduct`), who keeps the record (`operator`), the clock.
//!
//! # Source
//! Behaviour of Buildbot, `worker/base.py` (`putInQuarantine`, `resetQuarantine`), but that it counts by cause, that a good build
//! ends a quarantine as well, and that a lost link counts.

use std::time::Duration;

use crate::model::{Quarantine, QuarantineCause, Timestamp, WorkerRecord, remark_line};

/// How long the first quarantine of a cause lasts.
pub const FIRST: Duration = Duration::from_secs(10);

/// How long any of them lasts at most.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// What the end of a build says of its worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// It carried the build out, well or not.
    Good,
    /// The build was lost by its fault; the text tells people of what it was.
    Strike(QuarantineCause, String),
}

/// How long the quarantine of this strike lasts, the first one being 1.
pub fn length(strikes: u32) -> Duration {
    let doublings = strikes.saturating_sub(1);
    2_u32
        .checked_pow(doublings)
        .and_then(|times| FIRST.checked_mul(times))
        .map_or(LONGEST, |long| long.min(LONGEST))
}

/// The quarantine that runs at this instant. One that would last longer than any does was begun by a clock that went
/// wrong, and is over.
pub fn running(record: &WorkerRecord, now: Timestamp) -> Option<&Quarantine> {
    record
        .quarantine
        .as_ref()
        .filter(|quarantine| now < quarantine.until && quarantine.until <= now + LONGEST)
}

/// Takes the end of a build into account; whether that changed anything.
pub fn note(record: &mut WorkerRecord, conduct: &Conduct, now: Timestamp) -> bool {
    match conduct {
        Conduct::Good => {
            let was_clean = record.is_clean();
            *record = WorkerRecord::default();
            !was_clean
        }
        Conduct::Strike(cause, reason) => strike(record, *cause, reason, now),
    }
}

fn strike(record: &mut WorkerRecord, cause: QuarantineCause, reason: &str, now: Timestamp) -> bool {
    let strikes = record.strikes.get(&cause).copied().unwrap_or(0).saturating_add(1);
    let until = now + length(strikes);
    if running(record, now).is_some_and(|first| first.cause == cause || until <= first.until) {
        return false;
    }
    record.strikes.insert(cause, strikes);
    let reason = Some(remark_line(reason)).filter(|reason| !reason.is_empty());
    record.quarantine = Some(Quarantine { cause, reason, strikes, since: now, until });
    true
}

/// Ends the quarantine that runs, if one does, by hand. The strikes stay.
pub fn release(record: &mut WorkerRecord, now: Timestamp) -> Option<Quarantine> {
    running(record, now)?;
    record.quarantine.take()
}

/// Takes a quarantine whose time is over off the record.
pub fn expire(record: &mut WorkerRecord, now: Timestamp) -> Option<Quarantine> {
    if running(record, now).is_some() {
        return None;
    }
    record.quarantine.take()
}

#[cfg(test)]
mod tests;
