//! Files that were read -> one word when they have changed and stand still.
//!
//! A thread of its own looks at the files: at once when the system tells of a change near them, every ten seconds
//! besides, since what the system tells may be lost. What counts is the look: an event only says when to look, so an
//! overflow of the system's queue, or an error of it, is a reason to look and never a miss.
//!
//! # Laws
//! - A change is told once, and only when nothing has moved for [`Pace::quiet`], or after [`Pace::patience`] at the latest.
//! - No change after the reading of a file is missed: each file is compared with what it was just before it was read.
//! - Links are followed, and each link on the way is watched where it lies: a Kubernetes ConfigMap changes `..data`.
//!
//! # Not here
//! What is done about it (`master::reload`).

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _, event::AccessKind, event::AccessMode};
use tokio::sync::watch;
use tracing::{debug, warn};

/// What a file was when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Nanoseconds since 1970 of the last change of the content, and of anything.
    modified: i128,
    changed: i128,
    /// It changed just before it was looked at: a change right after might leave the same times.
    is_fresh: bool,
}

/// Files that were looked at, each with what it was just before; nothing for one that was not there.
pub type Sightings = BTreeMap<PathBuf, Option<Stamp>>;

/// Which files count from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// These alone: the configuration that read them is in force.
    Only,
    /// These besides those from before, which are read again once the problem is solved.
    Also,
}

/// How fast a change is told.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long all files must have stood still.
    pub quiet: Duration,
    /// After which time without rest a change is told all the same: a file that is written for ever holds up no other.
    pub patience: Duration,
    /// How often the files are looked at without being told to.
    pub poll: Duration,
    /// The same where the system does not tell of changes.
    pub blind_poll: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(100),
            patience: Duration::from_secs(10),
            poll: Duration::from_secs(10),
            blind_poll: Duration::from_secs(1),
        }
    }
}

/// Watches files until it is dropped.
#[derive(Debug)]
pub struct FileWatch {
    shared: Arc<Shared>,
    told: watch::Receiver<u64>,
}

/// More files than any configuration is made of; of those that failed loads add, no more are watched.
const MOST_FILES: usize = 4096;

/// A time stamp of the kernel may be this old when it is given: it counts in ticks.
const TICK_NANOSECONDS: i128 = 20_000_000;

/// As many links as the kernel follows in one path. Source: path_resolution(7).
const MOST_LINKS: usize = 40;

/// What files are now. Blocks for as long as the file system takes.
pub fn look_at(files: impl IntoIterator<Item = PathBuf>) -> Sightings {
    let stamped = |path: PathBuf| {
        let stamp = Stamp::of(&path);
        (path, stamp)
    };
    files.into_iter().map(stamped).collect()
}

impl Stamp {
    /// What a file is now; nothing if it is not there. Blocks for as long as the file system takes.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        let changed = nanoseconds(metadata.ctime(), metadata.ctime_nsec());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let age = i128::try_from(now.as_nanos()).unwrap_or(i128::MAX) - changed;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed,
            is_fresh: is_fresh(age),
        })
    }

    /// Whether it is for certain the same content. A fresh stamp is not: it may hide a change.
    fn is_surely(&self, now: &Self) -> bool {
        !self.is_fresh && Self { is_fresh: false, ..*now } == *self
    }
}

/// Whether a change of this age in nanoseconds may hide another. One in the future is of a clock that differs from ours,
/// and would look fresh for ever.
const fn is_fresh(age: i128) -> bool {
    0 <= age && age < TICK_NANOSECONDS
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug)]
struct State {
    /// What was read, or told, last.
    known: Sightings,
    /// There is a reason to look.
    is_woken: bool,
    is_stopped: bool,
}

