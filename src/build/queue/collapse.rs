//! A function of the configuration says which waiting requests give way to a newer one: `collapseRequests`.
//!
//! # Laws
//! - For each request that comes in, the function is asked about at most [`MOST`] older ones: those that would be served
//!   first.
//! - Nobody waits for its answers: a request that can begin meanwhile begins, and gives way no more.
//! - A function that fails, takes too long or answers neither true nor false is asked no further for this request; all
//!   that it has not said yes to stay.
//!
//! # Not here
//! Requests that are alike: they give way in the transaction that adds the new one (`store::collapse`).

use std::time::Duration;

use tokio::time;
use tracing::{error, info, warn};

use super::tables;
use crate::{
    definition::{BuilderDefinition, Hook, HookArgument, HookCall, Hooks, Worth},
    model::{BuildRequestId, PropertyValue, Timestamp},
    store::{QueuedRequest, Store, StoreError},
};

/// Older requests about which the function is asked for each new one: a queue without end must not cost calls without end.
pub const MOST: u32 = 200;

/// How long one call may take, the calls before it included.
const DEADLINE: Duration = Duration::from_secs(10);

/// Requests that are read together.
const PAGE: u32 = 50;

/// A builder whose function decides.
pub struct Deciding<'a> {
    /// Where its requests are.
    pub store: &'a Store,
    /// Who calls the function.
    pub hooks: &'a dyn Hooks,
    /// The function.
    pub function: &'a Hook,
    /// The builder.
    pub builder: &'a BuilderDefinition,
    /// How many of its builds run.
    pub running: usize,
    /// How many of its requests wait.
    pub waiting: usize,
}

