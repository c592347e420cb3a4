//! Workers that are missing, and the letters about them.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;

use super::{letters::letter, trouble::beside, *};
use crate::model::{EventKind as K, Outcome, WorkerInfo};

async fn attach(store: &Store, name: &str, seconds: i64) {
    let info = WorkerInfo([("admin".to_owned(), serde_json::json!("ada"))].into());
    store.worker_attached(&worker(name), &info, at(seconds)).await.unwrap();
}

/// Comes and goes.
async fn lose(store: &Store, name: &str, seconds: i64) {
    attach(store, name, seconds - 1).await;
    store.worker_detached(&worker(name), at(seconds)).await.unwrap();
}

/// Those whose absence is not told yet.
async fn untold(store: &Store) -> Vec<(String, Timestamp)> {
    let absent = store.absent_workers().await.unwrap();
    absent
        .into_iter()
        .filter(|worker| !worker.is_reported())
        .map(|worker| (worker.name.to_string(), worker.absent_since))
        .collect()
}

async fn written(store: &Store) -> usize {
    store.letters(&Query::all()).await.unwrap().rows.len()
}

/// A build on `w` that ends in this state.
async fn ended(store: &Store, seconds: i64, outcome: Outcome, state: &str) -> i64 {
    let build = begun(store, seconds).await;
    store.finish_build(build.id, outcome, state, RequestEnd::Complete, at(seconds)).await.unwrap();
    build.number
}

