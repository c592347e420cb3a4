//! What a master may say to a worker of ours that speaks Perspective Broker.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use lunabot::{
    model::{Secret, WorkerInfo},
    protocol::{
        FromWorker, ToWorker, Transfer, Update,
        bot::{BotEvent, Conversation, Identity, gather::Now},
        pb::BotSession,
    },
};

/// More than any answer to so little input.
const MOST_OUTPUT_BYTES: usize = 4 * 1024 * 1024;

fuzz_target!(|input: &[u8]| {
    let Some((&cut, input)) = input.split_first() else { return };
    let identity = Identity { name: "w".into(), password: Secret::new("pw") };
    let mut session = BotSession::new(identity, WorkerInfo::default());
    let now = Now { instant: Instant::now(), epoch: 0.0 };
    for piece in input.chunks(usize::from(cut).max(1)) {
        if session.hear(piece).is_err() {
            return;
        }
        while let Some(event) = session.poll_event() {
            match event {
                BotEvent::Order(ToWorker::Start { id, .. }) => {
                    session.say(FromWorker::Update { id: id.clone(), update: Update::Rc(0) }, now);
                    session.say(FromWorker::Transfer { id, transfer: Transfer::Read { most: 9 } }, now);
                }
                BotEvent::Order(ToWorker::Reply { id, .. } | ToWorker::Interrupt { id, .. }) => {
                    session.say(FromWorker::Complete { id, failure: None }, now);
                }
                BotEvent::Printed(_) => session.keep_alive(),
                _ => {}
            }
        }
        let output = session.poll_output().unwrap_or_default();
        assert!(output.len() <= MOST_OUTPUT_BYTES, "{}", output.len());
    }
});
