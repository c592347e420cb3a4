//! What a master may say to a worker that speaks Perspective Broker.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lunabot::{
    model::Secret,
    protocol::pb::{WorkerSession, jelly::Value},
};

/// More than any answer to so little input.
const MOST_OUTPUT_BYTES: usize = 4 * 1024 * 1024;

fuzz_target!(|input: &[u8]| {
    let Some((&cut, input)) = input.split_first() else { return };
    let mut session = WorkerSession::new("w", Secret::new("pw"), Value::None);
    for piece in input.chunks(usize::from(cut).max(1)) {
        if session.handle_input(piece).is_err() {
            return;
        }
        while session.poll_event().is_some() {}
        let output = session.poll_output().unwrap_or_default();
        assert!(output.len() <= MOST_OUTPUT_BYTES, "{}", output.len());
    }
});
