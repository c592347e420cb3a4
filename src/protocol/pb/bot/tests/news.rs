//! What a command says: every key, its order, and what becomes of it when the master does not listen.

use super::*;
use crate::protocol::{
    bot::gather::{LONGEST_LINE, MOST_BYTES, WAIT},
    message::FileStat,
};

fn log(name: &str, bytes: &'static [u8]) -> Update {
    Update::Log { name: name.into(), bytes: Bytes::from_static(bytes) }
}

fn stat() -> FileStat {
    FileStat {
        mode: 0o100_644,
        inode: 1 << 40,
        device: 3,
        links: 4,
        uid: 5,
        gid: 6,
        size: 7,
        accessed_at: -8,
        modified_at: 9,
        changed_at: 10,
    }
}

#[test]
fn what_a_command_says_is_what_its_master_hears() {
    let mut arguments = ShellArguments::sample("make");
    arguments.log_files =
        vec![crate::protocol::command::LogFile { name: "test.log".into(), path: "t".into(), follow: false }];
    let mut pair = Pair::attached(&["b1"]);
    let id = pair.begin("1", "b1", WorkerCommand::Shell(Box::new(arguments)));
    let said = [
        output(LogStream::Header, b"make\n"),
        output(LogStream::Stdout, "gr\u{fc}n\n".as_bytes()),
        output(LogStream::Stderr, b"None\n"),
        log("test.log", b"passed\n"),
        Update::FailureReason(FailureReason::Timeout),
        Update::FailureReason(FailureReason::TimeoutWithoutOutput),
        Update::FailureReason(FailureReason::MaxLines),
        Update::Stat(Box::new(stat())),
        Update::Files(vec!["a".into(), "local".into(), "\u{fc}".into()]),
        Update::Files(Vec::new()),
        Update::Rc(i32::MIN),
        Update::Elapsed(Duration::from_millis(1500)),
    ];
    for update in &said {
        pair.update(&id, update.clone());
    }
    assert_eq!(pair.updates("1"), said);
}

#[test]
fn news_are_one_key_in_one_update_numbered_0() {
    let mut master = PlainMaster::attached(&["b1"]);
    let (id, _) = master.begin_shell("b1", "1");
    let text = |text: &'static str| Value::text(text);
    for (update, key, value) in [
        (stdout(b"a\n"), "stdout", text("a\n")),
        (output(LogStream::Stderr, b"\xff\n"), "stderr", text("\u{fffd}\n")),
        (output(LogStream::Header, b"a\r\n"), "header", text("a\n")),
        (log("l", b"a\n"), "log", Value::Tuple(vec![text("l"), text("a\n")])),
        (Update::Rc(-1), "rc", Value::Int(-1)),
        (Update::Elapsed(Duration::from_millis(250)), "elapsed", Value::Float(0.25)),
        (Update::FailureReason(FailureReason::MaxLines), "failure_reason", text("max_lines_failure")),
        (
            Update::Stat(Box::new(FileStat { inode: u64::MAX, ..stat() })),
            "stat",
            Value::Tuple([0o100_644, i64::MAX, 3, 4, 5, 6, 7, -8, 9, 10].map(Value::Int).to_vec()),
        ),
        (Update::Files(vec!["a".into()]), "files", Value::List(vec![text("a")])),
    ] {
        master.update(&id, update);
        if let Some(due) = master.bot.due() {
            master.now.instant = due;
            master.bot.tick(master.now);
            master.exchange();
        }
        assert_eq!(master.take_updates(), [(key.to_owned(), value)]);
    }
}

#[test]
fn lines_are_gathered_for_a_moment_and_go_before_any_other_news() {
    let mut pair = Pair::attached(&["b1"]);
    let id = pair.begin("1", "b1", shell());
    for bytes in [&b"one\ntw"[..], b"o\nthr"] {
        pair.update(&id, stdout(bytes));
    }
    assert_eq!((pair.updates("1"), pair.bot.due()), (vec![], Some(pair.now.instant + WAIT)));
    pair.bot.tick(pair.now);
    pair.exchange();
    assert_eq!(pair.updates("1"), [], "it is not due");
    pair.wait();
    assert_eq!(pair.updates("1"), [stdout(b"one\ntwo\n")]);
    pair.update(&id, stdout(b"ee\n"));
    pair.update(&id, Update::Rc(0));
    assert_eq!(pair.updates("1"), [stdout(b"three\n"), Update::Rc(0)]);
    assert_eq!(pair.bot.due(), None);
}

#[test]
fn what_has_no_line_end_gets_one_before_the_end() {
    let mut pair = Pair::attached(&["b1"]);
    let id = pair.begin("1", "b1", shell());
    pair.update(&id, stdout(b"done"));
    pair.update(&id, output(LogStream::Stderr, b"e\nrest"));
    pair.update(&id, Update::Rc(0));
    pair.update(&id, output(LogStream::Header, b"elapsedTime=1\n"));
    pair.update(&id, Update::Elapsed(Duration::from_secs(1)));
    pair.complete(&id, None);
    let Some(FromWorker::Complete { failure: None, .. }) = pair.news.pop() else { panic!("it has ended") };
    let wanted = [
        output(LogStream::Stderr, b"e\n"),
        Update::Rc(0),
        output(LogStream::Header, b"elapsedTime=1\n"),
        Update::Elapsed(Duration::from_secs(1)),
        stdout(b"done\n"),
        output(LogStream::Stderr, b"rest\n"),
    ];
    assert_eq!(pair.updates("1"), wanted);
}

