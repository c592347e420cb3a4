//! The folders of the builders on the worker's machine: on this wire the master has them made, and clears away what is left
//! of others.
//!
//! # Laws
//! - One task of the worker at a time, so that no folder is made while another task removes it.
//! - A folder is removed only if the worker wishes so, has told it in a list of its own folder that it could read, and has
//!   told that it is a folder; and never one that a builder has now, whatever was so when the list was asked for.
//!
//! # Not here
//! How a task becomes a command, and which commands wait for a folder (`session`).
//!
//! # Source
//! Buildbot 4.3.0: what a worker on the other wire does by itself at each list of builders.

use std::{collections::BTreeMap, sync::Arc};

use rmpv::Value;

use super::{arguments, path::Base};
use crate::protocol::{Update, message::BuilderFolder};

/// Folders that are made by one command.
const MAX_AT_ONCE: usize = 256;

/// Names that are looked at when it is cleared away; more are left for another time.
const MAX_LEFTOVERS: usize = 256;

/// The bits of a mode that say what it is. Source: `stat(2)`, as are those of a folder.
const KIND: u32 = 0o170_000;
const IS_FOLDER: u32 = 0o040_000;

#[derive(Default)]
pub(super) struct Folders {
    builders: BTreeMap<Arc<str>, Folder>,
    /// As they were given, for the names in the worker's own folder.
    wanted: Option<Vec<BuilderFolder>>,
    /// Whether the worker wishes that others are cleared away.
    clears_away: bool,
    /// Whether that is due.
    is_clearing_due: bool,
    /// Whether folders are made one by one, since a list of them failed.
    is_one_by_one: bool,
    running: Option<Running>,
}

struct Folder {
    /// Below the worker's.
    folder: String,
    state: State,
}

/// What became of a builder's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not made yet.
    Pending,
    /// It is there.
    Made,
    /// It could not be made; why.
    Refused(String),
}

/// What the worker does now, and what was heard of it.
struct Running {
    task: Task,
    rc: Option<i32>,
    words: String,
    names: Option<Vec<String>>,
    mode: Option<u32>,
}

enum Task {
    /// Makes the folders of these builders.
    Make(Vec<Arc<str>>),
    /// Lists the worker's own folder.
    List,
    /// Says what the last of `names` is; `found` are those that are folders.
    Look { names: Vec<String>, found: Vec<String> },
    /// Removes these.
    Remove(Vec<String>),
}

impl Folders {
    /// Has others cleared away from now on.
    pub(super) fn clear_away(&mut self) {
        self.clears_away = true;
        self.is_clearing_due = self.wanted.is_some();
    }

    /// The builders are these and no others.
    pub(super) fn set(&mut self, wanted: Vec<BuilderFolder>) {
        let mut earlier = std::mem::take(&mut self.builders);
        for BuilderFolder { builder, folder } in &wanted {
            let state = match earlier.remove(builder) {
                Some(known) if known.folder == *folder && known.state == State::Made => State::Made,
                // Perhaps it can be made now.
                _ => State::Pending,
            };
            self.builders.insert(Arc::clone(builder), Folder { folder: folder.clone(), state });
        }
        self.wanted = Some(wanted);
        self.is_clearing_due = self.clears_away;
    }

    /// The folder of a builder and what became of it; nothing of an unknown one.
    pub(super) fn of(&self, builder: &str) -> Option<(&str, &State)> {
        self.builders.get(builder).map(|folder| (folder.folder.as_str(), &folder.state))
    }

    /// Whether builders were set, and what became of each folder is known.
    pub(super) fn are_settled(&self) -> bool {
        self.wanted.is_some() && self.builders.values().all(|folder| folder.state != State::Pending)
    }

    /// What the worker is to do next, if it is not at something: the name of a command and its arguments.
    pub(super) fn next(&mut self, base: &Base) -> Option<(&'static str, Value)> {
        if self.running.is_some() {
            return None;
        }
        let pending: Vec<Arc<str>> = {
            let pending = self.builders.iter().filter(|(_, folder)| folder.state == State::Pending);
            let most = if self.is_one_by_one { 1 } else { MAX_AT_ONCE };
            pending.map(|(builder, _)| Arc::clone(builder)).take(most).collect()
        };
        let task = if !pending.is_empty() {
            Task::Make(pending)
        } else if std::mem::take(&mut self.is_clearing_due) {
            Task::List
        } else {
            return None;
        };
        self.is_one_by_one &= matches!(task, Task::Make(_));
        Some(self.begin(task, base))
    }

