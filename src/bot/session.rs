//! One link, from `Hello` to its end.
//!
//! # Laws
//! - Orders are heard while output waits for the master: nothing that the loop says is waited for, it is queued.
//! - So many answers wait at most; then no further order is read until the master has read some.

use std::{
    collections::{HashMap, VecDeque},
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    task::{Id, JoinError, JoinSet, spawn_blocking},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    Bot, LinkEnd, info,
    outlet::Outlet,
    shell::{self, Interrupt, Order},
};
use crate::protocol::{
    CommandId, FromWorker, ToWorker, WorkerCommand,
    link::{DEPTH, Sender, WorkerEnd},
    message::BuilderFolder,
};

/// Commands at once. A worker with more builds than this is one whose master has gone mad.
pub(super) const MAX_COMMANDS: usize = 256;
/// How long all commands together may take to be killed.
pub(super) const KILL_LIMIT: Duration = Duration::from_secs(15);
/// How long files and folders may take: a dead file server must not make the worker deaf for ever.
const FILES_LIMIT: Duration = Duration::from_secs(60);

/// A builder's folder, or why it has none.
type Folder = Result<PathBuf, String>;

struct Session<'a> {
    bot: &'a Bot,
    to_master: Sender<FromWorker>,
    gone: CancellationToken,
    folders: HashMap<Arc<str>, Folder>,
    commands: JoinSet<()>,
    running: HashMap<Id, (CommandId, Arc<Interrupt>)>,
    answers: VecDeque<FromWorker>,
}

/// Serves a link: see [`Bot::run`].
pub(super) async fn serve(bot: &Bot, end: WorkerEnd) -> LinkEnd {
    let WorkerEnd { mut from_master, to_master } = end;
    let gone = CancellationToken::new();
    // Whoever drops this future, too, ends the commands.
    let _gone_with_us = gone.clone().drop_guard();
    let mut session = Session {
        bot,
        to_master: to_master.clone(),
        gone,
        folders: HashMap::new(),
        commands: JoinSet::new(),
        running: HashMap::new(),
        answers: VecDeque::from([hello(bot).await]),
    };
    let ending = loop {
        // Each arm takes nothing before it is ready, and may be dropped.
        tokio::select! {
            message = from_master.recv(), if session.answers.len() < DEPTH => match message {
                None => break LinkEnd::Down,
                Some(ToWorker::Shutdown) => break LinkEnd::Shutdown,
                Some(message) => session.obey(message).await,
            },
            () = to_master.closed() => break LinkEnd::Down,
            permit = to_master.reserve(), if !session.answers.is_empty() => match permit {
                Ok(permit) => if let Some(answer) = session.answers.pop_front() {
                    permit.send(answer);
                },
                Err(_) => break LinkEnd::Down,
            },
            Some(done) = session.commands.join_next_with_id() => session.forget(done),
        }
    };
    session.gone.cancel();
    let all_ended = async { while session.commands.join_next().await.is_some() {} };
    if timeout(KILL_LIMIT, all_ended).await.is_err() {
        tracing::error!(commands = session.commands.len(), "commands could not be killed");
    }
    ending
}

