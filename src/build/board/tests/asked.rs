//! Builders about which functions are asked.

use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    build::board::{AnswerTo, Matter, Said},
    definition::{Hook, HookId},
};

/// A model whose builder `exclusive` has a `canStartBuild`.
fn model() -> Model {
    let mut model = Model::new();
    let mut changed = MasterDefinition::clone(&definition(2));
    let name = BuilderName::new("exclusive").expect("a good name");
    let hook = Hook { id: HookId(0), text: "".into(), place: Place::new("master.cfg.lua", 1) };
    let builder = BuilderDefinition::clone(&changed.builders[&name]);
    changed.builders.insert(name, Arc::new(BuilderDefinition { can_start_build: Some(hook), ..builder }));
    model.board.reconfigure(Arc::new(changed));
    model.carry_out(&Deed::Attach(1));
    model
}

impl Model {
    /// The requests about which functions were asked since the last time.
    fn questions(&mut self) -> Vec<i64> {
        self.settle();
        self.asked
            .iter()
            .map(|question| match &question.matter {
                Matter::Build { requests, .. } => requests[0].0.id.0,
                Matter::Ranking { .. } => panic!("nobody ranks builders here"),
            })
            .collect()
    }

    /// Answers the one question that is out: yes or no.
    fn say(&mut self, is_wanted: bool) {
        let question = self.asked.pop().expect("a question is out");
        assert!(self.asked.is_empty());
        let Matter::Build { builder, requests, .. } = &question.matter else { panic!("about a build") };
        let (request, workers) = &requests[0];
        let said = if is_wanted {
            AnswerTo::Start(builder.name.clone(), request.id, workers[0].worker.name.clone())
        } else {
            let said = Said { function: "canStartBuild", what: "said no".into() };
            AnswerTo::Not(builder.name.clone(), Some(request.id), said)
        };
        let answer = question.answered(said);
        let start = self.board.answer(answer, &self.farm, &HashSet::new(), self.now);
        if let Some(start) = start {
            self.begin(&start);
        }
    }
}

#[test]
fn a_function_is_asked_about_one_request_at_a_time_and_starts_it() {
    let mut model = model();
    model.carry_out(&Deed::Request { builder: 2, priority: 0 });
    assert_eq!(model.questions(), [1]);
    model.carry_out(&Deed::Request { builder: 2, priority: 0 });
    assert_eq!(model.questions(), [1], "the question is still out");
    model.say(true);
    assert_eq!(model.running.keys().collect::<Vec<_>>(), [&1]);
}

#[test]
fn a_request_that_a_function_refused_keeps_nobody_else_and_is_asked_about_again_after_a_while() {
    let mut model = model();
    model.carry_out(&Deed::Request { builder: 2, priority: 0 });
    model.carry_out(&Deed::Request { builder: 0, priority: 0 });
    assert_eq!(model.questions(), [1]);
    assert_eq!(
        model.running.keys().collect::<Vec<_>>(),
        [&2],
        "the other builder does not wait for the answer"
    );
    model.say(false);
    model.carry_out(&Deed::Request { builder: 2, priority: 0 });
    assert_eq!(model.questions(), [3], "the next of the builder has its turn");
    model.say(true);
    assert!(model.questions().is_empty());
    model.end(3, false);
    assert!(model.questions().is_empty(), "not within a second");
    model.now += Duration::from_secs(1);
    assert_eq!(model.questions(), [1]);
}

#[test]
fn a_request_keeps_its_place_in_the_line_of_a_lock_while_a_function_is_asked_and_takes_the_lock_only_then() {
    let other = Owner::Step { request: BuildRequestId(2_000_000), step: StepId(2) };
    let lock = LockId { name: LockName::new("one").expect("a good name"), worker: None };
    let wants = [vec![Want { lock, mode: Mode::Exclusive }]];
    let mut model = model();
    model.carry_out(&Deed::Lock);
    model.carry_out(&Deed::Request { builder: 2, priority: 0 });
    assert!(model.questions().is_empty(), "nothing can start yet");
    assert_eq!(model.board.locks.try_take(other, &wants), Ok(lock::Answer::Waiting));
    model.carry_out(&Deed::Unlock);
    assert_eq!(model.questions(), [1]);
    assert_eq!(
        model.board.locks.try_take(other, &wants),
        Ok(lock::Answer::Waiting),
        "the request is before it"
    );
    model.settle();
    model.say(true);
    assert_eq!(model.running.len(), 1);
    model.end(1, false);
    assert_eq!(model.board.locks.try_take(other, &wants), Ok(lock::Answer::Granted(0)));
}

#[test]
fn a_request_that_a_function_refused_gives_up_its_place_in_the_line_of_a_lock() {
    let mut model = model();
    model.carry_out(&Deed::Lock);
    model.carry_out(&Deed::Request { builder: 2, priority: 0 });
    assert!(model.questions().is_empty());
    model.carry_out(&Deed::Unlock);
    assert_eq!(model.questions(), [1]);
    model.say(false);
    model.settle();
    model.carry_out(&Deed::Lock);
    assert!(model.is_locked);
}
