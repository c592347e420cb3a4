//! The master's end of one connection: from the first byte to a worker that builds.
//!
//! # Laws
//! - Events come in the order in which their causes came in.
//! - An unknown name and a wrong password look the same to the peer.
//! - The login is answered last: when the worker reads that it is attached, it knows its builders.
//!
//! # Not here
//! Who may log in, and how long all this may take (`worker`).
//!
//! # Source
//! Buildbot 4.3.0, `buildbot/worker/protocols/pb.py`, and traces of it with its worker.

use std::{collections::VecDeque, fmt, sync::Arc};

use bytes::Bytes;

use super::{
    PbError,
    auth::{Challenge, LoginAttempt},
    banana::Limits,
    broker::{Broker, Call, Called, Reply, Said, Target},
    crew::{Crew, Wire, late_answer},
    failure::{Failure, NO_SUCH_METHOD, PB_ERROR},
    info::Question,
    jelly::{Value, pairs},
    versions::Versions,
};
use crate::{
    model::{LogStream, WorkerInfo},
    protocol::{CommandId, FromWorker, ToWorker, Update},
};

/// Answers that may wait for a peer that does not read, in bytes. An answer has some ten bytes, and a peer that is alive
/// reads some thousands of them at once.
const MAX_UNREAD_BYTES: usize = 8 * 1024 * 1024;

/// How much output is joined to one piece: as much as is worth a write.
const MAX_JOINED_BYTES: usize = 64 * 1024;

/// The master's end of one connection.
pub struct MasterSession {
    broker: Broker<Asked, Object>,
    challenge: Challenge,
    phase: Phase,
    crew: Crew,
    events: VecDeque<SessionEvent>,
}

/// What a session tells.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionEvent {
    /// Somebody wants to be let in: answer with [`MasterSession::accept_login`] or [`MasterSession::refuse_login`]. Comes
    /// once.
    Login(LoginAttempt),
    /// The worker has answered to its first list of builders, and the answer to its login is in the output. Comes once.
    Attached,
    /// What the worker says; `Hello` is the first.
    Message(FromWorker),
}

#[derive(Debug)]
enum Phase {
    /// It has not said who it is.
    Stranger,
    /// It has a name to prove.
    Challenged { name: Bytes, challenger: i64 },
    /// Its proof is being judged.
    Judged { reply: Reply, mind: i64 },
    /// It was refused. It may stay until it has read so.
    Refused,
    /// It may be called, and waits for the answer to its login; these are the facts that it has told so far.
    Attaching { reply: Reply, mind: i64, facts: WorkerInfo },
    /// It knows that it is attached.
    Attached { mind: i64 },
}

/// What a call was for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asked {
    /// Its answer means nothing.
    Nothing,
    /// Facts about the worker.
    Info(Question),
    /// It was told of its builders.
    Builders,
    /// A command was started, which calls this object.
    Start { object: i64 },
    /// Is it there?
    Ping(u64),
}

/// What the worker may call.
#[derive(Debug)]
pub(super) enum Object {
    /// Takes the proof of a password, once.
    Challenger,
    /// The master as the worker sees it.
    Avatar,
    /// Hears of a command.
    Command { id: CommandId, builder: Arc<str> },
    /// Takes or gives the bytes that the command of a builder moves.
    Transfer { builder: Arc<str> },
}

impl fmt::Debug for MasterSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterSession").field("phase", &self.phase).finish_non_exhaustive()
    }
}

impl MasterSession {
    /// A new connection; its first output is there at once. The challenge is random, and another for each connection.
    pub fn new(challenge: Challenge) -> Self {
        Self {
            broker: Broker::server(Limits::STRANGER),
            challenge,
            phase: Phase::Stranger,
            crew: Crew::default(),
            events: VecDeque::new(),
        }
    }

