//! Calls in a text: which of those in a line was made.
//!
//! Lua tells the line of a call, which is that of its bracket, and mostly the name under which it was made: `Worker` of
//! `worker.Worker(…)`, or `W` if that is a variable which holds the same. Where two calls of a line have that name, what they
//! were given decides: their names and options, as far as these stand in the text.
//!
//! # Laws
//! - A call is found only if it can be no other.

use super::{Kind, View};
use crate::definition::options::Constructor;

/// More tokens in a line than a person writes; a program that writes all into one line has no use for columns.
const MOST_TOKENS: usize = 500;

/// A call, by its tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// Where its path begins: `worker` of `worker.Worker(`.
    pub(super) path: usize,
    /// Its bracket, or its only text.
    pub(super) open: usize,
    /// What closes it; the last token if nothing does.
    pub(super) close: usize,
}

/// What is known of a call that was made.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Made<'a> {
    /// The name of the variable or the field that was called; some other word if it has none.
    pub(in crate::config) callee: &'a str,
    /// Whose constructor, and what it was given; of other functions nothing is known.
    pub(in crate::config) given: Option<Given<'a>>,
}

/// What a constructor was given.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Given<'a> {
    pub(in crate::config) constructor: &'static Constructor,
    /// The name of what it makes.
    pub(in crate::config) name: Option<&'a str>,
    /// The options that were given by name.
    pub(in crate::config) options: &'a [&'a str],
}

