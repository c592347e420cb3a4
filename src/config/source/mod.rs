//! The texts of a configuration, to find the columns that Lua does not tell.
//!
//! Lua knows the line of a call. Which call of that line is meant, where its options stand, and where a name is
//! written, is found in the text; what cannot be found stays at its line.
//!
//! # Laws
//! - A column is right or unknown (0), and a line never becomes a wrong one: what moves to another line has been found
//!   within the call.

mod call;
mod key;
mod lexer;
mod locate;

use std::{cell::OnceCell, collections::BTreeMap, fmt, ops::Range, sync::Arc};

pub(super) use call::{Given, Made};
use lexer::{Kind, Token, contents, tokens};

use crate::{
    definition::{Problem, options::Constructor},
    model::Place,
};

/// The texts of the files that ran, by their names as shown.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: BTreeMap<Arc<str>, Source>,
    /// What was found, by file, line and column.
    found: BTreeMap<(Arc<str>, u32, u32), Found>,
}

/// What stands at a place, and may have options.
#[derive(Clone, Debug)]
enum Found {
    /// A call of a constructor, by its bracket.
    Call(usize, &'static Constructor),
    /// What is assigned to an option of `c`, and to which: `protocols.pb`.
    Value(usize, Box<str>),
}

/// The text of one file. It may hold passwords, so it does not print.
#[derive(Clone)]
struct Source {
    text: Arc<str>,
    /// Whether everybody on the machine can read it.
    is_exposed: bool,
    parsed: OnceCell<Parsed>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.text.len())
    }
}

/// A text taken apart.
#[derive(Clone)]
struct Parsed {
    tokens: Vec<Token>,
    /// The tokens of each line, which is found by its number less one.
    lines: Vec<Range<usize>>,
}

impl Sources {
    /// Keeps the text of a file.
    pub(super) fn keep(&mut self, file: Arc<str>, text: Arc<str>, is_exposed: bool) {
        self.found.retain(|(of, ..), _| *of != file);
        self.files.insert(file, Source { text, is_exposed, parsed: OnceCell::new() });
    }

    /// Whether everybody on the machine can read a file.
    pub fn is_exposed(&self, file: &str) -> bool {
        self.files.get(file).is_some_and(|source| source.is_exposed)
    }

    /// A line of a file, from 1.
    pub fn line(&self, place: &Place) -> Option<&str> {
        let index = usize::try_from(place.line.checked_sub(1)?).ok()?;
        self.files.get(&place.file)?.text.lines().nth(index)
    }

    /// Some lines of a file, counted from 1, the last one included.
    pub(super) fn lines(&self, file: &str, first: u32, last: u32) -> String {
        let Some(source) = self.files.get(file) else { return String::new() };
        let (first, last) = (first.max(1) as usize, last as usize);
        let lines = source.text.lines().skip(first - 1).take((last + 1).saturating_sub(first));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The column of a call that was made in a line: where its path begins. That of a constructor is kept, so that problems
    /// of it can be moved to its options.
    pub(super) fn call_column(&mut self, place: &Place, made: Made<'_>) -> Option<u32> {
        let view = self.view(&place.file)?;
        let call = view.call_in_line(place.line, made)?;
        let column = view.parsed.tokens[call.path].column;
        if let Some(given) = made.given {
            let found = Found::Call(call.open, given.constructor);
            self.found.insert((Arc::clone(&place.file), place.line, column), found);
        }
        Some(column)
    }

    /// Where an option of `c` (`title`, `protocols.pb`) is read in a line, or assigned by what ends there: where its path
    /// begins. The same place if that cannot be told. What is assigned is kept, so that problems of it can be moved to its
    /// options.
    pub(super) fn option_place(&mut self, place: Place, option: &str) -> Place {
        let Some((place, value)) = self.view(&place.file).and_then(|view| {
            let (tables, key) = option.rsplit_once('.').unwrap_or(("c", option));
            let (_, table) = tables.rsplit_once('.').unwrap_or(("", tables));
            let found = view.key_in_line(place.line, table, key)?;
            let token = &view.parsed.tokens[found.path];
            Some((Place::new(Arc::clone(&place.file), token.line).column(token.column), found.value))
        }) else {
            return place;
        };
        if let Some(value) = value {
            let found = Found::Value(value, option.into());
            self.found.insert((Arc::clone(&place.file), place.line, place.column), found);
        }
        place
    }

    /// The column of a name in a line.
    pub(super) fn name_column(&self, file: &str, line: u32, name: &str) -> Option<u32> {
        let view = self.view(file)?;
        view.in_line(line)
            .find(|index| view.is_name(*index, name))
            .map(|index| view.parsed.tokens[index].column)
    }

    /// The column of a text that stands in a line once.
    pub(super) fn only_column(&self, place: &Place, text: &str) -> Option<u32> {
        let view = self.view(&place.file)?;
        let mut found = view.in_line(place.line).filter(|index| view.word(*index) == text);
        let first = found.next()?;
        found.next().is_none().then(|| view.parsed.tokens[first].column)
    }

    /// Moves problems from the call that they concern to the option or the name in it.
    pub fn refine(&self, problems: &mut [Problem]) {
        for problem in problems {
            let Some(place) = &problem.place else { continue };
            if let Some(found) = self.found(place, &problem.text) {
                problem.place = Some(found);
            }
        }
    }

    fn found(&self, place: &Place, text: &str) -> Option<Place> {
        let found = self.found.get(&(Arc::clone(&place.file), place.line, place.column))?;
        let view = self.view(&place.file)?;
        let subject = match found {
            Found::Call(open, constructor) => view.subject(view.call_at(*open)?, constructor, text)?,
            Found::Value(value, option) => view.member(*value, option, text)?,
        };
        let token = &view.parsed.tokens[subject];
        Some(Place::new(Arc::clone(&place.file), token.line).column(token.column))
    }

    fn view(&self, file: &str) -> Option<View<'_>> {
        let source = self.files.get(file)?;
        let parsed = source.parsed.get_or_init(|| Parsed::of(&source.text));
        Some(View { text: &source.text, parsed })
    }
}

impl Parsed {
    fn of(text: &str) -> Self {
        let tokens = tokens(text);
        let count = tokens.last().map_or(0, |token| token.line as usize);
        let mut lines = vec![0..0; count];
        for (index, token) in tokens.iter().enumerate() {
            let range = &mut lines[token.line as usize - 1];
            if range.end == 0 {
                range.start = index;
            }
            range.end = index + 1;
        }
        Self { tokens, lines }
    }
}

/// A text and its tokens.
#[derive(Clone, Copy)]
struct View<'s> {
    text: &'s str,
    parsed: &'s Parsed,
}

impl<'s> View<'s> {
    fn word(self, index: usize) -> &'s str {
        self.parsed.tokens.get(index).map_or("", |token| &self.text[token.bytes.clone()])
    }

    fn is_name(self, index: usize, name: &str) -> bool {
        self.parsed.tokens.get(index).is_some_and(|token| token.kind == Kind::Name)
            && self.word(index) == name
    }

    /// What a text says; nothing if it is none, or needs translation.
    fn said(self, index: usize) -> Option<&'s str> {
        let token = self.parsed.tokens.get(index)?;
        (token.kind == Kind::Text).then(|| contents(self.word(index))).flatten()
    }

    fn in_line(self, line: u32) -> Range<usize> {
        let index = (line as usize).wrapping_sub(1);
        self.parsed.lines.get(index).cloned().unwrap_or(0..0)
    }
}