impl Session<'_> {
    async fn obey(&mut self, message: ToWorker) {
        match message {
            ToWorker::SetBuilders(builders) => self.set_builders(builders).await,
            ToWorker::Start { id, builder, command } => self.start(id, &builder, command),
            ToWorker::Interrupt { id, why } => {
                // Not there: it has ended meanwhile, and its `Complete` is on the way.
                if let Some((_, interrupt)) = self.running.values().find(|(running, _)| *running == id) {
                    interrupt.interrupt(why);
                }
            }
            ToWorker::Ping(number) => self.answers.push_back(FromWorker::Pong(number)),
            // The loop ends at it.
            ToWorker::Shutdown | ToWorker::Reply { .. } => {}
        }
    }

    /// Running commands of builders that are gone go on: the master knows what it does.
    async fn set_builders(&mut self, builders: Vec<BuilderFolder>) {
        let basedir = self.bot.settings.basedir.clone();
        let names: Vec<_> = builders.iter().map(|builder| Arc::clone(&builder.builder)).collect();
        let made = timeout(FILES_LIMIT, spawn_blocking(move || make_folders(&basedir, builders))).await;
        self.folders = if let Ok(made) = made {
            made.expect("making folders does not panic")
        } else {
            let cause = format!("its folder was not made within {} s", FILES_LIMIT.as_secs());
            names.into_iter().map(|name| (name, Err(cause.clone()))).collect()
        };
        for (builder, cause) in
            self.folders.iter().filter_map(|(name, folder)| Some((name, folder.as_ref().err()?)))
        {
            tracing::warn!(%builder, cause, "a builder has no folder");
        }
    }

    fn start(&mut self, id: CommandId, builder: &str, command: WorkerCommand) {
        if self.running.values().any(|(running, _)| *running == id) {
            // An answer would end the first one.
            tracing::error!(command = %id, "the master started a command twice; the second start is not heard");
            return;
        }
        let folder = match self.folders.get(builder) {
            Some(Ok(folder)) if self.running.len() < MAX_COMMANDS => folder.clone(),
            Some(Ok(_)) => {
                return self.refuse(id, format!("{MAX_COMMANDS} commands run already, which is the limit"));
            }
            Some(Err(cause)) => {
                return self.refuse(id, format!("builder `{builder}` has no folder: {cause}"));
            }
            None => return self.refuse(id, format!("this worker has no builder `{builder}`")),
        };
        let interrupt = Arc::new(Interrupt::default());
        let outlet = Outlet { id: id.clone(), to_master: self.to_master.clone(), gone: self.gone.clone() };
        let WorkerCommand::Shell(arguments) = command else {
            return self.refuse(id, "this worker does not know this command".to_owned());
        };
        let order =
            Order { arguments: *arguments, folder, mark: self.bot.mark(), interrupt: Arc::clone(&interrupt) };
        let task = self.commands.spawn(async move {
            if shell::run(order, &outlet).await.is_err() {
                tracing::debug!(command = %outlet.id, "a command was killed: nobody listens any more");
            }
        });
        self.running.insert(task.id(), (id, interrupt));
    }

    fn refuse(&mut self, id: CommandId, failure: String) {
        self.answers.push_back(FromWorker::Complete { id, failure: Some(failure) });
    }

    fn forget(&mut self, done: Result<(Id, ()), JoinError>) {
        let task = done.as_ref().map_or_else(JoinError::id, |(task, ())| *task);
        let Some((id, _)) = self.running.remove(&task) else { return };
        if let Err(error) = done {
            // A broken law of ours must not leave the master waiting.
            tracing::error!(command = %id, %error, "the task of a command failed");
            self.refuse(id, "the worker failed while it ran this command".to_owned());
        }
    }
}

async fn hello(bot: &Bot) -> FromWorker {
    let basedir = bot.settings.basedir.clone();
    let gathered = timeout(FILES_LIMIT, spawn_blocking(move || info::gather(&basedir))).await;
    let mut info = gathered.map(|info| info.expect("reading notes does not panic")).unwrap_or_default();
    info.0.extend(bot.settings.info.0.clone());
    FromWorker::Hello(info)
}

/// Makes each builder's folder.
fn make_folders(basedir: &Path, builders: Vec<BuilderFolder>) -> HashMap<Arc<str>, Folder> {
    builders
        .into_iter()
        .map(|BuilderFolder { builder, folder }| {
            let made = below(basedir, &folder).and_then(|path| {
                std::fs::create_dir_all(&path)
                    .map(|()| path.clone())
                    .map_err(|error| format!("cannot make `{}`: {error}", path.display()))
            });
            (builder, made)
        })
        .collect()
}

/// The path of a builder's folder. Judged by its text: a link that the operator made there leads where they wish.
fn below(basedir: &Path, folder: &str) -> Folder {
    let mut components = Path::new(folder).components();
    if components.all(|component| matches!(component, Component::Normal(_) | Component::CurDir)) {
        Ok(basedir.join(folder))
    } else {
        Err(format!("`{folder}` is not below the worker's folder"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stays_below_the_workers() {
        let basedir = Path::new("/w");
        assert_eq!(below(basedir, "a/b"), Ok(PathBuf::from("/w/a/b")));
        for bad in ["/etc", "..", "a/../../b", "../w/a"] {
            assert!(below(basedir, bad).is_err(), "{bad}");
        }
    }
}
