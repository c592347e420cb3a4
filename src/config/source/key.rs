//! Assignments to keys of a table in a text: `c.title = …`, `c["title"] = …`, `c.db.db_url = …`.
//!
//! Lua tells the line in which an assignment ends, which for a table is that of its last bracket.
//!
//! # Laws
//! - An assignment is found only if it can be no other.

use super::View;

/// A key of a table, as the operator writes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// Where its path begins: `c` of `c.title`.
    pub(super) path: usize,
    /// Where what is assigned to it begins, if something is.
    pub(super) value: Option<usize>,
}

impl View<'_> {
    /// The key of a table that is read in a line, or assigned by what ends there.
    pub(super) fn key_in_line(self, line: u32, table: &str, key: &str) -> Option<Key> {
        let keys: Vec<Key> = self.in_line(line).filter_map(|at| self.key_at(at, table, key)).collect();
        let assigned = || keys.iter().filter(|key| key.value.is_some());
        match (&*keys, assigned().count()) {
            ([only], _) => Some(*only),
            (_, 1) => assigned().next().copied(),
            ([], _) => {
                let closing = self.in_line(line).filter(|at| self.word(*at) == "}");
                let mut found = closing.filter_map(|close| self.key_before(self.opening(close)?, table, key));
                let first = found.next()?;
                found.next().is_none().then_some(first)
            }
            _ => None,
        }
    }

    /// The key whose table is named by this token.
    fn key_at(self, at: usize, table: &str, key: &str) -> Option<Key> {
        if !self.is_name(at, table) {
            return None;
        }
        let after = match self.word(at + 1) {
            "." if self.is_name(at + 2, key) => at + 3,
            "[" if self.said(at + 2) == Some(key) && self.word(at + 3) == "]" => at + 4,
            _ => return None,
        };
        Some(Key { path: self.path_begin(at)?, value: (self.word(after) == "=").then_some(after + 1) })
    }

    /// The key to which what begins here is assigned.
    fn key_before(self, value: usize, table: &str, key: &str) -> Option<Key> {
        let length = if self.word(value.checked_sub(2)?) == "]" { 5 } else { 4 };
        let found = self.key_at(value.checked_sub(length)?, table, key)?;
        (found.value == Some(value)).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;

    /// Where a key of `c` stands that is assigned by what ends in a line, and where a problem of it ends up.
    fn places(text: &str, line: u32, key: &str, problem: &str) -> (String, String) {
        let mut sources = Sources::default();
        sources.keep("f".into(), text.into(), false);
        let place = sources.option_place(Place::new("f", line), key);
        let mut problems = [Problem::error(place.clone(), problem)];
        sources.refine(&mut problems);
        (place.to_string(), problems[0].place.as_ref().map(ToString::to_string).unwrap_or_default())
    }

    #[test]
    fn a_key_is_found_where_it_is_assigned_also_above_the_end_of_its_table() {
        let at = |text: &str, line: u32| places(text, line, "title", "").0;
        assert_eq!(at("  c.title = 'x'", 1), "f:1:3");
        assert_eq!(at("local x = c.title c['title'] = x", 1), "f:1:19");
        assert_eq!(at("c.title = { a = {\n} }", 2), "f:1:1");
        assert_eq!(at("c.title = 'x' c.title = 'y'", 1), "f:1");
        assert_eq!(at("local d = c; d.title = 'x'", 1), "f:1");
        assert_eq!(at("my.c.title = 'x'", 1), "f:1:1");
    }

    #[test]
    fn a_problem_within_its_table_stands_at_the_option() {
        let text = "c.protocols = {\n  pb = { port = 5,\n  ['tls'] = {} },\n}";
        let at = |problem: &str| places(text, 4, "protocols", problem);
        assert_eq!(at("`c.protocols.pb.port` takes"), ("f:1:1".into(), "f:2:10".into()));
        assert_eq!(at("`c.protocols.pb.tls` takes").1, "f:3:4");
        assert_eq!(at("unknown option `c.protocols.pbx`").1, "f:1:1");
        assert_eq!(at("`c.protocols` takes").1, "f:1:1");
        assert_eq!(at("`c.title` takes").1, "f:1:1");
    }
}
