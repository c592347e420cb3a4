//! Calls in a text, their options and arguments.

use super::{Kind, View};
use crate::definition::options::{CONSTRUCTORS, Constructor};

/// A call, by its tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// Where its path begins: `worker` of `worker.Worker(`.
    pub(super) path: usize,
    /// Its bracket, or its only text.
    open: usize,
    /// What closes it; the last token if nothing does.
    close: usize,
}

impl View<'_> {
    /// The call of a function in a line: the first one, if there are several.
    pub(super) fn call_in_line(self, line: u32, function: &str) -> Option<Call> {
        // Lua tells the line of the bracket; the name may stand above it.
        let named = |open: &usize| open.checked_sub(1).is_some_and(|name| self.is_name(name, function));
        self.in_line(line).filter(named).find_map(|open| self.call_at(open))
    }

    /// The call whose bracket this is.
    fn call_at(self, open: usize) -> Option<Call> {
        let is_open =
            matches!(self.word(open), "(" | "{") || self.parsed.tokens.get(open)?.kind == Kind::Text;
        let name = open.checked_sub(1)?;
        if !is_open || self.parsed.tokens[name].kind != Kind::Name || is_keyword(self.word(name)) {
            return None;
        }
        let mut path = name;
        while path >= 2
            && matches!(self.word(path - 1), "." | ":")
            && self.parsed.tokens[path - 2].kind == Kind::Name
        {
            path -= 2;
        }
        Some(Call { path, open, close: self.closing(open) })
    }

    /// What closes a bracket.
    fn closing(self, open: usize) -> usize {
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

    /// The token that a problem speaks of, within what begins at `at`: a call, or an assignment to `c`.
    pub(super) fn subject(self, at: usize, text: &str) -> Option<usize> {
        let (call, constructor) = self.call_from(at)?;
        if let Some(option) = option_of(text, constructor) {
            let mut parts = option.split('.');
            let first = parts.next()?;
            let Some(mut found) = self.key(call, first) else {
                return self.argument(call, constructor, first);
            };
            for part in parts {
                // `name = { part = … }`
                let value = found + if self.word(found + 1) == "]" { 3 } else { 2 };
                let table = Call { path: found, open: value, close: self.closing(value) };
                match self.key(table, part) {
                    Some(inner) => found = inner,
                    None => break,
                }
            }
            return Some(found);
        }
        let (_, name) = text.split_once(" is named ")?;
        let name = name.strip_prefix('"')?.strip_suffix('"')?;
        (call.open..call.close).find(|index| self.said(*index) == Some(name))
    }

    /// The call whose path begins here.
    fn call_from(self, at: usize) -> Option<(Call, &'static Constructor)> {
        let mut name = at;
        while matches!(self.word(name + 1), "." | ":") {
            name += 2;
        }
        let call = self.call_at(name + 1)?;
        let known = self.word(call.open - 1);
        let constructor = CONSTRUCTORS.iter().find(|constructor| constructor.name == known)?;
        Some((call, constructor))
    }

    /// The key of this name in the tables that a call is given.
    fn key(self, call: Call, name: &str) -> Option<usize> {
        let mut depth = 0_usize;
        // A table is either all that is given, or one of the arguments.
        let deepest = if self.word(call.open) == "(" { 2 } else { 1 };
        for index in call.open..call.close {
            match self.word(index) {
                // `["name"] =` before all else: its bracket is none of a table.
                "[" if depth == deepest
                    && self.said(index + 1) == Some(name)
                    && self.word(index + 3) == "=" =>
                {
                    return Some(index + 1);
                }
                "(" | "{" | "[" => depth += 1,
                ")" | "}" | "]" => depth = depth.saturating_sub(1),
                _ if depth == deepest && self.is_name(index, name) && self.word(index + 1) == "=" => {
                    return Some(index);
                }
                _ => {}
            }
        }
        None
    }

    /// The argument that stands for an option by its position.
    fn argument(self, call: Call, constructor: &Constructor, name: &str) -> Option<usize> {
        let position = constructor.positional.iter().position(|known| *known == name)?;
        if self.parsed.tokens[call.open].kind == Kind::Text {
            return (position == 0).then_some(call.open);
        }
        // `Worker("a", "b")` and `Worker { "a", "b" }`; `Worker({ "a", "b" })` is the second in brackets.
        let is_table_in_brackets = self.word(call.open) == "(" && self.word(call.open + 1) == "{";
        let is_one = is_table_in_brackets && self.closing(call.open + 1) + 1 == call.close;
        let open = if is_one { call.open + 1 } else { call.open };
        let (mut depth, mut seen, mut begins) = (0_usize, 0, true);
        for index in open + 1..self.closing(open) {
            if begins && depth == 0 {
                let is_named = self.word(index + 1) == "=" || self.word(index) == "[";
                if !is_named && seen == position {
                    return Some(index);
                }
                seen += usize::from(!is_named);
                begins = false;
            }
            match self.word(index) {
                "(" | "{" | "[" => depth += 1,
                ")" | "}" | "]" => depth = depth.saturating_sub(1),
                "," | ";" if depth == 0 => begins = true,
                _ => {}
            }
        }
        None
    }
}

