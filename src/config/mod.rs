//! The only room that has heard of Lua: it turns the operator's file into a [`Draft`].
//!
//! Each load is a fresh interpreter on a thread of its own, with bounds to memory, instructions and time. Whatever the
//! operator wrote, [`load`] returns: with a draft, and in it all that is wrong, each with its line.
//!
//! If the file gave functions away (`util.renderer`), its interpreter stays on its thread and calls them, each call within
//! the limits of a load, until nobody holds the draft's [`Interpreter`] any more.
//!
//! # Laws
//! - Loading is pure: no socket, no database, no child process, no file written. Files and environment may be read,
//!   and each file that was read is told, so that it can be watched.
//! - Raise for no bad value: gather, so that one load tells everything.
//! - Two loads of one text give equal definitions.
//! - A call of a function has an answer in bounded time, also if the interpreter hangs.
//!
//! # Not here
//! The laws over the whole of a configuration (`definition::check`), and what a change of it costs (`definition::plan`).

mod api;
mod calls;
mod field;
mod hooks;
mod live;
mod meter;
mod sandbox;
mod script;
mod session;
mod shape;
mod source;
#[cfg(test)]
mod tests;
mod thread;
mod trace;
pub mod watch;
mod worth;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

pub use meter::Limits;
pub use source::Sources;
pub use watch::{FileWatch, Pace, Sightings, Stamp, Watched, look_at};

use crate::{
    config::{
        meter::Seen,
        script::Ran,
        session::{FilesRead, FilesSeen},
        thread::{Tell, ThreadError, on_thread},
    },
    definition::{
        self, Draft, Interpreter, Problem,
        check::Checked,
        options::MASTER,
        problem::{arrange, fold},
        record::Record,
        suspect,
    },
    model::Place,
};

/// A configuration as it was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The values, and what is wrong with them.
    pub draft: Draft,
    /// All files that were read: the main file, what it required, and what it opened.
    pub files: Vec<PathBuf>,
    /// All files that were looked for, those that were not there too, each with what it was just before: a change of
    /// any of them may change the configuration.
    pub seen: Sightings,
    /// The texts of those that ran, for those who show a place.
    pub sources: Sources,
}

impl Loaded {
    /// Holds what was read to the laws of a whole configuration. Of the warnings of one kind, five are told.
    ///
    /// # Errors
    /// All problems at once, errors and warnings, each at its option where that can be told.
    pub fn check(self) -> Result<Checked, Vec<Problem>> {
        match self.check_whole().0 {
            Ok(checked) => Ok(Checked { warnings: fold(checked.warnings), ..checked }),
            Err(problems) => Err(fold(problems)),
        }
    }

    /// The same with all warnings, and with the texts of the files.
    pub fn check_whole(self) -> (Result<Checked, Vec<Problem>>, Sources) {
        let place = |mut problems: Vec<Problem>| {
            self.sources.refine(&mut problems);
            arrange(problems)
        };
        let checked = match definition::check(self.draft) {
            Ok(mut checked) => {
                let is_exposed = |file: &str| self.sources.is_exposed(file);
                suspect::readable_passwords(&checked.definition, is_exposed, &mut checked.warnings);
                Ok(Checked { warnings: place(checked.warnings), ..checked })
            }
            Err(problems) => Err(place(problems)),
        };
        (checked, self.sources)
    }
}

/// Why there is nothing to read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The main file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The main file is not a file, or larger than the memory that a configuration may use.
    #[error("{} is {what}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The system gives no thread to the interpreter.
    #[error("cannot start a thread for the configuration")]
    Thread(#[source] std::io::Error),
    /// The interpreter's thread ended without an answer, which is a fault of Lunabot.
    #[error("the interpreter of the configuration broke down")]
    BrokenDown,
}

/// How long an interpreter that has reached its limits may take to say so.
const GRACE: Duration = Duration::from_secs(2);

/// Reads the configuration whose main file is `path`, within `limits`.
///
/// What the file says wrong stands in [`Draft::problems`] with its line: syntax errors, errors at run time, and an end
/// by a limit too. Files are shown as the main file's folder sees them: `master.cfg.lua`, `lib/workers.lua`.
///
/// The call lasts no longer than [`Limits::wall`] and two seconds. An interpreter that has not come back by then hangs in
/// one of its C functions; its thread is given up. What remains of it is bounded: it holds no more than twice
/// [`Limits::memory_bytes`], and it ends as soon as that function returns, since the first instruction after it meets the
/// deadline. All functions that could run for ever are replaced by ones that watch the clock (`string.find` and kin, the
/// loops of `table`), so that leaves sorting a table as large as the memory allows (seconds), and reading a file
/// from a file system that does not answer.
///
/// # Errors
/// [`LoadError`] if there is no text to read. Nothing that the text says is a `LoadError`.
///
/// # Cancel safety
/// Dropped before it returns, the thread goes on until its text ends or its limits are reached, and is heard by nobody.
pub async fn load(path: &Path, limits: Limits) -> Result<Loaded, LoadError> {
    let shown = shown_name(path);
    let seen = Arc::new(Seen::new(Arc::clone(&shown)));
    let read: FilesRead = Arc::new(Mutex::new(FilesSeen::default()));
    let job = {
        let (path, shown, seen, read) =
            (path.to_owned(), Arc::clone(&shown), Arc::clone(&seen), Arc::clone(&read));
        move |tell: Tell<_>| match script::run(&path, shown, limits, Arc::clone(&seen), &read) {
            Ok(Ran { draft, sources, live: None, rest }) => {
                tell.answer(Ok((draft, sources)));
                drop(rest);
            }
            Ok(Ran { mut draft, sources, live: Some(live), rest }) => {
                let (caller, line) = live::open(limits.wall + GRACE, seen);
                draft.interpreter = Interpreter::of(Arc::new(caller));
                tell.answer(Ok((draft, sources)));
                drop(rest);
                live.begin();
                line.serve(|call| live.call(call));
            }
            Err(error) => tell.answer(Err(error)),
        }
    };
    let (draft, sources) = match on_thread(limits.wall + GRACE, job).await {
        Ok(read) => read?,
        Err(ThreadError::Start(source)) => return Err(LoadError::Thread(source)),
        Err(ThreadError::BrokenDown) => return Err(LoadError::BrokenDown),
        Err(ThreadError::Late) => {
            let text = format!(
                "a function takes too long; the configuration was given up after {}",
                meter::shown(limits.wall + GRACE)
            );
            let empty = Record::new(&MASTER, Place::new(shown, 0));
            let mut draft = Draft::from_record(&empty, vec![Problem::error(seen.place(), text)]);
            draft.is_incomplete = true;
            (draft, Sources::default())
        }
    };
    let looked = read.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Loaded { draft, files: looked.read, seen: looked.seen, sources })
}

fn shown_name(path: &Path) -> Arc<str> {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into()
}
