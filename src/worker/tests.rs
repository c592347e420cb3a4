//! Links held by their worker's end: what the master makes of them.

mod quarantine;
mod states;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    definition::{DatabaseDefinition, MasterDefinition, Passwords, WorkerDefinition, WorkerKind},
    model::{
        Event, EventKind,
        EventKind::{WorkerAttached, WorkerDetached},
        LogStream, Remark, Secret, Timestamp, WorkerInfo, WorkerName, WorkerWord,
    },
    protocol::{
        CommandId, FromWorker, ShellArguments, ToWorker, Update, WorkerCommand,
        link::{self, WorkerEnd},
    },
    store::{GenerationRows, Query, Store},
    worker::operator::{Deed, Obeyed, OrderError, Words},
};

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a first connection may take to give a sign of life, where the test has it silent.
const SHORT: Duration = Duration::from_millis(50);

pub(super) struct Master {
    pub(super) registry: RegistryHandle,
    operator: OperatorHandle,
    store: Store,
    pub(super) roster: watch::Sender<Arc<Roster>>,
    committed: mpsc::Receiver<Vec<Arc<Event>>>,
    _dir: tempfile::TempDir,
}

pub(super) async fn master() -> Master {
    let dir = tempfile::tempdir().unwrap();
    let (sender, committed) = mpsc::channel(64);
    let database = DatabaseDefinition::Sqlite { path: "state.sqlite".into() };
    let store = Store::open(&database, dir.path(), dir.path().join("logs"), sender).await.unwrap();
    let rows = GenerationRows { workers: vec![name()], ..GenerationRows::default() };
    store.prepare_generation(rows, Timestamp::now()).await.unwrap().commit().await.unwrap();
    let (roster, watch) = watch::channel(Arc::new(roster()));
    let (word, operator) = Operator::load(store.clone(), CancellationToken::new()).await.unwrap();
    let (registry, handle) = Registry::new(store.clone(), watch, operator.clone(), CancellationToken::new());
    tokio::spawn(registry.run());
    tokio::spawn(word.run(handle.clone()));
    Master { registry: handle, operator, store, roster, committed, _dir: dir }
}

/// The worker of these tests, without builders.
fn roster() -> Roster {
    roster_asking(None, None)
}

/// The same, asked for a sign of life that often; its answer may take that long.
fn roster_asking(interval: Option<Duration>, limit: Option<Duration>) -> Roster {
    let passwords = Passwords::new(vec![Secret::new("sesame").into()]).unwrap();
    roster_of(WorkerKind::Remote { passwords }, interval, limit)
}

fn roster_of(kind: WorkerKind, interval: Option<Duration>, limit: Option<Duration>) -> Roster {
    let definition = WorkerDefinition {
        name: name(),
        kind,
        keepalive_interval: interval,
        keepalive_timeout: limit,
        resume_grace: Some(Duration::from_secs(60)),
        ..WorkerDefinition::bare("w")
    };
    let mut all = MasterDefinition::nothing();
    all.workers.insert(name(), Arc::new(definition));
    Roster::new(&all, &BTreeMap::new()).unwrap()
}

fn name() -> WorkerName {
    WorkerName::new("w1").unwrap()
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// Attaches a worker whose end the test holds.
async fn attach(master: &Master) -> (ConnectionHandle, WorkerEnd) {
    let (link, end) = link::pair();
    end.to_master.send(FromWorker::Hello(WorkerInfo::default())).await.unwrap();
    // Not inside this process, so that it has a program to stop.
    let connection =
        soon("attach", master.registry.attach(name(), Some(outside()), link, SHORT)).await.unwrap();
    (connection, end)
}

/// Where a worker with a program of its own comes from.
fn outside() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 9))
}

fn command() -> WorkerCommand {
    WorkerCommand::Shell(Box::new(ShellArguments::sample("yes")))
}

async fn next_order(end: &mut WorkerEnd) -> ToWorker {
    loop {
        match soon("an order", end.from_master.recv()).await.expect("the link is up") {
            ToWorker::SetBuilders(_) => {}
            order => return order,
        }
    }
}

#[tokio::test]
async fn a_name_has_one_connection_and_is_free_once_that_is_gone() {
    let mut master = master().await;
    let (first, end) = attach(&master).await;
    assert!(master.registry.connection("w1").is_some());

    drop(end);
    soon("the end of the link", first.gone()).await;
    let mut changes = master.registry.changes();
    let free = async {
        loop {
            if let Some(second) = try_attach(&master).await {
                return second;
            }
            changes.changed().await.unwrap();
        }
    };
    let _second = soon("the name to be free", free).await;

    assert_eq!(presence(&mut master, 3).await, [WorkerAttached, WorkerDetached, WorkerAttached]);
}

/// The first comings and goings that were committed.
async fn presence(master: &mut Master, count: usize) -> Vec<EventKind> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let events = soon("events", master.committed.recv()).await.unwrap();
        let kinds = events.iter().map(|event| event.kind);
        seen.extend(kinds.filter(|kind| matches!(kind, WorkerAttached | WorkerDetached)));
    }
    seen
}

