//! Commands over several links: both ends, and a wire that loses what is on its way when it is cut.

mod kept;
mod links;
mod wanted;

use std::{io, mem};

use super::*;
use crate::protocol::{
    ShellArguments,
    bot::{Away, KeptId},
};

/// The command that all is about.
const ID: &str = "c";

fn id() -> CommandId {
    CommandId::new(ID)
}

/// Something that was written to a disk; without bytes, one that cannot be read any more.
#[derive(Debug)]
struct Disk(Option<Bytes>);

impl Away for Disk {
    fn read(&self) -> io::Result<Bytes> {
        self.0.clone().ok_or_else(|| io::Error::other("the disk is gone"))
    }
}

/// The worker's side.
enum Far {
    Up(BotSession),
    Down(Suspended),
}

impl Far {
    fn say(&mut self, message: FromWorker, now: Now) {
        match self {
            Self::Up(bot) => bot.say(message, now),
            Self::Down(suspended) => suspended.say(message, now),
        }
    }

    fn tick(&mut self, now: Now) {
        match self {
            Self::Up(bot) => bot.tick(now),
            Self::Down(suspended) => suspended.tick(now),
        }
    }

    /// Keeps on a disk what should leave memory.
    fn stow(&mut self) {
        loop {
            let overflow = match self {
                Self::Up(bot) => bot.overflow(),
                Self::Down(suspended) => suspended.overflow(),
            };
            let Some((kept, body)) = overflow else { return };
            let away = Box::new(Disk(Some(body)));
            match self {
                Self::Up(bot) => bot.stowed(kept, away),
                Self::Down(suspended) => suspended.stowed(kept, away),
            }
        }
    }

    fn orders(&mut self) -> Vec<ToWorker> {
        let order = |event| match event {
            BotEvent::Order(order) => Some(order),
            BotEvent::Failed(why) => panic!("{why}"),
            _ => None,
        };
        match self {
            Self::Up(bot) => std::iter::from_fn(|| bot.poll_event()).filter_map(order).collect(),
            Self::Down(suspended) => std::iter::from_fn(|| suspended.poll_order()).collect(),
        }
    }
}

/// What a master makes of what it hears of the command.
#[derive(Clone, Debug, Default)]
struct Upper {
    mark: u64,
    reply: Option<TransferReply>,
    output: Vec<u8>,
    /// What was sent to the master, or what it sends.
    file: Vec<u8>,
    sent: usize,
    closed: usize,
    times: usize,
    rc: Vec<i32>,
    ends: Vec<Option<String>>,
    unknown: usize,
}

/// Both ends.
struct World {
    far: Far,
    master: MasterSession,
    links: u32,
    begin: Instant,
    milliseconds: u32,
    /// Payloads that arrive before all others are lost.
    left: usize,
    upper: Upper,
    /// What a master knows that comes after this one.
    noted: Upper,
    /// What the worker sends, block by block, or has fetched.
    file: Vec<u8>,
    read: usize,
    interrupts: Vec<CommandId>,
    /// Whether what is kept goes to a disk.
    has_disk: bool,
}

impl World {
    /// A worker and a master that have met.
    fn new() -> Self {
        let mut world = Self {
            far: Far::Up(BotSession::new(facts())),
            master: MasterSession::new("link-0"),
            links: 0,
            begin: Instant::now(),
            milliseconds: 0,
            left: usize::MAX,
            upper: Upper::default(),
            noted: Upper::default(),
            file: vec![],
            read: 0,
            interrupts: vec![],
            has_disk: false,
        };
        world.greet();
        world.exchange();
        world
    }

    /// With the command running.
    fn running(command: WorkerCommand) -> Self {
        let mut world = Self::new();
        world.start(command);
        world.exchange();
        world
    }

    fn start(&mut self, command: WorkerCommand) {
        self.order(ToWorker::Start { id: id(), builder: "b1".into(), command });
    }

    fn now(&self) -> Now {
        at(self.begin, self.milliseconds)
    }

