//! What a master may say to a worker that speaks msgpack, as payloads of messages.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use lunabot::{
    model::WorkerInfo,
    protocol::{
        FromWorker, ToWorker, Transfer,
        bot::{BotEvent, Conversation, gather::Now},
        msgpack::BotSession,
    },
};

/// More than any answer to so little input.
const MOST_OUTPUT_BYTES: usize = 4 * 1024 * 1024;

fuzz_target!(|input: &[u8]| {
    let Some((&cut, input)) = input.split_first() else { return };
    let mut session = BotSession::new(WorkerInfo::default());
    let now = Now { instant: Instant::now(), epoch: 1e9 };
    for payload in input.chunks(usize::from(cut).max(1)) {
        if session.hear(payload).is_err() {
            return;
        }
        while let Some(event) = session.poll_event() {
            if let BotEvent::Order(ToWorker::Start { id, .. }) = event {
                let transfer = Transfer::Read { most: 9 };
                session.say(FromWorker::Transfer { id: id.clone(), transfer }, now);
                session.say(FromWorker::Transfer { id: id.clone(), transfer: Transfer::Close }, now);
                session.say(FromWorker::Complete { id, failure: None }, now);
            }
        }
        assert!(session.output_len() <= MOST_OUTPUT_BYTES, "{}", session.output_len());
        while session.poll_output().is_some() {}
    }
});
