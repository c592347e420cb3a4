//! Who may attach, and what those hear who may not.

use std::{
    io::Write as _,
    process::Stdio,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Instant,
};

use super::{
    Farm, MasterDir, RealWorker, free_port, is_attached, needs_real_workers,
    raw::{CHOICE, DIALECTS, Peer, login, wrong_response},
};
use crate::support::master::{eventually, lunabot};

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
pub(super) fn refusals(dir: &MasterDir, name: &str) -> Vec<String> {
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

/// Whether a peer that gave this name and a wrong password was told no; it is still connected then.
pub(super) fn is_told_no(port: u16, name: &str) -> Option<Peer> {
    let mut peer = Peer::connect(port);
    assert_eq!(peer.read(DIALECTS.len()), DIALECTS);
    peer.say(&[CHOICE, &login(name)].concat());
    peer.read_until(b"\x10\x82");
    peer.read(16);
    peer.say(&wrong_response());
    // The end of its challenge, and then, if it was judged, the refusal.
    peer.hears(b"twisted.cred.error.UnauthorizedLogin").then_some(peer)
}

#[test]
fn a_peer_that_was_refused_is_left_connected_until_it_hangs_up() {
    let port = free_port();
    let dir = farm(port);
    let _master = dir.start();
    let mut peer = is_told_no(port, "w1").expect("it is told no");
    peer.hears_nothing_more();
    peer.finish();
    peer.read_to_end();
}

#[test]
fn guessing_is_slowed_to_nothing_while_a_real_worker_gets_in_from_the_same_address() {
    needs_real_workers!("guessing_is_slowed_to_nothing_while_a_real_worker_gets_in_from_the_same_address");
    let port = free_port();
    let dir = farm(port);
    let mut master = dir.start();
    let mut worker = RealWorker::start(port, "w1", "sesame-1");
    worker.wait_attached(1);
    worker.kill();
    let is_over = AtomicBool::new(false);
    let guesses = AtomicUsize::new(0);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..30 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let judged = is_told_no(port, "w2").is_some();
                    guesses.fetch_add(usize::from(judged), Ordering::Relaxed);
                }
            });
        }
        master.wait_for_stderr("too many failed logins from this address");
        // It was let in before, from there.
        worker.run();
        worker.wait_attached(2);
        is_over.store(true, Ordering::Relaxed);
    });
    // Twenty at once, and two a second.
    let most = 21 + 2 * usize::try_from(begin.elapsed().as_secs() + 1).unwrap();
    let guesses = guesses.into_inner();
    assert!((20..=most).contains(&guesses), "{guesses} were judged in {:?}", begin.elapsed());
    let log = std::fs::read_to_string(dir.file("lunabot.log")).unwrap();
    for once in ["too many failed logins", "wrong password"] {
        assert!(
            log.matches(once).count() <= 1 + usize::try_from(begin.elapsed().as_secs() / 60).unwrap(),
            "{log}"
        );
    }
}

#[test]
fn a_password_that_is_rotated_by_a_reload_cuts_nobody_and_a_hashed_one_is_told_to_be_no_use_for_pb() {
    needs_real_workers!(
        "a_password_that_is_rotated_by_a_reload_cuts_nobody_and_a_hashed_one_is_told_to_be_no_use_for_pb"
    );
    let port = free_port();
    let dir = farm(port);
    let mut master = dir.start();
    let mut worker = RealWorker::start(port, "w1", "sesame-1");
    worker.wait_attached(1);
    let sockets = worker.sockets();
    let config = std::fs::read_to_string(dir.file("master.cfg.lua")).unwrap();
    let reload = |password: &str| {
        let text = config.replace("'sesame-1'", password);
        std::fs::write(dir.file("master.cfg.lua"), text).unwrap();
        let output = dir.run("reconfig", &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    reload("{ 'sesame-new', 'sesame-1' }");
    assert_eq!((worker.sockets(), worker.attached_times()), (sockets, 1));
    worker.kill();
    worker.run();
    worker.wait_attached(2);
    let mut new = RealWorker::create(port, "w1", "sesame-new");
    worker.kill();
    new.run();
    new.wait_attached(1);

    let mut hash = lunabot();
    hash.arg("hash-password").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut hash = hash.spawn().unwrap();
    hash.stdin.take().unwrap().write_all(b"sesame-new\n").unwrap();
    let hash = String::from_utf8(hash.wait_with_output().unwrap().stdout).unwrap();
    let hash = hash.trim();
    assert!(hash.starts_with("$argon2id$v=19$"), "{hash}");
    let sockets = new.sockets();
    reload(&format!("'{hash}'"));
    let check = dir.run("checkconfig", &[]);
    let told = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(told.contains("its password is hashed, which PB cannot check") && !told.contains(hash), "{told}");
    assert_eq!(new.sockets(), sockets);
    new.kill();
    new.run();
    master.wait_for_stderr("its password is hashed, which PB cannot check");
    let log = std::fs::read_to_string(dir.file("lunabot.log")).unwrap();
    assert!(!log.contains("sesame") && !log.contains("$argon2"), "{log}");
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