#[test]
fn much_output_goes_at_once_and_a_long_line_loses_nothing() {
    let mut pair = Pair::attached(&["b1"]);
    let id = pair.begin("1", "b1", shell());
    let lines = Bytes::from(b"0123456789abcde\n".repeat(MOST_BYTES / 16));
    pair.update(&id, Update::Output { stream: LogStream::Stdout, bytes: lines.clone() });
    assert_eq!(pair.updates("1"), [Update::Output { stream: LogStream::Stdout, bytes: lines }]);
    let long = Bytes::from([vec![b'x'; LONGEST_LINE], b"\n".to_vec()].concat());
    pair.update(&id, Update::Output { stream: LogStream::Stdout, bytes: long.clone() });
    let heard: Vec<u8> = pair
        .updates("1")
        .into_iter()
        .flat_map(|update| match update {
            Update::Output { bytes, .. } if bytes.len() <= 655_360 => bytes,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(heard == long);
}

#[test]
fn a_listing_that_a_master_could_not_read_fails_its_command_and_no_connection() {
    let mut pair = Pair::attached(&["b1"]);
    let id = pair.begin("1", "b1", WorkerCommand::Glob { pattern: "**".into() });
    pair.update(&id, Update::Files(vec!["x".repeat(1000); 100_000]));
    pair.update(&id, Update::Rc(0));
    pair.complete(&id, None);
    let Some(FromWorker::Complete { failure: Some(failure), .. }) = pair.news.pop() else {
        panic!("it failed")
    };
    assert!(failure.contains("100000 names"), "{failure}");
    assert_eq!(pair.updates("1"), [Update::Rc(0)]);
    // The longest that may be told is read.
    let id = pair.begin("2", "b1", WorkerCommand::Glob { pattern: "**".into() });
    let names = vec!["x".repeat(37); 100_000];
    pair.update(&id, Update::Files(names.clone()));
    assert!(pair.updates("2") == [Update::Files(names)]);
}

#[test]
fn a_master_that_answers_nothing_is_told_a_bounded_number_of_news_and_the_rest_counts_as_unread() {
    let mut master = PlainMaster::attached(&["b1", "b2"]);
    let (id, _) = master.begin_shell("b1", "1");
    let (other, _) = master.begin_shell("b2", "2");
    for number in 0..1000 {
        master.update(&id, Update::Rc(number));
    }
    assert_eq!((master.calls.len(), master.bot.unheard), (MAX_UNHEARD, MAX_UNHEARD));
    let unread = master.bot.output_len();
    assert!(unread >= 744 * 64, "{unread}");
    master.update(&other, Update::Rc(5));
    master.update(&id, stdout(&[b'x'; 10_000]));
    master.complete(&id, None);
    master.complete(&other, None);
    assert!(master.bot.output_len() >= unread + 10_000);
    assert_eq!(master.calls.len(), MAX_UNHEARD, "no end goes before the news that were said before it");
    // Each answer lets another go, commands in turn: the second does not wait for all of the first.
    master.answer(&Value::Int(0));
    master.answer(&Value::Int(0));
    assert!(master.methods().contains(&"complete"), "{:?}", master.methods());
    let news = master.take_updates();
    let rest: Vec<_> =
        (2..MAX_UNHEARD).map(|number| ("rc".to_owned(), Value::Int(number.try_into().unwrap()))).collect();
    assert_eq!(news[..rest.len()], rest);
    let mut all = news.len();
    while !master.calls.is_empty() {
        assert_eq!(master.answer(&Value::None).method, "complete");
        all += master.take_updates().len();
    }
    // The numbers of both, and the line; less the two that were answered first.
    assert_eq!(all, 1000 + 1 + 1 - 2);
    assert_eq!((master.bot.output_len(), master.bot.unheard, master.held()), (0, 0, 0));
}

#[test]
fn news_that_are_answered_by_a_failure_are_told_for_the_log_and_the_next_go_on() {
    let mut master = PlainMaster::attached(&["b1"]);
    let (id, _) = master.begin_shell("b1", "1");
    for number in 0..300 {
        master.update(&id, Update::Rc(number));
    }
    for _ in 0..300 {
        master.refuse("builtins.ValueError", "no");
    }
    let failed = BotEvent::Failed("news of a command were not heard: builtins.ValueError: no".into());
    assert!(master.heard.len() == 300 && master.heard.iter().all(|event| *event == failed));
    master.complete(&id, None);
    assert_eq!((master.methods(), master.bot.unheard), (vec!["complete"], 0));
}
