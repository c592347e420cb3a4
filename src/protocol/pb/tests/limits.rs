//! Those who send what nobody should.

use super::{
    super::{
        banana::{DecodeError, MAX_LENGTH},
        encoder::{Encoder, Overlong},
        jelly,
    },
    *,
};

/// What becomes of a connection that says this first.
fn first_words(bytes: &[u8]) -> Result<(), PbError> {
    MasterSession::new(CHALLENGE).handle_input(bytes)
}

/// Why these bytes are no tokens.
fn refusal(limits: Limits, bytes: &[u8]) -> DecodeError {
    let mut decoder = Decoder::new(limits);
    decoder.use_words();
    decoder.extend(bytes).unwrap();
    loop {
        match decoder.expression() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("all of it was taken"),
            Err(error) => return error,
        }
    }
}

#[test]
fn a_request_of_http_is_known_after_its_first_words() {
    assert!(matches!(
        first_words(b"GET / HTTP/1.1\r\n"),
        Err(PbError::Bytes(DecodeError::LongPrefix { .. }))
    ));
}

#[test]
fn a_handshake_of_tls_is_refused() {
    assert!(first_words(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]).is_err());
}

#[test]
fn who_chooses_no_dialect_is_refused() {
    for words in [&b"\x04\x82null"[..], b"\x01\x81", b"\x00\x80"] {
        assert!(matches!(first_words(words), Err(PbError::Dialect)), "{words:?}");
    }
    // A word, before words are agreed on.
    assert!(matches!(first_words(b"\x01\x87"), Err(PbError::Bytes(DecodeError::UnknownWord(1)))));
}

#[test]
fn another_version_is_refused() {
    assert!(matches!(first_words(b"\x02\x82pb\x02\x80\x13\x87\x05\x81"), Err(PbError::Version)));
}

#[test]
fn who_does_not_log_in_sends_64_kib_at_most() {
    let mut master = MasterSession::new(CHALLENGE);
    master.handle_input(b"\x02\x82pb").unwrap();
    // A verb without a meaning, again and again.
    let noise = [0x01, 0x80, 0x01, 0x82, b'x'].repeat(1024);
    let taken = (0..100).take_while(|_| master.handle_input(&noise).is_ok()).count();
    assert_eq!(taken, 12);
    assert!(matches!(master.handle_input(&noise), Err(PbError::Bytes(DecodeError::MuchInput))));
}

#[test]
fn a_stranger_calls_nothing_but_the_login() {
    let bot =
        b"\x02\x82pb\x07\x80\x1a\x87\x01\x81\x02\x81\x05\x82print\x01\x81\x01\x80\x0b\x87\x01\x80\x05\x87";
    assert!(matches!(first_words(bot), Err(PbError::OutOfTurn(_))));
    let mut master = MasterSession::new(CHALLENGE);
    let login = recorded("login");
    master.handle_input(&[recorded("choice"), login.clone()].concat()).unwrap();
    assert!(matches!(master.handle_input(&login), Err(PbError::OutOfTurn(_))));
    let mut master = MasterSession::new(CHALLENGE);
    master.handle_input(&[recorded("choice"), login, recorded("respond")].concat()).unwrap();
    assert!(matches!(master.handle_input(&recorded("respond")), Err(PbError::OutOfTurn(_))));
}

#[test]
fn an_anonymous_login_is_refused_as_any_other() {
    let mut master = MasterSession::new(CHALLENGE);
    let call =
        b"\x07\x80\x1a\x87\x01\x81\x04\x82root\x0e\x82loginAnonymous\x01\x81\x01\x80\x0b\x87\x01\x80\x05\x87";
    master.handle_input(&[&recorded("choice"), &call[..]].concat()).unwrap();
    let said = master.poll_output().unwrap();
    let text = String::from_utf8_lossy(&said);
    assert!(text.contains("UnauthorizedLogin"), "{text}");
    assert_eq!(master.poll_event(), None);
}

