//! `steps.Trigger`: the test plays the schedulers, and the builds that are asked for.

use futures_util::future::BoxFuture;

use super::*;
use crate::{
    definition::{Condition, TriggerOrder, Triggered, Triggers, step::Trigger},
    model::BuildRequestId,
    store::{Parent, RequestEnd},
};

/// Where no scheduler is defined.
#[derive(Debug)]
pub(super) struct NoSchedulers;

impl Triggers for NoSchedulers {
    fn knows(&self, name: &str) -> Result<(), TriggerError> {
        Err(TriggerError::NoScheduler { name: name.to_owned(), hint: None })
    }

    fn trigger(&self, order: TriggerOrder) -> BoxFuture<'_, Result<Triggered, TriggerError>> {
        Box::pin(async move { self.knows(&order.scheduler).map(|()| unreachable!("none is known")) })
    }
}

/// Every scheduler is there and asks builder `b`; but `gone` goes away before it is asked.
#[derive(Debug)]
struct AllSchedulers(Store);

impl Triggers for AllSchedulers {
    fn knows(&self, _: &str) -> Result<(), TriggerError> {
        Ok(())
    }

    fn trigger(&self, order: TriggerOrder) -> BoxFuture<'_, Result<Triggered, TriggerError>> {
        Box::pin(async move {
            if order.scheduler == "gone" {
                return Err(TriggerError::NoScheduler { name: order.scheduler, hint: None });
            }
            let mut properties = order.source;
            properties.update(&order.properties);
            let parent = Parent { build: order.parent, waits: order.waits, relationship: order.relationship };
            let wanted = NewBuildset {
                scheduler: None,
                reason: order.scheduler,
                properties,
                builders: vec![BuilderName::new("b").unwrap()],
                priority: 0,
                collapse: BTreeSet::new(),
                parent: Some(parent),
            };
            let added = self.0.add_buildset(wanted, Timestamp::now()).await.unwrap();
            Ok(Triggered { buildset: added.id, requests: added.requests })
        })
    }
}

fn trigger(names: &[&str], waits: bool) -> Trigger {
    Trigger {
        scheduler_names: names.iter().map(|name| (*name).into()).collect(),
        unimportant: Vec::new(),
        waits: Condition::Fixed(waits),
        update_source_stamp: Condition::Fixed(true),
        always_use_latest: Condition::Fixed(false),
        set_properties: Worth::Table(BTreeMap::new()),
        copy_properties: Vec::new(),
        relationship: "Triggered from".into(),
    }
}

/// With every scheduler.
async fn family() -> Bench {
    let mut bench = bench().await;
    bench.family.triggers = Arc::new(AllSchedulers(bench.store.clone()));
    bench
}

/// Waits until so many requests wait in the queue of `b`.
async fn queued(store: &Store, count: usize) -> Vec<QueuedRequest> {
    let builder = BuilderName::new("b").unwrap();
    loop {
        let requests = store.queued_requests(&builder, None, 99).await.unwrap();
        if requests.len() == count {
            return requests;
        }
        tokio::task::yield_now().await;
    }
}

async fn begin(store: &Store, request: BuildRequestId) -> BuildId {
    let new = NewBuild { request, worker: WorkerName::new("w").unwrap(), properties: Properties::new() };
    store.begin_build(new, Timestamp::now()).await.unwrap().id
}

async fn finish(store: &Store, build: BuildId, outcome: Outcome) {
    store.finish_build(build, outcome, "ended", RequestEnd::Complete, Timestamp::now()).await.unwrap();
}