on_both! {
    async fn absent_is_who_is_configured_and_not_connected(house: &House) {
        let open = house.open().await;
        let store = &open.store;
        commit(store, rows(&["b", "a", "c", "gone"], &[])).await;
        commit(store, rows(&["b", "a", "c"], &[])).await;
        lose(store, "b", 5).await;
        attach(store, "c", 6).await;
        let absent = store.absent_workers().await.unwrap();
        let never = AbsentWorker { name: worker("a"), absent_since: at(0), last_connection: None, reported_at: None, info: WorkerInfo::default() };
        let info = WorkerInfo([("admin".to_owned(), serde_json::json!("ada"))].into());
        let lost = AbsentWorker { name: worker("b"), absent_since: at(5), last_connection: Some(at(4)), info, ..never.clone() };
        assert_eq!(absent, [never, lost]);
        assert!(store.returned_workers().await.unwrap().is_empty());
    }

    async fn a_loss_is_told_once_with_its_letters_and_so_is_the_return(house: &House) {
        let mut open = house.open().await;
        let store = open.store.clone();
        commit(&store, rows(&["v", "w"], &[])).await;
        lose(&store, "w", 5).await;
        let loss = vec![(worker("w"), at(5))];
        assert!(store.report_missing(loss.clone(), vec![letter(1), letter(2)], at(9)).await.unwrap());
        assert_eq!(written(&store).await, 2);
        assert_eq!(untold(&store).await, [("v".to_owned(), at(0))]);
        assert!(!store.report_missing(loss, vec![letter(3)], at(10)).await.unwrap());
        assert_eq!(written(&store).await, 2, "a second report of the same loss writes nothing");
        assert!(!store.report_returned(vec![worker("w")], vec![letter(3)], at(10)).await.unwrap(), "it is not back");

        attach(&store, "w", 20).await;
        let back = store.returned_workers().await.unwrap();
        assert_eq!(back.len(), 1);
        assert_eq!((&back[0].name, back[0].last_connection, back[0].reported_at), (&worker("w"), Some(at(20)), at(9)));
        assert!(store.report_returned(vec![worker("w")], vec![letter(3)], at(21)).await.unwrap());
        assert!(!store.report_returned(vec![worker("w")], vec![letter(4)], at(22)).await.unwrap());
        assert_eq!(written(&store).await, 3);
        assert!(store.returned_workers().await.unwrap().is_empty());

        let events = told(&mut open, 9).await;
        let kinds: Vec<K> = events[3..].iter().map(|event| event.kind).collect();
        assert_eq!(kinds, [K::WorkerMissing, K::LetterAdded, K::LetterAdded, K::WorkerAttached, K::WorkerReturned, K::LetterAdded]);
        let row = store.workers(&Query::all().filter("name", FilterOp::Eq, "w")).await.unwrap().rows.remove(0);
        assert_eq!(row.missing_reported_at, None);
        let expected = serde_json::json!({
            "workerid": row.workerid, "name": "w", "absent_since": at(5).as_second(), "last_connection": at(4).as_second(),
            "missing_reported_at": at(9).as_second(),
        });
        assert_eq!((events[3].key, &events[3].body), (row.workerid.0, &expected));
        assert!(events[7].body["missing_reported_at"].is_null());
    }

    async fn a_report_is_all_or_nothing(house: &House) {
        let mut open = house.open().await;
        let store = open.store.clone();
        commit(&store, rows(&["back", "again", "w"], &[])).await;
        for name in ["back", "again", "w"] {
            lose(&store, name, 5).await;
        }
        attach(&store, "back", 6).await;
        lose(&store, "again", 7).await;
        for other in ["back", "again", "nobody"] {
            let losses = vec![(worker("w"), at(5)), (worker(other), at(5))];
            assert!(!store.report_missing(losses, vec![letter(1)], at(9)).await.unwrap(), "{other}");
        }
        let twice = vec![letter(1), letter(1)];
        let error = store.report_missing(vec![(worker("w"), at(5))], twice, at(9)).await.unwrap_err();
        assert!(matches!(error, StoreError::Failed { .. }), "{error}");
        assert_eq!((written(&store).await, untold(&store).await.len()), (0, 2));
        let loss = vec![(worker("w"), at(5)), (worker("again"), at(7)), (worker("w"), at(5))];
        assert!(store.report_missing(loss, vec![letter(1)], at(9)).await.unwrap());
        assert_eq!((written(&store).await, untold(&store).await.len()), (1, 0));
        let half = vec![worker("w"), worker("back")];
        assert!(!store.report_returned(half, vec![letter(2)], at(10)).await.unwrap());
        assert_eq!(written(&store).await, 1);
        let events = told(&mut open, 13).await;
        let told: Vec<K> = events[10..].iter().map(|event| event.kind).collect();
        assert_eq!(told, [K::WorkerMissing, K::WorkerMissing, K::LetterAdded], "none of what was taken back");
    }

    async fn what_was_told_outlives_a_restart_and_a_new_loss_is_told_anew(house: &House) {
        let open = house.furnished().await;
        lose(&open.store, "w", 5).await;
        assert!(open.store.report_missing(vec![(worker("w"), at(5))], vec![], at(9)).await.unwrap());
        open.store.close().await;
        let open = house.open().await;
        let store = &open.store;
        store.resolve_unfinished(BTreeMap::new(), &[], at(10)).await.unwrap();
        commit(store, rows(&["w"], &[])).await;
        assert!(untold(store).await.is_empty());
        lose(store, "w", 20).await;
        assert_eq!(untold(store).await, [("w".to_owned(), at(20))]);
        // The master is killed while it is connected.
        attach(store, "w", 30).await;
        store.resolve_unfinished(BTreeMap::new(), &[], at(40)).await.unwrap();
        assert_eq!(untold(store).await, [("w".to_owned(), at(40))]);
    }

    async fn a_clock_that_was_set_back_has_nothing_told_twice(house: &House) {
        let open = house.furnished().await;
        let store = &open.store;
        lose(store, "w", 500).await;
        assert!(store.report_missing(vec![(worker("w"), at(500))], vec![], at(9)).await.unwrap());
        assert!(untold(store).await.is_empty());
        assert!(!store.report_missing(vec![(worker("w"), at(500))], vec![], at(10)).await.unwrap());
    }

    async fn a_worker_that_comes_back_to_the_configuration_was_not_missed_meanwhile(house: &House) {
        let open = house.furnished().await;
        let store = &open.store;
        lose(store, "w", 5).await;
        assert!(store.report_missing(vec![(worker("w"), at(5))], vec![], at(9)).await.unwrap());
        commit(store, rows(&["v"], &[])).await;
        assert!(!store.report_missing(vec![(worker("w"), at(5))], vec![letter(1)], at(10)).await.unwrap());
        store.prepare_generation(rows(&["v", "w"], &[]), at(100)).await.unwrap().commit().await.unwrap();
        assert!(untold(store).await.contains(&("w".to_owned(), at(100))), "it is waited for from now on");
        attach(store, "w", 101).await;
        assert!(store.returned_workers().await.unwrap().is_empty(), "what was told before is forgotten");
        // Removed while it is connected, and taken up again before its link is cut.
        commit(store, rows(&["v"], &[])).await;
        store.prepare_generation(rows(&["v", "w"], &[]), at(200)).await.unwrap().commit().await.unwrap();
        assert!(!untold(store).await.iter().any(|(name, _)| name == "w"));
        store.worker_detached(&worker("w"), at(201)).await.unwrap();
        assert!(untold(store).await.contains(&("w".to_owned(), at(201))));
    }

    async fn the_builds_that_a_worker_took_with_it_are_known(house: &House) {
        let open = house.furnished().await;
        let store = &open.store;
        attach(store, "w", 1).await;
        let lost = format!("{LINK_LOST}w was lost; attempt 1 of 4");
        ended(store, 100, Outcome::Retry, &lost).await;
        ended(store, 1000, Outcome::Success, "build successful").await;
        ended(store, 1000, Outcome::Retry, "build interrupted: the master stops").await;
        let third = ended(store, 999, Outcome::Retry, &lost).await;
        let last = ended(store, 1002, Outcome::Exception, &format!("{LINK_LOST}w was lost; not tried again")).await;
        store.worker_detached(&worker("w"), at(1000)).await.unwrap();
        let losses = [(worker("w"), at(1000)), (worker("nobody"), at(0))];
        let found = store.lost_builds(&losses, 100).await.unwrap();
        let found: Vec<_> = found.iter().map(|it| (it.worker.as_str(), it.builder.as_str(), it.number)).collect();
        assert_eq!(found, [("w", "a", third), ("w", "a", last)]);
        assert_eq!(store.lost_builds(&losses, 1).await.unwrap().len(), 1);
        assert!(store.lost_builds(&[], 100).await.unwrap().is_empty());
    }

    async fn ten_thousand_workers_are_told_of_with_as_many_statements_as_two(house: &House) {
        let mut open = house.open().await;
        let store = open.store.clone();
        let reader = tokio::spawn(async move { while open.told.recv().await.is_some() {} });
        let names: Vec<String> = (0..10_002).map(|n| format!("worker-{n:05}")).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        commit(&store, rows(&all, &[])).await;
        let mut statements = Vec::new();
        for some in [&names[..2], &names[2..]] {
            let losses = generation::json(some.iter().map(|name| (name, at(0).as_microsecond())));
            let count = store
                .write::<_, StoreError, _>("count", move |work| {
                    Box::pin(async move {
                        let before = work.statements;
                        let args = connection::args![at(1), losses];
                        work.rows(AssertSqlSafe(missing::missing(work.dialect())), args).await?;
                        outbox::add(work, &[letter(u32::try_from(before).unwrap())], at(1)).await?;
                        Ok(work.statements - before)
                    })
                })
                .await
                .unwrap();
            statements.push(count);
        }
        assert_eq!(statements, [2, 2]);
        store.write::<_, StoreError, _>("forget", |work| {
            Box::pin(async move {
                work.execute("UPDATE workers SET missing_reported_at = NULL", vec![]).await?;
                Ok(())
            })
        }).await.unwrap();

        let absent = store.absent_workers().await.unwrap();
        assert_eq!(absent.len(), 10_002);
        let losses: Vec<_> = absent.into_iter().map(|worker| (worker.name, worker.absent_since)).collect();
        assert!(store.lost_builds(&losses, 1000).await.unwrap().is_empty());
        assert!(store.report_missing(losses.clone(), vec![letter(1_000_000)], at(2)).await.unwrap());
        assert!(!store.report_missing(losses, vec![letter(1_000_001)], at(3)).await.unwrap());
        let connect = "UPDATE workers SET connected_to = $1, absent_since_at = NULL";
        store.write::<_, StoreError, _>("connect", move |work| {
            Box::pin(async move {
                let master = work.master;
                work.execute(connect, connection::args![master.0]).await?;
                Ok(())
            })
        }).await.unwrap();
        let back = store.returned_workers().await.unwrap();
        assert_eq!(back.len(), 10_002);
        let back = back.into_iter().map(|worker| worker.name).collect();
        assert!(store.report_returned(back, vec![letter(1_000_002)], at(4)).await.unwrap());
        assert!(store.returned_workers().await.unwrap().is_empty());
        drop(store);
        reader.abort();
    }
}

