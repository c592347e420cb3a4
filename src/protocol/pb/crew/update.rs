//! News of commands, as workers of all ages tell them.
//!
//! # Laws
//! - Several pieces of news at once, with several keys each, are told one by one in their order.
//! - What was not asked for, and what is not understood, is passed over.

use std::{sync::Arc, time::Duration};

use super::{Crew, SessionEvent, Wire};
use crate::protocol::{
    FromWorker, Update,
    message::FileStat,
    pb::{
        jelly::Value,
        keys::{self, news},
    },
};

impl Crew {
    /// Tells what is new of the command of a builder; without a builder nobody waits for it. Gives the largest number among
    /// the updates, which is their answer.
    pub(in crate::protocol::pb) fn updates(
        &self,
        builder: Option<&str>,
        args: &[Value],
        wire: &mut Wire<'_>,
    ) -> i64 {
        let command = builder.and_then(|builder| self.commands.get(builder));
        let updates = args.first().and_then(Value::as_items).unwrap_or_default();
        let mut largest = 0;
        for update in updates {
            let [Value::Dict(news), number] = update.as_items().unwrap_or_default() else { continue };
            if let Value::Int(number) = number {
                largest = largest.max(*number);
            }
            let Some(command) = command else { continue };
            for (key, value) in news {
                if let Some(update) = key.as_bytes().and_then(|key| read(key, value, &command.logs)) {
                    let id = command.id.clone();
                    wire.events.push_back(SessionEvent::Message(FromWorker::Update { id, update }));
                }
            }
        }
        largest
    }
}

fn read(key: &[u8], value: &Value, logs: &[Arc<str>]) -> Option<Update> {
    let key = std::str::from_utf8(key).ok()?;
    if let Some(stream) = keys::meaning(&keys::STREAMS, key) {
        let bytes = value.as_bytes().filter(|bytes| !bytes.is_empty())?.clone();
        return Some(Update::Output { stream, bytes });
    }
    match (key, value) {
        (news::LOG, value) => {
            let [name, text] = value.as_items()? else { return None };
            let name = logs.iter().find(|log| name.as_bytes().is_some_and(|name| log.as_bytes() == name))?;
            let bytes = text.as_bytes().filter(|bytes| !bytes.is_empty())?.clone();
            Some(Update::Log { name: Arc::clone(name), bytes })
        }
        (news::RC, Value::Int(rc)) => {
            let rc = (*rc).clamp(i64::from(i32::MIN), i64::from(i32::MAX));
            Some(Update::Rc(i32::try_from(rc).expect("it lies between two of them")))
        }
        (news::ELAPSED, Value::Float(seconds)) => {
            Duration::try_from_secs_f64(*seconds).ok().map(Update::Elapsed)
        }
        (news::ELAPSED, Value::Int(seconds)) => {
            u64::try_from(*seconds).ok().map(|seconds| Update::Elapsed(Duration::from_secs(seconds)))
        }
        (news::FAILURE_REASON, reason) => {
            keys::meaning(&keys::FAILURE_REASONS, &reason.as_text()?).map(Update::FailureReason)
        }
        (news::STAT, value) => stat(value).map(|stat| Update::Stat(Box::new(stat))),
        (news::FILES, value) => {
            let names = value.as_items()?.iter().filter_map(Value::as_text);
            Some(Update::Files(names.map(std::borrow::Cow::into_owned).collect()))
        }
        _ => None,
    }
}

/// The ten numbers of the system call, in its order.
fn stat(value: &Value) -> Option<FileStat> {
    let mut numbers = value.as_items()?.iter().map(|number| match number {
        Value::Int(number) => Some(*number),
        // Instants of some systems have fractions. Out of range it is the nearest.
        #[expect(clippy::cast_possible_truncation, reason = "what is cut off is the fraction")]
        Value::Float(number) => Some(*number as i64),
        _ => None,
    });
    let mut next = || numbers.next().flatten();
    let small = |number: i64| u32::try_from(number.max(0)).unwrap_or(u32::MAX);
    let large = |number: i64| number.max(0).unsigned_abs();
    Some(FileStat {
        mode: small(next()?),
        inode: large(next()?),
        device: large(next()?),
        links: large(next()?),
        uid: small(next()?),
        gid: small(next()?),
        size: large(next()?),
        accessed_at: next()?,
        modified_at: next()?,
        changed_at: next()?,
    })
}