#[test]
fn strings_and_lists_have_the_lengths_that_twisted_takes() {
    let head = |length: usize, kind: u8| {
        let digits =
            [length & 0x7f, length >> 7 & 0x7f, length >> 14].map(|digit| u8::try_from(digit).unwrap());
        [&digits[..], &[kind]].concat()
    };
    for kind in [0x80, 0x82] {
        assert!(matches!(
            refusal(Limits::FRIEND, &head(MAX_LENGTH + 1, kind)),
            DecodeError::Long { length: 655_361 }
        ));
        let mut decoder = Decoder::new(Limits::FRIEND);
        decoder.extend(&head(MAX_LENGTH, kind)).unwrap();
        assert_eq!(decoder.expression(), Ok(None), "the longest is waited for");
    }
    let longest = Sexp::Bytes(vec![7; MAX_LENGTH].into());
    let mut encoder = Encoder::default();
    encoder.write(|to| to.sexp(&longest)).unwrap();
    assert_eq!(expressions(&encoder.take().unwrap()), [longest]);
    let too_long = Sexp::List(vec![Sexp::Int(1), Sexp::Bytes(vec![7; MAX_LENGTH + 1].into())]);
    assert_eq!(encoder.write(|to| to.sexp(&too_long)), Err(Overlong));
    assert!(encoder.is_empty(), "nothing of it was written");
}

#[test]
fn lists_lie_64_deep_at_most() {
    let deep = |depth| [[0x01, 0x80].repeat(depth), vec![0x01, 0x81]].concat();
    assert_eq!(refusal(Limits::FRIEND, &deep(65)), DecodeError::Deep { limit: 64 });
    assert_eq!(expressions(&deep(64)).len(), 1);
}

#[test]
fn an_expression_is_bounded_by_the_memory_that_it_takes() {
    let many = [&[0x7f, 0x7f, 0x27, 0x80][..], &[0x00, 0x80].repeat(600_000)].concat();
    assert!(matches!(refusal(Limits::FRIEND, &many), DecodeError::Big { .. }));
    let long =
        [0x20, 0x80].into_iter().chain([vec![0, 0, 0x28, 0x82], vec![7; MAX_LENGTH]].concat().repeat(32));
    assert!(matches!(refusal(Limits::FRIEND, &long.collect::<Vec<_>>()), DecodeError::Big { .. }));
}

#[test]
fn numbers_have_64_digits_at_most_and_come_as_near_as_they_can() {
    let digits = |count| [vec![0x7f; count], vec![0x85]].concat();
    assert_eq!(refusal(Limits::FRIEND, &digits(65)), DecodeError::LongPrefix { limit: 64 });
    assert_eq!(expressions(&digits(64)), [Sexp::Int(i64::MAX)]);
    assert_eq!(expressions(&[vec![0x7f; 64], vec![0x86]].concat()), [Sexp::Int(i64::MIN)]);
    // Nothing before the type is nothing; leading zeroes count for nothing.
    assert_eq!(expressions(&[0x81]), [Sexp::Int(0)]);
    assert_eq!(expressions(&[vec![1], vec![0; 60], vec![0x81]].concat()), [Sexp::Int(1)]);
    assert_eq!(refusal(Limits::FRIEND, &[0x88]), DecodeError::UnknownType(0x88));
    assert_eq!(refusal(Limits::FRIEND, &[0x20, 0x87]), DecodeError::UnknownWord(32));
    assert_eq!(refusal(Limits::FRIEND, &[0x00, 0x87]), DecodeError::UnknownWord(0));
}

fn list(items: Vec<Sexp>) -> Sexp {
    Sexp::List(items)
}

fn word(word: &'static str) -> Sexp {
    Sexp::Bytes(Bytes::from_static(word.as_bytes()))
}

#[test]
fn a_shared_object_is_in_each_of_its_places() {
    let shared = list(vec![word("reference"), Sexp::Int(1), list(vec![word("tuple")])]);
    let again = list(vec![word("dereference"), Sexp::Int(1)]);
    let missing = list(vec![word("dereference"), Sexp::Int(2)]);
    let value = jelly::decode(list(vec![word("list"), shared, again, missing]));
    let empty = Value::Tuple(vec![]);
    assert_eq!(value, Value::List(vec![empty.clone(), empty, Value::Opaque]));
}

