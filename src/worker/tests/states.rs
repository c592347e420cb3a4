//! Links whose worker is paused, told to stop, or killed.

use super::*;

#[tokio::test]
async fn a_worker_that_asks_to_stop_ends_its_builds_first_and_gets_no_more() {
    let master = master().await;
    let (connection, mut end) = attach(&master).await;
    let lease = connection.lease("b", "b");
    end.to_master.send(FromWorker::WantsShutdown).await.unwrap();
    wait_for_word(&master, |word| word.stopping.is_some()).await;
    assert_eq!(master.operator.word(&name()).stopping.unwrap().by, None);
    assert!(!master.operator.allows_builds(&name()));
    still_converses(&connection, &mut end).await;
    drop(lease);
    assert_eq!(next_order(&mut end).await, ToWorker::Shutdown);
    assert!(!connection.takes_builds());
    drop(end);
    soon("the end of the link", connection.gone()).await;
    assert_eq!(master.operator.word(&name()), WorkerWord::default(), "another program is welcome");
    assert!(!master.store.workers(&Query::all()).await.unwrap().rows[0].graceful);
}

fn remark(reason: &str) -> Remark {
    Remark::new(Some(reason), Some("ada".into()), Timestamp::now())
}

async fn order(master: &Master, deed: Deed) -> Result<Obeyed, OrderError> {
    soon("an answer", master.operator.order(name(), deed, remark("because"))).await
}

async fn wait_for_word(master: &Master, is_it: impl Fn(&WorkerWord) -> bool) {
    let mut changes = master.operator.changes();
    let it = changes.wait_for(|words| is_it(&words.get(&name()).cloned().unwrap_or_default()));
    drop(soon("the word", it).await.unwrap());
}

/// Whether the next order is the ping that is asked for here: a shutdown that was to come would come before.
async fn still_converses(connection: &ConnectionHandle, end: &mut WorkerEnd) {
    let answered = connection.answers(PATIENCE);
    let pong = async {
        let ToWorker::Ping(number) = next_order(end).await else { panic!("told to stop") };
        end.to_master.send(FromWorker::Pong(number)).await.unwrap();
    };
    assert!(soon("a sign of life", async { tokio::join!(answered, pong) }).await.0);
}

#[tokio::test]
async fn a_stop_can_be_taken_back_until_the_program_is_told() {
    let master = master().await;
    let (connection, mut end) = attach(&master).await;
    let lease = connection.lease("b", "b");
    assert_eq!(order(&master, Deed::Resume).await.unwrap(), Obeyed::NothingToDo);
    assert_eq!(order(&master, Deed::Stop).await.unwrap(), Obeyed::Done);
    assert!(!master.operator.allows_builds(&name()));
    assert_eq!(order(&master, Deed::Resume).await.unwrap(), Obeyed::Done);
    drop(lease);
    still_converses(&connection, &mut end).await;
    assert!(master.operator.allows_builds(&name()) && connection.takes_builds());

    assert_eq!(order(&master, Deed::Stop).await.unwrap(), Obeyed::Done);
    assert_eq!(next_order(&mut end).await, ToWorker::Shutdown);
    let late = order(&master, Deed::Resume).await;
    assert!(matches!(late, Err(OrderError::ToldAlready { .. })), "{late:?}");
}

#[tokio::test]
async fn a_stop_that_was_not_fulfilled_holds_for_the_next_link() {
    let master = master().await;
    let (connection, end) = attach(&master).await;
    let lease = connection.lease("b", "b");
    order(&master, Deed::Stop).await.unwrap();
    drop(end);
    soon("the end of the link", connection.gone()).await;
    drop(lease);
    let nothing = order(&master, Deed::Stop).await;
    assert!(matches!(nothing, Err(OrderError::NotConnected { .. })), "{nothing:?}");
    assert!(master.operator.word(&name()).stopping.is_some());
    let mut changes = master.registry.changes();
    let mut end = loop {
        if let Some(end) = try_attach(&master).await {
            break end;
        }
        soon("the name to be free", changes.changed()).await.unwrap();
    };
    assert_eq!(next_order(&mut end).await, ToWorker::Shutdown);
}

