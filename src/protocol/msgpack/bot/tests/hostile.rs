//! Masters that break the rules, and random bytes.

use proptest::{collection::vec, prelude::*};

use super::*;

#[test]
fn what_is_no_message_is_not_heard_or_ends_the_connection() {
    let mut talk = Talk::new();
    for message in [
        map([]),
        map([("op", "keepalive".into())]),
        map([("seq_number", 1.into())]),
        map([("op", 3.into()), ("seq_number", 1.into())]),
        map([("op", "keepalive".into()), ("seq_number", (-1).into())]),
        map([("op", "response".into()), ("seq_number", 99.into())]),
        map([("op", "response".into()), ("seq_number", 99.into()), ("is_exception", true.into())]),
    ] {
        talk.hear(&message);
    }
    talk.listen();
    assert_eq!((talk.events(), talk.answers.len(), talk.asked.len()), (vec![], 0, 0));
    let error = talk.bot.hear(&written(&list([]))).expect_err("it is no map");
    assert!(matches!(error, MsgpackError::Malformed(_)), "{error}");
    let error = talk.bot.hear(&[0xc1]).expect_err("it is no message");
    assert!(matches!(error, MsgpackError::Bytes(_)), "{error}");
}

#[test]
fn requests_that_lack_something_are_answered_with_what_they_lack() {
    let long = "x".repeat(1 << 20);
    for (op, fields, wanted) in [
        ("print", vec![], "message did not contain obligatory \"message\" key"),
        ("print", vec![("message", 3.into())], "message did not contain obligatory \"message\" key"),
        ("start_command", vec![], "message did not contain obligatory \"command_id\" key"),
        (
            "start_command",
            vec![("command_id", "1".into())],
            "message did not contain obligatory \"command_name\" key",
        ),
        (
            "start_command",
            vec![("command_id", "1".into()), ("command_name", "stat".into()), ("args", list([]))],
            "message did not contain obligatory \"args\" key",
        ),
        (
            "start_command",
            vec![("command_id", long.as_str().into())],
            "the id of a command is UTF-8 of at most 256 bytes",
        ),
        (
            "interrupt_command",
            vec![("command_id", 7.into())],
            "message did not contain obligatory \"command_id\" key",
        ),
        ("frobnicate", vec![], "Command frobnicate does not exist."),
    ] {
        assert_eq!(Talk::new().ask(op, fields), Err(wanted.to_owned()));
    }
    for op in [&long, "start_command"] {
        let fields =
            vec![("command_id", "1".into()), ("command_name", long.as_str().into()), ("args", map([]))];
        assert!(Talk::new().ask(op, fields).expect_err("it is unknown").len() < 1000);
    }
}

#[test]
fn a_long_line_of_a_master_is_cut_for_the_log() {
    let mut talk = Talk::new();
    talk.ask("print", vec![("message", "ß".repeat(1 << 20).into())]).unwrap();
    let [BotEvent::Printed(line)] = &talk.events()[..] else { panic!("one line") };
    assert!(line.len() <= MAX_WHY_BYTES);
}

#[test]
fn a_master_that_answers_nothing_is_cut_off() {
    let mut talk = Talk::new();
    let mut begun = 0;
    let error = loop {
        let id = begun.to_string();
        let start = map([
            ("op", "start_command".into()),
            ("seq_number", begun.into()),
            ("command_id", id.as_str().into()),
            ("command_name", "stat".into()),
            ("args", map([("path", "/".into())])),
        ]);
        match talk.bot.hear(&written(&start)) {
            Ok(()) => begun += 1,
            Err(error) => break error,
        }
        talk.say(complete(&id, None), 0);
        while talk.bot.poll_output().is_some() {}
        while talk.bot.poll_event().is_some() {}
        assert!(begun < 10_000);
    };
    assert!(matches!(error, MsgpackError::Unanswered { .. }), "{error}");
    assert!(begun > 4000, "{begun}");
}

