//! Requests that give way to newer ones.

use sqlx::AssertSqlSafe;

use super::*;
use crate::model::{EventKind as K, Outcome};

/// A buildset whose requests take the place of older ones that are alike.
fn collapsing(builders: &[&str], priority: i32) -> NewBuildset {
    NewBuildset {
        collapse: builders.iter().map(|name| builder(name)).collect(),
        ..buildset(builders, priority)
    }
}

fn on_branch(mut set: NewBuildset, branch: &str) -> NewBuildset {
    set.properties.set("branch", branch, "test");
    set
}

/// The keys of a builder's requests that wait, in the order of the queue.
async fn waiting(store: &Store, name: &str) -> Vec<i64> {
    let queue = store.queued_requests(&builder(name), None, 10_000).await.unwrap();
    queue.iter().map(|request| request.id.0).collect()
}

/// So many older requests for builder `a`, of one kind; written at once.
async fn crowd(store: &Store, count: i64) {
    let first = store.add_buildset(buildset(&["a"], 0), at(1)).await.unwrap();
    let (set, request) = (first.id.0, first.requests[0].1.0);
    store
        .write::<_, StoreError, _>("crowd", move |work| {
            Box::pin(async move {
                let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)";
                let sql = format!(
                    "{numbers} INSERT INTO buildsets (schedulerid, reason, properties, submitted_at, open_requests)
                     SELECT schedulerid, reason, properties, submitted_at, 1 FROM buildsets CROSS JOIN n WHERE id = $2"
                );
                work.execute(AssertSqlSafe(sql), connection::args![count - 1, set]).await?;
                let sql = "INSERT INTO build_requests (buildsetid, builderid, urgency, submitted_at, waiting_since, collapse_key)
                     SELECT s.id, r.builderid, r.urgency, r.submitted_at, r.waiting_since, r.collapse_key
                     FROM buildsets s CROSS JOIN build_requests r WHERE r.id = $1 AND s.id > r.buildsetid";
                work.execute(sql, connection::args![request]).await?;
                Ok(())
            })
        })
        .await
        .unwrap();
}

