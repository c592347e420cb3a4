//! Commands that outlive their connection, against a worker that is made here message by message.

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::protocol::{Transfer, TransferReply, Update};

fn id() -> CommandId {
    CommandId::new("1")
}

fn mark(number: u64) -> FromWorker {
    FromWorker::Mark { id: id(), number }
}

fn adopted(received: u64, reply: Option<TransferReply>) -> Pair {
    let mut pair = Pair::attached(&["b1"]);
    pair.order(ToWorker::Adopt { id: id(), received, reply: reply.map(Box::new) });
    pair.news();
    pair
}

fn rc(number: u64) -> Vec<(&'static str, Value)> {
    vec![("args", list([list(["rc".into(), 0.into()])])), ("number", number.into())]
}

#[test]
fn what_outlives_links_is_said_in_the_words_of_the_wire() {
    let mut pair = Pair::new();
    pair.order(ToWorker::OutliveLinks(Duration::from_millis(1500)));
    assert_eq!(pair.request("resume_settings")["grace"], 1.5.into());
    pair.order(ToWorker::Acknowledge { id: id(), number: u64::MAX });
    let request = pair.request("acknowledge");
    assert_eq!((&request["command_id"], &request["number"]), (&"1".into(), &u64::MAX.into()));
    let replies = [
        (None, Value::Nil),
        (Some(TransferReply::Taken), true.into()),
        (Some(TransferReply::Data(Bytes::from_static(b"ab"))), Value::Binary(b"ab".into())),
    ];
    for (reply, said) in replies {
        let mut pair = adopted(3, reply);
        let request = pair.request("resume_command");
        let fields = ["command_id", "received", "reply"].map(|name| request[name].clone());
        assert_eq!(fields, ["1".into(), 3.into(), said]);
    }
}

#[test]
fn what_was_told_before_is_answered_and_not_told_again() {
    let mut pair = adopted(3, Some(TransferReply::Data(Bytes::from_static(b"ab"))));
    assert_eq!(pair.call("update", "1", rc(3)).unwrap()["result"], Value::Nil);
    let write = vec![("args", Value::Binary(vec![1])), ("number", 2.into())];
    assert_eq!(pair.call("update_upload_file_write", "1", write).unwrap()["result"], Value::Nil);
    let read = vec![("length", 9.into()), ("number", 3.into())];
    assert_eq!(pair.call("update_read_file", "1", read).unwrap()["result"], Value::Binary(b"ab".into()));
    assert_eq!(pair.news(), []);
    pair.call("update", "1", rc(4)).unwrap();
    let update = FromWorker::Update { id: id(), update: Update::Rc(0) };
    assert_eq!(pair.news(), [update, mark(4)]);
    pair.call("update", "1", rc(4)).unwrap();
    assert_eq!(pair.news(), []);
    pair.call("complete", "1", vec![("args", Value::Nil), ("number", 5.into())]).unwrap();
    assert_eq!(pair.news(), [completed("1", None)], "nothing follows the end");
}

#[test]
fn a_block_is_marked_before_it_is_answered() {
    let mut pair = adopted(0, None);
    let write = vec![("args", Value::Binary(vec![1])), ("number", 1.into())];
    assert_eq!(pair.call("update_upload_file_write", "1", write), None);
    let transfer = Transfer::Write(Bytes::from_static(&[1]));
    assert_eq!(pair.news(), [FromWorker::Transfer { id: id(), transfer }, mark(1)]);
    pair.order(ToWorker::Reply { id: id(), reply: TransferReply::Taken });
    pair.listen();
    assert_eq!(pair.answers.len(), 1);
}

#[test]
fn an_exception_means_that_the_command_is_unknown_which_is_told_once() {
    let mut pair = adopted(3, None);
    let request = pair.request("resume_command");
    let exception = map([
        ("op", "response".into()),
        ("seq_number", request["seq_number"].clone()),
        ("result", "no command 1 to resume".into()),
        ("is_exception", true.into()),
    ]);
    pair.say(&exception);
    assert_eq!(pair.news(), [FromWorker::Unknown { id: id() }]);
    pair.say(&exception);
    pair.call("update", "1", rc(4)).unwrap();
    assert_eq!(pair.news(), []);
}

#[test]
fn the_sessions_own_commands_are_acknowledged_when_they_end() {
    let mut pair = Pair::introduced(info());
    pair.order(ToWorker::OutliveLinks(Duration::from_secs(60)));
    pair.order(set_builders(&["b1"]));
    pair.done("mkdir", 0);
    assert_eq!(pair.request("acknowledge")["number"], u64::MAX.into());
}

#[test]
fn a_worker_that_does_not_let_commands_outlive_the_link_has_them_interrupted_at_its_end() {
    let mut pair = Pair::attached(&["b1"]);
    pair.order(ToWorker::OutliveLinks(Duration::from_secs(60)));
    pair.order(start("1", "b1"));
    let request = pair.request("resume_settings");
    pair.say(&map([
        ("op", "response".into()),
        ("seq_number", request["seq_number"].clone()),
        ("result", "Command resume_settings does not exist.".into()),
        ("is_exception", true.into()),
    ]));
    pair.master.interrupt_all("the end");
    assert_eq!(pair.request("interrupt_command")["command_id"], "1".into());
}

#[test]
fn the_session_of_a_worker_is_among_what_it_says_of_itself() {
    let Value::Map(mut fields) = info() else { panic!("a map") };
    fields.push(("lunabot_session".into(), "0123456789abcdef0123456789abcdef".into()));
    let mut pair = Pair::introduced(Value::Map(fields));
    let FromWorker::Hello(info) = &pair.news()[0] else { panic!("the first is who it is") };
    let session = &info.0[crate::protocol::SessionId::FACT];
    assert_eq!(session.as_str(), Some("0123456789abcdef0123456789abcdef"));
}