impl FileWatch {
    /// Watches the files that were read.
    ///
    /// # Errors
    /// If the system gives no thread. Where it does not tell of changes, the files are looked at every second.
    pub fn start(seen: Sightings, pace: Pace) -> io::Result<Self> {
        let state = State { known: seen, is_woken: true, is_stopped: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), moved: Condvar::new() });
        let (tell, told) = watch::channel(0);
        let sentry = Sentry { shared: Arc::clone(&shared), eyes: Eyes::open(&shared), pace, tell };
        thread::Builder::new().name("lunabot-watch".into()).spawn(move || sentry.run())?;
        Ok(Self { shared, told })
    }

    /// Tells which files the newest load has looked at.
    pub fn read(&self, seen: Sightings, watched: Watched) {
        let mut state = self.shared.lock();
        match watched {
            Watched::Only => state.known = seen,
            Watched::Also => {
                for (path, stamp) in seen {
                    if state.known.len() < MOST_FILES || state.known.contains_key(&path) {
                        state.known.insert(path, stamp);
                    }
                }
            }
        }
        state.is_woken = true;
        drop(state);
        self.shared.moved.notify_all();
    }

    /// Waits until the files have changed since they were read, or since that was told, and stand still. Changes
    /// that were told while nobody waited count as one.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the change is told at the next call.
    pub async fn changed(&mut self) {
        if self.told.changed().await.is_err() {
            // The thread has ended, which it does only with the process.
            std::future::pending::<()>().await;
        }
    }

    /// Whether a change was told since the last time somebody heard of one; it is heard now.
    pub fn take_changed(&mut self) -> bool {
        let changed = self.told.has_changed().unwrap_or(false);
        self.told.mark_unchanged();
        changed
    }
}

impl Drop for FileWatch {
    fn drop(&mut self) {
        self.shared.lock().is_stopped = true;
        self.shared.moved.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a reason to look, at most as long as `limit`; then the reason is taken. None once stopped.
    fn wait_for_reason(&self, limit: Duration) -> Option<Vec<PathBuf>> {
        let waits = |state: &mut State| !state.is_woken && !state.is_stopped;
        let (mut state, _) =
            self.moved.wait_timeout_while(self.lock(), limit, waits).unwrap_or_else(PoisonError::into_inner);
        state.is_woken = false;
        (!state.is_stopped).then(|| state.known.keys().cloned().collect())
    }

    /// Lets a time pass, whatever happens meanwhile. None once stopped.
    fn rest(&self, time: Duration) -> Option<Vec<PathBuf>> {
        let (state, _) = self
            .moved
            .wait_timeout_while(self.lock(), time, |state| !state.is_stopped)
            .unwrap_or_else(PoisonError::into_inner);
        (!state.is_stopped).then(|| state.known.keys().cloned().collect())
    }

    fn wake(&self) {
        self.lock().is_woken = true;
        self.moved.notify_all();
    }
}

impl State {
    fn differs(&self, look: &Sightings) -> bool {
        self.known.iter().any(|(path, known)| match (known, look.get(path)) {
            // It became known while the look was under way; the next one is due already.
            (_, None) | (None, Some(None)) => false,
            (Some(known), Some(Some(now))) => !known.is_surely(now),
            (None, Some(Some(_))) | (Some(_), Some(None)) => true,
        })
    }
}

/// The thread.
struct Sentry {
    shared: Arc<Shared>,
    eyes: Eyes,
    pace: Pace,
    tell: watch::Sender<u64>,
}

impl Sentry {
    fn run(mut self) {
        // Ends when the handle is dropped.
        while let Some(files) = self.shared.wait_for_reason(self.pause()) {
            let look = self.eyes.look(&files);
            if !self.shared.lock().differs(&look) {
                continue;
            }
            let Some(still) = self.settled(look) else { return };
            let mut state = self.shared.lock();
            if state.differs(&still) {
                for (path, now) in still {
                    // Told is told: it stood still, so nothing hides behind its times.
                    let now = now.map(|stamp| Stamp { is_fresh: false, ..stamp });
                    state.known.entry(path).and_modify(|known| *known = now);
                }
                drop(state);
                self.tell.send_modify(|count| *count += 1);
            }
        }
    }

    /// Looks until two looks agree; none once stopped.
    fn settled(&mut self, first: Sightings) -> Option<Sightings> {
        let begin = Instant::now();
        let mut last = first;
        loop {
            let files = self.shared.rest(self.pace.quiet)?;
            let look = self.eyes.look(&files);
            let is_still = look.len() == last.len()
                && look.iter().zip(&last).all(|((path, now), (before, was))| {
                    let plain = |stamp: &Option<Stamp>| stamp.map(|s| Stamp { is_fresh: false, ..s });
                    path == before && plain(now) == plain(was)
                });
            if is_still || begin.elapsed() > self.pace.patience {
                return Some(look);
            }
            last = look;
        }
    }

