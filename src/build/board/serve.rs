//! One builder's turn: which of its requests starts on which worker, or what is asked first.
//!
//! # Laws
//! - A request waits in the lines of its locks only while some worker could take it but for them.
//!
//! # Not here
//! Whose turn it is (`round`), what a worker may take (`candidate`).

use std::{collections::HashSet, sync::Arc, time::Instant};

use super::{
    Board, Index, MOST_LOOKED_AT, Outlook, PAGE, Refill,
    candidate::{Candidate, Seen},
    question::{Answer, Matter},
    round::{Came, Move, Start},
};
use crate::{
    build::{
        busy::Seat,
        control::BuildControl,
        lock::{self, Owner, Want},
    },
    definition::{BuilderDefinition, StepDefinition},
    model::{BuildRequestId, BuilderName},
    store::QueuedRequest,
};

impl Board {
    /// Lets one builder start a build, if it can.
    pub(super) fn serve(
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
            return self.ask(&builder, &ordinary, seen, lent, in_line, now);
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

    /// Asks the functions of a builder, if that may let something start. What waits for locks keeps its place in their lines
    /// meanwhile, but takes them only when it starts.
    fn ask(
        &mut self,
        builder: &Arc<BuilderDefinition>,
        ordinary: &[Candidate],
        seen: &mut Seen<'_>,
        lent: &HashSet<BuildRequestId>,
        in_line: &mut HashSet<BuildRequestId>,
        now: Instant,
    ) -> Came {
        let (version, mut wake_at) = (self.version, None::<Instant>);
        let mut wait_until = |at: Instant| wake_at = Some(wake_at.map_or(at, |wake| wake.min(at)));
        let Some(pending) = self.pending.get(&builder.name) else { return Came::Nothing };
        if pending.asked {
            let known =
                pending.indexes().filter_map(|index| pending.request(index)).map(|request| request.id);
            in_line.extend(known.filter(|id| self.in_line.contains(id)));
            return Came::Nothing;
        }
        if let Some(refusal) = &pending.all_refused {
            let again = refusal.ask_again_at(version);
            if again > now {
                self.wake(again);
                return Came::Nothing;
            }
        }
        let (mut requests, mut is_blocked) = (Vec::new(), false);
        for index in pending.indexes() {
            let Some(request) = pending.request(index) else { continue };
            if let Some(again) = pending.refused.get(&request.id).map(|refusal| refusal.ask_again_at(version))
                && again > now
            {
                wait_until(again);
                continue;
            }
            let candidates = self.for_request(builder, request, ordinary, seen, lent);
            if candidates.is_empty() {
                continue;
            }
            let owner = Owner::Request(request.id);
            let wants: Vec<_> = candidates.iter().map(|candidate| self.wants(builder, candidate)).collect();
            let is_free = |wants: &Vec<Want>| wants.is_empty() || self.locks.would_grant(owner, wants);
            let free = candidates.iter().zip(&wants).filter(|(_, wants)| is_free(wants));
            let workers: Vec<_> = free.map(|(candidate, _)| self.worker_facts(candidate)).collect();
            let is_in_line = self.in_line.contains(&request.id);
            if is_in_line || (workers.is_empty() && !is_blocked) {
                self.locks.stand(owner, &wants).expect("who waits in the queue holds no lock");
                in_line.insert(request.id);
            }
            if workers.is_empty() {
                is_blocked = true;
            } else {
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
            about: Box::new(self.about(builder)),
            builder: Arc::clone(builder),
            requests,
        };
        Came::Move(Move::Ask(Box::new(self.question(matter))))
    }

    /// The workers that may take any request of a builder, but for locks.
    pub(super) fn candidates(&self, builder: &BuilderDefinition, seen: &mut Seen<'_>) -> Vec<Candidate> {
        let numbers = self.farm.of_builder(&builder.name).iter();
        numbers
            .filter_map(|number| seen.candidate((&self.farm, &self.busy), builder, *number, false))
            .collect()
    }

    /// The workers that may take this request, the best first: the idlest; among equals the one that rested longest; at last
    /// the one that has lost it, and the seat of its parent.
    pub(super) fn for_request(
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
            let waits =
                |step: &&StepDefinition| !self.locks.would_grant(owner, &lock::wants(&step.locks, worker));
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

    /// The first of these candidates on which a request has all its locks, which it takes; nothing if it must wait in their
    /// lines.
    pub(super) fn take_locks(
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

    /// Takes a request out of the window and gives it its seat.
    pub(super) fn start(
        &mut self,
        builder: &Arc<BuilderDefinition>,
        index: Index,
        candidate: Candidate,
    ) -> Start {
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
}
