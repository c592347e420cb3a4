//! What a worker is told of its builders, and what it is given back.

use super::*;
use crate::protocol::Unfit;

#[test]
fn an_unchanged_list_is_not_told_again() {
    let mut pair = Pair::attached(&["b1", "b2"]);
    pair.order(set_builders(&["b1", "b2"]));
    assert_eq!(pair.seen, []);
}

/// The worker's end breaks at a count that was given back too often.
#[test]
fn objects_of_builders_are_given_back_exactly_as_often_as_they_came() {
    let mut pair = Pair::attached(&["b1", "b2"]);
    for list in [&["b1", "b2", "b3"][..], &["b3"], &["b3", "b1"], &[], &["b1"]] {
        pair.order(set_builders(list));
    }
    pair.start("1", "b1");
    assert_eq!(pair.started().builder, "b1");
}

#[test]
fn counts_are_given_back_once_the_new_list_is_answered() {
    let mut pair = Pair::attached(&["b1", "b2"]);
    pair.master.handle_order(set_builders(&["b1"]));
    let asked = pair.master.poll_output().unwrap();
    assert_eq!(expressions(&asked).len(), 1, "nothing is given back before the answer");
    pair.worker.handle_input(&asked).unwrap();
    pair.master.handle_input(&pair.worker.poll_output().unwrap()).unwrap();
    let given_back = expressions(&pair.master.poll_output().unwrap());
    let decref = |object| Sexp::List(vec![Sexp::Bytes("decref".into()), Sexp::Int(object)]);
    assert_eq!(given_back, [decref(2), decref(3)]);
}

#[test]
fn a_builder_with_a_command_stays_until_it_is_complete() {
    let mut pair = Pair::attached(&["b1", "b2"]);
    pair.start("1", "b1");
    let mut command = pair.started();
    pair.worker.accept(&mut command);
    pair.order(set_builders(&["b3"]));
    assert_eq!(pair.lists(), [vec!["b3", "b1"]]);
    pair.order(ToWorker::Interrupt { id: CommandId::new("1"), why: "enough".into() });
    assert!(matches!(pair.seen.last(), Some(WorkerEvent::Interrupted { builder, .. }) if builder == "b1"));
    pair.worker.complete(command.object, None);
    pair.exchange();
    assert_eq!(pair.lists(), [vec!["b3", "b1"], vec!["b3"]]);
    assert_eq!(pair.news(), [complete("1", None)]);
}

#[test]
fn a_list_that_changes_while_one_is_told_is_told_next() {
    let mut pair = Pair::attached(&["b1"]);
    for list in [&["b2"][..], &["b3"], &["b4"]] {
        pair.master.handle_order(set_builders(list));
    }
    pair.exchange();
    assert_eq!(pair.lists(), [["b2"], ["b4"]]);
}

#[test]
fn a_command_waits_for_its_builder_to_be_told() {
    let mut pair = Pair::attached(&["b1"]);
    pair.master.handle_order(set_builders(&["b1", "b2"]));
    pair.master.handle_order(start("1", "b2"));
    let said = pair.master.poll_output().unwrap();
    assert_eq!(expressions(&said).len(), 1, "the list, and nothing before its answer");
    pair.worker.handle_input(&said).unwrap();
    pair.exchange();
    assert_eq!(pair.started().builder, "b2");
}

#[test]
fn a_command_that_waits_may_be_interrupted() {
    let mut pair = Pair::attached(&["b1"]);
    pair.master.handle_order(set_builders(&["b1", "b2"]));
    pair.master.handle_order(start("1", "b2"));
    pair.master.handle_order(ToWorker::Interrupt { id: CommandId::new("1"), why: "enough".into() });
    pair.exchange();
    assert_eq!(pair.news(), [complete("1", Some("interrupted before it began: enough"))]);
    pair.start("2", "b2");
    assert_eq!(pair.started().id, "2");
}

#[test]
fn more_builders_than_a_worker_takes_are_not_told_and_their_commands_fail() {
    let names: Vec<String> = (0..1001).map(|number| format!("b{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut pair = Pair::attached(&names);
    pair.start("1", "b999");
    assert_eq!(pair.started().builder, "b999");
    pair.start("2", "b1000");
    assert!(matches!(&pair.news()[..], [FromWorker::Complete { failure: Some(_), .. }]));
}

#[test]
fn a_list_that_the_worker_refuses_fails_the_commands_and_not_the_link() {
    let mut pair = Pair::new("pass1");
    pair.exchange();
    pair.order(set_builders(&["b1"]));
    pair.forget();
    // A folder's name of a length that no worker takes: the list is not even sent.
    let folder = "x".repeat(700_000);
    let builders = vec![BuilderFolder { builder: "b2".into(), folder }];
    pair.order(ToWorker::SetBuilders(builders));
    pair.start("1", "b2");
    let news = pair.news();
    let [FromWorker::Complete { failure: Some(failure), .. }] = news.as_slice() else { panic!("{news:?}") };
    assert!(failure.contains("builder `b2` cannot be told to the worker"), "{failure}");
    assert_eq!(Unfit::told_by(failure), None, "no worker could take it");
    pair.order(set_builders(&["b2"]));
    pair.start("2", "b2");
    assert_eq!(pair.started().builder, "b2");
}
