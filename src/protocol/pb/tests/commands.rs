//! Commands from their start to their end, in every order in which workers tell of them.

use std::time::Duration;

use super::{super::failure::Failure, *};
use crate::protocol::{FailureReason, command::EnvironmentChange};

/// One piece of news.
fn news(key: &'static str, value: Value) -> Value {
    Value::dict([(key, value)])
}

#[test]
fn a_command_is_told_as_its_worker_tells_it() {
    let mut pair = Pair::attached(&["b1"]);
    pair.start("1", "b1");
    let mut command = pair.started();
    assert_eq!((command.id.as_str(), command.name.as_str()), ("1", "shell"));
    pair.worker.accept(&mut command);
    let told = [
        ("header", Value::text("echo string\n")),
        ("stdout", Value::text("string\n")),
        ("rc", Value::Int(3)),
        ("header", Value::text("elapsedTime=0.5\n")),
        ("elapsed", Value::Float(0.5)),
        // The last line had no end: it comes after the exit code.
        ("stdout", Value::text("rest\n")),
    ];
    for (key, value) in told {
        pair.update(command.object, news(key, value));
    }
    pair.worker.complete(command.object, None);
    pair.exchange();
    let wanted = [
        update("1", output(LogStream::Header, "echo string\n")),
        update("1", output(LogStream::Stdout, "string\n")),
        update("1", Update::Rc(3)),
        update("1", output(LogStream::Header, "elapsedTime=0.5\n")),
        update("1", Update::Elapsed(Duration::from_millis(500))),
        update("1", output(LogStream::Stdout, "rest\n")),
        complete("1", None),
    ];
    assert_eq!(pair.news(), wanted);
    assert_eq!(pair.seen, [const { WorkerEvent::UpdateHeard(0) }; 6]);
}

#[test]
fn updates_of_older_workers_come_many_at_once_and_the_largest_number_is_answered() {
    let mut pair = Pair::attached(&["b1"]);
    pair.start("1", "b1");
    let command = pair.started();
    let first = Value::Dict(vec![
        (Value::Bytes("stdout".into()), Value::Bytes("out".into())),
        (Value::Bytes("stderr".into()), Value::Bytes("err".into())),
    ]);
    let log = Value::Tuple(vec![Value::text("test.log"), Value::text("not asked for")]);
    let second = Value::Dict(vec![
        (Value::text("log"), log),
        (Value::text("no such key"), Value::Opaque),
        (Value::text("rc"), Value::Int(i64::MAX)),
        (Value::text("elapsed"), Value::Float(f64::NAN)),
        (Value::text("failure_reason"), Value::text("timeout")),
    ]);
    pair.worker.update(command.object, vec![(first, 4), (second, 3), (Value::None, 2)]).unwrap();
    pair.exchange();
    let wanted = [
        update("1", output(LogStream::Stdout, "out")),
        update("1", output(LogStream::Stderr, "err")),
        update("1", Update::Rc(i32::MAX)),
        update("1", Update::FailureReason(FailureReason::Timeout)),
    ];
    assert_eq!(pair.news(), wanted);
    assert_eq!(pair.seen, [WorkerEvent::UpdateHeard(4)]);
}

#[test]
fn news_that_come_before_the_answer_to_the_start_are_heard() {
    let mut pair = Pair::attached(&["b1"]);
    pair.start("1", "b1");
    let mut command = pair.started();
    pair.update(command.object, news("rc", Value::Int(0)));
    pair.worker.complete(command.object, None);
    pair.worker.accept(&mut command);
    pair.exchange();
    assert_eq!(pair.news(), [update("1", Update::Rc(0)), complete("1", None)]);
}

#[test]
fn a_command_may_end_without_an_exit_code() {
    let mut pair = Pair::attached(&["b1"]);
    pair.start("1", "b1");
    let command = pair.started();
    let mut failure = Failure::new("builtins.OSError", "no such folder");
    failure.traceback = "Traceback:\n  somewhere\n".into();
    pair.worker.complete(command.object, Some(&failure));
    pair.exchange();
    let told = "builtins.OSError: no such folder\nTraceback:\n  somewhere";
    assert_eq!(pair.news(), [complete("1", Some(told))]);
}

