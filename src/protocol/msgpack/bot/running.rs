//! One command that runs here: what it has said and the master has not heard, in its order.
//!
//! # Laws
//! - At most [`MOST_UNANSWERED`] messages of news wait for an answer; what comes besides waits here.
//! - While the end of a transfer has no answer, nothing more is said: the command's own end says whether it went well.

use std::{collections::VecDeque, time::Instant};

use super::news::{self, News};
use crate::protocol::{
    Transfer, Update, WorkerCommand,
    bot::gather::{Bounds, Gather, Now, Source, Unfinished},
};

/// Messages of news that a master may leave unanswered, of each command: a master that is so late has more at hand than it
/// can take.
const MOST_UNANSWERED: usize = 8;
/// What a message takes besides its text or its bytes, more or less.
const MESSAGE_BYTES: usize = 64;

/// The bytes that a command moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moves {
    /// None, or those of a file to the master.
    File,
    /// Those of a folder to the master.
    Folder,
    /// Those of a file from the master.
    Fetched,
}

/// What is to be said next.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    /// News, as many as a message holds.
    News(Vec<News>),
    /// Bytes on their way.
    Transfer {
        /// What it is called.
        op: &'static str,
        /// What it is.
        transfer: Transfer,
    },
    /// The end; why it failed, if it did.
    Complete(Option<String>),
}

#[derive(Debug)]
enum Item {
    News(News),
    Transfer(Transfer),
    Complete(Option<String>),
}

#[derive(Debug)]
pub(super) struct Running {
    /// Tells it from others with its id, of which answers may still come.
    pub(super) serial: u64,
    moves: Moves,
    gather: Gather,
    queue: VecDeque<Item>,
    queued_bytes: usize,
    /// Messages of news that have no answer.
    unanswered: usize,
    /// Whether the end of its transfer has no answer.
    is_closing: bool,
    /// Whether its end was told.
    is_over: bool,
    /// What went wrong at the master, which is told with its end.
    fault: Option<String>,
}

impl Running {
    /// One that has said nothing.
    pub(super) fn new(serial: u64, command: &WorkerCommand, bounds: Bounds) -> Self {
        let moves = match command {
            WorkerCommand::UploadDirectory(_) => Moves::Folder,
            WorkerCommand::DownloadFile(_) => Moves::Fetched,
            _ => Moves::File,
        };
        Self {
            serial,
            moves,
            // Buildbot's master loses the last character of what does not end with a line end, or breaks off there.
            gather: Gather::within(bounds, Unfinished::Kept),
            queue: VecDeque::new(),
            queued_bytes: 0,
            unanswered: 0,
            is_closing: false,
            is_over: false,
            fault: None,
        }
    }

    /// Whether its end was told: nothing more is heard of it.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Takes news.
    pub(super) fn update(&mut self, update: Update, now: Now) {
        match update {
            Update::Output { stream, bytes } => self.output(&Source::Stream(stream), &bytes, now),
            Update::Log { name, bytes } => self.output(&Source::Log(name), &bytes, now),
            update => {
                if matches!(update, Update::Rc(_)) {
                    // It has written its last, which belongs before that.
                    self.gather.finish(now);
                }
                self.flush();
                let news = News::Plain(update);
                if news.is_too_long() {
                    self.fail("what it found is too long a list for this protocol".into());
                } else {
                    self.push(Item::News(news));
                }
            }
        }
    }

    fn output(&mut self, source: &Source, bytes: &[u8], now: Now) {
        self.gather.output(source, bytes, now);
        self.tick(now);
    }

    /// Takes what it says of bytes on their way.
    pub(super) fn transfer(&mut self, transfer: Transfer) {
        self.flush();
        self.push(Item::Transfer(transfer));
    }

    /// Takes its end.
    pub(super) fn complete(&mut self, failure: Option<String>, now: Now) {
        self.gather.finish(now);
        self.flush();
        self.push(Item::Complete(failure));
        self.is_over = true;
    }

