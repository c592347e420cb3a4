//! The master's end of one connection, from the answered handshake on: payloads of messages in and out.
//!
//! # Laws
//! - Events come in the order in which their causes came in.
//! - The first thing told of a command is what came of it; the last is its `Complete`, once.
//! - A command begins once the folder of its builder was made. Any number of them may run at once, on one builder too.
//! - Each request of the worker is answered once: at once, but for a block of a file, which waits for the master's reply.
//! - What a worker numbers is told once, and then its `Mark`; what an earlier session has told is answered alone.
//!
//! # Not here
//! Commands over several connections (`resume`). Who may log in, and how long all this may take (`worker`).
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/msgpack.py`.

mod called;
mod resume;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::Arc,
};

use bytes::Bytes;
use rmpv::{Value, ValueRef};

use super::{
    MsgpackError,
    arguments::{self, HiddenWords},
    folders::{Folders, State},
    frame::{self, field, shown},
    info,
    path::Base,
    requests::Requests,
};
use crate::protocol::{CommandId, FromWorker, ToWorker, TransferReply, WorkerCommand, unfit};

/// The most of a reason, or of the text of a failure, that is told, in bytes.
const MAX_WHY_BYTES: usize = 4096;
/// The longest id of a command, in bytes; those of the master are shorter.
const MAX_ID_BYTES: usize = 256;

/// The operation that wants bytes for its answer.
const READ_FILE: &[u8] = b"update_read_file";

/// What a worker does with the output of commands: it is sent soon, and a line of a million characters stays whole.
///
/// Source: wire facts of `set_worker_settings`; the expression is the worker's own.
const BUFFER_BYTES: u32 = 64 * 1024;
const BUFFER_SECONDS: f64 = 0.2;
const MAX_LINE_LENGTH: u32 = 1024 * 1024;
const NEWLINE: &str = r"(\r\n|\r(?=.)|\033\[u|\033\[[0-9]+;[0-9]+[Hf]|\033\[2J|\x08+)";

/// The master's end of one connection.
pub struct MasterSession {
    /// Begins the ids of commands that nobody but this session knows.
    prefix: String,
    next_internal: u64,
    /// The one of them that runs.
    internal: Option<CommandId>,
    requests: Requests<Asked>,
    /// Known once the worker has said who it is.
    base: Option<Base>,
    hidden_words: HiddenWords,
    folders: Folders,
    is_attached: bool,
    /// Whether the worker has wished to stop, which is told once it is attached.
    wants_to_stop: bool,
    /// Whether commands outlive the connection.
    outlives: bool,
    commands: BTreeMap<CommandId, Command>,
    events: VecDeque<SessionEvent>,
}

/// What a session tells.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionEvent {
    /// What became of the folders of the worker's first builders is known. Comes once.
    Attached,
    /// What the worker says; `Hello` is the first.
    Message(FromWorker),
}

/// What a request was for.
enum Asked {
    /// Its answer says nothing; this is its name, for the log.
    Nothing(&'static str),
    /// Facts about the worker.
    Info,
    /// A command was started.
    Start(CommandId),
    /// Commands are to outlive the connection.
    Outlive,
    /// A command of an earlier connection is wanted.
    Resume(CommandId),
    /// Is it there?
    Ping(u64),
}

struct Command {
    builder: Arc<str>,
    state: Phase,
    /// Blocks that wait for the master's reply.
    blocks: VecDeque<Block>,
    /// The number of what was told of it last.
    told: u64,
    /// What its last block was answered on an earlier connection.
    reply: Option<Box<TransferReply>>,
}

enum Phase {
    /// Not begun: its builder's folder is not made yet.
    Held(WorkerCommand),
    /// Sent.
    Begun,
}

impl Command {
    const fn new(builder: Arc<str>, state: Phase) -> Self {
        Self { builder, state, blocks: VecDeque::new(), told: 0, reply: None }
    }
}

/// A block of a file that the worker waits for.
#[derive(Clone, Copy, Debug)]
struct Block {
    seq: u64,
    /// Whether bytes are the answer.
    is_read: bool,
}

impl fmt::Debug for MasterSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterSession").field("is_attached", &self.is_attached).finish_non_exhaustive()
    }
}

impl MasterSession {
    /// A connection whose handshake was answered; its first output is there at once.
    ///
    /// `prefix` begins the ids of its own commands. No other connection may have the same: workers keep commands running
    /// when a connection is lost, and mix up those whose ids are equal.
    pub fn new(prefix: impl Into<String>) -> Self {
        let mut session = Self {
            prefix: prefix.into(),
            next_internal: 0,
            internal: None,
            requests: Requests::default(),
            base: None,
            hidden_words: HiddenWords::Unknown,
            folders: Folders::default(),
            is_attached: false,
            wants_to_stop: false,
            outlives: false,
            commands: BTreeMap::new(),
            events: VecDeque::new(),
        };
        // Whoever starts a worker as a daemon waits for this line in its log.
        session.requests.ask("print", vec![("message", "attached".into())], Asked::Nothing("print"));
        session.requests.ask("get_worker_info", vec![], Asked::Info);
        session
    }

    /// Takes the payload of a binary message.
    ///
    /// Events and output grow with it: take them before the next.
    ///
    /// # Errors
    /// [`MsgpackError`]: the connection must end, and nothing more be given.
    pub fn handle_message(&mut self, payload: &[u8]) -> Result<(), MsgpackError> {
        let ValueRef::Map(message) = frame::decode(payload)? else {
            return Err(MsgpackError::Malformed("a message is a map"));
        };
        let seq = match field(&message, "seq_number") {
            Some(ValueRef::Integer(number)) => number.as_u64(),
            _ => None,
        };
        let (Some(op), Some(seq)) = (field(&message, "op").and_then(frame::text), seq) else {
            tracing::debug!("a worker's message without an operation or a number is not heard");
            return Ok(());
        };
        if op == b"response" { self.answered(seq, &message) } else { self.called(op, seq, &message) }
    }

    /// What is to be sent next, as the payload of one binary message.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.requests.poll_output()
    }

    /// How much is to be sent, in bytes. While it grows, take neither input nor orders: the worker does not read.
    pub fn output_len(&self) -> usize {
        self.requests.output_len()
    }

    /// What happened, the oldest first.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        let event = self.events.pop_front();
        if event.is_none() {
            self.events = VecDeque::new();
        }
        event
    }

    /// Does what the master wants of the worker. Before its `Hello`, builders are remembered and commands held.
    ///
    /// # Errors
    /// [`MsgpackError`]: the worker answers nothing, and the connection must end.
    pub fn handle_order(&mut self, order: ToWorker) -> Result<(), MsgpackError> {
        match order {
            ToWorker::SetBuilders(builders) => {
                self.folders.set(builders);
                self.settle();
            }
            ToWorker::Start { id, builder, command } => self.start(&id, builder, command),
            ToWorker::Interrupt { id, why } => self.interrupt(&id, &why),
            ToWorker::Reply { id, reply } => {
                let block = self.commands.get_mut(&id).and_then(|command| command.blocks.pop_front());
                if let Some(block) = block {
                    self.reply(block, &reply);
                }
            }
            ToWorker::Ping(number) => self.requests.ask("keepalive", vec![], Asked::Ping(number)),
            ToWorker::Abandon { id } => {
                self.request_interrupt(&id, "the link on which it was started was lost");
            }
            ToWorker::OutliveLinks(grace) => self.outlive(grace),
            ToWorker::Adopt { id, received, reply } => self.adopt(&id, received, reply),
            ToWorker::Acknowledge { id, number } => self.request_acknowledge(&id, number),
            ToWorker::Shutdown => {
                // A worker on this wire would leave them behind.
                let begun = self.commands.iter().filter(|(_, command)| matches!(command.state, Phase::Begun));
                for id in begun.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
                    self.request_interrupt(&id, "the worker is told to stop");
                }
                self.requests.ask("shutdown", vec![], Asked::Nothing("shutdown"));
            }
        }
        self.requests.check()
    }

    /// Ends all commands: a worker on this wire lets them run on when the connection ends. Nothing more is told of them.
    /// Those that are to outlive the connection are left alone.
    pub fn interrupt_all(&mut self, why: &str) {
        if self.outlives {
            return;
        }
        for (id, command) in std::mem::take(&mut self.commands) {
            if matches!(command.state, Phase::Begun) {
                self.request_interrupt(&id, why);
            }
        }
    }

    fn tell(&mut self, message: FromWorker) {
        self.events.push_back(SessionEvent::Message(message));
    }

    fn answered(&mut self, seq: u64, message: &[(ValueRef<'_>, ValueRef<'_>)]) -> Result<(), MsgpackError> {
        let result = field(message, "result").unwrap_or(&ValueRef::Nil);
        let failure = field(message, "is_exception")
            .map(|_| shown(result, MAX_WHY_BYTES).unwrap_or_else(|| "the worker does not say why".into()));
        match (self.requests.answered(seq), failure) {
            (None, _) => tracing::debug!("a worker answered to what it was not asked"),
            (Some(Asked::Info), None) => self.introduced(result)?,
            (Some(Asked::Info), Some(cause)) => return Err(MsgpackError::Nameless { cause }),
            // Whatever the answer, it is one.
            (Some(Asked::Ping(number)), _) => self.tell(FromWorker::Pong(number)),
            (Some(Asked::Start(id)), Some(failure)) => self.complete(&id, Some(failure)),
            (Some(Asked::Nothing(op)), Some(failure)) => {
                tracing::warn!(op, failure, "a worker did not do what it was asked");
            }
            (Some(Asked::Outlive), Some(failure)) => self.does_not_outlive(&failure),
            (Some(Asked::Resume(id)), Some(failure)) => self.does_not_resume(id, &failure),
            // Of a command that has begun, its news tell.
            (Some(Asked::Start(_) | Asked::Resume(_) | Asked::Nothing(_) | Asked::Outlive), None) => {}
        }
        Ok(())
    }

    fn introduced(&mut self, answer: &ValueRef<'_>) -> Result<(), MsgpackError> {
        let ValueRef::Map(info) = answer else {
            return Err(MsgpackError::Nameless { cause: "its answer is no map".into() });
        };
        let base = info::base(info)
            .ok_or_else(|| MsgpackError::Nameless { cause: "its answer has no `basedir`".into() })?;
        if info::wants_leftovers_removed(info) {
            self.folders.clear_away();
        }
        self.base = Some(base);
        self.hidden_words = info::hidden_words(info);
        let settings = arguments::map([
            ("buffer_size", BUFFER_BYTES.into()),
            ("buffer_timeout", BUFFER_SECONDS.into()),
            ("max_line_length", MAX_LINE_LENGTH.into()),
            ("newline_re", NEWLINE.into()),
        ]);
        let asked = Asked::Nothing("set_worker_settings");
        self.requests.ask("set_worker_settings", vec![("args", settings.as_ref())], asked);
        self.tell(FromWorker::Hello(info::facts(info)));
        self.settle();
        Ok(())
    }

    /// Does what can be done now for folders, and for the commands that wait for them.
    fn settle(&mut self) {
        let Some(base) = &self.base else { return };
        if let Some(task) = self.folders.next(base) {
            self.start_internal(task);
        }
        let held = |(id, command): (&CommandId, &Command)| {
            matches!(command.state, Phase::Held(_)).then(|| id.clone())
        };
        for id in self.commands.iter().filter_map(held).collect::<Vec<_>>() {
            self.begin(&id);
        }
        if !self.is_attached && self.folders.are_settled() {
            self.is_attached = true;
            self.events.push_back(SessionEvent::Attached);
        }
        if self.is_attached && std::mem::take(&mut self.wants_to_stop) {
            self.tell(FromWorker::WantsShutdown);
        }
    }

    fn start_internal(&mut self, (name, arguments): (&'static str, Value)) {
        let id = CommandId::new(format!("{}-{}", self.prefix, self.next_internal));
        self.next_internal += 1;
        self.internal = Some(id.clone());
        self.request_start(&id, name, &arguments);
    }

    fn start(&mut self, id: &CommandId, builder: Arc<str>, command: WorkerCommand) {
        if self.commands.contains_key(id) {
            // An answer would end the first one.
            tracing::error!(command = %id, "a command was started twice; the second start is not heard");
            return;
        }
        self.commands.insert(id.clone(), Command::new(builder, Phase::Held(command)));
        self.begin(id);
    }

    /// Begins a held command if its builder's folder is made; ends it if that will not be.
    fn begin(&mut self, id: &CommandId) {
        let Some(command) = self.commands.get_mut(id) else { return };
        let builder = &command.builder;
        let failure = match (self.folders.of(builder), &self.base) {
            (Some((_, State::Pending)), _) | (_, None) => return,
            (None, _) => format!("this worker has no builder `{builder}`"),
            (Some((folder, State::Refused(cause))), _) => {
                unfit::refusal(builder, &format!("it cannot make its folder `{folder}`: {cause}"))
            }
            (Some((folder, State::Made)), Some(base)) => {
                let Phase::Held(order) = std::mem::replace(&mut command.state, Phase::Begun) else { return };
                match arguments::of(order, base, folder, self.hidden_words) {
                    Ok((name, arguments)) => return self.request_start(id, name, &arguments),
                    Err(failure) => failure,
                }
            }
        };
        self.complete(id, Some(failure));
    }

    fn request_start(&mut self, id: &CommandId, name: &'static str, arguments: &Value) {
        let fields = vec![
            ("command_id", id.as_str().into()),
            ("command_name", name.into()),
            ("args", arguments.as_ref()),
        ];
        self.requests.ask("start_command", fields, Asked::Start(id.clone()));
    }

    /// Ends a command early. One that has ended meanwhile has its `Complete` on the way.
    fn interrupt(&mut self, id: &CommandId, why: &str) {
        match self.commands.get(id).map(|command| &command.state) {
            None => {}
            Some(Phase::Held(_)) => {
                let why = &why[..why.floor_char_boundary(MAX_WHY_BYTES)];
                self.complete(id, Some(format!("interrupted before it began: {why}")));
            }
            Some(Phase::Begun) => self.request_interrupt(id, why),
        }
    }

    fn request_interrupt(&mut self, id: &CommandId, why: &str) {
        let why = &why[..why.floor_char_boundary(MAX_WHY_BYTES)];
        let fields = vec![("command_id", id.as_str().into()), ("why", why.into())];
        self.requests.ask("interrupt_command", fields, Asked::Nothing("interrupt_command"));
    }

    /// A command's end, if it has not been told yet.
    fn complete(&mut self, id: &CommandId, failure: Option<String>) {
        if self.internal.as_ref() == Some(id) {
            self.internal = None;
            if self.outlives {
                self.request_acknowledge(id, u64::MAX);
            }
            let next = self.base.as_ref().and_then(|base| self.folders.ended(failure, base));
            if let Some(task) = next {
                self.start_internal(task);
            }
            self.settle();
            return;
        }
        let Some(command) = self.commands.remove(id) else { return };
        for block in command.blocks {
            self.reply(block, &TransferReply::Taken);
        }
        self.tell(FromWorker::Complete { id: id.clone(), failure });
    }

    fn reply(&mut self, block: Block, reply: &TransferReply) {
        match (block.is_read, reply) {
            (false, _) => self.requests.respond(block.seq, ValueRef::Nil),
            (true, TransferReply::Data(bytes)) => self.requests.respond(block.seq, ValueRef::Binary(bytes)),
            // Nothing is the end of a file.
            (true, TransferReply::Taken) => self.requests.respond(block.seq, ValueRef::Binary(&[])),
        }
    }
}
