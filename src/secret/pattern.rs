//! Finds secrets in bytes, and puts their names in their place; also where the bytes come in pieces.
//!
//! # Laws
//! - However a text is cut into pieces, what comes out is the same, and no secret is in it.
//! - Of the beginning of a secret at the end of a piece nothing is let go; all before it is.
//! - What is kept back is shorter than the longest form of a secret.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use aho_corasick::{AhoCorasick, AhoCorasickKind, Anchored, Input, Match, MatchKind, StartKind, packed};
use memchr::memrchr;

use super::form::forms;
use crate::{
    definition::SecretName,
    model::{PropertyValue, Secret},
};

/// Up to here the fastest automaton is small enough: a few secrets, of which a build has more than of others.
const FAST_BYTES: usize = 4 * 1024;

/// How much of a form's beginning is looked for first: enough to be rare, and the same in most forms of one secret.
const BEGINNING: usize = 8;

/// Some secrets, to be found.
pub struct Patterns {
    automaton: AhoCorasick,
    /// Finds beginnings of forms some thirty times faster; absent if they are too many for it.
    beginnings: Option<packed::Searcher>,
    /// Each form, in the order of the automaton's patterns: first those with line ends.
    needles: Vec<Needle>,
    /// How many have line ends.
    with_line_ends: usize,
}

/// One form of a secret.
struct Needle {
    text: Box<[u8]>,
    /// For each beginning, the length of the longest shorter one at its end.
    borders: Box<[usize]>,
    /// What stands in its place: `<name>`.
    label: Box<[u8]>,
}

/// What is kept back of a stream: perhaps the beginning of a secret.
#[derive(Default)]
pub struct Stream {
    held: Vec<u8>,
}

/// The law by which an automaton can always be made.
const BOUNDED: &str = "the secrets of a master are some MiB at most, far from the limits of an automaton";

impl Patterns {
    /// Those of some secrets. A text that two of them have is called by the first name.
    pub fn new<'s>(secrets: impl IntoIterator<Item = (&'s SecretName, &'s Secret)>) -> Self {
        let mut labels: BTreeMap<String, &SecretName> = BTreeMap::new();
        for (name, secret) in secrets {
            for form in forms(secret.expose()) {
                labels.entry(form).or_insert(name);
            }
        }
        let mut needles: Vec<Needle> =
            labels.into_iter().map(|(form, name)| Needle::new(&form, name)).collect();
        needles.sort_by_key(|needle| !needle.has_line_end());
        let with_line_ends = needles.partition_point(Needle::has_line_end);
        let beginnings: BTreeSet<&[u8]> =
            needles.iter().map(|needle| &needle.text[..needle.text.len().min(BEGINNING)]).collect();
        let beginnings = packed::Config::new().builder().extend(beginnings).build();
        let size: usize = needles.iter().map(|needle| needle.text.len()).sum();
        let kind = if size <= FAST_BYTES { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .start_kind(StartKind::Both)
            .kind(Some(kind))
            .build(needles.iter().map(|needle| &needle.text))
            .expect(BOUNDED);
        Self { automaton, beginnings, needles, with_line_ends }
    }

    /// Whether one of them is in a text.
    pub fn is_in(&self, text: &[u8]) -> bool {
        self.find(text, 0).is_some()
    }

    /// The first form from there on; of several, the longest.
    fn find(&self, text: &[u8], from: usize) -> Option<Match> {
        let Some(beginnings) = &self.beginnings else {
            return self.automaton.find(Input::new(text).span(from..text.len()));
        };
        let mut at = from;
        while let Some(begun) = beginnings.find_in(text, (at..text.len()).into()) {
            let rest = Input::new(text).span(begun.start()..text.len()).anchored(Anchored::Yes);
            if let Some(found) = self.automaton.find(rest) {
                return Some(found);
            }
            at = begun.start() + 1;
        }
        None
    }

