//! The limits of one load, or of one call of a function after it, and the line where it stands.
//!
//! Lua spends instructions, a pattern spends steps, a value that is copied out of the interpreter spends bytes: all of
//! them here. Whoever meets the end of a limit stops the load, once and for all.
//!
//! # Laws
//! - What is stopped stays stopped: its problem was told when it happened, so no `pcall` can hide it.
//! - [`Seen`] may be read from another thread at any time, also while the interpreter hangs in a C function.
//!
//! # Not here
//! The hook that counts instructions (`sandbox::hook`), and giving up a thread that does not come back (`super::load`).

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use crate::model::Place;

/// How much one load may use, and each call of one of its functions while builds run. Whatever is reached first ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Instructions of the interpreter, and steps of its pattern matcher. 200 million by default: a hundred times what
    /// a file that defines 10,000 workers needs.
    pub instructions: u64,
    /// Memory, in bytes: once for the interpreter, and once for the values that leave it. 256 MiB by default.
    pub memory_bytes: usize,
    /// Wall time. 5 s by default.
    pub wall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { instructions: 200_000_000, memory_bytes: 256 << 20, wall: Duration::from_secs(5) }
    }
}

/// Which limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Instructions,
    Wall,
    Copied,
    Problems,
}

/// The line where the interpreter was last seen.
#[derive(Debug)]
pub(super) struct Seen {
    file: Mutex<Arc<str>>,
    line: AtomicU32,
}

/// What one load, or one call, has used so far.
#[derive(Debug)]
pub(super) struct Meter {
    limits: Limits,
    deadline: Cell<Instant>,
    instructions: Cell<u64>,
    copied_bytes: Cell<usize>,
    stop: Cell<Option<Stop>>,
    seen: Arc<Seen>,
}

impl Meter {
    /// Nothing used; the wall time begins now.
    pub(super) fn new(limits: Limits, seen: Arc<Seen>) -> Self {
        Self {
            limits,
            deadline: Cell::new(Instant::now() + limits.wall),
            instructions: Cell::new(0),
            copied_bytes: Cell::new(0),
            stop: Cell::new(None),
            seen,
        }
    }

    /// Nothing used, as at first.
    pub(super) fn restart(&self) {
        self.deadline.set(Instant::now() + self.limits.wall);
        self.instructions.set(0);
        self.copied_bytes.set(0);
        self.stop.set(None);
    }

    /// Counts instructions and looks at the clock.
    pub(super) fn spend(&self, instructions: u64) -> Result<(), Stop> {
        let used = self.instructions.get().saturating_add(instructions);
        self.instructions.set(used);
        if let Some(stop) = self.stop.get() {
            Err(stop)
        } else if used > self.limits.instructions {
            Err(Stop::Instructions)
        } else if Instant::now() > self.deadline.get() {
            Err(Stop::Wall)
        } else {
            Ok(())
        }
    }

    /// Counts bytes that are copied out of the interpreter, where its own limit does not see them.
    pub(super) fn copy(&self, bytes: usize) -> Result<(), Stop> {
        let used = self.copied_bytes.get().saturating_add(bytes);
        self.copied_bytes.set(used);
        if used > self.limits.memory_bytes { Err(self.stop.get().unwrap_or(Stop::Copied)) } else { Ok(()) }
    }

    /// Stops the load. The first reason stays.
    ///
    /// Returns whether this was the first.
    pub(super) fn stop(&self, stop: Stop) -> bool {
        let first = self.stop.get().is_none();
        if first {
            self.stop.set(Some(stop));
        }
        first
    }

    /// Whether it was stopped.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped().is_some()
    }

    /// By which limit it was stopped.
    pub(super) fn stopped(&self) -> Option<Stop> {
        self.stop.get()
    }

    /// The limits.
    pub(super) const fn limits(&self) -> Limits {
        self.limits
    }

    /// Where the interpreter was last seen.
    pub(super) fn seen(&self) -> &Seen {
        &self.seen
    }
}

impl Stop {
    /// For people.
    pub(super) fn text(self, limits: Limits) -> String {
        match self {
            Self::Instructions => {
                format!(
                    "the configuration comes to no end; stopped after {} instructions (--config-instructions)",
                    limits.instructions
                )
            }
            Self::Wall => {
                format!(
                    "the configuration comes to no end; stopped after {} (--config-time)",
                    shown(limits.wall)
                )
            }
            Self::Copied => {
                format!(
                    "the configuration is too large; its values take more than {} MiB (--config-memory)",
                    limits.memory_bytes >> 20
                )
            }
            Self::Problems => "too many problems; what follows was not read".to_owned(),
        }
    }
}

impl Seen {
    /// Nothing seen yet.
    pub(super) fn new(file: Arc<str>) -> Self {
        Self { file: Mutex::new(file), line: AtomicU32::new(0) }
    }

    /// Notes the line; `file` only where it is another one than before.
    pub(super) fn note(&self, file: Option<Arc<str>>, line: u32) {
        if let Some(file) = file {
            *self.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
        }
        self.line.store(line, Ordering::Relaxed);
    }

    /// The place.
    pub(super) fn place(&self) -> Place {
        let file = Arc::clone(&self.file.lock().unwrap_or_else(PoisonError::into_inner));
        Place::new(file, self.line.load(Ordering::Relaxed))
    }
}

/// Seconds where there are whole ones, else milliseconds.
pub(super) fn shown(span: Duration) -> String {
    if span.subsec_millis() == 0 {
        format!("{} s", span.as_secs())
    } else {
        format!("{} ms", span.as_millis())
    }
}
