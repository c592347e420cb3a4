//! Definitions as lines of text, from what `Debug` says of them: a field a line, without places.
//!
//! The first of a kind is shown whole, each further one by what differs from it.

use std::{
    collections::BTreeMap,
    fmt::{Debug, Write as _},
};

/// Writing to a `String` cannot fail.
const LAW: &str = "a string takes all that is written to it";

/// A field, by its path, and its value.
type Field = (String, String);

/// The lines of some parts, each with its title.
pub(super) fn outline<'a, T: Debug + 'a>(parts: impl IntoIterator<Item = (String, &'a T)>) -> String {
    let mut firsts: BTreeMap<String, Vec<Field>> = BTreeMap::new();
    let mut out = String::new();
    for (title, part) in parts {
        let fields = fields(&format!("{part:#?}"));
        let kind =
            fields.iter().find(|(path, _)| path == "kind").map_or(String::new(), |(_, kind)| kind.clone());
        out.push_str(&title);
        match firsts.get(&kind) {
            None => {
                out.push('\n');
                for (path, value) in &fields {
                    writeln!(out, "  {path} = {value}").expect(LAW);
                }
                firsts.insert(kind, fields);
            }
            Some(first) => {
                out.push_str(" (as the first, but)\n");
                for (path, value) in fields.iter().filter(|field| !first.contains(field)) {
                    writeln!(out, "  {path} = {value}").expect(LAW);
                }
                for (path, _) in
                    first.iter().filter(|(path, _)| !fields.iter().any(|(other, _)| other == path))
                {
                    writeln!(out, "  {path} is not there").expect(LAW);
                }
            }
        }
    }
    out
}

/// The fields of a value that stands alone.
fn fields(pretty: &str) -> Vec<Field> {
    let lines: Vec<&str> = pretty.lines().collect();
    let mut out = Vec::new();
    descend("", &lines, &mut out);
    out.retain(|(path, _)| path.rsplit('.').next() != Some("place") && !path.contains("place."));
    out
}

/// A value in `Debug`'s long form: a struct becomes its fields, all else one line.
fn descend(path: &str, lines: &[&str], out: &mut Vec<Field>) {
    let (Some(first), Some(last)) = (lines.first(), lines.last()) else { return };
    let head = first.trim();
    let inner = lines.get(1..lines.len().saturating_sub(1)).unwrap_or_default();
    let opens = |end: char| head.strip_suffix(end).map(str::trim_end).filter(|name| !name.is_empty());
    if let Some(name) = opens('{').filter(|_| last.trim().starts_with('}')) {
        if !path.is_empty() {
            out.push((path.to_owned(), name.to_owned()));
        }
        for field in members(inner) {
            let Some((name, _)) = field[0].trim().split_once(": ") else { continue };
            let value = field[0].replacen(&format!("{name}: "), "", 1);
            let mut rest = vec![value.as_str()];
            rest.extend(&field[1..]);
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            descend(&path, &rest, out);
        }
    } else if let Some(name) = opens('(').filter(|name| *name != "Some")
        && inner.first().is_some_and(|line| line.trim().ends_with(" {"))
    {
        out.push((path.to_owned(), name.to_owned()));
        let mut held = Vec::new();
        descend(path, inner, &mut held);
        // The struct within says its name, which the variant says already.
        out.extend(held.into_iter().filter(|(inner, _)| inner != path));
    } else {
        out.push((path.to_owned(), joined(lines)));
    }
}

/// The members of a struct: each begins at the first one's depth.
fn members<'a>(lines: &[&'a str]) -> Vec<Vec<&'a str>> {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let Some(outer) = lines.first().map(|line| depth(line)) else { return Vec::new() };
    let mut out: Vec<Vec<&str>> = Vec::new();
    for line in lines {
        let begins = depth(line) == outer && !line.trim().starts_with(['}', ']', ')']);
        match out.last_mut() {
            Some(member) if !begins => member.push(line),
            _ => out.push(vec![line]),
        }
    }
    out
}

/// A value in one line, as `Debug`'s short form has it.
fn joined(lines: &[&str]) -> String {
    let mut out = String::new();
    for line in lines.iter().map(|line| line.trim()) {
        if line.starts_with(['}', ']', ')']) {
            out.truncate(out.trim_end_matches(',').len());
            if line.starts_with('}') {
                out.push(' ');
            }
        } else if !out.is_empty() && !out.ends_with(['(', '[']) {
            out.push(' ');
        }
        out.push_str(line);
    }
    out.trim_end_matches(',').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    #[expect(dead_code, reason = "they are there to be shown")]
    struct Part {
        name: &'static str,
        place: (u8, u8),
        list: Vec<u8>,
        kind: Kind,
    }

    #[derive(Debug)]
    #[expect(dead_code, reason = "they are there to be shown")]
    enum Kind {
        Held(Inner),
        Lone,
    }

    #[derive(Debug)]
    #[expect(dead_code, reason = "they are there to be shown")]
    struct Inner {
        text: Option<&'static str>,
        table: BTreeMap<u8, bool>,
    }

    fn part(name: &'static str, list: Vec<u8>, kind: Kind) -> Part {
        Part { name, place: (1, 2), list, kind }
    }

    #[test]
    fn a_field_is_a_line_and_the_second_of_a_kind_says_what_differs() {
        let held = |text| Kind::Held(Inner { text, table: BTreeMap::from([(1, true)]) });
        let parts = [
            part("a", vec![], held(None)),
            part("b", vec![], held(Some("x"))),
            part("c", vec![1, 2], Kind::Lone),
        ];
        let told = outline(parts.iter().map(|part| (format!("part {}", part.name), part)));
        assert_eq!(
            told,
            "part a\n  name = \"a\"\n  list = []\n  kind = Held\n  kind.text = None\n  kind.table = { 1: true }\n\
             part b (as the first, but)\n  name = \"b\"\n  kind.text = Some(\"x\")\n\
             part c\n  name = \"c\"\n  list = [1, 2]\n  kind = Lone\n"
        );
    }
}
