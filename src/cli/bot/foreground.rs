//! A worker at work: its folder held, its log open, its signals heard.

use std::{process::ExitCode, time::Duration};

use rustix::{
    fs::Mode,
    process::{DumpableBehavior, set_dumpable_behavior, setsid, umask},
};
use tokio::{signal::unix::Signal, sync::watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    bot::{
        BotSettings, HiddenVariables,
        remote::{self, AllowShutdown, Ended, RemoteSettings},
    },
    cli::{
        LogFormat,
        bot::{background, ready::Ready, stamp::Stamp},
        failure::{Failure, Kind},
        logging::{self, Log},
        service::{Signals, notify},
    },
    definition::SecretName,
    master::Whereabouts,
    secret::Masker,
};

/// Where a worker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before whoever has started it; its log goes there, too.
    Foreground(LogFormat),
    /// In a session of its own.
    Background,
}

/// Runs a worker until it ends.
pub(super) fn run(ready: Ready, stage: Stage, level: &str) -> Result<ExitCode, Failure> {
    if let Some(mask) = ready.settings.umask {
        umask(Mode::from_raw_mode(mask));
    }
    // Before the log: one that comes second has none.
    let _lock = ready.folder.lock()?;
    let masker = Masker::new();
    let stderr = match stage {
        Stage::Foreground(format) => Some(format),
        Stage::Background => None,
    };
    let log = Log { file: &ready.folder.log(), rotation: ready.settings.log, stderr, level };
    logging::start(&log, &masker, &Whereabouts::default())?;
    masker.note(&SecretName::new("password").expect("it is a name"), &ready.password);
    if stage == Stage::Background
        && let Err(error) = setsid()
    {
        warn!(%error, "cannot leave the session of the terminal, and may end with it");
    }
    // Commands run as the same user, and need not see in /proc what this process knows.
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        warn!(%error, "commands may look into the memory of this process");
    }
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::new(Kind::Failed, error))?;
    let outcome = runtime.block_on(serve(ready, stage));
    // A look-up of a host may block for long.
    runtime.shutdown_timeout(Duration::from_millis(100));
    outcome
}

async fn serve(ready: Ready, stage: Stage) -> Result<ExitCode, Failure> {
    let Ready { folder, settings, password, origin, warnings } = ready;
    // Before anything runs: a signal during the start must find its handler.
    let mut signals = Signals::new()?;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        name = settings.name,
        folder = %folder.root().display(),
        settings = origin,
        "the worker is starting"
    );
    for warning in warnings {
        warn!("{warning}");
    }
    let remote = settings.remote(folder.root(), password);
    let bot = BotSettings {
        delete_leftover_dirs: settings.delete_leftover_dirs,
        numcpus: settings.numcpus,
        hidden: HiddenVariables::parse(&settings.environment_blacklist.join(",")),
        ..BotSettings::new(folder.root())
    };
    let stamp = match settings.allow_shutdown {
        Some(AllowShutdown::File) => Some(Stamp::look(folder.shutdown_stamp()).await),
        _ => None,
    };
    let wishes = Wishes { may_signal: settings.allow_shutdown == Some(AllowShutdown::Signal), stamp };
    notify("READY=1\nSTATUS=not attached yet");
    let ended = until_end(bot, remote, &wishes, &mut signals, stage).await;
    notify("STOPPING=1");
    Ok(match ended {
        Ended::ToldByMaster => {
            info!("the master has told this worker to shut down: it has stopped");
            ExitCode::SUCCESS
        }
        Ended::Wished | Ended::Stopped => {
            info!("the worker has stopped");
            ExitCode::SUCCESS
        }
        Ended::GaveUp { .. } => {
            error!("the worker has given up");
            ExitCode::FAILURE
        }
    })
}

/// By what the worker may be asked to stop once its builds are done.
struct Wishes {
    may_signal: bool,
    stamp: Option<Stamp>,
}

async fn until_end(
    bot: BotSettings,
    remote: RemoteSettings,
    wishes: &Wishes,
    signals: &mut Signals,
    stage: Stage,
) -> Ended {
    let (stop, wants_shutdown) = (CancellationToken::new(), CancellationToken::new());
    let (attached, mut is_attached) = watch::channel(false);
    let server = remote.server.to_string();
    let worker = remote::run(bot, remote, stop.clone(), wants_shutdown.clone(), attached);
    tokio::pin!(worker);
    let Signals { interrupt, terminate, hangup } = signals;
    let mut has_told = false;
    loop {
        tokio::select! {
            ended = &mut worker => return ended,
            // Cancel-safe: a signal is kept until it is read, and a change until it is seen.
            Some(()) = either(interrupt, terminate), if !stop.is_cancelled() => {
                info!("told to stop: commands are killed");
                notify("STOPPING=1");
                stop.cancel();
            }
            _ = hangup.recv() => {
                if wishes.may_signal {
                    info!("SIGHUP: the master is asked for a stop once all builds are done");
                    wants_shutdown.cancel();
                } else {
                    warn!("SIGHUP is ignored: `allow_shutdown` is not \"signal\"");
                }
            }
            () = touched(wishes.stamp.as_ref()), if !wants_shutdown.is_cancelled() => {
                info!("shutdown.stamp was touched: the master is asked for a stop once all builds are done");
                wants_shutdown.cancel();
            }
            Ok(()) = is_attached.changed() => {
                let now = *is_attached.borrow_and_update();
                notify(&format!("STATUS={}attached to {server}", if now { "" } else { "not " }));
                if now && !has_told && stage == Stage::Background {
                    has_told = true;
                    background::tell_attached();
                }
            }
        }
    }
}

/// Waits for one of two signals.
async fn either(one: &mut Signal, other: &mut Signal) -> Option<()> {
    tokio::select! {
        heard = one.recv() => heard,
        heard = other.recv() => heard,
    }
}

async fn touched(stamp: Option<&Stamp>) {
    match stamp {
        Some(stamp) => stamp.touched().await,
        None => std::future::pending().await,
    }
}
