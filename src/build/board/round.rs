//! One round: all that can start just now, and what must be known or asked before more can.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashSet},
    mem,
    sync::Arc,
    time::Instant,
};

use super::{Board, Outlook, Question, Refill, candidate::Seen, question::Matter};
use crate::{
    build::{
        control::BuildControl,
        lock::{Cycle, Owner},
    },
    definition::{BuilderDefinition, WorkerDefinition},
    model::{BuildRequestId, BuilderName, Place, Timestamp},
    store::QueuedRequest,
};

/// What is to be done.
#[derive(Debug, Default)]
pub(in crate::build) struct Round {
    /// In this order.
    pub(in crate::build) moves: Vec<Move>,
    /// What must be read before more can be done: then another round is due.
    pub(in crate::build) refills: Vec<Refill>,
    /// When another round is due though nothing changes.
    pub(in crate::build) wake_at: Option<Instant>,
}

/// Which requests may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::build) enum Wanted {
    /// All.
    All,
    /// Those for which a running build waits: the master is stopping, and waits for that one.
    Children,
}

/// One thing to do.
#[derive(Debug)]
pub(in crate::build) enum Move {
    /// A build starts; its seat and its locks are taken.
    Start(Box<Start>),
    /// A function of the configuration is to be asked.
    Ask(Box<Question>),
    /// A request is to be given up.
    GiveUp(Box<Stuck>),
}

/// A request that would wait for ever.
#[derive(Debug)]
pub(in crate::build) struct Stuck {
    pub(in crate::build) request: QueuedRequest,
    /// Where its builder is written.
    pub(in crate::build) place: Place,
    /// Who waits for whom.
    pub(in crate::build) cycle: Cycle,
}

/// A build that starts.
#[derive(Debug)]
pub(in crate::build) struct Start {
    pub(in crate::build) request: QueuedRequest,
    pub(in crate::build) builder: Arc<BuilderDefinition>,
    pub(in crate::build) worker: Arc<WorkerDefinition>,
    /// Which of the builder's places on the worker.
    pub(in crate::build) place: u32,
    pub(in crate::build) control: BuildControl,
}

/// When a builder is served: the least comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    rank: usize,
    priority: Reverse<i32>,
    running: usize,
    served: u64,
    submitted_at: Timestamp,
    /// Builders come in the order of their names.
    name: usize,
}

/// What came of one builder's turn.
pub(super) enum Came {
    /// A build starts, or a question is asked.
    Move(Move),
    /// Nothing of it can start in this round.
    Nothing,
    /// More of its queue must be known.
    Refill(Refill),
}

impl Board {
    /// All that can start now. `lent` are the requests whose builds wait for others, which may have their seats.
    pub(in crate::build) fn round(
        &mut self,
        outlook: &dyn Outlook,
        lent: &HashSet<BuildRequestId>,
        wanted: Wanted,
        now: Instant,
    ) -> Round {
        if wanted == Wanted::Children {
            return self.children_only(outlook, lent);
        }
        let mut round = Round::default();
        let mut seen = Seen::new(outlook, &self.farm);
        self.wake_at = None;
        round.refills = self.unknown(&mut seen, lent);
        // With a builder whose requests are not known, the order of the others is not known either.
        if !round.refills.is_empty() {
            return round;
        }
        let Some(ranks) = self.ranks(&mut round, now) else { return round };
        let names: Vec<BuilderName> = self.pending.keys().cloned().collect();
        let mut turns: BTreeSet<Turn> =
            (0..names.len()).filter_map(|name| self.turn(&names, name, ranks.as_ref())).collect();
        let mut in_line = HashSet::new();
        while let Some(turn) = turns.pop_first() {
            match self.serve(&names[turn.name], &mut seen, lent, &mut in_line, now) {
                Came::Move(done) => {
                    round.moves.push(done);
                    turns.extend(self.turn(&names, turn.name, ranks.as_ref()));
                }
                Came::Nothing => {}
                Came::Refill(refill) => {
                    round.refills.push(refill);
                    round.wake_at = self.wake_at;
                    return round;
                }
            }
        }
        // Who could not run whatever the locks say must not keep others from them.
        for gone in mem::replace(&mut self.in_line, in_line.clone()).difference(&in_line) {
            if !self.busy.builds.contains_key(gone) {
                self.locks.withdraw(Owner::Request(*gone));
            }
        }
        round.wake_at = self.wake_at;
        round
    }

