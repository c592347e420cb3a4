//! News of commands on their way to the master.

use proptest::{collection, prelude::*};

use super::{
    super::{super::frame::MAX_MESSAGE_BYTES, news::MOST_BYTES},
    *,
};
use crate::protocol::{
    FailureReason, ShellArguments,
    bot::gather::{LONGEST_LINE, WAIT},
    message::FileStat,
};

fn shell() -> Value {
    map([("workdir", "/w".into()), ("command", "make".into())])
}

/// The pairs of an update.
fn pairs(request: &Value) -> Vec<(String, Value)> {
    assert_eq!(request["op"], "update".into());
    let pair = |pair: &Value| (pair[0].as_str().unwrap().to_owned(), pair[1].clone());
    request["args"].as_array().unwrap().iter().map(pair).collect()
}

#[test]
fn every_kind_of_news_reaches_the_master_as_it_was_told() {
    let stat = FileStat {
        mode: 0o100_644,
        inode: u64::MAX,
        device: 2,
        links: 3,
        uid: u32::MAX,
        gid: 5,
        size: 1 << 40,
        accessed_at: -7,
        modified_at: i64::MAX,
        changed_at: 9,
    };
    let mut pair = Pair::attached();
    pair.start("1", WorkerCommand::Shell(Box::new(ShellArguments::sample("make"))));
    let said = [
        output("1", LogStream::Header, "make\n"),
        output("1", LogStream::Stdout, "größe\n"),
        output("1", LogStream::Stderr, "no\n"),
        news("1", Update::Log { name: "l".into(), bytes: Bytes::from_static(b"a\nb\n") }),
        news("1", Update::FailureReason(FailureReason::Timeout)),
        news("1", Update::FailureReason(FailureReason::TimeoutWithoutOutput)),
        news("1", Update::FailureReason(FailureReason::MaxLines)),
        news("1", Update::Stat(Box::new(stat))),
        news("1", Update::Files(vec!["a".into(), "ß b".into()])),
        news("1", Update::Rc(-1)),
        news("1", Update::Elapsed(Duration::from_millis(1234))),
        complete("1", Some("it would not")),
    ];
    for message in said.clone() {
        pair.say(message);
    }
    assert_eq!(pair.told(), said);
}

#[test]
fn what_is_said_in_one_breath_is_one_message_and_the_end_another() {
    let mut talk = Talk::with("1", "shell", shell());
    talk.say(output("1", LogStream::Header, "make\n in dir /w\n"), 0);
    talk.say(output("1", LogStream::Stdout, "größe\nx"), 1);
    talk.say(news("1", Update::Log { name: "l".into(), bytes: Bytes::from_static(b"a\n") }), 2);
    assert_eq!(talk.ops(), [""; 0]);
    talk.say(output("1", LogStream::Stdout, "y\n"), 3);
    talk.say(news("1", Update::Rc(0)), 4);
    talk.say(news("1", Update::Elapsed(Duration::from_millis(500))), 4);
    talk.say(complete("1", None), 4);
    let update = talk.request().unwrap();
    assert_eq!(update["command_id"], "1".into());
    let time = |milliseconds| Value::F64(at(talk.begin, milliseconds).epoch);
    let text = |text: &str, ends: [u32; 1], milliseconds| {
        list([text.into(), list(ends.map(Value::from)), list([time(milliseconds)])])
    };
    let header = list(["make\n in dir /w\n".into(), list([4.into(), 15.into()]), list([time(0), time(0)])]);
    let wanted = [
        ("header", header),
        ("stdout", text("größe\n", [5], 1)),
        ("log", list(["l".into(), text("a\n", [1], 2)])),
        ("stdout", text("xy\n", [2], 1)),
        ("rc", 0.into()),
        ("elapsed", 0.5.into()),
    ];
    assert_eq!(pairs(&update), wanted.map(|(key, value)| (key.to_owned(), value)));
    let end = talk.request().unwrap();
    assert_eq!(
        (&end["op"], &end["args"], &end["command_id"]),
        (&"complete".into(), &Value::Nil, &"1".into())
    );
    assert_eq!((&update["seq_number"], &end["seq_number"]), (&0.into(), &1.into()));
    assert_eq!((talk.request(), talk.bot.output_len()), (None, 0));
}

