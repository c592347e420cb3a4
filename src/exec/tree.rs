//! All processes of a command: its group, its session, their descendants, and those that say whose they are.
//!
//! A group alone does not hold a command together: a shell with job control gives each job a group, and a daemon has a
//! session and a parent of its own. What finds it is told in `docs/design/isolation.md`.
//!
//! # Laws
//! - A process is signalled only if it is the one that was found: by its id and the moment of its beginning.
//! - Before a kill all are stopped, and looked for again until no new one is found: nobody flees by a fork.
//! - Searched is only while the leader is alive or unreaped: its id is then that of its group and session and of nobody else.
//! - What carries the command's variable but has dropped the worker's [`Mark`] was let go on purpose, and is not found by
//!   it.
//!
//! # Not here
//! Processes of other users, unless we are root.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    io,
    path::PathBuf,
    sync::{
        LazyLock, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal},
};

use super::{
    leftover::Mark,
    table::{self, COMMAND, Entry},
};

/// How often is looked for new ones before those that are stopped are killed. Each look finds the children of the last.
const ROUNDS: usize = 32;

/// Processes by id, with the moment of their beginning.
type Found = BTreeMap<i32, u64>;

/// See the module.
#[derive(Debug)]
pub(super) struct Tree {
    leader: i32,
    /// What its processes carry, and the worker's mark beside it.
    marks: Option<(Mark, Mark)>,
    /// Those that were found once: a descendant stays one when those between are gone.
    known: Mutex<Found>,
}

/// The variable of a command that is about to start: no other command, of whatever life, has the same value.
pub(super) fn new_mark() -> Mark {
    static LIFE: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(()));
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    Mark { name: COMMAND.into(), value: format!("{:016x}.{number}", *LIFE).into() }
}

impl Tree {
    /// The tree of a command.
    pub(super) fn new(leader: Pid, marks: Option<(Mark, Mark)>) -> Self {
        Self { leader: leader.as_raw_nonzero().get(), marks, known: Mutex::default() }
    }

    /// Sends a signal to all that are outside of the group.
    ///
    /// Blocks for one look.
    pub(super) fn signal_strays(&self, signal: Signal) -> io::Result<()> {
        let entries = table::look()?;
        let found = self.find(&entries);
        for entry in entries.iter().filter(|entry| entry.group != self.leader) {
            if found.contains_key(&entry.id) {
                send(entry.id, entry.began, signal);
            }
        }
        Ok(())
    }

    /// Kills all of them; how many there were.
    ///
    /// Blocks for some looks.
    pub(super) fn kill(&self) -> io::Result<usize> {
        let mut stopped = Found::new();
        for _ in 0..ROUNDS {
            let found = self.find(&table::look()?);
            let fresh: Found =
                found.into_iter().filter(|(id, began)| stopped.get(id) != Some(began)).collect();
            if fresh.is_empty() {
                break;
            }
            for (&id, &began) in &fresh {
                send(id, began, Signal::STOP);
            }
            stopped.extend(fresh);
        }
        for (&id, &began) in &stopped {
            send(id, began, Signal::KILL);
        }
        Ok(stopped.len())
    }

    /// Those that are alive.
    fn find(&self, entries: &[Entry]) -> Found {
        // Nothing that is done while it is held can panic.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: Found = entries
            .iter()
            .filter(|entry| {
                entry.group == self.leader
                    || entry.session == self.leader
                    || known.get(&entry.id) == Some(&entry.began)
                    || self.is_marked(entry)
            })
            .map(|entry| (entry.id, entry.began))
            .collect();
        // A parent may stand behind its child in the list.
        loop {
            let before = found.len();
            for entry in entries {
                let parent_began = found.get(&entry.parent).copied();
                // A child is no older than its parent; one that seems so has another by now.
                if entry.parent == self.leader || parent_began.is_some_and(|began| began <= entry.began) {
                    found.insert(entry.id, entry.began);
                }
            }
            if found.len() == before {
                break;
            }
        }
        found.retain(|id, _| entries.iter().any(|entry| entry.id == *id && !entry.is_over));
        known.clone_from(&found);
        found
    }

    fn is_marked(&self, entry: &Entry) -> bool {
        let Some((own, workers)) = &self.marks else { return false };
        if entry.is_over || entry.command.as_deref() != Some(own.value.as_encoded_bytes()) {
            return false;
        }
        let process = PathBuf::from(format!("/proc/{}", entry.id));
        table::environment(&process).is_ok_and(|environment| workers.is_in(&environment))
    }
}

/// Sends a signal to a process, if it is still that one.
fn send(id: i32, began: u64, signal: Signal) {
    let Some(pid) = Pid::from_raw(id) else { return };
    // Opened before it is looked at: if the number goes to another meanwhile, the signal goes to nobody.
    let pidfd = pidfd_open(pid, PidfdFlags::empty());
    if table::began(id) != Some(began) {
        return;
    }
    let sent = match pidfd {
        Ok(pidfd) => pidfd_send_signal(pidfd, signal),
        Err(Errno::NOSYS) => kill_process(pid, signal),
        Err(error) => Err(error),
    };
    match sent {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => tracing::debug!(id, %error, "cannot signal a process of a command"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: i32, parent: i32, group: i32, session: i32, began: u64) -> Entry {
        Entry { id, parent, group, session, began, is_over: false, command: None }
    }

    fn ids(found: &Found) -> Vec<i32> {
        found.keys().copied().collect()
    }

    #[test]
    fn group_session_and_descendants_are_found_and_nobody_else() {
        let tree = Tree::new(Pid::from_raw(100).unwrap(), None);
        let entries = [
            entry(1, 0, 1, 1, 0),
            entry(50, 1, 50, 50, 5),
            // The leader has ended, and is not reaped.
            Entry { is_over: true, ..entry(100, 50, 100, 100, 10) },
            entry(101, 100, 100, 100, 11),
            // Of its session, by a shell with job control; and orphaned.
            entry(102, 1, 102, 100, 12),
            // A grandchild before its parent in the list, in a session of its own.
            entry(90, 103, 90, 90, 14),
            entry(103, 101, 103, 103, 13),
            // Somebody else's.
            entry(104, 1, 104, 104, 13),
            entry(105, 50, 105, 105, 13),
        ];
        assert_eq!(ids(&tree.find(&entries)), [90, 101, 102, 103]);
        // One that lost its parents is still known, unless its number is another's now.
        let later = [entry(90, 1, 90, 90, 14), entry(103, 1, 103, 103, 99)];
        assert_eq!(ids(&tree.find(&later)), [90]);
    }

    #[test]
    fn no_two_commands_have_the_same_mark() {
        let (one, other) = (new_mark(), new_mark());
        assert_eq!(one.name, other.name);
        assert_ne!(one.value, other.value);
    }
}
