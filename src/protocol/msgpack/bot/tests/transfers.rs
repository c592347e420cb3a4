//! Bytes on their way.

use proptest::{collection, prelude::*};

use super::*;

/// What a file on its way is told, with all that any of the three wants.
pub(super) fn file() -> Value {
    map([
        ("path", "/f".into()),
        ("maxsize", Value::Nil),
        ("blocksize", 9.into()),
        ("mode", Value::Nil),
        ("compress", Value::Nil),
    ])
}

fn upload() -> WorkerCommand {
    WorkerCommand::sample_upload("f", 9)
}

fn upload_directory() -> WorkerCommand {
    WorkerCommand::sample_upload_directory("f", 9)
}

fn download() -> WorkerCommand {
    WorkerCommand::sample_download("f", 9)
}

fn to_bot(id: &str, what: TransferReply) -> ToWorker {
    ToWorker::Reply { id: CommandId::new(id), reply: what }
}

proptest! {
    #[test]
    fn files_and_folders_reach_lunabots_master_block_by_block(
        blocks in collection::vec(collection::vec(any::<u8>(), 1..300), 0..5),
        is_folder in any::<bool>(),
    ) {
        let mut pair = Pair::attached();
        pair.start("1", if is_folder { upload_directory() } else { upload() });
        let mut wanted = Vec::new();
        for block in blocks {
            let write = moved("1", Transfer::Write(block.into()));
            pair.say(write.clone());
            prop_assert_eq!(pair.told(), [write]);
            prop_assert_eq!(&pair.heard, &[]);
            pair.order(to_bot("1", TransferReply::Taken));
            prop_assert_eq!(pair.heard.pop(), Some(reply("1", TransferReply::Taken)));
        }
        if is_folder {
            wanted.push(moved("1", Transfer::Unpack));
        } else {
            wanted.push(moved("1", Transfer::Close));
            wanted.push(moved("1", Transfer::Times { accessed_at: 1.5, modified_at: 1_795_471_184.657_305 }));
        }
        wanted.extend([news("1", Update::Rc(0)), complete("1", None)]);
        for message in wanted.clone() {
            pair.say(message);
        }
        prop_assert_eq!(pair.told(), wanted);
    }

    #[test]
    fn files_come_from_lunabots_master_block_by_block(
        blocks in collection::vec(collection::vec(any::<u8>(), 0..300), 0..5),
    ) {
        let mut pair = Pair::attached();
        pair.start("1", download());
        for block in blocks {
            let read = moved("1", Transfer::Read { most: 300 });
            pair.say(read.clone());
            prop_assert_eq!(pair.told(), [read]);
            let data = TransferReply::Data(block.into());
            pair.order(to_bot("1", data.clone()));
            prop_assert_eq!(pair.heard.pop(), Some(reply("1", data)));
        }
        pair.say(moved("1", Transfer::Close));
        pair.say(complete("1", None));
        prop_assert_eq!(pair.told(), [moved("1", Transfer::Close), complete("1", None)]);
    }
}

#[test]
fn buildbots_own_master_answers_nothing_which_is_the_end_of_the_file() {
    let mut talk = Talk::with("1", "download_file", file());
    talk.say(moved("1", Transfer::Read { most: 9 }), 0);
    assert_eq!(talk.take("update_read_file")["length"], 9.into());
    assert_eq!(talk.events(), [reply("1", TransferReply::Data(Bytes::new()))]);
    // Text is bytes, too.
    talk.say(moved("1", Transfer::Read { most: 9 }), 0);
    let request = talk.request().unwrap();
    talk.answer(&request, "größe".into());
    assert_eq!(talk.events(), [reply("1", TransferReply::Data("größe".into()))]);
}

