//! Bytes on their way: block by block, and what becomes of them when one end gives up.

use super::{super::failure::Failure, *};
use crate::protocol::{Transfer, TransferReply, command::UploadFile};

fn upload() -> WorkerCommand {
    WorkerCommand::sample_upload("a", 16384)
}

fn upload_directory() -> WorkerCommand {
    WorkerCommand::sample_upload_directory("a", 16384)
}

fn download() -> WorkerCommand {
    WorkerCommand::sample_download("a", 16384)
}

fn transfer(transfer: Transfer) -> FromWorker {
    FromWorker::Transfer { id: CommandId::new("1"), transfer }
}

fn write(bytes: &'static [u8]) -> FromWorker {
    transfer(Transfer::Write(Bytes::from_static(bytes)))
}

fn reply(reply: TransferReply) -> ToWorker {
    ToWorker::Reply { id: CommandId::new("1"), reply }
}

fn interrupt() -> ToWorker {
    ToWorker::Interrupt { id: CommandId::new("1"), why: "enough".into() }
}

/// A worker that has begun this command, the number of its object, and that of its bytes.
fn begun(command: WorkerCommand) -> (Pair, i64, i64) {
    let mut pair = Pair::attached(&["b1"]);
    let started = pair.begin(command);
    let bytes = started.transfer().expect("it moves bytes");
    (pair, started.object, bytes)
}

impl Pair {
    /// What the worker saw since the last look.
    fn seen(&mut self) -> Vec<WorkerEvent> {
        self.exchange();
        std::mem::take(&mut self.seen)
    }

    fn write(&mut self, object: i64, block: &'static [u8]) -> Vec<WorkerEvent> {
        self.worker.write(object, Bytes::from_static(block)).unwrap();
        self.seen()
    }

    fn read(&mut self, object: i64, most: u32) -> Vec<WorkerEvent> {
        self.worker.read(object, most);
        self.seen()
    }
}

#[test]
fn an_upload_goes_block_by_block_as_the_master_takes_them() {
    let (mut pair, command, file) = begun(upload());
    assert_eq!(pair.write(file, b"one"), [], "the answer waits until the block is taken");
    assert_eq!(pair.news(), [write(b"one")]);
    pair.order(reply(TransferReply::Taken));
    assert_eq!(pair.seen(), [WorkerEvent::Written { object: file }]);
    assert_eq!(pair.write(file, b"two"), []);
    pair.order(reply(TransferReply::Taken));
    pair.worker.close(file);
    pair.worker.utime(file, 1.5, 2.25);
    pair.worker.complete(command, None);
    let settled = || WorkerEvent::Settled { object: file };
    assert_eq!(pair.seen(), [WorkerEvent::Written { object: file }, settled(), settled()]);
    let times = Transfer::Times { accessed_at: 1.5, modified_at: 2.25 };
    assert_eq!(pair.news(), [write(b"two"), transfer(Transfer::Close), transfer(times), complete("1", None)]);
}

#[test]
fn a_folder_goes_as_blocks_and_is_unpacked_at_their_end() {
    let (mut pair, command, stream) = begun(upload_directory());
    pair.write(stream, b"tar");
    pair.order(reply(TransferReply::Taken));
    pair.worker.unpack(stream);
    pair.worker.complete(command, None);
    assert_eq!(
        pair.seen(),
        [WorkerEvent::Written { object: stream }, WorkerEvent::Settled { object: stream }]
    );
    assert_eq!(pair.news(), [write(b"tar"), transfer(Transfer::Unpack), complete("1", None)]);
}

#[test]
fn a_download_is_given_until_there_is_nothing_more() {
    let (mut pair, command, file) = begun(download());
    // The second one equals a word of the vocabulary.
    for block in [&b"first"[..], b"None", b""] {
        assert_eq!(pair.read(file, 16384), []);
        assert_eq!(pair.news(), [transfer(Transfer::Read { most: 16384 })]);
        pair.order(reply(TransferReply::Data(Bytes::from_static(block))));
        assert_eq!(pair.seen(), [WorkerEvent::Data { object: file, bytes: Bytes::from_static(block) }]);
    }
    pair.worker.close(file);
    pair.worker.complete(command, None);
    assert_eq!(pair.seen(), [WorkerEvent::Settled { object: file }]);
    assert_eq!(pair.news(), [transfer(Transfer::Close), complete("1", None)]);
}

