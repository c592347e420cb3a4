//! Each verb of the broker, in its right form and in wrong ones.

use super::{
    super::{encoder::Encoder, jelly},
    *,
};

fn word(text: &'static str) -> Sexp {
    Sexp::Bytes(Bytes::from_static(text.as_bytes()))
}

fn list(items: &[Sexp]) -> Sexp {
    Sexp::List(items.to_vec())
}

fn bytes(message: &Sexp) -> Vec<u8> {
    let mut encoder = Encoder::default();
    encoder.use_words();
    encoder.sexp(message);
    encoder.take().unwrap().to_vec()
}

/// A call without arguments.
fn call(object: Sexp, method: &'static str, wants_answer: i64) -> Sexp {
    let (args, keywords) = (list(&[word("tuple")]), list(&[word("dictionary")]));
    list(&[word("message"), Sexp::Int(77), object, word(method), Sexp::Int(wants_answer), args, keywords])
}

/// What a master that has one worker says to this.
fn heard(message: &Sexp) -> Result<Vec<String>, PbError> {
    let mut pair = Pair::attached(&["b1"]);
    pair.master.handle_input(&bytes(message))?;
    let said = pair.master.poll_output().unwrap_or_default();
    assert_eq!(pair.news(), [], "nobody is told of it");
    pair.order(ToWorker::Ping(1));
    assert_eq!(pair.news(), [FromWorker::Pong(1)], "the connection lives");
    Ok(expressions(&said).iter().map(ToString::to_string).collect())
}

#[test]
fn verbs_without_a_meaning_here_are_passed_over_and_never_answered() {
    let (one, text) = (Sexp::Int(1), word("x"));
    for message in [
        list(&[
            word("cachemessage"),
            one.clone(),
            one.clone(),
            text.clone(),
            one.clone(),
            list(&[]),
            list(&[]),
        ]),
        list(&[word("decache"), one.clone()]),
        list(&[word("uncache"), one.clone()]),
        list(&[word("uncache")]),
        list(&[word("didNotUnderstand"), text.clone()]),
        list(&[word("not_logged_in")]),
        list(&[word("something of tomorrow"), text, list(&[one])]),
    ] {
        assert_eq!(heard(&message).unwrap(), [""; 0], "{message}");
    }
}

#[test]
fn answers_to_nothing_and_counts_of_nothing_are_passed_over() {
    for number in [0, -1, 99, i64::MAX, i64::MIN] {
        for message in [
            list(&[word("answer"), Sexp::Int(number), list(&[word("None")])]),
            list(&[word("error"), Sexp::Int(number), list(&[word("None")])]),
            list(&[word("decref"), Sexp::Int(number)]),
        ] {
            assert_eq!(heard(&message).unwrap(), [""; 0], "{message}");
        }
    }
}

#[test]
fn what_is_no_message_ends_the_connection() {
    for message in [
        Sexp::Int(1),
        word("message"),
        list(&[]),
        list(&[Sexp::Int(1)]),
        list(&[list(&[word("message")])]),
        list(&[word("message"), Sexp::Int(1), Sexp::Int(2)]),
        list(&[word("answer"), word("x"), Sexp::Int(1)]),
        list(&[word("answer"), Sexp::Int(1)]),
        list(&[word("error")]),
        list(&[word("decref"), word("x")]),
        list(&[word("version"), Sexp::Int(7)]),
        list(&[word("version")]),
    ] {
        let error = heard(&message).unwrap_err();
        assert!(matches!(error, PbError::Malformed(_) | PbError::Version), "{message}: {error}");
    }
}

#[test]
fn arguments_that_are_no_tuple_and_no_dictionary_end_the_connection() {
    let none = list(&[word("None")]);
    let wrong = list(&[
        word("message"),
        Sexp::Int(1),
        Sexp::Int(2),
        word("keepalive"),
        Sexp::Int(1),
        none.clone(),
        none,
    ]);
    assert!(matches!(heard(&wrong), Err(PbError::Malformed(_))));
}

#[test]
fn who_wants_no_answer_gets_none_not_even_a_failure() {
    let avatar = || Sexp::Int(2);
    assert_eq!(heard(&call(avatar(), "keepalive", 1)).unwrap(), ["(<answer> 77 (<None>))"]);
    assert_eq!(heard(&call(avatar(), "keepalive", 0)).unwrap(), [""; 0]);
    let refused = heard(&call(avatar(), "no_such_method", 1)).unwrap();
    assert!(refused[0].starts_with("(<error> 77 "), "{refused:?}");
    assert!(refused[0].contains("NoSuchMethod"), "{refused:?}");
    assert_eq!(heard(&call(avatar(), "no_such_method", 0)).unwrap(), [""; 0]);
    assert_eq!(heard(&call(Sexp::Int(99), "update", 0)).unwrap(), [""; 0]);
}

#[test]
fn objects_that_never_were_are_told_so() {
    for object in [Sexp::Int(99), Sexp::Int(0), Sexp::Int(-1), Sexp::Int(i64::MAX), word("x"), list(&[])] {
        let said = heard(&call(object.clone(), "update", 1)).unwrap();
        assert!(said[0].contains("Invalid Object ID"), "{object}: {said:?}");
    }
}