    fn order(&mut self, order: ToWorker) {
        self.master.handle_order(order).unwrap();
    }

    fn greet(&mut self) {
        let builder = BuilderFolder { builder: "b1".into(), folder: "b1-dir".into() };
        self.order(ToWorker::OutliveLinks(Duration::from_secs(60)));
        self.order(ToWorker::SetBuilders(vec![builder]));
    }

    fn say(&mut self, message: FromWorker) {
        let now = self.now();
        self.far.say(message, now);
    }

    /// The command writes this.
    fn write(&mut self, text: &str) {
        self.say(output(ID, LogStream::Stdout, text));
    }

    fn end(&mut self) {
        self.say(news(ID, Update::Rc(0)));
        self.say(complete(ID, None));
    }

    /// Time passes, and what was gathered is due.
    fn wait(&mut self, milliseconds: u32) {
        self.milliseconds += milliseconds;
        let now = self.now();
        self.far.tick(now);
    }

    /// The link is lost, with all that was on its way but for so many payloads.
    fn cut(&mut self, arrive: usize) {
        self.left = arrive;
        self.exchange();
        self.left = usize::MAX;
        let far = mem::replace(&mut self.far, Far::Up(BotSession::new(facts())));
        let Far::Up(bot) = far else { panic!("it is cut already") };
        self.far = Far::Down(bot.suspend().expect("the master has said that commands outlive their link"));
    }

    /// There is another link, to the same master or to a new one, which asks for the command.
    fn connect(&mut self, is_new: bool) {
        self.connect_until(is_new, 3_600_000);
        self.adopt();
    }

    fn connect_until(&mut self, is_new: bool, milliseconds: u32) {
        if is_new {
            self.upper = self.noted.clone();
        }
        self.links += 1;
        self.master = MasterSession::new(format!("link-{}", self.links));
        let deadline = at(self.begin, milliseconds).instant;
        let far = mem::replace(&mut self.far, Far::Up(BotSession::new(facts())));
        let Far::Down(suspended) = far else { panic!("it is connected already") };
        self.far = Far::Up(BotSession::resumed(facts(), suspended, deadline));
        self.greet();
    }

    fn adopt(&mut self) {
        if self.upper.ends.is_empty() {
            let reply = self.upper.reply.clone().map(Box::new);
            self.order(ToWorker::Adopt { id: id(), received: self.upper.mark, reply });
        }
    }

    /// What the master knows is safe.
    fn acknowledge(&mut self) {
        self.noted = self.upper.clone();
        let number = if self.upper.ends.is_empty() { self.upper.mark } else { u64::MAX };
        self.order(ToWorker::Acknowledge { id: id(), number });
    }

    /// Carries payloads until both sides are silent. Each side does at once what it is told.
    fn exchange(&mut self) {
        loop {
            let Far::Up(bot) = &mut self.far else { return };
            while let Some((kept, away)) = bot.wanted() {
                bot.fetched(kept, away.read());
            }
            let said = bot.poll_output();
            let mut is_silent = said.is_none();
            if let Some(payload) = said.filter(|_| self.arrives()) {
                self.master.handle_message(&payload).unwrap();
                self.hear();
            }
            let told = self.master.poll_output();
            is_silent &= told.is_none();
            if let Some(payload) = told.filter(|_| self.arrives())
                && let Far::Up(bot) = &mut self.far
            {
                bot.hear(&payload).unwrap();
            }
            self.obey();
            if self.has_disk {
                self.far.stow();
            }
            if is_silent {
                return;
            }
        }
    }

    fn arrives(&mut self) -> bool {
        let arrives = self.left > 0;
        self.left = self.left.saturating_sub(1);
        arrives
    }