#[test]
fn blocks_are_the_bytes_that_were_sent_also_where_they_are_words_or_text_or_as_long_as_may_be() {
    let (mut pair, _, file) = begun(upload());
    let longest: &'static [u8] = vec![0x87; 655_360].leak();
    for block in [&b"None"[..], b"message", b"\xff\x00\x80", b"", longest] {
        pair.write(file, block);
        assert_eq!(pair.news(), [write(block)]);
        pair.order(reply(TransferReply::Taken));
        assert_eq!(pair.seen(), [WorkerEvent::Written { object: file }]);
    }
    let call =
        [recorded_call(file, "write"), b"\x02\x80\x0b\x87\x02\x80\x07\x82unicode\x03\x82\xc3\xa4x".to_vec()];
    pair.master.handle_input(&[call.concat(), b"\x01\x80\x05\x87".to_vec()].concat()).unwrap();
    assert_eq!(pair.news(), [write("äx".as_bytes())], "old workers send text");
}

/// A call of an object that wants no answer, up to its arguments.
fn recorded_call(object: i64, method: &'static str) -> Vec<u8> {
    let object = u8::try_from(object).unwrap();
    let length = u8::try_from(method.len()).unwrap();
    [&[0x07, 0x80, 0x1a, 0x87, 0x7f, 0x81, object, 0x81, length, 0x82][..], method.as_bytes(), &[0x00, 0x81]]
        .concat()
}

#[test]
fn a_longest_block_is_given_whole() {
    let (mut pair, _, file) = begun(download());
    pair.read(file, 655_360);
    let block = Bytes::from(vec![7; 655_360]);
    pair.order(reply(TransferReply::Data(block.clone())));
    assert_eq!(pair.seen(), [WorkerEvent::Data { object: file, bytes: block }]);
}

#[test]
fn more_than_was_asked_for_is_not_sent_and_fails_the_command() {
    let (mut pair, command, file) = begun(download());
    pair.read(file, 4);
    pair.order(reply(TransferReply::Data(Bytes::from_static(b"12345"))));
    assert_eq!(pair.seen(), [WorkerEvent::Data { object: file, bytes: Bytes::new() }]);
    pair.worker.complete(command, None);
    pair.exchange();
    let news = pair.news();
    let Some(FromWorker::Complete { failure: Some(failure), .. }) = news.last() else { panic!("{news:?}") };
    assert!(failure.contains("5 bytes"), "{failure}");
}

#[test]
fn a_read_asks_for_a_block_at_most() {
    let (mut pair, _, file) = begun(download());
    pair.read(file, u32::MAX);
    assert_eq!(pair.news(), [transfer(Transfer::Read { most: 655_360 })]);
}

#[test]
fn with_an_interrupt_the_worker_is_answered_although_nobody_takes_the_block() {
    for (command, done) in [(upload(), Transfer::Close), (upload_directory(), Transfer::Unpack)] {
        let (mut pair, command, file) = begun(command);
        pair.write(file, b"one");
        pair.news();
        pair.order(interrupt());
        let seen = pair.seen();
        let [WorkerEvent::Interrupted { .. }, WorkerEvent::Written { .. }] = &seen[..] else {
            panic!("{seen:?}")
        };
        // The master's answer was on its way.
        pair.order(reply(TransferReply::Taken));
        assert_eq!(pair.seen(), [], "nothing is answered twice");
        assert_eq!(pair.write(file, b"two"), [WorkerEvent::Written { object: file }]);
        assert_eq!(pair.news(), [], "what comes after an interrupt is told to nobody");
        if done == Transfer::Close {
            pair.worker.close(file);
        } else {
            pair.worker.unpack(file);
        }
        pair.worker.complete(command, None);
        assert_eq!(pair.seen(), [WorkerEvent::Settled { object: file }]);
        assert_eq!(pair.news(), [transfer(done), complete("1", None)]);
    }
    let (mut pair, _, file) = begun(download());
    pair.read(file, 4);
    pair.order(interrupt());
    let nothing = || WorkerEvent::Data { object: file, bytes: Bytes::new() };
    assert_eq!(pair.seen().last(), Some(&nothing()));
    assert_eq!(pair.read(file, 4), [nothing()]);
}

