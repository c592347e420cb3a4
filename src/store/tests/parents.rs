//! Builds that other builds asked for.

use super::*;
use crate::model::{BuildId, BuildsetId, Outcome};

/// A buildset of `b` that a build asks for.
fn asked_by(build: BuildId, waits: bool) -> NewBuildset {
    let parent = Parent { build, waits, relationship: "Triggered from".into() };
    NewBuildset { parent: Some(parent), ..buildset(&["b"], 0) }
}

async fn begin(store: &Store, request: BuildRequestId, seconds: i64) -> BegunBuild {
    let new = NewBuild { request, worker: worker("w"), properties: Properties::new() };
    store.begin_build(new, at(seconds)).await.unwrap()
}

async fn outcome(store: &Store, buildset: BuildsetId) -> Option<Outcome> {
    let children = store.children(&[buildset]).await.unwrap();
    assert_eq!(children.len(), 1);
    let row =
        store.buildsets(&Query::all().filter("bsid", FilterOp::Eq, &buildset)).await.unwrap().rows.remove(0);
    assert_eq!(children[0].outcome, row.results, "the buildset has the outcome of its one request");
    children[0].outcome
}

on_both! {
    async fn a_buildset_knows_the_build_that_asked_for_it_and_the_queue_tells_it(house: &House) {
        let open = house.furnished().await;
        let store = &open.store;
        let parent = begun(store, 1).await;
        let parent_request = store.builds(&Query::all()).await.unwrap().rows[0].buildrequestid;
        let waited = store.add_buildset(asked_by(parent.id, true), at(2)).await.unwrap();
        let free = store.add_buildset(asked_by(parent.id, false), at(3)).await.unwrap();
        store.add_buildset(buildset(&["b"], 0), at(4)).await.unwrap();

        let rows = store.buildsets(&Query::all().filter("parent_buildid", FilterOp::Eq, &parent.id)).await.unwrap().rows;
        assert_eq!(rows.iter().map(|row| row.bsid).collect::<Vec<_>>(), [waited.id, free.id]);
        assert_eq!(rows[0].parent_relationship.as_deref(), Some("Triggered from"));
        let requests = store.build_requests(&Query::all()).await.unwrap().rows;
        assert_eq!(requests.iter().map(|row| row.waited_for).collect::<Vec<_>>(), [false, true, false, false]);

        let queue = store.queued_requests(&builder("b"), None, 9).await.unwrap();
        let of = |waits| Some(ParentBuild { build: parent.id, request: parent_request, waits });
        assert_eq!(queue.iter().map(|request| request.parent).collect::<Vec<_>>(), [of(true), of(false), None]);
    }

    async fn children_are_told_with_their_builds_in_the_order_asked_for(house: &House) {
        let open = house.furnished().await;
        let store = &open.store;
        let parent = begun(store, 1).await;
        let first = store.add_buildset(asked_by(parent.id, false), at(2)).await.unwrap();
        let second = store.add_buildset(asked_by(parent.id, true), at(3)).await.unwrap();
        let lost = begin(store, first.requests[0].1, 4).await;
        let end = RequestEnd::Requeue { not_before: None, counted: true };
        store.finish_build(lost.id, Outcome::Retry, "lost", end, at(5)).await.unwrap();
        let good = begin(store, first.requests[0].1, 6).await;
        store.finish_build(good.id, Outcome::Success, "good", RequestEnd::Complete, at(7)).await.unwrap();

        let children = store.children(&[second.id, first.id]).await.unwrap();
        assert_eq!(children.iter().map(|child| child.buildset).collect::<Vec<_>>(), [second.id, first.id]);
        assert!(children[0].builds.is_empty() && children[0].outcome.is_none());
        let builds: Vec<_> = children[1].builds.iter().map(|build| (build.number, build.outcome)).collect();
        assert_eq!(builds, [(1, Some(Outcome::Retry)), (2, Some(Outcome::Success))]);
        assert_eq!((children[1].builder.as_str(), children[1].outcome), ("b", Some(Outcome::Success)));
        assert!(store.children(&[]).await.unwrap().is_empty());
    }

    async fn what_waits_for_its_turn_is_cancelled_in_the_moment_its_waiting_parent_ends(house: &House) {
        let open = house.furnished().await;
        let store = &open.store;
        let parent = begun(store, 1).await;
        let waiting = store.add_buildset(asked_by(parent.id, true), at(2)).await.unwrap();
        let free = store.add_buildset(asked_by(parent.id, false), at(2)).await.unwrap();
        let running = store.add_buildset(asked_by(parent.id, true), at(2)).await.unwrap();
        let child = begin(store, running.requests[0].1, 3).await;
        store.finish_build(parent.id, Outcome::Cancelled, "stopped", RequestEnd::Complete, at(4)).await.unwrap();

        assert_eq!(outcome(store, waiting.id).await, Some(Outcome::Cancelled));
        assert_eq!(outcome(store, free.id).await, None, "nobody waits for it, so it still comes");
        assert_eq!(outcome(store, running.id).await, None);
        // The one that runs does not come back into the queue, and no new one comes into it.
        let end = RequestEnd::Requeue { not_before: None, counted: false };
        store.finish_build(child.id, Outcome::Retry, "interrupted", end, at(5)).await.unwrap();
        assert_eq!(outcome(store, running.id).await, Some(Outcome::Cancelled));
        let late = store.add_buildset(asked_by(parent.id, true), at(6)).await.unwrap();
        assert_eq!(outcome(store, late.id).await, Some(Outcome::Cancelled));
        let queue = store.queued_requests(&builder("b"), None, 9).await.unwrap();
        assert_eq!(queue.iter().map(|request| request.id).collect::<Vec<_>>(), [free.requests[0].1]);
    }

    async fn after_a_killed_master_no_child_waits_for_a_parent_that_is_gone(house: &House) {
        let open = house.furnished().await;
        let parent = begun(&open.store, 1).await;
        let waiting = open.store.add_buildset(asked_by(parent.id, true), at(2)).await.unwrap();
        let running = open.store.add_buildset(asked_by(parent.id, true), at(2)).await.unwrap();
        begin(&open.store, running.requests[0].1, 3).await;

        let open = house.open().await;
        let resolved = open.store.resolve_unfinished([].into(), &[], at(10)).await.unwrap();
        assert_eq!((resolved.builds, resolved.requeued, resolved.failed), (2, 2, 0));
        assert_eq!(outcome(&open.store, waiting.id).await, Some(Outcome::Cancelled));
        assert_eq!(outcome(&open.store, running.id).await, Some(Outcome::Cancelled));
        assert!(open.store.queued_requests(&builder("b"), None, 9).await.unwrap().is_empty());
        let queue = open.store.queued_requests(&builder("a"), None, 9).await.unwrap();
        assert_eq!(queue.len(), 1, "the parent itself comes again, and asks again");
    }

    async fn what_another_program_left_waiting_for_an_ended_parent_is_cancelled_by_a_start(house: &House) {
        let open = house.furnished().await;
        let parent = begun(&open.store, 1).await;
        let waiting = open.store.add_buildset(asked_by(parent.id, true), at(2)).await.unwrap();
        let free = open.store.add_buildset(asked_by(parent.id, false), at(2)).await.unwrap();
        let sql = "UPDATE builds SET complete_at = 5, results = 6 WHERE id = $1";
        trouble::beside(house).await.execute(sql, connection::args![parent.id.0]).await.unwrap();
        let resolved = open.store.resolve_unfinished([].into(), &[], at(10)).await.unwrap();
        assert_eq!(resolved, Resolved { cancelled: 1, ..Resolved::default() });
        assert_eq!(outcome(&open.store, waiting.id).await, Some(Outcome::Cancelled));
        assert_eq!(outcome(&open.store, free.id).await, None);
    }

    async fn a_running_step_shows_how_it_is_and_an_ended_one_stays_as_it_is(house: &House) {
        let open = house.furnished().await;
        let store = &open.store;
        let build = begun(store, 1).await;
        let step = store.begin_step(build.id, 0, "trigger", "running", at(2)).await.unwrap();
        let urls = [("b #1".to_owned(), "#/builders/2/builds/1".to_owned())];
        store.show_step(step, Some("waits for b #1".into()), &urls).await.unwrap();
        store.show_step(step, None, &urls).await.unwrap();
        let row = store.steps(&Query::all()).await.unwrap().rows.remove(0);
        assert_eq!(row.state_string, "waits for b #1");
        assert_eq!(row.urls, [serde_json::json!({ "name": "b #1", "url": "#/builders/2/builds/1" })]);
        let end = EndedStep { outcome: Outcome::Success, state: "done", hidden: false };
        store.finish_step(step, end, at(3)).await.unwrap();
        let error = store.show_step(step, Some("late".into()), &[]).await.unwrap_err();
        assert!(matches!(error, StoreError::Unknown { noun: "running step", .. }), "{error}");
    }
}