#[tokio::test]
async fn without_waiting_the_builds_are_asked_for_and_the_step_ends() {
    let mut bench = family().await;
    let end = bench.run(StepKind::Trigger(trigger(&["x", "y"], false)), async |_| {}).await;
    assert_eq!(end, StepEnd::new(Outcome::Success, "triggered x, y: b (request 2), b (request 3)"));
    let requests = queued(&bench.store, 2).await;
    assert!(requests.iter().all(|request| request.parent.is_some_and(|parent| !parent.waits)));
    let log = &bench.logs().await["stdio"];
    assert_eq!(log, "hasked x for b (request 2)\nhasked y for b (request 3)\n");
    let step = bench.store.steps(&Query::all()).await.unwrap().rows.remove(0);
    assert_eq!(step.urls[0]["url"], "http://ci/#/buildrequests/2");
}

#[tokio::test]
async fn what_is_built_and_what_is_set_goes_along() {
    let mut bench = family().await;
    let facts = [("branch", "main"), ("revision", "old"), ("got_revision", "new"), ("project", "")];
    for (name, fact) in facts.into_iter().chain([("os", "bsd"), ("size", "7")]) {
        bench.properties.set(name, fact, "test");
    }
    let set = Trigger {
        set_properties: Worth::Table(BTreeMap::from([("os".to_owned(), "linux".into())])),
        copy_properties: vec!["size".into(), "nothing".into()],
        ..trigger(&["x"], false)
    };
    bench.run(StepKind::Trigger(set.clone()), async |_| {}).await;
    let given = |request: &QueuedRequest| {
        let all = request.properties.iter();
        all.map(|(name, one)| {
            assert_eq!(one.source, "Trigger");
            format!("{name}={}", one.value.as_str().unwrap())
        })
        .collect::<Vec<_>>()
        .join(" ")
    };
    let first = queued(&bench.store, 1).await.remove(0);
    assert_eq!(given(&first), "branch=main os=linux revision=new size=7");
    let as_asked = Trigger { update_source_stamp: Condition::Fixed(false), ..set.clone() };
    bench.run(StepKind::Trigger(as_asked), async |_| {}).await;
    assert_eq!(given(&queued(&bench.store, 2).await[1]), "branch=main os=linux revision=old size=7");
    let latest = Trigger { always_use_latest: Condition::Fixed(true), ..set };
    bench.run(StepKind::Trigger(latest), async |_| {}).await;
    assert_eq!(given(&queued(&bench.store, 3).await[2]), "os=linux size=7");
}

#[tokio::test]
async fn a_step_that_waits_ends_with_the_last_build_and_has_the_gravest_outcome() {
    let mut bench = family().await;
    let (store, lending, own) = (bench.store.clone(), bench.family.lending.clone(), bench.request.id);
    let wanted = Trigger { unimportant: vec!["z".into()], ..trigger(&["x", "y", "z"], true) };
    let end = bench
        .run(StepKind::Trigger(wanted), async |_| {
            let requests = queued(&store, 3).await;
            assert!(requests.iter().all(|request| request.parent.is_some_and(|parent| parent.waits)));
            let mut waiting = lending.changes();
            waiting.wait_for(|waiting| waiting.contains(&own)).await.unwrap();
            let builds = [begin(&store, requests[0].id).await, begin(&store, requests[1].id).await];
            let state = loop {
                let step = store.steps(&Query::all()).await.unwrap().rows.remove(0);
                if step.urls.iter().any(|url| url["name"] == "b #3") {
                    break step.state_string;
                }
                tokio::task::yield_now().await;
            };
            assert_eq!(state, "triggered x, y, z: b #2, b #3, b (request 4)", "its children, while they run");
            finish(&store, builds[1], Outcome::Success).await;
            finish(&store, builds[0], Outcome::Warnings).await;
            let unimportant = begin(&store, requests[2].id).await;
            finish(&store, unimportant, Outcome::Failure).await;
        })
        .await;
    let state = "triggered x, y, z, 1 success, 1 warnings, 1 failure";
    assert_eq!(end, StepEnd::new(Outcome::Warnings, state));
    assert!(!bench.family.lending.is_lent(bench.request.id));
    let step = bench.store.steps(&Query::all()).await.unwrap().rows.remove(0);
    assert_eq!(step.urls[0]["name"], "warnings: b #2");
    assert!(bench.logs().await["stdio"].contains("hb #3: success\n"));
}