    /// The master's side of the command.
    fn hear(&mut self) {
        while let Some(event) = self.master.poll_event() {
            let SessionEvent::Message(message) = event else { continue };
            match message {
                FromWorker::Update { update: Update::Output { bytes, .. }, .. } => {
                    self.upper.output.extend(bytes);
                }
                FromWorker::Update { update: Update::Rc(rc), .. } => self.upper.rc.push(rc),
                FromWorker::Update { .. } | FromWorker::Hello(_) => {}
                FromWorker::Transfer { transfer, .. } => self.take(transfer),
                FromWorker::Mark { number, .. } => {
                    assert!(number > self.upper.mark, "{number} after {}", self.upper.mark);
                    self.upper.mark = number;
                }
                FromWorker::Complete { id, failure } => {
                    assert_eq!(id.as_str(), ID);
                    self.upper.ends.push(failure);
                }
                FromWorker::Unknown { .. } => self.upper.unknown += 1,
                other => panic!("{other:?}"),
            }
        }
    }

    fn take(&mut self, transfer: Transfer) {
        let upper = &mut self.upper;
        let reply = match transfer {
            Transfer::Write(block) => {
                upper.file.extend(block);
                TransferReply::Taken
            }
            Transfer::Read { most } => {
                let rest = &upper.file[upper.sent..];
                let block = Bytes::copy_from_slice(&rest[..rest.len().min(usize::try_from(most).unwrap())]);
                upper.sent += block.len();
                TransferReply::Data(block)
            }
            Transfer::Close => return upper.closed += 1,
            Transfer::Times { .. } => return upper.times += 1,
            Transfer::Unpack => panic!("no folder is sent"),
        };
        upper.reply = Some(reply.clone());
        self.order(ToWorker::Reply { id: id(), reply });
    }

    /// The worker does what it is told.
    fn obey(&mut self) {
        for order in self.far.orders() {
            match order {
                ToWorker::Start { id, command: WorkerCommand::MakeDirectory { .. }, .. } => {
                    self.say(news(id.as_str(), Update::Rc(0)));
                    self.say(complete(id.as_str(), None));
                }
                ToWorker::Start { command: WorkerCommand::DownloadFile(_), .. } => self.fetch(),
                ToWorker::Start { command: WorkerCommand::UploadFile(_), .. }
                | ToWorker::Reply { reply: TransferReply::Taken, .. } => self.send(),
                ToWorker::Reply { reply: TransferReply::Data(data), .. } if data.is_empty() => {
                    self.say(moved(ID, Transfer::Close));
                    self.end();
                }
                ToWorker::Reply { reply: TransferReply::Data(data), .. } => {
                    self.file.extend(data);
                    self.fetch();
                }
                ToWorker::Interrupt { id, .. } => self.interrupts.push(id),
                ToWorker::Start { .. } | ToWorker::SetBuilders(_) | ToWorker::Shutdown => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn send(&mut self) {
        let rest = &self.file[self.read..];
        let block = Bytes::copy_from_slice(&rest[..rest.len().min(9)]);
        self.read += block.len();
        if block.is_empty() {
            self.say(moved(ID, Transfer::Close));
            self.say(moved(ID, Transfer::Times { accessed_at: 1.0, modified_at: 2.0 }));
            self.end();
        } else {
            self.say(moved(ID, Transfer::Write(block)));
        }
    }

    fn fetch(&mut self) {
        self.say(moved(ID, Transfer::Read { most: 9 }));
    }

    fn bot(&mut self) -> &mut BotSession {
        match &mut self.far {
            Far::Up(bot) => bot,
            Far::Down(_) => panic!("the link is down"),
        }
    }

    /// All is acknowledged, and it is long after everything: nothing is left at the worker.
    fn is_forgotten(&mut self) -> bool {
        self.acknowledge();
        self.exchange();
        self.wait(10_000_000);
        self.exchange();
        self.cut(usize::MAX);
        let Far::Down(suspended) = &self.far else { panic!("it was cut") };
        suspended.is_empty()
    }
}

fn shell() -> WorkerCommand {
    WorkerCommand::Shell(Box::new(ShellArguments::sample("make")))
}

fn upload() -> WorkerCommand {
    WorkerCommand::sample_upload("f", 9)
}

fn download() -> WorkerCommand {
    WorkerCommand::sample_download("f", 9)
}
