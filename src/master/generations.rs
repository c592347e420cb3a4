//! What became of the last reloads, as people and programs are told.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    sync::Arc,
};

use jiff::tz::TimeZone;

use crate::{
    definition::{Deed, Problem, WorkerDefinition},
    master::impact::Impact,
    model::{Place, Timestamp, WorkerName},
    store::GenerationRow,
};

/// How many reloads are remembered.
pub const REMEMBERED: usize = 20;

/// How many items and problems of a remembered reload are kept; whoever asked for it was told all.
const MOST_LINES: usize = 200;

/// Why a configuration was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The master started.
    Start,
    /// A file changed.
    File,
    /// SIGHUP.
    Signal,
    /// `lunabot reconfig`.
    Command,
}

/// What became of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is in force.
    Committed,
    /// It is what runs already.
    Unchanged,
    /// It is wrong, or needs a restart.
    Refused,
    /// It takes away too many workers for a mere change of a file; somebody must say so.
    Held,
    /// It is right, but could not be brought into force.
    Failed,
    /// It was only looked at.
    Planned,
}

/// One load and what became of it.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// Why; several if they came together.
    pub causes: BTreeSet<Cause>,
    /// What became of it.
    pub verdict: Verdict,
    /// The number of the generation that it made.
    pub generation: Option<i64>,
    /// What the plan does, one by one.
    pub items: Vec<Item>,
    /// What the plan does to what runs; nothing if there was no plan.
    pub impact: Option<Impact>,
    /// The most links that it may cut; any number if nobody gave a limit.
    pub max_disconnects: Option<u32>,
    /// What is wrong, warnings too, in the order of lines.
    pub problems: Vec<Problem>,
    /// The whole in one line.
    pub summary: String,
}

/// One thing that a plan does, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// `+ worker "bot2"`.
    pub change: String,
    /// `added`.
    pub effect: String,
    /// What the part is called by people: `worker`, `builder`.
    pub noun: &'static str,
    /// Its name.
    pub name: String,
    /// What is done with it.
    pub deed: Deed,
    /// Where it is written; of what goes, where it was.
    pub place: Place,
}

/// The generation that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Its number: 1 for the first of this database, without gaps.
    pub number: i64,
    /// Since when it runs.
    pub since: Timestamp,
}

/// What runs, and what became of the last reloads.
#[derive(Clone, Debug)]
pub struct Generations {
    /// What runs.
    pub running: Generation,
    /// The last loads, the newest first, at most [`REMEMBERED`].
    pub attempts: VecDeque<Arc<Attempt>>,
    /// The load because of which the files on disk are not what runs.
    pub differs: Option<Arc<Attempt>>,
    /// Why a load is under way, if one is.
    pub pending: Option<BTreeSet<Cause>>,
    /// Workers that are gone from the configuration and finish their builds.
    pub draining: BTreeMap<WorkerName, Arc<WorkerDefinition>>,
}

impl Cause {
    const ALL: [Self; 4] = [Self::Start, Self::File, Self::Signal, Self::Command];

    /// As it is kept and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::File => "file",
            Self::Signal => "sighup",
            Self::Command => "reconfig",
        }
    }
}

impl Verdict {
    /// As it is shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
            Self::Held => "held",
            Self::Failed => "failed",
            Self::Planned => "planned",
        }
    }
}

/// The causes as one text: `file,reconfig`.
pub fn named(causes: &BTreeSet<Cause>) -> String {
    causes.iter().map(|cause| cause.name()).collect::<Vec<_>>().join(",")
}

/// "1 problem", "2 problems".
pub(super) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

