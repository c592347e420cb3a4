//! A LocalWorker with a test in the place of its master.

use std::{path::PathBuf, sync::Arc};

use tokio::task::JoinHandle;

use super::local;
use crate::{
    exec::testing::within,
    model::{LogStream, WorkerName},
    protocol::{
        CommandId, FailureReason, FromWorker, Link, ShellArguments, ToWorker, Update, WorkerCommand,
        command::ShellLine, message::BuilderFolder,
    },
};

pub(super) struct Master {
    pub(super) link: Link,
    pub(super) task: JoinHandle<()>,
    pub(super) dir: tempfile::TempDir,
}

/// What was told of one command.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) header: String,
    pub(super) output: Vec<u8>,
    pub(super) rc: Option<i32>,
    pub(super) reason: Option<FailureReason>,
    pub(super) failure: Option<String>,
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
        let mut master = Self { link, task, dir };
        let FromWorker::Hello(info) = master.heard().await else { panic!("no hello") };
        assert_eq!(info.text("system"), Some("posix"));
        master.set_builders(&[("b", "b-folder")]).await;
        master
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

    /// Hears one message of a command; whether it was the last.
    pub(super) async fn hear(&mut self, told: &mut Told) -> bool {
        match self.heard().await {
            FromWorker::Update { update, .. } => {
                assert_eq!(
                    told.rc.is_some(),
                    matches!(update, Update::Elapsed(_)),
                    "after the rc comes elapsed"
                );
                match update {
                    Update::Output { stream: LogStream::Header, bytes } => {
                        told.header.push_str(str::from_utf8(&bytes).unwrap());
                    }
                    Update::Output { bytes, .. } => told.output.extend(bytes),
                    Update::Rc(rc) => told.rc = Some(rc),
                    Update::FailureReason(reason) => told.reason = Some(reason),
                    Update::Elapsed(_) | Update::Log { .. } | Update::Stat(_) | Update::Files(_) => {}
                }
                false
            }
            FromWorker::Complete { failure, .. } => {
                told.failure = failure;
                true
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
