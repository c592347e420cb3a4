//! What goes wrong: versions, files, lost connections, impatient callers; and what must not become slow.

use std::os::unix::fs::PermissionsExt as _;

use sqlx::AssertSqlSafe;

use super::{connection::Connection, *};
use crate::model::EventId;

/// A connection beside those of the store.
async fn beside(house: &House) -> Connection {
    open::open(&house.database, house.folder.path()).await.unwrap().connection
}

on_both! {
    async fn a_group_of_commits_keeps_the_order_of_events(house: &House) {
        let mut open = house.furnished().await;
        let wishes = (0..200).map(|n| {
            let names: &[&str] = if n % 10 == 3 { &["nobody"] } else { &["a"] };
            open.store.add_buildset(buildset(names, 0), at(n))
        });
        let results = futures_util::future::join_all(wishes).await;
        assert_eq!(results.iter().filter(|result| result.is_err()).count(), 20);
        let mut keys: Vec<i64> = results.iter().filter_map(|set| Some(set.as_ref().ok()?.id.0)).collect();
        let events = told(&mut open, 1 + 180 * 2).await;
        let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
        assert_eq!(ids, (1..=361).map(EventId).collect::<Vec<_>>(), "no event twice, none lost, none of a refused job");
        let mut told: Vec<i64> = events[1..].iter().step_by(2).map(|event| event.key).collect();
        keys.sort_unstable();
        told.sort_unstable();
        assert_eq!(told, keys);
    }

    async fn a_job_that_fails_alone_leaves_nothing_and_disturbs_none_after_it(house: &House) {
        let mut open = house.furnished().await;
        for n in 0..3 {
            let refused = open.store.add_buildset(buildset(&["a", "nobody"], 0), at(n)).await;
            assert!(refused.is_err(), "there is no such builder");
            open.store.add_buildset(buildset(&["a"], 0), at(n)).await.unwrap();
        }
        assert_eq!(open.store.buildsets(&Query::all()).await.unwrap().rows.len(), 3);
        let ids: Vec<i64> = told(&mut open, 7).await.iter().map(|event| event.id.0).collect();
        assert_eq!(ids, [1, 2, 3, 4, 5, 6, 7], "no number is left out");
    }

    async fn a_caller_that_is_dropped_does_not_undo_its_change(house: &House) {
        let mut open = house.furnished().await;
        {
            let adding = open.store.add_buildset(buildset(&["a"], 0), at(1));
            tokio::pin!(adding);
            // One look: the job is ordered, its answer hardly there.
            let looked = futures_util::poll!(adding.as_mut());
            drop(looked);
        }
        assert_eq!(told(&mut open, 3).await.len(), 3);
        assert_eq!(open.store.buildsets(&Query::all()).await.unwrap().rows.len(), 1);
    }

    async fn closing_does_what_was_ordered_and_refuses_what_comes_later(house: &House) {
        let open = house.furnished().await;
        let wishes: Vec<_> = (0..50)
            .map(|n| {
                let store = open.store.clone();
                tokio::spawn(async move { store.add_buildset(buildset(&["a"], 0), at(n)).await })
            })
            .collect();
        open.store.close().await;
        let mut done = 0;
        for wish in wishes {
            match wish.await.unwrap() {
                Ok(_) => done += 1,
                Err(error) => assert!(matches!(error, StoreError::Closed { .. }), "{error}"),
            }
        }
        let error = open.store.add_buildset(buildset(&["a"], 0), at(99)).await.unwrap_err();
        assert!(matches!(error, StoreError::Closed { .. }), "{error}");
        let again = house.open().await;
        assert_eq!(again.store.buildsets(&Query::all()).await.unwrap().rows.len(), done);
        open.store.close().await;
    }

    async fn a_database_of_a_later_version_is_refused(house: &House) {
        house.open().await.store.close().await;
        let mut connection = beside(house).await;
        let sql = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             SELECT 1000, 'later', success, checksum, execution_time FROM _sqlx_migrations WHERE version = 1";
        connection.execute(sql, vec![]).await.unwrap();
        let Err(error) = house.try_open().await else { panic!("it was opened") };
        assert!(matches!(error, OpenError::LaterVersion { found: 1000, known: 6, .. }), "{error}");
    }

    async fn two_writers_on_one_database_wait_for_each_other(house: &House) {
        let (one, two) = (house.furnished().await, house.open().await);
        let wishes = (0..40).map(|n| {
            let store = if n % 2 == 0 { &one.store } else { &two.store };
            store.add_buildset(buildset(&["a"], 0), at(n))
        });
        for result in futures_util::future::join_all(wishes).await {
            result.unwrap();
        }
        let events = one.store.events(&Query::all()).await.unwrap().rows;
        assert_eq!(events.iter().map(|event| event.eventid.0).collect::<Vec<_>>(), (1..=81).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn the_database_file_is_for_its_owner_alone() {
    let house = House::sqlite();
    let path = house.folder.path().join("state.sqlite");
    std::fs::write(&path, b"").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = house.furnished().await;
    for name in ["state.sqlite", "state.sqlite-wal"] {
        let mode = std::fs::metadata(house.folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    open.store.close().await;
}

#[tokio::test]
async fn a_database_that_cannot_be_a_file_is_refused_with_its_path() {
    let house = House::sqlite();
    std::fs::create_dir(house.folder.path().join("state.sqlite")).unwrap();
    let Err(error) = house.try_open().await else { panic!("it was opened") };
    assert!(error.to_string().contains("state.sqlite"), "{error}");
    assert!(matches!(error, OpenError::File { .. }));
    let house = House::sqlite();
    std::fs::write(house.folder.path().join("state.sqlite"), b"this is no database, whatever its name says")
        .unwrap();
    let Err(error) = house.try_open().await else { panic!("it was opened") };
    assert!(error.to_string().contains("state.sqlite"), "{error}");
    let house = House::sqlite();
    std::fs::write(house.logs(), b"").unwrap();
    let Err(error) = house.try_open().await else { panic!("it was opened") };
    assert!(matches!(error, OpenError::Logs { .. }), "{error}");
}

#[cfg(not(feature = "postgres"))]
#[tokio::test]
async fn without_the_feature_postgresql_is_refused_with_a_hint() {
    let mut house = House::sqlite();
    house.database = DatabaseDefinition::parse("postgresql://ci@db/ci").unwrap();
    let Err(error) = house.try_open().await else { panic!("it was opened") };
    assert!(error.to_string().contains("`postgres`"), "{error}");
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_fails_its_job_and_is_made_anew() {
    let Some(house) = House::postgres().await else { return };
    let mut open = house.furnished().await;
    let mut other = beside(&house).await;
    let kill = "SELECT pg_terminate_backend(pid) AS done FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()";
    other.rows(kill, vec![]).await.unwrap();
    let error = open.store.add_buildset(buildset(&["a"], 0), at(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Disconnected { .. }), "{error}");
    let again = async {
        loop {
            if let Ok(set) = open.store.add_buildset(buildset(&["a"], 0), at(2)).await {
                break set;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), again).await.expect("it connects again");
    let events = told(&mut open, 3).await;
    assert_eq!(
        events.iter().map(|event| event.id.0).collect::<Vec<_>>(),
        [1, 2, 3],
        "the lost job left nothing"
    );
    house.gone().await;
}

#[tokio::test]
async fn usual_questions_use_their_index_and_sort_nothing() {
    let house = House::sqlite();
    let open = house.furnished().await;
    let mut connection = beside(&house).await;
    let of = |field: &str| Query::all().filter(field, FilterOp::Eq, &1);
    let newest = |query: Query, field: &str| query.order_by(field, Direction::Descending);
    let open_ones = || Query::all().filter("complete", FilterOp::Eq, "false");
    let mut plans = Vec::new();
    let builds = [
        // Walking the keys in their order ends with the limit.
        (newest(Query::all(), "buildid"), "SCAN builds"),
        (newest(of("builderid"), "number"), "sqlite_autoindex_builds_1 (builderid=?)"),
        (
            of("builderid").filter("number", FilterOp::Eq, &1),
            "sqlite_autoindex_builds_1 (builderid=? AND number=?)",
        ),
        (newest(of("workerid"), "buildid"), "builds_worker (workerid=?)"),
        (newest(of("buildrequestid"), "buildid"), "builds_request (buildrequestid=?)"),
        (newest(of("results"), "buildid"), "builds_results (results=?)"),
        (open_ones(), "builds_complete (complete_at=?)"),
        (newest(Query::all(), "started_at"), "SCAN builds USING INDEX builds_started"),
        (newest(Query::all(), "complete_at"), "SCAN builds USING INDEX builds_complete"),
        (
            newest(Query::all().filter("started_at", FilterOp::Ge, &5), "started_at"),
            "builds_started (started_at>?)",
        ),
    ];
    for (query, index) in builds {
        let compiled = query::compile::<BuildRow>(&query, connection::Dialect::Sqlite).unwrap();
        plans.push((index, compiled.select, compiled.args));
    }
    let requests = [
        (newest(Query::all(), "buildrequestid"), "SCAN build_requests"),
        (open_ones(), "build_requests_complete (complete_at=?)"),
        (newest(of("builderid"), "buildrequestid"), "build_requests_builder (builderid=?)"),
        (newest(of("buildsetid"), "buildrequestid"), "build_requests_buildset (buildsetid=?)"),
        (newest(Query::all(), "submitted_at"), "SCAN build_requests USING INDEX build_requests_submitted"),
    ];
    for (query, index) in requests {
        let compiled = query::compile::<BuildRequestRow>(&query, connection::Dialect::Sqlite).unwrap();
        plans.push((index, compiled.select, compiled.args));
    }
    let steps = of("buildid").order_by("number", Direction::Ascending);
    let steps = query::compile::<StepRow>(&steps, connection::Dialect::Sqlite).unwrap();
    plans.push(("sqlite_autoindex_steps_1 (buildid=?)", steps.select, steps.args));
    let sql = request::QUEUE_SAME.to_owned();
    let args = connection::args!["a", 0_i64, 1_i64, 10_i64];
    plans.push(("build_requests_queue (builderid=? AND urgency=? AND id>?)", sql, args));
    let sql = request::QUEUE_LOWER.to_owned();
    let args = connection::args!["a", 0_i64, 10_i64];
    plans.push(("build_requests_queue (builderid=? AND urgency>?)", sql, args));
    let sql = log::WAITING_FOR_COMPRESSION.to_owned();
    plans.push(("logs_unsettled (form=? AND id>?)", sql, connection::args![1_i64, 0_i64]));
    let sql = request::LAST_BUILDSET.to_owned();
    plans.push(("buildsets_scheduler (schedulerid=?)", sql, connection::args!["nightly"]));
    plans.push(("steps_open", resolve::OPEN_STEPS.to_owned(), connection::args![1_i64]));
    let sql = resume::RESUMABLE.to_owned();
    plans.push(("builds_complete (complete_at=?)", sql, connection::args![1_i64]));
    plans.push((
        "builds_complete (complete_at=?)",
        resolve::OPEN_BUILDS.to_owned(),
        connection::args![1_i64],
    ));

    for (index, sql, args) in plans {
        let rows = connection.rows(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")), args).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.text("detail").unwrap()).collect();
        let plan = plan.join("; ");
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{index}: {sql}\n{plan}");
    }
    open.store.close().await;
}
