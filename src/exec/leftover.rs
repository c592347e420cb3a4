//! What is still running of a former life: found by a mark in its environment, and killed.
//!
//! A master that was killed by SIGKILL can end nothing. So each command carries a variable that names its worker's
//! folder, its children inherit it, and the next life looks for it.
//!
//! # Laws
//! - Nothing without the exact mark is killed, nor this process itself.
//! - A process that is to outlive its worker says so by dropping the variable: `env -u NAME program`.
//!
//! # Not here
//! Processes of other users, whose environment cannot be read, unless we are root.

use std::{collections::BTreeSet, ffi::OsString, fs, io, time::Duration};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, getpid, kill_process, pidfd_open, pidfd_send_signal},
};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep, timeout_at},
};

use super::table;

/// Between two looks. Whoever was killed is gone within this, as a rule.
const PAUSE: Duration = Duration::from_millis(10);

/// A variable that a child carries, and its children after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its name.
    pub name: OsString,
    /// Its value.
    pub value: OsString,
}

impl Mark {
    /// Whether an environment holds it.
    pub(super) fn is_in(&self, environment: &[u8]) -> bool {
        let (name, value) = (self.name.as_encoded_bytes(), self.value.as_encoded_bytes());
        environment
            .split(|&byte| byte == 0)
            .any(|found| found.strip_prefix(name).and_then(|rest| rest.strip_prefix(b"=")) == Some(value))
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Processes that were killed, by id.
    pub killed: BTreeSet<u32>,
    /// Those that were still there in the end.
    pub alive: BTreeSet<u32>,
}

/// Why nothing could be found out.
#[derive(Debug, thiserror::Error)]
pub enum LeftoverError {
    /// There is no list of processes.
    #[error("cannot list the processes in /proc")]
    List {
        /// Why.
        source: io::Error,
    },
    /// The list could not be read in time.
    #[error("the processes in /proc could not be read within {} s", limit.as_secs())]
    Late {
        /// The time that was given.
        limit: Duration,
    },
}

/// Kills every process that carries `mark`, and looks again until none is left or `limit` of wall time has passed.
///
/// # Cancel safety
/// Dropped before it returns, some may live on.
pub async fn kill_all(mark: &Mark, limit: Duration) -> Result<Leftovers, LeftoverError> {
    let until = Instant::now() + limit;
    let mut found = Leftovers::default();
    loop {
        let wanted = mark.clone();
        let look = spawn_blocking(move || kill_once(&wanted));
        let looked = timeout_at(until, look).await.map_err(|_| LeftoverError::Late { limit })?;
        found.alive = looked
            .expect("a look at /proc does not panic")
            .map_err(|source| LeftoverError::List { source })?;
        found.killed.extend(&found.alive);
        if found.alive.is_empty() || Instant::now() + PAUSE >= until {
            found.killed.retain(|id| !found.alive.contains(id));
            return Ok(found);
        }
        // Those that it finds may have started others since: only a look that finds none is the last.
        sleep(PAUSE).await;
    }
}

/// One look: sends SIGKILL to each that is found.
fn kill_once(mark: &Mark) -> io::Result<BTreeSet<u32>> {
    let mut found = BTreeSet::new();
    for process in fs::read_dir("/proc")? {
        let Ok(process) = process else { continue };
        let Some(pid) =
            process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw)
        else {
            continue;
        };
        if pid == getpid() {
            continue;
        }
        // Opened before the environment is read: if the number goes to another meanwhile, the signal still goes to
        // the one that has gone, and so to nobody.
        let pidfd = pidfd_open(pid, PidfdFlags::empty());
        // One whose environment cannot be read is not ours, or has gone.
        if !table::environment(&process.path()).is_ok_and(|environment| mark.is_in(&environment)) {
            continue;
        }
        let sent = match pidfd {
            Ok(pidfd) => pidfd_send_signal(pidfd, Signal::KILL),
            Err(Errno::NOSYS) => kill_process(pid, Signal::KILL),
            Err(error) => Err(error),
        };
        if sent != Err(Errno::SRCH) {
            found.insert(pid.as_raw_nonzero().get().unsigned_abs());
        }
    }
    Ok(found)
}
