//! The worker's side of the request that opens a connection.

use proptest::{collection::vec, prelude::*};

use super::{
    super::super::{
        handshake::{self, HandshakeError, MAX_HEAD_BYTES},
        opening::{Opening, OpeningError},
    },
    *,
};
use crate::{model::Secret, protocol::bot::Identity};

/// The key of the recorded request.
const KEY: [u8; 16] =
    [0xca, 0xfe, 0xed, 0xcb, 0x16, 0x3e, 0x20, 0xb4, 0x68, 0xe8, 0xaf, 0x03, 0x69, 0xbb, 0xdf, 0x6b];

fn opening(name: &str, password: &str) -> Opening {
    let identity = Identity { name: name.into(), password: Secret::new(password) };
    Opening::new(&identity, "127.0.0.1:9989", KEY).unwrap()
}

/// The fields of a request.
fn fields(request: &str) -> Vec<(&str, &str)> {
    request.trim_end().lines().skip(1).map(|line| line.split_once(": ").unwrap()).collect()
}

#[test]
fn a_connection_is_asked_for_as_a_real_worker_does_it() {
    let opening = opening("w1", "pass:1");
    let request = std::str::from_utf8(opening.request()).unwrap();
    assert!(request.starts_with("GET / HTTP/1.1\r\n") && request.ends_with("\r\n\r\n"), "{request}");
    let real = String::from_utf8(recorded("request")).unwrap();
    let wanted = fields(&real).into_iter().filter(|(name, _)| {
        // What caches are told, and which program asks.
        !matches!(*name, "Pragma" | "Cache-Control" | "User-Agent")
    });
    let agent = format!("lunabot-worker/{}", env!("CARGO_PKG_VERSION"));
    let mut said = fields(request);
    assert_eq!(said.remove(0), ("User-Agent", agent.as_str()));
    assert_eq!(said, wanted.collect::<Vec<_>>());
    assert!(
        !format!("{opening:?}").contains("pass:1") && !format!("{opening:?}").contains("dzE6"),
        "{opening:?}"
    );
}

#[test]
fn the_masters_answer_opens_the_connection_and_what_follows_is_not_touched() {
    let opening = opening("w1", "pass:1");
    let upgrade = handshake::read(opening.request()).unwrap().expect("it is complete");
    assert_eq!((upgrade.name.as_str(), upgrade.password.expose()), ("w1", "pass:1"));
    let answer = upgrade.answer();
    for end in 0..answer.len() {
        assert_eq!(opening.read(&answer.as_bytes()[..end]), Ok(None), "{end} bytes");
    }
    assert_eq!(opening.read(answer.as_bytes()), Ok(Some(answer.len())));
    let more = [answer.as_bytes(), &[0x82, 0x00, 0xff]].concat();
    assert_eq!(opening.read(&more), Ok(Some(answer.len())));
    // As Buildbot's master says it.
    let bare = "HTTP/1.1 101 Switching Protocols\r\nServer: AutobahnPython/26.10.2\r\nX-Powered-By: x\r\nUpgrade: WebSocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Accept: 53tYlL75Ys/RM1mGs/Lmj+vXdw4=\r\n\r\n";
    assert_eq!(opening.read(bare.as_bytes()), Ok(Some(bare.len())));
}