impl Deciding<'_> {
    /// Asks about the older requests, now that this one came in; says how many gave way to it. To be spawned: it lasts as
    /// long as the function's answers do.
    ///
    /// # Cancel safety
    /// Dropped before it returns, those that gave way have done so.
    pub async fn collapse_into(&self, new: &QueuedRequest) -> usize {
        match self.ask_about_older(new).await {
            Ok(count) => count,
            Err((count, failure)) => {
                let (builder, error) = (&self.builder.name, &failure as &dyn std::error::Error);
                error!(%builder, source = %self.builder.place, error, "cannot let older requests give way");
                count
            }
        }
    }

    async fn ask_about_older(&self, new: &QueuedRequest) -> Result<usize, (usize, StoreError)> {
        let (mut count, mut asked, mut after) = (0, 0, None);
        while asked < MOST {
            let limit = PAGE.min(MOST - asked);
            let page = self.store.older_requests(&self.builder.name, new.id, after, limit).await;
            let page = page.map_err(|failure| (count, failure))?;
            let Some(last) = page.last() else { break };
            after = Some(last.mark());
            asked += limit;
            for old in &page {
                match self.gives_way(new, old).await {
                    None => return Ok(count),
                    Some(false) => {}
                    Some(true) => match self.let_go(new.id, old.id).await {
                        Ok(gone) => count += usize::from(gone),
                        Err(failure) => return Err((count, failure)),
                    },
                }
            }
        }
        Ok(count)
    }

    /// What the function says of a pair; nothing if it says nothing that can be used, which is told.
    async fn gives_way(&self, new: &QueuedRequest, old: &QueuedRequest) -> Option<bool> {
        let tables = [
            tables::builder(self.builder, self.running, self.waiting),
            tables::request(new),
            tables::request(old),
        ];
        let arguments = tables.into_iter().map(HookArgument::Value).collect();
        let call = self.hooks.call(HookCall { hook: self.function.id, arguments });
        let why = match time::timeout(DEADLINE, call).await {
            Ok(Ok(Worth::Plain(PropertyValue::Bool(answer)))) => return Some(answer),
            Ok(Ok(other)) => format!("it returned {}, not true or false", other.shown()),
            Ok(Err(failure)) => failure.to_string(),
            Err(_) => format!("it took longer than {} s", DEADLINE.as_secs()),
        };
        let (builder, source) = (&self.builder.name, &self.function.place);
        warn!(%builder, %source, request = %new.id, "`collapseRequests` gives no answer, older requests stay: {why}");
        None
    }

    async fn let_go(&self, new: BuildRequestId, old: BuildRequestId) -> Result<bool, StoreError> {
        let gone = self.store.collapse_request(old, new, Timestamp::now()).await?;
        if gone {
            info!(builder = %self.builder.name, request = %old, into = %new, "build request collapsed");
        }
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Mutex};

    use futures_util::future::BoxFuture;
    use serde_json::json;
    use tokio::sync::mpsc;

    use super::*;
    use crate::{
        definition::{DatabaseDefinition, HookError, HookId, MasterDefinition},
        model::{Event, Outcome, Place, Properties},
        store::{GenerationRows, NewBuildset, Query},
    };

    /// Answers with what a test says of the two requests, and counts.
    struct Answers<F>(F, Mutex<usize>);

    impl<F> std::fmt::Debug for Answers<F> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("answers")
        }
    }

    impl<F> Hooks for Answers<F>
    where
        F: Fn(&PropertyValue, &PropertyValue) -> Result<PropertyValue, HookError> + Send + Sync,
    {
        fn call(&self, call: HookCall) -> BoxFuture<'_, Result<Worth, HookError>> {
            *self.1.lock().expect("no test panics within") += 1;
            let [HookArgument::Value(builder), HookArgument::Value(new), HookArgument::Value(old)] =
                &*call.arguments
            else {
                panic!("{:?}", call.arguments)
            };
            assert_eq!(builder, &json!({ "name": "b", "tags": [], "running": 1, "waiting": 2 }));
            let answer = self.0(new, old);
            Box::pin(std::future::ready(answer.map(Worth::Plain)))
        }
    }

    struct House {
        store: Store,
        builder: BuilderDefinition,
        _told: mpsc::Receiver<Vec<std::sync::Arc<Event>>>,
        _folder: tempfile::TempDir,
    }

    impl House {
        /// With so many requests for the builder, whose property `n` rises.
        async fn with_requests(count: u32) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let database = DatabaseDefinition::Sqlite { path: "state.sqlite".into() };
            let (committed, told) = mpsc::channel(4096);
            let store =
                Store::open(&database, folder.path(), folder.path().join("logs"), committed).await.unwrap();
            let builder = BuilderDefinition::bare("b");
            let mut definition = MasterDefinition::nothing();
            definition.builders.insert(builder.name.clone(), std::sync::Arc::new(builder.clone()));
            let rows = GenerationRows::from(&definition);
            store.prepare_generation(rows, Timestamp::now()).await.unwrap().commit().await.unwrap();
            for n in 1..=count {
                let mut properties = Properties::new();
                properties.set("n", n, "test");
                let new = NewBuildset {
                    scheduler: None,
                    reason: "test".into(),
                    properties,
                    builders: vec![builder.name.clone()],
                    priority: 0,
                    parent: None,
                    collapse: BTreeSet::new(),
                };
                store.add_buildset(new, Timestamp::now()).await.unwrap();
            }
            Self { store, builder, _told: told, _folder: folder }
        }

        /// Asks about all for the last one; how many were asked about, and which still wait.
        async fn ask(
            &self,
            answer: impl Fn(&PropertyValue, &PropertyValue) -> Result<PropertyValue, HookError> + Send + Sync,
        ) -> (usize, usize, Vec<i64>) {
            let waiting = self.store.queued_requests(&self.builder.name, None, 10_000).await.unwrap();
            let new = waiting.last().expect("there are some");
            let function =
                Hook { id: HookId(0), text: "function() end".into(), place: Place::new("master.cfg.lua", 7) };
            let hooks = Answers(answer, Mutex::new(0));
            let (store, builder) = (&self.store, &self.builder);
            let deciding =
                Deciding { store, hooks: &hooks, function: &function, builder, running: 1, waiting: 2 };
            let count = deciding.collapse_into(new).await;
            let asked = *hooks.1.lock().unwrap();
            let left = self.store.queued_requests(&self.builder.name, None, 10_000).await.unwrap();
            (asked, count, left.iter().map(|request| request.id.0).collect())
        }
    }

    #[tokio::test]
    async fn those_give_way_of_which_the_function_says_so() {
        let house = House::with_requests(5).await;
        let (asked, count, left) = house
            .ask(|new, old| {
                assert_eq!((&new["id"], &new["properties"]["n"]), (&json!(5), &json!(5)));
                Ok(json!(old["properties"]["n"].as_i64().expect("a number") % 2 == 0))
            })
            .await;
        assert_eq!((asked, count, left), (4, 2, vec![1, 3, 5]));
        let rows = house.store.build_requests(&Query::all()).await.unwrap().rows;
        let of = |id: usize| (rows[id - 1].results, rows[id - 1].ended_because.as_deref());
        assert_eq!(of(2), (Some(Outcome::Skipped), Some("collapsed into request 5")));
        assert_eq!(of(3), (None, None));
        let sets = house.store.buildsets(&Query::all()).await.unwrap().rows;
        assert_eq!(
            (sets[1].complete, sets[1].results, sets[2].complete),
            (true, Some(Outcome::Skipped), false)
        );
    }

    #[tokio::test]
    async fn a_long_queue_costs_no_more_calls_than_may_be() {
        let most = usize::try_from(MOST).unwrap();
        let house = House::with_requests(MOST + 60).await;
        let (asked, count, left) = house.ask(|_, _| Ok(json!(true))).await;
        assert_eq!((asked, count, left.len()), (most, most, 60));
        let (asked, count, left) = house.ask(|_, _| Ok(json!(false))).await;
        assert_eq!((asked, count, left.len()), (59, 0, 60));
    }

    #[tokio::test]
    async fn a_function_without_a_good_answer_is_asked_no_further_and_nothing_gives_way() {
        let house = House::with_requests(4).await;
        let failed = || Err(HookError::Failed { text: "raised".to_owned() });
        assert_eq!(house.ask(|_, _| failed()).await, (1, 0, vec![1, 2, 3, 4]));
        assert_eq!(house.ask(|_, _| Ok(json!("yes"))).await, (1, 0, vec![1, 2, 3, 4]));
        assert_eq!(house.ask(|_, _| Ok(PropertyValue::Null)).await, (1, 0, vec![1, 2, 3, 4]));
    }

    #[tokio::test]
    async fn a_request_gives_way_neither_to_an_older_one_nor_to_one_that_is_complete() {
        let house = House::with_requests(3).await;
        let (store, now) = (&house.store, Timestamp::now());
        let id = BuildRequestId;
        assert!(!store.collapse_request(id(2), id(1), now).await.unwrap());
        assert!(store.cancel_request(id(3), None, now).await.unwrap());
        assert!(!store.collapse_request(id(2), id(3), now).await.unwrap());
        assert!(store.collapse_request(id(1), id(2), now).await.unwrap());
        assert!(!store.collapse_request(id(1), id(2), now).await.unwrap(), "it did already");
    }
}
