//! Promises of the store, each kept on SQLite and on PostgreSQL.
//!
//! The tests on PostgreSQL need a server on which databases can be made: its URL in `LUNABOT_TEST_POSTGRES`. Each
//! test has a database of its own.

mod absence;
mod farm;
mod finished;
mod giving_way;
mod letters;
mod logs;
mod parents;
mod trouble;
mod work;

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::mpsc;

use super::*;
use crate::model::{BuildRequestId, BuilderName, Properties, SchedulerName, Timestamp, WorkerName};

/// A database and a folder, which go away with the test.
struct House {
    folder: tempfile::TempDir,
    database: DatabaseDefinition,
    #[cfg(feature = "postgres")]
    made: Option<Made>,
}

#[cfg(feature = "postgres")]
struct Made {
    server: String,
    name: String,
}

/// An open store and what it tells.
struct Open {
    store: Store,
    told: mpsc::Receiver<Vec<Arc<Event>>>,
}

impl House {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = DatabaseDefinition::Sqlite { path: "state.sqlite".into() };
        Self {
            folder,
            database,
            #[cfg(feature = "postgres")]
            made: None,
        }
    }

    /// Nothing, said aloud, if there is no server.
    #[cfg(feature = "postgres")]
    async fn postgres() -> Option<Self> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Ok(server) = std::env::var("LUNABOT_TEST_POSTGRES") else {
            eprintln!("skipped: LUNABOT_TEST_POSTGRES names no PostgreSQL server");
            return None;
        };
        let name = format!("lunabot_test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        on_server(&server, format!("CREATE DATABASE {name}")).await;
        let (head, _) = server.rsplit_once('/').expect("the URL names a database");
        let url = crate::model::Secret::new(format!("{head}/{name}"));
        let database = DatabaseDefinition::Postgres { url };
        Some(Self { folder: tempfile::tempdir().unwrap(), database, made: Some(Made { server, name }) })
    }

    fn logs(&self) -> PathBuf {
        self.folder.path().join("logs")
    }

    async fn try_open(&self) -> Result<Open, OpenError> {
        let (committed, told) = mpsc::channel(1024);
        let store = Store::open(&self.database, self.folder.path(), self.logs(), committed).await?;
        Ok(Open { store, told })
    }

    async fn open(&self) -> Open {
        self.try_open().await.unwrap()
    }

    /// Open, with builders `a` and `b` on worker `w`, and scheduler `nightly`.
    async fn furnished(&self) -> Open {
        let open = self.open().await;
        commit(&open.store, rows(&["w"], &[("a", &["w"]), ("b", &["w"])])).await;
        open
    }

    #[cfg(feature = "postgres")]
    async fn gone(self) {
        if let Some(Made { server, name }) = self.made {
            on_server(&server, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        }
    }
}

#[cfg(feature = "postgres")]
async fn on_server(server: &str, sql: String) {
    use sqlx::{Connection as _, Executor as _};
    let mut connection = sqlx::PgConnection::connect(server).await.expect("the server of the tests answers");
    connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
}

/// The same promise on both databases.
macro_rules! on_both {
    ($(async fn $name:ident($house:ident: &House) $body:block)*) => {
        mod sqlite {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let house = super::House::sqlite();
                super::$name(&house).await;
            }
        )*}
        #[cfg(feature = "postgres")]
        mod postgres {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(house) = super::House::postgres().await {
                    super::$name(&house).await;
                    house.gone().await;
                }
            }
        )*}
        $(async fn $name($house: &House) $body)*
    };
}
use on_both;

fn worker(name: &str) -> WorkerName {
    WorkerName::new(name).unwrap()
}

fn builder(name: &str) -> BuilderName {
    BuilderName::new(name).unwrap()
}

/// Some instant, so many seconds later.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

fn rows(workers: &[&str], builders: &[(&str, &[&str])]) -> GenerationRows {
    GenerationRows {
        cause: "test".into(),
        workers: workers.iter().map(|name| worker(name)).collect(),
        builders: builders
            .iter()
            .map(|(name, workers)| GenerationBuilder {
                name: builder(name),
                description: None,
                tags: Vec::new(),
                workers: workers.iter().map(|name| worker(name)).collect(),
            })
            .collect(),
        schedulers: vec![SchedulerName::new("nightly").unwrap()],
        others: Others::Go,
    }
}

async fn commit(store: &Store, rows: GenerationRows) -> i64 {
    store.prepare_generation(rows, at(0)).await.unwrap().commit().await.unwrap()
}

fn buildset(builders: &[&str], priority: i32) -> NewBuildset {
    let mut properties = Properties::new();
    properties.set("owner", "ada", "test");
    NewBuildset {
        scheduler: None,
        reason: "because".into(),
        properties,
        builders: builders.iter().map(|name| builder(name)).collect(),
        priority,
        parent: None,
        collapse: BTreeSet::new(),
    }
}

/// A request for builder `a`.
async fn request(store: &Store, seconds: i64) -> BuildRequestId {
    store.add_buildset(buildset(&["a"], 0), at(seconds)).await.unwrap().requests[0].1
}

/// A build of builder `a` that has begun.
async fn begun(store: &Store, seconds: i64) -> BegunBuild {
    let request = request(store, seconds).await;
    let new = NewBuild { request, worker: worker("w"), properties: Properties::new() };
    store.begin_build(new, at(seconds)).await.unwrap()
}

/// The next events, `count` of them.
async fn told(open: &mut Open, count: usize) -> Vec<Arc<Event>> {
    let mut events = Vec::new();
    while events.len() < count {
        let more = timeout(Duration::from_secs(20), open.told.recv()).await.expect("events come");
        events.extend(more.expect("the store is open"));
    }
    events
}
