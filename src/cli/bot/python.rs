//! As much of Python as a `buildbot.tac` needs: where its statements begin and end, and its plain values.
//!
//! # Laws
//! - Nothing of it prints: among the values is a password.
//!
//! # Not here
//! Expressions: what is no plain value has none.

/// A statement, on one line or on several.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct Statement {
    /// The line on which it begins, from 1.
    pub(super) line: u32,
    /// Whether it stands in a block.
    pub(super) in_block: bool,
    /// Its text without comments and line ends.
    pub(super) text: String,
}

/// A plain value.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) enum Literal {
    /// `None`.
    None,
    /// `True` or `False`.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
}

/// The statements of a program. A string that is not closed ends with the text.
pub(super) fn statements(text: &str) -> Vec<Statement> {
    let mut scan = Scan { rest: text, line: 1, out: Vec::new(), open: None, depth: 0 };
    while let Some(character) = scan.next() {
        match character {
            '#' => scan.skip_comment(),
            '\'' | '"' => scan.string(character),
            '\\' if scan.rest.starts_with('\n') => drop(scan.next()),
            '\n' if scan.depth > 0 => scan.push(' '),
            '\n' => scan.end(),
            '(' | '[' | '{' => {
                scan.depth += 1;
                scan.push(character);
            }
            ')' | ']' | '}' => {
                scan.depth = scan.depth.saturating_sub(1);
                scan.push(character);
            }
            other => scan.push(other),
        }
    }
    scan.end();
    scan.out
}

struct Scan<'a> {
    rest: &'a str,
    line: u32,
    out: Vec<Statement>,
    /// The statement that has begun, with the white space before it.
    open: Option<Statement>,
    depth: usize,
}

impl Scan<'_> {
    fn next(&mut self) -> Option<char> {
        let character = self.rest.chars().next()?;
        self.rest = &self.rest[character.len_utf8()..];
        self.line += u32::from(character == '\n');
        Some(character)
    }

    fn push(&mut self, character: char) {
        // What begins with a line end begins on the next line; a statement never does.
        let open = self.open.get_or_insert_with(|| Statement {
            line: self.line,
            in_block: character.is_whitespace(),
            text: String::new(),
        });
        open.text.push(character);
    }

    fn end(&mut self) {
        let Some(Statement { line, in_block, text }) = self.open.take() else { return };
        let text = text.trim().to_owned();
        if !text.is_empty() {
            self.out.push(Statement { line, in_block, text });
        }
    }

    fn skip_comment(&mut self) {
        self.rest = self.rest.find('\n').map_or("", |end| &self.rest[end..]);
    }

    fn string(&mut self, quote: char) {
        self.push(quote);
        let triple: String = [quote; 2].iter().collect();
        let is_triple = self.rest.starts_with(&triple);
        let end = if is_triple { [quote; 3].iter().collect() } else { quote.to_string() };
        if is_triple {
            self.take(2);
        }
        while !self.rest.is_empty() && !self.rest.starts_with(&end) {
            let characters = if self.rest.starts_with('\\') { 2 } else { 1 };
            self.take(characters);
        }
        self.take(end.len());
    }

    fn take(&mut self, characters: usize) {
        for _ in 0..characters {
            if let Some(character) = self.next() {
                self.push(character);
            }
        }
    }
}

/// The plain value that a text is; nothing if it is an expression, or something that no setting has.
pub(super) fn literal(text: &str) -> Option<Literal> {
    match text {
        "None" => return Some(Literal::None),
        "True" => return Some(Literal::Flag(true)),
        "False" => return Some(Literal::Flag(false)),
        _ => {}
    }
    number(text).map(Literal::Number).or_else(|| string(text).map(Literal::Text))
}

fn number(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        // As Python 2 wrote octal numbers.
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, &*lower),
    };
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{}", digits.replace('_', "")), radix).ok()
}