#[test]
fn a_refusal_is_told_from_others() {
    let opening = opening("w1", "pass:1");
    let good = handshake::read(opening.request()).unwrap().unwrap().answer();
    let status = |status: u16, reason: &str| OpeningError::Status { status, reason: reason.into() };
    for (answer, wanted) in [
        (HandshakeError::NoCredentials.answer().to_owned(), OpeningError::Unauthorized),
        ("HTTP/1.1 401 Unauthorized\r\n\r\n".into(), OpeningError::Unauthorized),
        (HandshakeError::Credentials.answer().into(), status(400, "Bad request")),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello".into(), status(200, "OK")),
        ("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n".into(), status(302, "Found")),
        ("HTTP/1.1 503\r\n\r\n".into(), status(503, "")),
        (format!("HTTP/1.1 500 {}\r\n\r\n", "x".repeat(999)), status(500, &"x".repeat(100))),
        (good.replace("53tY", "53tZ"), OpeningError::Malformed("it answers to another request")),
        (good.replace("Sec-WebSocket-Accept", "X"), OpeningError::Malformed("it answers to another request")),
        (good.replace("Upgrade: WebSocket", "Upgrade: h2c"), OpeningError::Malformed("it is no WebSocket")),
        (
            good.replace("Connection: Upgrade", "Connection: close"),
            OpeningError::Malformed("it is no WebSocket"),
        ),
        (good.replace("HTTP/1.1", "HTTP/1.0"), OpeningError::Malformed("it is not of HTTP/1.1")),
        (
            good.replace("Server: lunabot", "Sec-WebSocket-Extensions: permessage-deflate"),
            OpeningError::Malformed("it has extensions or a protocol of its own"),
        ),
        // The first bytes of a master on the other wire, an alert of TLS, nothing that anybody knows.
        ("\u{2}\u{80}\u{2}\u{82}pb".into(), OpeningError::NoHttp),
        ("\u{15}\u{3}\u{3}\u{0}\u{2}".into(), OpeningError::NoHttp),
        ("SSH-2.0-OpenSSH_9.2\r\n".into(), OpeningError::NoHttp),
        (format!("HTTP/1.1 101 Yes\r\nX: {}", "x".repeat(MAX_HEAD_BYTES)), OpeningError::TooLong),
        (format!("HTTP/1.1 101 Yes\r\nX: {}\r\n\r\n", "x".repeat(MAX_HEAD_BYTES)), OpeningError::TooLong),
        (format!("HTTP/1.1 101 Yes\r\n{}\r\n", "a: b\r\n".repeat(100)), OpeningError::TooLong),
    ] {
        assert_eq!(opening.read(answer.as_bytes()), Err(wanted), "{answer}");
    }
    assert_eq!(status(503, "").to_string(), "the master answered 503");
    assert_eq!(status(400, "Bad request").to_string(), "the master answered 400 Bad request");
    assert_eq!(OpeningError::Unauthorized.to_string(), "the master does not know this name or password");
}

#[test]
fn a_name_or_a_host_that_no_request_can_carry_is_told_before_one_is_sent() {
    let identity = |name: &str| Identity { name: name.into(), password: Secret::new("p") };
    let error = |name: &str, host: &str| Opening::new(&identity(name), host, KEY).err();
    assert_eq!(error("w:1", "h:1"), Some(OpeningError::Name));
    for host in ["", "h 1", "h\r\nX: y", "hä:1"] {
        assert_eq!(error("w1", host), Some(OpeningError::Host), "{host}");
    }
    assert_eq!(error("w1", "[::1]:9989"), None);
}

proptest! {
    #[test]
    fn each_name_and_password_is_heard_as_it_was_said(name in "[^:]{0,40}", password in ".{0,40}", key in any::<[u8; 16]>()) {
        let identity = Identity { name: name.clone(), password: Secret::new(password.as_str()) };
        let opening = Opening::new(&identity, "h:1", key).unwrap();
        let upgrade = handshake::read(opening.request()).unwrap().expect("it is complete");
        prop_assert_eq!((upgrade.name.as_str(), upgrade.password.expose()), (name.as_str(), password.as_str()));
        let answer = upgrade.answer();
        prop_assert_eq!(opening.read(answer.as_bytes()), Ok(Some(answer.len())));
    }

    #[test]
    fn random_answers_are_endured(
        damages in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        end in any::<prop::sample::Index>(),
    ) {
        let opening = opening("w1", "p");
        let mut answer = handshake::read(opening.request()).unwrap().unwrap().answer().into_bytes();
        let accept = answer.windows(28).position(|window| window.starts_with(b"53tY")).unwrap();
        for (place, byte) in damages {
            let place = place.index(answer.len());
            answer[place] = byte;
        }
        answer.truncate(end.index(answer.len() + 1));
        if let Ok(Some(length)) = opening.read(&answer) {
            prop_assert!(length <= answer.len() && answer[accept..].starts_with(b"53tYlL75Ys/RM1mGs/Lmj+vXdw4="));
        }
    }
}