#[tokio::test]
async fn questions_about_letters_and_missing_workers_use_their_index() {
    let house = House::sqlite();
    let open = house.furnished().await;
    let mut connection = beside(&house).await;
    let dialect = connection::Dialect::Sqlite;
    let losses = "[[\"w\",1]]";
    for (index, sql, args) in [
        ("INDEX outbox_due (next_try_at<?)", outbox::DUE.to_owned(), connection::args![1_i64, 9_i64]),
        ("INDEX outbox_due", outbox::NEXT.to_owned(), vec![]),
        ("INDEX outbox_given_up", outbox::TOO_MANY.to_owned(), connection::args![1000_i64]),
        ("INDEX workers_absent", missing::ABSENT.to_owned(), vec![]),
        ("INDEX workers_reported", missing::RETURNED.to_owned(), vec![]),
        (
            "builds_lost (workerid=? AND complete_at>?)",
            missing::lost(dialect),
            connection::args![losses, 9_i64],
        ),
        ("sqlite_autoindex_workers_1 (name=?)", missing::missing(dialect), connection::args![1_i64, losses]),
        ("sqlite_autoindex_workers_1 (name=?)", missing::back(dialect), connection::args![losses]),
    ] {
        let rows = connection.rows(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")), args).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.text("detail").unwrap()).collect();
        let plan = plan.join("; ");
        assert!(plan.contains(index), "{index}: {sql}\n{plan}");
    }
    open.store.close().await;
}