/// The option that a problem names: the first word in back quotes that is an option, or is written like one.
fn option_of<'t>(text: &'t str, constructor: &Constructor) -> Option<&'t str> {
    let quoted: Vec<&str> = text.split('`').skip(1).step_by(2).collect();
    let is_unknown = text.contains("unknown option") || text.contains("not in Lunabot yet");
    let is_option = |word: &&&str| {
        let first = word.split('.').next().unwrap_or_default();
        constructor.option(first).is_some()
    };
    if is_unknown { quoted.first().copied() } else { quoted.iter().find(is_option).copied() }
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
    use super::super::*;

    fn sources(text: &str) -> Sources {
        let mut sources = Sources::default();
        sources.keep("f".into(), text.into(), false);
        sources
    }

    /// Where a problem of the first call of `function` in a line ends up, and the word there.
    fn refined(text: &str, line: u32, function: &str, problem: &str) -> String {
        let sources = sources(text);
        let column = sources.call_column("f", line, function).expect("the call is there");
        let mut problems = [Problem::error(Place::new("f", line).column(column), problem)];
        sources.refine(&mut problems);
        let place = problems[0].place.clone().expect("it has a place");
        let line = sources.line(&place).expect("the line is there");
        let rest: String = line.chars().skip(place.column as usize - 1).collect();
        format!("{place} {}", rest.split([' ', ',', '=', ')']).next().unwrap_or_default())
    }

    const TEXT: &str = r#"local w = require "buildbot.plugins".worker
c.workers = { worker.LocalWorker "a", worker.Worker("b", "pw", {
    max_builds = 1,
    properties = { max_build = 1, x = {} }, max_build = 2,
    ["keepalive_interval"] = -1,
}) }
c.builders = { util.BuilderConfig { "b", workernames = { "b", "nobody" } } }
"#;

    #[test]
    fn a_call_begins_with_its_path() {
        let sources = sources(TEXT);
        assert_eq!(sources.call_column("f", 2, "LocalWorker"), Some(15));
        assert_eq!(sources.call_column("f", 2, "Worker"), Some(39));
        assert_eq!(sources.call_column("f", 3, "Worker"), None);
        assert_eq!(sources.call_column("g", 2, "Worker"), None);
        assert_eq!(sources.name_column("f", 1, "w"), Some(7));
    }

    #[test]
    fn a_problem_of_an_option_stands_at_the_option() {
        let at = |problem: &str| refined(TEXT, 2, "Worker", problem);
        assert_eq!(at("worker \"b\": unknown option `max_build`, x"), "f:4:45 max_build");
        assert_eq!(at("worker \"b\": `max_builds` takes a number"), "f:3:5 max_builds");
        assert_eq!(at("worker \"b\": `keepalive_interval` takes"), "f:5:6 \"keepalive_interval\"]");
        assert_eq!(at("worker \"b\": `password` takes"), "f:2:58 \"pw\"");
        assert_eq!(at("worker \"b\": `name` takes"), "f:2:53 \"b\"");
        assert_eq!(at("worker \"b\": `properties.x` holds"), "f:4:35 x");
        assert_eq!(at("worker \"b\": `missing_timeout` is missing"), "f:2:39 worker.Worker(\"b\"");
        assert_eq!(refined(TEXT, 2, "LocalWorker", "`name` is"), "f:2:34 \"a\"");
    }

    #[test]
    fn a_name_that_is_not_there_stands_at_its_text() {
        let at = refined(TEXT, 7, "BuilderConfig", "builder \"b\": no worker is named \"nobody\"");
        assert_eq!(at, "f:7:63 \"nobody\"");
    }
}