    fn begin(&mut self, task: Task, base: &Base) -> (&'static str, Value) {
        let path = |name: &str| Value::from(base.path([name]));
        let command = match &task {
            Task::Make(builders) => {
                let folders = builders.iter().filter_map(|builder| self.builders.get(builder));
                ("mkdir", arguments::paths(folders.map(|folder| path(&folder.folder))))
            }
            Task::List => ("listdir", arguments::map([("path", path(""))])),
            Task::Look { names, .. } => {
                let name = names.last().map_or("", String::as_str);
                ("stat", arguments::map([("path", path(name))]))
            }
            Task::Remove(names) => {
                let paths = names.iter().map(|name| path(name)).collect();
                let arguments = [("paths", Value::Array(paths)), ("logEnviron", Value::from(false))];
                ("rmdir", arguments::map(arguments))
            }
        };
        self.running = Some(Running { task, rc: None, words: String::new(), names: None, mode: None });
        command
    }

    /// News of the task.
    pub(super) fn note(&mut self, update: Update) {
        let Some(running) = &mut self.running else { return };
        match update {
            Update::Rc(rc) => running.rc = Some(rc),
            Update::Files(names) => running.names = Some(names),
            Update::Stat(stat) => running.mode = Some(stat.mode),
            // Why it failed; the last words are enough.
            Update::Output { bytes, .. } => running.words = String::from_utf8_lossy(&bytes).trim().into(),
            Update::FailureReason(_) | Update::Elapsed(_) | Update::Log { .. } => {}
        }
    }

    /// The task has ended. Gives what is to be done at once, as [`Folders::next`] does.
    pub(super) fn ended(&mut self, failure: Option<String>, base: &Base) -> Option<(&'static str, Value)> {
        let Running { task, rc, words, names, mode } = self.running.take()?;
        let failure = match (failure, rc) {
            (None, Some(0)) => None,
            (Some(failure), _) => Some(failure),
            (None, _) if !words.is_empty() => Some(words),
            (None, rc) => Some(format!("it ended with {}", rc.map_or("nothing".into(), |rc| rc.to_string()))),
        };
        // Other builders now: what was found before says nothing of theirs.
        let is_stale = self.is_clearing_due;
        match (task, failure) {
            (Task::Make(builders), None) => self.made(&builders, &State::Made),
            // One of them could not be made; which, is seen when they are made one by one.
            (Task::Make(builders), Some(_)) if builders.len() > 1 => self.is_one_by_one = true,
            (Task::Make(builders), Some(cause)) => self.made(&builders, &State::Refused(cause)),
            (Task::List, None) if !is_stale => {
                let mut names: Vec<String> = names
                    .unwrap_or_default()
                    .into_iter()
                    .filter(|name| self.is_leftover(name, base))
                    .collect();
                names.truncate(MAX_LEFTOVERS);
                return self.look(names, Vec::new(), base);
            }
            (Task::Look { mut names, mut found }, failure) if !is_stale => {
                let name = names.pop();
                let is_folder = failure.is_none() && mode.is_some_and(|mode| mode & KIND == IS_FOLDER);
                found.extend(name.filter(|_| is_folder));
                return self.look(names, found, base);
            }
            (Task::List, Some(cause)) => {
                tracing::warn!(cause, "a worker cannot list its folder; nothing is cleared away");
            }
            (Task::Remove(names), Some(cause)) => {
                tracing::warn!(?names, cause, "a worker cannot remove folders that no builder has");
            }
            (Task::List | Task::Look { .. } | Task::Remove(_), _) => {}
        }
        None
    }

    fn made(&mut self, builders: &[Arc<str>], state: &State) {
        for builder in builders {
            if let Some(folder) =
                self.builders.get_mut(builder).filter(|folder| folder.state == State::Pending)
            {
                folder.state = state.clone();
            }
        }
    }

    /// Looks at the next name, or removes what was found.
    fn look(&mut self, names: Vec<String>, found: Vec<String>, base: &Base) -> Option<(&'static str, Value)> {
        if !names.is_empty() {
            return Some(self.begin(Task::Look { names, found }, base));
        }
        if found.is_empty() {
            return None;
        }
        tracing::info!(folders = ?found, "a worker removes folders that no builder has");
        Some(self.begin(Task::Remove(found), base))
    }

    /// Whether nobody has this name in the worker's folder. In doubt somebody has it.
    fn is_leftover(&self, name: &str, base: &Base) -> bool {
        let system = base.system;
        let is_name = !name.is_empty() && !name.contains(|c| c == '\0' || system.separates(c));
        if !is_name || name == "." || name == ".." || system.is_anchored(name) {
            return false;
        }
        // Some systems take one case for the other, and some one form of a letter for the other.
        let folded = |name: &str| name.to_lowercase();
        folded(name) != "info"
            && self.wanted.iter().flatten().all(|BuilderFolder { folder, .. }| {
                let mut names =
                    folder.split(|c| system.separates(c)).filter(|part| !matches!(*part, "" | "."));
                let first = names.next();
                !system.is_anchored(folder)
                    && names.all(|part| part != "..")
                    && first.is_some_and(|first| {
                        first != ".."
                            && folded(first) != folded(name)
                            && (first.is_ascii() || name.is_ascii())
                    })
            })
    }
}
