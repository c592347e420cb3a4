//! Requests, builds and steps.

use super::*;
use crate::model::{EventKind as K, Outcome};

on_both! {
    async fn a_step_that_waits_for_locks_has_them_later_and_that_is_told(house: &House) {
        let mut open = house.furnished().await;
        let store = open.store.clone();
        let build = begun(&store, 1).await;
        let request = store.builds(&Query::all()).await.unwrap().rows[0].buildrequestid;
        let alone = store.lock_owners([request, BuildRequestId(99)]).await.unwrap();
        let owner = LockOwner { builder: build.builder.clone(), build: Some((build.id, 1)), step: None };
        assert_eq!(alone, [(request, owner.clone())].into());
        let step = store.begin_step(build.id, 0, "shell", "running", at(2)).await.unwrap();
        let acquired_at = async || store.steps(&Query::all()).await.unwrap().rows[0].locks_acquired_at;
        assert_eq!(acquired_at().await, Some(at(2)));
        store.await_locks(step, "waiting for lock `db`").await.unwrap();
        assert_eq!(acquired_at().await, None);
        let owners = store.lock_owners([request]).await.unwrap();
        assert_eq!(owners, [(request, LockOwner { step: Some((step, "shell".into())), ..owner })].into());
        store.locks_acquired(step, "running", at(5)).await.unwrap();
        assert_eq!(acquired_at().await, Some(at(5)));
        let events = told(&mut open, 8).await;
        let updates: Vec<_> = events.iter().filter(|event| event.kind == K::StepUpdated).collect();
        let states: Vec<_> = updates.iter().map(|event| &event.body["state_string"]).collect();
        assert_eq!(states, ["waiting for lock `db`", "running"]);
        assert_eq!(updates[1].body["locks_acquired_at"], 1_700_000_005);
        store.finish_step(step, EndedStep { outcome: Outcome::Success, state: "done", hidden: false }, at(6)).await.unwrap();
        assert!(matches!(store.await_locks(step, "late").await, Err(StoreError::Unknown { .. })));
    }

    async fn a_build_goes_from_wish_to_outcome_and_each_change_is_told(house: &House) {
        let mut open = house.furnished().await;
        let store = open.store.clone();
        let build = begun(&store, 1).await;
        assert_eq!((build.number, build.builder.as_str()), (1, "a"));
        let step = store.begin_step(build.id, 0, "shell", "running", at(2)).await.unwrap();
        let end = EndedStep { outcome: Outcome::Success, state: "done\0", hidden: true };
        store.finish_step(step, end, at(3)).await.unwrap();
        let shown = store.steps(&Query::all()).await.unwrap().rows;
        assert!(shown[0].hidden && shown[0].results == Some(Outcome::Success), "{shown:?}");
        store.finish_build(build.id, Outcome::Warnings, "built", RequestEnd::Complete, at(4)).await.unwrap();

        let kinds = [
            K::ConfigurationCommitted, K::BuildsetAdded, K::BuildRequestAdded, K::BuildRequestClaimed, K::BuildStarted,
            K::StepStarted, K::StepFinished, K::BuildFinished, K::BuildRequestComplete, K::BuildsetComplete,
        ];
        let events = told(&mut open, kinds.len()).await;
        assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), kinds);
        let ids: Vec<i64> = events.iter().map(|event| event.id.0).collect();
        assert_eq!(ids, (1..=10).collect::<Vec<_>>(), "ids grow without gaps");
        assert_eq!(events[7].body["complete_at"], 1_700_000_004);
        assert_eq!(events[7].body["results"], 1);

        let stored = store.events(&Query::all()).await.unwrap().rows;
        assert_eq!(stored.len(), 10);
        for (stored, told) in stored.iter().zip(&events) {
            assert_eq!((stored.eventid, stored.kind, &stored.body), (told.id, told.kind, &told.body));
        }
        let row = store.build_by_number(&builder("a"), 1).await.unwrap().unwrap();
        assert_eq!((row.complete, row.results, row.state_string.as_str()), (true, Some(Outcome::Warnings), "built"));
        let set = &store.buildsets(&Query::all()).await.unwrap().rows[0];
        assert_eq!((set.complete, set.results), (true, Some(Outcome::Warnings)));
        assert_eq!(set.properties.get("owner").unwrap(), "ada");
        let request = &store.build_requests(&Query::all()).await.unwrap().rows[0];
        assert_eq!((request.claimed, request.complete, request.results), (true, true, Some(Outcome::Warnings)));
    }

    async fn numbers_of_builds_are_dense_for_each_builder_whoever_hurries(house: &House) {
        let open = house.furnished().await;
        let store = &open.store;
        let mut tasks = Vec::new();
        for n in 0..40 {
            let store = store.clone();
            tasks.push(tokio::spawn(async move {
                let name = if n % 2 == 0 { "a" } else { "b" };
                let request = store.add_buildset(buildset(&[name], 0), at(n)).await.unwrap().requests[0].1;
                if n % 5 == 0 {
                    // Refused after its claim: neither the claim nor a number is used up.
                    let lost = NewBuild { request, worker: worker("nobody"), properties: Properties::new() };
                    let error = store.begin_build(lost, at(n)).await.unwrap_err();
                    assert!(matches!(error, BeginError::UnknownWorker { .. }), "{error}");
                }
                let new = NewBuild { request, worker: worker("w"), properties: Properties::new() };
                let build = store.begin_build(new, at(n)).await.unwrap();
                (name, build.number)
            }));
        }
        let mut numbers = [Vec::new(), Vec::new()];
        for task in tasks {
            let (name, number) = task.await.unwrap();
            numbers[usize::from(name == "b")].push(number);
        }
        for mut numbers in numbers {
            numbers.sort_unstable();
            assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
        }
    }

    async fn a_request_is_begun_once_however_many_try(house: &House) {
        let open = house.furnished().await;
        let request = request(&open.store, 1).await;
        let tries = (0..10).map(|_| {
            let new = NewBuild { request, worker: worker("w"), properties: Properties::new() };
            open.store.begin_build(new, at(2))
        });
        let results = futures_util::future::join_all(tries).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        for error in results.into_iter().filter_map(Result::err) {
            assert!(matches!(error, BeginError::AlreadyClaimed { request: found } if found == request), "{error}");
        }
        let new = NewBuild { request: BuildRequestId(99), worker: worker("w"), properties: Properties::new() };
        let error = open.store.begin_build(new, at(2)).await.unwrap_err();
        assert!(matches!(error, BeginError::NoSuchRequest { .. }), "{error}");
    }

    async fn the_queue_goes_by_priority_then_age_and_its_pages_fit_together(house: &House) {
        let open = house.furnished().await;
        let store = &open.store;
        let mut wanted = Vec::new();
        for (n, priority) in [0, 5, -3, 5, 0, 7, 0].into_iter().enumerate() {
            let set = store.add_buildset(buildset(&["a", "b"], priority), at(i64::try_from(n).unwrap())).await.unwrap();
            assert_eq!(set.requests.len(), 2);
            wanted.push((-priority, set.requests[0].1));
        }
        wanted.sort_unstable();
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.queued_requests(&builder("a"), after, 2).await.unwrap();
            let Some(last) = page.last() else { break };
            assert!(page.len() <= 2);
            after = Some(last.mark());
            for request in page {
                assert_eq!((request.builder.as_str(), request.reason.as_str()), ("a", "because"));
                assert_eq!(request.properties.get("owner").unwrap(), "ada");
                found.push((-request.priority, request.id));
            }
        }
        assert_eq!(found, wanted);

        // One that is claimed leaves the queue, and comes back to its place.
        let new = NewBuild { request: wanted[1].1, worker: worker("w"), properties: Properties::new() };
        let build = store.begin_build(new, at(9)).await.unwrap();
        assert_eq!(store.queued_requests(&builder("a"), None, 99).await.unwrap().len(), 6);
        let end = RequestEnd::Requeue { not_before: Some(at(60)), counted: true };
        store.finish_build(build.id, Outcome::Retry, "lost", end, at(10)).await.unwrap();
        let queue = store.queued_requests(&builder("a"), None, 99).await.unwrap();
        assert_eq!(queue.iter().map(|request| request.id).collect::<Vec<_>>(), wanted.iter().map(|w| w.1).collect::<Vec<_>>());
        assert_eq!((queue[1].attempts, queue[1].not_before), (1, Some(at(60))));
        let error = store.finish_build(build.id, Outcome::Retry, "lost", end, at(10)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unknown { noun: "running build", .. }), "a build ends once: {error}");
    }

    async fn a_buildset_ends_with_its_last_request_and_has_the_gravest_outcome(house: &House) {
        let open = house.furnished().await;
        let store = &open.store;
        let set = store.add_buildset(buildset(&["b", "a", "b"], 0), at(1)).await.unwrap();
        let names: Vec<&str> = set.requests.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["b", "a"], "in the order asked for, each once");
        let new = NewBuild { request: set.requests[0].1, worker: worker("w"), properties: Properties::new() };
        let build = store.begin_build(new, at(2)).await.unwrap();
        store.finish_build(build.id, Outcome::Failure, "bad", RequestEnd::Complete, at(3)).await.unwrap();
        let row = store.buildsets(&Query::all()).await.unwrap().rows.remove(0);
        assert_eq!((row.complete, row.results), (false, None));
        let new = NewBuild { request: set.requests[1].1, worker: worker("w"), properties: Properties::new() };
        let build = store.begin_build(new, at(4)).await.unwrap();
        store.finish_build(build.id, Outcome::Success, "good", RequestEnd::Complete, at(5)).await.unwrap();
        let row = store.buildsets(&Query::all()).await.unwrap().rows.remove(0);
        assert_eq!((row.complete_at, row.results), (Some(at(5)), Some(Outcome::Failure)));
        let empty = store.add_buildset(buildset(&[], 0), at(6)).await.unwrap();
        let row = store.buildsets(&Query::all().filter("bsid", FilterOp::Eq, &empty.id)).await.unwrap().rows.remove(0);
        assert_eq!(row.results, Some(Outcome::Success));
    }

    async fn a_waiting_request_can_be_cancelled_and_a_running_one_cannot(house: &House) {
        let open = house.furnished().await;
        let store = &open.store;
        let waiting = request(store, 1).await;
        assert!(store.cancel_request(waiting, Some("enough"), at(2)).await.unwrap());
        assert!(!store.cancel_request(waiting, None, at(3)).await.unwrap());
        let row = store.build_requests(&Query::all()).await.unwrap().rows.remove(0);
        assert_eq!((row.results, row.complete_at), (Some(Outcome::Cancelled), Some(at(2))));
        assert_eq!(row.ended_because.as_deref(), Some("enough"));
        begun(store, 4).await;
        let running = store.build_requests(&Query::all().filter("complete", FilterOp::Eq, "false")).await.unwrap();
        assert!(!store.cancel_request(running.rows[0].buildrequestid, None, at(5)).await.unwrap());
    }

    async fn a_buildset_with_an_unknown_builder_leaves_nothing(house: &House) {
        let mut open = house.furnished().await;
        let error = open.store.add_buildset(buildset(&["a", "c"], 0), at(1)).await.unwrap_err();
        assert!(error.to_string().contains("`c`"), "{error}");
        assert_eq!(open.store.buildsets(&Query::all()).await.unwrap().total, Some(0));
        request(&open.store, 2).await;
        let kinds: Vec<_> = told(&mut open, 3).await.iter().map(|event| event.kind).collect();
        assert_eq!(kinds, [K::ConfigurationCommitted, K::BuildsetAdded, K::BuildRequestAdded]);
    }

    async fn a_schedulers_last_buildset_is_found(house: &House) {
        let open = house.furnished().await;
        let nightly = SchedulerName::new("nightly").unwrap();
        assert_eq!(open.store.last_buildset_at(&nightly).await.unwrap(), None);
        for seconds in [5, 9, 7] {
            let set = NewBuildset { scheduler: Some(nightly.clone()), ..buildset(&["a"], 0) };
            open.store.add_buildset(set, at(seconds)).await.unwrap();
        }
        open.store.add_buildset(buildset(&["a"], 0), at(20)).await.unwrap();
        assert_eq!(open.store.last_buildset_at(&nightly).await.unwrap(), Some(at(9)));
    }

    async fn a_master_killed_in_mid_build_resolves_it_and_gives_up_in_the_end(house: &House) {
        let open = house.furnished().await;
        let first = begun(&open.store, 1).await;
        let step = open.store.begin_step(first.id, 0, "shell", "running", at(2)).await.unwrap();
        let mut log = open.store.open_log(step, "stdio", at(2)).await.unwrap();
        log.append(crate::model::LogStream::Stdout, b"one\ntwo").await.unwrap();
        log.flush().await.unwrap();
        open.store.worker_attached(&worker("w"), &crate::model::WorkerInfo::default(), at(2)).await.unwrap();

        // Killed: nothing is closed, another process opens the same.
        let open = house.open().await;
        let resolved = open.store.resolve_unfinished([(builder("a"), 1)].into(), &[], at(10)).await.unwrap();
        assert_eq!(resolved, Resolved { builds: 1, requeued: 1, failed: 0, cancelled: 0 });
        let builds = open.store.builds(&Query::all()).await.unwrap().rows;
        assert_eq!((builds[0].results, builds[0].complete_at), (Some(Outcome::Retry), Some(at(10))));
        let steps = open.store.steps(&Query::all()).await.unwrap().rows;
        assert_eq!(steps[0].results, Some(Outcome::Retry));
        let logs = open.store.logs(&Query::all()).await.unwrap().rows;
        assert!(logs[0].complete);
        assert_eq!(open.store.log_lines(logs[0].logid, 0, 9).await.unwrap().text, "oone\n");
        assert!(open.store.workers(&Query::all()).await.unwrap().rows[0].connected_to.is_empty());

        let queue = open.store.queued_requests(&builder("a"), None, 9).await.unwrap();
        assert_eq!((queue.len(), queue[0].attempts), (1, 1));
        let new = NewBuild { request: queue[0].id, worker: worker("w"), properties: Properties::new() };
        assert_eq!(open.store.begin_build(new, at(11)).await.unwrap().number, 2);
        let open = house.open().await;
        let resolved = open.store.resolve_unfinished([(builder("a"), 1)].into(), &[], at(20)).await.unwrap();
        assert_eq!(resolved, Resolved { builds: 1, requeued: 0, failed: 1, cancelled: 0 });
        assert!(open.store.queued_requests(&builder("a"), None, 9).await.unwrap().is_empty());
        let set = open.store.buildsets(&Query::all()).await.unwrap().rows.remove(0);
        assert_eq!(set.results, Some(Outcome::Exception));
        assert_eq!(open.store.resolve_unfinished([(builder("a"), 1)].into(), &[], at(21)).await.unwrap(), Resolved::default());
    }
}
