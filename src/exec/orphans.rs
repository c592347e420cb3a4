//! Orphans that become children of this process: it is the first one of a container, or has asked for them.
//!
//! A daemon whose parent has ended gets another: the first process of its world. Where that is a program that knows only
//! its own children, whatever such a daemon started last stays a zombie for ever.
//!
//! # Laws
//! - Nobody's end is taken away from who waits for it: only those are reaped that were not started here.
//! - It costs nothing where no orphans come, and one look a second at most where they do.

use std::{
    collections::BTreeSet,
    fs,
    sync::{Mutex, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use rustix::process::{Pid, WaitId, WaitIdOptions, child_subreaper, getpid, waitid};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::spawn_blocking,
    time::sleep,
};

use super::table;

/// How long is waited for more that end.
const GATHER: Duration = Duration::from_secs(1);

/// Held while a child is started, by whoever does: between its start and its entry it is nobody's orphan.
static STARTING: RwLock<()> = RwLock::new(());
/// The children that were started here and are not reaped.
static OURS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Starts a child that this room reaps by itself; `id` tells its id.
pub(super) fn start<T, E>(
    start: impl FnOnce() -> Result<T, E>,
    id: impl FnOnce(&T) -> Option<u32>,
) -> Result<T, E> {
    // Nothing is kept in it that a panic could leave half done.
    let _starting = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    let started = start()?;
    if let Some(id) = id(&started).and_then(|id| i32::try_from(id).ok()) {
        OURS.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }
    Ok(started)
}

/// It is reaped, or nobody waits for it any more.
pub(super) fn forget(id: Pid) {
    OURS.lock().unwrap_or_else(PoisonError::into_inner).remove(&id.as_raw_nonzero().get());
}

/// Sees to it, once, that orphans are reaped if this process gets any. Must be called within the runtime, which it then
/// needs.
pub(super) fn reap_if_they_come() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        if getpid() != Pid::INIT && !matches!(child_subreaper(), Ok(Some(_))) {
            return;
        }
        match signal(SignalKind::child()) {
            Ok(mut ends) => drop(tokio::spawn(async move {
                while ends.recv().await.is_some() {
                    sleep(GATHER).await;
                    let reaped = spawn_blocking(reap).await.unwrap_or(0);
                    if reaped > 0 {
                        tracing::debug!(reaped, "processes that commands left have ended");
                    }
                }
            })),
            Err(error) => tracing::warn!(%error, "what commands leave behind stays a zombie when it ends"),
        }
    });
}

/// Reaps those that have ended; how many. Blocks for a look at `/proc`.
fn reap() -> usize {
    let _nobody_starts = STARTING.write().unwrap_or_else(PoisonError::into_inner);
    let ours = OURS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let parent = getpid().as_raw_nonzero().get();
    let Ok(processes) = fs::read_dir("/proc") else { return 0 };
    processes
        .flatten()
        .filter_map(|process| {
            table::entry(&String::from_utf8_lossy(&fs::read(process.path().join("stat")).ok()?))
        })
        .filter(|entry| entry.is_over && entry.parent == parent && !ours.contains(&entry.id))
        .filter_map(|entry| Pid::from_raw(entry.id))
        .filter(|&pid| {
            matches!(waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG), Ok(Some(_)))
        })
        .count()
}
