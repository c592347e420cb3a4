//! What commands tell beside their output: watched files, what paths are, names, why they were killed.

use super::*;
use crate::protocol::{
    FailureReason,
    command::{LogFile, StatPath},
    message::FileStat,
};

fn news(key: &'static str, value: Value) -> Value {
    Value::dict([(key, value)])
}

/// What a command of files told, before its end.
fn told(command: WorkerCommand, news: Vec<Value>) -> Vec<FromWorker> {
    let mut pair = Pair::attached(&["b1"]);
    let started = pair.begin(command);
    for news in news {
        pair.update(started.object, news);
    }
    pair.worker.complete(started.object, None);
    pair.exchange();
    let mut news = pair.news();
    assert_eq!(news.pop(), Some(complete("1", None)));
    news
}

fn stat_command() -> WorkerCommand {
    WorkerCommand::Stat(Box::new(StatPath { workdir: String::new(), path: "a".into() }))
}

fn glob() -> WorkerCommand {
    WorkerCommand::Glob { pattern: "*".into() }
}

#[test]
fn watched_files_are_told_by_name_and_others_are_not() {
    let file = |name: &str| LogFile { name: name.into(), path: "x".into(), follow: false };
    let arguments = ShellArguments { log_files: vec![file("test.log"), file("login")], ..shell("make") };
    let log = |name: Value, text: &'static str| news("log", Value::Tuple(vec![name, Value::text(text)]));
    let written = vec![
        log(Value::text("test.log"), "one\n"),
        log(Value::text("other.log"), "not asked for\n"),
        log(Value::Bytes("login".into()), "a word as a name\n"),
        log(Value::text("test.log"), ""),
        news("log", Value::List(vec![Value::text("test.log")])),
        news("log", Value::text("test.log")),
        news("rc", Value::Int(0)),
        log(Value::text("test.log"), "after the exit code\n"),
    ];
    let update = |name: &str, text: &'static str| {
        update("1", Update::Log { name: name.into(), bytes: Bytes::from_static(text.as_bytes()) })
    };
    assert_eq!(
        told(WorkerCommand::Shell(Box::new(arguments)), written),
        [
            update("test.log", "one\n"),
            update("login", "a word as a name\n"),
            super::update("1", Update::Rc(0)),
            update("test.log", "after the exit code\n"),
        ]
    );
}

fn numbers(numbers: [i64; 10]) -> Vec<Value> {
    numbers.map(Value::Int).to_vec()
}

#[test]
fn what_a_path_is_comes_as_the_ten_numbers_of_the_system_call() {
    let inode = 1 << 40;
    let tuple = Value::Tuple(numbers([0o100_644, inode, 64_513, 2, 1000, 100, 1 << 33, 11, 12, -13]));
    let stat = FileStat {
        mode: 0o100_644,
        inode: 1 << 40,
        device: 64_513,
        links: 2,
        uid: 1000,
        gid: 100,
        size: 1 << 33,
        accessed_at: 11,
        modified_at: 12,
        changed_at: -13,
    };
    assert_eq!(told(stat_command(), vec![news("stat", tuple)]), [update("1", Update::Stat(Box::new(stat)))]);
}

#[test]
fn numbers_of_a_path_that_cannot_be_are_the_nearest_that_can_and_too_few_are_none() {
    let mut odd = numbers([-1, -1, i64::MAX, 1, i64::MAX, 1, 1, 1, 1, 1]);
    odd[9] = Value::Float(2.75);
    let stat = FileStat {
        mode: 0,
        inode: 0,
        device: i64::MAX.unsigned_abs(),
        links: 1,
        uid: u32::MAX,
        gid: 1,
        size: 1,
        accessed_at: 1,
        modified_at: 1,
        changed_at: 2,
    };
    let mut wrong = numbers([1; 10]);
    wrong[3] = Value::text("one");
    let few = vec![
        news("stat", Value::List(odd)),
        news("stat", Value::Tuple(numbers([1; 10])[..9].to_vec())),
        news("stat", Value::Tuple(wrong)),
        news("stat", Value::Int(1)),
    ];
    assert_eq!(told(stat_command(), few), [update("1", Update::Stat(Box::new(stat)))]);
}

#[test]
fn names_are_told_as_text_also_where_they_are_words_or_no_text() {
    // `local` goes as a number on this wire.
    let names = vec![
        Value::text("local"),
        Value::Bytes(b"caf\xe9".as_slice().into()),
        Value::Int(1),
        Value::text("ä"),
    ];
    let files = ["local", "caf\u{fffd}", "ä"].map(str::to_owned).to_vec();
    let written = vec![
        news("files", Value::List(names)),
        news("files", Value::List(vec![])),
        news("files", Value::None),
    ];
    assert_eq!(
        told(glob(), written),
        [update("1", Update::Files(files)), update("1", Update::Files(vec![]))]
    );
}

#[test]
fn each_reason_of_a_kill_is_told() {
    for (word, reason) in [
        ("timeout", FailureReason::Timeout),
        ("timeout_without_output", FailureReason::TimeoutWithoutOutput),
        ("max_lines_failure", FailureReason::MaxLines),
    ] {
        let written =
            vec![news("failure_reason", Value::text(word)), news("failure_reason", Value::text("whim"))];
        let told = told(WorkerCommand::Shell(Box::new(shell("make"))), written);
        assert_eq!(told, [update("1", Update::FailureReason(reason))]);
    }
}

/// Commands on files tell no exit code once they were interrupted; that is told as it is.
#[test]
fn an_interrupted_command_on_files_ends_without_an_exit_code() {
    let mut pair = Pair::attached(&["b1"]);
    let started = pair.begin(WorkerCommand::MakeDirectory { dirs: vec!["a".into()] });
    pair.order(ToWorker::Interrupt { id: CommandId::new("1"), why: "enough".into() });
    pair.worker.complete(started.object, None);
    pair.exchange();
    assert_eq!(pair.news(), [complete("1", None)]);
}

#[test]
fn a_failure_is_told_although_there_was_an_exit_code() {
    let mut pair = Pair::attached(&["b1"]);
    let started = pair.begin(glob());
    pair.update(started.object, news("rc", Value::Int(0)));
    let failure = super::super::failure::Failure::new("twisted.spread.pb.RemoteError", "no");
    pair.worker.complete(started.object, Some(&failure));
    pair.exchange();
    let told = "twisted.spread.pb.RemoteError: no";
    assert_eq!(pair.news(), [update("1", Update::Rc(0)), complete("1", Some(told))]);
}

#[test]
fn names_of_builders_may_be_words_of_the_wire() {
    let mut pair = Pair::attached(&["login", "None"]);
    pair.start("1", "None");
    assert_eq!(pair.started().builder, "None");
}
