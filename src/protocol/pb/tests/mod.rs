//! Both ends of the conversation, held in one hand.

mod attach;
mod builders;
mod commands;
mod laws;
mod limits;
mod logs;
mod old_workers;
mod transfers;
mod vectors;
mod verbs;
mod words;

use std::sync::Arc;

use bytes::Bytes;

use super::{
    LoginAttempt, MasterSession, PbError, SessionEvent, StartedCommand, WorkerEvent, WorkerSession,
    auth::Challenge,
    banana::{Decoder, Limits, Sexp},
    jelly::Value,
};
use crate::{
    model::{LogStream, Secret, WorkerInfo},
    protocol::{
        CommandId, FromWorker, ShellArguments, ToWorker, Update, WorkerCommand, command::ShellLine,
        message::BuilderFolder,
    },
};

/// The challenge of the recorded exchange.
const CHALLENGE: Challenge =
    [0x83, 0x20, 0x66, 0xe3, 0x6e, 0x65, 0x84, 0x1e, 0x3c, 0x5e, 0x70, 0xea, 0x9d, 0x87, 0xf5, 0xe9];

/// What a worker of today knows on this wire.
const COMMANDS: [&str; 11] = [
    "shell",
    "uploadFile",
    "uploadDirectory",
    "downloadFile",
    "mkdir",
    "rmdir",
    "cpdir",
    "stat",
    "glob",
    "listdir",
    "rmfile",
];

/// A master and a worker with nothing between them.
struct Pair {
    master: MasterSession,
    worker: WorkerSession,
    /// What the master's session told, but logins, which are judged by the password `pass1`.
    events: Vec<SessionEvent>,
    /// What the worker saw.
    seen: Vec<WorkerEvent>,
    /// Each direction is cut into pieces of this length.
    cut: usize,
}

impl Pair {
    fn new(password: &str) -> Self {
        Self::with_commands(password, &COMMANDS.map(|name| (name, "3.3")))
    }

    /// A worker that tells these versions of its commands.
    fn with_commands(password: &str, commands: &[(&'static str, &'static str)]) -> Self {
        let commands = commands.iter().map(|(name, version)| (Value::text(*name), Value::text(*version)));
        let info = Value::dict([
            ("admin", Value::text("Your Name\n")),
            ("numcpus", Value::Int(2)),
            ("version", Value::text("4.3.0")),
            ("environ", Value::dict([("TOKEN", Value::text("sesame"))])),
            ("worker_commands", Value::Dict(commands.collect())),
        ]);
        Self {
            master: MasterSession::new(CHALLENGE),
            worker: WorkerSession::new("w1", Secret::new(password), info),
            events: Vec::new(),
            seen: Vec::new(),
            cut: usize::MAX,
        }
    }

    /// A worker that is attached, with these builders in folders of the same name; what was seen of it is forgotten.
    fn attached(builders: &[&str]) -> Self {
        Self::new("pass1").attach(builders)
    }

    fn attach(mut self, builders: &[&str]) -> Self {
        self.exchange();
        self.order(set_builders(builders));
        assert!(self.worker.is_attached(), "{:?}", self.seen);
        self.forget();
        self
    }

    fn forget(&mut self) {
        self.events.clear();
        self.seen.clear();
    }

    fn order(&mut self, order: ToWorker) {
        self.master.handle_order(order);
        self.exchange();
    }

    fn start(&mut self, id: &str, builder: &str) {
        self.order(start(id, builder));
    }

    /// Starts any command as `1` on the builder `b1`.
    fn begin(&mut self, command: WorkerCommand) -> StartedCommand {
        self.order(ToWorker::Start { id: CommandId::new("1"), builder: "b1".into(), command });
        let mut started = self.started();
        self.worker.accept(&mut started);
        self.exchange();
        started
    }

    /// The command that the worker was asked to start last.
    fn started(&mut self) -> StartedCommand {
        let place = self.seen.iter().rposition(|event| matches!(event, WorkerEvent::Started(_)));
        let WorkerEvent::Started(command) = self.seen.remove(place.expect("a command was started")) else {
            unreachable!("it was found as one");
        };
        command
    }