#[test]
fn news_of_commands_that_do_not_run_are_told_to_nobody() {
    let mut talk = Talk::with("1", "stat", map([("path", "/".into())]));
    talk.say(complete("1", None), 0);
    for message in [
        output("1", LogStream::Stdout, "late\n"),
        moved("1", Transfer::Close),
        complete("1", Some("again")),
        news("2", Update::Rc(0)),
        complete("2", None),
        FromWorker::Pong(3),
        FromWorker::Hello(facts()),
    ] {
        talk.say(message, 0);
    }
    talk.bot.tick(at(talk.begin, 1000));
    assert_eq!(talk.ops(), ["complete"]);
}

/// All that a master says in an attach and some commands.
fn honest_master() -> Vec<Vec<u8>> {
    let ask = |seq: u64, op: &str, fields: Vec<(&str, Value)>| {
        let mut all = vec![("op", op.into()), ("seq_number", seq.into())];
        all.extend(fields);
        written(&Value::Map(all.into_iter().map(|(key, value)| (key.into(), value)).collect()))
    };
    let answer = |seq: u64| {
        written(&map([("op", "response".into()), ("seq_number", seq.into()), ("result", Value::Nil)]))
    };
    let start = |id: &str, name: &str, args| {
        vec![("command_id", id.into()), ("command_name", name.into()), ("args", args)]
    };
    let settings = map([
        ("buffer_size", 9.into()),
        ("buffer_timeout", 0.2.into()),
        ("newline_re", "\n".into()),
        ("max_line_length", 9.into()),
    ]);
    let shell = map([
        ("workdir", "/w".into()),
        ("command", list(["a".into(), list(["obfuscated".into(), "b".into(), "c".into()])])),
        ("env", map([("A", list(["x".into()])), ("B", Value::Nil)])),
        ("timeout", 1.5.into()),
    ]);
    vec![
        ask(0, "print", vec![("message", "attached".into())]),
        ask(1, "get_worker_info", vec![]),
        ask(2, "set_worker_settings", vec![("args", settings)]),
        ask(3, "start_command", start("1", "shell", shell)),
        ask(4, "start_command", start("2", "upload_file", transfers::file())),
        answer(0),
        answer(1),
        ask(5, "interrupt_command", vec![("command_id", "1".into()), ("why", "enough".into())]),
        answer(2),
        ask(6, "keepalive", vec![]),
    ]
}

/// Gives a worker these payloads, whatever comes of it. Its commands do what they do.
fn endure(payloads: &[Vec<u8>]) {
    let mut bot = BotSession::new(facts());
    let now = at(Instant::now(), 0);
    let (mut events, mut said, mut heard) = (0, 0, 0);
    for payload in payloads {
        heard += payload.len();
        if bot.hear(payload).is_err() {
            break;
        }
        while let Some(event) = bot.poll_event() {
            events += 1;
            if let BotEvent::Order(ToWorker::Start { id, .. }) = event {
                let id = id.as_str();
                bot.say(output(id, LogStream::Stdout, "a\n"), now);
                bot.say(moved(id, Transfer::Write(Bytes::from_static(b"x"))), now);
                bot.say(moved(id, Transfer::Close), now);
                bot.say(complete(id, None), now);
            }
        }
        while let Some(payload) = bot.poll_output() {
            said += payload.len();
        }
    }
    assert!(events <= 2 + heard && said <= 4000 + heard * 100, "{events} events, {said} bytes said");
}

proptest! {
    #[test]
    fn random_payloads_are_endured(payloads in vec(vec(any::<u8>(), 0..200), 0..5)) {
        endure(&payloads);
    }

    #[test]
    fn damaged_messages_are_endured(
        damages in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..6),
    ) {
        let mut payloads = honest_master();
        for (which, place, byte, kind) in damages {
            let payload = &mut payloads[which.index(10)];
            if payload.is_empty() {
                continue;
            }
            let place = place.index(payload.len());
            match kind {
                0 => payload[place] = byte,
                1 => payload.insert(place, byte),
                2 => drop(payload.remove(place)),
                _ => payload.rotate_left(place),
            }
        }
        endure(&payloads);
    }
}

#[test]
fn an_honest_master_is_served() {
    endure(&honest_master());
    let mut bot = BotSession::new(facts());
    for payload in honest_master() {
        bot.hear(&payload).unwrap();
    }
    assert!(!bot.crew.is_empty());
}