#[test]
fn what_waits_when_its_command_ends_is_answered() {
    let failure = Failure::new("builtins.OSError", "disk");
    for (command, answer) in [(upload(), true), (upload_directory(), true), (download(), false)] {
        let (mut pair, command, file) = begun(command);
        if answer {
            pair.write(file, b"one")
        } else {
            pair.read(file, 4)
        };
        pair.worker.complete(command, Some(&failure));
        let wanted = if answer {
            WorkerEvent::Written { object: file }
        } else {
            WorkerEvent::Data { object: file, bytes: Bytes::new() }
        };
        assert_eq!(pair.seen(), [wanted]);
        pair.news();
        pair.order(reply(TransferReply::Taken));
        assert_eq!((pair.seen(), pair.news()), (vec![], vec![]));
    }
}

/// A worker that gets an error here never tells the end of its command.
#[test]
fn no_call_of_an_object_of_bytes_is_answered_by_a_failure_before_or_after_the_end() {
    for begin in [upload, upload_directory, download] {
        let (mut pair, command, file) = begun(begin());
        for is_over in [false, true] {
            if is_over {
                pair.worker.complete(command, None);
                pair.seen();
                pair.news();
            }
            pair.worker.write(file, Bytes::from_static(b"x")).unwrap();
            pair.exchange();
            pair.order(reply(TransferReply::Taken));
            pair.worker.read(file, 4);
            pair.exchange();
            pair.order(reply(TransferReply::Data(Bytes::new())));
            pair.worker.close(file);
            pair.worker.unpack(file);
            pair.worker.utime(file, f64::NAN, f64::INFINITY);
            pair.worker.utime(file, 1.0, 2.0);
            let seen = pair.seen();
            assert_eq!(seen.len(), 6, "{seen:?}");
            assert!(!seen.iter().any(|event| matches!(event, WorkerEvent::Failed { .. })), "{seen:?}");
            let told = pair.news();
            assert!(!is_over || told.is_empty(), "nothing follows the end: {told:?}");
        }
    }
}

#[test]
fn a_direction_that_the_command_does_not_have_is_told_to_nobody() {
    let (mut pair, _, file) = begun(download());
    pair.write(file, b"x");
    pair.worker.unpack(file);
    pair.worker.utime(file, 1.0, 2.0);
    pair.exchange();
    assert_eq!(pair.news(), []);
    let (mut pair, _, file) = begun(upload_directory());
    pair.read(file, 4);
    pair.worker.close(file);
    pair.exchange();
    assert_eq!(pair.news(), []);
}

#[test]
fn a_block_that_is_no_bytes_fails_the_command_and_is_answered() {
    let (mut pair, command, file) = begun(upload());
    let call = recorded_call(file, "write");
    pair.master.handle_input(&[&call[..], b"\x02\x80\x0b\x87\x07\x81\x01\x80\x05\x87"].concat()).unwrap();
    assert_eq!(pair.news(), []);
    pair.worker.complete(command, None);
    pair.exchange();
    assert_eq!(pair.news(), [complete("1", Some("the worker sent a block that is no bytes"))]);
}

