//! Lua's patterns, matched with a count of the steps.
//!
//! Lua's own matcher is C: a pattern such as `.-.-.-b` on a long text keeps it busy for years, and no hook runs
//! meanwhile. This one spends a step for each comparison, and ends when there are no more.
//!
//! # Source
//! Lua 5.4 reference manual, section 6.4.1.

use crate::config::meter::{Meter, Stop};

/// As many captures as Lua allows.
const MOST_CAPTURES: usize = 32;

/// As deep as Lua lets a match nest.
const DEPTH: u32 = 200;

/// Steps between two looks at the clock.
const STRIDE: u64 = 1000;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The pattern is wrong.
    Malformed(&'static str),
    /// A limit of the load was reached.
    Stop(Stop),
}

/// What a capture holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Captured {
    /// From here to there.
    Text(usize, usize),
    /// A position, counted from 1.
    Position(usize),
}

#[derive(Clone, Copy)]
enum Extent {
    Open,
    Position,
    Closed(usize),
}

/// One pattern on one text.
pub(super) struct Matcher<'a> {
    text: &'a [u8],
    pattern: &'a [u8],
    meter: &'a Meter,
    captures: Vec<(usize, Extent)>,
    depth: u32,
    steps: u64,
}

type Matched = Result<Option<usize>, Fault>;

impl<'a> Matcher<'a> {
    /// A matcher of `pattern` (without its anchor) on `text`.
    pub(super) const fn new(text: &'a [u8], pattern: &'a [u8], meter: &'a Meter) -> Self {
        Self { text, pattern, meter, captures: Vec::new(), depth: 0, steps: 0 }
    }

    /// The end of a match that begins exactly at `start`.
    pub(super) fn match_at(&mut self, start: usize) -> Matched {
        self.captures.clear();
        self.depth = 0;
        self.step(1)?;
        self.run(start, 0)
    }

    /// The first match that begins at `start` or after it.
    pub(super) fn search(&mut self, start: usize, anchored: bool) -> Result<Option<(usize, usize)>, Fault> {
        for begin in start..=self.text.len() {
            if let Some(end) = self.match_at(begin)? {
                return Ok(Some((begin, end)));
            }
            if anchored {
                break;
            }
        }
        Ok(None)
    }

    /// How many captures the pattern has; the whole match counts as one if there are none.
    pub(super) fn count(&self) -> usize {
        self.captures.len().max(1)
    }

    /// How many captures are written in the pattern.
    pub(super) fn is_bare(&self) -> bool {
        self.captures.is_empty()
    }

    /// A capture of the match from `begin` to `end`.
    pub(super) fn capture(&self, index: usize, begin: usize, end: usize) -> Result<Captured, Fault> {
        match self.captures.get(index) {
            None if index == 0 => Ok(Captured::Text(begin, end)),
            None => Err(Fault::Malformed("invalid capture index")),
            Some((_, Extent::Open)) => Err(Fault::Malformed("unfinished capture")),
            Some((start, Extent::Position)) => Ok(Captured::Position(start + 1)),
            Some((start, Extent::Closed(length))) => Ok(Captured::Text(*start, start + length)),
        }
    }

    fn step(&mut self, steps: usize) -> Result<(), Fault> {
        self.steps += steps as u64;
        if self.steps >= STRIDE {
            self.meter.spend(std::mem::take(&mut self.steps)).map_err(Fault::Stop)?;
        }
        Ok(())
    }

