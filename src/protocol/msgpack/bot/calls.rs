//! What the master asks of the worker, and what it is answered.
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/msgpack.py`, for what must be there, and for the texts of exceptions.

use std::time::Duration;

use bytes::Bytes;
use rmpv::ValueRef;

use super::{
    super::frame::{self, field, shown},
    BotSession, MAX_WHY_BYTES, Map, arguments, info,
    running::Resumed,
};
use crate::protocol::{
    CommandId, ToWorker, TransferReply,
    bot::{
        BotEvent,
        gather::{Bounds, MOST_BYTES, WAIT},
    },
};

/// Commands at once: more than a worker runs, which says so by itself.
pub(super) const MAX_COMMANDS: usize = 512;
/// The longest id of a command, in bytes; those of masters are shorter.
const MAX_ID_BYTES: usize = 256;
/// The longest name of an operation or a command that is repeated, in bytes.
const MAX_NAME_BYTES: usize = 256;

impl BotSession {
    /// Does what the master asks, and answers.
    pub(super) fn called(&mut self, op: &[u8], seq: u64, message: &Map<'_>) {
        let done = match op {
            b"print" => self.print(message),
            // That the connection is alive is all that it says.
            b"keepalive" => Ok(()),
            b"get_worker_info" => {
                self.requests.respond(seq, info::answer(&self.info));
                return self.attached();
            }
            b"set_worker_settings" => bounds(message).map(|bounds| self.bounds = bounds),
            b"start_command" => self.start(message),
            b"interrupt_command" => self.interrupt(message),
            b"resume_settings" => self.outlive(message),
            b"resume_command" => self.resume(message),
            b"acknowledge" => self.acknowledge(message),
            b"shutdown" => {
                self.order(ToWorker::Shutdown);
                Ok(())
            }
            _ => {
                let op = String::from_utf8_lossy(&op[..op.len().min(MAX_NAME_BYTES)]);
                Err(format!("Command {op} does not exist."))
            }
        };
        match done {
            Ok(()) => self.requests.respond(seq, ValueRef::Nil),
            Err(why) => self.requests.refuse(seq, &why),
        }
    }

    fn print(&mut self, message: &Map<'_>) -> Result<(), String> {
        let line = field(message, "message").and_then(|line| shown(line, MAX_WHY_BYTES));
        self.events.push_back(BotEvent::Printed(line.ok_or_else(|| lacks("message"))?));
        Ok(())
    }

    fn start(&mut self, message: &Map<'_>) -> Result<(), String> {
        let id = command_id(message)?;
        let name = field(message, "command_name").and_then(|name| shown(name, MAX_NAME_BYTES));
        let name = name.ok_or_else(|| lacks("command_name"))?;
        let Some(ValueRef::Map(arguments)) = field(message, "args") else { return Err(lacks("args")) };
        if self.crew.knows(&id) {
            return Err(format!("(command {id}): it runs already"));
        }
        if self.crew.len() >= MAX_COMMANDS {
            return Err(format!("(command {id}): {MAX_COMMANDS} commands run already, which is the limit"));
        }
        let command =
            arguments::read(&name, arguments).map_err(|refusal| format!("(command {id}): {refusal}"))?;
        self.crew.start(&id, &command, self.bounds, self.outlives);
        self.order(ToWorker::Start { id, builder: "".into(), command });
        Ok(())
    }

    /// One that is not there has ended meanwhile, and its `complete` is on the way.
    fn interrupt(&mut self, message: &Map<'_>) -> Result<(), String> {
        let id = command_id(message)?;
        let why = field(message, "why").and_then(|why| shown(why, MAX_WHY_BYTES)).unwrap_or_default();
        match self.crew.get(&id) {
            // Of an earlier connection: nobody will want to hear of its end.
            Some(running) if !running.is_wanted() => self.crew.give_up(&id, &why, &mut self.events),
            Some(running) if !running.is_over() => self.order(ToWorker::Interrupt { id, why }),
            _ => {}
        }
        Ok(())
    }

    /// Commands that are started from now on outlive the connection.
    fn outlive(&mut self, message: &Map<'_>) -> Result<(), String> {
        let grace = field(message, "grace").and_then(frame::number).ok_or_else(|| lacks("grace"))?;
        self.grace = Duration::try_from_secs_f64(grace).map_err(|_| "`grace` is not seconds".to_owned())?;
        self.outlives = !self.grace.is_zero();
        Ok(())
    }

    /// A command of an earlier connection is wanted.
    fn resume(&mut self, message: &Map<'_>) -> Result<(), String> {
        let id = command_id(message)?;
        let received = number(message, "received")?;
        let reply = match field(message, "reply") {
            None | Some(ValueRef::Nil) => None,
            Some(ValueRef::Boolean(true)) => Some(TransferReply::Taken),
            Some(ValueRef::Binary(data)) => Some(TransferReply::Data(Bytes::copy_from_slice(data))),
            Some(_) => return Err("`reply` is nil, true, or bytes".into()),
        };
        let unknown = || Err(format!("no command {id} to resume"));
        let Some(running) = self.crew.get(&id).filter(|running| !running.is_wanted()) else {
            return unknown();
        };
        let is_over = running.is_over();
        match running.resume(received, reply) {
            None => {
                let why = "what the master misses of it is not there any more";
                self.crew.give_up(&id, why, &mut self.events);
                return unknown();
            }
            Some(_) if is_over => {}
            Some(Resumed::On(None)) => {}
            Some(Resumed::On(Some(reply))) => self.order(ToWorker::Reply { id, reply }),
            Some(Resumed::Failed(why)) => self.order(ToWorker::Interrupt { id, why }),
        }
        Ok(())
    }

    /// The master needs nothing of what a command said up to a number. One that is not there is forgotten already.
    fn acknowledge(&mut self, message: &Map<'_>) -> Result<(), String> {
        let id = command_id(message)?;
        let number = number(message, "number")?;
        let Some(running) = self.crew.get(&id).filter(|running| running.outlives()) else { return Ok(()) };
        if running.kept.acknowledge(number) || number == u64::MAX && running.is_over() {
            self.crew.forget(&id);
        }
        Ok(())
    }
}

/// How many messages of a command a request is about.
fn number(message: &Map<'_>, name: &str) -> Result<u64, String> {
    match field(message, name) {
        Some(ValueRef::Integer(number)) => {
            number.as_u64().ok_or_else(|| format!("`{name}` is not a number of messages"))
        }
        _ => Err(lacks(name)),
    }
}

/// The command that a request is about.
fn command_id(message: &Map<'_>) -> Result<CommandId, String> {
    let id = field(message, "command_id").and_then(frame::text).ok_or_else(|| lacks("command_id"))?;
    std::str::from_utf8(id)
        .ok()
        .filter(|id| id.len() <= MAX_ID_BYTES)
        .map(CommandId::new)
        .ok_or_else(|| format!("the id of a command is UTF-8 of at most {MAX_ID_BYTES} bytes"))
}

fn lacks(name: &str) -> String {
    format!("message did not contain obligatory \"{name}\" key")
}

/// How the output of commands is gathered: never longer than this worker does it anyway. What ends a line, and how long one
/// may be, is not the master's to say: lines stay whole.
fn bounds(message: &Map<'_>) -> Result<Bounds, String> {
    let Some(ValueRef::Map(settings)) = field(message, "args") else { return Err(lacks("args")) };
    let setting =
        |name| field(settings, name).ok_or("message did not contain obligatory settings for worker");
    let (bytes, seconds) = (setting("buffer_size")?, setting("buffer_timeout")?);
    setting("newline_re")?;
    setting("max_line_length")?;
    let wait = frame::number(seconds).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let wait = wait.ok_or("`buffer_timeout` is not seconds")?;
    let bytes = frame::integer(bytes).and_then(|bytes| usize::try_from(bytes).ok());
    let most_bytes = bytes.ok_or("`buffer_size` is not a number of bytes")?;
    Ok(Bounds { wait: wait.min(WAIT), most_bytes: most_bytes.min(MOST_BYTES) })
}
