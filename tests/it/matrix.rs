//! The same steps by each worker for each master, over both wires, in the clear and through TLS; compared field by field.
//!
//! `buildbot-worker` on Lunabot is what the others are measured by: `lunabot-worker` on Lunabot, and `lunabot-worker` on a master
//! of Buildbot.
//!
//! # Not here
//! What masters tell in words of their own (state lines, which are compared on one master only), the spelling of Python's values in
//! headers, and how long a thing took.

mod faults;
mod resume;
mod steps;

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use self::steps::{Carried, Step};
use crate::support::{
    buildbot_master::{self, BuildbotMaster},
    certificates::Authority,
    listing::listing,
    master::{HEAD, MasterDir},
    real_worker::{self, Kind, Protocol, RealWorker, free_port},
    skip::skip,
};

/// What is spoken, and whether through TLS.
#[derive(Clone, Copy, Debug)]
struct Wire {
    protocol: Protocol,
    through_tls: bool,
}

/// What is seen of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    name: String,
    results: i64,
    /// Of each log the lines of each stream.
    logs: BTreeMap<String, BTreeMap<char, Vec<String>>>,
}

/// What is seen of a build: its steps, and what they brought to the master's disk.
struct Outcome {
    steps: Vec<Seen>,
    /// Lines for people, which each master has in its own words.
    states: Vec<String>,
    files: Vec<String>,
}

/// More than a block, and no text.
fn bytes() -> Vec<u8> {
    (0..300_000_u32).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect()
}

/// Certificates in a folder, and what a worker needs to trust them.
fn certify(dir: &Path) {
    let authority = Authority::new();
    let pair = authority.issue("localhost");
    for (name, text) in [("cert.pem", &pair.cert), ("key.pem", &pair.key), ("ca.pem", &authority.pem)] {
        fs::write(dir.join(name), text).unwrap();
    }
}

/// A worker `w1` that is started.
fn worker(kind: Kind, wire: Wire, port: u16, authorities: &Path) -> RealWorker {
    let options: &[&str] = if wire.through_tls { &["--use-tls"] } else { &[] };
    let mut worker = RealWorker::create_of(kind, wire.protocol, port, "w1", "sesame", options);
    if wire.through_tls {
        worker = worker.trusting(authorities);
    }
    worker.run();
    worker
}

/// The steps on Lunabot.
fn on_lunabot(kind: Kind, wire: Wire, steps: &[Step]) -> Outcome {
    let (port, key) = (free_port(), wire.protocol.key());
    let tls = if wire.through_tls { ", tls = { cert = 'cert.pem', key = 'key.pem' }" } else { "" };
    let dir = MasterDir::new(&format!(
        "{HEAD}c.protocols = {{ {key} = {{ port = {{ port = {port}, interface = '127.0.0.1'{tls} }} }} }}\n\
         c.workers = {{ worker.Worker('w1', 'sesame') }}\n\
         c.builders = {{ util.BuilderConfig {{ name = 'b', workernames = {{ 'w1' }}, \
         factory = util.BuildFactory {{ {} }} }} }}\n\
         c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'b' }}) }}\n",
        steps::lua(steps)
    ));
    fs::write(dir.file("from-master.bin"), bytes()).unwrap();
    certify(dir.path());
    let _master = dir.start();
    let worker = worker(kind, wire, port, &dir.file("ca.pem"));
    worker.wait_attached(1);
    drop(dir.run("force", &["b", "--wait"]));
    let build = dir.builds()[0]["buildid"].clone();
    let found = get(&dir, &format!("/api/v2/builds/{build}/steps"))["steps"].as_array().unwrap().clone();
    let (mut seen, mut states) = (Vec::new(), Vec::new());
    for step in found {
        let mut logs = BTreeMap::new();
        let listed = get(&dir, &format!("/api/v2/steps/{}/logs", step["stepid"]));
        for log in listed["logs"].as_array().unwrap() {
            let text = whole(&dir, &log["logid"]);
            logs.insert(text_of(&log["name"]), streams(&text, log["type"] == "s", worker.path()));
        }
        states.push(text_of(&step["state_string"]));
        seen.push(Seen { name: text_of(&step["name"]), results: step["results"].as_i64().unwrap(), logs });
    }
    Outcome { steps: seen, states, files: tree(&dir.file("out")) }
}