/// The worker's end of a new connection, if the name is free.
async fn try_attach(master: &Master) -> Option<WorkerEnd> {
    let (link, end) = link::pair();
    end.to_master.send(FromWorker::Hello(WorkerInfo::default())).await.unwrap();
    master.registry.attach(name(), None, link, SHORT).await.is_ok().then_some(end)
}

#[tokio::test]
async fn a_second_link_is_refused_while_the_first_gives_signs_of_life() {
    let master = master().await;
    let (first, mut end) = attach(&master).await;
    let (link, _second) = link::pair();
    let refused = master.registry.attach(name(), None, link, PATIENCE);
    let answer = async {
        let ToWorker::Ping(number) = next_order(&mut end).await else {
            panic!("not asked for a sign of life")
        };
        end.to_master.send(FromWorker::Pong(number)).await.unwrap();
    };
    let (refused, ()) = soon("the refusal", async { tokio::join!(refused, answer) }).await;
    assert!(matches!(refused, Err(AttachError::Duplicate { .. })));
    assert!(first.is_up());
}

#[tokio::test]
async fn a_silent_first_link_gives_its_place_to_the_second() {
    let mut master = master().await;
    let (first, _end) = attach(&master).await;
    let (link, end) = link::pair();
    end.to_master.send(FromWorker::Hello(WorkerInfo::default())).await.unwrap();
    let second = soon("the second link", master.registry.attach(name(), None, link, SHORT)).await.unwrap();
    soon("the end of the first", first.gone()).await;
    assert!(second.epoch > first.epoch);
    assert_eq!(presence(&mut master, 3).await, [WorkerAttached, WorkerDetached, WorkerAttached]);
}

