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
    sync::mpsc,
    task::{Id, JoinError, JoinSet, spawn_blocking},
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    Bot, LinkEnd, download, folders, info,
    job::{FILES_LIMIT, Interrupt, Job, REPLIES},
    outlet::{Gone, Outlet},
    questions, shell, tidy, upload,
};
use crate::protocol::{
    CommandId, FromWorker, ToWorker, TransferReply, WorkerCommand,
    link::{DEPTH, Sender, WorkerEnd},
    message::BuilderFolder,
    unfit,
};

/// Commands at once. A worker with more builds than this is one whose master has gone mad.
pub(super) const MAX_COMMANDS: usize = 256;
/// How long all commands together may take to be killed.
pub(super) const KILL_LIMIT: Duration = Duration::from_secs(15);
/// A builder's folder, or why it has none.
type Folder = Result<PathBuf, String>;

/// A command that runs.
struct Running {
    id: CommandId,
    /// Where it works: its builder's folder, and its own.
    places: [PathBuf; 2],
    interrupt: Arc<Interrupt>,
    replies: mpsc::Sender<TransferReply>,
}

struct Session<'a> {
    bot: &'a Bot,
    to_master: Sender<FromWorker>,
    gone: CancellationToken,
    folders: HashMap<Arc<str>, Folder>,
    commands: JoinSet<Result<(), Gone>>,
    running: HashMap<Id, Running>,
    answers: VecDeque<FromWorker>,
    tidying: Option<AbortOnDropHandle<()>>,
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
        tidying: None,
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
    if let Some(tidying) = session.tidying
        && timeout(tidy::STOP_LIMIT, tidying).await.is_err()
    {
        tracing::error!("the removal of leftover folders goes on");
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
                if let Some(running) = self.running(&id) {
                    running.interrupt.interrupt(why);
                }
            }
            ToWorker::Reply { id, reply } => {
                // Not there, or not waited for: it was interrupted meanwhile.
                let refused =
                    self.running(&id).is_some_and(|running| running.replies.try_send(reply).is_err());
                if refused {
                    tracing::debug!(command = %id, "an answer that nobody waits for");
                }
            }
            ToWorker::Ping(number) => self.answers.push_back(FromWorker::Pong(number)),
            ToWorker::Adopt { id, .. } => self.answers.push_back(FromWorker::Unknown { id }),
            // The loop ends at the first; of the others there is none, since commands here end with their link.
            ToWorker::Shutdown
            | ToWorker::Abandon { .. }
            | ToWorker::OutliveLinks(_)
            | ToWorker::Acknowledge { .. } => {}
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
        if self.bot.settings.delete_leftover_dirs {
            self.tidy().await;
        }
    }

    /// Removes folders that no builder has any more. Not waited for but for the moment that moves them out of the way.
    async fn tidy(&mut self) {
        // One that could not be made is still a builder's.
        if self.folders.values().any(Result::is_err) {
            return;
        }
        let basedir = self.bot.settings.basedir.clone();
        let builders = self.folders.values().flatten().cloned();
        let busy = self.running.values().flat_map(|running| running.places.clone());
        let in_use: Vec<_> = builders.chain(busy).collect();
        let moved = timeout(FILES_LIMIT, spawn_blocking(move || tidy::move_aside(&basedir, &in_use))).await;
        let Ok(moved) = moved else {
            tracing::warn!("leftover folders were not found within {} s", FILES_LIMIT.as_secs());
            return;
        };
        let moved = moved.expect("moving folders does not panic");
        if !moved.is_empty() {
            self.tidying = Some(tidy::remove(moved, self.tidying.take(), self.gone.clone()));
        }
    }

    fn start(&mut self, id: CommandId, builder: &str, command: WorkerCommand) {
        if self.running(&id).is_some() {
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
                return self.refuse(id, unfit::refusal(builder, &format!("it has no folder: {cause}")));
            }
            None => return self.refuse(id, format!("this worker has no builder `{builder}`")),
        };
        let interrupt = Arc::new(Interrupt::default());
        let places = [folder.clone(), folder.join(workdir(&command))];
        let outlet = Outlet { id: id.clone(), to_master: self.to_master.clone(), gone: self.gone.clone() };
        let (replies, answers) = mpsc::channel(REPLIES);
        let mut job = Job {
            outlet,
            folder,
            mark: self.bot.mark(),
            hidden: self.bot.settings.hidden.clone(),
            interrupt: Arc::clone(&interrupt),
            replies: answers,
            started: Instant::now(),
        };
        let task = self.commands.spawn(async move { carry_out(&mut job, command).await });
        self.running.insert(task.id(), Running { id, places, interrupt, replies });
    }

    fn running(&self, id: &CommandId) -> Option<&Running> {
        self.running.values().find(|running| running.id == *id)
    }

    fn refuse(&mut self, id: CommandId, failure: String) {
        self.answers.push_back(FromWorker::Complete { id, failure: Some(failure) });
    }

    fn forget(&mut self, done: Result<(Id, Result<(), Gone>), JoinError>) {
        let task = done.as_ref().map_or_else(JoinError::id, |(task, _)| *task);
        let Some(Running { id, .. }) = self.running.remove(&task) else { return };
        match done {
            Ok((_, Ok(()))) => return,
            // The link went down: this loop is about to see it, too.
            Ok((_, Err(Gone))) if self.to_master.is_closed() => return,
            // What it ran has failed, and not the link.
            Ok((_, Err(Gone))) => tracing::error!(command = %id, "a command ended without an end"),
            Err(error) => tracing::error!(command = %id, %error, "the task of a command failed"),
        }
        // A broken law of ours must not leave the master waiting.
        self.refuse(id, "the worker failed while it ran this command".to_owned());
    }
}

