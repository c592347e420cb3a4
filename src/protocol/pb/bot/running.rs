//! A command that runs: what it has said and its master has not been told yet.
//!
//! # Laws
//! - What a command says goes in the order in which it was said, its end last and once.
//! - While its master has not answered about its bytes, nothing more goes: not the next block, and not what came of it.

use std::{collections::VecDeque, sync::Arc};

use super::{
    news::{self, News},
    transfer::Moving,
};
use crate::protocol::{
    Transfer, WorkerCommand,
    bot::gather::{Gather, Now, Source, Unfinished},
    pb::failure::{Failure, REMOTE_ERROR},
};

/// What a thing that waits takes beside its text, in bytes.
const WORD_BYTES: usize = 128;

/// See the module.
#[derive(Debug)]
pub(super) struct Running {
    /// The master's name for it.
    pub(super) name: String,
    pub(super) builder: Arc<str>,
    /// The master's object that hears of it.
    pub(super) object: i64,
    pub(super) is_interrupted: bool,
    /// Whether it is over before `buildbot-worker` would look at the next start: that does not end it early.
    pub(super) is_question: bool,
    pub(super) moving: Option<Moving>,
    /// What went wrong on the way, which is told with its end.
    fault: Option<Failure>,
    gather: Gather,
    waiting: VecDeque<Word>,
    waiting_bytes: usize,
    /// Whether its end is among what waits.
    is_over: bool,
}

/// A thing that was said.
#[derive(Debug)]
pub(super) enum Word {
    News(News),
    Transfer(Transfer),
    End(Option<String>),
}

impl Word {
    fn len(&self) -> usize {
        let text = match self {
            Self::News(news) => news.len(),
            Self::Transfer(Transfer::Write(block)) => block.len(),
            Self::Transfer(_) => 0,
            Self::End(failure) => failure.as_ref().map_or(0, String::len),
        };
        text + WORD_BYTES
    }
}

impl Running {
    pub(super) fn new(name: String, builder: Arc<str>, object: i64, command: &WorkerCommand) -> Self {
        let is_question = match command {
            WorkerCommand::MakeDirectory { .. }
            | WorkerCommand::Stat(_)
            | WorkerCommand::Glob { .. }
            | WorkerCommand::ListDirectory { .. }
            | WorkerCommand::RemoveFile { .. } => true,
            WorkerCommand::Shell(_)
            | WorkerCommand::UploadFile(_)
            | WorkerCommand::UploadDirectory(_)
            | WorkerCommand::DownloadFile(_)
            | WorkerCommand::RemoveDirectory(_)
            | WorkerCommand::CopyDirectory(_) => false,
        };
        Self {
            name,
            builder,
            object,
            is_interrupted: false,
            is_question,
            moving: None,
            fault: None,
            gather: Gather::new(Unfinished::Kept),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            is_over: false,
        }
    }

    /// Takes output, which may wait for more of it.
    pub(super) fn output(&mut self, source: &Source, bytes: &[u8], now: Now) {
        if !self.is_over {
            self.gather.output(source, bytes, now);
            self.tick(now);
        }
    }

    /// Takes anything else. What was gathered goes before it, and with the end all of it.
    pub(super) fn say(&mut self, word: Word, now: Now) {
        if self.is_over {
            return;
        }
        self.is_over = matches!(word, Word::End(_));
        if self.is_over {
            self.gather.finish(now);
        }
        self.flush();
        self.push(word);
    }

    /// When [`Running::tick`] has something to do.
    pub(super) fn due(&self) -> Option<std::time::Instant> {
        self.gather.due()
    }

    /// Has what was gathered long enough said.
    pub(super) fn tick(&mut self, now: Now) {
        if self.due().is_some_and(|due| due <= now.instant) {
            self.flush();
        }
    }

    /// The next word, if it may go: it is not to if it is news, and its master has much of that to read.
    pub(super) fn next(&mut self, may_tell_news: bool) -> Option<Word> {
        if self.moving.as_ref().is_some_and(Moving::is_asking)
            || (matches!(self.waiting.front()?, Word::News(_)) && !may_tell_news)
        {
            return None;
        }
        let word = self.waiting.pop_front()?;
        self.waiting_bytes -= word.len();
        Some(word)
    }

    /// How much waits to be told, in bytes.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Something went wrong; what did first is told.
    pub(super) fn fail(&mut self, failure: Failure) {
        self.fault.get_or_insert(failure);
    }

    /// The master answered a call about its bytes by a failure.
    pub(super) fn fail_by_master(&mut self, failure: &Failure) {
        self.fail(Failure::exception(REMOTE_ERROR, failure.brief()));
    }

    /// What is told with its end.
    pub(super) fn fault(&mut self) -> Option<Failure> {
        self.fault.take()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.fault.is_some()
    }

    fn flush(&mut self) {
        for gathered in self.gather.take() {
            for news in news::of_text(gathered) {
                self.push(Word::News(news));
            }
        }
    }

    fn push(&mut self, word: Word) {
        self.waiting_bytes += word.len();
        self.waiting.push_back(word);
    }
}