on_both! {
    async fn an_older_request_that_is_alike_is_skipped_in_the_same_moment_and_says_why(house: &House) {
        let mut open = house.furnished().await;
        let store = open.store.clone();
        store.add_buildset(collapsing(&["a", "b"], 0), at(1)).await.unwrap();
        let mut other = collapsing(&["a"], 0);
        other.reason = "another reason".into();
        other.properties.set("owner", "bob", "test");
        other.properties.set("reason", "another reason", "test");
        let new = store.add_buildset(other, at(2)).await.unwrap();
        let row = &store.build_requests(&Query::all()).await.unwrap().rows[0];
        assert_eq!((row.complete_at, row.results), (Some(at(2)), Some(Outcome::Skipped)));
        assert_eq!(row.ended_because, Some(format!("collapsed into request {}", new.requests[0].1)));
        // Its buildset waits for builder `b`.
        assert_eq!(waiting(&store, "a").await, [3]);
        assert_eq!(waiting(&store, "b").await, [2]);
        let kinds = [
            K::ConfigurationCommitted, K::BuildsetAdded, K::BuildRequestAdded, K::BuildRequestAdded,
            K::BuildsetAdded, K::BuildRequestAdded, K::BuildRequestComplete,
        ];
        let events = told(&mut open, kinds.len()).await;
        assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), kinds);
        assert_eq!((events[6].key, &events[6].body["ended_because"]), (1, &serde_json::json!("collapsed into request 3")));

        store.add_buildset(collapsing(&["b"], 0), at(3)).await.unwrap();
        let events = told(&mut open, 4).await;
        assert_eq!(events[3].kind, K::BuildsetComplete);
        let set = &store.buildsets(&Query::all()).await.unwrap().rows[0];
        assert_eq!((set.complete_at, set.results), (Some(at(3)), Some(Outcome::Skipped)));
    }

    async fn a_buildset_is_as_grave_as_what_was_built_of_it(house: &House) {
        let open = house.furnished().await;
        let store = &open.store;
        let set = store.add_buildset(buildset(&["a", "b"], 0), at(1)).await.unwrap();
        let new = NewBuild { request: set.requests[0].1, worker: worker("w"), properties: Properties::new() };
        let build = store.begin_build(new, at(2)).await.unwrap();
        store.finish_build(build.id, Outcome::Failure, "failed", RequestEnd::Complete, at(3)).await.unwrap();
        store.add_buildset(collapsing(&["b"], 0), at(4)).await.unwrap();
        let set = &store.buildsets(&Query::all()).await.unwrap().rows[0];
        assert_eq!((set.complete_at, set.results), (Some(at(4)), Some(Outcome::Failure)));
    }

    async fn a_request_stays_that_is_other_more_urgent_claimed_or_waited_for(house: &House) {
        let open = house.furnished().await;
        let store = &open.store;
        begun(store, 1).await;
        store.add_buildset(on_branch(buildset(&["a"], 0), "other"), at(2)).await.unwrap();
        store.add_buildset(buildset(&["a"], 5), at(3)).await.unwrap();
        let waited_for = request(store, 4).await;
        store
            .write::<_, StoreError, _>("wait", move |work| {
                Box::pin(async move {
                    let sql = "UPDATE build_requests SET waited_for = 1 WHERE id = $1";
                    work.execute(sql, connection::args![waited_for.0]).await?;
                    Ok(())
                })
            })
            .await
            .unwrap();
        store.add_buildset(buildset(&["b"], 0), at(5)).await.unwrap();
        store.add_buildset(collapsing(&["a"], 4), at(6)).await.unwrap();
        let rows = store.build_requests(&Query::all()).await.unwrap().rows;
        assert!(rows.iter().all(|row| !row.complete), "{rows:?}");
        assert!(rows[0].claimed);
        assert!(!store.collapse_request(waited_for, rows[5].buildrequestid, at(7)).await.unwrap());
        // What does not collapse itself takes no place either.
        store.add_buildset(buildset(&["a"], 9), at(8)).await.unwrap();
        assert_eq!(waiting(store, "a").await, [7, 3, 6, 2, 4]);
        store.add_buildset(collapsing(&["a"], 9), at(9)).await.unwrap();
        assert_eq!(waiting(store, "a").await, [8, 2, 4]);
    }

    async fn ten_thousand_give_way_with_as_many_statements_as_two(house: &House) {
        let open = house.furnished().await;
        let store = &open.store;
        let mut statements = Vec::new();
        for count in [2, 10_000] {
            crowd(store, count).await;
            let work_of = store
                .write::<_, StoreError, _>("add", move |work| {
                    Box::pin(async move {
                        let before = work.statements;
                        request::add(work, collapsing(&["a"], 0), at(2)).await?;
                        Ok(work.statements - before)
                    })
                })
                .await
                .unwrap();
            statements.push(work_of);
            assert_eq!(waiting(store, "a").await.len(), 1);
        }
        // Those of the new buildset and its request; of the older ones; and two of their buildsets.
        assert_eq!(statements, [5, 5]);
        let skipped = store
            .write::<_, StoreError, _>("count", |work| {
                Box::pin(async move {
                    let sql = "SELECT (SELECT COUNT(*) FROM build_requests WHERE results = $1) AS requests,
                         (SELECT COUNT(*) FROM buildsets WHERE results = $1 AND open_requests = 0) AS sets";
                    let row = work.one(sql, connection::args![Outcome::Skipped]).await?;
                    Ok((row.integer("requests")?, row.integer("sets")?))
                })
            })
            .await
            .unwrap();
        assert_eq!(skipped, (10_003, 10_003));
    }

    async fn older_requests_come_in_pages_and_one_may_be_given_up(house: &House) {
        let open = house.furnished().await;
        let store = &open.store;
        for (seconds, priority) in [(1, 0), (2, 5), (3, 0), (4, 0), (5, 9)] {
            store.add_buildset(buildset(&["a"], priority), at(seconds)).await.unwrap();
        }
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.older_requests(&builder("a"), BuildRequestId(4), after, 2).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.mark());
            found.extend(page.iter().map(|request| request.id.0));
        }
        assert_eq!(found, [2, 1, 3]);
        let given_up = store.give_up_request(BuildRequestId(1), Outcome::Exception, "no\0 worker", at(6)).await.unwrap();
        assert!(given_up);
        let row = &store.build_requests(&Query::all()).await.unwrap().rows[0];
        assert_eq!((row.results, row.ended_because.as_deref()), (Some(Outcome::Exception), Some("no\u{FFFD} worker")));
        assert!(!store.give_up_request(BuildRequestId(1), Outcome::Exception, "again", at(7)).await.unwrap());
    }

    async fn a_request_waits_since_it_was_asked_for_or_came_back(house: &House) {
        let open = house.furnished().await;
        let store = &open.store;
        let build = begun(store, 1).await;
        let back = RequestEnd::Requeue { not_before: None, counted: true };
        store.finish_build(build.id, Outcome::Retry, "lost", back, at(9)).await.unwrap();
        request(store, 10).await;
        let queue = store.queued_requests(&builder("a"), None, 9).await.unwrap();
        let since: Vec<_> = queue.iter().map(|request| (request.submitted_at, request.waiting_since)).collect();
        assert_eq!(since, [(at(1), at(9)), (at(10), at(10))]);
    }
}
