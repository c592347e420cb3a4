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

    async fn a_caller_that_is_dropped_does_not_undo_its_change(house: &House) {
        let mut open = house.furnished().await;
        {
            let adding = open.store.add_buildset(buildset(&["a"], 0), at(1));
            tokio::pin!(adding);
            // One look: the job is ordered, its answer not yet there.
            let _ = futures_util::poll!(adding.as_mut());
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
             SELECT 7, 'later', success, checksum, execution_time FROM _sqlx_migrations WHERE version = 1";
        connection.execute(sql, vec![]).await.unwrap();
        let Err(error) = house.try_open().await else { panic!("it was opened") };
        assert!(matches!(error, OpenError::LaterVersion { found: 7, known: 1, .. }), "{error}");
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
async fn usual_questions_use_an_index_and_sort_nothing() {
    let house = House::sqlite();
    let open = house.furnished().await;
    let mut connection = beside(&house).await;
    let mut plans = vec![("queue", request::QUEUE.to_owned(), request::queue_args(&builder("a"), None, 10))];
    let all = Query::all;
    let newest = |query: Query, field: &str| query.order_by(field, Direction::Descending);
    let builds = [
        newest(all(), "buildid"),
        newest(all().filter("builderid", FilterOp::Eq, &1), "number"),
        newest(all().filter("workerid", FilterOp::Eq, &1), "buildid"),
        newest(all().filter("buildrequestid", FilterOp::Eq, &1), "buildid"),
        newest(all().filter("results", FilterOp::Eq, &2), "buildid"),
        all().filter("complete", FilterOp::Eq, "false"),
        newest(all(), "started_at"),
        newest(all(), "complete_at"),
        newest(all().filter("started_at", FilterOp::Ge, &5), "started_at"),
    ];
    let compiled = |query: &Query| query::compile::<BuildRow>(query, connection::Dialect::Sqlite).unwrap();
    plans.extend(builds.iter().map(compiled).map(|compiled| ("builds", compiled.select, compiled.args)));
    let requests = [
        newest(all(), "buildrequestid"),
        all().filter("complete", FilterOp::Eq, "false"),
        newest(all().filter("builderid", FilterOp::Eq, &1), "buildrequestid"),
        newest(all().filter("buildsetid", FilterOp::Eq, &1), "buildrequestid"),
        newest(all(), "submitted_at"),
        newest(all(), "complete_at"),
    ];
    let compiled =
        |query: &Query| query::compile::<BuildRequestRow>(query, connection::Dialect::Sqlite).unwrap();
    plans.extend(requests.iter().map(compiled).map(|compiled| ("requests", compiled.select, compiled.args)));
    let steps = all().filter("buildid", FilterOp::Eq, &1).order_by("number", Direction::Ascending);
    let steps = query::compile::<StepRow>(&steps, connection::Dialect::Sqlite).unwrap();
    plans.push(("steps", steps.select, steps.args));
    let logs =
        query::compile::<LogRow>(&all().filter("stepid", FilterOp::Eq, &1), connection::Dialect::Sqlite)
            .unwrap();
    plans.push(("logs", logs.select, logs.args));
    let sql = log::WAITING_FOR_COMPRESSION.to_owned();
    plans.push(("compressor", sql, connection::args![1_i64, 0_i64]));
    plans.push(("last buildset", request::LAST_BUILDSET.to_owned(), connection::args!["nightly"]));

    for (what, sql, args) in plans {
        let rows = connection.rows(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")), args).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.text("detail").unwrap()).collect();
        let plan = plan.join("; ");
        assert!(!plan.contains("TEMP B-TREE") || what == "logs", "{what}: {sql}\n{plan}");
        let walks = plan.split("; ").filter(|step| step.starts_with("SCAN"));
        for walk in walks {
            // Walking an index in the order wanted ends with the limit; the key itself is such an index.
            let in_order = walk.contains("USING INDEX") || sql.contains("ORDER BY id");
            assert!(in_order, "{what}: {sql}\n{plan}");
        }
    }
    open.store.close().await;
}
