//! What one load has gathered so far: problems, the values made, the files read; and what one call of a function gathers
//! after it.
//!
//! All functions that Lua can call share one [`Session`]. It knows no Lua value, so it keeps no interpreter alive.
//!
//! # Laws
//! - No bad value raises: it becomes a problem with its place, and the file runs on.
//! - There are at most [`MOST_PROBLEMS`]; then the load is stopped.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
};

use mlua::Lua;

use super::{
    api::made::Made,
    meter::{Meter, Stop},
    source::Sources,
    watch::{Sightings, Stamp},
};
use crate::{definition::Problem, model::Place};

/// More than a person reads; a loop that makes a mistake each time round ends here.
pub(super) const MOST_PROBLEMS: usize = 1000;

/// Frames that are looked at for a line of the operator's. More are there only in a recursion, where each has the line.
const FRAMES: usize = 64;

/// The paths read so far, shared with the one who waits: he tells them even if the interpreter never comes back.
pub(super) type FilesRead = Arc<Mutex<FilesSeen>>;

/// What a load wanted of the file system.
#[derive(Clone, Debug, Default)]
pub(super) struct FilesSeen {
    /// Files that were read, in order.
    pub(super) read: Vec<PathBuf>,
    /// All that was looked for.
    pub(super) seen: Sightings,
    /// Which options were given: of which constructor, and whether they could be read.
    #[cfg(test)]
    pub(super) options: BTreeSet<(String, &'static str, bool)>,
}

/// What one load has gathered so far.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) meter: Meter,
    /// The folder of the main file.
    folder: PathBuf,
    /// The main file, as it is shown.
    main: Arc<str>,
    problems: RefCell<Vec<Problem>>,
    /// Warnings that say nothing new where something is wrong.
    minor: RefCell<Vec<Problem>>,
    made: RefCell<Vec<Rc<Made>>>,
    read: FilesRead,
    /// File names as shown, so that places share them.
    names: RefCell<Vec<Arc<str>>>,
    /// The texts of the files that run.
    sources: RefCell<Sources>,
    /// What was taken of them already: a loop makes a thousand functions of the same lines.
    excerpts: RefCell<BTreeMap<(Arc<str>, u32, u32), Arc<str>>>,
    /// The last call that was looked for, and its column: a loop makes thousands of one line.
    last_call: RefCell<Option<(Place, &'static str)>>,
    /// Whether the load is over, and a function is called for a build.
    calling: Cell<bool>,
    /// Globals that were read and are not there.
    undefined: RefCell<Vec<(String, Place)>>,
    /// Where `error` was last called: an error may be any value, and most hold no line.
    raised: RefCell<Option<Place>>,
    /// What was meant to be there and could not be read.
    lost: RefCell<Lost>,
    /// The functions that make parts of the configuration, by address, as the operator writes them.
    constructors: RefCell<BTreeMap<usize, String>>,
    /// The file that the line hook saw last.
    seen_file: RefCell<Arc<str>>,
}

/// Parts of the configuration that could not be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Lost {
    /// Those whose names are known.
    pub(super) names: BTreeSet<String>,
    /// Whether there are others.
    pub(super) nameless: bool,
}

impl Session {
    pub(super) fn new(meter: Meter, folder: PathBuf, main: Arc<str>, read: FilesRead) -> Self {
        Self {
            meter,
            folder,
            main: Arc::clone(&main),
            problems: RefCell::default(),
            minor: RefCell::default(),
            made: RefCell::default(),
            read,
            names: RefCell::new(vec![Arc::clone(&main)]),
            sources: RefCell::default(),
            excerpts: RefCell::default(),
            last_call: RefCell::default(),
            calling: Cell::new(false),
            undefined: RefCell::default(),
            raised: RefCell::default(),
            lost: RefCell::default(),
            constructors: RefCell::default(),
            seen_file: RefCell::new(main),
        }
    }

    /// The folder of the main file.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The main file as place of what has no other.
    pub(super) fn main(&self) -> Place {
        Place::new(Arc::clone(&self.main), 0)
    }

    /// A file's name as it is shown, shared.
    pub(super) fn file(&self, shown: &str) -> Arc<str> {
        let mut names = self.names.borrow_mut();
        if let Some(name) = names.iter().rev().find(|name| &***name == shown) {
            return Arc::clone(name);
        }
        let name: Arc<str> = shown.into();
        names.push(Arc::clone(&name));
        name
    }

    /// Keeps the text of a file.
    pub(super) fn note_text(&self, shown: &str, text: &[u8]) {
        let file = self.file(shown);
        self.sources.borrow_mut().keep(file, String::from_utf8_lossy(text).into());
    }