#[test]
fn a_second_block_before_the_answer_to_the_first_ends_the_connection() {
    let (mut pair, _, file) = begun(upload());
    pair.write(file, b"one");
    pair.worker.write(file, Bytes::from_static(b"two")).unwrap();
    assert!(matches!(pair.try_exchange(), Err(PbError::OutOfTurn(_))));
    let (mut pair, _, file) = begun(download());
    pair.read(file, 1);
    pair.worker.read(file, 1);
    assert!(matches!(pair.try_exchange(), Err(PbError::OutOfTurn(_))));
}

#[test]
fn a_refused_start_of_a_transfer_is_its_end_and_the_next_one_begins() {
    let mut pair = Pair::attached(&["b1"]);
    pair.order(ToWorker::Start { id: CommandId::new("1"), builder: "b1".into(), command: upload() });
    let started = pair.started();
    let file = started.transfer().unwrap();
    pair.worker.refuse(started, &Failure::new("builtins.KeyError", "'writer'"));
    pair.exchange();
    assert_eq!(pair.news(), [complete("1", Some("builtins.KeyError: 'writer'"))]);
    let next = pair.begin(upload()).transfer().unwrap();
    assert!(next > file, "numbers are never used twice");
}

/// A worker of Twisted gives objects back when its memory is tidied up.
#[test]
fn objects_that_are_given_back_long_after_their_end_and_many_at_once_harm_nothing() {
    let mut pair = Pair::attached(&["b1"]);
    let mut files = Vec::new();
    for _ in 0..30 {
        let started = pair.begin(upload());
        files.extend(started.transfer());
        pair.worker.complete(started.object, None);
        pair.exchange();
    }
    let last = pair.begin(download());
    pair.forget();
    for file in &files {
        pair.worker.give_back(*file);
    }
    pair.exchange();
    assert_eq!(pair.news(), []);
    assert_eq!(pair.read(last.transfer().unwrap(), 1), []);
    assert_eq!(pair.news(), [transfer(Transfer::Read { most: 1 })]);
    // Even the one in use.
    pair.worker.give_back(last.transfer().unwrap());
    pair.worker.complete(last.object, None);
    pair.exchange();
    assert_eq!(pair.news(), [complete("1", None)]);
}

#[test]
fn a_late_call_of_an_earlier_transfer_does_not_reach_the_next_of_its_builder() {
    let (mut pair, command, earlier) = begun(upload());
    pair.worker.complete(command, None);
    pair.exchange();
    let next = pair.begin(upload());
    pair.forget();
    assert_eq!(pair.write(earlier, b"late"), [WorkerEvent::Written { object: earlier }]);
    assert_eq!(pair.news(), []);
    pair.worker.complete(next.object, None);
    pair.exchange();
    let too_long = UploadFile {
        workdir: "build".into(),
        source: "x".repeat(700_000),
        max_size: None,
        block_size: 1,
        keep_stamp: false,
    };
    let command = WorkerCommand::UploadFile(Box::new(too_long));
    pair.order(ToWorker::Start { id: CommandId::new("3"), builder: "b1".into(), command });
    assert_eq!(pair.master.held().1, 1, "the avatar, and no object or call of commands that have ended");
}

#[test]
fn transfers_of_several_builders_are_answered_each_on_its_own() {
    let mut pair = Pair::attached(&["b1", "b2"]);
    let one = pair.begin(upload()).transfer().unwrap();
    pair.order(ToWorker::Start { id: CommandId::new("2"), builder: "b2".into(), command: download() });
    let two = pair.started().transfer().unwrap();
    pair.write(one, b"one");
    pair.read(two, 4);
    let data = TransferReply::Data(Bytes::from_static(b"data"));
    pair.order(ToWorker::Reply { id: CommandId::new("2"), reply: data });
    assert_eq!(pair.seen(), [WorkerEvent::Data { object: two, bytes: Bytes::from_static(b"data") }]);
    pair.order(ToWorker::Reply { id: CommandId::new("3"), reply: TransferReply::Taken });
    assert_eq!(pair.seen(), []);
    pair.order(reply(TransferReply::Taken));
    assert_eq!(pair.seen(), [WorkerEvent::Written { object: one }]);
}
