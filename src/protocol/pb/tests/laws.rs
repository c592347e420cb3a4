//! Laws under random input.

use proptest::{collection::vec, prelude::*};

use super::{
    super::{encoder::Encoder, jelly},
    *,
};
use crate::protocol::{Transfer, TransferReply};

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

/// All that each end says in an attach, a command and a transfer: the master's, then the worker's.
fn honest() -> (Vec<u8>, Vec<u8>) {
    let mut pair = Pair::new("pass1");
    let (mut master, mut worker) = (Vec::new(), Vec::new());
    for round in 0..30 {
        let to_worker = pair.master.poll_output().unwrap_or_default();
        master.extend_from_slice(&to_worker);
        pair.worker.handle_input(&to_worker).unwrap();
        while let Some(event) = pair.worker.poll_event() {
            work(&mut pair.worker, event);
        }
        let to_master = pair.worker.poll_output().unwrap_or_default();
        worker.extend_from_slice(&to_master);
        pair.master.handle_input(&to_master).unwrap();
        while let Some(event) = pair.master.poll_event() {
            lead(&mut pair.master, &event);
            pair.events.push(event);
        }
        if round == 20 {
            pair.master.handle_order(start("2", "b2"));
        }
    }
    let news = pair.news();
    assert!(news.contains(&complete("1", None)) && news.contains(&complete("2", None)), "{news:?}");
    (master, worker)
}

/// A worker that does a little of each thing.
fn work(worker: &mut WorkerSession, event: WorkerEvent) {
    match event {
        WorkerEvent::Started(mut command) => {
            worker
                .update(command.object, vec![(Value::dict([("stdout", Value::text("line\n"))]), 0)])
                .unwrap();
            worker.accept(&mut command);
            match command.transfer() {
                Some(file) => worker.write(file, Bytes::from_static(b"block")).unwrap(),
                None => worker.complete(command.object, None),
            }
        }
        WorkerEvent::Written { object } => {
            worker.close(object);
            // Its command was told of just before it.
            worker.complete(object.wrapping_sub(1), None);
        }
        WorkerEvent::Interrupted { .. } => worker.keepalive(),
        _ => {}
    }
}

/// A master that lets in whoever it is, so that the rest is heard, too, and does a little of each thing.
fn lead(master: &mut MasterSession, event: &SessionEvent) {
    let id = || CommandId::new("1");
    match event {
        SessionEvent::Login(_) => {
            master.accept_login();
            master.handle_order(set_builders(&["b1", "b2"]));
        }
        SessionEvent::Attached => {
            let command = WorkerCommand::sample_upload("a", 128);
            master.handle_order(ToWorker::Start { id: id(), builder: "b1".into(), command });
        }
        SessionEvent::Message(FromWorker::Transfer { transfer: Transfer::Write(_), .. }) => {
            master.handle_order(ToWorker::Reply { id: id(), reply: TransferReply::Taken });
        }
        SessionEvent::Message(FromWorker::Transfer { transfer: Transfer::Read { most }, .. }) => {
            let bytes = Bytes::from(vec![7; (*most as usize).min(100)]);
            master.handle_order(ToWorker::Reply { id: id(), reply: TransferReply::Data(bytes) });
        }
        SessionEvent::Message(_) => {}
    }
}

/// The memory of one string that is on its way, as the decoder may make room for it, and what else is held.
const MOST_HELD_BYTES: usize = 2 * 640 * 1024 + 256 * 1024;
/// Objects and calls of some builders and commands.
const MOST_KNOWN: usize = 64;

fn is_bounded((bytes, known): (usize, usize)) {
    assert!(
        bytes < MOST_HELD_BYTES && known < MOST_KNOWN,
        "{bytes} bytes and {known} objects and calls are held"
    );
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
            lead(&mut master, &event);
        }
        is_bounded(master.held());
        said += master.poll_output().map_or(0, |bytes| bytes.len());
    }
    assert!(events <= bytes.len() && said <= 2000 + bytes.len() * 100, "{events} events, {said} bytes said");
}

/// The same with a worker.
fn endure_as_worker(bytes: &[u8], cut: usize) {
    let mut worker = WorkerSession::new("w1", Secret::new("pass1"), Value::Dict(Vec::new()));
    let mut events = 0;
    for piece in bytes.chunks(cut) {
        if worker.handle_input(piece).is_err() {
            break;
        }
        while let Some(event) = worker.poll_event() {
            events += 1;
            work(&mut worker, event);
        }
        is_bounded(worker.held());
        drop(worker.poll_output());
    }
    assert!(events <= bytes.len(), "{events} events");
}

type Damage = (prop::sample::Index, u8, u8);

fn damages() -> impl Strategy<Value = Vec<Damage>> {
    vec((any::<prop::sample::Index>(), any::<u8>(), 0..6_u8), 1..6)
}

fn damage(bytes: &mut Vec<u8>, damages: Vec<Damage>) {
    for (place, byte, kind) in damages {
        let place = place.index(bytes.len());
        match kind {
            0 => bytes[place] = byte,
            1 => bytes.insert(place, byte),
            2 => drop(bytes.remove(place)),
            3 => bytes.rotate_left(place),
            // A part of it twice, or only the first part.
            4 => bytes.extend_from_within(place..),
            _ => bytes.truncate(place.max(8)),
        }
    }
}

/// What a real worker said, each in one connection.
const RECORDINGS: [&str; 7] = [
    "worker_attach",
    "worker_shell",
    "worker_upload",
    "worker_download",
    "worker_directory_upload",
    "worker_interrupt",
    "worker_interrupt_upload",
];

#[test]
fn what_is_damaged_below_is_sound() {
    let (master, worker) = honest();
    endure(&worker, 1);
    endure_as_worker(&master, 1);
    let begins = b"\x02\x82pb".as_slice();
    assert!(worker.starts_with(begins) && RECORDINGS.iter().all(|name| recorded(name).starts_with(begins)));
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
        endure_as_worker(&bytes, cut);
        endure_as_worker(&[&recorded("dialects"), bytes.as_slice()].concat(), cut);
    }

    #[test]
    fn damaged_exchanges_are_endured_by_both_ends(damages in damages(), cut in 1_usize..200) {
        let (mut master, mut worker) = honest();
        damage(&mut worker, damages.clone());
        endure(&worker, cut);
        damage(&mut master, damages);
        endure_as_worker(&master, cut);
    }

    #[test]
    fn damaged_recordings_are_endured(
        which in 0..RECORDINGS.len(),
        damages in damages(),
        cut in 1_usize..200,
    ) {
        let mut bytes = recorded(RECORDINGS[which]);
        damage(&mut bytes, damages);
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