    /// Some lines of a file, counted from 1, the last one included.
    pub(super) fn lines(&self, shown: &str, first: u32, last: u32) -> Arc<str> {
        let key = (self.file(shown), first, last);
        if let Some(known) = self.excerpts.borrow().get(&key) {
            return Arc::clone(known);
        }
        let lines: Arc<str> = self.sources.borrow().lines(shown, first, last).into();
        self.excerpts.borrow_mut().insert(key, Arc::clone(&lines));
        lines
    }

    /// The texts so far.
    pub(super) fn sources(&self) -> Sources {
        self.sources.borrow().clone()
    }

    /// Where the running function was called, with the column if its name stands there.
    pub(super) fn place_of_call(&self, lua: &Lua, function: &'static str) -> Place {
        let place = self.place(lua);
        let mut last = self.last_call.borrow_mut();
        if let Some((known, of)) = &*last
            && *of == function
            && known.line == place.line
            && known.file == place.file
        {
            return known.clone();
        }
        let column = self.sources.borrow().call_column(&place.file, place.line, function);
        let place = place.column(column.unwrap_or(0));
        *last = Some((place.clone(), function));
        place
    }

    /// The same place with the column of a name, if that stands in its line.
    pub(super) fn at_name(&self, place: Place, name: &str) -> Place {
        let column = self.sources.borrow().name_column(&place.file, place.line, name);
        place.column(column.unwrap_or(0))
    }

    /// The same place with the column of what Lua says it stands near, if that stands in its line once.
    pub(super) fn at_text(&self, place: Place, text: &str) -> Place {
        let column = self.sources.borrow().only_column(&place, text);
        place.column(column.unwrap_or(0))
    }

    /// All files' names as they are shown.
    pub(super) fn files(&self) -> Vec<Arc<str>> {
        self.names.borrow().clone()
    }

    /// Notes that a file is going to be read, or is looked for in vain.
    pub(super) fn note_look(&self, path: &Path) {
        note_look(&self.read, path);
    }

    /// Notes that a file was read.
    pub(super) fn note_read(&self, path: &Path) {
        let mut files = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if !files.read.iter().any(|known| known == path) {
            files.read.push(path.to_owned());
        }
    }

    /// The nearest line of the operator's from which the running function was called.
    pub(super) fn place(&self, lua: &Lua) -> Place {
        for level in 0..FRAMES {
            let found = lua.inspect_stack(level, |frame| {
                let source = frame.source();
                let name = source.source.as_deref().and_then(|source| source.strip_prefix('@'))?;
                Some(Place::new(self.file(name), line_number(frame.current_line())))
            });
            match found {
                Some(Some(place)) => return place,
                Some(None) => {}
                None => break,
            }
        }
        self.meter.seen().place()
    }

    /// Notes the line that is about to run.
    pub(super) fn see(&self, frame: &mlua::debug::Debug<'_>) {
        let source = frame.source();
        let Some(name) = source.source.as_deref().and_then(|source| source.strip_prefix('@')) else { return };
        // Each line of the file comes by here; the lock is taken for a new file only.
        let is_new = &**self.seen_file.borrow() != name;
        let file = is_new.then(|| self.file(name));
        if let Some(file) = &file {
            self.seen_file.replace(Arc::clone(file));
        }
        self.meter.seen().note(file, line_number(frame.current_line()));
    }

    /// Notes that an option was given, and whether it could be read.
    #[cfg(test)]
    pub(super) fn note_option(&self, constructor: String, option: &'static str, is_good: bool) {
        let mut files = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        files.options.insert((constructor, option, is_good));
    }

