//! Bytes on their way, and what becomes of a command when the master does not take or give them.

use proptest::prelude::*;

use super::*;
use crate::protocol::pb::jelly::pairs;

fn upload() -> WorkerCommand {
    WorkerCommand::sample_upload("a", 16384)
}

fn upload_directory() -> WorkerCommand {
    WorkerCommand::sample_upload_directory("a", 16384)
}

fn download() -> WorkerCommand {
    WorkerCommand::sample_download("a", 16384)
}

fn write(bytes: &'static [u8]) -> Transfer {
    Transfer::Write(Bytes::from_static(bytes))
}

fn data(bytes: &'static [u8]) -> TransferReply {
    TransferReply::Data(Bytes::from_static(bytes))
}

fn told(transfer: Transfer) -> FromWorker {
    FromWorker::Transfer { id: CommandId::new("1"), transfer }
}

fn replied(id: &CommandId, reply: TransferReply) -> BotEvent {
    BotEvent::Order(ToWorker::Reply { id: id.clone(), reply })
}

fn reply(reply: TransferReply) -> ToWorker {
    ToWorker::Reply { id: CommandId::new("1"), reply }
}

fn end(failure: Option<&str>) -> FromWorker {
    FromWorker::Complete { id: CommandId::new("1"), failure: failure.map(str::to_owned) }
}

const TIMES: Transfer = Transfer::Times { accessed_at: 1.5, modified_at: 2.25 };

#[test]
fn an_upload_goes_block_by_block_as_the_master_takes_them() {
    let mut pair = Pair::attached(&["b1"]);
    let id = pair.begin("1", "b1", upload());
    for block in [&b"one"[..], b"None", b"\xff\x00"] {
        pair.transfer(&id, write(block));
        assert_eq!((&pair.news[..], &pair.heard[..]), (&[told(write(block))][..], &[][..]));
        pair.news.clear();
        pair.order(reply(TransferReply::Taken));
        assert_eq!(pair.heard, [replied(&id, TransferReply::Taken)]);
        pair.heard.clear();
    }
    pair.transfer(&id, Transfer::Close);
    pair.transfer(&id, TIMES);
    pair.update(&id, Update::Rc(0));
    pair.complete(&id, None);
    let rc = FromWorker::Update { id: CommandId::new("1"), update: Update::Rc(0) };
    assert_eq!(pair.news, [told(Transfer::Close), told(TIMES), rc, end(None)]);
    assert_eq!(pair.master.held().1, 1, "the avatar, and nothing of a transfer that is over");
}

#[test]
fn a_folder_is_unpacked_and_a_download_is_read_to_its_end() {
    let mut pair = Pair::attached(&["b1"]);
    let id = pair.begin("1", "b1", upload_directory());
    pair.transfer(&id, write(b"tar"));
    pair.order(reply(TransferReply::Taken));
    pair.transfer(&id, Transfer::Unpack);
    pair.complete(&id, None);
    assert_eq!(pair.news, [told(write(b"tar")), told(Transfer::Unpack), end(None)]);
    (pair.news, pair.heard) = (Vec::new(), Vec::new());
    let id = pair.begin("1", "b1", download());
    for block in [&b"first"[..], b"None", b""] {
        pair.transfer(&id, Transfer::Read { most: 5 });
        assert_eq!(pair.news, [told(Transfer::Read { most: 5 })]);
        pair.order(reply(data(block)));
        assert_eq!(pair.heard, [replied(&id, data(block))]);
        (pair.news, pair.heard) = (Vec::new(), Vec::new());
    }
    pair.transfer(&id, Transfer::Close);
    pair.complete(&id, None);
    assert_eq!(pair.news, [told(Transfer::Close), end(None)]);
}

proptest! {
    #[test]
    fn the_bytes_of_a_file_are_the_same_at_the_other_end(bytes: Vec<u8>, block in 1_usize..64) {
        let mut pair = Pair::attached(&["b1"]);
        let id = pair.begin("1", "b1", upload());
        let mut heard = Vec::new();
        for block in bytes.chunks(block) {
            pair.transfer(&id, Transfer::Write(Bytes::copy_from_slice(block)));
            let Some(FromWorker::Transfer { transfer: Transfer::Write(block), .. }) = pair.news.pop() else {
                return Err(TestCaseError::fail("it was not told"));
            };
            heard.extend_from_slice(&block);
            pair.order(reply(TransferReply::Taken));
        }
        prop_assert_eq!(heard, bytes);
    }
}

