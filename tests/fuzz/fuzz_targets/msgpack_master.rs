//! What a worker may say to a master that speaks msgpack, as payloads of messages.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use lunabot::protocol::{
    CommandId, FromWorker, ToWorker, TransferReply, WorkerCommand,
    command::UploadFile,
    message::BuilderFolder,
    msgpack::{MasterSession, SessionEvent},
};

/// More than any answer to so little input.
const MOST_OUTPUT_BYTES: usize = 4 * 1024 * 1024;

fuzz_target!(|input: &[u8]| {
    let Some((&cut, input)) = input.split_first() else { return };
    let mut session = MasterSession::new("fuzz");
    let orders = [
        ToWorker::SetBuilders(vec![BuilderFolder { builder: "b".into(), folder: "b".into() }]),
        ToWorker::Start {
            id: id(),
            builder: Arc::from("b"),
            command: WorkerCommand::UploadFile(Box::new(UploadFile {
                workdir: "build".into(),
                source: "x".into(),
                max_size: None,
                block_size: 1024,
                keep_stamp: true,
            })),
        },
    ];
    for order in orders {
        if session.handle_order(order).is_err() {
            return;
        }
    }
    for payload in input.chunks(usize::from(cut).max(1)) {
        if session.handle_message(payload).is_err() {
            return;
        }
        while let Some(event) = session.poll_event() {
            if let SessionEvent::Message(FromWorker::Transfer { .. }) = event {
                let reply = ToWorker::Reply { id: id(), reply: TransferReply::Taken };
                if session.handle_order(reply).is_err() {
                    return;
                }
            }
        }
        assert!(session.output_len() <= MOST_OUTPUT_BYTES, "{}", session.output_len());
        while session.poll_output().is_some() {}
    }
});

fn id() -> CommandId {
    CommandId::new("1")
}