/// The challenger is gone after its one call; the answers of a master name no other object than these.
#[test]
fn a_call_of_the_challenger_after_the_login_is_answered_by_nothing() {
    assert_eq!(heard(&call(Sexp::Int(1), "respond", 1)).unwrap(), ["(<answer> 77 (<None>))"]);
}

#[test]
fn what_would_end_a_real_worker_ends_ours() {
    for message in [
        list(&[word("something of tomorrow")]),
        list(&[word("answer"), Sexp::Int(99), list(&[word("None")])]),
        list(&[word("error"), Sexp::Int(99), list(&[word("None")])]),
        list(&[word("decref"), Sexp::Int(99)]),
    ] {
        let mut pair = Pair::attached(&["b1"]);
        let error = pair.worker.handle_input(&bytes(&message)).unwrap_err();
        assert!(matches!(error, PbError::OutOfTurn(_)), "{message}: {error}");
    }
}

/// The law is held by the worker's end, which breaks at each of the things above.
#[test]
fn a_long_life_says_nothing_that_would_end_a_worker() {
    let mut pair = Pair::attached(&["b1", "b2"]);
    for round in 0..50 {
        pair.start(&format!("a{round}"), "b1");
        let mut started = pair.started();
        pair.worker.accept(&mut started);
        pair.order(set_builders(if round % 2 == 0 { &["b2"] } else { &["b1", "b2"] }));
        pair.order(ToWorker::Interrupt { id: CommandId::new(format!("a{round}")), why: "enough".into() });
        pair.worker.complete(started.object, None);
        pair.worker.keepalive();
        pair.order(ToWorker::Ping(round));
        pair.order(set_builders(&["b1", "b2"]));
        pair.forget();
    }
    let (_, known) = pair.master.held();
    assert_eq!(known, 1, "the avatar, and no command or call of all these");
}

fn reference(number: i64, value: Sexp) -> Sexp {
    list(&[word("reference"), Sexp::Int(number), value])
}

fn dereference(number: i64) -> Sexp {
    list(&[word("dereference"), Sexp::Int(number)])
}

#[test]
fn a_place_that_points_forward_or_into_its_own_circle_is_opaque_and_the_rest_is_read() {
    let empty = || list(&[word("tuple")]);
    let forward = list(&[word("list"), dereference(1), reference(1, empty()), dereference(1)]);
    let read = jelly::decode(forward);
    assert_eq!(read, Value::List(vec![Value::Opaque, Value::Tuple(vec![]), Value::Tuple(vec![])]));
    let circle = reference(1, list(&[word("list"), Sexp::Int(5), dereference(1)]));
    assert_eq!(jelly::decode(circle), Value::List(vec![Value::Int(5), Value::Opaque]));
    let twice = list(&[word("list"), reference(1, Sexp::Int(1)), reference(1, Sexp::Int(2)), dereference(1)]);
    assert_eq!(jelly::decode(twice), Value::List(vec![Value::Int(1), Value::Int(2), Value::Int(2)]));
}

/// As workers with frames in their failures send it: one empty tuple in many places.
#[test]
fn a_failure_with_frames_is_read_for_its_text() {
    let frame = |tail: &[Sexp]| {
        let mut items = vec![word("tuple"), word("run"), word("shell.py"), Sexp::Int(7)];
        items.extend_from_slice(tail);
        list(&items)
    };
    let shared = reference(1, list(&[word("tuple")]));
    let frames =
        list(&[word("list"), frame(&[shared, dereference(1)]), frame(&[dereference(1), dereference(1)])]);
    let pair = |key, value| list(&[list(&[word("unicode"), word(key)]), value]);
    let text = |text| list(&[word("unicode"), word(text)]);
    let state = list(&[
        word("dictionary"),
        pair("type", word("builtins.OSError")),
        pair("value", text("no space left")),
        pair("frames", frames),
        pair("exotic", list(&[word("some.module.Class"), list(&[])])),
        pair("parents", list(&[word("list"), text("builtins.OSError"), text("builtins.Exception")])),
    ]);
    let failure = list(&[word("twisted.spread.pb.CopyableFailure"), state]);
    let mut pair = Pair::attached(&["b1"]);
    pair.start("1", "b1");
    let object = pair.started().object;
    let args = list(&[word("tuple"), failure]);
    let complete = list(&[
        word("message"),
        Sexp::Int(9),
        Sexp::Int(object),
        word("complete"),
        Sexp::Int(1),
        args,
        list(&[word("dictionary")]),
    ]);
    pair.master.handle_input(&bytes(&complete)).unwrap();
    assert_eq!(pair.news(), [super::complete("1", Some("builtins.OSError: no space left"))]);
}

#[test]
fn no_room_is_made_for_what_a_stranger_cannot_send() {
    let mut master = MasterSession::new(CHALLENGE);
    // 65,536 bytes are promised, of which some are spent.
    let error = master.handle_input(b"\x00\x00\x04\x82").unwrap_err();
    assert!(matches!(error, PbError::Bytes(super::super::banana::DecodeError::MuchInput)), "{error}");
    assert!(master.held().0 < 1024, "{:?}", master.held());
}