/// The steps on Buildbot; nothing on a wire that it has not.
fn on_buildbot(kind: Kind, wire: Wire, steps: &[Step]) -> Option<Outcome> {
    let port = free_port();
    let protocols = match (wire.protocol, wire.through_tls) {
        (Protocol::Pb, false) => format!("{{'pb': {{'port': 'tcp:{port}:interface=127.0.0.1'}}}}"),
        (Protocol::Pb, true) => format!(
            "{{'pb': {{'port': 'ssl:port={port}:privateKey=key.pem:certKey=cert.pem:interface=127.0.0.1'}}}}"
        ),
        // It takes a number here, and no more.
        (Protocol::Msgpack, true) => return None,
        (Protocol::Msgpack, false) => format!("{{'msgpack_experimental_v7': {{'port': {port}}}}}"),
    };
    let master = BuildbotMaster::start(&protocols, &steps::python(steps), |dir| {
        fs::write(dir.join("from-master.bin"), bytes()).unwrap();
        certify(dir);
    });
    let worker = worker(kind, wire, port, &master.path().join("ca.pem"));
    let build = master.build(1);
    let (mut seen, mut states) = (Vec::new(), Vec::new());
    for step in build["steps"].as_array().unwrap() {
        // What Buildbot does before the first step is a step there.
        if step["name"] == "worker_preparation" {
            continue;
        }
        let mut logs = BTreeMap::new();
        for (name, log) in step["logs"].as_object().unwrap() {
            let text = text_of(&log["text"]);
            logs.insert(name.clone(), streams(&text, log["type"] == "s", worker.path()));
        }
        states.push(text_of(&step["state"]));
        seen.push(Seen { name: text_of(&step["name"]), results: step["results"].as_i64().unwrap(), logs });
    }
    Some(Outcome { steps: seen, states, files: tree(&master.path().join("out")) })
}

