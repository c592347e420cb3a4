//! What was refused of late, so that each kind of it is told once a minute, with a count: plain values, time is an argument.
//!
//! # Laws
//! - Of a thing that comes again and again the first is told, and then one a minute, with the number of those between.
//! - A peer that thinks of a new name each time fills neither the memory nor the log: beyond [`MOST`] different things,
//!   all others count as one.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How often one thing is told.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// How many different things are remembered for that: a hundred bytes each, and some of them in a farm whose workers have
/// all lost their passwords.
const MOST: usize = 1024;

/// The most of a stranger's words that is shown, in characters.
const MOST_SHOWN: usize = 64;

/// Things that were told of late.
#[derive(Debug)]
pub(in crate::worker) struct Refusals<K>(Mutex<Told<K>>);

#[derive(Debug)]
struct Told<K> {
    things: HashMap<K, Refusal>,
    others: Option<Refusal>,
}

#[derive(Clone, Copy, Debug)]
struct Refusal {
    told_at: Instant,
    silent: u64,
}

/// How often something came that was not told: shown as a remark, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::worker) struct Before(u64);

impl<K> Default for Refusals<K> {
    fn default() -> Self {
        Self(Mutex::new(Told { things: HashMap::new(), others: None }))
    }
}

impl<K: Eq + Hash> Refusals<K> {
    /// Counts a thing: how many were not told before it, if it is to be told.
    pub(in crate::worker) fn count(&self, thing: K, now: Instant) -> Option<Before> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(refusal) = told.things.get_mut(&thing) {
            return refusal.again(now);
        }
        if told.things.len() >= MOST {
            told.things.retain(|_, refusal| refusal.is_fresh(now));
        }
        let first = Refusal { told_at: now, silent: 0 };
        if told.things.len() < MOST {
            told.things.insert(thing, first);
            return Some(Before(0));
        }
        match &mut told.others {
            Some(others) => others.again(now),
            none => {
                *none = Some(first);
                Some(Before(0))
            }
        }
    }
}

impl Refusal {
    fn is_fresh(&self, now: Instant) -> bool {
        now < self.told_at + TELL_EVERY
    }

    fn again(&mut self, now: Instant) -> Option<Before> {
        if self.is_fresh(now) {
            self.silent += 1;
            return None;
        }
        let before = self.silent;
        *self = Self { told_at: now, silent: 0 };
        Some(Before(before))
    }
}

impl fmt::Display for Before {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            count => write!(f, " ({count} more of these since it was last told)"),
        }
    }
}

/// A stranger's word as it may stand in a log: cut, on one line, with nothing that a terminal obeys.
pub(super) fn shown(word: &str) -> String {
    let mut shown: String = word.chars().take(MOST_SHOWN).flat_map(char::escape_debug).collect();
    if word.chars().nth(MOST_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_told_once_a_minute_with_a_count_and_a_flood_of_names_fills_no_memory_and_no_log() {
        let refusals = Refusals::default();
        let start = Instant::now();
        assert_eq!(refusals.count("w".to_owned(), start), Some(Before(0)));
        assert_eq!(refusals.count("w".to_owned(), start), None);
        assert_eq!(refusals.count("w".to_owned(), start + TELL_EVERY), Some(Before(1)));
        assert_eq!(refusals.count("other".to_owned(), start), Some(Before(0)));
        let told = (0..3 * MOST).filter(|name| refusals.count(name.to_string(), start).is_some()).count();
        assert!(told <= MOST, "{told} lines");
        assert!(refusals.0.lock().unwrap().things.len() <= MOST);
        assert_eq!(Before(0).to_string(), "");
        assert!(Before(3).to_string().contains("3 more"));
    }

    #[test]
    fn a_strangers_name_is_cut_and_cannot_forge_a_line() {
        assert_eq!(shown("bot\n2026 INFO all is well\u{1b}[2J"), "bot\\n2026 INFO all is well\\u{1b}[2J");
        assert_eq!(shown(&"ä".repeat(65)), format!("{}…", "ä".repeat(64)));
        assert_eq!(shown("bot-solaris"), "bot-solaris");
    }
}