fn string(text: &str) -> Option<String> {
    let quote_at = text.find(['\'', '"'])?;
    let (prefix, text) = text.split_at(quote_at);
    let prefix = prefix.to_ascii_lowercase();
    if !matches!(prefix.as_str(), "" | "r" | "u" | "b" | "br" | "rb") {
        return None;
    }
    let ends = ["'''", "\"\"\"", "'", "\""];
    let end = ends.into_iter().find(|end| text.starts_with(end) && text.len() >= 2 * end.len())?;
    let inner = text.strip_prefix(end)?.strip_suffix(end)?;
    let value = unescaped(inner, end, prefix.contains('r'))?;
    // Bytes are text only as far as they are ASCII.
    (!prefix.contains('b') || value.is_ascii()).then_some(value)
}

/// What stands between the quotes; nothing if the string ends before the text does.
fn unescaped(inner: &str, end: &str, is_raw: bool) -> Option<String> {
    let mut out = String::new();
    let mut rest = inner;
    while let Some(character) = rest.chars().next() {
        if rest.starts_with(end) {
            return None;
        }
        rest = &rest[character.len_utf8()..];
        if character != '\\' {
            out.push(character);
            continue;
        }
        let escape = rest.chars().next()?;
        rest = &rest[escape.len_utf8()..];
        if is_raw {
            out.extend(['\\', escape]);
            continue;
        }
        let digits = match escape {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        match escape {
            '\n' => {}
            '\\' | '\'' | '"' => out.push(escape),
            'a' => out.push('\x07'),
            'b' => out.push('\x08'),
            'f' => out.push('\x0c'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\x0b'),
            'x' | 'u' | 'U' => {
                let code = u32::from_str_radix(rest.get(..digits)?, 16).ok()?;
                out.push(char::from_u32(code)?);
                rest = &rest[digits..];
            }
            '0'..='7' => {
                let more = rest.bytes().take(2).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
                let code = u32::from_str_radix(&format!("{escape}{}", &rest[..more]), 8).ok()?;
                out.push(char::from_u32(code)?);
                rest = &rest[more..];
            }
            // By its name in Unicode, which nobody writes into a setting.
            'N' => return None,
            other => out.extend(['\\', other]),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_where_python_ends_them() {
        let text = "a = 1  # one\n\n# two\nb = ('x # no comment',\n     2)\nif a:\n    c = 3\nd = \\\n  4\ne = '''x\n# y'''\nf = 'don\\'t'";
        let found: Vec<(u32, bool, String)> = statements(text)
            .into_iter()
            .map(|statement| (statement.line, statement.in_block, statement.text))
            .collect();
        let expected = [
            (1, false, "a = 1"),
            (4, false, "b = ('x # no comment',      2)"),
            (6, false, "if a:"),
            (7, true, "c = 3"),
            (8, false, "d =   4"),
            (10, false, "e = '''x\n# y'''"),
            (12, false, "f = 'don\\'t'"),
        ];
        assert_eq!(found, expected.map(|(line, in_block, text)| (line, in_block, text.to_owned())));
        assert_eq!(statements("x = 'open").len(), 1);
    }

    #[test]
    fn plain_values_are_what_python_says() {
        for (text, number) in [
            ("0", 0),
            ("9989", 9989),
            ("-1", -1),
            ("0o22", 18),
            ("0O22", 18),
            ("022", 18),
            ("0x1F", 31),
            ("10_000", 10_000),
        ] {
            assert_eq!(literal(text), Some(Literal::Number(number)), "{text}");
        }
        for (text, string) in [
            ("'x'", "x"),
            ("\"it's\"", "it's"),
            (r"'it\'s'", "it's"),
            (r"u'\u00e4\xe4\101\n\q'", "ää\u{41}\n\\q"),
            (r"r'a\nb'", r"a\nb"),
            ("b'ab'", "ab"),
            ("'''a'b'''", "a'b"),
            ("''", ""),
        ] {
            assert_eq!(literal(text), Some(Literal::Text(string.to_owned())), "{text}");
        }
        assert_eq!(literal("None"), Some(Literal::None));
        assert_eq!(literal("False"), Some(Literal::Flag(false)));
        for no in [
            "",
            "x",
            "1.5",
            "08",
            "1 + 1",
            "'a' 'b'",
            "'a' + 'b'",
            "f'{x}'",
            "b'\\xff'",
            "'a",
            "os.environ['X']",
            "-",
            "0x",
        ] {
            assert_eq!(literal(no), None, "{no}");
        }
    }
}
