//! Where a load stands: the operator's line, and the column where the text tells it.

use std::{borrow::Cow, sync::Arc};

use mlua::{Lua, debug::Debug};

use super::Session;
use crate::{
    config::source::{Given, Made},
    model::Place,
};

/// Frames that are looked at for a line of the operator's. More are there only in a recursion, where each has the line.
const FRAMES: usize = 64;

/// A call that was found in the text as the only one that it can be.
#[derive(Debug)]
pub(super) struct LastCall {
    place: Place,
    /// Of which constructor, if of one.
    function: Option<&'static str>,
    /// Under which name.
    callee: String,
}

impl Session {
    /// The nearest line of the operator's from which the running function was called.
    pub(in crate::config) fn place(&self, lua: &Lua) -> Place {
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

    /// Where the running function was called, with the column if the text can tell. `given` is what a constructor was given.
    pub(in crate::config) fn place_of_call(&self, lua: &Lua, given: Option<Given<'_>>) -> Place {
        let place = self.place(lua);
        let Some(callee) = called_as(lua) else { return place };
        let function = given.map(|given| given.constructor.name);
        let mut last = self.last_call.borrow_mut();
        if let Some(last) = &*last
            && (last.function, &last.callee) == (function, &callee)
            && last.place.line == place.line
            && last.place.file == place.file
        {
            return last.place.clone();
        }
        let sources = &mut *self.sources.borrow_mut();
        let of_name = Made { callee: &callee, given: None };
        let is_only = sources.call_column(&place, of_name).is_some();
        let column = sources.call_column(&place, Made { given, ..of_name });
        let place = place.column(column.unwrap_or(0));
        if is_only {
            *last = Some(LastCall { place: place.clone(), function, callee });
        }
        place
    }

    /// The same place with the column of a name, if that stands in its line.
    pub(in crate::config) fn at_name(&self, place: Place, name: &str) -> Place {
        let column = self.sources.borrow().name_column(&place.file, place.line, name);
        place.column(column.unwrap_or(0))
    }

    /// Where an option of `c` is read in a line, or assigned by what ends there; the same place if that cannot be told.
    pub(in crate::config) fn at_option(&self, place: Place, option: &str) -> Place {
        self.sources.borrow_mut().option_place(place, option)
    }

    /// The same place with the column of what Lua says it stands near, if that stands in its line once.
    pub(in crate::config) fn at_text(&self, place: Place, text: &str) -> Place {
        let column = self.sources.borrow().only_column(&place, text);
        place.column(column.unwrap_or(0))
    }

    /// Notes the line that is about to run.
    pub(in crate::config) fn see(&self, frame: &Debug<'_>) {
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
}

/// Under which name the running function was called; nothing if it was not the operator's text that called it:
/// `pcall(worker.Worker, "bot")`, or a metamethod.
fn called_as(lua: &Lua) -> Option<String> {
    let is_text = |frame: &Debug<'_>| frame.source().source.is_some_and(|source| source.starts_with('@'));
    lua.inspect_stack(1, is_text).filter(|is_text| *is_text)?;
    let name = |frame: &Debug<'_>| {
        let names = frame.names();
        let is_call = !matches!(names.name_what, Some("metamethod" | "for iterator" | "hook"));
        is_call.then(|| names.name.map_or_else(|| "?".to_owned(), Cow::into_owned))
    };
    lua.inspect_stack(0, name).flatten()
}

fn line_number(line: Option<usize>) -> u32 {
    line.and_then(|line| u32::try_from(line).ok()).unwrap_or(0)
}
