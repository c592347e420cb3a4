//! A worker's session against the master's, against what a real worker said, and against a master that is made here message
//! by message.

mod commands;
mod hostile;
mod news;
mod opening;
mod recorded;
mod requests;
mod resume;
mod transfers;

use std::time::Duration;

use rmpv::Value;
use serde_json::json;

use super::{
    super::{
        session::{MasterSession, SessionEvent},
        tests::{list, map, recorded, rendering::rendered, written},
    },
    *,
};
use crate::{
    model::LogStream,
    protocol::{Transfer, Update, WorkerCommand},
};

/// A moment, so many milliseconds after the first.
fn at(begin: Instant, milliseconds: u32) -> Now {
    let after = Duration::from_millis(milliseconds.into());
    Now { instant: begin + after, epoch: 1e9 + after.as_secs_f64() }
}

/// What a worker in `/w` says of itself.
fn facts() -> WorkerInfo {
    let facts = json!({
        "basedir": "/w", "system": "posix", "numcpus": 2, "version": "0.1.0", "load": 0.5, "negative": -3,
        "environ": { "HOME": "/home/me", "TOKEN": "sesame" },
    });
    WorkerInfo(serde_json::from_value(facts).unwrap())
}

fn output(id: &str, stream: LogStream, text: &str) -> FromWorker {
    news(id, Update::Output { stream, bytes: Bytes::copy_from_slice(text.as_bytes()) })
}

fn news(id: &str, update: Update) -> FromWorker {
    FromWorker::Update { id: CommandId::new(id), update }
}

fn moved(id: &str, transfer: Transfer) -> FromWorker {
    FromWorker::Transfer { id: CommandId::new(id), transfer }
}

fn complete(id: &str, failure: Option<&str>) -> FromWorker {
    FromWorker::Complete { id: CommandId::new(id), failure: failure.map(str::to_owned) }
}

fn interrupt(id: &str, why: &str) -> BotEvent {
    BotEvent::Order(ToWorker::Interrupt { id: CommandId::new(id), why: why.into() })
}

fn reply(id: &str, reply: TransferReply) -> BotEvent {
    BotEvent::Order(ToWorker::Reply { id: CommandId::new(id), reply })
}

/// A worker's session, and a master at its other end that says what a test has it say.
struct Talk {
    bot: BotSession,
    begin: Instant,
    next_seq: u64,
    /// What the worker was answered.
    answers: Vec<Value>,
    /// What it asked, and was not looked at.
    asked: Vec<Value>,
}

impl Talk {
    fn new() -> Self {
        let mut talk = Self {
            bot: BotSession::new(facts()),
            begin: Instant::now(),
            next_seq: 0,
            answers: vec![],
            asked: vec![],
        };
        let own = BuilderFolder { builder: "".into(), folder: ".".into() };
        assert_eq!(talk.events(), [BotEvent::Order(ToWorker::SetBuilders(vec![own]))]);
        talk
    }

    /// With a command of this kind running under this id.
    fn with(id: &str, name: &str, arguments: Value) -> Self {
        let mut talk = Self::new();
        talk.start(id, name, arguments);
        talk
    }

    fn start(&mut self, id: &str, name: &str, arguments: Value) -> WorkerCommand {
        let fields = vec![("command_id", id.into()), ("command_name", name.into()), ("args", arguments)];
        assert_eq!(self.ask("start_command", fields), Ok(Value::Nil));
        match self.events().pop() {
            Some(BotEvent::Order(ToWorker::Start { id: started, builder, command })) => {
                assert_eq!((started.as_str(), &*builder), (id, ""));
                command
            }
            other => panic!("{other:?}"),
        }
    }

    fn hear(&mut self, message: &Value) {
        self.bot.hear(&written(message)).unwrap();
    }

    fn say(&mut self, message: FromWorker, milliseconds: u32) {
        self.bot.say(message, at(self.begin, milliseconds));
    }

    fn events(&mut self) -> Vec<BotEvent> {
        std::iter::from_fn(|| self.bot.poll_event()).collect()
    }

    /// Takes what the worker says.
    fn listen(&mut self) {
        while let Some(payload) = self.bot.poll_output() {
            let message = rmpv::decode::read_value(&mut payload.as_ref()).unwrap();
            if message["op"] == "response".into() {
                self.answers.push(message);
            } else {
                self.asked.push(message);
            }
        }
    }

    /// Asks the worker for something: what it answers, or its exception.
    fn ask(&mut self, op: &str, mut fields: Vec<(&str, Value)>) -> Result<Value, String> {
        let seq = self.next_seq;
        self.next_seq += 1;
        fields.extend([("op", op.into()), ("seq_number", seq.into())]);
        self.hear(&Value::Map(fields.into_iter().map(|(key, value)| (key.into(), value)).collect()));
        self.listen();
        let answers: Vec<_> = std::mem::take(&mut self.answers);
        let [answer] = &answers[..] else { panic!("one answer, not {answers:?}") };
        assert_eq!(answer["seq_number"], seq.into());
        let is_exception =
            answer.as_map().unwrap().iter().any(|(key, _)| key.as_str() == Some("is_exception"));
        if is_exception {
            return Err(answer["result"].as_str().unwrap().to_owned());
        }
        Ok(answer["result"].clone())
    }

