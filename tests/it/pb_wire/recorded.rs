//! What a real worker said once, said again.

use std::{fmt::Write as _, fs, path::PathBuf};

use lunabot::protocol::pb::banana::{Decoder, Limits};

use super::{Play, exchanges};
use crate::support::tree;

fn path(name: &str, kind: &str) -> PathBuf {
    tree::crate_root().join(format!("tests/wire/pb/{name}.{kind}"))
}

/// What a real worker said.
pub(super) fn bytes(name: &str) -> Vec<u8> {
    let text = fs::read_to_string(path(name, "hex")).unwrap();
    text.split_whitespace().map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect()
}

#[test]
fn what_a_real_worker_said_leads_to_the_same_again_byte_by_byte() {
    for (name, order, check) in exchanges() {
        let mut play = Play::new(order);
        for byte in &bytes(name) {
            play.hear(std::slice::from_ref(byte));
        }
        assert!(play.is_over(), "{name}");
        play.check_attach();
        play.ended.iter().for_each(check);
    }
}

/// Keeps what a worker said, as bytes and as a person reads it.
pub(super) fn keep(name: &str, heard: &[u8]) {
    let mut hex = String::new();
    for line in heard.chunks(32) {
        let digits: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(hex, "{}", digits.join(" ")).unwrap();
    }
    let mut text = String::from(
        "# W>M, buildbot-worker 4.3.0, all of one connection. Made by `tests/wire/record`; the master's side and what must\n\
         # become of it are in `tests/it/pb_wire.rs`.\n",
    );
    let mut decoder = Decoder::new(Limits::FRIEND);
    decoder.use_words();
    decoder.extend(heard).unwrap();
    while let Some(expression) = decoder.expression().unwrap() {
        writeln!(text, "{expression}").unwrap();
    }
    fs::write(path(name, "hex"), hex).unwrap();
    fs::write(path(name, "txt"), text).unwrap();
}