    /// Those for which running builds wait. No function is asked about them: the master is stopping, and they end that.
    fn children_only(&mut self, outlook: &dyn Outlook, lent: &HashSet<BuildRequestId>) -> Round {
        let mut round = Round::default();
        let mut seen = Seen::new(outlook, &self.farm);
        let names: Vec<BuilderName> = self.pending.keys().cloned().collect();
        for name in names {
            let Some(builder) = self.definition.builders.get(&name).cloned() else { continue };
            let children: Vec<BuildRequestId> =
                self.pending[&name].children.iter().map(|request| request.id).collect();
            for child in children {
                let Some(index) = self.pending[&name].find(child) else { continue };
                let ordinary = self.candidates(&builder, &mut seen);
                let request = self.pending[&name].request(index).expect("it was just found").clone();
                let candidates = self.for_request(&builder, &request, &ordinary, &mut seen, lent);
                if let Some(chosen) = self.take_locks(&builder, request.id, &candidates) {
                    let start = self.start(&builder, index, candidates[chosen]);
                    round.moves.push(Move::Start(Box::new(start)));
                } else if let Some(cycle) = self.locks.deadlock(Owner::Request(child)) {
                    round.moves.push(self.give_up(&builder, index, cycle));
                }
            }
        }
        round
    }

    /// How many builds of a builder run, and how many of its requests are known to wait.
    pub(in crate::build) fn numbers(&self, builder: &BuilderName) -> (usize, usize) {
        let waiting = self.pending.get(builder).map_or(0, |pending| pending.window.len());
        (self.busy.of_builder(builder), waiting)
    }

    /// The builders whose requests are not known though somebody could take one.
    fn unknown(&self, seen: &mut Seen<'_>, lent: &HashSet<BuildRequestId>) -> Vec<Refill> {
        let stale = self.pending.iter().filter(|(_, pending)| pending.stale);
        let could_start = stale.filter(|(name, _)| {
            let Some(builder) = self.definition.builders.get(*name) else { return false };
            let mut numbers = self.farm.of_builder(name).iter();
            numbers.any(|number| {
                let lends = !lent.is_empty();
                seen.candidate((&self.farm, &self.busy), builder, *number, lends).is_some()
            })
        });
        could_start.map(|(name, _)| Refill { builder: name.clone(), after: None }).collect()
    }

    /// The place of a builder in the order; nothing if it has nothing to start.
    fn turn(
        &self,
        names: &[BuilderName],
        name: usize,
        ranks: Option<&BTreeMap<BuilderName, usize>>,
    ) -> Option<Turn> {
        let builder = &names[name];
        let pending = self.pending.get(builder)?;
        let first = pending.first().filter(|_| !pending.stale)?;
        let rank = match ranks {
            Some(ranks) => *ranks.get(builder)?,
            None => 0,
        };
        let served = self.busy.last_served.get(builder).copied().unwrap_or(0);
        Some(Turn {
            rank,
            priority: Reverse(first.priority),
            running: self.busy.of_builder(builder),
            served,
            submitted_at: first.submitted_at,
            name,
        })
    }

    /// The order of the builders that a function gives, if there is one; nothing while it is asked, unless it failed the last
    /// time.
    #[expect(clippy::option_option, reason = "no order by a function is not the same as no answer yet")]
    fn ranks(&mut self, round: &mut Round, now: Instant) -> Option<Option<BTreeMap<BuilderName, usize>>> {
        let hook =
            self.definition.settings.as_ref().and_then(|settings| settings.prioritize_builders.clone());
        let Some(hook) = hook else { return Some(None) };
        let waiting: Vec<&BuilderName> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.first().is_some())
            .map(|(name, _)| name)
            .collect();
        if waiting.is_empty() {
            return None;
        }
        // A function that failed holds nobody up while it is asked again: it may never come to an end.
        let meanwhile = self.ranking.as_ref().is_some_and(|ranking| ranking.names.is_none()).then_some(None);
        if self.ranking_asked {
            return meanwhile;
        }
        if let Some(ranking) = &self.ranking {
            let again = ranking.ask_again_at(self.version);
            if now < again {
                let numbered = |names: &Vec<BuilderName>| {
                    names.iter().enumerate().map(|(rank, name)| (name.clone(), rank)).collect()
                };
                let ranks = ranking.names.as_ref().map(numbered);
                self.wake(again);
                return Some(ranks);
            }
        }
        let builders = waiting.into_iter().filter_map(|name| self.definition.builders.get(name)).cloned();
        let builders = builders.map(|builder| self.about(&builder)).collect();
        self.ranking_asked = true;
        let matter = Matter::Ranking { hook, builders };
        round.moves.push(Move::Ask(Box::new(self.question(matter))));
        meanwhile
    }

    pub(super) fn wake(&mut self, at: Instant) {
        self.wake_at = Some(self.wake_at.map_or(at, |wake| wake.min(at)));
    }
}
