//! Configurations, workers, and the questions of the API.

use super::{
    Direction::{Ascending, Descending},
    FilterOp::{Eq, Ge, Gt, Le, Lt, Ne},
    *,
};
use std::collections::{BTreeMap, BTreeSet};

use crate::{
    definition::{
        BuilderDefinition, MasterDefinition, ReconfigPlan, Text, WorkerDefinition,
        options::WORKER,
        record::{Record, Value},
    },
    model::{EventKind, Outcome, Place, Remark, Secret, WorkerInfo, WorkerWord},
};

on_both! {
    async fn a_dropped_configuration_leaves_nothing(house: &House) {
        let mut open = house.open().await;
        let store = open.store.clone();
        let prepared = store.prepare_generation(rows(&["w"], &[("a", &["w"])]), at(1)).await.unwrap();
        assert_eq!(store.workers(&Query::all()).await.unwrap().total, Some(0), "nothing is seen before the commit");
        drop(prepared);
        // This waits for the writer, which has rolled back by then.
        assert_eq!(commit(&store, rows(&["v"], &[])).await, 1, "its number is given again");
        let workers = store.workers(&Query::all()).await.unwrap().rows;
        assert_eq!(workers.iter().map(|worker| worker.name.as_str()).collect::<Vec<_>>(), ["v"]);
        assert_eq!(store.builders(&Query::all()).await.unwrap().total, Some(0));
        assert_eq!(told(&mut open, 1).await[0].kind, EventKind::ConfigurationCommitted);
    }

    async fn a_name_that_is_gone_keeps_its_row_and_a_name_that_returns_its_key(house: &House) {
        let open = house.furnished().await;
        let store = &open.store;
        let before = store.builders(&Query::all()).await.unwrap().rows;
        begun(store, 1).await;
        let mut second = rows(&["x"], &[("b", &["x"])]);
        second.builders[0].description = Some("the other".into());
        second.builders[0].tags = vec!["slow".into()];
        assert_eq!(commit(store, second.clone()).await, 2);
        let after = store.builders(&Query::all()).await.unwrap().rows;
        assert_eq!(after.iter().map(|row| (row.name.as_str(), row.configured)).collect::<Vec<_>>(), [("a", false), ("b", true)]);
        assert_eq!(after[0].masterids, []);
        assert_eq!((after[1].description.as_deref(), after[1].tags.as_slice()), (Some("the other"), ["slow".to_owned()].as_slice()));
        let workers = store.workers(&Query::all()).await.unwrap().rows;
        assert_eq!((workers[0].configured, workers[0].configured_on.len()), (false, 0));
        assert_eq!(workers[1].configured_on[0].builderid, after[1].builderid);
        assert!(store.build_by_number(&builder("a"), 1).await.unwrap().is_some(), "history stays");
        let error = store.add_buildset(buildset(&["a"], 0), at(2)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unknown { .. }), "{error}");

        assert_eq!(commit(store, rows(&["w"], &[("a", &["w"]), ("b", &["w"])])).await, 3);
        assert_eq!(store.builders(&Query::all()).await.unwrap().rows, before);
        let generations = store.generations(&Query::all()).await.unwrap().rows;
        assert_eq!(generations.iter().map(|row| (row.generation, row.workers, row.builders)).collect::<Vec<_>>(), [(1, 1, 2), (2, 1, 1), (3, 1, 2)]);
    }

    async fn what_is_written_of_a_change_alone_is_what_the_whole_would_leave(house: &House) {
        // Workers; and builders, each with its workers.
        type Farm = (&'static [&'static str], &'static [(&'static str, &'static [&'static str])]);
        let open = house.open().await;
        let store = &open.store;
        let all: [Farm; 6] = [
            (&["v", "w"], &[("a", &["v", "w"]), ("b", &["w"])]),
            (&["v", "w"], &[("a", &["v", "w"]), ("b", &["w"])]),
            (&["w", "x"], &[("a", &["w", "x"]), ("c", &["x"])]),
            (&["x"], &[("c", &["x"])]),
            (&["v", "w", "x"], &[("a", &["v"]), ("b", &["v", "w", "x"]), ("c", &["x"])]),
            (&[], &[]),
        ];
        let mut before = MasterDefinition::nothing();
        for (number, (workers, builders)) in (1..).zip(all) {
            let definition = definition(workers, builders);
            let plan = ReconfigPlan::between(&before, &definition);
            let part = GenerationRows::of_plan(&plan, &definition);
            assert!(number != 2 || (part.builders.is_empty() && part.workers.is_empty()), "nothing has changed");
            assert_eq!(commit(store, part).await, number);
            let shown = farm(store).await;
            let other = House::sqlite();
            let whole = other.open().await;
            commit(&whole.store, (&definition).into()).await;
            assert_eq!(configured(&shown), configured(&farm(&whole.store).await), "generation {number}");
            let generation = store.generations(&Query::all()).await.unwrap().rows.pop().unwrap();
            assert_eq!((generation.workers, generation.builders), (count(workers), count(builders)));
            before = definition;
        }
        let names: Vec<_> = store.workers(&Query::all()).await.unwrap().rows.into_iter().map(|row| row.name).collect();
        assert_eq!(names, [worker("v"), worker("w"), worker("x")], "those that are gone keep their rows");
    }

    async fn a_worker_is_shown_attached_until_it_detaches(house: &House) {
        let mut open = house.furnished().await;
        let store = open.store.clone();
        let info = WorkerInfo([("version".to_owned(), serde_json::json!("4.3.0"))].into());
        store.worker_attached(&worker("w"), &info, at(1)).await.unwrap();
        let row = store.workers(&Query::all()).await.unwrap().rows.remove(0);
        assert_eq!(row.connected_to, [ConnectedTo { masterid: store.master_id() }]);
        assert_eq!(row.workerinfo, info);
        let event = told(&mut open, 2).await.remove(1);
        assert_eq!((event.kind, &event.body), (EventKind::WorkerAttached, &serde_json::to_value(&row).unwrap()));
        store.worker_detached(&worker("w"), at(2)).await.unwrap();
        store.worker_detached(&worker("w"), at(3)).await.unwrap();
        assert!(store.workers(&Query::all()).await.unwrap().rows[0].connected_to.is_empty());
        assert_eq!(store.events(&Query::all()).await.unwrap().rows.len(), 3, "detaching twice is told once");
        let error = store.worker_attached(&worker("nobody"), &info, at(4)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unknown { noun: "worker", .. }), "{error}");
    }

    async fn what_is_said_of_a_worker_is_told_shown_and_outlives_its_link_and_its_configuration(house: &House) {
        let mut open = house.furnished().await;
        let store = open.store.clone();
        let paused = Remark { reason: Some("disk full".into()), by: Some("ada".into()), at: at(1) };
        let stopping = Remark { reason: None, by: None, at: at(2) };
        let word = WorkerWord { paused: Some(paused.clone()), stopping: Some(stopping) };
        store.set_worker_word(&worker("w"), &word, at(3)).await.unwrap();
        let event = told(&mut open, 2).await.remove(1);
        assert_eq!((event.kind, event.at), (EventKind::WorkerStateChanged, at(3)));
        let row = store.workers(&Query::all()).await.unwrap().rows.remove(0);
        assert_eq!(event.body, serde_json::to_value(&row).unwrap());
        assert_eq!((row.paused, row.pause_reason.as_deref(), row.paused_by.as_deref(), row.paused_at), (true, Some("disk full"), Some("ada"), Some(at(1))));
        assert_eq!((row.graceful, row.graceful_reason, row.graceful_by, row.graceful_at), (true, None, None, Some(at(2))));

        assert_eq!(commit(&store, rows(&[], &[])).await, 2);
        assert_eq!(store.worker_words().await.unwrap(), [(worker("w"), word)].into());
        assert_eq!(commit(&store, rows(&["w"], &[])).await, 3);
        store.worker_attached(&worker("w"), &WorkerInfo::default(), at(4)).await.unwrap();
        store.worker_detached(&worker("w"), at(5)).await.unwrap();
        assert!(store.workers(&Query::all()).await.unwrap().rows[0].graceful, "a lost link fulfils nothing");
        store.worker_attached(&worker("w"), &WorkerInfo::default(), at(6)).await.unwrap();
        store.worker_stopped(&worker("w"), at(7)).await.unwrap();
        let row = store.workers(&Query::all()).await.unwrap().rows.remove(0);
        assert_eq!((row.graceful, row.graceful_at, row.connected_to.len(), row.absent_since), (false, None, 0, Some(at(7))));
        let left = WorkerWord { paused: Some(paused), stopping: None };
        assert_eq!(store.worker_words().await.unwrap(), [(worker("w"), left)].into());
        store.set_worker_word(&worker("w"), &WorkerWord::default(), at(8)).await.unwrap();
        assert!(store.worker_words().await.unwrap().is_empty());
        let error = store.set_worker_word(&worker("nobody"), &WorkerWord::default(), at(9)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unknown { noun: "worker", .. }), "{error}");
        let id = row.workerid;
        assert_eq!(store.worker_name(id).await.unwrap(), Some(worker("w")));
        assert_eq!(store.worker_name(crate::model::WorkerId(id.0 + 99)).await.unwrap(), None);
    }

    async fn questions_filter_order_and_page(house: &House) {
        let open = house.furnished().await;
        let store = &open.store;
        for n in 0..6 {
            let build = begun(store, n).await;
            let outcome = if n % 2 == 0 { Outcome::Success } else { Outcome::Failure };
            if n < 5 {
                store.finish_build(build.id, outcome, "ended", RequestEnd::Complete, at(100 - n)).await.unwrap();
            }
        }
        let numbers = async |query: Query| -> Vec<i64> {
            store.builds(&query).await.unwrap().rows.iter().map(|build| build.number).collect()
        };
        let all = Query::all;
        assert_eq!(numbers(all().order_by("number", Descending).limit(2).offset(1)).await, [5, 4]);
        assert_eq!(numbers(all().filter("results", Eq, &2)).await, [2, 4]);
        assert_eq!(numbers(all().filter("results", Ne, &2)).await, [1, 3, 5, 6], "what is absent is not equal");
        assert_eq!(numbers(all().filter("complete", Eq, "false")).await, [6]);
        assert_eq!(numbers(all().order_by("complete_at", Ascending)).await, [6, 5, 4, 3, 2, 1], "what is absent is least");
        assert_eq!(numbers(all().order_by("complete_at", Descending)).await, [1, 2, 3, 4, 5, 6]);
        let began = at(2).as_second();
        assert_eq!(numbers(all().filter("started_at", Eq, &began)).await, [3]);
        assert_eq!(numbers(all().filter("started_at", Gt, &began)).await, [4, 5, 6]);
        assert_eq!(numbers(all().filter("started_at", Ge, &began)).await, [3, 4, 5, 6]);
        assert_eq!(numbers(all().filter("started_at", Lt, &began)).await, [1, 2]);
        assert_eq!(numbers(all().filter("started_at", Le, &began).filter("number", Ne, &1)).await, [2, 3]);
        let several = Filter { field: "number".into(), op: Eq, values: vec!["2".into(), "5".into()] };
        assert_eq!(numbers(Query { filters: vec![several.clone()], ..all() }).await, [2, 5]);
        let none = Filter { op: Ne, ..several };
        assert_eq!(numbers(Query { filters: vec![none], ..all() }).await, [1, 3, 4, 6]);
        assert!(numbers(all().filter("number", Eq, &9)).await.is_empty());
        assert_eq!(store.builds(&all().limit(3)).await.unwrap().total, None, "history is not counted");
        assert_eq!(store.builds(&all().limit(3).offset(4)).await.unwrap().total, Some(6));
    }

    async fn small_tables_are_counted_and_texts_are_searched(house: &House) {
        let open = house.open().await;
        let store = &open.store;
        let mut rows = rows(&["a1", "a2", "b1"], &[("x", &["a1"]), ("y", &[])]);
        rows.builders[0].tags = vec!["fast".into(), "a\"b".into()];
        commit(store, rows).await;
        let page = store.workers(&Query::all().limit(1).order_by("name", Descending)).await.unwrap();
        assert_eq!((page.rows[0].name.as_str(), page.total), ("b1", Some(3)));
        let page = store.workers(&Query::all().limit(1).filter("name", FilterOp::Contains, "a")).await.unwrap();
        assert_eq!(page.total, Some(2));
        for (tag, found) in [("fast", 1), ("fas", 0), ("a\"b", 1), ("b", 0), ("%", 0)] {
            let page = store.builders(&Query::all().filter("tags", FilterOp::Contains, tag)).await.unwrap();
            assert_eq!(page.total, Some(found), "{tag}");
        }
        let page = store.builders(&Query::all().filter("name", Eq, "x' OR '1'='1")).await.unwrap();
        assert_eq!(page.total, Some(0), "a value stays a value");
    }

    async fn a_senseless_question_is_refused_with_what_is_known(house: &House) {
        let open = house.open().await;
        let store = &open.store;
        let error = store.builds(&Query::all().filter("id; DROP TABLE builds", Eq, "1")).await.unwrap_err();
        assert!(matches!(&error, QueryError::UnknownField { known, .. } if known.contains(&"number")), "{error}");
        let error = store.builds(&Query::all().order_by("reason", Ascending)).await.unwrap_err();
        assert!(matches!(error, QueryError::UnknownField { .. }), "{error}");
        let error = store.builds(&Query::all().filter("number", Lt, "many")).await.unwrap_err();
        assert!(matches!(error, QueryError::BadValue { .. }), "{error}");
        let error = store.builds(&Query::all().filter("complete", Lt, "true")).await.unwrap_err();
        assert!(matches!(error, QueryError::BadComparison { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_prepared_configuration_is_given_up_after_ten_seconds() {
    let house = House::sqlite();
    let open = house.open().await;
    let prepared = open.store.prepare_generation(rows(&["w"], &[]), at(1)).await.unwrap();
    // Nothing waits for the database now, so the clock may jump.
    tokio::time::pause();
    tokio::time::advance(writer::PREPARED_LIMIT + Duration::from_secs(1)).await;
    tokio::time::resume();
    // Once this change is through, the writer was free again.
    commit(&open.store, rows(&["v"], &[])).await;
    let error = prepared.commit().await.unwrap_err();
    assert!(matches!(error, StoreError::PreparedTooLong), "{error}");
    assert_eq!(open.store.workers(&Query::all()).await.unwrap().rows.len(), 1);
}

/// Workers of this name, and builders that run on them.
fn definition(workers: &[&str], builders: &[(&str, &[&str])]) -> MasterDefinition {
    let mut definition = MasterDefinition::nothing();
    for name in workers {
        let mut record = Record::new(&WORKER, Place::new("master.cfg.lua", 1));
        record.values.insert("name", Value::Text(Text::Plain((*name).to_owned())));
        record.values.insert("password", Value::Secrets(vec![Secret::new("pw").into()]));
        let made = WorkerDefinition::from_record(&record, &mut Vec::new()).unwrap();
        definition.workers.insert(made.name.clone(), Arc::new(made));
    }
    for (name, workers) in builders {
        let made = BuilderDefinition {
            name: builder(name),
            worker_names: workers.iter().map(|name| worker(name)).collect(),
            steps: Arc::new([]),
            worker_build_dir: (*name).to_owned(),
            env: BTreeMap::new(),
            properties: BTreeMap::new(),
            default_properties: BTreeMap::new(),
            tags: Vec::new(),
            locks: Vec::new(),
            description: None,
            place: Place::new("master.cfg.lua", 2),
        };
        definition.builders.insert(made.name.clone(), Arc::new(made));
    }
    definition
}

/// Each builder and each worker by name, with those that it goes with; whether it is configured.
type Farm = BTreeMap<String, (bool, BTreeSet<String>)>;

async fn farm(store: &Store) -> Farm {
    let builders = store.builders(&Query::all()).await.unwrap().rows;
    let named = |id| builders.iter().find(|row| row.builderid == id).unwrap().name.to_string();
    let workers = store.workers(&Query::all()).await.unwrap().rows;
    let mut farm: Farm = workers
        .iter()
        .map(|row| {
            let on = row.configured_on.iter().map(|on| named(on.builderid)).collect();
            (format!("worker {}", row.name), (row.configured, on))
        })
        .collect();
    farm.extend(
        builders.iter().map(|row| (format!("builder {}", row.name), (row.configured, BTreeSet::new()))),
    );
    farm
}

fn configured(farm: &Farm) -> Farm {
    farm.iter()
        .filter(|(_, (configured, _))| *configured)
        .map(|(name, row)| (name.clone(), row.clone()))
        .collect()
}

fn count<T>(list: &[T]) -> i64 {
    i64::try_from(list.len()).unwrap()
}