/// Carries a command out, to its `Complete`.
async fn carry_out(job: &mut Job, command: WorkerCommand) -> Result<(), Gone> {
    match command {
        WorkerCommand::Shell(arguments) => shell::run(job, *arguments).await,
        WorkerCommand::UploadFile(arguments) => upload::file(job, &arguments).await,
        WorkerCommand::UploadDirectory(arguments) => upload::folder(job, &arguments).await,
        WorkerCommand::DownloadFile(arguments) => download::run(job, &arguments).await,
        WorkerCommand::MakeDirectory { dirs } => questions::make_directories(job, &dirs).await,
        WorkerCommand::RemoveDirectory(arguments) => folders::remove(job, &arguments).await,
        WorkerCommand::CopyDirectory(arguments) => folders::copy(job, &arguments).await,
        WorkerCommand::Stat(arguments) => questions::stat(job, &arguments).await,
        WorkerCommand::Glob { pattern } => questions::glob(job, &pattern).await,
        WorkerCommand::ListDirectory { dir } => questions::list_directory(job, &dir).await,
        WorkerCommand::RemoveFile { path } => questions::remove_file(job, &path).await,
    }
}

/// Where a command works, below its builder's folder.
fn workdir(command: &WorkerCommand) -> &str {
    match command {
        WorkerCommand::Shell(arguments) => &arguments.workdir,
        WorkerCommand::UploadFile(arguments) => &arguments.workdir,
        WorkerCommand::UploadDirectory(arguments) => &arguments.workdir,
        WorkerCommand::DownloadFile(arguments) => &arguments.workdir,
        WorkerCommand::CopyDirectory(arguments) => &arguments.to,
        _ => "",
    }
}

async fn hello(bot: &Bot) -> FromWorker {
    let settings = bot.settings.clone();
    let gathered = timeout(FILES_LIMIT, spawn_blocking(move || info::told(&settings))).await;
    let info = gathered.map(|info| info.expect("reading notes does not panic"));
    FromWorker::Hello(info.unwrap_or_else(|_| bot.settings.info.clone()))
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