/// A transfer that a plain master began: its name, its object, and that of its bytes.
fn begun(name: &str) -> (PlainMaster, CommandId, i64, i64) {
    let mut master = PlainMaster::attached(&["b1"]);
    let bytes = master.publish();
    let arguments = pairs([
        ("workdir", Value::text("build")),
        ("workersrc", Value::text("a")),
        ("workerdest", Value::text("a")),
        (if name == "downloadFile" { "reader" } else { "writer" }, Value::Remote(bytes)),
        ("maxsize", Value::None),
        ("blocksize", Value::Int(4)),
        ("compress", Value::None),
        ("mode", Value::None),
    ]);
    let (id, object) = master.begin("b1", "1", name, Value::Dict(arguments));
    (master, id, object, bytes)
}

fn interrupts(heard: &[BotEvent]) -> usize {
    heard.iter().filter(|event| matches!(event, BotEvent::Order(ToWorker::Interrupt { .. }))).count()
}

/// The end that is told, as the text of its failure.
fn failure_of(master: &mut PlainMaster) -> Option<String> {
    let end = master.answer(&Value::None);
    assert_eq!(end.method, "complete");
    match &end.args[0] {
        Value::None => None,
        failure => Some(Failure::read(failure).to_string()),
    }
}

#[test]
fn calls_are_made_one_after_the_other_and_the_end_waits_for_the_last_answer() {
    let (mut master, id, object, bytes) = begun("uploadFile");
    master.transfer(&id, write(b"one"));
    // So says one that was interrupted.
    master.transfer(&id, Transfer::Close);
    master.transfer(&id, TIMES);
    master.update(&id, Update::Rc(1));
    master.complete(&id, None);
    for (method, args) in [
        ("write", vec![Value::Bytes("one".into())]),
        ("close", vec![]),
        ("utime", vec![Value::Tuple(vec![Value::Float(1.5), Value::Float(2.25)])]),
    ] {
        assert_eq!(master.methods(), [method]);
        let call = master.answer(&Value::None);
        assert_eq!((call.object, call.args), (bytes, args));
    }
    assert_eq!(master.methods(), ["update", "complete"]);
    assert_eq!(master.calls[1].0.object, object);
    assert_eq!(master.held(), 1, "the object of its bytes was given back");
    master.take_updates();
    assert_eq!(failure_of(&mut master), None);
    assert_eq!(master.held(), 0);
}

#[test]
fn output_keeps_its_place_among_the_calls_of_a_transfer() {
    let (mut master, id, ..) = begun("uploadFile");
    master.update(&id, output(LogStream::Header, b"sending a\n"));
    master.transfer(&id, write(b"one"));
    assert_eq!(master.methods(), ["update", "write"]);
    master.update(&id, output(LogStream::Stderr, b"oops\n"));
    master.complete(&id, None);
    assert_eq!(master.methods(), ["update", "write"]);
    assert!(master.bot.output_len() > 0, "what waits counts");
    master.take_updates();
    master.answer(&Value::None);
    assert_eq!(master.take_updates(), [("stderr".to_owned(), Value::text("oops\n"))]);
    assert_eq!(failure_of(&mut master), None);
}

#[test]
fn a_block_that_is_not_taken_ends_its_command_by_an_interrupt_and_a_failure() {
    for (name, last, method) in
        [("uploadFile", Transfer::Close, "close"), ("uploadDirectory", Transfer::Unpack, "unpack")]
    {
        let (mut master, id, ..) = begun(name);
        master.transfer(&id, write(b"one"));
        master.refuse("builtins.OSError", "No space left on device");
        let [BotEvent::Order(ToWorker::Interrupt { id: named, why })] = &master.heard[..] else {
            panic!("{:?}", master.heard)
        };
        assert_eq!((named, why.as_str()), (&id, "its bytes could not be moved"));
        master.transfer(&id, last);
        assert_eq!(master.methods(), [method]);
        master.answer(&Value::None);
        master.update(&id, Update::Rc(1));
        master.complete(&id, None);
        assert_eq!(master.take_updates(), [("rc".to_owned(), Value::Int(1))]);
        let failure = failure_of(&mut master).unwrap();
        assert_eq!(failure, "twisted.spread.pb.RemoteError: builtins.OSError: No space left on device");
        assert_eq!(master.held(), 0);
    }
}

