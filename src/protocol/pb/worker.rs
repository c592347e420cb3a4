//! A worker's end of one connection, as `buildbot-worker` behaves: what [`super::BotSession`] is built on, and enough by
//! itself for tests, and for fleets that run no command.
//!
//! # Laws
//! - What would end a `buildbot-worker` ends this one: an answer to nothing, a count given back twice, an unknown verb.
//! - Calls are answered in their order, and at once; only the answer to a start is left to the caller.
//! - What a master asks it is told once it reads what it was told before: answers do not pile up.
//!
//! # Not here
//! What a command is told and tells (`bot`), how one moves bytes (`worker/transfer`), what is done at a call
//! (`worker/called`).
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/pb.py`, and traces of it.

mod called;
mod event;
mod transfer;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
};

use bytes::Bytes;

pub use self::event::{Asked, StartedCommand, WorkerEvent};
use super::{
    PbError,
    auth::response,
    banana::Limits,
    broker::{Broker, Called, Said},
    encoder::Overlong,
    failure::{Failure, TYPE_ERROR},
    jelly::Value,
};
use crate::model::Secret;

/// What may wait for a master that does not read, in bytes: beside answers, the longest thing that a worker says.
const MAX_UNREAD_BYTES: usize = 32 * 1024 * 1024;

/// A worker's end of one connection.
pub struct WorkerSession {
    broker: Broker<Asked, Object>,
    name: String,
    password: Secret,
    info: Value,
    bot: i64,
    avatar: Option<i64>,
    /// Those it was told of, with the numbers of their objects here.
    builders: BTreeMap<String, i64>,
    events: VecDeque<WorkerEvent>,
}

#[derive(Debug)]
enum Object {
    Bot,
    Builder(String),
}

/// Shows nothing of what it tells of itself: its environment is in that.
impl fmt::Debug for WorkerSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerSession")
            .field("name", &self.name)
            .field("builders", &self.builders)
            .field("is_attached", &self.is_attached())
            .finish_non_exhaustive()
    }
}

impl WorkerSession {
    /// A new connection, as whom, and with which facts: the answer to `getWorkerInfo`, a dictionary.
    pub fn new(name: impl Into<String>, password: Secret, info: Value) -> Self {
        let mut broker = Broker::client(Limits::FRIEND);
        let bot = broker.publish(Object::Bot);
        Self {
            broker,
            name: name.into(),
            password,
            info,
            bot,
            avatar: None,
            builders: BTreeMap::new(),
            events: VecDeque::new(),
        }
    }

    /// Takes input, any cut of it.
    ///
    /// # Errors
    /// [`PbError`]: the connection must end.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<(), PbError> {
        let unread = self.output_len();
        if unread > MAX_UNREAD_BYTES {
            return Err(PbError::Unread { bytes: unread });
        }
        self.broker.extend(bytes)?;
        while let Some(said) = self.broker.said()? {
            match said {
                Said::Agreed => {
                    let name = Value::Bytes(Bytes::from(self.name.clone()));
                    self.call(Called::Root, "login", &[name], Asked::Login);
                }
                Said::Call(call) => self.called(call),
                Said::Answer { asked, answer } => self.answered(asked, answer)?,
                Said::Forgotten(Object::Bot) if self.is_attached() => return Err(PbError::LoggedOut),
                // A master that refuses a login has no use for who asked, before or after it says so.
                Said::Forgotten(Object::Bot | Object::Builder(_)) => {}
                Said::Stray(what) => return Err(PbError::OutOfTurn(what)),
            }
        }
        Ok(())
    }

    /// What is to be sent, all of it; nothing if there is none.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.broker.take_output()
    }

    /// How much is to be sent, in bytes.
    pub fn output_len(&self) -> usize {
        self.broker.output_len()
    }

    /// What happened, the oldest first.
    pub fn poll_event(&mut self) -> Option<WorkerEvent> {
        let event = self.events.pop_front();
        if event.is_none() {
            self.events = VecDeque::new();
        }
        event
    }

    /// Whether the master has answered the login.
    pub fn is_attached(&self) -> bool {
        self.avatar.is_some()
    }

    /// Tells the master that a command was begun.
    pub fn accept(&mut self, command: &mut StartedCommand) {
        if let Some(reply) = command.reply.take() {
            self.broker.answer(reply, &Value::None);
        }
    }

    /// Tells the master that a command could not be begun. Nothing more is told of it.
    pub fn refuse(&mut self, command: StartedCommand, failure: &Failure) {
        if let Some(reply) = command.reply {
            self.broker.refuse(reply, failure);
            self.broker.give_back(command.object);
            let arguments = command.arguments.as_pairs().unwrap_or_default();
            self.give_back_all(arguments.iter().map(|(_, argument)| argument));
        }
    }

    /// Tells news of a command: dictionaries, each with its number. `buildbot-worker` tells one piece of news at once, and
    /// numbers all of them 0; older ones do not.
    ///
    /// # Errors
    /// [`Overlong`]; then nothing was sent.
    pub fn update(&mut self, object: i64, news: Vec<(Value, i64)>) -> Result<(), Overlong> {
        let news = news.into_iter().map(|(news, number)| Value::List(vec![news, Value::Int(number)]));
        let args = [Value::List(news.collect())];
        self.broker.call(Called::Object(object), "update", &args, &[], Asked::Update)
    }

    /// Tells the end of a command. The master's object is given back with its answer; one by which bytes were moved is not,
    /// see [`WorkerSession::give_back`].
    pub fn complete(&mut self, object: i64, failure: Option<&Failure>) {
        let failure = failure.map_or(Value::None, Failure::write);
        self.call(Called::Object(object), "complete", &[failure], Asked::Complete { object });
    }

    /// Tells the master that it is there; not before it is attached.
    pub fn keepalive(&mut self) {
        if let Some(avatar) = self.avatar {
            self.call(Called::Object(avatar), "keepalive", &[], Asked::Keepalive);
        }
    }

    /// Wishes to end once its builds are done; not before it is attached.
    pub fn ask_shutdown(&mut self) {
        if let Some(avatar) = self.avatar {
            self.call(Called::Object(avatar), "shutdown", &[], Asked::Shutdown);
        }
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        self.broker.held()
    }

    fn call(&mut self, object: Called, method: &'static str, args: &[Value], asked: Asked) {
        if let Err(overlong) = self.broker.call(object, method, args, &[], asked) {
            self.events
                .push_back(WorkerEvent::Failed { asked, failure: Failure::new("", overlong.to_string()) });
        }
    }

    fn answered(&mut self, asked: Asked, answer: Result<Value, Failure>) -> Result<(), PbError> {
        let event = match (asked, answer) {
            (Asked::Login | Asked::Respond, Err(failure)) => WorkerEvent::Refused(failure),
            (Asked::Login, Ok(answer)) => {
                let Some([Value::Bytes(challenge), Value::Remote(challenger)]) = answer.as_items() else {
                    return Err(PbError::Malformed("a login is answered by a challenge and an object"));
                };
                let proof = response(&self.password, challenge);
                let args = [Value::Bytes(Bytes::copy_from_slice(&proof)), Value::Remote(self.bot)];
                self.call(Called::Object(*challenger), "respond", &args, Asked::Respond);
                self.broker.give_back(*challenger);
                return Ok(());
            }
            (Asked::Respond, Ok(Value::Remote(avatar))) => {
                self.avatar = Some(avatar);
                WorkerEvent::Attached
            }
            (Asked::Respond, Ok(_)) => return Err(PbError::Malformed("a proof is answered by an object")),
            (Asked::Complete { object }, answer) => {
                self.broker.give_back(object);
                match answer {
                    Ok(_) => return Ok(()),
                    Err(failure) => WorkerEvent::Failed { asked, failure },
                }
            }
            (_, Err(failure)) => WorkerEvent::Failed { asked, failure },
            (Asked::Write { object }, Ok(_)) => WorkerEvent::Written { object },
            (Asked::Read { object }, Ok(answer)) => match answer.as_bytes() {
                Some(bytes) => WorkerEvent::Data { object, bytes: bytes.clone() },
                None => {
                    let failure = Failure::new(TYPE_ERROR, "a read is answered by bytes");
                    WorkerEvent::Failed { asked, failure }
                }
            },
            (Asked::Settle { object }, Ok(_)) => WorkerEvent::Settled { object },
            // No worker looks at it.
            (Asked::Update, Ok(answer)) => {
                WorkerEvent::UpdateHeard(if let Value::Int(number) = answer { number } else { 0 })
            }
            (Asked::Keepalive, Ok(_)) => WorkerEvent::KeptAlive,
            (Asked::Shutdown, Ok(_)) => WorkerEvent::ShutdownHeard,
        };
        self.events.push_back(event);
        Ok(())
    }
}

fn text(value: &Value) -> String {
    value.as_text().unwrap_or_default().into_owned()
}
