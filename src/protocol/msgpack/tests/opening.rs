//! From the request that opens a connection to a worker that is attached.

use std::{collections::BTreeSet, fs};

use super::{
    super::handshake::{self, HandshakeError, MAX_HEAD_BYTES},
    rendering::rendered,
    *,
};

#[test]
fn each_recorded_message_is_read_as_its_text_says() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/msgpack");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let names: BTreeSet<_> =
        files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert!(names.len() >= 20, "{names:?}");
    for name in names {
        let bytes = recorded(&name);
        let text = fs::read_to_string(format!("{folder}/{name}.txt")).unwrap();
        let wanted: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        if name == "request" {
            let text = String::from_utf8(bytes).unwrap();
            assert_eq!(text.trim_end().lines().collect::<Vec<_>>(), wanted, "{name}");
        } else {
            let value = frame::decode(&bytes).unwrap().to_owned();
            assert_eq!([rendered(&value).as_str()], *wanted, "{name}");
            assert_eq!(written(&value), bytes, "{name}");
        }
    }
}

#[test]
fn the_request_of_a_real_worker_is_understood_however_it_is_cut() {
    let request = recorded("request");
    for end in 0..request.len() {
        assert_eq!(handshake::read(&request[..end]), Ok(None), "{end} bytes");
    }
    let upgrade = handshake::read(&request).unwrap().expect("it is complete");
    assert_eq!((upgrade.name.as_str(), upgrade.password.expose()), ("w1", "pass:1"));
    let answer = upgrade.answer();
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert!(answer.contains("\r\nSec-WebSocket-Accept: 53tYlL75Ys/RM1mGs/Lmj+vXdw4=\r\n"), "{answer}");
    assert!(!answer.contains("Protocol:") && !answer.contains("Extensions:"), "{answer}");
    assert!(!format!("{upgrade:?}").contains("pass:1"));
}

#[test]
fn a_request_that_opens_nothing_is_told_from_others() {
    let request = String::from_utf8(recorded("request")).unwrap();
    let cases = [
        (request.replace("Basic dzE6cGFzczox", "Basic !!"), HandshakeError::Credentials),
        (request.replace("Basic dzE6cGFzczox", "Basic dzE="), HandshakeError::Credentials),
        (request.replace("Basic dzE6cGFzczox", "Basic /////w=="), HandshakeError::Credentials),
        (request.replace("Basic dzE6", "Bearer dzE6"), HandshakeError::Credentials),
        (request.replace("Authorization", "X-Authorization"), HandshakeError::NoCredentials),
        (request.replace("Upgrade: WebSocket\r\n", ""), HandshakeError::NoUpgrade),
        (request.replace("Connection: Upgrade", "Connection: close"), HandshakeError::NoUpgrade),
        ("GET /api/v2/workers HTTP/1.1\r\nHost: x\r\n\r\n".into(), HandshakeError::NoUpgrade),
        (request.replace("GET /", "POST /"), HandshakeError::Malformed("it is no `GET` of HTTP/1.1")),
        (request.replace("HTTP/1.1", "HTTP/1.0"), HandshakeError::Malformed("it is no `GET` of HTTP/1.1")),
        (request.replace("Version: 13", "Version: 8"), HandshakeError::Malformed("its version is not 13")),
        (request.replace("yv7tyxY+ILRo6K8", "yv7t"), HandshakeError::Malformed("its key is not 16 bytes")),
        (format!("{request}x"), HandshakeError::Malformed("it goes on before it is answered")),
        // The first bytes of a worker on the other wire, of HTTP/0.9, of TLS.
        ("\u{2}\u{82}pb".into(), HandshakeError::NoHttp),
        ("GET /\r\n\r\n".into(), HandshakeError::NoHttp),
        ("\u{16}\u{3}\u{1}\u{2}".into(), HandshakeError::NoHttp),
        (format!("GET /{} HTTP/1.1\r\n", "x".repeat(MAX_HEAD_BYTES)), HandshakeError::TooLong),
        (format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100)), HandshakeError::TooLong),
    ];
    for (request, wanted) in cases {
        assert_eq!(handshake::read(request.as_bytes()), Err(wanted), "{request}");
        let answer = wanted.answer();
        let status = if wanted == HandshakeError::NoCredentials { " 401 " } else { " 400 " };
        assert!(answer.contains(status) && answer.ends_with("\r\n\r\n"), "{answer}");
    }
    let elsewhere = request.replace("GET / ", "GET /some/path?x=y ").replace("Basic", "basic");
    assert!(handshake::read(elsewhere.as_bytes()).unwrap().is_some());
}

#[test]
fn a_real_worker_is_greeted_and_asked_in_order_and_its_facts_are_told() {
    let mut pair = Pair::new();
    pair.listen();
    let ops: Vec<_> = pair.asked.iter().map(|asked| asked["op"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ops, ["print", "get_worker_info"]);
    assert_eq!(pair.asked[0]["message"], "attached".into());
    pair.asked.clear();
    pair.master.handle_message(&recorded("print_answer")).unwrap();
    pair.master.handle_message(&recorded("worker_info")).unwrap();
    let settings = pair.request("set_worker_settings")["args"].clone();
    assert_eq!(settings["buffer_size"], 65_536.into());
    assert_eq!(settings["buffer_timeout"], 0.2.into());
    assert_eq!(settings["max_line_length"], 1_048_576.into());
    assert!(settings["newline_re"].as_str().unwrap().contains(r"\r\n"));
    let [FromWorker::Hello(facts)] = &pair.news()[..] else { panic!("one greeting") };
    assert_eq!(facts.text("version"), Some("4.3.0"));
    assert_eq!(facts.text("basedir"), Some("/tmp/bot"));
    assert_eq!(facts.0["numcpus"], 2);
    assert_eq!(facts.0["worker_commands"]["upload_file"], "3.3");
    assert!(!facts.0.contains_key("environ"));
}

#[test]
fn what_a_worker_tells_of_its_environment_is_shown_nowhere() {
    let mut pair = Pair::introduced(info());
    let events = pair.events();
    let shown = format!("{:?} {events:?}", pair.master);
    assert!(!shown.contains("sesame") && !shown.contains("/home/me"), "{shown}");
}

#[test]
fn a_worker_that_does_not_say_where_it_is_cannot_be_used() {
    let nameless = [
        Value::Nil,
        map([("system", "posix".into())]),
        map([("basedir", "".into())]),
        map([("basedir", 3.into())]),
    ];
    for info in nameless {
        let mut pair = Pair::new();
        let request = pair.request("get_worker_info");
        let seq = request["seq_number"].clone();
        let answer = map([("op", "response".into()), ("seq_number", seq), ("result", info)]);
        let error = pair.master.handle_message(&written(&answer)).expect_err("it says too little");
        assert!(matches!(error, MsgpackError::Nameless { .. }), "{error}");
    }
}

#[test]
fn an_answer_is_an_exception_by_the_presence_of_the_word() {
    let mut pair = Pair::new();
    let request = pair.request("get_worker_info");
    let answer = map([
        ("op", "response".into()),
        ("seq_number", request["seq_number"].clone()),
        ("result", "no such file".into()),
        ("is_exception", false.into()),
    ]);
    let error = pair.master.handle_message(&written(&answer)).expect_err("it is one");
    assert!(error.to_string().contains("no such file"), "{error}");
}