    const fn pause(&self) -> Duration {
        if self.eyes.is_blind { self.pace.blind_poll } else { self.pace.poll }
    }
}

/// What is seen of the files, and what the system is asked to tell.
struct Eyes {
    notifier: Option<RecommendedWatcher>,
    /// Folders that are watched, each with its device and inode: another folder of the same name is watched anew.
    folders: HashMap<PathBuf, (u64, u64)>,
    /// Names whose changes are a reason to look.
    names: Arc<Mutex<HashSet<PathBuf>>>,
    /// Some change may not be told.
    is_blind: bool,
}

impl Eyes {
    fn open(shared: &Arc<Shared>) -> Self {
        let names: Arc<Mutex<HashSet<PathBuf>>> = Arc::default();
        let (shared, wanted) = (Arc::clone(shared), Arc::clone(&names));
        let notifier = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if is_reason(&event, &wanted.lock().unwrap_or_else(PoisonError::into_inner)) {
                shared.wake();
            }
        });
        let notifier = notifier
            .inspect_err(|error| warn!(%error, "the system does not tell of changed files; they are looked at every second"))
            .ok();
        Self { is_blind: notifier.is_none(), notifier, folders: HashMap::new(), names }
    }

    /// Asks to be told of all changes from now on, and then looks: what changes in between is seen or told.
    fn look(&mut self, files: &[PathBuf]) -> Sightings {
        let mut names = HashSet::new();
        for file in files {
            trace(file, &mut names);
        }
        let folders: HashSet<PathBuf> =
            names.iter().filter_map(|name| name.parent()).map(Path::to_owned).collect();
        // A folder itself counts with all that is in it.
        names.extend(folders.iter().cloned());
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names;
        self.watch(&folders);
        files.iter().map(|file| (file.clone(), Stamp::of(file))).collect()
    }

    fn watch(&mut self, wanted: &HashSet<PathBuf>) {
        let Some(notifier) = &mut self.notifier else { return };
        self.folders.retain(|folder, _| {
            let stays = wanted.contains(folder);
            if !stays && let Err(error) = notifier.unwatch(folder) {
                debug!(folder = %folder.display(), %error, "was not watched any more");
            }
            stays
        });
        let was_blind = std::mem::replace(&mut self.is_blind, false);
        for folder in wanted {
            let Ok(metadata) = fs::metadata(folder) else { continue };
            let identity = (metadata.dev(), metadata.ino());
            match self.folders.insert(folder.clone(), identity) {
                Some(before) if before == identity => continue,
                Some(_) => {
                    if let Err(error) = notifier.unwatch(folder) {
                        debug!(folder = %folder.display(), %error, "was not watched any more");
                    }
                }
                None => {}
            }
            if let Err(error) = notifier.watch(folder, RecursiveMode::NonRecursive) {
                // It is tried again at the next look.
                self.folders.remove(folder);
                self.is_blind = true;
                if !was_blind {
                    let folder = folder.display();
                    warn!(%folder, %error, "cannot be told of changes here; the files are looked at every second");
                }
            }
        }
    }
}

/// Whether an event is a reason to look. All that is not certainly without meaning is one.
fn is_reason(event: &notify::Result<notify::Event>, names: &HashSet<PathBuf>) -> bool {
    let Ok(event) = event else { return true };
    match event.kind {
        // Our own reading is among them.
        notify::EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write) => false,
        _ => {
            event.need_rescan()
                || event.paths.is_empty()
                || event.paths.iter().any(|path| names.contains(path))
        }
    }
}

/// Adds the names on which a path hangs: itself, each link on its way, and each folder at which it comes to an end.
fn trace(path: &Path, names: &mut HashSet<PathBuf>) {
    let mut done = PathBuf::from("/");
    let mut ahead: Vec<PathBuf> = Vec::new();
    let push = |ahead: &mut Vec<PathBuf>, path: &Path| {
        let parts =
            path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
        ahead.extend(parts.map(|part| PathBuf::from(part.as_os_str())).rev().collect::<Vec<_>>());
    };
    // Without a working folder, no relative path leads anywhere.
    push(&mut ahead, &std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    let mut links = 0;
    while let Some(part) = ahead.pop() {
        if part.as_os_str() == ".." {
            done.pop();
            continue;
        }
        let here = done.join(&part);
        match fs::symlink_metadata(&here) {
            Ok(metadata) if metadata.is_symlink() && links < MOST_LINKS => {
                links += 1;
                if let Ok(target) = fs::read_link(&here) {
                    if target.is_absolute() {
                        done = PathBuf::from("/");
                    }
                    push(&mut ahead, &target);
                }
                names.insert(here);
            }
            Ok(_) => {
                if ahead.is_empty() {
                    names.insert(here.clone());
                }
                done = here;
            }
            Err(_) => {
                names.insert(here);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
