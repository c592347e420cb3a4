//! The tokens of a Lua text, as far as columns need them.
//!
//! # Laws
//! - Whatever the text is, there is an end: each turn takes at least one character.
//! - It never fails: what is no Lua is a token of its own.
//!
//! # Source
//! Lua 5.4 Reference Manual, section 3.1.

use std::ops::Range;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or a keyword.
    Name,
    /// A text, quotes and all.
    Text,
    /// A number.
    Number,
    /// Anything else: a bracket, an operator, a comma.
    Symbol,
}

/// A token, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Its bytes in the text.
    pub(super) bytes: Range<usize>,
    /// From 1.
    pub(super) line: u32,
    /// In characters, from 1.
    pub(super) column: u32,
}

/// All tokens of a text, in order; comments are none.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { text, at: 0, line: 1, line_begin: 0, counted: (0, 1), tokens: Vec::new() };
    // A script may begin with a line for the shell.
    if text.starts_with('#') {
        lexer.skip_line();
    }
    while lexer.step() {}
    lexer.tokens
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    line: u32,
    /// Where the line begins.
    line_begin: usize,
    /// A byte of the line, and its column: columns are counted on from there.
    counted: (usize, u32),
    tokens: Vec<Token>,
}

/// Operators of more than one character, longer ones first.
const LONG_SYMBOLS: [&str; 11] = ["...", "..", "==", "~=", "<=", ">=", "//", "::", "<<", ">>", "->"];

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// Takes one token, comment or space; false at the end.
    fn step(&mut self) -> bool {
        let Some(first) = self.rest().chars().next() else { return false };
        if first.is_whitespace() {
            self.advance(first.len_utf8());
        } else if self.rest().starts_with("--") {
            self.advance(2);
            match self.long_bracket() {
                Some(length) => self.advance(length),
                None => self.skip_line(),
            }
        } else if first.is_ascii_alphabetic() || first == '_' {
            let is_end = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
            let length = self.rest().find(is_end).unwrap_or(self.rest().len());
            self.token(Kind::Name, length);
        } else if first.is_ascii_digit() {
            let is_end = |c: char| !(c.is_ascii_alphanumeric() || c == '.');
            let length = self.rest().find(is_end).unwrap_or(self.rest().len());
            self.token(Kind::Number, length);
        } else if matches!(first, '"' | '\'') {
            let length = self.quoted(first);
            self.token(Kind::Text, length);
        } else if let Some(length) = self.long_bracket() {
            self.token(Kind::Text, length);
        } else {
            let long = LONG_SYMBOLS.iter().find(|symbol| self.rest().starts_with(**symbol));
            let length = long.map_or(first.len_utf8(), |symbol| symbol.len());
            self.token(Kind::Symbol, length);
        }
        true
    }

    fn token(&mut self, kind: Kind, length: usize) {
        let (line, column) = (self.line, self.column());
        self.tokens.push(Token { kind, bytes: self.at..self.at + length, line, column });
        self.advance(length);
    }

    fn column(&mut self) -> u32 {
        let (byte, column) = self.counted;
        let more = self.text[byte..self.at].chars().count();
        let column = column.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        self.counted = (self.at, column);
        column
    }

    fn advance(&mut self, length: usize) {
        let end = self.at + length;
        for (at, byte) in self.text.as_bytes()[self.at..end].iter().enumerate() {
            if *byte == b'\n' {
                self.line = self.line.saturating_add(1);
                self.line_begin = self.at + at + 1;
                self.counted = (self.line_begin, 1);
            }
        }
        self.at = end;
    }

    fn skip_line(&mut self) {
        let length = self.rest().find('\n').unwrap_or(self.rest().len());
        self.advance(length);
    }

    /// The length of a text in quotes; one that is not closed ends with its line.
    fn quoted(&self, quote: char) -> usize {
        let mut is_escaped = false;
        for (at, c) in self.rest().char_indices().skip(1) {
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '\n' => return at,
                c if c == quote => return at + 1,
                _ => {}
            }
        }
        self.rest().len()
    }

    /// The length of a text in long brackets that begins here.
    fn long_bracket(&self) -> Option<usize> {
        let inner = self.rest().strip_prefix('[')?;
        let level = inner.len() - inner.trim_start_matches('=').len();
        inner[level..].strip_prefix('[')?;
        let close = format!("]{}]", "=".repeat(level));
        Some(self.rest().find(&close).map_or(self.rest().len(), |at| at + close.len()))
    }
}

/// What a text between quotes or brackets says, if it needs no translation.
pub(super) fn contents(token: &str) -> Option<&str> {
    if let Some(quote) = token.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let inner = token[1..].strip_suffix(quote)?;
        return (!inner.contains('\\')).then_some(inner);
    }
    let level = token.strip_prefix('[')?.find('[')?;
    token.get(level + 2..token.len().checked_sub(level + 2)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_knows_its_line_and_its_column_in_characters() {
        let text = "#!lua\nlocal a = 'ä' .. [==[ ]] \n]==] -- w\n--[[ x\n ]] c.d{1.5e3,\"\\\"\"}";
        let found: Vec<_> =
            tokens(text).into_iter().map(|token| (&text[token.bytes], token.line, token.column)).collect();
        let expected = [
            ("local", 2, 1),
            ("a", 2, 7),
            ("=", 2, 9),
            ("'ä'", 2, 11),
            ("..", 2, 15),
            ("[==[ ]] \n]==]", 2, 18),
            ("c", 5, 5),
            (".", 5, 6),
            ("d", 5, 7),
            ("{", 5, 8),
            ("1.5e3", 5, 9),
            (",", 5, 14),
            ("\"\\\"\"", 5, 15),
            ("}", 5, 19),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_text_is_read_without_its_quotes() {
        assert_eq!(contents("'a b'"), Some("a b"));
        assert_eq!(contents("[=[x]=]"), Some("x"));
        assert_eq!(contents("'a\\nb'"), None);
        assert_eq!(contents("'open"), None);
        assert_eq!(contents("[[open"), Some("op"));
    }

    proptest! {
        #[test]
        fn any_text_has_tokens_in_order_within_it(text in any::<String>()) {
            let mut last = 0;
            for token in tokens(&text) {
                prop_assert!(token.bytes.start >= last && token.bytes.end > token.bytes.start);
                prop_assert!(text.get(token.bytes.clone()).is_some());
                last = token.bytes.end;
            }
        }

        #[test]
        fn any_lua_like_text_too(text in "[-a-z_\\[\\]=\"'\\\\ \n{}(),.0-9#]{0,80}") {
            for token in tokens(&text) {
                prop_assert!(text.get(token.bytes.clone()).is_some());
                contents(&text[token.bytes]);
            }
        }
    }
}
