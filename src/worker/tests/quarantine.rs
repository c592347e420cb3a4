//! Quarantines as they are asked for, kept, and ended.

use std::time::Duration;

use super::*;
use crate::{
    model::{Quarantine, QuarantineCause, WorkerRecord},
    worker::Conduct,
};

fn strike() -> Conduct {
    Conduct::Strike(QuarantineCause::LinkLost, "build 7 of b1".into())
}

async fn order(master: &Master, deed: Deed) -> Obeyed {
    let remark = Remark::new(None, Some("ada".into()), Timestamp::now());
    soon("an answer", master.operator.order(name(), deed, remark)).await.unwrap()
}

async fn changes_of_state(master: &Master) -> usize {
    let events = master.store.events(&Query::all()).await.unwrap().rows;
    events.iter().filter(|event| event.kind == EventKind::WorkerStateChanged).count()
}

/// A quarantine that ends so long from now.
fn ending_in(wait: Duration) -> WorkerRecord {
    let until = Timestamp::now() + wait;
    let cause = QuarantineCause::Fault;
    let quarantine =
        Quarantine { cause, reason: None, strikes: 3, since: until - Duration::from_secs(40), until };
    WorkerRecord { strikes: [(cause, 3)].into(), quarantine: Some(quarantine) }
}

#[tokio::test]
async fn a_strike_keeps_builds_away_and_is_what_a_later_task_finds_in_the_store() {
    let master = master().await;
    let operator = &master.operator;
    assert_eq!((operator.quarantine(&name()), operator.next_end()), (None, None));
    let mut changes = operator.changes();
    soon("the note", operator.note(&name(), strike())).await;
    assert!(changes.has_changed().unwrap(), "who gives out builds is told");
    assert!(!operator.allows_builds(&name()));
    let quarantine = operator.quarantine(&name()).unwrap();
    assert_eq!((quarantine.cause, quarantine.strikes), (QuarantineCause::LinkLost, 1));
    assert_eq!(operator.next_end(), Some(quarantine.until));
    changes.mark_unchanged();
    soon("the note", operator.note(&name(), strike())).await;
    assert!(!changes.has_changed().unwrap(), "no doubling while it runs");
    assert_eq!(changes_of_state(&master).await, 1);

    let (_, later) = Operator::load(master.store.clone(), CancellationToken::new()).await.unwrap();
    assert!(!later.allows_builds(&name()));
    let kept = later.quarantine(&name()).unwrap();
    assert_eq!(kept.reason.as_deref(), Some("build 7 of b1"));
    assert_eq!(kept.until.as_microsecond(), quarantine.until.as_microsecond());
}

#[tokio::test]
async fn a_release_ends_a_quarantine_once_and_a_good_build_wipes_off_what_is_left() {
    let master = master().await;
    let operator = &master.operator;
    assert_eq!(order(&master, Deed::Release).await, Obeyed::NothingToDo);
    soon("the note", operator.note(&name(), strike())).await;
    assert_eq!(order(&master, Deed::Release).await, Obeyed::Done);
    assert!(operator.allows_builds(&name()));
    assert_eq!(order(&master, Deed::Release).await, Obeyed::NothingToDo);
    soon("the note", operator.note(&name(), strike())).await;
    assert_eq!(operator.quarantine(&name()).unwrap().strikes, 2);
    soon("the note", operator.note(&name(), Conduct::Good)).await;
    assert!(operator.allows_builds(&name()));
    assert!(master.store.worker_words().await.unwrap().is_empty());
    assert_eq!(changes_of_state(&master).await, 4);
    // What is clean stays clean, without a word to the store.
    soon("the note", operator.note(&name(), Conduct::Good)).await;
    assert_eq!(changes_of_state(&master).await, 4);
}

#[tokio::test]
async fn a_pause_and_a_quarantine_know_nothing_of_each_other() {
    let master = master().await;
    let operator = &master.operator;
    soon("the note", operator.note(&name(), strike())).await;
    order(&master, Deed::Pause).await;
    order(&master, Deed::Release).await;
    assert!(operator.quarantine(&name()).is_none() && !operator.allows_builds(&name()));
    soon("the note", operator.note(&name(), strike())).await;
    order(&master, Deed::Unpause).await;
    assert!(operator.quarantine(&name()).is_some() && !operator.allows_builds(&name()));
    order(&master, Deed::Release).await;
    assert!(operator.allows_builds(&name()));
}

#[tokio::test]
async fn a_quarantine_ends_by_its_time_and_whoever_waits_is_told() {
    let master = master().await;
    let record = ending_in(Duration::from_millis(300));
    master.store.set_worker_record(&name(), &record, Timestamp::now()).await.unwrap();
    let (task, operator) = Operator::load(master.store.clone(), CancellationToken::new()).await.unwrap();
    assert!(!operator.allows_builds(&name()));
    let mut changes = operator.changes();
    tokio::spawn(task.run(master.registry.clone()));
    let over =
        changes.wait_for(|words| words.get(&name()).is_some_and(|word| word.record.quarantine.is_none()));
    drop(soon("its end", over).await.unwrap());
    assert!(operator.allows_builds(&name()) && operator.next_end().is_none());
    let row = master.store.workers(&Query::all()).await.unwrap().rows.remove(0);
    assert_eq!((row.quarantined, row.quarantined_until), (false, None));
    assert_eq!(changes_of_state(&master).await, 2);
    // The strikes stay.
    soon("the note", operator.note(&name(), Conduct::Strike(QuarantineCause::Fault, String::new()))).await;
    assert_eq!(operator.quarantine(&name()).unwrap().strikes, 4);
}

#[tokio::test]
async fn a_quarantine_whose_time_went_by_while_no_master_ran_is_over_at_its_start() {
    let master = master().await;
    let until = Timestamp::now() - Duration::from_secs(5);
    let mut record = ending_in(Duration::ZERO);
    record.quarantine.as_mut().unwrap().until = until;
    master.store.set_worker_record(&name(), &record, Timestamp::now()).await.unwrap();
    let (_, operator) = Operator::load(master.store.clone(), CancellationToken::new()).await.unwrap();
    assert!(operator.allows_builds(&name()));
}

#[tokio::test]
async fn a_quarantine_ends_by_its_time_also_if_that_cannot_be_written_down() {
    let master = master().await;
    let record = ending_in(Duration::from_millis(300));
    master.store.set_worker_record(&name(), &record, Timestamp::now()).await.unwrap();
    let (task, operator) = Operator::load(master.store.clone(), CancellationToken::new()).await.unwrap();
    let mut changes = operator.changes();
    master.store.close().await;
    tokio::spawn(task.run(master.registry.clone()));
    let over =
        changes.wait_for(|words| words.get(&name()).is_some_and(|word| word.record.quarantine.is_none()));
    drop(soon("its end", over).await.unwrap());
    // And what a build says of it is lost, but holds nobody up.
    soon("the note", operator.note(&name(), strike())).await;
    assert!(operator.allows_builds(&name()));
}