#[test]
fn bytes_that_are_not_given_or_are_none_end_their_command_too() {
    for answer in [None, Some(Value::Int(1)), Some(Value::Bytes("12345".into()))] {
        let (mut master, id, ..) = begun("downloadFile");
        master.transfer(&id, Transfer::Read { most: 4 });
        match answer {
            None => drop(master.refuse("builtins.OSError", "gone")),
            Some(answer) => drop(master.answer(&answer)),
        }
        assert_eq!((interrupts(&master.heard), master.heard.len()), (1, 1));
        master.transfer(&id, Transfer::Close);
        master.answer(&Value::None);
        master.complete(&id, None);
        let failure = failure_of(&mut master).unwrap();
        assert!(["gone", "bytes", "5 bytes where 4"].iter().any(|why| failure.contains(why)), "{failure}");
        assert_eq!(master.held(), 0);
    }
}

#[test]
fn masters_of_python_2_give_text_for_bytes() {
    let (mut master, id, ..) = begun("downloadFile");
    master.transfer(&id, Transfer::Read { most: 4 });
    master.answer(&Value::text("text"));
    assert_eq!(master.heard, [replied(&id, data(b"text"))]);
}

#[test]
fn what_fails_after_the_blocks_makes_the_end_a_failure_and_interrupts_nothing() {
    for (name, last) in [
        ("uploadFile", Transfer::Close),
        ("uploadDirectory", Transfer::Unpack),
        ("downloadFile", Transfer::Close),
    ] {
        let (mut master, id, ..) = begun(name);
        master.transfer(&id, last);
        // Of a file that is not there, no times are told.
        master.transfer(&id, TIMES);
        master.update(&id, Update::Rc(0));
        master.complete(&id, Some("later"));
        master.refuse("tarfile.ReadError", "not a tar");
        assert_eq!(master.heard, []);
        assert_eq!(master.take_updates(), [("rc".to_owned(), Value::Int(0))]);
        let failure = failure_of(&mut master).unwrap();
        assert_eq!(failure, "twisted.spread.pb.RemoteError: tarfile.ReadError: not a tar");
    }
    let (mut master, id, ..) = begun("uploadFile");
    master.transfer(&id, Transfer::Close);
    master.transfer(&id, TIMES);
    master.complete(&id, None);
    master.answer(&Value::None);
    master.refuse("builtins.OSError", "read-only");
    assert!(failure_of(&mut master).unwrap().contains("read-only"));
}

#[test]
fn an_interrupt_of_the_master_is_followed_by_the_close_and_the_end() {
    let mut pair = Pair::attached(&["b1"]);
    let id = pair.begin("1", "b1", upload_directory());
    pair.transfer(&id, write(b"one"));
    pair.order(ToWorker::Interrupt { id: CommandId::new("1"), why: "enough".into() });
    assert_eq!(interrupts(&pair.heard), 1);
    // The master answers a block with its interrupt; nobody waits for that.
    pair.transfer(&id, Transfer::Unpack);
    pair.update(&id, Update::Rc(1));
    pair.complete(&id, None);
    let rc = FromWorker::Update { id: CommandId::new("1"), update: Update::Rc(1) };
    assert_eq!(pair.news, [told(write(b"one")), told(Transfer::Unpack), rc, end(None)]);
}

#[test]
fn a_command_that_has_no_bytes_to_move_makes_no_call_and_a_block_that_is_too_long_ends_one() {
    let mut master = PlainMaster::attached(&["b1"]);
    let (id, _) = master.begin_shell("b1", "1");
    master.transfer(&id, Transfer::Close);
    assert_eq!(master.methods(), [""; 0]);
    let (mut master, id, ..) = begun("uploadFile");
    master.transfer(&id, Transfer::Write(vec![0; 655_361].into()));
    assert_eq!((master.methods().len(), interrupts(&master.heard)), (0, 1));
    master.complete(&id, None);
    assert!(failure_of(&mut master).unwrap().contains("655360"));
}

#[test]
fn transfers_of_several_builders_are_answered_each_on_its_own() {
    let mut pair = Pair::attached(&["b1", "b2"]);
    let one = pair.begin("1", "b1", upload());
    let two = pair.begin("2", "b2", download());
    pair.transfer(&one, write(b"one"));
    pair.transfer(&two, Transfer::Read { most: 4 });
    pair.order(ToWorker::Reply { id: CommandId::new("2"), reply: data(b"data") });
    assert_eq!(pair.heard, [replied(&two, data(b"data"))]);
    pair.order(reply(TransferReply::Taken));
    assert_eq!(pair.heard[1..], [replied(&one, TransferReply::Taken)]);
}