#[test]
fn output_waits_a_moment_for_more_and_no_longer() {
    let mut talk = Talk::with("1", "shell", shell());
    talk.start("2", "shell", shell());
    assert_eq!(talk.bot.due(), None);
    talk.say(output("2", LogStream::Stdout, "b\n"), 10);
    talk.say(output("1", LogStream::Stdout, "a\n"), 20);
    assert_eq!(talk.bot.due(), Some(at(talk.begin, 10).instant + WAIT));
    talk.bot.tick(at(talk.begin, 59));
    assert_eq!((talk.ops(), talk.bot.output_len()), (vec![], 0));
    talk.bot.tick(at(talk.begin, 60));
    assert_eq!(talk.request().unwrap()["command_id"], "2".into());
    assert_eq!(talk.request(), None);
    assert_eq!(talk.bot.due(), Some(at(talk.begin, 20).instant + WAIT));
    // Much is due at once.
    talk.say(output("1", LogStream::Stdout, &"x\n".repeat(MOST_BYTES)), 21);
    assert!(talk.request().is_some());
    assert_eq!(talk.bot.due(), None);
}

#[test]
fn a_line_whose_end_has_not_come_waits_for_it_or_for_the_end_of_the_command() {
    let mut talk = Talk::with("1", "shell", shell());
    talk.say(output("1", LogStream::Stdout, "name? "), 0);
    talk.bot.tick(at(talk.begin, 5000));
    assert_eq!((talk.bot.due(), talk.ops()), (None, vec![]));
    talk.say(news("1", Update::Rc(1)), 6000);
    let told = pairs(&talk.request().unwrap());
    let keys: Vec<_> = told.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!((keys, &told[0].1[0]), (vec!["stdout", "rc"], &"name? \n".into()));
    // What comes after its exit code has a line of its own.
    talk.say(output("1", LogStream::Header, "bye"), 6001);
    talk.say(complete("1", None), 6002);
    assert_eq!(pairs(&talk.request().unwrap())[0].1[0], "bye\n".into());
    assert_eq!(talk.ops(), ["complete"]);
}

#[test]
fn a_message_is_no_longer_than_it_must_be() {
    let mut talk = Talk::with("1", "shell", shell());
    let long = "l".repeat(LONGEST_LINE - 1) + "\n";
    let flood = "\n".repeat(MOST_BYTES) + &"0123456789abcde\n".repeat(MOST_BYTES / 16) + &long + "after\n";
    talk.say(output("1", LogStream::Stdout, &flood), 0);
    talk.say(news("1", Update::Rc(0)), 0);
    let (mut heard, mut lengths) = (String::new(), Vec::new());
    while let Some(request) = talk.request() {
        lengths.push(written(&request).len());
        for (key, value) in pairs(&request) {
            if key == "stdout" {
                heard += value[0].as_str().unwrap();
            }
        }
        talk.answer(&request, Value::Nil);
    }
    assert!(heard == flood);
    let longer: Vec<_> = lengths.iter().filter(|length| **length > MOST_BYTES + 100).collect();
    assert!(matches!(longer[..], [length] if *length < LONGEST_LINE + 200), "{lengths:?}");
    assert!(lengths.iter().filter(|length| **length < MOST_BYTES / 4).count() <= 2, "{lengths:?}");
}

#[test]
fn a_list_that_no_message_can_carry_is_a_failure_and_no_end_of_the_connection() {
    let mut talk = Talk::with("1", "listdir", map([("path", "/w".into())]));
    let files = vec!["x".repeat(1000); MAX_MESSAGE_BYTES / 1000];
    talk.say(news("1", Update::Files(files)), 0);
    talk.say(news("1", Update::Rc(0)), 0);
    talk.say(complete("1", None), 0);
    assert_eq!(pairs(&talk.request().unwrap()), [("rc".to_owned(), 0.into())]);
    let end = talk.request().unwrap();
    assert_eq!(end["args"], "what it found is too long a list for this protocol".into());
}

#[test]
fn a_master_that_does_not_answer_is_told_no_more_and_what_waits_is_counted() {
    let mut talk = Talk::with("1", "shell", shell());
    talk.start("2", "mkdir", map([("paths", list([]))]));
    let mut requests = Vec::new();
    for number in 0..100 {
        talk.say(output("1", LogStream::Stdout, &format!("{number}\n")), number * 100);
        talk.bot.tick(at(talk.begin, number * 100 + 50));
        requests.extend(talk.request());
    }
    assert_eq!(requests.len(), 8);
    assert!(talk.bot.output_len() > 92 * 2 && talk.bot.poll_output().is_none());
    // The others are heard meanwhile, and the master's requests answered.
    talk.say(complete("2", None), 0);
    assert_eq!(talk.ops(), ["complete"]);
    assert_eq!(talk.ask("keepalive", vec![]), Ok(Value::Nil));
    // With the first answer the rest goes, in one message; the end waits for no answer.
    talk.say(complete("1", None), 10_000);
    talk.answer(&requests[0], Value::Nil);
    let rest: String = pairs(&talk.request().unwrap())
        .iter()
        .map(|(_, value)| value[0].as_str().unwrap().to_owned())
        .collect();
    assert!(rest.lines().eq((8..100).map(|number| number.to_string())), "{rest}");
    assert_eq!((talk.ops(), talk.bot.output_len()), (vec!["complete".to_owned()], 0));
    // Answers that come later are nobody's.
    for request in &requests[1..] {
        talk.answer(request, Value::Nil);
    }
    assert_eq!(talk.events(), []);
}