    /// The next request of the worker, if there is one.
    fn request(&mut self) -> Option<Value> {
        self.listen();
        (!self.asked.is_empty()).then(|| self.asked.remove(0))
    }

    /// The operations that the worker asks for and that were not looked at.
    fn ops(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.request())
            .map(|request| request["op"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Answers a request of the worker.
    fn answer(&mut self, request: &Value, result: Value) {
        let seq = request["seq_number"].clone();
        self.hear(&map([("op", "response".into()), ("seq_number", seq), ("result", result)]));
    }

    /// Answers it by an exception.
    fn except(&mut self, request: &Value, why: &str) {
        let seq = request["seq_number"].clone();
        self.hear(&map([
            ("op", "response".into()),
            ("seq_number", seq),
            ("result", why.into()),
            ("is_exception", true.into()),
        ]));
    }

    /// Takes the next request, which is this one, and answers it.
    fn take(&mut self, op: &str) -> Value {
        let request = self.request().unwrap_or_else(|| panic!("no {op}"));
        assert_eq!(request["op"], op.into(), "{request}");
        self.answer(&request, Value::Nil);
        request
    }
}

/// A worker's session and a master's, with nothing between them.
struct Pair {
    bot: BotSession,
    master: MasterSession,
    begin: Instant,
    heard: Vec<BotEvent>,
    told: Vec<SessionEvent>,
}

impl Pair {
    /// With a builder `b1`, whose folder `/w/b1-dir` was made.
    fn attached() -> Self {
        let mut pair = Self {
            bot: BotSession::new(facts()),
            master: MasterSession::new("link"),
            begin: Instant::now(),
            heard: vec![],
            told: vec![],
        };
        let builder = BuilderFolder { builder: "b1".into(), folder: "b1-dir".into() };
        pair.order(ToWorker::SetBuilders(vec![builder]));
        let made = pair.heard.iter().find_map(|event| match event {
            BotEvent::Order(ToWorker::Start {
                id, command: WorkerCommand::MakeDirectory { dirs }, ..
            }) => Some((id.as_str().to_owned(), dirs.clone())),
            _ => None,
        });
        let (id, dirs) = made.expect("the master has the builder's folder made");
        assert_eq!(dirs, ["/w/b1-dir"]);
        pair.say(news(&id, Update::Rc(0)));
        pair.say(complete(&id, None));
        assert!(pair.told.contains(&SessionEvent::Attached), "{:?}", pair.told);
        assert!(pair.heard.contains(&BotEvent::Attached), "{:?}", pair.heard);
        assert!(pair.heard.contains(&BotEvent::Printed("attached".into())), "{:?}", pair.heard);
        let SessionEvent::Message(FromWorker::Hello(info)) = &pair.told[0] else { panic!("{:?}", pair.told) };
        let kept: Vec<_> = info.0.keys().map(String::as_str).collect();
        assert_eq!(
            kept,
            [
                "basedir",
                "delete_leftover_dirs",
                "load",
                "negative",
                "numcpus",
                "system",
                "version",
                "worker_commands"
            ]
        );
        (pair.heard, pair.told) = (vec![], vec![]);
        pair
    }

    fn order(&mut self, order: ToWorker) {
        self.master.handle_order(order).unwrap();
        self.exchange();
    }

    fn say(&mut self, message: FromWorker) {
        self.bot.say(message, at(self.begin, 0));
        self.exchange();
    }

    /// What is gathered is due, and goes.
    fn tick(&mut self) {
        self.bot.tick(at(self.begin, 1000));
        self.exchange();
    }

    /// Carries everything to the other side, until both are silent.
    fn exchange(&mut self) {
        loop {
            let mut is_silent = true;
            while let Some(payload) = self.master.poll_output() {
                self.bot.hear(&payload).unwrap();
                is_silent = false;
            }
            while let Some(payload) = self.bot.poll_output() {
                self.master.handle_message(&payload).unwrap();
                is_silent = false;
            }
            self.heard.extend(std::iter::from_fn(|| self.bot.poll_event()));
            self.told.extend(std::iter::from_fn(|| self.master.poll_event()));
            if is_silent {
                assert_eq!((self.bot.output_len(), self.master.output_len()), (0, 0));
                return;
            }
        }
    }

    /// Starts a command on `b1`: what the worker is told to run.
    fn start(&mut self, id: &str, command: WorkerCommand) -> WorkerCommand {
        self.order(ToWorker::Start { id: CommandId::new(id), builder: "b1".into(), command });
        match self.heard.pop() {
            Some(BotEvent::Order(ToWorker::Start { id: started, builder, command })) => {
                assert_eq!((started.as_str(), &*builder), (id, ""));
                command
            }
            other => panic!("{other:?}; {:?}", self.told),
        }
    }

    /// What the master was told meanwhile.
    fn told(&mut self) -> Vec<FromWorker> {
        let message = |event| match event {
            SessionEvent::Message(message) => message,
            SessionEvent::Attached => panic!("it is attached already"),
        };
        std::mem::take(&mut self.told).into_iter().map(message).collect()
    }
}
