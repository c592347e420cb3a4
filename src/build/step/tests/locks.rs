//! Steps that want locks.

use std::collections::BTreeMap;

use super::*;
use crate::{
    build::lock::{Answer, Limits, LockId, Mode, Owner, Scope, Want},
    definition::{LockAccess, LockDefinition, LockKind, LockMode},
    model::{BuildRequestId, LockName, Place},
};

fn access(text: &str) -> LockAccess {
    let place = Place::new("master.cfg.lua", 1);
    let name = LockName::new(text).unwrap();
    let lock = LockDefinition { name, kind: LockKind::Master, max_count: 1, place: place.clone() };
    LockAccess { lock: Arc::new(lock), mode: LockMode::Exclusive, place }
}

fn locked(text: &str) -> StepDefinition {
    let set = StepKind::SetProperty { property: Text::Plain("a".into()), value: Worth::from("b") };
    StepDefinition { kind: set, locks: vec![access(text)], ..StepDefinition::sample("step") }
}

fn want(text: &str) -> Vec<Want> {
    let lock = LockId { name: LockName::new(text).unwrap(), worker: None };
    vec![Want { lock, mode: Mode::Counting(1) }]
}

const OTHER: Owner = Owner::Request(BuildRequestId(900));
const STEP_OF_OTHER: Owner = Owner::Step { request: BuildRequestId(900), step: StepId(900) };

impl Bench {
    /// What a whole build holds, of which the step is one.
    fn hold(&self, text: &str) {
        self.locks.hold(Owner::Request(self.request.id), &want(text));
    }
}

#[tokio::test]
async fn a_step_holds_its_lock_while_it_works_and_gives_it_back() {
    let mut bench = bench().await;
    let end = bench.run_step(&locked("db"), async |_| {}).await;
    assert_eq!(end.outcome, Outcome::Success);
    assert!(bench.locks.snapshot().iter().all(|state| state.holders.is_empty()));
}

#[tokio::test]
async fn a_step_that_asks_for_a_lock_of_its_build_is_an_exception_that_says_so() {
    let mut bench = bench().await;
    bench.hold("db");
    let end = bench.run_step(&locked("db"), async |_| {}).await;
    assert_eq!(
        (end.outcome, end.state.as_str()),
        (Outcome::Exception, "the build already holds the lock `db`")
    );
    assert!(bench.logs().await.values().any(|text| text.contains("already holds the lock `db`")));
}

#[tokio::test]
async fn a_deadlock_ends_the_step_with_the_whole_circle_in_state_and_log_and_the_other_goes_on() {
    let mut bench = bench().await;
    bench.hold("db");
    assert_eq!(bench.locks.try_take(OTHER, &[want("port")]), Ok(Answer::Granted(0)));
    assert_eq!(bench.locks.try_take(STEP_OF_OTHER, &[want("db")]), Ok(Answer::Waiting));
    let end = bench.run_step(&locked("port"), async |_| {}).await;
    let request = bench.request.id;
    let circle = format!(
        "a deadlock of locks: build of request {request} holds `db` and waits for `port`, held by request 900, which waits for `db`"
    );
    assert_eq!((end.outcome, &end.state), (Outcome::Exception, &circle));
    assert!(bench.logs().await.values().any(|text| text.contains(&circle)));
    // Its build ends, and the other has what it waits for.
    bench.locks.release(Owner::Request(request));
    assert_eq!(bench.locks.try_take(STEP_OF_OTHER, &[want("db")]), Ok(Answer::Granted(0)));
}

#[tokio::test]
async fn a_deadlock_that_others_bring_about_ends_the_step_as_well() {
    let mut bench = bench().await;
    let limits = |max_count| {
        let limits = Limits { scope: Scope::Master, max_count, for_worker: BTreeMap::new() };
        BTreeMap::from([(LockName::new("db").unwrap(), limits)])
    };
    bench.locks.set_limits(limits(3));
    bench.hold("db");
    let two = [Want { mode: Mode::Counting(2), ..want("db").remove(0) }];
    assert_eq!(bench.locks.try_take(OTHER, &[want("port")]), Ok(Answer::Granted(0)));
    let third = Owner::Request(BuildRequestId(901));
    assert_eq!(bench.locks.try_take(third, &[want("db")]), Ok(Answer::Granted(0)));
    assert_eq!(bench.locks.try_take(STEP_OF_OTHER, &[two.to_vec()]), Ok(Answer::Waiting));
    let locks = bench.locks.clone();
    let step = locked("port");
    let lower = async |_: &mut Player| {
        let mut looked = 0;
        while !locks.snapshot().iter().any(|state| state.name.as_str() == "port" && !state.waiters.is_empty())
        {
            looked += 1;
            assert!(looked < 10_000, "it waits");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        locks.set_limits(limits(2));
    };
    let end = bench.run_step(&step, lower).await;
    assert!(end.outcome == Outcome::Exception && end.state.starts_with("a deadlock of locks"), "{end:?}");
}
