//! Who may attach, and what those hear who may not.

use super::{
    Farm, MasterDir, RealWorker, free_port, is_attached, needs_real_workers,
    raw::{CHOICE, DIALECTS, Peer, login, wrong_response},
};
use crate::support::master::eventually;

/// What a worker logs when it was refused.
const REFUSED: &str = "unauthorized login; check worker name and password";

fn farm(port: u16) -> MasterDir {
    let farm = Farm {
        port,
        workers: &[("w1", "'sesame-1'"), ("w2", "'sesame-2'")],
        builders: &[("b1", &["w1", "w2"])],
        steps: "steps.ShellCommand { command = 'true' }",
    };
    MasterDir::new(&farm.config())
}

/// The lines of the master's log about a peer of this name.
fn refusals(dir: &MasterDir, name: &str) -> Vec<String> {
    let log = std::fs::read_to_string(dir.file("lunabot.log")).unwrap();
    let about = log.lines().filter(|line| line.contains(name) && line.contains("127.0.0.1"));
    about.map(str::to_owned).collect()
}

#[test]
fn a_real_worker_with_a_wrong_password_or_an_unknown_name_is_refused_and_lives_and_tries_again() {
    needs_real_workers!(
        "a_real_worker_with_a_wrong_password_or_an_unknown_name_is_refused_and_lives_and_tries_again"
    );
    let port = free_port();
    let dir = farm(port);
    let _master = dir.start();
    let mut wrong = RealWorker::start(port, "w1", "sesame-wrong");
    let mut unknown = RealWorker::start(port, "stranger", "sesame-1");
    for worker in [&mut wrong, &mut unknown] {
        eventually("two refusals", || (worker.count_in_log(REFUSED) >= 2).then_some(()));
        assert!(worker.is_running());
        assert_eq!(worker.attached_times(), 0);
    }
    assert!(!is_attached(&dir, "w1"));
    assert!(!refusals(&dir, "w1").is_empty());
    assert!(!refusals(&dir, "stranger").is_empty());
    // Neither what was expected nor what came.
    let log = std::fs::read_to_string(dir.file("lunabot.log")).unwrap();
    assert!(!log.contains("sesame"), "{log}");
}

/// All that a peer hears who logs in with this name and a wrong password, with the challenge, which is never the same
/// twice, taken out.
fn heard_by(port: u16, name: &str) -> (Vec<u8>, Vec<u8>) {
    let mut peer = Peer::connect(port);
    assert_eq!(peer.read(DIALECTS.len()), DIALECTS);
    peer.say(&[CHOICE, &login(name)].concat());
    // The answer with a challenge of 16 bytes.
    let mut heard = peer.read_until(b"\x10\x82");
    let challenge = peer.read(16);
    heard.extend(peer.read_until(b"\x01\x81"));
    peer.say(&wrong_response());
    peer.finish();
    heard.extend(peer.read_to_end());
    (heard, challenge)
}

#[test]
fn an_unknown_name_hears_the_same_as_a_wrong_password_and_each_attempt_is_one_line_in_the_log() {
    let port = free_port();
    let dir = farm(port);
    let _master = dir.start();
    let (wrong, first) = heard_by(port, "w2");
    let (unknown, second) = heard_by(port, "stranger");
    assert_eq!(wrong.escape_ascii().to_string(), unknown.escape_ascii().to_string());
    let text = String::from_utf8_lossy(&wrong);
    assert!(text.contains("twisted.cred.error.UnauthorizedLogin"), "{text}");
    assert_ne!(first, second, "a challenge is used once");
    for name in ["w2", "stranger"] {
        eventually("the line", || (!refusals(&dir, name).is_empty()).then_some(()));
        let lines = refusals(&dir, name);
        assert_eq!(lines.len(), 1, "{lines:#?}");
    }
    // What the peer may not know, the operator must.
    assert!(refusals(&dir, "w2")[0].contains("password"), "{:?}", refusals(&dir, "w2"));
    assert!(!refusals(&dir, "stranger")[0].contains("wrong password"), "{:?}", refusals(&dir, "stranger"));
}
