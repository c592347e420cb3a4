//! Bytes that a real master and a real worker exchanged.

use std::{collections::BTreeSet, fs};

use bytes::Bytes;

use super::{
    super::{encoder::Encoder, jelly},
    *,
};

#[test]
fn each_recorded_exchange_is_read_as_its_text_says_and_written_as_it_was() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/pb");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let names: BTreeSet<_> =
        files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert!(names.len() >= 16, "{names:?}");
    for name in names {
        let bytes = recorded(&name);
        let text = fs::read_to_string(format!("{folder}/{name}.txt")).unwrap();
        let wanted: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let read = expressions(&bytes);
        assert_eq!(read.iter().map(ToString::to_string).collect::<Vec<_>>(), wanted, "{name}");
        let mut encoder = Encoder::default();
        encoder.use_words();
        for expression in &read {
            encoder.sexp(expression);
        }
        assert_eq!(encoder.take().unwrap(), bytes, "{name}");
    }
}

/// What `master` says, against what a master of Buildbot said.
fn says(master: &mut MasterSession, recordings: &[&str]) {
    let wanted: Vec<u8> = recordings.iter().flat_map(|name| recorded(name)).collect();
    let said = master.poll_output().unwrap_or_default();
    assert_eq!(said, wanted, "{:?}", expressions(&said).iter().map(ToString::to_string).collect::<Vec<_>>());
}

#[test]
fn the_master_of_an_attach_says_what_buildbot_says() {
    let mut master = MasterSession::new(CHALLENGE);
    says(&mut master, &["dialects"]);
    master.handle_input(&[recorded("choice"), recorded("login")].concat()).unwrap();
    says(&mut master, &["challenge"]);
    master.handle_input(&[recorded("respond"), recorded("decref_challenger")].concat()).unwrap();
    let Some(SessionEvent::Login(attempt)) = master.poll_event() else { panic!("nobody asked to be let in") };
    assert_eq!(attempt.name, "w1");
    assert!(attempt.proves(&Secret::new("pass1")));
    master.accept_login();
    says(&mut master, &["print_attached", "worker_info"]);
    master.handle_input(&recorded("print_answer")).unwrap();
    let info = jelly_answer(2, &Value::dict([("admin", Value::text("me"))]));
    master.handle_input(&info).unwrap();
    assert!(matches!(master.poll_event(), Some(SessionEvent::Message(FromWorker::Hello(_)))));
    let mut builders = vec![];
    for (builder, folder) in [("b1", "bd1"), ("b2", "b2")] {
        builders.push(BuilderFolder { builder: builder.into(), folder: folder.into() });
    }
    master.handle_order(ToWorker::SetBuilders(builders));
    let list = expressions(&master.poll_output().unwrap());
    assert_eq!(
        list.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["(<message> 3 1 'setBuilderList' 1 (<tuple> (<list> (<tuple> ('unicode' 'b1') ('unicode' 'bd1')) \
          (<tuple> ('unicode' 'b2') ('unicode' 'b2')))) (<dictionary>))"]
    );
    master.handle_input(&recorded("builders_answer")).unwrap();
    says(&mut master, &["avatar"]);
    assert_eq!(master.poll_event(), Some(SessionEvent::Attached));
    master.handle_input(&recorded("keepalive")).unwrap();
    let said = master.poll_output().unwrap();
    assert_eq!(said, jelly_answer(3, &Value::None));
    assert_eq!(master.poll_event(), None);
}

/// The bytes of an answer.
fn jelly_answer(request: i64, value: &Value) -> Bytes {
    let mut encoder = Encoder::default();
    encoder.use_words();
    encoder.list(3);
    encoder.bytes(b"answer");
    encoder.int(request);
    jelly::encode(value, &mut encoder);
    encoder.take().unwrap()
}

#[test]
fn a_start_is_what_buildbot_sends() {
    let mut pair = Pair::attached(&["b1"]);
    pair.master.handle_order(start("1", "b1"));
    let said = expressions(&pair.master.poll_output().unwrap());
    let wanted = "(<message> 4 2 'startCommand' 1 (<tuple> (<remote> 3) ('unicode' '1') ('unicode' 'shell') \
        (<dictionary> (('unicode' 'workdir') ('unicode' 'build')) (('unicode' 'env') (<dictionary>)) \
        (('unicode' 'want_stdout') ('boolean' 'true')) (('unicode' 'want_stderr') ('boolean' 'true')) \
        (('unicode' 'logfiles') (<dictionary>)) (('unicode' 'timeout') 1200) (('unicode' 'maxTime') (<None>)) \
        (('unicode' 'max_lines') (<None>)) (('unicode' 'sigtermTime') (<None>)) (('unicode' 'usePTY') \
        ('boolean' 'false')) (('unicode' 'logEnviron') ('boolean' 'false')) (('unicode' 'initial_stdin') (<None>)) \
        (('unicode' 'interruptSignal') ('unicode' 'KILL')) (('unicode' 'command') ('unicode' 'echo string; exit 3')))) \
        (<dictionary>))";
    assert_eq!(said.iter().map(ToString::to_string).collect::<Vec<_>>(), [wanted]);
}