#[test]
fn a_refused_start_is_an_end() {
    let mut pair = Pair::attached(&["b1"]);
    pair.start("1", "b1");
    let command = pair.started();
    let failure = Failure::new("buildbot_worker.base.UnknownCommand", "(unknown command: shell)");
    pair.worker.refuse(command, &failure);
    pair.exchange();
    let told = "buildbot_worker.base.UnknownCommand: (unknown command: shell)";
    assert_eq!(pair.news(), [complete("1", Some(told))]);
    pair.start("2", "b1");
    assert_eq!(pair.started().id, "2");
}

#[test]
fn a_second_command_on_a_busy_builder_fails_and_the_first_goes_on() {
    let mut pair = Pair::attached(&["b1", "b2"]);
    pair.start("1", "b1");
    let command = pair.started();
    pair.start("2", "b1");
    let news = pair.news();
    let [FromWorker::Complete { id, failure: Some(_) }] = news.as_slice() else { panic!("{news:?}") };
    assert_eq!(id.as_str(), "2");
    assert_eq!(pair.seen, [], "the worker has not heard of it");
    pair.start("3", "b2");
    assert_eq!(pair.started().builder, "b2");
    pair.worker.complete(command.object, None);
    pair.exchange();
    assert_eq!(pair.news(), [complete("1", None)]);
}

#[test]
fn a_command_that_is_started_twice_runs_once() {
    let mut pair = Pair::attached(&["b1", "b2"]);
    pair.start("1", "b1");
    pair.forget();
    pair.start("1", "b2");
    assert_eq!((pair.news(), pair.seen.as_slice()), (vec![], &[][..]));
}

#[test]
fn a_command_for_no_builder_of_this_worker_fails() {
    let mut pair = Pair::attached(&["b1"]);
    pair.start("1", "b2");
    assert_eq!(pair.news(), [complete("1", Some("this worker has no builder `b2`"))]);
}

#[test]
fn news_of_a_command_that_is_complete_are_answered_and_passed_over() {
    let mut pair = Pair::attached(&["b1"]);
    pair.start("1", "b1");
    let command = pair.started();
    pair.worker.complete(command.object, None);
    pair.update(command.object, news("rc", Value::Int(0)));
    pair.worker.complete(command.object, None);
    pair.exchange();
    assert_eq!(pair.news(), [complete("1", None)]);
    assert_eq!(pair.seen, [WorkerEvent::UpdateHeard(0)], "no failure was answered");
}

#[test]
fn a_call_of_what_never_was_is_answered_by_a_failure() {
    let mut pair = Pair::attached(&["b1"]);
    pair.update(99, news("rc", Value::Int(0)));
    pair.exchange();
    assert!(
        matches!(pair.seen.as_slice(), [WorkerEvent::Failed { failure, .. }] if failure.is("twisted.spread.pb.Error"))
    );
}

#[test]
fn an_interrupt_reaches_the_builder_of_the_command() {
    let mut pair = Pair::attached(&["b1", "b2"]);
    pair.start("43", "b2");
    pair.forget();
    pair.order(ToWorker::Interrupt { id: CommandId::new("43"), why: "I said so".into() });
    pair.order(ToWorker::Interrupt { id: CommandId::new("44"), why: "it ended long ago".into() });
    let interrupted =
        WorkerEvent::Interrupted { builder: "b2".into(), id: "43".into(), why: "I said so".into() };
    assert_eq!(pair.seen, [interrupted]);
    assert_eq!(pair.news(), []);
}