    /// Gathers a problem.
    pub(super) fn complain(&self, problem: Problem) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < MOST_PROBLEMS {
            problems.push(problem);
        } else if self.meter.stop(Stop::Problems) {
            let text = Stop::Problems.text(self.meter.limits());
            problems.push(Problem::error(problem.place.map(|place| place.column(0)), text));
        }
    }

    /// Gathers a warning that is told only if nothing is wrong: it may follow from what is.
    pub(super) fn remark(&self, warning: Problem) {
        let mut minor = self.minor.borrow_mut();
        if minor.len() < MOST_PROBLEMS {
            minor.push(warning);
        }
    }

    /// Tells those warnings.
    pub(super) fn tell_remarks(&self) {
        for warning in self.minor.take() {
            self.complain(warning);
        }
    }

    /// Stops the load and tells why, unless it was stopped before.
    pub(super) fn stop(&self, stop: Stop, place: Place) {
        if self.meter.stop(stop) {
            self.problems.borrow_mut().push(Problem::error(place, stop.text(self.meter.limits())));
        }
    }

    /// Stops the load from within a function that Lua called.
    pub(super) fn stop_here(&self, lua: &Lua, stop: Stop) -> mlua::Error {
        if !self.meter.is_stopped() {
            self.stop(stop, self.place(lua));
        }
        mlua::Error::RuntimeError(stop.text(self.meter.limits()))
    }

    /// Counts bytes that leave the interpreter; stops the load if they are too many.
    pub(super) fn copy(&self, lua: &Lua, bytes: usize) -> mlua::Result<()> {
        self.meter.copy(bytes).map_err(|stop| self.stop_here(lua, stop))
    }

    /// An error at the operator's line.
    pub(super) fn error(&self, lua: &Lua, text: impl std::fmt::Display) -> mlua::Error {
        mlua::Error::RuntimeError(format!("{}: {text}", self.place(lua)))
    }

    /// Notes that a value was made.
    pub(super) fn note_made(&self, made: &Rc<Made>) {
        self.made.borrow_mut().push(Rc::clone(made));
    }

    /// All values made.
    pub(super) fn made(&self) -> Vec<Rc<Made>> {
        self.made.borrow().clone()
    }

    /// Notes a constructor, so that one that was not called can be told.
    pub(super) fn note_constructor(&self, function: &mlua::Function, path: String) {
        self.constructors.borrow_mut().insert(function.to_pointer() as usize, path);
    }

    /// The hint for a constructor that stands where what it makes should stand.
    pub(super) fn uncalled(&self, value: &mlua::Value) -> Option<String> {
        let mlua::Value::Function(function) = value else { return None };
        let constructors = self.constructors.borrow();
        let path = constructors.get(&(function.to_pointer() as usize))?;
        Some(format!("this is `{path}` itself, which was not called: `{path}(…)`"))
    }

    /// Notes that a part could not be read, so that naming it is no second mistake.
    pub(super) fn lose(&self, name: Option<String>) {
        let mut lost = self.lost.borrow_mut();
        match name {
            Some(name) => {
                lost.names.insert(name);
            }
            None => lost.nameless = true,
        }
    }

    /// What could not be read.
    pub(super) fn lost(&self) -> Lost {
        self.lost.borrow().clone()
    }

    /// Notes that a global was read which is not there.
    pub(super) fn note_undefined(&self, name: &str, place: Place) {
        // It may have stood for a part.
        self.lose(None);
        self.undefined.borrow_mut().push((name.to_owned(), place));
    }

    /// Whether a global of this name was found missing in this line.
    pub(super) fn is_undefined(&self, name: &str, place: &Place) -> bool {
        let same = |other: &Place| other.file == place.file && other.line == place.line;
        self.undefined.borrow().iter().any(|(known, at)| known == name && same(at))
    }

    /// Notes where `error` was called.
    pub(super) fn note_raised(&self, place: Place) {
        *self.raised.borrow_mut() = Some(place);
    }

    /// Where `error` was last called.
    pub(super) fn raised(&self) -> Option<Place> {
        self.raised.borrow().clone()
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_well(&self) -> bool {
        !self.lost.borrow().nameless && !self.problems.borrow().iter().any(Problem::is_error)
    }

    /// The load is over: from here on functions are called for builds. What only a load needs is let go.
    pub(super) fn end_load(&self) {
        self.calling.set(true);
        self.made.take();
        self.sources.take();
        self.excerpts.take();
        self.end_call();
    }

    /// A function is about to be called.
    pub(super) fn begin_call(&self) {
        self.meter.restart();
    }

    /// The function has returned; what it did wrong.
    pub(super) fn end_call(&self) -> Vec<Problem> {
        self.undefined.take();
        self.raised.take();
        self.lost.take();
        self.take_problems()
    }

    /// Refuses what only a load may do, once the load is over.
    pub(super) fn only_in_a_load(&self, lua: &Lua, what: &str) -> mlua::Result<()> {
        if self.calling.get() {
            Err(self.error(lua, format!("{what} while a build runs, only while the configuration is loaded")))
        } else {
            Ok(())
        }
    }

    /// The problems so far; they are taken out.
    pub(super) fn take_problems(&self) -> Vec<Problem> {
        self.problems.take()
    }
}

/// Notes what a file is before it is read. Of a file that is read twice, the first look counts: if it changed in between,
/// the load has seen half of a change.
pub(super) fn note_look(files: &FilesRead, path: &Path) {
    let stamp = Stamp::of(path);
    let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
    files.seen.entry(path.to_owned()).or_insert(stamp);
}

fn line_number(line: Option<usize>) -> u32 {
    line.and_then(|line| u32::try_from(line).ok()).unwrap_or(0)
}
