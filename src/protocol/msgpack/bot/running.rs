//! One command that runs here: what it has said and the master has not heard, in its order.
//!
//! # Laws
//! - At most [`MOST_UNANSWERED`] messages of news wait for an answer; what comes besides waits here.
//! - While the end of a transfer has no answer, nothing more is said: the command's own end says whether it went well.
//! - What outlives its link says nothing on another one before it is wanted there.
//! - Of a command that outlives its link no more waits in words than one message holds: the rest is kept as it will be sent.

mod message;

use std::{collections::VecDeque, time::Instant};

use bytes::Bytes;

use self::message::Item;
use super::{
    kept::{Kept, Kind},
    news::{self, News},
};
use crate::protocol::{
    CommandId, Transfer, TransferReply, Update, WorkerCommand,
    bot::{
        Away, KeptId,
        gather::{Bounds, Gather, Now, Source, Unfinished},
    },
};

/// Messages of news that a master may leave unanswered, of each command: a master that is so late has more at hand than it
/// can take.
const MOST_UNANSWERED: usize = 8;

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

/// What is said next: its number, what it is, and the message but for the number of the request.
pub(super) type Said = (u64, Kind, Bytes);

/// What becomes of a command that is wanted again.
pub(super) enum Resumed {
    /// It goes on. The answer to its last block may have been lost, and is this.
    On(Option<TransferReply>),
    /// It cannot go on.
    Failed(String),
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) id: CommandId,
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
    /// Blocks that have no answer, by their numbers, and whether bytes are wanted.
    blocks: VecDeque<(u64, bool)>,
    /// Whether its end was told.
    is_over: bool,
    /// What went wrong at the master, which is told with its end.
    fault: Option<String>,
    /// Whether it outlives its link.
    outlives: bool,
    pub(super) kept: Kept,
    wanted: Wanted,
}

/// Whether the master at the other end of the link wants a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// It does.
    Yes,
    /// It has not said so, and is waited for until then; without end while there is no link.
    Waiting(Option<Instant>),
}

impl Running {
    /// One that has said nothing.
    pub(super) fn new(
        id: CommandId,
        serial: u64,
        command: &WorkerCommand,
        bounds: Bounds,
        outlives: bool,
    ) -> Self {
        let moves = match command {
            WorkerCommand::UploadDirectory(_) => Moves::Folder,
            WorkerCommand::DownloadFile(_) => Moves::Fetched,
            _ => Moves::File,
        };
        Self {
            id,
            serial,
            moves,
            // Buildbot's master loses the last character of what does not end with a line end, or breaks off there.
            gather: Gather::within(bounds, Unfinished::Kept),
            queue: VecDeque::new(),
            queued_bytes: 0,
            unanswered: 0,
            is_closing: false,
            blocks: VecDeque::new(),
            is_over: false,
            fault: None,
            outlives,
            kept: Kept::new(serial),
            wanted: Wanted::Yes,
        }
    }