    /// A whole text without them.
    pub fn mask_bytes<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let (masked, kept) = self.scan(text, text.len(), |_| text.len());
        debug_assert_eq!(kept, text.len(), "of a whole text nothing is kept back");
        masked
    }

    /// The same of text.
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.mask_bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // A form is UTF-8, so it begins and ends where characters do.
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// The same of all texts in a value; of data, also keys of tables and digits of numbers.
    pub fn mask_value(&self, value: &mut PropertyValue, meaning: Meaning) {
        match value {
            PropertyValue::String(text) => {
                if let Cow::Owned(masked) = self.mask(text) {
                    *text = masked;
                }
            }
            PropertyValue::Array(list) => list.iter_mut().for_each(|value| self.mask_value(value, meaning)),
            PropertyValue::Object(table) => {
                table.values_mut().for_each(|value| self.mask_value(value, meaning));
                if meaning == Meaning::Data && table.keys().any(|key| self.is_in(key.as_bytes())) {
                    let old = std::mem::take(table);
                    *table =
                        old.into_iter().map(|(key, value)| (self.mask(&key).into_owned(), value)).collect();
                }
            }
            PropertyValue::Number(_) if meaning == Meaning::Data => {
                if let Cow::Owned(masked) = self.mask(&value.to_string()) {
                    *value = masked.into();
                }
            }
            PropertyValue::Null | PropertyValue::Bool(_) | PropertyValue::Number(_) => {}
        }
    }

    /// Masks what is decided: matches that begin before `hold`. Gives the text up to where it is decided, and how far that
    /// is; `hold` is asked again from where a match ended beyond it.
    fn scan<'t>(
        &self,
        text: &'t [u8],
        mut hold: usize,
        hold_from: impl Fn(usize) -> usize,
    ) -> (Cow<'t, [u8]>, usize) {
        let (mut at, mut out) = (0, Vec::new());
        while at < text.len() {
            let found = self.find(text, at).filter(|found| found.start() < hold);
            let Some(found) = found else { break };
            out.extend_from_slice(&text[at..found.start()]);
            out.extend_from_slice(&self.needles[found.pattern().as_usize()].label);
            at = found.end();
            if at > hold {
                hold = hold_from(at);
            }
        }
        if at == 0 {
            return (Cow::Borrowed(&text[..hold]), hold);
        }
        out.extend_from_slice(&text[at..hold]);
        (Cow::Owned(out), hold)
    }

    /// Where, from `from` on, the first beginning of a form is that reaches to the end of the text; the end if none does.
    fn hold(&self, text: &[u8], from: usize) -> usize {
        let (across, within) = self.needles.split_at(self.with_line_ends);
        // Mostly a text ends with a line, and nothing is left to be looked at.
        let line = memrchr(b'\n', &text[from..]).map_or(from, |end| from + end + 1);
        let mut longest = 0;
        for (needles, from) in [(across, from), (within, line)] {
            if from == text.len() {
                continue;
            }
            for needle in needles {
                let window = &text[from.max(text.len().saturating_sub(needle.text.len() - 1))..];
                if window.len() > longest {
                    longest = longest.max(needle.begun_at_end_of(window));
                }
            }
        }
        text.len() - longest
    }
}

impl Needle {
    fn new(form: &str, name: &SecretName) -> Self {
        let text: Box<[u8]> = form.as_bytes().into();
        let mut borders = vec![0; text.len()];
        for at in 1..text.len() {
            borders[at] = step(&text, &borders, borders[at - 1], text[at]);
        }
        Self { text, borders: borders.into(), label: format!("<{name}>").into_bytes().into() }
    }

    fn has_line_end(&self) -> bool {
        self.text.contains(&b'\n')
    }

    /// How many bytes of it stand at the end of a text that is shorter than it.
    fn begun_at_end_of(&self, text: &[u8]) -> usize {
        text.iter().fold(0, |begun, byte| step(&self.text, &self.borders, begun, *byte))
    }
}

/// After so many bytes of a text were met, and then this one: how many are met now. Source: Knuth, Morris, Pratt.
fn step(text: &[u8], borders: &[usize], mut met: usize, byte: u8) -> usize {
    while met > 0 && text[met] != byte {
        met = borders[met - 1];
    }
    if text[met] == byte { met + 1 } else { met }
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Somebody's data, all of it.
    Data,
    /// An answer of ours: its keys are words and its numbers are counts.
    Answer,
}

