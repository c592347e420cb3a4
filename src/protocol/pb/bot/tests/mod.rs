//! A worker's end in one hand, and in the other a master of ours, or one that does whatever a test likes.

mod arguments;
mod commands;
mod laws;
mod life;
mod news;
mod plain_master;
mod transfers;

use std::time::{Duration, Instant};

use bytes::Bytes;

use self::plain_master::PlainMaster;
use super::*;
use crate::{
    model::{LogStream, Secret},
    protocol::{
        FailureReason, ShellArguments, Transfer, TransferReply, WorkerCommand,
        message::BuilderFolder,
        pb::{MasterSession, SessionEvent, auth::Challenge, jelly::Value},
    },
};

const CHALLENGE: Challenge = [7; 16];

fn identity(password: &str) -> Identity {
    Identity { name: "w1".into(), password: Secret::new(password) }
}

fn info() -> WorkerInfo {
    let info = serde_json::json!({ "admin": "me", "numcpus": 2, "environ": { "TOKEN": "sesame" } });
    serde_json::from_value(info).unwrap()
}

fn folders(builders: &[&str]) -> Vec<BuilderFolder> {
    builders
        .iter()
        .map(|name| BuilderFolder { builder: (*name).into(), folder: format!("{name}-dir") })
        .collect()
}

fn shell() -> WorkerCommand {
    WorkerCommand::Shell(Box::new(ShellArguments::sample("make")))
}

fn start(id: &str, builder: &str, command: WorkerCommand) -> ToWorker {
    ToWorker::Start { id: CommandId::new(id), builder: builder.into(), command }
}

fn output(stream: LogStream, bytes: &'static [u8]) -> Update {
    Update::Output { stream, bytes: Bytes::from_static(bytes) }
}

fn stdout(bytes: &'static [u8]) -> Update {
    output(LogStream::Stdout, bytes)
}

/// A worker and a master of ours with nothing between them.
struct Pair {
    master: MasterSession,
    bot: BotSession,
    /// What the worker heard.
    heard: Vec<BotEvent>,
    /// What the master heard.
    news: Vec<FromWorker>,
    now: Now,
}

impl Pair {
    fn new(password: &str) -> Self {
        Self::with(BotSession::new(identity(password), info()))
    }

    fn with(bot: BotSession) -> Self {
        let now = Now { instant: Instant::now(), epoch: 0.0 };
        Self { master: MasterSession::new(CHALLENGE), bot, heard: Vec::new(), news: Vec::new(), now }
    }

    fn attached(builders: &[&str]) -> Self {
        let mut pair = Self::new("pass1");
        pair.exchange();
        pair.order(ToWorker::SetBuilders(folders(builders)));
        assert!(pair.heard.contains(&BotEvent::Attached), "{:?}", pair.heard);
        pair.heard.clear();
        pair.news.clear();
        pair
    }

    /// Carries bytes until both are silent.
    fn exchange(&mut self) {
        loop {
            self.heard.extend(std::iter::from_fn(|| self.bot.poll_event()));
            let (to_bot, to_master) = (self.master.poll_output(), self.bot.poll_output());
            if to_bot.is_none() && to_master.is_none() {
                return;
            }
            self.bot.hear(&to_bot.unwrap_or_default()).unwrap();
            self.master.handle_input(&to_master.unwrap_or_default()).unwrap();
            while let Some(event) = self.master.poll_event() {
                match event {
                    SessionEvent::Login(attempt) if attempt.proves(&Secret::new("pass1")) => {
                        self.master.accept_login();
                    }
                    SessionEvent::Login(_) => self.master.refuse_login(),
                    SessionEvent::Attached => {}
                    SessionEvent::Message(message) => self.news.push(message),
                }
            }
        }
    }

    fn order(&mut self, order: ToWorker) {
        self.master.handle_order(order);
        self.exchange();
    }

    /// Starts a command, and gives the name that it has here.
    fn begin(&mut self, id: &str, builder: &str, command: WorkerCommand) -> CommandId {
        self.order(start(id, builder, command));
        let begun = self.heard.pop();
        let Some(BotEvent::Order(ToWorker::Start { id, .. })) = begun else { panic!("{begun:?}") };
        id
    }

    /// Says what a command says.
    fn say(&mut self, message: FromWorker) {
        self.bot.say(message, self.now);
        self.exchange();
    }

    fn update(&mut self, id: &CommandId, update: Update) {
        self.say(FromWorker::Update { id: id.clone(), update });
    }

    fn transfer(&mut self, id: &CommandId, transfer: Transfer) {
        self.say(FromWorker::Transfer { id: id.clone(), transfer });
    }

    fn complete(&mut self, id: &CommandId, failure: Option<&str>) {
        self.say(FromWorker::Complete { id: id.clone(), failure: failure.map(str::to_owned) });
    }

    /// Lets as much time go by as output is gathered.
    fn wait(&mut self) {
        self.now.instant = self.bot.due().expect("something was gathered");
        self.bot.tick(self.now);
        self.exchange();
    }

    /// What the master heard of the command of this name, since it was asked last: updates one by one.
    fn updates(&mut self, id: &str) -> Vec<Update> {
        let update = |message| match message {
            FromWorker::Update { id: of, update } if of.as_str() == id => update,
            other => panic!("{other:?}"),
        };
        self.news.drain(..).map(update).collect()
    }
}
