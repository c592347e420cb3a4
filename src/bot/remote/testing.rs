//! A conversation in words that a test can read: each message is a line.

use std::{
    collections::VecDeque,
    mem,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{pump::Outside, station::Station};
use crate::{
    bot::LinkEnd,
    protocol::{
        CommandId, FromWorker, ToWorker, Update,
        bot::{BotEvent, Conversation, gather::Now},
        link::{self, WorkerEnd},
    },
};

/// How long output is gathered.
pub(super) const GATHERED: Duration = Duration::from_millis(50);

/// What was heard is none of the words.
#[derive(Debug, thiserror::Error)]
#[error("heard {0:?}")]
pub(super) struct NoWord(String);

/// See the module. The master says `attached`, `refused WHY`, `ping N`, `print TEXT`, `alive`, `taken` or `shutdown`, which is
/// answered by `answer`; the worker says `hello`, `pong N`, `out TEXT`, `complete`, `wish` and `alive?`.
#[derive(Debug)]
pub(super) struct Script {
    begun: String,
    events: VecDeque<BotEvent>,
    gathered: String,
    due: Option<Instant>,
    out: VecDeque<Bytes>,
    /// How much of what the worker says may wait for a `taken`.
    window: usize,
}

impl Script {
    pub(super) fn new() -> Self {
        let mut script = Self {
            begun: String::new(),
            events: VecDeque::new(),
            gathered: String::new(),
            due: None,
            out: VecDeque::new(),
            window: usize::MAX,
        };
        script.tell("hello".to_owned());
        script
    }

    /// One that says nothing more after so many lines, but for one more after each `taken`.
    pub(super) fn with_window(window: usize) -> Self {
        Self { window, ..Self::new() }
    }

    fn tell(&mut self, line: String) {
        self.out.push_back(Bytes::from(line + "\n"));
    }

    fn flush(&mut self) {
        self.due = None;
        if !self.gathered.is_empty() {
            let line = mem::take(&mut self.gathered);
            self.tell(line);
        }
    }
}

impl Conversation for Script {
    type Error = NoWord;

    fn hear(&mut self, input: &[u8]) -> Result<(), NoWord> {
        self.begun.push_str(str::from_utf8(input).unwrap());
        while let Some((line, rest)) = self.begun.split_once('\n') {
            let (line, rest) = (line.to_owned(), rest.to_owned());
            self.begun = rest;
            let (word, what) = line.split_once(' ').unwrap_or((&line, ""));
            let event = match word {
                "attached" => BotEvent::Attached,
                "refused" => BotEvent::Refused(what.to_owned()),
                "ping" => BotEvent::Order(ToWorker::Ping(what.parse().unwrap())),
                "print" => BotEvent::Printed(what.to_owned()),
                "alive" => BotEvent::KeptAlive,
                "taken" => {
                    self.window += 1;
                    BotEvent::KeptAlive
                }
                "shutdown" => {
                    self.tell("answer".to_owned());
                    BotEvent::Order(ToWorker::Shutdown)
                }
                _ => return Err(NoWord(line)),
            };
            self.events.push_back(event);
        }
        Ok(())
    }

    fn say(&mut self, message: FromWorker, now: Now) {
        if let FromWorker::Update { update: Update::Output { bytes, .. }, .. } = &message {
            let separator = if self.gathered.is_empty() { "out " } else { " " };
            self.gathered += separator;
            self.gathered += str::from_utf8(bytes).unwrap();
            self.due = self.due.or(Some(now.instant + GATHERED));
            if self.gathered.len() > 4096 {
                self.due = Some(now.instant);
            }
            return;
        }
        self.flush();
        // Nothing outlives a link here.
        if message == FromWorker::SessionOver {
            return;
        }
        self.tell(match message {
            FromWorker::Pong(number) => format!("pong {number}"),
            FromWorker::Complete { .. } => "complete".to_owned(),
            FromWorker::WantsShutdown => "wish".to_owned(),
            other => panic!("{other:?}"),
        });
    }

    fn keep_alive(&mut self) {
        self.tell("alive?".to_owned());
    }

    fn due(&self) -> Option<Instant> {
        self.due
    }

    fn tick(&mut self, now: Now) {
        if self.due.is_some_and(|due| due <= now.instant) {
            self.flush();
        }
    }

    fn poll_output(&mut self) -> Option<Bytes> {
        let line = (self.window > 0).then(|| self.out.pop_front()).flatten()?;
        self.window = self.window.saturating_sub(1);
        Some(line)
    }

    fn output_len(&self) -> usize {
        self.out.iter().map(Bytes::len).sum()
    }

    fn poll_event(&mut self) -> Option<BotEvent> {
        self.events.pop_front()
    }
}

/// A bot that the test itself is.
pub(super) fn station() -> (Station, WorkerEnd) {
    let (link, end) = link::pair();
    let task: JoinHandle<LinkEnd> = tokio::spawn(async { LinkEnd::Down });
    (Station::new(link, task), end)
}

/// Nobody wishes anything yet.
pub(super) fn outside() -> Outside {
    Outside {
        stop: CancellationToken::new(),
        wants_shutdown: CancellationToken::new(),
        attached: watch::Sender::new(false),
    }
}

/// Output of a command.
pub(super) fn output(text: &str) -> FromWorker {
    let update = Update::Output {
        stream: crate::model::LogStream::Stdout,
        bytes: Bytes::copy_from_slice(text.as_bytes()),
    };
    FromWorker::Update { id: CommandId::new("1"), update }
}

/// The end of that command.
pub(super) fn complete() -> FromWorker {
    FromWorker::Complete { id: CommandId::new("1"), failure: None }
}
