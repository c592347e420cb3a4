//! The options and arguments of a call in a text.

use super::{Kind, View, call::Call};
use crate::definition::options::Constructor;

impl View<'_> {
    /// The token that a problem speaks of, within a call.
    pub(super) fn subject(self, call: Call, constructor: &Constructor, text: &str) -> Option<usize> {
        if let Some(option) = option_of(text, constructor) {
            let mut parts = option.split('.');
            let first = parts.next()?;
            let name = first.split('[').next().unwrap_or(first);
            return match self.key(call, name) {
                Some(key) => Some(self.within(key, first, parts)),
                None => self.argument(call, constructor, name),
            };
        }
        let (_, name) = text.split_once(" is named ")?;
        let name = name.strip_prefix('"')?.strip_suffix('"')?;
        (call.open..call.close).find(|index| self.said(*index) == Some(name))
    }

    /// The token that a problem speaks of, within a table that is assigned to an option of `c`.
    pub(super) fn member(self, value: usize, option: &str, text: &str) -> Option<usize> {
        let path = text
            .split('`')
            .skip(1)
            .step_by(2)
            .find_map(|word| word.strip_prefix("c.")?.strip_prefix(option))?;
        let mut parts = path.strip_prefix('.')?.split('.');
        let first = parts.next()?;
        let key = self.key(self.table(value)?, first.split('[').next().unwrap_or(first))?;
        Some(self.within(key, first, parts))
    }

    /// What a path leads to, as far as it leads: from a key, which is its first part, to keys and elements of its value:
    /// `port[2].tls.key`.
    fn within<'t>(self, key: usize, first: &str, parts: impl Iterator<Item = &'t str>) -> usize {
        // `name = …` or `["name"] = …`
        let value_of = |key: usize| key + if self.word(key + 1) == "]" { 3 } else { 2 };
        let element = |value: usize, part: &str| {
            let (_, index) = part.strip_suffix(']')?.split_once('[')?;
            self.element(self.table(value)?.open, index.parse::<usize>().ok()?.checked_sub(1)?)
        };
        let (mut found, mut value) = (key, value_of(key));
        if let Some(inner) = element(value, first) {
            (found, value) = (inner, inner);
        }
        for part in parts {
            let name = part.split('[').next().unwrap_or(part);
            let Some(key) = self.table(value).and_then(|table| self.key(table, name)) else { break };
            (found, value) = (key, value_of(key));
            if let Some(inner) = element(value, part) {
                (found, value) = (inner, inner);
            }
        }
        found
    }

    /// A table as something that has keys.
    fn table(self, open: usize) -> Option<Call> {
        (self.word(open) == "{").then(|| Call { path: open, open, close: self.closing(open) })
    }

    /// The key of this name in the tables that a call is given.
    pub(super) fn key(self, call: Call, name: &str) -> Option<usize> {
        let mut depth = 0_usize;
        // A table is either all that is given, or one of the arguments, or what a helper is given in them.
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
    pub(super) fn argument(self, call: Call, constructor: &Constructor, name: &str) -> Option<usize> {
        let position = constructor.positional.iter().position(|known| *known == name)?;
        if self.parsed.tokens[call.open].kind == Kind::Text {
            return (position == 0).then_some(call.open);
        }
        // `Worker("a", "b")` and `Worker { "a", "b" }`; `Worker({ "a", "b" })` is the second in brackets.
        let is_table_in_brackets = self.word(call.open) == "(" && self.word(call.open + 1) == "{";
        let is_one = is_table_in_brackets && self.closing(call.open + 1) + 1 == call.close;
        let open = if is_one { call.open + 1 } else { call.open };
        self.element(open, position)
    }

    /// What stands within brackets without a name, by its position from 0.
    fn element(self, open: usize, position: usize) -> Option<usize> {
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
        let first = word.split(['.', '[']).next().unwrap_or_default();
        constructor.option(first).is_some()
    };
    if is_unknown { quoted.first().copied() } else { quoted.iter().find(is_option).copied() }
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use crate::definition::options::CONSTRUCTORS;

    /// Where a problem of the only call of a constructor in a line ends up, and the word there.
    fn refined(text: &str, line: u32, constructor: &str, problem: &str) -> String {
        let mut sources = Sources::default();
        sources.keep("f".into(), text.into(), false);
        let constructor = CONSTRUCTORS.iter().find(|known| known.name == constructor).expect("it is there");
        let given = Given { constructor, name: None, options: &[] };
        let made = Made { callee: constructor.name, given: Some(given) };
        let column = sources.call_column(&Place::new("f", line), made).expect("the call is there");
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
    fn a_problem_within_a_list_of_tables_stands_at_its_option() {
        let text = "steps.ShellCommand { devices = { 5, a = 1, { x = 2,
  lists = { {}, 'y' } } }, ['logfiles'] = { { z = 3 } } }";
        let at = |problem: &str| refined(text, 1, "ShellCommand", problem);
        assert_eq!(at("unknown option `devices[2].x`"), "f:1:46 x");
        assert_eq!(at("unknown option `devices[2].lists[2]`"), "f:2:17 'y'");
        assert_eq!(at("unknown option `devices[2].lists[3].more`"), "f:2:3 lists");
        assert_eq!(at("unknown option `devices[3].x`"), "f:1:22 devices");
        assert_eq!(at("`logfiles[1].z` takes"), "f:2:47 z");
    }

    #[test]
    fn a_name_that_is_not_there_stands_at_its_text() {
        let at = refined(TEXT, 7, "BuilderConfig", "builder \"b\": no worker is named \"nobody\"");
        assert_eq!(at, "f:7:63 \"nobody\"");
    }
}