    /// Takes input, any cut of it.
    ///
    /// Events and output grow with it: take them before the next. Input of some ten KiB at a time keeps both small.
    ///
    /// # Errors
    /// [`PbError`]: the connection must end, and no further input be given.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<(), PbError> {
        let unread = self.broker.output_len();
        if unread > MAX_UNREAD_BYTES {
            return Err(PbError::Unread { bytes: unread });
        }
        self.broker.extend(bytes)?;
        while let Some(said) = self.broker.said()? {
            match said {
                Said::Call(call) => self.called(call)?,
                Said::Answer { asked, answer } => self.answered(asked, answer),
                Said::Forgotten(object) => self.forgotten(object)?,
                // Workers of all ages are let be.
                Said::Agreed | Said::Stray(_) => {}
            }
        }
        Ok(())
    }

    /// What is to be sent, all of it; nothing if there is none.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.broker.take_output()
    }

    /// How much is to be sent, in bytes. While it grows, take neither input nor orders: the worker does not read.
    pub fn output_len(&self) -> usize {
        self.broker.output_len()
    }

    /// What happened, the oldest first. Output of one stream that came in several pieces comes as one.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        let Some(event) = self.events.pop_front() else {
            self.events = VecDeque::new();
            return None;
        };
        Some(match event {
            SessionEvent::Message(FromWorker::Update { id, update: Update::Output { stream, bytes } }) => {
                let bytes = self.joined(&id, stream, bytes);
                SessionEvent::Message(FromWorker::Update { id, update: Update::Output { stream, bytes } })
            }
            event => event,
        })
    }

    /// A piece of output, with those that come right behind it: each on its own would be passed on by several tasks, which
    /// costs far more than a copy where a worker tells each line by itself.
    fn joined(&mut self, id: &CommandId, stream: LogStream, first: Bytes) -> Bytes {
        let mut length = first.len();
        let more = |event: &&SessionEvent| match event {
            SessionEvent::Message(FromWorker::Update {
                id: its,
                update: Update::Output { stream: same, bytes },
            }) => {
                length += bytes.len();
                its == id && *same == stream && length <= MAX_JOINED_BYTES
            }
            _ => false,
        };
        let count = self.events.iter().take_while(more).count();
        if count == 0 {
            return first;
        }
        let mut all = Vec::with_capacity(length.min(MAX_JOINED_BYTES));
        all.extend_from_slice(&first);
        for event in self.events.drain(..count) {
            if let SessionEvent::Message(FromWorker::Update {
                update: Update::Output { bytes, .. }, ..
            }) = event
            {
                all.extend_from_slice(&bytes);
            }
        }
        all.into()
    }

    /// Lets in who asked. `Hello` follows, and `Attached` once builders were set. Without a login to judge, nothing.
    pub fn accept_login(&mut self) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Stranger) {
            Phase::Judged { reply, mind } => {
                self.broker.set_limits(Limits::FRIEND);
                self.print(mind, "attached", Asked::Nothing);
                self.ask(mind, Question::Facts);
                Phase::Attaching { reply, mind, facts: WorkerInfo::default() }
            }
            other => other,
        };
    }

    /// Refuses who asked; close the connection once that is sent. Without a login to judge, nothing.
    pub fn refuse_login(&mut self) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Stranger) {
            Phase::Judged { reply, .. } => {
                self.broker.refuse(reply, &Failure::unauthorized());
                Phase::Refused
            }
            other => other,
        };
    }

    /// Does what the master wants of the worker. Before its `Hello` builders are remembered, commands fail, and the rest
    /// is not heard.
    pub fn handle_order(&mut self, order: ToWorker) {
        let mind = self.mind();
        let mut wire = Wire { broker: &mut self.broker, events: &mut self.events };
        match (order, mind) {
            (ToWorker::SetBuilders(builders), _) => self.crew.set_builders(builders, wire),
            (ToWorker::Start { id, builder, command }, _) => self.crew.start(id, &builder, command, wire),
            (ToWorker::Interrupt { id, why }, _) => self.crew.interrupt(&id, &why, wire),
            (ToWorker::Ping(number), Some(mind)) => self.print(mind, "keepalive", Asked::Ping(number)),
            (ToWorker::Shutdown, Some(mind)) => self.call_mind(mind, "shutdown", Asked::Nothing),
            (ToWorker::Reply { id, reply }, _) => self.crew.reply(&id, reply, &mut wire),
            // A worker on this wire kills its commands when it loses its link.
            (ToWorker::Adopt { id, .. }, _) => {
                self.events.push_back(SessionEvent::Message(FromWorker::Unknown { id }));
            }
            (ToWorker::Ping(_) | ToWorker::Shutdown, None)
            | (ToWorker::Abandon { .. } | ToWorker::OutliveLinks(_) | ToWorker::Acknowledge { .. }, _) => {}
        }
    }

    /// Whether its login was accepted.
    pub fn is_logged_in(&self) -> bool {
        self.mind().is_some()
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        self.broker.held()
    }

    fn mind(&self) -> Option<i64> {
        match self.phase {
            Phase::Attaching { mind, .. } | Phase::Attached { mind } => Some(mind),
            _ => None,
        }
    }

    fn print(&mut self, mind: i64, text: &'static str, asked: Asked) {
        let keywords = pairs([("message", Value::text(text))]);
        let called = self.broker.call(Called::Object(mind), "print", &[], &keywords, asked);
        called.expect("a word is short");
    }

    fn call_mind(&mut self, mind: i64, method: &'static str, asked: Asked) {
        let called = self.broker.call(Called::Object(mind), method, &[], &[], asked);
        called.expect("a call without arguments is short");
    }

    fn ask(&mut self, mind: i64, question: Question) {
        self.call_mind(mind, question.method(), Asked::Info(question));
    }

    fn called(&mut self, call: Call) -> Result<(), PbError> {
        let number = match call.target {
            Target::Root => return self.root_called(call),
            Target::Object(number) => number,
            Target::Unknown => return self.no_object(call),
        };
        match self.broker.object(number) {
            Some(Object::Challenger) => return self.challenger_called(call),
            Some(Object::Avatar) => self.avatar_called(call),
            Some(Object::Command { builder, .. }) => {
                let builder = Arc::clone(builder);
                self.command_called(call, number, Some(&builder));
            }
            Some(Object::Transfer { builder }) => {
                let builder = Arc::clone(builder);
                let mut wire = Wire { broker: &mut self.broker, events: &mut self.events };
                return self.crew.transfer_called(&builder, call, &mut wire);
            }
            // A command that is complete may be called late; the worker is told nothing that would alarm it.
            None if self.broker.was_object(number) && self.is_logged_in() => {
                self.command_called(call, number, None);
            }
            None => return self.no_object(call),
        }
        Ok(())
    }

    fn root_called(&mut self, call: Call) -> Result<(), PbError> {
        match (&self.phase, call.method.as_ref()) {
            (Phase::Refused, _) => Ok(()),
            (Phase::Stranger, b"login") => {
                let Some(name) = call.args.first().and_then(Value::as_bytes) else {
                    return Err(PbError::Malformed("a login has a name"));
                };
                // A copy: a slice would keep the whole input.
                let name = Bytes::copy_from_slice(name);
                let challenger = self.broker.publish(Object::Challenger);
                let challenge = Value::Bytes(Bytes::copy_from_slice(&self.challenge));
                self.broker.answer(call.reply, &Value::Tuple(vec![challenge, Value::Remote(challenger)]));
                self.phase = Phase::Challenged { name, challenger };
                Ok(())
            }
            (Phase::Stranger, _) => {
                // `loginAnonymous`, and methods of other programs.
                self.broker.refuse(call.reply, &Failure::unauthorized());
                self.phase = Phase::Refused;
                Ok(())
            }
            _ => Err(PbError::OutOfTurn("a second login")),
        }
    }

    fn challenger_called(&mut self, call: Call) -> Result<(), PbError> {
        let Phase::Challenged { name, challenger } = &self.phase else {
            return Err(PbError::OutOfTurn("a proof which was not asked for"));
        };
        let (b"respond", [proof, Value::Remote(mind)]) = (call.method.as_ref(), call.args.as_slice()) else {
            return Err(PbError::Malformed("a worker answers its challenge with a proof and an object"));
        };
        let proof = proof.as_bytes().map_or_else(Bytes::new, |proof| Bytes::copy_from_slice(proof));
        let attempt = LoginAttempt::new(name, self.challenge, proof);
        self.broker.forget(*challenger);
        self.phase = Phase::Judged { reply: call.reply, mind: *mind };
        self.events.push_back(SessionEvent::Login(attempt));
        Ok(())
    }

    fn avatar_called(&mut self, call: Call) {
        match call.method.as_ref() {
            b"keepalive" => self.broker.answer(call.reply, &Value::None),
            b"shutdown" => {
                self.broker.answer(call.reply, &Value::None);
                self.events.push_back(SessionEvent::Message(FromWorker::WantsShutdown));
            }
            _ => {
                let failure = Failure::new(NO_SUCH_METHOD, "no such method");
                self.broker.refuse(call.reply, &failure);
            }
        }
    }

    /// Without a builder it is a call of what is there no longer. Never answered by an error: a worker that writes to a file
    /// would wait for ever.
    fn command_called(&mut self, call: Call, number: i64, builder: Option<&str>) {
        let mut wire = Wire { broker: &mut self.broker, events: &mut self.events };
        let answer = match call.method.as_ref() {
            b"update" => Value::Int(self.crew.updates(builder, &call.args, &mut wire)),
            b"complete" => {
                let failure = match call.args.first() {
                    None | Some(Value::None) => None,
                    Some(failure) => Some(Failure::read(failure).to_string()),
                };
                self.crew.complete(number, failure, &mut wire);
                Value::None
            }
            method => late_answer(method),
        };
        self.broker.answer(call.reply, &answer);
    }

    fn no_object(&mut self, call: Call) -> Result<(), PbError> {
        if !self.is_logged_in() {
            return Err(PbError::OutOfTurn("a call without a login"));
        }
        self.broker.refuse(call.reply, &Failure::new(PB_ERROR, "Invalid Object ID"));
        Ok(())
    }

    fn answered(&mut self, asked: Asked, answer: Result<Value, Failure>) {
        let mut wire = Wire { broker: &mut self.broker, events: &mut self.events };
        match asked {
            Asked::Nothing => {}
            Asked::Start { object } => self.crew.start_answered(object, answer, &mut wire),
            Asked::Ping(number) => {
                // An error is an answer, too.
                self.events.push_back(SessionEvent::Message(FromWorker::Pong(number)));
            }
            Asked::Builders => {
                self.crew.builders_answered(answer, &mut wire);
                self.attach();
                let mut wire = Wire { broker: &mut self.broker, events: &mut self.events };
                self.crew.settle(&mut wire);
            }
            Asked::Info(question) => self.info_answered(question, answer),
        }
    }

    fn info_answered(&mut self, question: Question, answer: Result<Value, Failure>) {
        let Phase::Attaching { mind, facts, .. } = &mut self.phase else { return };
        let mind = *mind;
        if let Some(next) = question.answered(answer, facts) {
            return self.ask(mind, next);
        }
        let facts = std::mem::take(facts);
        let versions = Versions::of_worker(&facts);
        self.events.push_back(SessionEvent::Message(FromWorker::Hello(facts)));
        self.crew.open(mind, versions, Wire { broker: &mut self.broker, events: &mut self.events });
    }

    /// The answer to the login, which waited for the first answer about builders.
    fn attach(&mut self) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Refused) {
            Phase::Attaching { reply, mind, .. } => {
                let avatar = self.broker.publish(Object::Avatar);
                self.broker.answer(reply, &Value::Remote(avatar));
                self.events.push_back(SessionEvent::Attached);
                Phase::Attached { mind }
            }
            other => other,
        };
    }

    fn forgotten(&mut self, object: Object) -> Result<(), PbError> {
        match object {
            Object::Challenger => Err(PbError::OutOfTurn("a challenge given up")),
            Object::Avatar => Err(PbError::LoggedOut),
            // Its command goes on, or has its end on the way.
            Object::Transfer { .. } => Ok(()),
            Object::Command { id, builder } => {
                let mut wire = Wire { broker: &mut self.broker, events: &mut self.events };
                let failure = "the worker has given the command up without a word".to_owned();
                self.crew.completed(id, &builder, Some(failure), &mut wire);
                Ok(())
            }
        }
    }
}