#[tokio::test]
async fn a_stop_takes_waiting_builds_from_the_queue_and_stops_those_that_run() {
    let mut bench = family().await;
    let (store, running, control) =
        (bench.store.clone(), bench.family.running.clone(), bench.control.clone());
    let end = bench
        .run(StepKind::Trigger(trigger(&["x", "y"], true)), async |_| {
            let requests = queued(&store, 2).await;
            let child = begin(&store, requests[0].id).await;
            let its_control = BuildControl::new();
            let _running = running.enter(child, its_control.clone());
            control.stop(StopKind::Cancel, "enough");
            let stopped = its_control.listen_to_all().stopped().await;
            assert_eq!(
                (stopped.kind, stopped.reason.as_str()),
                (StopKind::Cancel, "parent build was interrupted")
            );
            queued(&store, 0).await;
            finish(&store, child, Outcome::Cancelled).await;
        })
        .await;
    assert_eq!(end, StepEnd::new(Outcome::Cancelled, "waiting for builds interrupted: enough"));
    let sets = bench.store.buildsets(&Query::all()).await.unwrap().rows;
    let outcomes: Vec<_> = sets.iter().skip(1).map(|set| set.results).collect();
    assert_eq!(outcomes, [Some(Outcome::Cancelled); 2]);
}

#[tokio::test]
async fn a_lost_link_ends_a_step_that_waits_and_its_builds() {
    let mut bench = family().await;
    let (store, connection) = (bench.store.clone(), bench.connection.clone());
    let end = bench
        .run(StepKind::Trigger(trigger(&["x"], true)), async |_| {
            queued(&store, 1).await;
            connection.close();
        })
        .await;
    assert_eq!(end, StepEnd::lost());
    queued(&bench.store, 0).await;
}

#[tokio::test]
async fn a_second_stop_ends_the_wait_for_builds_that_do_not_end() {
    let mut bench = family().await;
    let (store, running, control) =
        (bench.store.clone(), bench.family.running.clone(), bench.control.clone());
    let end = bench
        .run(StepKind::Trigger(trigger(&["x"], true)), async |_| {
            let requests = queued(&store, 1).await;
            let child = begin(&store, requests[0].id).await;
            let its_control = BuildControl::new();
            let _running = running.enter(child, its_control.clone());
            control.stop(StopKind::Cancel, "enough");
            its_control.listen_to_all().stopped().await;
            control.stop(StopKind::Cancel, "at once");
        })
        .await;
    assert_eq!(end, StepEnd::new(Outcome::Cancelled, "waiting for builds interrupted: enough"));
    let row = bench.store.builds(&Query::all()).await.unwrap().rows.pop().unwrap();
    assert!(!row.complete, "it is left to itself");
}

#[tokio::test]
async fn a_scheduler_that_is_not_there_fails_the_step_by_its_name_before_any_other_is_asked() {
    let mut bench = bench().await;
    let end = bench.run(StepKind::Trigger(trigger(&["x"], true)), async |_| {}).await;
    assert_eq!(end, StepEnd::new(Outcome::Exception, "no scheduler is named `x`"));
    queued(&bench.store, 0).await;
}

#[tokio::test]
async fn a_scheduler_that_goes_away_meanwhile_takes_the_others_builds_with_it() {
    let mut bench = family().await;
    let end = bench.run(StepKind::Trigger(trigger(&["x", "gone"], true)), async |_| {}).await;
    assert_eq!(end, StepEnd::new(Outcome::Exception, "no scheduler is named `gone`"));
    queued(&bench.store, 0).await;
    let set = bench.store.buildsets(&Query::all()).await.unwrap().rows.remove(1);
    assert_eq!(set.results, Some(Outcome::Cancelled));
}
