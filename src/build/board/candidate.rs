//! Whether a worker may take a build, and if not, why not.

use crate::{
    build::{
        board::{Outlook, farm::Farm},
        busy::Busy,
    },
    definition::{BuilderDefinition, Mismatch},
    model::{Quarantine, Remark},
};

/// How a worker stands, whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It takes builds.
    Ready,
    /// It is not connected.
    Absent,
    /// Its program was told to stop.
    Dismissed,
    /// The operator said so.
    Paused(Remark),
    /// The operator, or the worker itself, wants it to stop once its builds are done.
    Stopping(Remark),
    /// It failed its builds.
    Quarantined(Quarantine),
}

/// Why a worker does not take a build now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyNot {
    /// Nobody could give it one.
    Standing(Standing),
    /// It is not what the builder wants.
    Mismatch(Mismatch),
    /// It runs as many builds as it may.
    Full {
        /// So many run there.
        running: usize,
        /// So many may.
        max_builds: usize,
    },
    /// As many builds of this builder run there as may.
    NoPlace {
        /// So many may.
        max_builds_per_worker: u32,
    },
    /// Locks are held by others, or others wait for them.
    Locked {
        /// Each of these locks, with who has it, for people.
        locks: Vec<String>,
    },
    /// It has less of a lock than a build wants: it can never take one.
    TooFewLocks,
}

/// A worker that may take a build, but for locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Its number in the farm.
    pub(super) number: usize,
    /// How many builds count for it.
    pub(super) running: usize,
    /// A number that grows with each build that ended on it.
    pub(super) last_used: u64,
    /// Which of the builder's places there is free.
    pub(super) place: u32,
    /// Whether it has room but on the seat of the parent.
    pub(super) is_lent: bool,
}

/// What was seen of the workers in one round.
pub(super) struct Seen<'o> {
    outlook: &'o dyn Outlook,
    /// Those that take nothing more in this round: what runs only grows in it.
    useless: Vec<bool>,
}

impl<'o> Seen<'o> {
    pub(super) fn new(outlook: &'o dyn Outlook, farm: &Farm) -> Self {
        Self { outlook, useless: vec![false; farm.workers.len()] }
    }

    /// A worker that may take a build of a builder, but for locks. `is_lent`: it has the seat of its parent there.
    pub(super) fn candidate(
        &mut self,
        (farm, busy): (&Farm, &Busy),
        builder: &BuilderDefinition,
        number: usize,
        is_lent: bool,
    ) -> Option<Candidate> {
        if self.useless[number] && !is_lent {
            return None;
        }
        match examine(self.outlook, (farm, busy), builder, number, is_lent) {
            Ok(candidate) => Some(candidate),
            Err(why) => {
                self.useless[number] |= matches!(why, WhyNot::Standing(_) | WhyNot::Full { .. });
                None
            }
        }
    }
}

/// Whether a worker may take a build of a builder, but for locks; and if not, why not.
pub(super) fn examine(
    outlook: &dyn Outlook,
    (farm, busy): (&Farm, &Busy),
    builder: &BuilderDefinition,
    number: usize,
    is_lent: bool,
) -> Result<Candidate, WhyNot> {
    let worker = &farm.workers[number];
    let name = &worker.name;
    let running = busy.counted(name);
    let most = worker.max_builds.map(|most| usize::try_from(most.get()).unwrap_or(usize::MAX));
    let full = most.filter(|most| running >= *most);
    match outlook.standing(name) {
        Standing::Ready => {}
        other => return Err(WhyNot::Standing(other)),
    }
    if let Some(max_builds) = full.filter(|_| !is_lent) {
        return Err(WhyNot::Full { running, max_builds });
    }
    let most = builder.max_builds_per_worker;
    let Some(place) = busy.free_place(&builder.name, name, most) else {
        return Err(WhyNot::NoPlace { max_builds_per_worker: most });
    };
    if !builder.worker_match.is_empty() {
        outlook.fits(builder, worker).map_err(WhyNot::Mismatch)?;
    }
    let last_used = busy.last_used.get(name).copied().unwrap_or(0);
    Ok(Candidate { number, running, last_used, place, is_lent: full.is_some() })
}