impl View<'_> {
    /// The call of a line that was made.
    pub(super) fn call_in_line(self, line: u32, made: Made<'_>) -> Option<Call> {
        let tokens = self.in_line(line);
        if tokens.len() > MOST_TOKENS {
            return None;
        }
        let calls: Vec<Call> = tokens.filter_map(|open| self.call_at(open)).collect();
        let is_named = |call: &Call| self.is_kind(call.open - 1, Kind::Name);
        let (named, nameless): (Vec<Call>, Vec<Call>) = calls.into_iter().partition(is_named);
        let mut of_name = named;
        of_name.retain(|call| self.word(call.open - 1) == made.callee);
        if of_name.is_empty() {
            // `fns[i](…)`, `(f or g)(…)`
            of_name = nameless;
        }
        let found = match (&*of_name, made.given) {
            ([only], _) => *only,
            (several, Some(given)) => {
                let mut fitting = several.iter().filter(|call| self.may_be(**call, given));
                let first = *fitting.next()?;
                fitting.next().is_none().then_some(first)?
            }
            _ => return None,
        };
        // The name may stand above the bracket, and the line is that of the bracket.
        (self.parsed.tokens[found.path].line == line).then_some(found)
    }

    /// The call whose bracket this is.
    pub(super) fn call_at(self, open: usize) -> Option<Call> {
        if !matches!(self.word(open), "(" | "{") && !self.is_kind(open, Kind::Text) {
            return None;
        }
        let path = self.path_begin(open.checked_sub(1)?)?;
        Some(Call { path, open, close: self.closing(open) })
    }

    /// Where what is called begins, by its last token; nothing if this is nothing that can be called.
    pub(super) fn path_begin(self, last: usize) -> Option<usize> {
        let mut at = last;
        loop {
            let before = at.checked_sub(1);
            if self.is_kind(at, Kind::Name) && !is_keyword(self.word(at)) {
                match before.map(|before| self.word(before)) {
                    Some("." | ":") => at = at.checked_sub(2)?,
                    // A function that is written here, not called.
                    Some("function") => return None,
                    _ => return Some(at),
                }
                continue;
            }
            let open = match self.word(at) {
                ")" | "]" | "}" => self.opening(at)?,
                _ if self.is_kind(at, Kind::Text) => at,
                _ => return None,
            };
            let inner = open.checked_sub(1).filter(|inner| self.ends_path(*inner));
            match (inner, self.word(at)) {
                (Some(inner), _) => at = inner,
                // `(f or g)(…)`; but `function(a) (b)()` begins with the parameters of a function.
                (None, ")") if open == 0 || self.word(open - 1) != "function" => return Some(open),
                (None, _) => return None,
            }
        }
    }

    /// Whether something that can be called or indexed may end with this token.
    fn ends_path(self, at: usize) -> bool {
        matches!(self.word(at), ")" | "]" | "}")
            || self.is_kind(at, Kind::Text)
            || (self.is_kind(at, Kind::Name) && !is_keyword(self.word(at)))
    }

    /// What closes a bracket.
    pub(super) fn closing(self, open: usize) -> usize {
        let mut depth = 0_usize;
        for index in open..self.parsed.tokens.len() {
            match self.word(index) {
                "(" | "{" | "[" => depth += 1,
                ")" | "}" | "]" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return index;
            }
        }
        self.parsed.tokens.len() - 1
    }

    /// What opens a bracket.
    pub(super) fn opening(self, close: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for index in (0..=close).rev() {
            match self.word(index) {
                ")" | "}" | "]" => depth += 1,
                "(" | "{" | "[" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return Some(index);
            }
        }
        None
    }

    /// Whether a call may have been given this: nothing that stands in it says something else.
    fn may_be(self, call: Call, given: Given<'_>) -> bool {
        let name = self.key(call, "name").map(|key| key + if self.word(key + 1) == "]" { 3 } else { 2 });
        let name = name.or_else(|| self.argument(call, given.constructor, "name"));
        // A text that something follows is only the beginning of a value.
        let written =
            name.filter(|at| matches!(self.word(at + 1), "," | ";" | "}" | ")") || *at == call.open);
        if let (Some(written), Some(given)) = (written.and_then(|at| self.said(at)), given.name)
            && written != given
        {
            return false;
        }
        !self.is_literal(call) || given.options.iter().all(|option| self.key(call, option).is_some())
    }

    /// Whether the names of all options of a call stand in the text.
    fn is_literal(self, call: Call) -> bool {
        match self.word(call.open) {
            "{" => !self.has_computed_keys(call.open),
            "(" => match call.close.checked_sub(1).map(|last| (last, self.word(last))) {
                Some((last, "}")) => self.opening(last).is_some_and(|open| {
                    // Not `f(g { … })`, which says nothing of the options of `f`.
                    matches!(self.word(open - 1), "(" | ",") && !self.has_computed_keys(open)
                }),
                Some((last, _)) if self.is_kind(last, Kind::Text) => matches!(self.word(last - 1), "(" | ","),
                Some((last, _)) => last == call.open,
                None => false,
            },
            _ => true,
        }
    }

    /// Whether a table has keys like `[prefix .. "x"]`.
    fn has_computed_keys(self, open: usize) -> bool {
        let mut depth = 0_usize;
        for index in open..self.closing(open) {
            match self.word(index) {
                "[" if depth == 1 && matches!(self.word(index - 1), "{" | "," | ";") => {
                    let is_text = self.said(index + 1).is_some() && self.word(index + 2) == "]";
                    if !is_text {
                        return true;
                    }
                    depth += 1;
                }
                "(" | "{" | "[" => depth += 1,
                ")" | "}" | "]" => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        false
    }

    fn is_kind(self, index: usize, kind: Kind) -> bool {
        self.parsed.tokens.get(index).is_some_and(|token| token.kind == kind)
    }
}

/// Keywords after which a bracket is no call.
fn is_keyword(word: &str) -> bool {
    matches!(
        word,
        "and"
            | "break"
            | "do"
            | "else"
            | "elseif"
            | "end"
            | "for"
            | "function"
            | "if"
            | "in"
            | "local"
            | "not"
            | "or"
            | "repeat"
            | "return"
            | "then"
            | "until"
            | "while"
    )
}

#[cfg(test)]
mod tests {
    use super::{super::Sources, *};
    use crate::{definition::options::CONSTRUCTORS, model::Place};

    /// The column of a call of `worker.Worker` in the first line, made under this name with a name and options.
    fn column(text: &str, callee: &str, name: &str, options: &[&str]) -> Option<u32> {
        let mut sources = Sources::default();
        sources.keep("f".into(), text.into(), false);
        let constructor = CONSTRUCTORS.iter().find(|known| known.name == "Worker").expect("it is there");
        let given = Some(Given { constructor, name: Some(name), options });
        sources.call_column(&Place::new("f", 1), Made { callee, given })
    }

    #[test]
    fn a_call_is_found_by_the_name_under_which_it_was_made_and_begins_with_its_path() {
        let worker = |text: &str| column(text, "Worker", "a", &[]);
        assert_eq!(worker("c.workers = { worker.LocalWorker 'b', p.worker.Worker('a', 'b') }"), Some(39));
        assert_eq!(worker("x = { require('buildbot.plugins').worker.Worker 'a' }"), Some(7));
        assert_eq!(column("c.workers = { W('a', 'b') }", "W", "a", &[]), Some(15));
        assert_eq!(worker("c.workers = { W('a', 'b') }"), None);
        assert_eq!(worker("f(worker.Worker, 'a')"), None);
        assert_eq!(worker("local function Worker(a) end"), None);
        assert_eq!(worker("-- worker.Worker('a')"), None);
        // The line of a call is that of its bracket.
        assert_eq!(worker("('a', 'b')"), None);
    }

    #[test]
    fn a_call_without_a_name_is_found_if_it_can_be_no_other() {
        assert_eq!(column("return (w.Worker)('a')", "?", "a", &[]), Some(8));
        assert_eq!(column("add(classes[i]('a'))", "integer index", "a", &[]), Some(5));
        assert_eq!(column("add(classes[i]('a'), classes[j]('b'))", "?", "c", &[]), None);
        assert_eq!(column("return make(1)('a')", "?", "a", &[]), Some(8));
        assert_eq!(column("return (f or g)('a')", "?", "a", &[]), Some(8));
    }

    #[test]
    fn of_several_calls_the_one_that_was_given_this_is_found() {
        let text = "w = { Worker('a', 'b'), Worker('c', 'd', { max_builds = 1 }), Worker { name = 'e' }, Worker { n } }";
        let worker = |name: &str, options: &[&str]| column(text, "Worker", name, options);
        assert_eq!(worker("c", &["max_builds"]), Some(25));
        // The last one may be any of those that no other is.
        assert_eq!(worker("x", &[]), Some(86));
        assert_eq!(worker("a", &[]), None);
        let text =
            "{ Worker { n, max_builds = 1 }, Worker { n, keepalive_interval = 1, ['max-builds'] = 2 } }";
        let worker = |options: &[&str]| column(text, "Worker", "a", options);
        assert_eq!(worker(&["max_builds"]), Some(3));
        assert_eq!(worker(&["max-builds"]), Some(33));
        assert_eq!(worker(&[]), None);
        let computed = "{ Worker { n, [max .. '_builds'] = 1 }, Worker { n, max_builds = 1 } }";
        assert_eq!(column(computed, "Worker", "a", &["max_builds"]), None);
        assert_eq!(column("{ Worker('a' .. x), Worker('b') }", "Worker", "ab", &[]), Some(3));
        let nested = "{ Worker('a', g { max_builds = 1 }), Worker(n, { max_builds = 1 }) }";
        assert_eq!(column(nested, "Worker", "b", &["max_builds"]), Some(38));
    }
}