#[tokio::test]
async fn a_first_link_whose_output_is_held_back_is_not_taken_for_dead() {
    let master = master().await;
    let (first, mut end) = attach(&master).await;
    let id = CommandId::new("1");
    let mut events = first.start(id.clone(), "b".into(), command()).await.unwrap();
    assert!(matches!(next_order(&mut end).await, ToWorker::Start { .. }));
    let output = || FromWorker::Update {
        id: id.clone(),
        update: Update::Output { stream: LogStream::Stdout, bytes: Bytes::from_static(b"y\n") },
    };
    while timeout(Duration::from_millis(200), end.to_master.send(output())).await.is_ok() {}
    // Nobody reads its news, so no answer of it could be heard.
    let (link, _second) = link::pair();
    let refused = soon("the refusal", master.registry.attach(name(), Some(outside()), link, SHORT)).await;
    assert!(matches!(refused, Err(AttachError::Duplicate { .. })), "{refused:?}");
    assert!(first.is_up());
    // Nor if its answer stands behind much output that is read.
    let (link, _second) = link::pair();
    let again = master.registry.attach(name(), Some(outside()), link, PATIENCE);
    let read = async { while events.next().await.is_some() {} };
    let refused = tokio::select! {
        refused = soon("the refusal", again) => refused,
        () = read => panic!("the command goes on"),
    };
    assert!(matches!(refused, Err(AttachError::Duplicate { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_link_that_waits_for_its_place_does_not_get_it_once_its_worker_is_removed() {
    let master = master().await;
    let (first, mut end) = attach(&master).await;
    let (link, second) = link::pair();
    second.to_master.send(FromWorker::Hello(WorkerInfo::default())).await.unwrap();
    let waiting = master.registry.attach(name(), Some(outside()), link, PATIENCE);
    let removed = async {
        // The first one is asked now, and goes with the reload.
        assert!(matches!(next_order(&mut end).await, ToWorker::Ping(_)));
        master.roster.send_replace(Arc::new(Roster::default()));
        first.close();
    };
    let (refused, ()) = soon("the refusal", async { tokio::join!(waiting, removed) }).await;
    assert!(matches!(refused, Err(AttachError::Gone { .. })), "{refused:?}");
    assert!(master.registry.connections().is_empty());
}

#[tokio::test]
async fn a_link_whose_worker_becomes_a_local_one_while_it_is_greeted_is_closed() {
    let master = master().await;
    let (link, mut end) = link::pair();
    let mut greeted = Box::pin(master.registry.attach(name(), Some(outside()), link, SHORT));
    assert!(futures_util::poll!(&mut greeted).is_pending());
    let begun = async {
        while !master.registry.is_greeting("w1") {
            tokio::task::yield_now().await;
        }
    };
    soon("the greeting", begun).await;
    let local = roster_of(WorkerKind::Local { workdir: "w1".into() }, None, None);
    master.roster.send_replace(Arc::new(local));
    end.to_master.send(FromWorker::Hello(WorkerInfo::default())).await.unwrap();
    let connection = soon("the place", greeted).await.unwrap();
    soon("the end of the link", connection.gone()).await;
    while soon("the end of its queue", end.from_master.recv()).await.is_some() {}
}

#[tokio::test]
async fn a_link_that_comes_while_another_of_its_name_is_greeted_waits_for_what_becomes_of_it() {
    let master = master().await;
    let (first, first_end) = link::pair();
    let (second, second_end) = link::pair();
    second_end.to_master.send(FromWorker::Hello(WorkerInfo::default())).await.unwrap();
    let mut greeted = Box::pin(master.registry.attach(name(), None, first, SHORT));
    let mut waiting = Box::pin(master.registry.attach(name(), None, second, SHORT));
    assert!(futures_util::poll!(&mut greeted).is_pending());
    assert!(futures_util::poll!(&mut waiting).is_pending());
    assert!(
        timeout(Duration::from_millis(200), &mut waiting).await.is_err(),
        "it was not to be answered yet"
    );
    drop(first_end);
    assert!(matches!(soon("the first", greeted).await, Err(AttachError::Greeting { .. })));
    let second = soon("the second", waiting).await.unwrap();
    assert!(second.is_up());
    drop(second_end);
    // Its end is written down before its name is free.
    soon("the end of the link", second.gone()).await;
}

#[tokio::test]
async fn a_link_that_does_not_say_who_it_is_loses_its_place() {
    let master = master().await;
    let (link, end) = link::pair();
    // The database has threads of its own, which no paused clock can see: the clock stands still for the wait alone.
    tokio::time::pause();
    let silent = master.registry.attach(name(), None, link, SHORT).await;
    tokio::time::resume();
    assert!(matches!(silent, Err(AttachError::Greeting { .. })), "{silent:?}");
    drop(end);
    let page = master.store.workers(&Query::all()).await.unwrap();
    assert!(page.rows[0].connected_to.is_empty());
}

#[tokio::test]
async fn a_flood_that_nobody_reads_can_be_interrupted_and_fills_no_memory() {
    let master = master().await;
    let (connection, mut end) = attach(&master).await;
    let id = CommandId::new("1");
    let mut events = connection.start(id.clone(), "b".into(), command()).await.unwrap();
    assert!(matches!(next_order(&mut end).await, ToWorker::Start { .. }));
    let output = || FromWorker::Update {
        id: id.clone(),
        update: Update::Output { stream: LogStream::Stdout, bytes: Bytes::from_static(b"y\n") },
    };
    // As much as the queues hold; then the worker is held back.
    let mut sent = 0;
    while timeout(Duration::from_millis(200), end.to_master.send(output())).await.is_ok() {
        sent += 1;
        assert!(sent < 1000, "nothing holds the worker back");
    }
    connection.interrupt(&id, "enough").await.unwrap();
    assert!(matches!(next_order(&mut end).await, ToWorker::Interrupt { .. }));
    // Once it is read, all of it comes, in order, and then the end.
    let to_master = end.to_master.clone();
    let complete = FromWorker::Complete { id: id.clone(), failure: None };
    tokio::spawn(async move { to_master.send(complete).await });
    let mut received = 0;
    loop {
        match soon("news", events.next()).await.expect("the link is up") {
            CommandEvent::Update(_) => received += 1,
            event @ (CommandEvent::Transfer(_) | CommandEvent::Mark(_) | CommandEvent::Unknown) => {
                panic!("{event:?}")
            }
            CommandEvent::Complete(failure) => {
                assert_eq!(failure, None);
                break;
            }
        }
    }
    assert_eq!(received, sent);
}

#[tokio::test]
async fn the_loss_of_a_link_ends_the_news_of_its_commands_without_a_completion() {
    let master = master().await;
    let (connection, mut end) = attach(&master).await;
    let mut events = connection.start(CommandId::new("1"), "b".into(), command()).await.unwrap();
    assert!(matches!(next_order(&mut end).await, ToWorker::Start { .. }));
    drop(end);
    assert!(soon("the end of the news", events.next()).await.is_none());
    soon("the end of the link", connection.gone()).await;
    assert!(connection.start(CommandId::new("2"), "b".into(), command()).await.is_err());
    assert!(master.registry.connection("w1").is_none());
}

#[tokio::test]
async fn a_keepalive_that_a_reload_brings_counts_for_a_link_that_is_up() {
    let master = master().await;
    let (connection, mut end) = attach(&master).await;
    master.roster.send_replace(Arc::new(roster_asking(Some(SHORT), Some(10 * PATIENCE))));
    assert!(matches!(next_order(&mut end).await, ToWorker::Ping(_)));
    assert!(timeout(4 * SHORT, connection.gone()).await.is_err(), "there is time to answer");
    // Also for the question that was asked already.
    master.roster.send_replace(Arc::new(roster_asking(Some(SHORT), Some(SHORT))));
    soon("the end of the silent link", connection.gone()).await;
}

#[tokio::test]
async fn a_worker_is_told_its_builders_at_once_and_again_only_when_they_change() {
    let master = master().await;
    let (connection, mut end) = attach(&master).await;
    let told = soon("the builders", end.from_master.recv()).await;
    assert_eq!(told, Some(ToWorker::SetBuilders(Vec::new())));
    // The same again is not told, nor that the worker is no longer defined: the next thing heard is the shutdown.
    master.roster.send_replace(Arc::new(roster()));
    master.roster.send_replace(Arc::new(Roster::default()));
    connection.kill();
    assert_eq!(soon("an order", end.from_master.recv()).await, Some(ToWorker::Shutdown));
}
