//! One round: all that can start just now, and what must be known or asked before more can.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashSet},
    mem,
    sync::Arc,
    time::Instant,
};

use super::{
    Board, Index, MOST_LOOKED_AT, Outlook, PAGE, Question, Refill,
    candidate::{Candidate, Seen},
    question::{Answer, Matter},
};
use crate::{
    build::{
        busy::Seat,
        control::BuildControl,
        lock::{self, Owner, Want},
    },
    definition::{BuilderDefinition, WorkerDefinition},
    model::{BuildRequestId, BuilderName, Timestamp},
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
enum Came {
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
                }
            }
        }
        round
    }

    /// The first of these candidates on which a request has all its locks, which it takes; nothing if it must wait in their
    /// lines.
    fn take_locks(
        &self,
        builder: &BuilderDefinition,
        request: BuildRequestId,
        candidates: &[Candidate],
    ) -> Option<usize> {
        let alternatives: Vec<Vec<Want>> =
            candidates.iter().map(|candidate| self.wants(builder, candidate)).collect();
        match alternatives.first() {
            None => None,
            Some(first) if first.is_empty() => Some(0),
            Some(_) => match self.locks.try_take(Owner::Request(request), &alternatives) {
                Ok(lock::Answer::Granted(chosen)) => Some(chosen),
                Ok(lock::Answer::Waiting) => None,
                Err(fault) => unreachable!("checked locks can be asked for: {fault}"),
            },
        }
    }

    /// How many builds of a builder run, and how many of its requests are known to wait.
    pub(in crate::build) fn numbers(&self, builder: &BuilderName) -> (usize, usize) {
        let waiting = self.pending.get(builder).map_or(0, |pending| pending.window.len());
        (self.busy.of_builder(builder), waiting)
    }

    /// What a function said of a question. A build that starts for it is returned.
    pub(in crate::build) fn answer(
        &mut self,
        answer: Answer,
        outlook: &dyn Outlook,
        lent: &HashSet<BuildRequestId>,
        now: Instant,
    ) -> Option<Start> {
        let (builder, request, worker) = self.take_answer(answer, now)?;
        let definition = Arc::clone(self.definition.builders.get(&builder)?);
        let index = self.pending.get(&builder)?.find(request)?;
        let number = self.farm.number(&worker)?;
        if !self.farm.of_builder(&builder).contains(&number) {
            return None;
        }
        let request = self.pending.get(&builder)?.request(index)?;
        let is_lent = self.lends(request, lent) == Some(number);
        let mut seen = Seen::new(outlook, &self.farm);
        let candidate = seen.candidate((&self.farm, &self.busy), &definition, number, is_lent)?;
        let id = request.id;
        if self.take_locks(&definition, id, &[candidate]).is_none() {
            self.in_line.insert(id);
            return None;
        }
        Some(self.start(&definition, index, candidate))
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

    /// Lets one builder start a build, if it can.
    fn serve(
        &mut self,
        name: &BuilderName,
        seen: &mut Seen<'_>,
        lent: &HashSet<BuildRequestId>,
        in_line: &mut HashSet<BuildRequestId>,
        now: Instant,
    ) -> Came {
        let Some(builder) = self.definition.builders.get(name).cloned() else { return Came::Nothing };
        let ordinary: Vec<Candidate> = self.candidates(&builder, seen);
        if self.is_asked_about(&builder) {
            return self.ask(&builder, &ordinary, seen, lent, now);
        }
        let Some(pending) = self.pending.get(name) else { return Came::Nothing };
        let (mut found, mut is_blocked) = (None, false);
        for index in pending.indexes() {
            let Some(request) = pending.request(index) else { continue };
            // Those behind it want the same locks, unless they stand before it in the lines, or have a seat that it has not.
            if is_blocked && lent.is_empty() && !self.in_line.contains(&request.id) {
                continue;
            }
            let candidates = self.for_request(&builder, request, &ordinary, seen, lent);
            if candidates.is_empty() {
                // Only a child whose parent waits has others than all have.
                if lent.is_empty() {
                    break;
                }
                continue;
            }
            let chosen = self.take_locks(&builder, request.id, &candidates);
            match chosen {
                Some(chosen) => {
                    found = Some((index, candidates[chosen]));
                    break;
                }
                None => {
                    in_line.insert(request.id);
                    is_blocked = true;
                }
            }
        }
        match found {
            Some((index, candidate)) => {
                Came::Move(Move::Start(Box::new(self.start(&builder, index, candidate))))
            }
            None => Came::Nothing,
        }
    }

    /// Asks the functions of a builder, if that may let something start.
    fn ask(
        &mut self,
        builder: &Arc<BuilderDefinition>,
        ordinary: &[Candidate],
        seen: &mut Seen<'_>,
        lent: &HashSet<BuildRequestId>,
        now: Instant,
    ) -> Came {
        let (version, mut wake_at) = (self.version, None::<Instant>);
        let mut wait_until = |at: Instant| wake_at = Some(wake_at.map_or(at, |wake| wake.min(at)));
        let Some(pending) = self.pending.get(&builder.name) else { return Came::Nothing };
        if pending.asked {
            return Came::Nothing;
        }
        if let Some(refusal) = &pending.all_refused {
            let again = refusal.ask_again_at(version);
            if again > now {
                self.wake(again);
                return Came::Nothing;
            }
        }
        let mut requests = Vec::new();
        for index in pending.indexes() {
            let Some(request) = pending.request(index) else { continue };
            if let Some(again) = pending.refused.get(&request.id).map(|refusal| refusal.ask_again_at(version))
                && again > now
            {
                wait_until(again);
                continue;
            }
            let candidates = self.for_request(builder, request, ordinary, seen, lent);
            let owner = Owner::Request(request.id);
            let free = candidates.into_iter().filter(|candidate| {
                let wants = self.wants(builder, candidate);
                wants.is_empty() || self.locks.would_grant(owner, &wants)
            });
            let workers: Vec<_> = free.map(|candidate| self.worker_facts(&candidate)).collect();
            if !workers.is_empty() {
                requests.push((request.clone(), workers));
            }
            if requests.len() >= if builder.next_build.is_some() { PAGE } else { 1 } {
                break;
            }
        }
        if let Some(at) = wake_at {
            self.wake(at);
        }
        if requests.is_empty() {
            let pending = &self.pending[&builder.name];
            // All that are known are refused, each for itself: those behind them may be wanted.
            let all_refused = !pending.refused.is_empty() && pending.refused.len() >= pending.window.len();
            return match pending.window.back().filter(|_| all_refused && pending.more) {
                Some(last) if pending.window.len() < MOST_LOOKED_AT => {
                    Came::Refill(Refill { builder: builder.name.clone(), after: Some(last.mark()) })
                }
                _ => Came::Nothing,
            };
        }
        if let Some(pending) = self.pending.get_mut(&builder.name) {
            pending.asked = true;
        }
        let matter = Matter::Build {
            select: self
                .definition
                .settings
                .as_ref()
                .and_then(|settings| settings.select_next_worker.clone()),
            about: self.about(builder),
            builder: Arc::clone(builder),
            requests,
        };
        Came::Move(Move::Ask(Box::new(self.question(matter))))
    }

    /// The workers that may take any request of a builder, but for locks.
    fn candidates(&self, builder: &BuilderDefinition, seen: &mut Seen<'_>) -> Vec<Candidate> {
        let numbers = self.farm.of_builder(&builder.name).iter();
        numbers
            .filter_map(|number| seen.candidate((&self.farm, &self.busy), builder, *number, false))
            .collect()
    }

    /// The workers that may take this request, the best first: the idlest; among equals the one that rested longest; at last
    /// the one that has lost it, and the seat of its parent.
    fn for_request(
        &self,
        builder: &BuilderDefinition,
        request: &QueuedRequest,
        ordinary: &[Candidate],
        seen: &mut Seen<'_>,
        lent: &HashSet<BuildRequestId>,
    ) -> Vec<Candidate> {
        let mut all = ordinary.to_vec();
        if let Some(number) = self.lends(request, lent)
            && !all.iter().any(|candidate| candidate.number == number)
            && self.farm.of_builder(&builder.name).contains(&number)
        {
            all.extend(seen.candidate((&self.farm, &self.busy), builder, number, true));
        }
        let steps: Vec<_> = builder.steps.iter().filter(|step| !step.locks.is_empty()).collect();
        let owner = Owner::Request(request.id);
        all.sort_by_cached_key(|candidate| {
            let worker = &self.farm.workers[candidate.number].name;
            let avoided = request.avoid.as_ref() == Some(worker);
            let waits = |step: &&crate::definition::StepDefinition| {
                !self.locks.would_grant(owner, &lock::wants(&step.locks, worker))
            };
            let step_locks = steps.iter().filter(|step| waits(step)).count();
            (candidate.is_lent, avoided, step_locks, candidate.running, candidate.last_used, candidate.number)
        });
        all
    }

    /// The worker on which the parent of a request lends it its seat.
    pub(super) fn lends(&self, request: &QueuedRequest, lent: &HashSet<BuildRequestId>) -> Option<usize> {
        let parent = request.parent.as_ref().filter(|parent| parent.waits)?;
        if !lent.contains(&parent.request) || self.busy.is_shared(parent.request) {
            return None;
        }
        self.farm.number(&self.busy.builds.get(&parent.request)?.worker)
    }

    /// The locks that a build needs on a worker. On the seat of its parent, it has the worker's by that.
    pub(super) fn wants(&self, builder: &BuilderDefinition, candidate: &Candidate) -> Vec<Want> {
        let worker = &self.farm.workers[candidate.number];
        if builder.locks.is_empty() && worker.locks.is_empty() {
            return Vec::new();
        }
        let mut wants = lock::wants(&builder.locks, &worker.name);
        if !candidate.is_lent {
            wants.extend(lock::wants(&worker.locks, &worker.name));
        }
        wants
    }

    /// Takes a request out of the window and gives it its seat.
    fn start(&mut self, builder: &Arc<BuilderDefinition>, index: Index, candidate: Candidate) -> Start {
        let pending = self.pending.get_mut(&builder.name).expect("a builder that is served has a window");
        let request = pending.take(index);
        let worker = Arc::clone(&self.farm.workers[candidate.number]);
        let shared_with = request.parent.as_ref().filter(|_| candidate.is_lent).map(|parent| parent.request);
        let control = BuildControl::new();
        self.in_line.remove(&request.id);
        self.busy.take(
            request.id,
            Seat {
                builder: builder.name.clone(),
                worker: worker.name.clone(),
                place: candidate.place,
                shared_with,
                control: control.clone(),
            },
        );
        Start { request, builder: Arc::clone(builder), worker, place: candidate.place, control }
    }

    pub(super) fn wake(&mut self, at: Instant) {
        self.wake_at = Some(self.wake_at.map_or(at, |wake| wake.min(at)));
    }
}