impl Attempt {
    /// How many problems keep it from being used.
    pub fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| problem.is_error()).count()
    }

    /// What it does in all, or would do, in one line; nothing if it may not be done.
    pub fn tally(&self) -> Option<String> {
        let is_told = matches!(self.verdict, Verdict::Committed | Verdict::Planned);
        self.impact.as_ref().filter(|_| is_told).map(ToString::to_string)
    }

    /// How many links it would cut, if those are more than it may.
    pub fn too_many_cuts(&self) -> Option<usize> {
        let (limit, impact) = (self.max_disconnects?, self.impact.as_ref()?);
        impact.exceeds(limit).then_some(impact.links_cut)
    }

    /// Why what it loaded is not in force; nothing if it is.
    pub fn obstacle(&self) -> Option<String> {
        match self.verdict {
            Verdict::Committed | Verdict::Unchanged | Verdict::Planned => None,
            Verdict::Refused => Some(match self.too_many_cuts().filter(|_| self.errors() == 0) {
                Some(count) => format!("it would cut {}", counted(count, "link")),
                None => counted(self.errors(), "problem"),
            }),
            Verdict::Held => Some("it takes away so many workers that it is held".into()),
            Verdict::Failed => Some("it could not be brought into force".into()),
        }
    }

    fn abridged(&self) -> Self {
        let mut short = self.clone();
        short.items.truncate(MOST_LINES);
        short.problems.truncate(MOST_LINES);
        if let Some(impact) = &mut short.impact {
            impact.disconnects.truncate(MOST_LINES);
        }
        short
    }
}

impl Generations {
    /// After a start, with what the store remembers of the time before, the newest first and the running one among it.
    pub(super) fn after_start(running: Generation, stored: &[GenerationRow]) -> Self {
        let attempts = stored.iter().take(REMEMBERED).map(|row| {
            let causes = row
                .cause
                .split(',')
                .filter_map(|name| Cause::ALL.into_iter().find(|cause| cause.name() == name))
                .collect();
            Arc::new(Attempt {
                at: row.committed_at,
                causes,
                verdict: Verdict::Committed,
                generation: Some(row.generation),
                items: Vec::new(),
                impact: None,
                max_disconnects: None,
                problems: Vec::new(),
                summary: format!(
                    "{}, {}, {}",
                    counted(usize::try_from(row.workers).unwrap_or(0), "worker"),
                    counted(usize::try_from(row.builders).unwrap_or(0), "builder"),
                    counted(usize::try_from(row.schedulers).unwrap_or(0), "scheduler"),
                ),
            })
        });
        let attempts = attempts.collect();
        Self { running, attempts, differs: None, pending: None, draining: BTreeMap::new() }
    }

    /// Remembers a load.
    pub(super) fn remember(&mut self, attempt: &Attempt) {
        let attempt = Arc::new(attempt.abridged());
        if let (Verdict::Committed, Some(number)) = (attempt.verdict, attempt.generation) {
            self.running = Generation { number, since: attempt.at };
        }
        self.differs = attempt.obstacle().map(|_| Arc::clone(&attempt));
        self.attempts.truncate(REMEMBERED - 1);
        self.attempts.push_front(attempt);
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since.to_zoned_datetime(TimeZone::system());
        write!(f, "generation {} of {}", self.number, since.strftime("%H:%M"))
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let was = if self.deed == Deed::Remove { "was " } else { "" };
        write!(f, "{}: {} [{was}{}]", self.change, self.effect, self.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(verdict: Verdict, generation: Option<i64>) -> Attempt {
        Attempt {
            at: Timestamp::UNIX_EPOCH,
            causes: [Cause::File, Cause::Command].into(),
            verdict,
            generation,
            items: vec![
                Item {
                    change: "+ worker \"w\"".into(),
                    effect: "added".into(),
                    noun: "worker",
                    name: "w".into(),
                    deed: Deed::Add,
                    place: Place::new("master.cfg.lua", 14),
                };
                MOST_LINES + 1
            ],
            impact: None,
            max_disconnects: None,
            problems: Vec::new(),
            summary: String::new(),
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_last_word_tells_whether_the_disk_differs() {
        let running = Generation { number: 1, since: Timestamp::UNIX_EPOCH };
        let mut generations = Generations::after_start(running, &[]);
        for _ in 0..50 {
            generations.remember(&attempt(Verdict::Refused, None));
        }
        assert_eq!(generations.attempts.len(), REMEMBERED);
        assert_eq!(generations.attempts[0].items.len(), MOST_LINES);
        assert_eq!(generations.running.number, 1);
        assert!(generations.differs.is_some());
        generations.remember(&attempt(Verdict::Committed, Some(2)));
        assert_eq!(generations.running.number, 2);
        assert!(generations.differs.is_none());
        generations.remember(&attempt(Verdict::Held, None));
        assert!(generations.differs.is_some());
        generations.remember(&attempt(Verdict::Unchanged, None));
        assert!(generations.differs.is_none());
        assert_eq!(named(&generations.attempts[0].causes), "file,reconfig");
    }
}
