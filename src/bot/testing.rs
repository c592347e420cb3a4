//! A LocalWorker with a test in the place of its master.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::{Bot, BotSettings, home, local};
use crate::{
    exec::testing::within,
    model::{LogStream, WorkerName},
    protocol::{
        CommandId, FailureReason, FromWorker, Link, ShellArguments, ToWorker, Transfer, TransferReply,
        Update, WorkerCommand,
        command::ShellLine,
        link,
        message::{BuilderFolder, FileStat},
    },
};

pub(super) struct Master {
    pub(super) link: Link,
    pub(super) task: JoinHandle<()>,
    pub(super) dir: tempfile::TempDir,
    /// What it gives to those who fetch a file.
    pub(super) stored: Bytes,
}

/// What was told of one command.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) header: String,
    pub(super) output: Vec<u8>,
    pub(super) rc: Option<i32>,
    pub(super) reason: Option<FailureReason>,
    pub(super) failure: Option<String>,
    pub(super) logs: BTreeMap<String, Vec<u8>>,
    pub(super) stat: Option<FileStat>,
    pub(super) files: Option<Vec<String>>,
    /// What was moved: of the bytes of a `Write`, only how many.
    pub(super) moves: Vec<Move>,
    /// The bytes of all `Write`s.
    pub(super) written: Vec<u8>,
}

/// A step of a transfer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Move {
    Write(usize),
    Read(u32),
    Close,
    Unpack,
    Times,
}

impl Told {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.output.clone()).unwrap()
    }
}

pub(super) fn name() -> WorkerName {
    WorkerName::new("bot1").unwrap()
}

pub(super) fn id(text: &str) -> CommandId {
    CommandId::new(text)
}

pub(super) fn shell(line: &str) -> ShellArguments {
    ShellArguments::sample(line)
}

pub(super) fn argv(words: &[&str]) -> ShellArguments {
    let words = words.iter().map(|&word| word.to_owned()).collect();
    ShellArguments { command: ShellLine::Argv(words), ..shell("") }
}

impl Master {
    /// A worker that has said hello and has one builder, `b`.
    pub(super) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (link, task) = within(local::start(&name(), &dir.path().join("workers/bot1"))).await.unwrap();
        Self { link, task, dir, stored: Bytes::new() }.welcomed().await
    }

    /// The same, but with settings of its own, as a worker that is a program has them.
    pub(super) async fn with(change: impl FnOnce(&mut BotSettings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let basedir = within(home::prepare(&dir.path().join("workers/bot1"))).await.unwrap();
        let mut settings = BotSettings::new(basedir);
        change(&mut settings);
        let (link, end) = link::pair();
        let task = tokio::spawn(async move {
            Bot::new(settings).run(end).await;
        });
        Self { link, task, dir, stored: Bytes::new() }.welcomed().await
    }

    async fn welcomed(mut self) -> Self {
        let FromWorker::Hello(info) = self.heard().await else { panic!("no hello") };
        assert_eq!(info.text("system"), Some("posix"));
        self.set_builders(&[("b", "b-folder")]).await;
        self
    }

    pub(super) fn builddir(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("workers/bot1/b-folder")
    }

    pub(super) async fn say(&self, message: ToWorker) {
        within(self.link.to_worker.send(message)).await.unwrap();
    }

    pub(super) async fn set_builders(&self, builders: &[(&str, &str)]) {
        let folder = |&(builder, folder): &(&str, &str)| BuilderFolder {
            builder: builder.into(),
            folder: folder.to_owned(),
        };
        self.say(ToWorker::SetBuilders(builders.iter().map(folder).collect())).await;
    }

    pub(super) async fn order(&self, id: &CommandId, builder: &str, arguments: ShellArguments) {
        let command = WorkerCommand::Shell(Box::new(arguments));
        self.say(ToWorker::Start { id: id.clone(), builder: Arc::from(builder), command }).await;
    }

    pub(super) async fn heard(&mut self) -> FromWorker {
        within(self.link.from_worker.recv()).await.expect("the worker has ended")
    }

    pub(super) async fn start_command(&self, command: WorkerCommand) {
        self.say(ToWorker::Start { id: id("1"), builder: Arc::from("b"), command }).await;
    }

    pub(super) async fn carry_out(&mut self, command: WorkerCommand) -> Told {
        self.start_command(command).await;
        self.rest(Told::default()).await
    }

    pub(super) async fn interrupt(&self) {
        self.say(ToWorker::Interrupt { id: id("1"), why: "stopped by ann".to_owned() }).await;
    }

    pub(super) async fn reply(&self, reply: TransferReply) {
        self.say(ToWorker::Reply { id: id("1"), reply }).await;
    }

    /// Takes part in a transfer as a master does: takes each block, and gives out `self.stored`.
    async fn moved(&mut self, transfer: Transfer, told: &mut Told) {
        told.moves.push(match transfer {
            Transfer::Write(bytes) => {
                told.written.extend(&bytes);
                self.reply(TransferReply::Taken).await;
                Move::Write(bytes.len())
            }
            Transfer::Read { most } => {
                let length = self.stored.len().min(most as usize);
                let next = self.stored.split_to(length);
                self.reply(TransferReply::Data(next)).await;
                Move::Read(most)
            }
            Transfer::Close => Move::Close,
            Transfer::Unpack => Move::Unpack,
            Transfer::Times { .. } => Move::Times,
        });
    }

    /// Hears one message of a command; whether it was the last.
    pub(super) async fn hear(&mut self, told: &mut Told) -> bool {
        match self.heard().await {
            FromWorker::Update { update, .. } => {
                let is_time = match &update {
                    Update::Elapsed(_) => true,
                    Update::Output { stream, bytes } => {
                        *stream == LogStream::Header && bytes.starts_with(b"elapsedTime=")
                    }
                    _ => false,
                };
                assert!(told.rc.is_none() || is_time, "after the rc comes {update:?}");
                match update {
                    Update::Output { stream: LogStream::Header, bytes } => {
                        told.header.push_str(str::from_utf8(&bytes).unwrap());
                    }
                    Update::Output { bytes, .. } => told.output.extend(bytes),
                    Update::Rc(rc) => told.rc = Some(rc),
                    Update::FailureReason(reason) => told.reason = Some(reason),
                    Update::Elapsed(_) => {}
                    Update::Log { name, bytes } => {
                        told.logs.entry(name.to_string()).or_default().extend(bytes);
                    }
                    Update::Stat(stat) => told.stat = Some(*stat),
                    Update::Files(files) => told.files = Some(files),
                }
                false
            }
            FromWorker::Complete { failure, .. } => {
                told.failure = failure;
                true
            }
            FromWorker::Transfer { transfer, .. } => {
                assert_eq!(told.rc, None, "nothing is moved after the end");
                self.moved(transfer, told).await;
                false
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn rest(&mut self, mut told: Told) -> Told {
        while !self.hear(&mut told).await {}
        told
    }

    pub(super) async fn run(&mut self, arguments: ShellArguments) -> Told {
        self.order(&id("1"), "b", arguments).await;
        self.rest(Told::default()).await
    }

    /// Hears until so many lines are there.
    pub(super) async fn lines(&mut self, told: &mut Told, count: usize) -> Vec<String> {
        while memchr::memchr_iter(b'\n', &told.output).count() < count {
            assert!(!self.hear(told).await, "{told:?}");
        }
        told.text().lines().map(str::to_owned).collect()
    }
}
