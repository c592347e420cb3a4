//! A session against what a real worker said, and against a worker that is made here message by message.

mod commands;
mod folders;
mod hostile;
mod opening;
pub(super) mod rendering;
mod resume;

use rmpv::Value;

use super::*;
use crate::protocol::{
    CommandId, FromWorker, ShellArguments, ToWorker, WorkerCommand, message::BuilderFolder,
};

/// A session, and the worker at its other end.
struct Pair {
    master: MasterSession,
    /// What the worker was asked and has not answered.
    asked: Vec<Value>,
    /// What it was answered.
    answers: Vec<Value>,
    next_seq: u64,
}

/// A map of msgpack.
pub(super) fn map<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Map(fields.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

pub(super) fn list<const N: usize>(items: [Value; N]) -> Value {
    Value::Array(items.into())
}

pub(super) fn written(value: &Value) -> Vec<u8> {
    let mut payload = Vec::new();
    rmpv::encode::write_value(&mut payload, value).unwrap();
    payload
}

/// The recorded bytes of a file in `tests/wire/msgpack`.
pub(super) fn recorded(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/msgpack");
    let text = std::fs::read_to_string(format!("{folder}/{name}.hex")).unwrap();
    text.split_whitespace().map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect()
}

/// What a worker in `/w` says of itself.
fn info() -> Value {
    map([
        ("basedir", "/w".into()),
        ("system", "posix".into()),
        ("numcpus", 2.into()),
        ("delete_leftover_dirs", 0.into()),
        ("environ", map([("HOME", "/home/me".into()), ("TOKEN", "sesame".into())])),
        ("worker_commands", map([("shell", "3.3".into())])),
    ])
}

impl Pair {
    fn new() -> Self {
        Self { master: MasterSession::new("link"), asked: vec![], answers: vec![], next_seq: 0 }
    }

    /// A worker that has said this of itself.
    fn introduced(info: Value) -> Self {
        let mut pair = Self::new();
        pair.answer("print", Value::Nil);
        pair.answer("get_worker_info", info);
        pair.answer("set_worker_settings", Value::Nil);
        pair
    }

    /// A worker with these builders, whose folders are made. Its greeting is heard.
    fn attached(builders: &[&str]) -> Self {
        let mut pair = Self::introduced(info());
        pair.order(set_builders(builders));
        pair.done("mkdir", 0);
        assert!(pair.events().contains(&SessionEvent::Attached));
        pair
    }

    fn order(&mut self, order: ToWorker) {
        self.master.handle_order(order).unwrap();
    }

    /// Takes what the master says.
    fn listen(&mut self) {
        while let Some(payload) = self.master.poll_output() {
            let message = rmpv::decode::read_value(&mut payload.as_ref()).unwrap();
            if message["op"] == "response".into() {
                self.answers.push(message);
            } else {
                self.asked.push(message);
            }
        }
        assert_eq!(self.master.output_len(), 0);
    }

    /// The next request of this kind, which is taken: an operation, or the name of a command.
    fn request(&mut self, kind: &str) -> Value {
        self.listen();
        let is_it = |asked: &Value| asked["op"] == kind.into() || asked["command_name"] == kind.into();
        let at = self.asked.iter().position(is_it);
        let at = at.unwrap_or_else(|| panic!("no {kind} in {:?}", self.asked));
        self.asked.remove(at)
    }

    /// Nothing was asked but what was taken.
    fn asked_nothing(&mut self) -> bool {
        self.listen();
        self.asked.is_empty()
    }

    /// Answers the next request of this kind.
    fn answer(&mut self, kind: &str, result: Value) {
        let request = self.request(kind);
        self.answer_to(&request, result);
    }

    fn answer_to(&mut self, request: &Value, result: Value) {
        let answer = map([
            ("op", "response".into()),
            ("seq_number", request["seq_number"].clone()),
            ("result", result),
        ]);
        self.say(&answer);
    }

    fn say(&mut self, message: &Value) {
        self.master.handle_message(&written(message)).unwrap();
    }

    /// The worker asks for something about a command; what it is answered.
    fn call(&mut self, op: &str, id: &str, mut fields: Vec<(&str, Value)>) -> Option<Value> {
        let seq = self.next_seq;
        self.next_seq += 1;
        fields.extend([("op", op.into()), ("command_id", id.into()), ("seq_number", seq.into())]);
        self.say(&Value::Map(fields.into_iter().map(|(key, value)| (key.into(), value)).collect()));
        self.answer_of(seq)
    }

    /// What the worker was answered to its request of this number, once.
    fn answer_of(&mut self, seq: u64) -> Option<Value> {
        self.listen();
        let at = self.answers.iter().position(|answer| answer["seq_number"] == seq.into())?;
        Some(self.answers.remove(at))
    }

    /// News of a command.
    fn update(&mut self, id: &str, key: &str, value: Value) {
        let answer = self.call("update", id, vec![("args", list([list([key.into(), value])]))]).unwrap();
        assert_eq!((&answer["result"], is_exception(&answer)), (&Value::Nil, false));
    }

    fn complete(&mut self, id: &str, failure: Value) {
        let answer = self.call("complete", id, vec![("args", failure)]).unwrap();
        assert!(!is_exception(&answer));
    }

    /// The next command of this name starts and ends with this exit code; its arguments.
    fn done(&mut self, name: &str, rc: i32) -> Value {
        self.done_with(name, rc, None)
    }

    /// The same with news before the exit code.
    fn done_with(&mut self, name: &str, rc: i32, news: Option<(&str, Value)>) -> Value {
        let start = self.request(name);
        let id = start["command_id"].as_str().unwrap().to_owned();
        if let Some((key, value)) = news {
            self.update(&id, key, value);
        }
        self.update(&id, "rc", rc.into());
        self.complete(&id, Value::Nil);
        // As a worker does it with commands that are over at once: the answer comes last.
        self.answer_to(&start, Value::Nil);
        start["args"].clone()
    }

    fn events(&mut self) -> Vec<SessionEvent> {
        std::iter::from_fn(|| self.master.poll_event()).collect()
    }

    /// What the worker said, all of it until now.
    fn news(&mut self) -> Vec<FromWorker> {
        let news = |event| match event {
            SessionEvent::Message(message) => Some(message),
            SessionEvent::Attached => None,
        };
        self.events().into_iter().filter_map(news).collect()
    }
}

/// As a worker finds out: by the key alone.
fn is_exception(answer: &Value) -> bool {
    answer.as_map().unwrap().iter().any(|(key, _)| key.as_str() == Some("is_exception"))
}

fn set_builders(builders: &[&str]) -> ToWorker {
    let folder = |name: &&str| BuilderFolder { builder: (*name).into(), folder: format!("{name}-dir") };
    ToWorker::SetBuilders(builders.iter().map(folder).collect())
}

fn start_with(id: &str, builder: &str, command: WorkerCommand) -> ToWorker {
    ToWorker::Start { id: CommandId::new(id), builder: builder.into(), command }
}

fn start(id: &str, builder: &str) -> ToWorker {
    start_with(id, builder, WorkerCommand::Shell(Box::new(ShellArguments::sample("make"))))
}

fn completed(id: &str, failure: Option<&str>) -> FromWorker {
    FromWorker::Complete { id: CommandId::new(id), failure: failure.map(str::to_owned) }
}