#[test]
fn shared_objects_do_not_grow_without_end() {
    // Each is twice the one before: 2^40 values if they were all copied.
    let mut items = vec![word("list"), list(vec![word("reference"), Sexp::Int(0), list(vec![word("list")])])];
    for number in 1..40 {
        let earlier = list(vec![word("dereference"), Sexp::Int(number - 1)]);
        let twice = list(vec![word("list"), earlier.clone(), earlier]);
        items.push(list(vec![word("reference"), Sexp::Int(number), twice]));
    }
    let count = values(&jelly::decode(list(items)));
    assert!(count < 25_000, "{count}");
    // Each lies in the one after it.
    let mut items = vec![word("list"), list(vec![word("reference"), Sexp::Int(0), list(vec![word("list")])])];
    for number in 1..5000 {
        let earlier = list(vec![word("dereference"), Sexp::Int(number - 1)]);
        let around = list(vec![word("list"), earlier]);
        items.push(list(vec![word("reference"), Sexp::Int(number), around]));
    }
    let count = values(&jelly::decode(list(items)));
    assert!(count < 25_000, "{count}");
}

fn values(value: &Value) -> usize {
    1 + value.as_items().unwrap_or_default().iter().map(values).sum::<usize>()
}

#[test]
fn what_is_not_known_is_opaque_and_harms_nobody() {
    let exotic = [
        list(vec![]),
        list(vec![Sexp::Int(1)]),
        list(vec![word("some.module.Class"), list(vec![word("dictionary")])]),
        list(vec![word("unpersistable"), word("why")]),
        list(vec![word("unicode"), Sexp::Int(1)]),
        list(vec![word("boolean"), word("maybe")]),
        list(vec![word("reference"), word("x"), word("y")]),
        list(vec![word("twisted.spread.pb.CopyableFailure"), word("x")]),
    ];
    for expression in exotic {
        assert_eq!(jelly::decode(expression.clone()), Value::Opaque, "{expression:?}");
    }
    let pairs =
        vec![word("dictionary"), Sexp::Int(1), list(vec![word("a")]), list(vec![word("k"), Sexp::Int(1)])];
    assert_eq!(jelly::decode(list(pairs)), Value::Dict(vec![(Value::Bytes("k".into()), Value::Int(1))]));
}

#[test]
fn a_peer_that_reads_no_answers_is_cut_off() {
    let mut pair = Pair::attached(&["b1"]);
    // Each is answered by a failure, which is long.
    let call = b"\x07\x80\x1a\x87\x01\x81\x02\x81\x01\x82x\x01\x81\x01\x80\x0b\x87\x01\x80\x05\x87";
    let many = call.repeat(1000);
    let mut rounds = 0;
    let error = loop {
        match pair.master.handle_input(&many) {
            Ok(()) => pair.take_events(),
            Err(error) => break error,
        }
        pair.forget();
        rounds += 1;
        assert!(rounds < 10_000, "the answers pile up");
    };
    assert!(matches!(error, PbError::Unread { bytes } if bytes < 9 * 1024 * 1024), "{error:?}");
}

#[test]
fn what_an_honest_worker_never_says_is_passed_over() {
    let mut pair = Pair::attached(&["b1"]);
    // An answer to nothing, a decref of nothing, an unknown verb, a verb of caches.
    for strange in [
        &b"\x03\x80\x1b\x87\x7f\x81\x01\x80\x01\x87"[..],
        b"\x02\x80\x1d\x87\x7f\x81",
        b"\x02\x80\x10\x82didNotUnderstand\x01\x82x",
        b"\x02\x80\x1e\x87\x01\x81",
    ] {
        pair.master.handle_input(strange).unwrap();
        assert_eq!(pair.master.poll_output(), None);
    }
    pair.order(ToWorker::Ping(1));
    assert_eq!(pair.news(), [FromWorker::Pong(1)]);
}

#[test]
fn a_worker_that_gives_its_login_up_is_gone() {
    let mut pair = Pair::attached(&["b1"]);
    let error = pair.master.handle_input(b"\x02\x80\x1d\x87\x02\x81").unwrap_err();
    assert!(matches!(error, PbError::LoggedOut));
}