    fn run(&mut self, mut s: usize, mut p: usize) -> Matched {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Fault::Malformed("pattern too complex"));
        }
        let end = loop {
            self.step(1)?;
            match self.pattern.get(p) {
                None => break Some(s),
                Some(b'(') if self.pattern.get(p + 1) == Some(&b')') => {
                    break self.open(s, p + 2, Extent::Position)?;
                }
                Some(b'(') => break self.open(s, p + 1, Extent::Open)?,
                Some(b')') => break self.close(s, p + 1)?,
                Some(b'$') if p + 1 == self.pattern.len() => break (s == self.text.len()).then_some(s),
                Some(b'%') if self.pattern.get(p + 1) == Some(&b'b') => match self.balance(s, p + 2)? {
                    Some(next) => (s, p) = (next, p + 4),
                    None => break None,
                },
                Some(b'%') if self.pattern.get(p + 1) == Some(&b'f') => {
                    let set = p + 2;
                    if self.pattern.get(set) != Some(&b'[') {
                        return Err(Fault::Malformed("missing '[' after '%f' in pattern"));
                    }
                    let after = self.class_end(set)?;
                    let before = s.checked_sub(1).map_or(0, |previous| self.text[previous]);
                    let here = self.text.get(s).copied().unwrap_or(0);
                    if self.in_set(before, set, after - 1) || !self.in_set(here, set, after - 1) {
                        break None;
                    }
                    p = after;
                }
                Some(b'%') if self.pattern.get(p + 1).is_some_and(u8::is_ascii_digit) => {
                    match self.again(s, self.pattern[p + 1])? {
                        Some(next) => (s, p) = (next, p + 2),
                        None => break None,
                    }
                }
                Some(_) => {
                    let after = self.class_end(p)?;
                    match self.pattern.get(after) {
                        Some(b'?') => {
                            if self.single(s, p, after)?
                                && let Some(end) = self.run(s + 1, after + 1)?
                            {
                                break Some(end);
                            }
                            p = after + 1;
                        }
                        Some(b'*') => break self.most(s, p, after)?,
                        Some(b'+') if self.single(s, p, after)? => break self.most(s + 1, p, after)?,
                        Some(b'+') => break None,
                        Some(b'-') => break self.least(s, p, after)?,
                        _ if self.single(s, p, after)? => (s, p) = (s + 1, after),
                        _ => break None,
                    }
                }
            }
        };
        self.depth -= 1;
        Ok(end)
    }

    /// As often as possible, then fewer.
    fn most(&mut self, s: usize, p: usize, after: usize) -> Matched {
        let mut count = 0;
        while self.single(s + count, p, after)? {
            count += 1;
        }
        loop {
            if let Some(end) = self.run(s + count, after + 1)? {
                return Ok(Some(end));
            }
            match count.checked_sub(1) {
                Some(fewer) => count = fewer,
                None => return Ok(None),
            }
        }
    }

    /// As rarely as possible, then more.
    fn least(&mut self, mut s: usize, p: usize, after: usize) -> Matched {
        loop {
            if let Some(end) = self.run(s, after + 1)? {
                return Ok(Some(end));
            }
            if !self.single(s, p, after)? {
                return Ok(None);
            }
            s += 1;
        }
    }

    fn open(&mut self, s: usize, p: usize, extent: Extent) -> Matched {
        if self.captures.len() >= MOST_CAPTURES {
            return Err(Fault::Malformed("too many captures"));
        }
        self.captures.push((s, extent));
        let end = self.run(s, p)?;
        if end.is_none() {
            self.captures.pop();
        }
        Ok(end)
    }

    fn close(&mut self, s: usize, p: usize) -> Matched {
        let open = self.captures.iter().rposition(|(_, extent)| matches!(extent, Extent::Open));
        let index = open.ok_or(Fault::Malformed("invalid pattern capture"))?;
        let begin = self.captures[index].0;
        self.captures[index].1 = Extent::Closed(s - begin);
        let end = self.run(s, p)?;
        if end.is_none() {
            self.captures[index].1 = Extent::Open;
        }
        Ok(end)
    }

    /// `%1`: the same text as a capture.
    fn again(&mut self, s: usize, digit: u8) -> Matched {
        let index = usize::from(digit).checked_sub(usize::from(b'1'));
        let capture = index.and_then(|index| self.captures.get(index));
        let Some((begin, Extent::Closed(length))) = capture.copied() else {
            return Err(Fault::Malformed("invalid capture index in pattern"));
        };
        self.step(length / 16)?;
        let same = self.text.get(s..s + length) == self.text.get(begin..begin + length);
        Ok(same.then_some(s + length))
    }

    /// `%bxy`: from an x to the y that closes it.
    fn balance(&mut self, s: usize, p: usize) -> Matched {
        let (Some(&open), Some(&close)) = (self.pattern.get(p), self.pattern.get(p + 1)) else {
            return Err(Fault::Malformed("missing arguments to '%b' in pattern"));
        };
        if self.text.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut depth = 1usize;
        for (offset, &byte) in self.text[s + 1..].iter().enumerate() {
            self.step(1)?;
            if byte == close {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some(s + offset + 2));
                }
            } else if byte == open {
                depth += 1;
            }
        }
        Ok(None)
    }

    /// Where the single class that begins at `p` ends.
    fn class_end(&mut self, mut p: usize) -> Result<usize, Fault> {
        let first = self.pattern[p];
        p += 1;
        if first == b'%' {
            return if p < self.pattern.len() {
                Ok(p + 1)
            } else {
                Err(Fault::Malformed("malformed pattern (ends with '%')"))
            };
        }
        if first != b'[' {
            return Ok(p);
        }
        let begin = p;
        if self.pattern.get(p) == Some(&b'^') {
            p += 1;
        }
        // The first character after the bracket stands for itself, a closing bracket too.
        loop {
            let byte = *self.pattern.get(p).ok_or(Fault::Malformed("malformed pattern (missing ']')"))?;
            p += if byte == b'%' { 2 } else { 1 };
            if self.pattern.get(p) == Some(&b']') {
                break;
            }
        }
        self.step(p - begin)?;
        Ok(p + 1)
    }

    fn single(&mut self, s: usize, p: usize, after: usize) -> Result<bool, Fault> {
        self.step(after - p)?;
        let Some(&byte) = self.text.get(s) else { return Ok(false) };
        Ok(match self.pattern[p] {
            b'.' => true,
            b'%' => is_class(byte, self.pattern[p + 1]),
            b'[' => self.in_set(byte, p, after - 1),
            plain => plain == byte,
        })
    }

    /// Whether `byte` is in the set from the bracket at `p` to that at `end`.
    fn in_set(&self, byte: u8, mut p: usize, end: usize) -> bool {
        p += 1;
        let inside = self.pattern[p] != b'^';
        if !inside {
            p += 1;
        }
        while p < end {
            if self.pattern[p] == b'%' {
                if is_class(byte, self.pattern[p + 1]) {
                    return inside;
                }
                p += 2;
            } else if self.pattern[p + 1] == b'-' && p + 2 < end {
                if (self.pattern[p]..=self.pattern[p + 2]).contains(&byte) {
                    return inside;
                }
                p += 3;
            } else {
                if self.pattern[p] == byte {
                    return inside;
                }
                p += 1;
            }
        }
        !inside
    }
}

/// `%a` and kin; an upper-case letter is the contrary, and all else stands for itself.
fn is_class(byte: u8, class: u8) -> bool {
    let inside = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'g' => byte.is_ascii_graphic(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        // Unlike Rust's, C's white space has the vertical tab.
        b's' => byte.is_ascii_whitespace() || byte == 0x0b,
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        _ => return class == byte,
    };
    inside != class.is_ascii_uppercase()
}