/// All lines of a log, however many.
fn whole(dir: &MasterDir, log: &Value) -> String {
    const PAGE: usize = 5000;
    let mut text = String::new();
    loop {
        let offset = text.lines().count();
        let page = get(dir, &format!("/api/v2/logs/{log}/contents?limit={PAGE}&offset={offset}"));
        let lines = page["logchunks"][0]["content"].as_str().unwrap_or_default();
        text.push_str(lines);
        if lines.lines().count() < PAGE {
            return text;
        }
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn get(dir: &MasterDir, path: &str) -> Value {
    let answer = dir.get(path);
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}: {answer}"))
}

/// The lines of each stream of a log. Of a plain log all lines are of one.
fn streams(text: &str, has_streams: bool, place: &Path) -> BTreeMap<char, Vec<String>> {
    let mut streams = BTreeMap::<char, Vec<String>>::new();
    for line in text.split_terminator('\n') {
        let (stream, line) = match line.chars().next() {
            Some(stream) if has_streams => (stream, &line[stream.len_utf8()..]),
            _ => ('t', line),
        };
        let line = line.replace(place.to_str().unwrap(), "PLACE");
        if stream == 'h' && is_own_words(&line) {
            continue;
        }
        let line = match line.split_once("elapsedTime=") {
            Some((before, _)) => format!("{before}elapsedTime=…"),
            None => line,
        };
        streams.entry(stream).or_default().push(line);
    }
    streams.retain(|_, lines| !lines.is_empty());
    streams
}

/// Whether a line of a header has the values of a language in it, which each program writes as its own does.
fn is_own_words(line: &str) -> bool {
    [" argv: ", " watching logfiles", " using PTY: "].iter().any(|begin| line.starts_with(begin))
}

/// All that is in a folder: names, whether they are executable, and bytes.
fn tree(root: &Path) -> Vec<String> {
    listing(root, |mode, bytes| {
        // Random, and as long as it is.
        let content =
            if bytes.len() > 1000 { bytes.len().to_string() } else { bytes.escape_ascii().to_string() };
        format!("{} {content}", mode & 0o100 != 0)
    })
}

/// Compares what two runs saw; of the streams of each log those that are `common`.
fn same(one: (&str, &Outcome), two: (&str, &Outcome), common: &str) {
    let ((first, one), (second, two)) = (one, two);
    let mut differences = Vec::new();
    // Each master has its own words for how a step ended.
    let has_states = common.contains('h');
    for ((a, b), states) in one.steps.iter().zip(&two.steps).zip(one.states.iter().zip(&two.states)) {
        let (a, b) = (compared(a, common), compared(b, common));
        if a != b {
            differences.push(format!("{}: {first}: {a:?}\n{second}: {b:?}", a.name));
        }
        if has_states && states.0 != states.1 && a.name != "missing program" {
            differences.push(format!("{}: {first}: {:?}\n{second}: {:?}", a.name, states.0, states.1));
        }
    }
    let count = differences.len();
    assert!(differences.is_empty(), "{count} steps differ:\n{}", differences.join("\n"));
    assert_eq!(one.steps.len(), two.steps.len(), "{first} and {second}");
    assert_eq!(one.files, two.files, "{first} and {second}");
}

/// What is compared of a step: not what `lunabot-worker` does better on purpose, see `docs/lunabot-worker.md`.
fn compared(step: &Seen, common: &str) -> Seen {
    let mut logs = step.logs.clone();
    for streams in logs.values_mut() {
        streams.retain(|stream, lines| {
            better(&step.name, *stream, lines);
            common.contains(*stream) && !lines.is_empty()
        });
    }
    Seen { name: step.name.clone(), results: step.results, logs }
}

/// Takes out of some lines what `lunabot-worker` does better, and what is chance.
fn better(step: &str, stream: char, lines: &mut Vec<String>) {
    match (step, stream) {
        // Buildbot's worker loses most of a line of more than 4,095 characters on PB; a program that is missing is a traceback of
        // Python's there; and what cannot be opened is told without its reason, or with Python's.
        ("long line", 'o') | ("missing program", _) | ("up missing" | "dir missing", 'e' | 'h') => {
            lines.clear();
        }
        // What a command for folders runs to do its work, and where, is its own matter.
        ("cp" | "cp missing" | "rm" | "rm missing", 'h') => lines.clear(),
        // `cp` tells of files in the order of the folder.
        ("cp", 'o') => lines.sort(),
        _ => {}
    }
}

/// That what is compared is there.
fn sees_something(outcome: &Outcome) {
    let lines = |step: &str, log: &str, stream: char| {
        let step = outcome.steps.iter().find(|seen| seen.name == step).unwrap();
        step.logs[log].get(&stream).cloned().unwrap_or_default()
    };
    assert_eq!(lines("streams", "stdio", 'o'), ["out"]);
    assert_eq!(lines("streams", "stdio", 'e'), ["err"]);
    assert_eq!(lines("log files", "a", 'o'), ["one", "two"]);
    assert_eq!(lines("many lines", "stdio", 'o').len(), 20_000);
    let said = lines("signal", "stdio", 'h');
    for line in [
        " in dir PLACE/b/build (timeout 1200 secs)",
        "process killed by signal 9",
        "program finished with exit code -1",
    ] {
        assert!(said.iter().any(|said| said == line), "{line:?}: {said:#?}");
    }
    assert!(outcome.files.iter().any(|file| file == "odd/dangling -> sub/nowhere"), "{:#?}", outcome.files);
}

/// The three ways over a wire.
fn three_ways(test: &str, wire: Wire) {
    if real_worker::program().is_none() || buildbot_master::program().is_none() {
        skip(test, "LUNABOT_TEST_BUILDBOT or LUNABOT_TEST_BUILDBOT_WORKER is not set");
        return;
    }
    let all = steps::all();
    let theirs = on_lunabot(Kind::Buildbot, wire, &all);
    let ours = on_lunabot(Kind::Lunabot, wire, &all);
    assert_eq!(ours.steps.len(), all.len(), "each step has run");
    sees_something(&ours);
    same(("buildbot-worker on Lunabot", &theirs), ("lunabot-worker on Lunabot", &ours), "hoet");

    let carried = |step: &Step| wire.protocol == Protocol::Pb || step.carried == Carried::Everywhere;
    let steps: Vec<Step> = all.into_iter().filter(carried).collect();
    if let Some(mut there) = on_buildbot(Kind::Lunabot, wire, &steps) {
        assert_eq!(there.steps.len(), steps.len(), "each step has run");
        let mut here = ours;
        let is_carried = |step: &Seen| steps.iter().any(|carried| carried.name == step.name);
        let kept: Vec<bool> = here.steps.iter().map(is_carried).collect();
        let mut keep = kept.iter();
        here.steps.retain(|_| *keep.next().unwrap());
        let mut keep = kept.iter();
        here.states.retain(|_| *keep.next().unwrap());
        // A master keeps what it likes of what it does itself; of a command of the shell it keeps all.
        for ((one, two), step) in here.steps.iter_mut().zip(&mut there.steps).zip(&steps) {
            let has_output =
                |streams: &BTreeMap<char, Vec<String>>| streams.keys().any(|stream| *stream != 'h');
            if step.class == "ShellCommand" {
                one.logs.retain(|_, streams| has_output(streams));
                two.logs.retain(|_, streams| has_output(streams));
            } else {
                one.logs.retain(|name, _| two.logs.get(name).is_some_and(has_output));
                two.logs.retain(|name, streams| has_output(streams) && one.logs.contains_key(name));
            }
        }
        same(("lunabot-worker on Lunabot", &here), ("lunabot-worker on Buildbot", &there), "oet");
    }
}

#[test]
fn all_do_the_same_over_pb() {
    three_ways("all_do_the_same_over_pb", Wire { protocol: Protocol::Pb, through_tls: false });
}

#[test]
fn all_do_the_same_over_pb_through_tls() {
    three_ways("all_do_the_same_over_pb_through_tls", Wire { protocol: Protocol::Pb, through_tls: true });
}

#[test]
fn all_do_the_same_over_msgpack() {
    three_ways("all_do_the_same_over_msgpack", Wire { protocol: Protocol::Msgpack, through_tls: false });
}

#[test]
fn all_do_the_same_over_msgpack_through_tls() {
    let wire = Wire { protocol: Protocol::Msgpack, through_tls: true };
    three_ways("all_do_the_same_over_msgpack_through_tls", wire);
}