    fn update(&mut self, object: i64, news: Value) {
        self.worker.update(object, vec![(news, 0)]).expect("it is short");
    }

    /// Carries bytes until both ends are silent.
    fn exchange(&mut self) {
        self.try_exchange().expect("both are honest");
    }

    fn try_exchange(&mut self) -> Result<(), PbError> {
        loop {
            let (to_worker, to_master) = (self.master.poll_output(), self.worker.poll_output());
            if to_worker.is_none() && to_master.is_none() {
                return Ok(());
            }
            for piece in to_worker.unwrap_or_default().chunks(self.cut) {
                self.worker.handle_input(piece)?;
            }
            for piece in to_master.unwrap_or_default().chunks(self.cut) {
                self.master.handle_input(piece)?;
                self.take_events();
            }
            while let Some(event) = self.worker.poll_event() {
                self.seen.push(event);
            }
        }
    }

    fn take_events(&mut self) {
        while let Some(event) = self.master.poll_event() {
            match event {
                SessionEvent::Login(attempt)
                    if attempt.name == "w1" && attempt.proves(&Secret::new("pass1")) =>
                {
                    self.master.accept_login();
                }
                SessionEvent::Login(_) => self.master.refuse_login(),
                other => self.events.push(other),
            }
        }
    }

    /// What came of commands, all of it until now.
    fn news(&mut self) -> Vec<FromWorker> {
        self.take_events();
        let news = |event| match event {
            SessionEvent::Message(message) => Some(message),
            SessionEvent::Login(_) | SessionEvent::Attached => None,
        };
        self.events.drain(..).filter_map(news).collect()
    }

    /// The lists of builders that the worker was told.
    fn lists(&self) -> Vec<Vec<&str>> {
        let lists = self.seen.iter().filter_map(|event| match event {
            WorkerEvent::Builders(list) => Some(list),
            _ => None,
        });
        lists.map(|list| list.iter().map(|(name, _)| name.as_str()).collect()).collect()
    }
}

fn set_builders(builders: &[&str]) -> ToWorker {
    let folder = |name: &&str| BuilderFolder { builder: Arc::from(*name), folder: (*name).to_owned() };
    ToWorker::SetBuilders(builders.iter().map(folder).collect())
}

fn start(id: &str, builder: &str) -> ToWorker {
    start_with(id, builder, shell("echo string; exit 3"))
}

fn start_with(id: &str, builder: &str, arguments: ShellArguments) -> ToWorker {
    ToWorker::Start {
        id: CommandId::new(id),
        builder: builder.into(),
        command: WorkerCommand::Shell(Box::new(arguments)),
    }
}

fn shell(line: &str) -> ShellArguments {
    ShellArguments { timeout: Some(std::time::Duration::from_secs(1200)), ..ShellArguments::sample(line) }
}

fn complete(id: &str, failure: Option<&str>) -> FromWorker {
    FromWorker::Complete { id: CommandId::new(id), failure: failure.map(str::to_owned) }
}

fn update(id: &str, update: Update) -> FromWorker {
    FromWorker::Update { id: CommandId::new(id), update }
}

fn output(stream: LogStream, text: &'static str) -> Update {
    Update::Output { stream, bytes: Bytes::from_static(text.as_bytes()) }
}

/// All expressions in what a peer sends after the choice of the dialect `pb`.
pub(super) fn expressions(bytes: &[u8]) -> Vec<Sexp> {
    let mut decoder = Decoder::new(Limits::FRIEND);
    decoder.use_words();
    decoder.extend(bytes).unwrap();
    std::iter::from_fn(|| decoder.expression().unwrap()).collect()
}

/// The recorded bytes of a file in `tests/wire/pb`.
pub(super) fn recorded(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/pb");
    let text = std::fs::read_to_string(format!("{folder}/{name}.hex")).unwrap();
    text.split_whitespace().map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect()
}
