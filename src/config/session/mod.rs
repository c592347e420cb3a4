//! What one load has gathered so far: problems, the values made, the files read; and what one call of a function gathers
//! after it.
//!
//! All functions that Lua can call share one [`Session`]. It knows no Lua value, so it keeps no interpreter alive.

mod calls;
mod files;
mod places;
mod problems;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    path::PathBuf,
    rc::Rc,
    sync::Arc,
};

use files::Excerpt;
pub(super) use files::{FilesRead, FilesSeen, note_look};
use places::LastCall;
use problems::Lost;

use super::{api::made::Made, meter::Meter, source::Sources};
use crate::{definition::Problem, model::Place};

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
    excerpts: RefCell<BTreeMap<Excerpt, Arc<str>>>,
    /// The last call that was looked for, and its column: a loop makes thousands of one line.
    last_call: RefCell<Option<LastCall>>,
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
}
