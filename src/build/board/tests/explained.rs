//! Why a request waits, in words and in the words of the API.

use super::*;
use crate::{
    build::board::{Explanation, Hindrance, WhyNot},
    model::{Quarantine, QuarantineCause},
};

impl Model {
    fn explain(&self, request: i64, ahead: u64) -> Explanation {
        let request = &self.waiting[&request];
        self.board.explain(
            request,
            (ahead, false),
            &self.farm,
            &HashSet::new(),
            Timestamp::from_second(1_000_000).unwrap(),
        )
    }

    /// The reasons of the request itself, and of each worker.
    fn words(&self, request: i64) -> (Vec<&'static str>, Vec<(String, &'static str)>) {
        let told = self.explain(request, 0);
        let workers = told
            .workers
            .iter()
            .map(|one| (one.worker.to_string(), one.why.as_ref().map_or("ready", WhyNot::word)));
        (told.hindrances.iter().map(Hindrance::word).collect(), workers.collect())
    }
}

fn words(pairs: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
    pairs.iter().map(|(worker, word)| ((*worker).to_owned(), *word)).collect()
}

#[test]
fn each_worker_says_what_keeps_it_from_the_request() {
    let mut model = Model::new();
    model.carry_out(&Deed::Request { builder: 0, priority: 0 });
    model.settle();
    assert_eq!(model.words(1), (vec![], words(&[("w0", "absent"), ("w1", "absent")])));
    model.carry_out(&Deed::Attach(0));
    model.settle();
    model.carry_out(&Deed::Attach(1));
    model.carry_out(&Deed::Pause(1));
    model.carry_out(&Deed::Request { builder: 0, priority: 0 });
    model.settle();
    assert_eq!(model.words(2).1, words(&[("w0", "full"), ("w1", "paused")]));
    model.carry_out(&Deed::Unpause(1));
    model.settle();
    model.carry_out(&Deed::Request { builder: 0, priority: 0 });
    model.settle();
    // w1 has a second slot, but the builder has only one place there.
    assert_eq!(model.words(3).1, words(&[("w0", "full"), ("w1", "no_place")]));
    assert_eq!(model.words(1).0, ["given"], "it runs, which the store need not know yet");
}

#[test]
fn a_lock_is_named_with_who_holds_it() {
    let mut model = Model::new();
    model.carry_out(&Deed::Attach(2));
    model.carry_out(&Deed::Lock);
    model.carry_out(&Deed::Request { builder: 2, priority: 0 });
    model.settle();
    let told = model.explain(1, 0);
    let why = told.workers.iter().find(|one| one.worker.as_str() == "w2").and_then(|one| one.why.as_ref());
    assert_eq!(why.expect("it waits").to_string(), "wants lock `one`, held by request 1000000");
}

#[test]
fn what_keeps_a_request_whatever_the_workers_do_is_told_first() {
    let mut model = Model::new();
    model.carry_out(&Deed::Request { builder: 0, priority: 0 });
    let request = model.waiting.get_mut(&1).unwrap();
    request.not_before = Some(Timestamp::from_second(2_000_000).unwrap());
    let told = model.explain(1, 3);
    let texts: Vec<String> = told.hindrances.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "its last build was lost, and it waits before it is tried again",
            "3 requests of its builder come before it"
        ]
    );
    model.waiting.get_mut(&1).unwrap().builder = BuilderName::new("gone").unwrap();
    let told = model.explain(1, 0);
    assert_eq!(told.hindrances[0].to_string(), "builder `gone` is not in the configuration");
    assert!(told.workers.is_empty());
}

#[test]
fn a_worker_that_can_never_take_a_build_says_so_after_the_others() {
    let mut model = Model::new();
    let mut changed = MasterDefinition::clone(&definition(2));
    let name = BuilderName::new("a").unwrap();
    let builder = BuilderDefinition::clone(&changed.builders[&name]);
    // Three of a lock of which w0 has two, w1 has three.
    let lock = LockDefinition {
        name: LockName::new("disk").unwrap(),
        kind: LockKind::Worker { max_count_for_worker: [(WorkerName::new("w1").unwrap(), 3)].into() },
        max_count: 2,
        place: Place::new("master.cfg.lua", 1),
    };
    let place = Place::new("master.cfg.lua", 1);
    let locks = vec![LockAccess { lock: Arc::new(lock), mode: LockMode::Counting(3), place }];
    changed.builders.insert(name, Arc::new(BuilderDefinition { locks, ..builder }));
    let changed = Arc::new(changed);
    model.board.locks.set_limits(lock::limits(&changed));
    model.board.reconfigure(changed);
    model.carry_out(&Deed::Attach(0));
    model.carry_out(&Deed::Request { builder: 0, priority: 0 });
    model.settle();
    assert!(model.running.is_empty());
    assert_eq!(model.words(1).1, words(&[("w1", "absent"), ("w0", "too_few_locks")]));
}

#[test]
fn each_reason_has_a_remedy_that_names_the_worker() {
    let at = Timestamp::UNIX_EPOCH;
    let name = WorkerName::new("w0").unwrap();
    let quarantine =
        Quarantine { cause: QuarantineCause::LinkLost, reason: None, strikes: 1, since: at, until: at };
    for (standing, command) in [
        (Standing::Paused(Remark::new(None, None, at)), "unpause"),
        (Standing::Stopping(Remark::new(None, None, at)), "resume"),
        (Standing::Quarantined(quarantine), "release"),
    ] {
        let remedy = WhyNot::Standing(standing).remedy(&name);
        assert!(remedy.contains(&format!("`lunabot worker DIR {command} w0`")), "{remedy}");
    }
}
