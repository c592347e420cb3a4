//! What a worker does when its master calls it.
//!
//! # Laws
//! - What is no call of a worker is answered by a failure, and changes nothing.
//! - The builders are as many as the objects that Twisted would publish for one connection, or some more.

use std::collections::BTreeMap;

use super::{Object, StartedCommand, WorkerEvent, WorkerSession, text};
use crate::protocol::{
    facts,
    pb::{
        broker::{Call, Target},
        failure::{Failure, NO_SUCH_METHOD, PB_ERROR, TYPE_ERROR, VALUE_ERROR},
        info,
        jelly::{Value, field},
    },
};

/// Builders that a worker has objects for: those of a list, and of earlier ones what its master has not given back.
const MAX_OBJECTS: usize = 4096;
/// The longest name of a builder or a folder, in bytes.
const MAX_NAME_BYTES: usize = 4096;

impl WorkerSession {
    pub(super) fn called(&mut self, call: Call) {
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
            None => self.refuse_call(call, &Failure::new(PB_ERROR, "Invalid Object ID")),
        }
    }

    fn bot_called(&mut self, call: Call) {
        let fact = |name| self.info.field(name).cloned().ok_or_else(no_method);
        let answer = match call.method.as_ref() {
            b"print" => {
                self.events.push_back(WorkerEvent::Printed(message(&call)));
                Ok(Value::None)
            }
            b"getWorkerInfo" => Ok(self.info.clone()),
            b"getCommands" => fact(facts::COMMANDS),
            b"getVersion" => fact(info::VERSION),
            b"setBuilderList" => self.set_builders(call.args.first()),
            b"shutdown" => {
                self.events.push_back(WorkerEvent::ShutdownAsked);
                Ok(Value::None)
            }
            _ => Err(no_method()),
        };
        match answer {
            Ok(answer) => self.broker.answer(call.reply, &answer),
            Err(failure) => self.refuse_call(call, &failure),
        }
    }

    fn set_builders(&mut self, list: Option<&Value>) -> Result<Value, Failure> {
        let wrong = || Failure::new(VALUE_ERROR, "a list of builders has their names and folders in pairs");
        let pair = |pair: &Value| match pair.as_items()? {
            [name, folder] => Some((name.as_text()?.into_owned(), folder.as_text()?.into_owned())),
            _ => None,
        };
        let pairs = list.and_then(Value::as_items).ok_or_else(wrong)?;
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|of| pair(of).ok_or_else(wrong)).collect::<Result<_, _>>()?;
        if pairs.iter().any(|(name, folder)| name.len().max(folder.len()) > MAX_NAME_BYTES) {
            return Err(Failure::new(VALUE_ERROR, format!("a name is longer than {MAX_NAME_BYTES} bytes")));
        }
        let is_new = |(name, _): &&(String, String)| !self.builders.contains_key(name);
        if self.broker.objects() + pairs.iter().filter(is_new).count() > MAX_OBJECTS {
            return Err(Failure::new(PB_ERROR, "Maximum PB reference count exceeded."));
        }
        let mut earlier = std::mem::take(&mut self.builders);
        let mut builders = BTreeMap::new();
        let mut answer = Vec::with_capacity(pairs.len());
        for (name, _) in &pairs {
            if builders.contains_key(name) {
                continue;
            }
            let object = match earlier.remove(name) {
                Some(object) if self.broker.object(object).is_some() => {
                    self.broker.publish_again(object);
                    object
                }
                _ => self.broker.publish(Object::Builder(name.clone())),
            };
            builders.insert(name.clone(), object);
            answer.push((Value::text(name.clone()), Value::Remote(object)));
        }
        self.builders = builders;
        self.events.push_back(WorkerEvent::Builders(pairs));
        Ok(Value::Dict(answer))
    }

    fn builder_called(&mut self, builder: String, call: Call) {
        match (call.method.as_ref(), call.args.as_slice()) {
            (b"startBuild", _) => self.events.push_back(WorkerEvent::BuildStarted(builder)),
            (b"startCommand", [Value::Remote(object), id, name, arguments]) => {
                self.events.push_back(WorkerEvent::Started(StartedCommand {
                    builder,
                    id: text(id),
                    name: text(name),
                    arguments: arguments.clone(),
                    object: *object,
                    reply: Some(call.reply),
                }));
                return;
            }
            (b"interruptCommand", [id, why]) => {
                self.events.push_back(WorkerEvent::Interrupted { builder, id: text(id), why: text(why) });
            }
            (b"startCommand" | b"interruptCommand", _) => {
                let failure = Failure::new(TYPE_ERROR, "the method has other arguments");
                return self.refuse_call(call, &failure);
            }
            (b"print", _) => self.events.push_back(WorkerEvent::Printed(message(&call))),
            // From other times; nobody is to hear of the object.
            (b"setMaster", args) => self.give_back_all(args),
            _ => return self.refuse_call(call, &no_method()),
        }
        self.broker.answer(call.reply, &Value::None);
    }

    /// Answers by a failure, and keeps nothing of what came.
    fn refuse_call(&mut self, call: Call, failure: &Failure) {
        self.broker.refuse(call.reply, failure);
        self.give_back_all(&call.args);
    }

    /// Gives back the objects among these values.
    pub(super) fn give_back_all<'a>(&mut self, values: impl IntoIterator<Item = &'a Value>) {
        for value in values {
            if let Value::Remote(object) = value {
                self.broker.give_back(*object);
            }
        }
    }
}

fn no_method() -> Failure {
    Failure::new(NO_SUCH_METHOD, "no such method")
}

/// What is to be printed.
fn message(call: &Call) -> String {
    call.args.first().or_else(|| field(&call.keywords, "message")).map_or_else(String::new, text)
}
