//! From what the board decides to the builds that start.
//!
//! # Not here
//! The decision (`board`), what wakes the queue (`super`).

use std::sync::Arc;

use tokio::time::Instant;
use tracing::{debug, error, warn};

use super::{AFTER_FAILURE, Builds, ask, collapse::Deciding, handle::StopMode};
use crate::{
    build::{
        board::{Answer, Move, PAGE, Question, Refill, Start, Stuck, Wanted},
        busy::Seat,
        control::BuildControl,
        line::Line,
        resume,
        run::{self, Assignment},
    },
    definition::{BuilderDefinition, Collapse, MasterDefinition, WorkerDefinition},
    model::{BuildRequestId, BuilderName, Outcome, Timestamp},
    protocol::SessionId,
    store::QueuedRequest,
    worker::ConnectionHandle,
};

impl Builds {
    /// Starts all that can start; says when to look again by the clock.
    pub(super) async fn dispatch(&mut self) -> Option<Instant> {
        self.keep_patience().await;
        let wanted = match &*self.stop.borrow() {
            None => Wanted::All,
            Some(StopMode::Drain) => Wanted::Children,
            Some(StopMode::Requeue) => return None,
        };
        loop {
            let lent = self.family.lending.changes().borrow().clone();
            let round = self.board.round(&self.outlook, &lent, wanted, Instant::now().into_std());
            let mut is_done = round.refills.is_empty();
            for done in round.moves {
                match done {
                    Move::Start(start) => is_done &= self.start(*start),
                    Move::Ask(question) => self.ask(*question),
                    Move::GiveUp(stuck) => self.give_up_stuck(*stuck).await,
                }
            }
            for refill in round.refills {
                if self.refill(refill).await.is_err() {
                    return Some(Instant::now() + AFTER_FAILURE);
                }
            }
            if is_done {
                return round.wake_at.map(Instant::from_std);
            }
        }
    }

    /// Reads what the board wants to know of a builder's queue.
    async fn refill(&mut self, refill: Refill) -> Result<(), ()> {
        let mut next = Some(refill);
        while let Some(refill) = next {
            let limit = u32::try_from(PAGE).expect("a page is short");
            let name = &refill.builder;
            let requests = match self.store.due_requests(name, Timestamp::now(), refill.after, limit).await {
                Ok(requests) => requests,
                Err(failure) => {
                    let source =
                        self.definition.borrow().builders.get(name).map(|builder| builder.place.clone());
                    let source = source.map(tracing::field::display);
                    let error = &failure as &dyn std::error::Error;
                    error!(builder = %name, source, error, "cannot read the queue");
                    return Err(());
                }
            };
            let more = requests.len() >= PAGE;
            next = self.board.refill(&refill, requests, more);
        }
        Ok(())
    }

    /// Reads the requests for which builds wait, wherever they are in their queues.
    pub(super) async fn look_at_children(&mut self) {
        let parents: Vec<BuildRequestId> = self.family.lending.changes().borrow().iter().copied().collect();
        match self.store.waiting_children(&parents).await {
            Ok(children) => self.board.set_children(children),
            Err(failure) => {
                let error = &failure as &dyn std::error::Error;
                error!(error, "cannot read the requests for which builds wait");
                self.look_again_at.get_or_insert_with(|| Instant::now() + AFTER_FAILURE);
            }
        }
    }

    /// Ends a request that waits for a lock of a build that waits for it.
    async fn give_up_stuck(&mut self, Stuck { request, place, cycle }: Stuck) {
        let because = format!("a deadlock of locks: {cycle}");
        warn!(builder = %request.builder, source = %place, request = %request.id, "{because}; it is given up");
        if let Err(failure) =
            self.store.give_up_request(request.id, Outcome::Exception, &because, Timestamp::now()).await
        {
            error!(error = &failure as &dyn std::error::Error, request = %request.id, "cannot give up a request");
            self.look_again_at.get_or_insert_with(|| Instant::now() + AFTER_FAILURE);
        }
    }

    /// Asks functions of the configuration, beside the queue.
    fn ask(&self, question: Question) {
        let (registry, answers, cancelled) =
            (self.registry.clone(), self.tell_answer.clone(), self.cancelled.clone());
        tokio::spawn(async move {
            tokio::select! {
                // Cancel-safe: nobody hears the answer any more.
                () = cancelled.cancelled() => {}
                answer = ask::answer(&question, &registry) => if answers.send(answer).await.is_err() {
                    debug!("a function answered after the queue");
                },
            }
        });
    }

    /// Heeds what functions said.
    pub(super) fn answered(&mut self, answer: Answer) {
        let lent = self.family.lending.changes().borrow().clone();
        let start = self.board.answer(answer, &self.outlook, &lent, Instant::now().into_std());
        if let Some(start) = start {
            self.start(start);
        }
    }

