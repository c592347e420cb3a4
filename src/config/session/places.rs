//! Where a load stands: the operator's line, and the column where the text tells it.

use std::sync::Arc;

use mlua::Lua;

use super::Session;
use crate::model::Place;

/// Frames that are looked at for a line of the operator's. More are there only in a recursion, where each has the line.
const FRAMES: usize = 64;

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

    /// Where the running function was called, with the column if its name stands there.
    pub(in crate::config) fn place_of_call(&self, lua: &Lua, function: &'static str) -> Place {
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
    pub(in crate::config) fn at_name(&self, place: Place, name: &str) -> Place {
        let column = self.sources.borrow().name_column(&place.file, place.line, name);
        place.column(column.unwrap_or(0))
    }

    /// The same place with the column of what Lua says it stands near, if that stands in its line once.
    pub(in crate::config) fn at_text(&self, place: Place, text: &str) -> Place {
        let column = self.sources.borrow().only_column(&place, text);
        place.column(column.unwrap_or(0))
    }

    /// Notes the line that is about to run.
    pub(in crate::config) fn see(&self, frame: &mlua::debug::Debug<'_>) {
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

fn line_number(line: Option<usize>) -> u32 {
    line.and_then(|line| u32::try_from(line).ok()).unwrap_or(0)
}