#[test]
fn news_that_the_master_does_not_take_are_told_to_the_log_and_end_nothing() {
    let mut talk = Talk::with("1", "shell", shell());
    talk.say(news("1", Update::Rc(0)), 0);
    talk.say(complete("1", None), 0);
    for wanted in [
        "the master did not take news of command 1: unknown",
        "the master did not take the end of command 1: unknown",
    ] {
        let request = talk.request().unwrap();
        talk.except(&request, "unknown");
        assert_eq!(talk.events(), [BotEvent::Failed(wanted.into())]);
    }
    assert_eq!(talk.ops(), [""; 0]);
}

#[test]
fn many_commands_at_once_take_turns_and_each_keeps_its_order() {
    let mut pair = Pair::attached();
    let ids: Vec<_> = (0..200).map(|number| format!("c{number}")).collect();
    for id in &ids {
        pair.start(id, WorkerCommand::Shell(Box::new(ShellArguments::sample("make"))));
    }
    for round in 0..3 {
        for id in &ids {
            pair.bot.say(output(id, LogStream::Stdout, &format!("{round}\n")), at(pair.begin, round));
        }
    }
    for id in &ids {
        pair.bot.say(complete(id, None), at(pair.begin, 3));
    }
    pair.exchange();
    let told = pair.told();
    for id in &ids {
        let of_it: Vec<_> = told
            .iter()
            .filter(|message| match message {
                FromWorker::Update { id: whose, .. } | FromWorker::Complete { id: whose, .. } => {
                    whose.as_str() == id
                }
                _ => false,
            })
            .collect();
        assert_eq!(of_it, [&output(id, LogStream::Stdout, "0\n1\n2\n"), &complete(id, None)]);
    }
    assert_eq!(told.len(), 2 * ids.len());
}

#[test]
fn nobody_waits_for_a_turn_while_another_is_chatty() {
    let mut talk = Talk::with("a", "shell", shell());
    talk.start("b", "shell", shell());
    for number in 0..6 {
        talk.say(output("a", LogStream::Stdout, &"x\n".repeat(MOST_BYTES / 16)), number);
    }
    talk.say(news("b", Update::Rc(0)), 7);
    let first: Vec<_> =
        (0..2).map(|_| talk.request().unwrap()["command_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(first, ["a", "b"]);
}

proptest! {
    #[test]
    fn output_however_it_is_cut_reaches_the_master_whole(
        said in collection::vec((0..4_usize, "[aß\n]{0,8}", any::<bool>()), 0..20),
    ) {
        let mut pair = Pair::attached();
        pair.start("1", WorkerCommand::Shell(Box::new(ShellArguments::sample("make"))));
        let mut wanted = [const { String::new() }; 4];
        for (which, text, is_due) in &said {
            let bytes = Bytes::copy_from_slice(text.as_bytes());
            let update = match which {
                0 => Update::Output { stream: LogStream::Stdout, bytes },
                1 => Update::Output { stream: LogStream::Stderr, bytes },
                2 => Update::Output { stream: LogStream::Header, bytes },
                _ => Update::Log { name: "l".into(), bytes },
            };
            wanted[*which] += text;
            pair.say(news("1", update));
            if *is_due {
                pair.tick();
            }
        }
        pair.say(complete("1", None));
        let mut heard = [const { String::new() }; 4];
        let mut told = pair.told();
        prop_assert_eq!(told.pop(), Some(complete("1", None)));
        for message in told {
            let (which, bytes) = match message {
                FromWorker::Update { update: Update::Output { stream, bytes }, .. } => match stream {
                    LogStream::Stdout => (0, bytes),
                    LogStream::Stderr => (1, bytes),
                    LogStream::Header => (2, bytes),
                },
                FromWorker::Update { update: Update::Log { bytes, .. }, .. } => (3, bytes),
                other => panic!("{other:?}"),
            };
            prop_assert!(bytes.ends_with(b"\n"));
            heard[which] += std::str::from_utf8(&bytes).unwrap();
        }
        for wanted in wanted.iter_mut().filter(|text| !text.is_empty() && !text.ends_with('\n')) {
            wanted.push('\n');
        }
        prop_assert_eq!(heard, wanted);
    }
}
