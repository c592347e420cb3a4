//! What a peer may say to a master that speaks Perspective Broker: before its login, while it attaches, and as a worker.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use lunabot::protocol::{
    CommandId, ToWorker, TransferReply, WorkerCommand,
    command::{DownloadFile, UploadFile},
    message::BuilderFolder,
    pb::{MasterSession, SessionEvent},
};

/// What a `buildbot-worker` says until its proof is judged: dialect, version, login as `w1`, response. Which response does
/// not matter, since the target lets it in.
const LOGIN: &[u8] = b"\x02\x82pb\x02\x80\x13\x87\x06\x81\
    \x07\x80\x1a\x87\x01\x81\x04\x82root\x14\x87\x01\x81\x02\x80\x0b\x87\x02\x82w1\x01\x80\x05\x87\
    \x07\x80\x1a\x87\x02\x81\x01\x81\x07\x82respond\x01\x81\x03\x80\x0b\x87\x10\x820123456789abcdef\x02\x80\x10\x87\x01\x81\x01\x80\x05\x87";

/// What it says of itself and of its one builder: `answer 1 None`, `answer 2 {}`, `answer 3 {b: remote 2}`.
const ATTACH: &[u8] = b"\x03\x80\x1b\x87\x01\x81\x01\x80\x01\x87\
    \x03\x80\x1b\x87\x02\x81\x01\x80\x05\x87\
    \x03\x80\x1b\x87\x03\x81\x02\x80\x05\x87\x02\x80\x02\x80\x07\x82unicode\x01\x82b\x02\x80\x10\x87\x02\x81";

/// More than any answer to so little input.
const MOST_OUTPUT_BYTES: usize = 4 * 1024 * 1024;

fuzz_target!(|input: &[u8]| {
    let [phase, cut, input @ ..] = input else { return };
    let mut master = Master(MasterSession::new([0; 16]));
    if phase % 4 > 0 {
        assert!(master.hear(LOGIN));
    }
    if phase % 4 > 1 {
        master.0.handle_order(ToWorker::SetBuilders(vec![BuilderFolder { builder: "b".into(), folder: "b".into() }]));
        assert!(master.hear(ATTACH));
    }
    if phase % 4 > 2 {
        let command = if phase & 4 == 0 {
            WorkerCommand::UploadFile(Box::new(UploadFile {
                workdir: "build".into(),
                source: "x".into(),
                max_size: None,
                block_size: 1024,
                keep_stamp: true,
            }))
        } else {
            WorkerCommand::DownloadFile(Box::new(DownloadFile {
                workdir: "build".into(),
                destination: "x".into(),
                max_size: None,
                block_size: 1024,
                mode: None,
            }))
        };
        master.0.handle_order(ToWorker::Start { id: id(), builder: Arc::from("b"), command });
    }
    for piece in input.chunks(usize::from(*cut).max(1)) {
        if !master.hear(piece) {
            return;
        }
    }
});

struct Master(MasterSession);

impl Master {
    /// Takes input and does what the program around it would do; false once the connection must end.
    fn hear(&mut self, input: &[u8]) -> bool {
        if self.0.handle_input(input).is_err() {
            return false;
        }
        while let Some(event) = self.0.poll_event() {
            if let SessionEvent::Login(attempt) = &event {
                assert!(format!("{attempt:?}").len() < 64 * 1024 * 8);
                self.0.accept_login();
            }
            if let SessionEvent::Message(_) = event {
                self.0.handle_order(ToWorker::Reply { id: id(), reply: TransferReply::Taken });
            }
        }
        let output = self.0.poll_output().unwrap_or_default();
        assert!(output.len() <= MOST_OUTPUT_BYTES, "{}", output.len());
        true
    }
}

fn id() -> CommandId {
    CommandId::new("1")
}