    /// Asks a function which older requests give way to a new one, beside the queue.
    pub(super) fn decide_collapse(&self, builder: &BuilderName, request: BuildRequestId) {
        let definition = Arc::clone(&self.definition.borrow());
        let Some(builder) = definition.builders.get(builder).cloned() else { return };
        let Collapse::Decided(function) = definition.collapse(&builder.name).clone() else { return };
        let (running, waiting) = self.board.numbers(&builder.name);
        let (store, cancelled) = (self.store.clone(), self.cancelled.clone());
        tokio::spawn(async move {
            let decided = async {
                match store.waiting_request(request).await {
                    Ok(Some(new)) => {
                        let hooks = definition.interpreter.hooks();
                        let deciding = Deciding {
                            store: &store,
                            hooks,
                            function: &function,
                            builder: &builder,
                            running,
                            waiting,
                        };
                        deciding.collapse_into(&new).await;
                    }
                    // It has begun, or is gone.
                    Ok(None) => {}
                    Err(failure) => {
                        let error = &failure as &dyn std::error::Error;
                        error!(builder = %builder.name, %request, error, "cannot read a request");
                    }
                }
            };
            tokio::select! {
                // Cancel-safe: those that gave way have done so.
                () = cancelled.cancelled() => {}
                () = decided => {}
            }
        });
    }

    /// Starts a build; false if its worker went away meanwhile.
    fn start(&mut self, start: Start) -> bool {
        let Start { request, builder, worker, place, control } = start;
        let (name, folder) = builder.slot(place);
        let connection = self.registry.connection(worker.name.as_str());
        // Now, since a reload may come before the build has begun; and before the operator's word is asked again: a program
        // is told to stop only while there is no lease.
        let leased = connection.map(|connection| {
            let lease = connection.lease(&name, &folder);
            (connection, lease)
        });
        let may_begin = |connection: &ConnectionHandle| {
            connection.takes_builds() && self.operator.allows_builds(&worker.name)
        };
        let Some((connection, lease)) = leased.filter(|(connection, _)| may_begin(connection)) else {
            warn!(worker = %worker.name, source = %worker.place, "went away while a build was given to it");
            self.board.release(request.id);
            self.board.mark_stale(&builder.name);
            return false;
        };
        let line = Line::new(self.registry.clone(), connection, lease, &name, &folder);
        let definition = Arc::clone(&self.definition.borrow());
        let assignment = self.assignment(&definition, request, (&builder, &worker), line, control);
        self.spawn(Assignment { place, folder, ..assignment });
        true
    }

    /// Goes on with the builds that the last master left, once there is a configuration.
    pub(super) fn take_up(&mut self) {
        let definition = Arc::clone(&self.definition.borrow());
        if self.around.left.is_empty() || definition.settings.is_none() {
            return;
        }
        for begun in std::mem::take(&mut self.around.left) {
            let Some((builder, worker, grace)) = resume::parts(&definition, &begun) else {
                unreachable!("those that do not fit the first configuration are resolved");
            };
            let place = begun.running.place;
            let (name, folder) = builder.slot(place);
            let session = SessionId::new(begun.running.session.as_str());
            let line =
                Line::broken(self.registry.clone(), worker.name.clone(), &name, &folder, session, grace);
            // Before any other build can have them.
            self.around.locks.hold_again(&begun, builder, worker);
            let control = BuildControl::new();
            let seat = Seat {
                builder: builder.name.clone(),
                worker: worker.name.clone(),
                place,
                shared_with: None,
                control: control.clone(),
            };
            self.board.busy.take(begun.request.id, seat);
            let request = begun.request.clone();
            let assignment = self.assignment(&definition, request, (builder, worker), line, control);
            self.spawn(Assignment { begun: Some(begun), place, folder, ..assignment });
        }
    }

    fn assignment(
        &self,
        definition: &MasterDefinition,
        request: QueuedRequest,
        (builder, worker): (&Arc<BuilderDefinition>, &Arc<WorkerDefinition>),
        line: Line,
        control: BuildControl,
    ) -> Assignment {
        Assignment {
            request,
            settings: definition.settings.clone(),
            builder: Arc::clone(builder),
            worker: Arc::clone(worker),
            line,
            begun: None,
            place: 0,
            folder: builder.worker_build_dir.clone(),
            control,
            master_dir: Arc::clone(&self.around.master_dir),
            interpreter: definition.interpreter.clone(),
            secrets: Arc::clone(&self.around.secrets),
            operator: self.operator.clone(),
            family: self.family.clone(),
            locks: self.around.locks.clone(),
        }
    }

    fn spawn(&self, assignment: Assignment) {
        let id = assignment.request.id;
        let (store, running, ended) = (self.store.clone(), self.running.clone(), self.tell_ended.clone());
        self.tracker.spawn(async move {
            let ran = run::run(assignment, store, running).await;
            // The queue is gone only when the master stops.
            if ended.send((id, ran)).await.is_err() {
                debug!(request = %id, "ended after the queue");
            }
        });
    }
}
