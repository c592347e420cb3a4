//! A worker's end of one connection, as `buildbot-worker` behaves: for tests, and for fleets that run no command.
//!
//! # Laws
//! - What would end a `buildbot-worker` ends this one: an answer to nothing, a count given back twice, an unknown verb.
//! - Calls are answered in their order, and at once; only the answer to a start is left to the caller.
//!
//! # Not here
//! Running commands; how one moves bytes (`worker/transfer`).
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/pb.py`, and traces of it.

mod transfer;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::{
    PbError,
    auth::response,
    banana::Limits,
    broker::{Broker, Call, Called, Reply, Said, Target},
    encoder::Overlong,
    failure::{Failure, NO_SUCH_METHOD, PB_ERROR},
    jelly::{Value, field},
};
use crate::model::Secret;

/// A worker's end of one connection.
#[derive(Debug)]
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

/// What the master did.
#[derive(Debug, PartialEq)]
pub enum WorkerEvent {
    /// It refused the login, or something went wrong in it.
    Refused(Failure),
    /// It answered the login: the worker is attached.
    Attached,
    /// It printed a line into the worker's log: `attached`, `keepalive`.
    Printed(String),
    /// It told the builders and their folders: all of them.
    Builders(Vec<(String, String)>),
    /// It began a build on this builder.
    BuildStarted(String),
    /// It started a command: answer with [`WorkerSession::accept`] or [`WorkerSession::refuse`].
    Started(StartedCommand),
    /// It interrupted what runs on a builder.
    Interrupted {
        /// The builder.
        builder: String,
        /// Of which command it thought.
        id: String,
        /// Why, for the log.
        why: String,
    },
    /// It wants this program to end.
    ShutdownAsked,
    /// It answered updates, by this number.
    UpdateHeard(i64),
    /// It answered a keepalive.
    KeptAlive,
    /// It answered the wish to end.
    ShutdownHeard,
    /// It took the block that was written to this object of it.
    Written {
        /// The object.
        object: i64,
    },
    /// It gave the bytes that were read from this object of it; none at the end.
    Data {
        /// The object.
        object: i64,
        /// The bytes.
        bytes: Bytes,
    },
    /// It heard that this object of it is done with: all was written or read, or the times were told.
    Settled {
        /// The object.
        object: i64,
    },
    /// It answered a call by a failure.
    Failed(Failure),
}

/// A command that the master started.
#[derive(Debug, PartialEq)]
pub struct StartedCommand {
    /// On which builder.
    pub builder: String,
    /// The master's name for it.
    pub id: String,
    /// Which of the worker's commands.
    pub name: String,
    /// Its arguments, a dictionary.
    pub arguments: Value,
    /// The master's object that hears of it.
    pub object: i64,
    reply: Option<Reply>,
}

impl StartedCommand {
    /// An argument.
    pub fn argument(&self, name: &str) -> Option<&Value> {
        self.arguments.field(name)
    }
}

#[derive(Debug)]
enum Asked {
    Login,
    Respond,
    Update,
    Complete { object: i64 },
    Write { object: i64 },
    Read { object: i64 },
    Settle { object: i64 },
    Keepalive,
    Shutdown,
}

#[derive(Debug)]
enum Object {
    Bot,
    Builder(String),
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
        self.broker.extend(bytes)?;
        while let Some(said) = self.broker.said()? {
            match said {
                Said::Agreed => {
                    let name = Value::Bytes(Bytes::from(self.name.clone()));
                    self.call(Called::Root, "login", &[name], Asked::Login);
                }
                Said::Call(call) => self.called(call),
                Said::Answer { asked, answer } => self.answered(asked, answer)?,
                Said::Forgotten(Object::Bot) => return Err(PbError::LoggedOut),
                Said::Forgotten(Object::Builder(_)) => {}
                Said::Stray(what) => return Err(PbError::OutOfTurn(what)),
            }
        }
        Ok(())
    }

    /// What is to be sent, all of it; nothing if there is none.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.broker.take_output()
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
            for (_, argument) in command.arguments.as_pairs().unwrap_or_default() {
                if let Value::Remote(object) = argument {
                    self.broker.give_back(*object);
                }
            }
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
            self.events.push_back(WorkerEvent::Failed(Failure::new("", overlong.to_string())));
        }
    }

    fn called(&mut self, call: Call) {
        let object = match call.target {
            Target::Object(number) => self.broker.object(number),
            Target::Root | Target::Unknown => None,
        };
        match object {
            Some(Object::Bot) => self.bot_called(call),
            Some(Object::Builder(name)) => {
                let builder = name.clone();
                self.builder_called(builder, call);
            }
            None => self.broker.refuse(call.reply, &Failure::new(PB_ERROR, "Invalid Object ID")),
        }
    }

    fn bot_called(&mut self, call: Call) {
        let answer = match call.method.as_ref() {
            b"print" => {
                let text = call
                    .args
                    .first()
                    .or_else(|| field(&call.keywords, "message"))
                    .map_or_else(String::new, text);
                self.events.push_back(WorkerEvent::Printed(text));
                Value::None
            }
            b"getWorkerInfo" => self.info.clone(),
            b"setBuilderList" => self.set_builders(call.args.first()),
            b"shutdown" => {
                self.events.push_back(WorkerEvent::ShutdownAsked);
                Value::None
            }
            _ => return self.no_method(call),
        };
        self.broker.answer(call.reply, &answer);
    }

    fn set_builders(&mut self, list: Option<&Value>) -> Value {
        let pairs: Vec<(String, String)> = list
            .and_then(Value::as_items)
            .unwrap_or_default()
            .iter()
            .filter_map(Value::as_items)
            .filter_map(|pair| Some((text(pair.first()?), text(pair.get(1)?))))
            .collect();
        let mut earlier = std::mem::take(&mut self.builders);
        let mut answer = Vec::with_capacity(pairs.len());
        for (name, _) in &pairs {
            let object = match earlier.remove(name) {
                Some(object) if self.broker.object(object).is_some() => {
                    self.broker.publish_again(object);
                    object
                }
                _ => self.broker.publish(Object::Builder(name.clone())),
            };
            self.builders.insert(name.clone(), object);
            answer.push((Value::text(name.clone()), Value::Remote(object)));
        }
        self.events.push_back(WorkerEvent::Builders(pairs));
        Value::Dict(answer)
    }

    fn builder_called(&mut self, builder: String, call: Call) {
        let Call { reply, method, args, .. } = call;
        match (method.as_ref(), args.as_slice()) {
            (b"startBuild", _) => {
                self.events.push_back(WorkerEvent::BuildStarted(builder));
                self.broker.answer(reply, &Value::None);
            }
            (b"startCommand", [Value::Remote(object), id, name, arguments]) => {
                self.events.push_back(WorkerEvent::Started(StartedCommand {
                    builder,
                    id: text(id),
                    name: text(name),
                    arguments: arguments.clone(),
                    object: *object,
                    reply: Some(reply),
                }));
            }
            (b"interruptCommand", [id, why]) => {
                self.events.push_back(WorkerEvent::Interrupted { builder, id: text(id), why: text(why) });
                self.broker.answer(reply, &Value::None);
            }
            _ => self.broker.refuse(reply, &Failure::new(NO_SUCH_METHOD, "no such method")),
        }
    }

    fn no_method(&mut self, call: Call) {
        self.broker.refuse(call.reply, &Failure::new(NO_SUCH_METHOD, "no such method"));
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
                    Err(failure) => WorkerEvent::Failed(failure),
                }
            }
            (_, Err(failure)) => WorkerEvent::Failed(failure),
            (Asked::Write { object }, Ok(_)) => WorkerEvent::Written { object },
            (Asked::Read { object }, Ok(Value::Bytes(bytes))) => WorkerEvent::Data { object, bytes },
            (Asked::Read { .. }, Ok(_)) => return Err(PbError::Malformed("a read is answered by bytes")),
            (Asked::Settle { object }, Ok(_)) => WorkerEvent::Settled { object },
            (Asked::Update, Ok(Value::Int(number))) => WorkerEvent::UpdateHeard(number),
            (Asked::Update, Ok(_)) => return Err(PbError::Malformed("updates are answered by a number")),
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
