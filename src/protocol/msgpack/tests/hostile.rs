//! Peers that break the rules, and random bytes.

use proptest::{collection::vec, prelude::*};

use super::{
    super::frame::{DecodeError, MAX_MESSAGE_BYTES},
    *,
};

#[test]
fn a_message_is_refused_before_room_is_made_for_it() {
    let nested = |depth: usize| [vec![0x91; depth], vec![0xc0]].concat();
    let many = |count: u32| [&[0xdd][..], &count.to_be_bytes(), &vec![0xc0; count as usize]].concat();
    for (payload, wanted) in [
        (vec![], DecodeError::CutOff),
        (vec![0xc1], DecodeError::Unknown),
        (vec![0xc0, 0xc0], DecodeError::Leftover),
        (vec![0xa5, b'x'], DecodeError::CutOff),
        // A promise of four thousand million values, and of as many bytes.
        (vec![0xdd, 255, 255, 255, 255, 0xc0], DecodeError::CutOff),
        (vec![0xdf, 255, 255, 255, 255, 0xc0], DecodeError::CutOff),
        (vec![0xc6, 255, 255, 255, 255, 0xc0], DecodeError::CutOff),
        (vec![0xc9, 255, 255, 255, 255, 0xc0], DecodeError::CutOff),
        (nested(17), DecodeError::TooDeep),
        (many(655_360), DecodeError::TooMany),
        (vec![0xc0; MAX_MESSAGE_BYTES + 1], DecodeError::TooLong { bytes: MAX_MESSAGE_BYTES + 1 }),
    ] {
        assert_eq!(frame::decode(&payload), Err(wanted), "{} bytes", payload.len());
    }
    assert!(frame::decode(&nested(16)).is_ok());
    assert!(frame::decode(&many(655_359)).is_ok());
}

#[test]
fn what_is_no_message_is_not_heard_or_ends_the_connection() {
    let mut pair = Pair::attached(&["b1"]);
    pair.events();
    for message in [
        map([]),
        map([("op", "update".into())]),
        map([("seq_number", 1.into())]),
        map([("op", 3.into()), ("seq_number", 1.into())]),
        map([("op", "update".into()), ("seq_number", (-1).into())]),
        map([("op", "response".into()), ("seq_number", 99_999.into())]),
        map([("op", "response".into()), ("seq_number", 99_999.into()), ("is_exception", true.into())]),
    ] {
        pair.say(&message);
    }
    assert_eq!(pair.events(), []);
    assert!(pair.asked_nothing() && pair.answers.is_empty());
    let error = pair.master.handle_message(&written(&list([]))).expect_err("it is no map");
    assert!(matches!(error, MsgpackError::Malformed(_)), "{error}");
}

#[test]
fn a_request_that_makes_no_sense_is_answered_with_an_exception() {
    let mut pair = Pair::attached(&["b1"]);
    let answer = pair.call("frobnicate", "1", vec![]).unwrap();
    assert!(is_exception(&answer));
    assert_eq!(answer["result"], "Command frobnicate does not exist.".into());
    pair.say(&map([("op", "update".into()), ("seq_number", 77.into())]));
    assert!(is_exception(&pair.answer_of(77).unwrap()));
    let long = "x".repeat(1 << 20);
    assert!(written(&pair.call(&long, "1", vec![]).unwrap()).len() < 1000);
    assert!(is_exception(&pair.call("complete", &long, vec![]).unwrap()));
}

#[test]
fn a_worker_that_does_not_wait_for_answers_is_cut_off() {
    let mut pair = Pair::attached(&["b1"]);
    pair.order(start("1", "b1"));
    let block = map([
        ("op", "update_upload_file_write".into()),
        ("seq_number", 1.into()),
        ("command_id", "1".into()),
        ("args", Value::Binary(vec![0; 10])),
    ]);
    let blocks = (0..100).take_while(|_| pair.master.handle_message(&written(&block)).is_ok()).count();
    assert_eq!(blocks, 16);
}

#[test]
fn a_worker_that_answers_nothing_is_cut_off() {
    let mut pair = Pair::attached(&["b1"]);
    let orders =
        (0..10_000).take_while(|number| pair.master.handle_order(ToWorker::Ping(*number)).is_ok()).count();
    assert!((4000..5000).contains(&orders), "{orders}");
}

/// All that a worker says in an attach and some commands.
fn honest_worker() -> Vec<Vec<u8>> {
    let answer = |seq: u64, result| {
        written(&map([("op", "response".into()), ("seq_number", seq.into()), ("result", result)]))
    };
    let news = |id: &str, key: &str, value: Value| {
        written(&map([
            ("op", "update".into()),
            ("args", list([list([key.into(), value])])),
            ("command_id", id.into()),
            ("seq_number", 1.into()),
        ]))
    };
    let complete = |id: &str| {
        written(&map([
            ("op", "complete".into()),
            ("args", Value::Nil),
            ("command_id", id.into()),
            ("seq_number", 2.into()),
        ]))
    };
    vec![
        answer(0, Value::Nil),
        answer(1, info()),
        answer(2, Value::Nil),
        news("link-0", "rc", 0.into()),
        complete("link-0"),
        news("1", "stdout", list(["a\nb\n".into(), list([1.into(), 3.into()]), list([0.5.into()])])),
        news("1", "log", list(["l".into(), list(["x\n".into(), list([1.into()]), list([0.5.into()])])])),
        recorded("upload_write"),
        recorded("update_stat"),
        complete("1"),
    ]
}

/// Gives a master these payloads, whatever comes of it.
fn endure(payloads: &[Vec<u8>]) {
    let mut master = MasterSession::new("link");
    let (mut events, mut said, mut heard) = (0, 0, 0);
    master.handle_order(set_builders(&["b1"])).unwrap();
    master.handle_order(start("1", "b1")).unwrap();
    for payload in payloads {
        heard += payload.len();
        if master.handle_message(payload).is_err() {
            break;
        }
        while master.poll_event().is_some() {
            events += 1;
        }
        while let Some(payload) = master.poll_output() {
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
        let mut payloads = honest_worker();
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

    #[test]
    fn random_requests_to_open_a_connection_are_endured(
        damages in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        end in any::<prop::sample::Index>(),
    ) {
        let mut request = recorded("request");
        for (place, byte) in damages {
            let place = place.index(request.len());
            request[place] = byte;
        }
        request.truncate(end.index(request.len() + 1));
        drop(handshake::read(&request));
    }
}
