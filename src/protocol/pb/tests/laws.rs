//! Laws under random input.

use proptest::{collection::vec, prelude::*};

use super::{
    super::{encoder::Encoder, jelly},
    *,
};

fn any_bytes() -> impl Strategy<Value = Bytes> {
    // A payload may equal a word of the vocabulary.
    prop_oneof![
        vec(any::<u8>(), 0..40).prop_map(Bytes::from),
        Just(Bytes::from_static(b"None")),
        Just(Bytes::from_static(b"list"))
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::None),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<i32>().prop_map(|number| Value::Int(number.into())),
        (-1e300_f64..1e300).prop_map(Value::Float),
        any_bytes().prop_map(Value::Bytes),
        any::<String>().prop_map(Value::text),
        any::<i64>().prop_map(Value::Remote),
        any::<i64>().prop_map(Value::Local),
        Just(Value::Opaque),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::List),
            vec(inner.clone(), 0..6).prop_map(Value::Tuple),
            vec((inner.clone(), inner.clone()), 0..4).prop_map(Value::Dict),
            vec((inner.clone(), inner), 0..4).prop_map(Value::Failure),
        ]
    })
}

/// All that a worker says in an attach and one command.
fn honest_worker() -> Vec<u8> {
    let mut pair = Pair::new("pass1");
    let mut said = Vec::new();
    for round in 0..20 {
        let to_worker = pair.master.poll_output().unwrap_or_default();
        pair.worker.handle_input(&to_worker).unwrap();
        while let Some(event) = pair.worker.poll_event() {
            if let WorkerEvent::Started(mut command) = event {
                pair.update(command.object, Value::dict([("stdout", Value::text("line\n"))]));
                pair.worker.accept(&mut command);
                pair.worker.complete(command.object, None);
            }
        }
        let to_master = pair.worker.poll_output().unwrap_or_default();
        said.extend_from_slice(&to_master);
        pair.master.handle_input(&to_master).unwrap();
        pair.take_events();
        match round {
            4 => pair.master.handle_order(set_builders(&["b1"])),
            8 => pair.master.handle_order(start("1", "b1")),
            _ => {}
        }
    }
    assert!(pair.news().contains(&complete("1", None)));
    said
}

/// Gives a master these bytes in these cuts, whatever comes of it.
fn endure(bytes: &[u8], cut: usize) {
    let mut master = MasterSession::new(CHALLENGE);
    let (mut events, mut said) = (0, 0);
    for piece in bytes.chunks(cut) {
        if master.handle_input(piece).is_err() {
            break;
        }
        while let Some(event) = master.poll_event() {
            events += 1;
            match event {
                // Whoever it is, so that the rest is heard, too.
                SessionEvent::Login(_) => {
                    master.accept_login();
                    master.handle_order(set_builders(&["b1"]));
                    master.handle_order(start("1", "b1"));
                }
                SessionEvent::Attached | SessionEvent::Message(_) => {}
            }
        }
        said += master.poll_output().map_or(0, |bytes| bytes.len());
    }
    assert!(events <= bytes.len() && said <= 2000 + bytes.len() * 100, "{events} events, {said} bytes said");
}

proptest! {
    #[test]
    fn a_value_comes_back_as_it_was_written(value in any_value(), with_words: bool, cut in 1_usize..50) {
        let mut encoder = Encoder::default();
        let mut decoder = Decoder::new(Limits::FRIEND);
        if with_words {
            encoder.use_words();
            decoder.use_words();
        }
        encoder.write(|to| jelly::encode(&value, to)).unwrap();
        let bytes = encoder.take().unwrap();
        let mut read = None;
        for piece in bytes.chunks(cut) {
            prop_assert!(read.is_none());
            decoder.extend(piece).unwrap();
            read = decoder.expression().unwrap();
        }
        prop_assert_eq!(jelly::decode(read.unwrap()), value);
    }

    #[test]
    fn random_bytes_are_endured(bytes in vec(any::<u8>(), 0..400), cut in 1_usize..100) {
        endure(&bytes, cut);
        endure(&[b"\x02\x82pb", bytes.as_slice()].concat(), cut);
    }

    #[test]
    fn damaged_exchanges_are_endured(
        damages in vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..6),
        cut in 1_usize..200,
    ) {
        let mut bytes = honest_worker();
        for (place, byte, kind) in damages {
            let place = place.index(bytes.len());
            match kind {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                2 => drop(bytes.remove(place)),
                _ => bytes.rotate_left(place),
            }
        }
        endure(&bytes, cut);
    }

    #[test]
    fn an_exchange_goes_the_same_way_however_it_is_cut(cut in 1_usize..60) {
        let mut pair = Pair::new("pass1");
        pair.cut = cut;
        pair.exchange();
        pair.order(set_builders(&["b1", "b2"]));
        pair.start("1", "b2");
        let mut command = pair.started();
        pair.worker.accept(&mut command);
        for (key, value) in [
            ("header", Value::text("echo\n")),
            ("stdout", Value::text("string\n".repeat(50))),
            ("rc", Value::Int(3)),
            ("elapsed", Value::Float(0.25)),
        ] {
            pair.update(command.object, Value::dict([(key, value)]));
        }
        pair.worker.complete(command.object, None);
        pair.exchange();
        let news = pair.news();
        prop_assert_eq!(news.len(), 6, "{:?}", news);
        prop_assert!(matches!(news[0], FromWorker::Hello(_)));
        let Some(FromWorker::Update { update: Update::Output { bytes, .. }, .. }) = news.get(2) else {
            return Err(TestCaseError::fail(format!("{news:?}")));
        };
        prop_assert_eq!(bytes, &"string\n".repeat(50));
        prop_assert_eq!(&news[5], &complete("1", None));
    }

    /// A decoder holds what its limits say, however much is promised and however slowly it comes.
    #[test]
    fn promises_are_not_made_room_for(lengths in vec(0_u32..655_361, 1..60)) {
        let mut decoder = Decoder::new(Limits::FRIEND);
        for length in lengths {
            let digits = [length & 0x7f, length >> 7 & 0x7f, length >> 14 & 0x7f];
            let head: Vec<u8> = digits.iter().map(|digit| u8::try_from(*digit).unwrap()).chain([0x80]).collect();
            decoder.extend(&head).unwrap();
            if decoder.expression().is_err() {
                break;
            }
            prop_assert!(decoder.held_bytes() < 64 * 1024, "{}", decoder.held_bytes());
        }
    }
}