#[test]
fn a_block_that_fails_at_the_master_interrupts_its_command_which_ends_as_failed() {
    for (name, op, transfer, wanted) in [
        (
            "upload_file",
            "update_upload_file_write",
            Transfer::Write(Bytes::from_static(b"x")),
            "the master did not take a block: the disk is full",
        ),
        (
            "upload_directory",
            "update_upload_directory_write",
            Transfer::Write(Bytes::from_static(b"x")),
            "the master did not take a block: the disk is full",
        ),
        (
            "download_file",
            "update_read_file",
            Transfer::Read { most: 9 },
            "the master did not send the next block: the disk is full",
        ),
    ] {
        let mut talk = Talk::with("1", name, file());
        talk.say(moved("1", transfer), 0);
        let request = talk.request().unwrap();
        assert_eq!(request["op"], op.into());
        talk.except(&request, "the disk is full");
        assert_eq!(talk.events(), [interrupt("1", wanted)]);
        // As a command ends that is interrupted.
        talk.say(output("1", LogStream::Header, "command interrupted\n"), 0);
        talk.say(moved("1", Transfer::Close), 0);
        talk.say(news("1", Update::Rc(1)), 0);
        talk.say(complete("1", None), 0);
        talk.take("update");
        let close = talk.request().unwrap();
        talk.except(&close, "it is closed");
        assert!(matches!(&talk.events()[..], [BotEvent::Failed(_)]));
        talk.take("update");
        // The first that went wrong is what is told.
        assert_eq!(talk.take("complete")["args"], wanted.into(), "{name}");
        assert_eq!(talk.ops(), [""; 0]);
    }
}

#[test]
fn an_answer_that_is_no_block_fails_like_an_exception() {
    let mut talk = Talk::with("1", "download_file", file());
    talk.say(moved("1", Transfer::Read { most: 9 }), 0);
    let request = talk.request().unwrap();
    talk.answer(&request, 3.into());
    let wanted = "the master sent something that is no block of a file";
    assert_eq!(talk.events(), [interrupt("1", wanted)]);
    talk.say(complete("1", None), 0);
    assert_eq!(talk.take("complete")["args"], wanted.into());
}

#[test]
fn an_end_of_a_transfer_that_fails_at_the_master_is_told_with_the_end_of_the_command() {
    let times = || Transfer::Times { accessed_at: 1.0, modified_at: 2.0 };
    for (name, transfer, wanted) in [
        ("upload_file", Transfer::Close, Some("the master failed at `update_upload_file_close`: no")),
        ("upload_file", times(), Some("the master failed at `update_upload_file_utime`: no")),
        (
            "upload_directory",
            Transfer::Unpack,
            Some("the master failed at `update_upload_directory_unpack`: no"),
        ),
        // What was fetched is here.
        ("download_file", Transfer::Close, None),
    ] {
        let mut talk = Talk::with("1", name, file());
        talk.say(moved("1", transfer), 0);
        talk.say(complete("1", None), 0);
        let request = talk.request().unwrap();
        assert_eq!(talk.ops(), [""; 0], "the end waits for the answer");
        talk.except(&request, "no");
        assert!(matches!(&talk.events()[..], [BotEvent::Failed(why)] if why.ends_with("of command 1: no")));
        assert_eq!(talk.take("complete")["args"], wanted.map_or(Value::Nil, Value::from));
    }
}

#[test]
fn while_the_end_of_a_transfer_has_no_answer_its_command_is_silent_and_others_are_not() {
    let mut talk = Talk::with("1", "upload_file", file());
    talk.start("2", "upload_file", file());
    talk.say(moved("1", Transfer::Close), 0);
    talk.say(moved("1", Transfer::Times { accessed_at: 1.0, modified_at: 2.0 }), 0);
    talk.say(news("1", Update::Rc(0)), 0);
    talk.say(complete("1", None), 0);
    talk.say(complete("2", None), 0);
    let close = talk.request().unwrap();
    assert_eq!(close["op"], "update_upload_file_close".into());
    assert_eq!(talk.request().unwrap()["command_id"], "2".into());
    assert_eq!(talk.request(), None);
    assert!(talk.bot.output_len() > 0);
    talk.answer(&close, Value::Nil);
    talk.take("update_upload_file_utime");
    assert_eq!(talk.ops(), ["update", "complete"]);
}

#[test]
fn an_interrupted_transfer_ends_without_the_answer_to_its_last_block() {
    let mut talk = Talk::with("1", "upload_file", file());
    talk.say(moved("1", Transfer::Write(Bytes::from_static(b"x"))), 0);
    let block = talk.request().unwrap();
    talk.ask("interrupt_command", vec![("command_id", "1".into()), ("why", "enough".into())]).unwrap();
    assert_eq!(talk.events(), [interrupt("1", "enough")]);
    talk.say(moved("1", Transfer::Close), 0);
    talk.say(complete("1", None), 0);
    talk.take("update_upload_file_close");
    // Nobody waits for it any more.
    talk.answer(&block, Value::Nil);
    assert_eq!((talk.events(), talk.ops()), (vec![], vec!["complete".to_owned()]));
}
