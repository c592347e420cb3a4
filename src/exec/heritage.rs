//! What this process has of its own, or was given by whoever started it, and its children are not to have.
//!
//! # Laws
//! - Children have as many open files as this process could have before it raised its own limit.
//! - A signal that was ignored when this process began, as `nohup` and shells without job control leave it, is not ignored by
//!   its children.
//!
//! # Not here
//! Files that are open: all of ours are closed at an `exec`. One that whoever started this process left open without that
//! mark is not ours, and goes to the children as it came.

use std::{fs, io, sync::OnceLock};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

/// The limit of open files before it was raised.
static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// Raises the limit of open files as far as the system lets, but to `enough` at most. Children keep the one before.
///
/// # Errors
/// The system refused; nothing was changed.
pub fn raise_open_files(enough: u64) -> io::Result<()> {
    let before = getrlimit(Resource::Nofile);
    let wanted = before.maximum.map_or(enough, |most| most.min(enough));
    if before.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    BEFORE.get_or_init(|| before);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: before.maximum })?)
}

/// How many files a child may open, if that is not what this process may.
pub(super) fn open_files() -> Option<u64> {
    BEFORE.get().and_then(|before| before.current)
}

/// The same limit, for a child that has it not yet.
pub(super) fn limit_of_open_files() -> Option<Rlimit> {
    BEFORE.get().copied()
}

/// Sees to it, once, that children ignore no signal. Must be called within the runtime.
///
/// A signal that is handled in a process is back at its default in a child, one that is ignored stays so. Those that are
/// ignored get a handler that does nothing, which is the same for this process.
pub(super) fn let_children_hear_signals() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        for number in ignored(&status) {
            // Whoever listens last has no say in it: the handler stays.
            if let Err(error) = signal(SignalKind::from_raw(number)) {
                tracing::warn!(number, %error, "commands ignore a signal, as this process does");
            }
        }
    });
}

/// The signals that a process ignores, but for SIGPIPE, which the standard library sees to, and for those beyond the old ones.
fn ignored(status: &str) -> Vec<i32> {
    let pipe = SignalKind::pipe().as_raw_value();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    (1..32).filter(|&number| number != pipe && mask & (1 << (number - 1)) != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_status() {
        let status =
            "Name:\tx\nSigBlk:\t0000000000000007\nSigIgn:\t0000000000001006\nSigCgt:\t0000000000000001\n";
        assert_eq!(ignored(status), [2, 3]);
        assert_eq!(ignored("Name:\tx\n"), Vec::<i32>::new());
    }
}
