//! What is wrong so far, and what can therefore not be said any more.
//!
//! # Laws
//! - No bad value raises: it becomes a problem with its place, and the file runs on.
//! - There are at most [`MOST_PROBLEMS`]; then the load is stopped.

use std::collections::BTreeSet;

use mlua::Lua;

use super::Session;
use crate::{
    config::{meter::Stop, trace},
    definition::Problem,
    model::Place,
};

/// More than a person reads; a loop that makes a mistake each time round ends here.
pub(in crate::config) const MOST_PROBLEMS: usize = 1000;

/// Parts of the configuration that could not be read.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Lost {
    /// Those whose names are known.
    pub(in crate::config) names: BTreeSet<String>,
    /// Whether there are others.
    pub(in crate::config) nameless: bool,
}

impl Session {
    /// Gathers a problem.
    pub(in crate::config) fn complain(&self, problem: Problem) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < MOST_PROBLEMS {
            problems.push(problem);
        } else if self.meter.stop(Stop::Problems) {
            let text = Stop::Problems.text(self.meter.limits());
            problems.push(Problem::error(problem.place.map(|place| place.column(0)), text));
        }
    }

    /// Gathers a problem of what runs now, with the calls that led there.
    pub(in crate::config) fn complain_here(&self, lua: &Lua, problem: Problem) {
        let trace = problem.place.as_ref().map(|place| trace::calls(lua, self, place)).unwrap_or_default();
        self.complain(Problem { trace, ..problem });
    }

    /// Gathers a warning that is told only if nothing is wrong: it may follow from what is.
    pub(in crate::config) fn remark(&self, warning: Problem) {
        let mut minor = self.minor.borrow_mut();
        if minor.len() < MOST_PROBLEMS {
            minor.push(warning);
        }
    }

    /// Tells those warnings.
    pub(in crate::config) fn tell_remarks(&self) {
        for warning in self.minor.take() {
            self.complain(warning);
        }
    }

    /// The problems so far; they are taken out.
    pub(in crate::config) fn take_problems(&self) -> Vec<Problem> {
        self.problems.take()
    }

    /// Whether nothing is wrong so far.
    pub(in crate::config) fn is_well(&self) -> bool {
        !self.lost.borrow().nameless && !self.problems.borrow().iter().any(Problem::is_error)
    }

    /// Stops the load and tells why, unless it was stopped before.
    pub(in crate::config) fn stop(&self, stop: Stop, place: Place) {
        if self.meter.stop(stop) {
            self.problems.borrow_mut().push(Problem::error(place, stop.text(self.meter.limits())));
        }
    }

    /// Stops the load from within a function that Lua called.
    pub(in crate::config) fn stop_here(&self, lua: &Lua, stop: Stop) -> mlua::Error {
        if self.meter.stop(stop) {
            let place = self.place(lua);
            let trace = trace::calls(lua, self, &place);
            let problem = Problem::error(place, stop.text(self.meter.limits()));
            self.problems.borrow_mut().push(Problem { trace, ..problem });
        }
        mlua::Error::RuntimeError(stop.text(self.meter.limits()))
    }

    /// Counts bytes that leave the interpreter; stops the load if they are too many.
    pub(in crate::config) fn copy(&self, lua: &Lua, bytes: usize) -> mlua::Result<()> {
        self.meter.copy(bytes).map_err(|stop| self.stop_here(lua, stop))
    }

    /// An error at the operator's line.
    pub(in crate::config) fn error(&self, lua: &Lua, text: impl std::fmt::Display) -> mlua::Error {
        mlua::Error::RuntimeError(format!("{}: {text}", self.place(lua)))
    }

    /// Notes that a part could not be read, so that naming it is no second mistake.
    pub(in crate::config) fn lose(&self, name: Option<String>) {
        let mut lost = self.lost.borrow_mut();
        match name {
            Some(name) => {
                lost.names.insert(name);
            }
            None => lost.nameless = true,
        }
    }

    /// What could not be read.
    pub(in crate::config) fn lost(&self) -> Lost {
        self.lost.borrow().clone()
    }

    /// Notes that a global was read which is not there.
    pub(in crate::config) fn note_undefined(&self, name: &str, place: Place) {
        // It may have stood for a part.
        self.lose(None);
        self.undefined.borrow_mut().push((name.to_owned(), place));
    }

    /// Whether a global of this name was found missing in this line.
    pub(in crate::config) fn is_undefined(&self, name: &str, place: &Place) -> bool {
        let same = |other: &Place| other.file == place.file && other.line == place.line;
        self.undefined.borrow().iter().any(|(known, at)| known == name && same(at))
    }

    /// Notes where `error` was called.
    pub(in crate::config) fn note_raised(&self, place: Place) {
        *self.raised.borrow_mut() = Some(place);
    }

    /// Where `error` was last called.
    pub(in crate::config) fn raised(&self) -> Option<Place> {
        self.raised.borrow().clone()
    }
}