#[tokio::test]
async fn a_killed_worker_loses_its_commands_at_once_and_its_link_soon() {
    let master = master().await;
    let (connection, mut end) = attach(&master).await;
    let mut events = connection.start(CommandId::new("1"), "b".into(), command()).await.unwrap();
    assert!(matches!(next_order(&mut end).await, ToWorker::Start { .. }));
    order(&master, Deed::Kill).await.unwrap();
    assert!(!connection.takes_builds());
    assert_eq!(next_order(&mut end).await, ToWorker::Shutdown);
    // How the program killed it does not count as its end.
    assert!(soon("the end of the news", events.next()).await.is_none());
    let mut more = connection.start(CommandId::new("2"), "b".into(), command()).await.unwrap();
    assert!(soon("the end of the news", more.next()).await.is_none());
    // It does not hang up by itself.
    soon("the end of the link", connection.gone()).await;
    assert!(matches!(order(&master, Deed::Kill).await, Err(OrderError::NotConnected { .. })));
}

#[tokio::test]
async fn a_stop_that_was_taken_back_as_the_last_build_ended_stops_nothing() {
    let master = master().await;
    let (words, watch) = watch::channel(Arc::new(Words::new()));
    let operator = OperatorHandle::saying(watch);
    let (registry, handle) = Registry::new(
        master.store.clone(),
        master.roster.subscribe(),
        operator.clone(),
        CancellationToken::new(),
    );
    tokio::spawn(registry.run());
    let (link, mut end) = link::pair();
    end.to_master.send(FromWorker::Hello(WorkerInfo::default())).await.unwrap();
    let connection = soon("attach", handle.attach(name(), Some(outside()), link, SHORT)).await.unwrap();
    let lease = connection.lease("b", "b");
    let word = WorkerWord { stopping: Some(remark("because")), ..WorkerWord::default() };
    words.send_replace(Arc::new([(name(), word)].into()));
    connection.look_again();
    still_converses(&connection, &mut end).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    // It is taken back, and the link has not heard of that when the build ends.
    words.send_replace(Arc::default());
    drop(lease);
    still_converses(&connection, &mut end).await;
    assert!(connection.takes_builds());
}

#[tokio::test]
async fn a_program_that_was_told_to_stop_is_not_told_again_when_it_is_started_anew() {
    let master = master().await;
    let (connection, mut end) = attach(&master).await;
    order(&master, Deed::Kill).await.unwrap();
    assert_eq!(next_order(&mut end).await, ToWorker::Shutdown);
    assert_eq!(order(&master, Deed::Stop).await.unwrap(), Obeyed::NothingToDo);
    assert_eq!(master.operator.word(&name()), WorkerWord::default());
    drop(end);
    soon("the end of the link", connection.gone()).await;
}

#[tokio::test]
async fn a_pause_is_what_a_later_task_finds_in_the_store() {
    let master = master().await;
    assert_eq!(order(&master, Deed::Unpause).await.unwrap(), Obeyed::NothingToDo);
    order(&master, Deed::Pause).await.unwrap();
    soon("an answer", master.operator.order(name(), Deed::Pause, remark("disk full"))).await.unwrap();
    let word = master.operator.word(&name());
    assert_eq!(word.paused.as_ref().unwrap().reason.as_deref(), Some("disk full"), "a later reason counts");
    let (_, later) = Operator::load(master.store.clone(), CancellationToken::new()).await.unwrap();
    let kept = later.word(&name()).paused.unwrap();
    assert_eq!((kept.reason.as_deref(), kept.by.as_deref()), (Some("disk full"), Some("ada")));
    assert!(!later.allows_builds(&name()));
    order(&master, Deed::Unpause).await.unwrap();
    assert!(master.operator.allows_builds(&name()));
    assert!(master.store.worker_words().await.unwrap().is_empty());
}