impl Stream {
    /// The next piece of a stream, without secrets; what may be the beginning of one is kept back.
    pub fn feed<'p>(&mut self, patterns: &Patterns, piece: &'p [u8]) -> Cow<'p, [u8]> {
        if self.held.is_empty() {
            let (masked, kept) =
                patterns.scan(piece, patterns.hold(piece, 0), |from| patterns.hold(piece, from));
            self.held.extend_from_slice(&piece[kept..]);
            return masked;
        }
        self.held.extend_from_slice(piece);
        let text = std::mem::take(&mut self.held);
        let (masked, kept) = patterns.scan(&text, patterns.hold(&text, 0), |from| patterns.hold(&text, from));
        self.held = text[kept..].to_vec();
        Cow::Owned(masked.into_owned())
    }

    /// What was kept back, once it is known that no more comes.
    pub fn finish(&mut self, patterns: &Patterns) -> Vec<u8> {
        patterns.mask_bytes(&std::mem::take(&mut self.held)).into_owned()
    }

    /// Whether something is kept back.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Patterns({})", self.needles.len())
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({} bytes)", self.held.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patterns(secrets: &[(&str, &str)]) -> Patterns {
        let secrets: Vec<_> = secrets
            .iter()
            .map(|(name, secret)| (SecretName::new(name).unwrap(), Secret::new(*secret)))
            .collect();
        Patterns::new(secrets.iter().map(|(name, secret)| (name, secret)))
    }

    fn streamed<'p>(patterns: &Patterns, pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<u8> {
        let (mut stream, mut out) = (Stream::default(), Vec::new());
        for piece in pieces {
            out.extend_from_slice(&stream.feed(patterns, piece));
        }
        out.extend_from_slice(&stream.finish(patterns));
        out
    }

    fn holds(text: &[u8], part: &str) -> bool {
        text.windows(part.len()).any(|window| window == part.as_bytes())
    }

    #[test]
    fn a_secret_in_two_pieces_is_masked_and_what_is_none_is_let_go_at_once() {
        let patterns = patterns(&[("db", "sesame")]);
        let mut stream = Stream::default();
        assert_eq!(&*stream.feed(&patterns, b"the word is ses"), b"the word is ");
        assert_eq!(&*stream.feed(&patterns, b"ame, not sesa"), b"<db>, not ");
        assert_eq!(&*stream.feed(&patterns, b"mi\n"), b"sesami\n");
        assert!(stream.is_empty());
        assert_eq!(&*stream.feed(&patterns, b"s"), b"");
        assert_eq!(stream.finish(&patterns), b"s");
    }

    #[test]
    fn the_longest_secret_wins_whatever_comes_first() {
        let patterns = patterns(&[("a", "sesame"), ("b", "sesame street"), ("c", "same")]);
        for cut in 0..24 {
            let (one, two) = b"x sesame street sesame y".split_at(cut);
            assert_eq!(streamed(&patterns, [one, two]), b"x <b> <a> y", "cut at {cut}");
        }
    }

    #[test]
    fn many_secrets_are_found_as_few_are() {
        let texts: Vec<_> = (0..500).map(|count| (count.to_string(), format!("{count:03}-sesame"))).collect();
        let all: Vec<_> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let (few, many) = (patterns(&all[..3]), patterns(&all));
        assert!(few.beginnings.is_some() && many.beginnings.is_none(), "both ways are tried");
        for patterns in [few, many] {
            let masked = streamed(&patterns, [&b"000-sesame 00"[..], b"1-sesamesame 00", b"2-sesamy"]);
            assert_eq!(masked, b"<0> <1>same 002-sesamy");
        }
    }

    #[test]
    fn values_are_masked_wherever_texts_are_in_them() {
        let patterns = patterns(&[("pin", "123456"), ("db", "ses\"ame")]);
        let mut value = serde_json::json!({ "a": ["x ses\"ame"], "ses\"ame": 123_456, "n": 12, "t": true });
        let mut ours = value.clone();
        patterns.mask_value(&mut value, Meaning::Data);
        assert_eq!(value, serde_json::json!({ "a": ["x <db>"], "<db>": "<pin>", "n": 12, "t": true }));
        patterns.mask_value(&mut ours, Meaning::Answer);
        assert_eq!(ours["ses\"ame"], 123_456);
        assert_eq!(ours["a"][0], "x <db>");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn however_a_text_is_cut_it_comes_out_the_same_and_without_secrets(
            // Few letters, so that secrets overlap, repeat, and begin within each other.
            secrets in prop::collection::vec("[ab\n']{1,7}", 1..5),
            pieces in prop::collection::vec("[ab\n'x]{0,9}", 0..12),
        ) {
            let names = ["1", "2", "3", "4"];
            let secrets: Vec<_> = names.into_iter().zip(secrets.iter().map(String::as_str)).collect();
            let patterns = patterns(&secrets);
            let whole = pieces.concat();
            let masked = streamed(&patterns, pieces.iter().map(String::as_bytes));
            prop_assert_eq!(&*patterns.mask_bytes(whole.as_bytes()), &*masked);
            let bytewise = streamed(&patterns, whole.as_bytes().chunks(1));
            prop_assert_eq!(bytewise, &*masked);
            for (_, secret) in &secrets {
                prop_assert!(!holds(&masked, secret), "{:?} is in {:?}", secret, String::from_utf8_lossy(&masked));
            }
        }

        #[test]
        fn what_is_kept_back_is_shorter_than_the_longest_form(
            secret in "[ab]{1,9}", text in "[ab]{0,40}",
        ) {
            let patterns = patterns(&[("1", &secret)]);
            let mut stream = Stream::default();
            for piece in text.as_bytes().chunks(3) {
                drop(stream.feed(&patterns, piece));
                prop_assert!(stream.held.len() < secret.len());
            }
        }
    }
}
