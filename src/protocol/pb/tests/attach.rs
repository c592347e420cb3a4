//! From the first byte to a worker that builds, and those who are not let in.

use super::{
    super::failure::{Failure, UNAUTHORIZED},
    *,
};

#[test]
fn a_worker_that_knows_its_password_attaches() {
    let mut pair = Pair::new("pass1");
    pair.exchange();
    assert!(pair.master.is_logged_in());
    let [SessionEvent::Message(FromWorker::Hello(info))] = pair.events.as_slice() else {
        panic!("{:?}", pair.events);
    };
    assert_eq!(info.text("admin"), Some("Your Name\n"));
    assert_eq!(info.0.keys().collect::<Vec<_>>(), ["admin", "numcpus", "version", "worker_commands"]);
    assert_eq!(info.0["worker_commands"]["rmdir"], "3.3");
    assert!(!pair.worker.is_attached(), "the login is answered last");
    pair.order(set_builders(&["b1", "b2"]));
    assert_eq!(pair.events.last(), Some(&SessionEvent::Attached));
    let printed = WorkerEvent::Printed("attached".into());
    let list = [("b1", "b1"), ("b2", "b2")].map(|(name, folder)| (name.to_owned(), folder.to_owned()));
    assert_eq!(pair.seen, [printed, WorkerEvent::Builders(list.into()), WorkerEvent::Attached]);
}

#[test]
fn a_worker_without_builders_attaches() {
    let pair = Pair::attached(&[]);
    assert!(pair.master.is_logged_in());
}

#[test]
fn builders_that_are_set_before_the_worker_has_said_who_it_is_are_told_afterwards() {
    let mut pair = Pair::new("pass1");
    pair.master.handle_order(set_builders(&["b1"]));
    pair.exchange();
    assert_eq!(pair.lists(), [["b1"]]);
    assert!(matches!(pair.events[..], [SessionEvent::Message(FromWorker::Hello(_)), SessionEvent::Attached]));
}

/// What a master says to a login of this name with this password, from the first byte.
fn conversation(name: &str, password: &str) -> (Vec<u8>, Vec<WorkerEvent>) {
    let mut pair = Pair::new(password);
    pair.worker = WorkerSession::new(name, Secret::new(password), Value::Dict(Vec::new()));
    let mut said = Vec::new();
    loop {
        let (to_worker, to_master) = (pair.master.poll_output(), pair.worker.poll_output());
        if to_worker.is_none() && to_master.is_none() {
            break;
        }
        let to_worker = to_worker.unwrap_or_default();
        said.extend_from_slice(&to_worker);
        pair.worker.handle_input(&to_worker).unwrap();
        pair.master.handle_input(&to_master.unwrap_or_default()).unwrap();
        pair.take_events();
    }
    assert!(!pair.master.is_logged_in());
    (said, std::iter::from_fn(|| pair.worker.poll_event()).collect())
}

#[test]
fn an_unknown_name_and_a_wrong_password_look_the_same() {
    let (wrong, seen) = conversation("w1", "guess");
    let (unknown, _) = conversation("w2", "guess");
    assert_eq!(wrong, unknown);
    let [WorkerEvent::Refused(failure)] = seen.as_slice() else { panic!("{seen:?}") };
    assert!(failure.is(UNAUTHORIZED), "{failure:?}");
}

#[test]
fn the_classes_of_a_refusal_go_as_text() {
    let Value::Failure(fields) = Failure::unauthorized().write() else { panic!("it is a failure") };
    let parents = fields.iter().find(|(key, _)| *key == Value::text("parents")).map(|(_, value)| value);
    let Some(Value::List(parents)) = parents else { panic!("{fields:?}") };
    assert_eq!(parents[0], Value::text(UNAUTHORIZED));
    assert!(parents.iter().all(|parent| matches!(parent, Value::Text(_))));
}

#[test]
fn a_proof_of_another_length_proves_nothing() {
    let right = super::super::auth::response(&Secret::new("pass1"), &CHALLENGE);
    for proof in [&right[..15], &[], &[0; 16], &[right.as_slice(), &[0]].concat()] {
        let attempt = LoginAttempt::new(b"w1", CHALLENGE, Bytes::copy_from_slice(proof));
        assert!(!attempt.proves(&Secret::new("pass1")), "{proof:?}");
    }
    let attempt = LoginAttempt::new(b"w1", CHALLENGE, Bytes::copy_from_slice(&right));
    assert!(attempt.proves(&Secret::new("pass1")));
    assert!(!attempt.proves(&Secret::new("pass2")));
}

#[test]
fn a_login_prints_neither_challenge_nor_proof_and_a_bounded_name() {
    let attempt = LoginAttempt::new(&[0xff; 1000], CHALLENGE, Bytes::from_static(&[7; 16]));
    assert!(attempt.name.len() <= 256);
    let attempt = LoginAttempt::new(b"w1", CHALLENGE, Bytes::from_static(&[7; 16]));
    assert_eq!(format!("{attempt:?}"), r#"LoginAttempt { name: "w1", .. }"#);
    let session = format!("{:?}", MasterSession::new(CHALLENGE));
    assert!(!session.contains("131, 32"), "{session}");
}

#[test]
fn a_ping_is_answered_with_its_number() {
    let mut pair = Pair::attached(&["b1"]);
    pair.order(ToWorker::Ping(7));
    assert_eq!(pair.seen, [WorkerEvent::Printed("keepalive".into())]);
    assert_eq!(pair.news(), [FromWorker::Pong(7)]);
}

#[test]
fn a_keepalive_is_answered() {
    let mut pair = Pair::attached(&["b1"]);
    pair.worker.keepalive();
    pair.exchange();
    assert_eq!(pair.seen, [WorkerEvent::KeptAlive]);
}

#[test]
fn a_worker_may_wish_to_end_and_be_told_to() {
    let mut pair = Pair::attached(&["b1"]);
    pair.worker.ask_shutdown();
    pair.exchange();
    assert_eq!(pair.seen, [WorkerEvent::ShutdownHeard]);
    assert_eq!(pair.news(), [FromWorker::WantsShutdown]);
    pair.order(ToWorker::Shutdown);
    assert_eq!(pair.seen.last(), Some(&WorkerEvent::ShutdownAsked));
}