    /// When what it gathers is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.gather.due()
    }

    /// Says what is due.
    pub(super) fn tick(&mut self, now: Now) {
        if self.gather.due().is_some_and(|due| due <= now.instant) {
            self.flush();
        }
    }

    fn flush(&mut self) {
        for gathered in self.gather.take() {
            for piece in news::pieces(gathered) {
                self.push(Item::News(piece));
            }
        }
    }

    fn push(&mut self, item: Item) {
        self.queued_bytes += item.len();
        self.queue.push_back(item);
    }

    fn pop(&mut self) -> Option<Item> {
        let item = self.queue.pop_front()?;
        self.queued_bytes -= item.len();
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        Some(item)
    }

    /// How much waits here, in bytes.
    pub(super) const fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Whether something can be said now.
    pub(super) fn can_speak(&self) -> bool {
        match self.queue.front() {
            None => false,
            Some(_) if self.is_closing => false,
            Some(Item::News(_)) => self.unanswered < MOST_UNANSWERED,
            Some(Item::Transfer(_) | Item::Complete(_)) => true,
        }
    }

    /// What is said next, if something can be.
    pub(super) fn speak(&mut self) -> Option<Said> {
        if !self.can_speak() {
            return None;
        }
        Some(match self.pop()? {
            Item::News(first) => {
                let mut length = first.len();
                let mut bundle = vec![first];
                while let Some(Item::News(next)) = self.queue.front() {
                    length += next.len();
                    if length > news::MOST_BYTES {
                        break;
                    }
                    if let Some(Item::News(next)) = self.pop() {
                        bundle.push(next);
                    }
                }
                self.unanswered += 1;
                Said::News(bundle)
            }
            Item::Transfer(transfer) => {
                self.is_closing = ends(&transfer);
                Said::Transfer { op: self.op(&transfer), transfer }
            }
            Item::Complete(failure) => Said::Complete(self.fault.take().or(failure)),
        })
    }

    const fn op(&self, transfer: &Transfer) -> &'static str {
        match (transfer, self.moves) {
            (Transfer::Write(_), Moves::Folder) => "update_upload_directory_write",
            (Transfer::Write(_), _) => "update_upload_file_write",
            (Transfer::Read { .. }, _) => "update_read_file",
            (Transfer::Close, Moves::Fetched) => "update_read_file_close",
            (Transfer::Close, _) => "update_upload_file_close",
            (Transfer::Unpack, _) => "update_upload_directory_unpack",
            (Transfer::Times { .. }, _) => "update_upload_file_utime",
        }
    }

    /// The master has answered to news.
    pub(super) const fn news_answered(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
    }

    /// The master has answered to the end of a transfer; why it failed at that, if it did.
    pub(super) fn close_answered(&mut self, op: &'static str, failure: Option<String>) {
        self.is_closing = false;
        // What was fetched is here, whatever the master does with its end.
        if let Some(why) = failure.filter(|_| self.moves != Moves::Fetched) {
            self.fail(format!("the master failed at `{op}`: {why}"));
        }
    }

    /// Something went wrong at the master. The first of such things is what its end tells.
    pub(super) fn fail(&mut self, cause: String) {
        self.fault.get_or_insert(cause);
    }
}

impl Item {
    fn len(&self) -> usize {
        match self {
            Self::News(news) => news.len(),
            Self::Transfer(Transfer::Write(block)) => MESSAGE_BYTES + block.len(),
            Self::Transfer(_) | Self::Complete(None) => MESSAGE_BYTES,
            Self::Complete(Some(failure)) => MESSAGE_BYTES + failure.len(),
        }
    }
}

/// Whether it is answered once what came before it is where it belongs.
pub(super) const fn ends(transfer: &Transfer) -> bool {
    matches!(transfer, Transfer::Close | Transfer::Unpack | Transfer::Times { .. })
}