#[test]
fn the_arguments_of_a_command_are_what_a_worker_reads() {
    let mut arguments = shell("");
    arguments.command = ShellLine::Argv(vec!["make".into(), "all".into()]);
    arguments.env = [
        ("A", EnvironmentChange::Set("1".into())),
        ("B", EnvironmentChange::Unset),
        ("C", EnvironmentChange::Joined(vec!["x".into(), "y".into()])),
    ]
    .map(|(name, change)| (name.to_owned(), change))
    .into();
    arguments.stdin = Some(Bytes::from_static("grüße".as_bytes()));
    arguments.timeout = None;
    arguments.max_time = Some(Duration::from_millis(1500));
    arguments.sigterm_time = Some(Duration::from_secs(5));
    arguments.want_stderr = false;
    let mut pair = Pair::attached(&["b1"]);
    pair.order(start_with("1", "b1", arguments));
    let command = pair.started();
    let texts = |texts: [&'static str; 2]| Value::List(texts.map(Value::text).into());
    let env = Value::dict([("A", Value::text("1")), ("B", Value::None), ("C", texts(["x", "y"]))]);
    for (name, value) in [
        ("command", texts(["make", "all"])),
        ("env", env),
        ("initial_stdin", Value::text("grüße")),
        ("timeout", Value::None),
        ("maxTime", Value::Float(1.5)),
        ("sigtermTime", Value::Int(5)),
        ("want_stdout", Value::Bool(true)),
        ("want_stderr", Value::Bool(false)),
        ("usePTY", Value::Bool(false)),
    ] {
        assert_eq!(command.argument(name), Some(&value), "{name}");
    }
}

#[test]
fn what_the_wire_cannot_carry_fails_its_command_alone() {
    let mut pair = Pair::attached(&["b1"]);
    pair.order(start_with("1", "b1", shell(&"x".repeat(655_361))));
    let binary = ShellArguments { stdin: Some(Bytes::from_static(&[0xff])), ..shell("cat") };
    pair.order(start_with("2", "b1", binary));
    let news = pair.news();
    let [
        FromWorker::Complete { failure: Some(long), .. },
        FromWorker::Complete { failure: Some(binary), .. },
    ] = news.as_slice()
    else {
        panic!("{news:?}")
    };
    assert!(long.contains("longer than 655360"), "{long}");
    assert!(binary.contains("not UTF-8"), "{binary}");
    pair.order(start_with("3", "b1", shell(&"x".repeat(655_360))));
    assert_eq!(pair.started().id, "3");
}

#[test]
fn a_command_whose_object_is_given_back_unfinished_has_failed() {
    let mut pair = Pair::attached(&["b1"]);
    pair.start("1", "b1");
    let command = pair.started();
    // Whoever refuses gives it back, too; here the refusal is lost.
    pair.worker.refuse(command, &Failure::new("x", "y"));
    let said = pair.worker.poll_output().unwrap();
    let decref = said.len() - 6;
    pair.master.handle_input(&said[decref..]).unwrap();
    let news = pair.news();
    assert!(matches!(news.as_slice(), [FromWorker::Complete { failure: Some(_), .. }]), "{news:?}");
    // The refusal comes after all: it is not told twice.
    pair.master.handle_input(&said[..decref]).unwrap();
    assert_eq!(pair.news(), []);
}

#[test]
fn output_that_comes_line_by_line_is_passed_on_in_one_piece() {
    let mut pair = Pair::attached(&["b1"]);
    pair.start("1", "b1");
    let mut command = pair.started();
    pair.worker.accept(&mut command);
    let lines = [("stdout", "a\n"), ("stdout", "b\n"), ("stderr", "c\n"), ("stdout", "d\n"), ("stdout", "e")];
    for (stream, text) in lines {
        pair.update(command.object, news(stream, Value::text(text)));
    }
    pair.update(command.object, news("rc", Value::Int(0)));
    pair.exchange();
    let wanted = [
        update("1", output(LogStream::Stdout, "a\nb\n")),
        update("1", output(LogStream::Stderr, "c\n")),
        update("1", output(LogStream::Stdout, "d\ne")),
        update("1", Update::Rc(0)),
    ];
    assert_eq!(pair.news(), wanted);
}

#[test]
fn pieces_of_output_that_are_long_stay_as_they_are() {
    let mut pair = Pair::attached(&["b1"]);
    pair.start("1", "b1");
    let mut command = pair.started();
    pair.worker.accept(&mut command);
    for _ in 0..3 {
        pair.update(command.object, news("stdout", Value::text("x".repeat(40 * 1024))));
    }
    pair.exchange();
    assert_eq!(pair.news().len(), 3);
}