    /// Whether its end was told: nothing more is heard of it.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether what it says is kept until that is acknowledged.
    pub(super) const fn outlives(&self) -> bool {
        self.outlives
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

    /// When what it gathers is due, or it was waited for long enough.
    pub(super) fn due(&self) -> Option<Instant> {
        self.gather.due().into_iter().chain(self.deadline()).min()
    }

    /// Whether it was not wanted in time.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }

    const fn deadline(&self) -> Option<Instant> {
        match self.wanted {
            Wanted::Yes => None,
            Wanted::Waiting(deadline) => deadline,
        }
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
        while self.outlives
            && self.queued_bytes > news::MOST_BYTES
            && matches!(self.queue.front(), Some(Item::News(_)))
            && let Some((kind, body)) = self.form()
        {
            self.kept.push(kind, body);
        }
    }

    fn pop(&mut self) -> Option<Item> {
        let item = self.queue.pop_front()?;
        self.queued_bytes -= item.len();
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        Some(item)
    }

    /// How much is to be sent on this link, in bytes.
    pub(super) const fn output_len(&self) -> usize {
        if self.is_wanted() { self.queued_bytes + self.kept.unsent() } else { 0 }
    }

    /// How much there is because it outlives its link.
    pub(super) const fn kept_bytes(&self) -> usize {
        if self.outlives { self.queued_bytes + self.kept.bytes() } else { 0 }
    }

    /// How much of that is in memory.
    pub(super) const fn here_bytes(&self) -> usize {
        if self.outlives { self.queued_bytes + self.kept.here() } else { 0 }
    }

    /// Whether something can be said now.
    pub(super) fn can_speak(&self) -> bool {
        match (self.kept.next(), self.queue.front()) {
            (Some((kind, is_here)), _) => is_here && self.may_say(kind == Kind::News),
            (None, Some(item)) => self.may_say(matches!(item, Item::News(_))),
            (None, None) => false,
        }
    }

    const fn may_say(&self, is_news: bool) -> bool {
        self.is_wanted() && !self.is_closing && (!is_news || self.unanswered < MOST_UNANSWERED)
    }

    /// What is to be said next, if it must be brought back first.
    pub(super) fn wanted(&mut self) -> Option<(KeptId, Box<dyn Away>)> {
        let (kind, _) = self.kept.next()?;
        if self.may_say(kind == Kind::News) { self.kept.wanted() } else { None }
    }

    /// What is said next, if something can be.
    pub(super) fn speak(&mut self) -> Option<Said> {
        if !self.can_speak() {
            return None;
        }
        let said = match self.kept.send() {
            Some(said) => said,
            None => {
                let (kind, body) = self.form()?;
                if self.outlives {
                    self.kept.push(kind, body);
                    self.kept.send()?
                } else {
                    (self.kept.last_number(), kind, body)
                }
            }
        };
        match said.1 {
            Kind::News => self.unanswered += 1,
            Kind::Close { .. } => self.is_closing = true,
            Kind::Block { .. } | Kind::Complete => {}
        }
        Some(said)
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

    /// The master has answered to a block. Whether that was waited for.
    pub(super) fn block_answered(&mut self, number: u64) -> bool {
        let index = self.blocks.iter().position(|block| block.0 == number);
        index.is_some_and(|index| self.blocks.remove(index).is_some())
    }

    /// Its link is lost. Whether it outlives that.
    pub(super) const fn suspend(&mut self) -> bool {
        if self.is_wanted() {
            self.wanted = Wanted::Waiting(None);
        }
        self.outlives
    }

    /// There is a link on which it may be wanted until then. A time that was set for a link before stays.
    pub(super) fn wait_until(&mut self, deadline: Instant) {
        if let Wanted::Waiting(until) = &mut self.wanted {
            until.get_or_insert(deadline);
        }
    }

    /// Whether the master of this link wants it.
    pub(super) const fn is_wanted(&self) -> bool {
        matches!(self.wanted, Wanted::Yes)
    }

    /// The master wants it, and has heard all up to `received`; nothing if it cannot be told what comes after.
    pub(super) fn resume(&mut self, received: u64, reply: Option<TransferReply>) -> Option<Resumed> {
        if !self.kept.resume(received) {
            return None;
        }
        self.wanted = Wanted::Yes;
        // What was not received is said again, and counts anew.
        (self.unanswered, self.is_closing) = (0, false);
        let mut lost = Vec::new();
        self.blocks.retain(|block| {
            block.0 > received || {
                lost.push(block.1);
                false
            }
        });
        Some(match (&lost[..], reply) {
            ([], _) => Resumed::On(None),
            ([false], Some(reply @ TransferReply::Taken))
            | ([true], Some(reply @ TransferReply::Data(_))) => Resumed::On(Some(reply)),
            _ => {
                let why = "the master does not know what it answered to the last block".to_owned();
                self.fail(why.clone());
                Resumed::Failed(why)
            }
        })
    }

    /// What it has said is lost: nothing is left but its end.
    pub(super) fn lose(&mut self, cause: String) {
        self.kept.clear();
        (self.queue, self.queued_bytes) = (VecDeque::new(), 0);
        drop(self.gather.take());
        self.blocks.clear();
        self.is_closing = false;
        self.is_over = true;
        self.fail(cause);
        self.push(Item::Complete(None));
    }

    /// Something went wrong at the master. The first of such things is what its end tells.
    pub(super) fn fail(&mut self, cause: String) {
        self.fault.get_or_insert(cause);
    }
}
