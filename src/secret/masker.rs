//! All secrets that this master has read, for the sinks that belong to no single build.
//!
//! # Laws
//! - A value that was read once is masked until the master ends, also after it was changed; of each secret the last
//!   `MOST_VALUES`.
//! - What was noted before a text came is masked in it.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use tracing::{error, warn};

use super::{
    SHORT,
    pattern::{Meaning, Patterns},
};
use crate::{
    definition::SecretName,
    model::{PropertyValue, Secret},
};

/// Values of one secret that are remembered: it changes now and then.
const MOST_VALUES: usize = 8;

/// The most bytes that are remembered in all.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Knows all secrets that were read. Cheap to copy; all copies know the same.
#[derive(Clone, Default)]
pub struct Masker(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// There is something to mask.
    is_needed: AtomicBool,
    /// Too much is known to know more; told once.
    is_full: AtomicBool,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    known: HashMap<SecretName, VecDeque<Secret>>,
    bytes: usize,
    /// Absent after something new, until it is needed.
    patterns: Option<Arc<Patterns>>,
}

/// What is new about a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    /// Nothing, or nothing to be told.
    None,
    /// It is too short to be masked everywhere, and the first such of its name.
    Short,
    /// There is no room for it.
    Full,
}

impl Masker {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Masks this value from now on.
    pub fn note(&self, name: &SecretName, secret: &Secret) {
        // Told after the lock is given back: the log asks for it.
        match self.take(name, secret) {
            News::Short => warn!(
                secret = %name,
                "the secret has fewer than {SHORT} characters, so it is masked in the logs of builds only"
            ),
            News::Full if !self.0.is_full.swap(true, Ordering::Relaxed) => {
                error!(
                    "more than {MOST_BYTES} bytes of secrets were read; what is new is masked in builds only"
                );
            }
            News::Full | News::None => {}
        }
    }

    fn take(&self, name: &SecretName, secret: &Secret) -> News {
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        if state.known.get(name).is_some_and(|values| values.contains(secret)) {
            return News::None;
        }
        let bytes = secret.expose().len();
        if state.bytes + bytes > MOST_BYTES {
            return News::Full;
        }
        state.bytes += bytes;
        let values = state.known.entry(name.clone()).or_default();
        let is_first_short = is_short(secret) && !values.iter().any(is_short);
        values.push_back(secret.clone());
        if values.len() > MOST_VALUES {
            state.bytes -= values.pop_front().map_or(0, |gone| gone.expose().len());
        }
        if !is_short(secret) {
            state.patterns = None;
            self.0.is_needed.store(true, Ordering::Release);
        }
        if is_first_short { News::Short } else { News::None }
    }

    /// A text without secrets.
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.patterns().map_or(Cow::Borrowed(text), |patterns| patterns.mask(text))
    }

    /// The same of bytes.
    pub fn mask_bytes<'t>(&self, bytes: &'t [u8]) -> Cow<'t, [u8]> {
        self.patterns().map_or(Cow::Borrowed(bytes), |patterns| patterns.mask_bytes(bytes))
    }

    /// An answer as JSON without secrets: they are looked for in all its texts, and words and numbers of ours stay.
    pub fn mask_json<'t>(&self, body: &'t [u8]) -> Cow<'t, [u8]> {
        let Some(patterns) = self.patterns().filter(|patterns| patterns.is_in(body)) else {
            return Cow::Borrowed(body);
        };
        match serde_json::from_slice::<PropertyValue>(body) {
            Ok(mut value) => {
                patterns.mask_value(&mut value, Meaning::Answer);
                Cow::Owned(value.to_string().into_bytes())
            }
            // It is not what it says; better broken than told.
            Err(_) => patterns.mask_bytes(body),
        }
    }

    fn patterns(&self) -> Option<Arc<Patterns>> {
        if !self.0.is_needed.load(Ordering::Acquire) {
            return None;
        }
        if let Some(patterns) = &self.0.state.read().unwrap_or_else(PoisonError::into_inner).patterns {
            return Some(Arc::clone(patterns));
        }
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        let patterns = state.patterns.get_or_insert_with(|| {
            let all = state.known.iter().flat_map(|(name, values)| values.iter().map(move |v| (name, v)));
            Arc::new(Patterns::new(all.filter(|(_, secret)| !is_short(secret))))
        });
        Some(Arc::clone(patterns))
    }
}

fn is_short(secret: &Secret) -> bool {
    secret.expose().chars().count() < SHORT
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Masker")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SecretName {
        SecretName::new(text).unwrap()
    }

    #[test]
    fn what_was_read_is_masked_also_after_it_has_changed_and_short_ones_are_not() {
        let masker = Masker::new();
        assert_eq!(masker.mask("sesame"), "sesame");
        for value in ["sesame", "open", "abc"] {
            masker.note(&name("db"), &Secret::new(value));
        }
        assert_eq!(masker.mask("sesame open abc"), "<db> <db> abc");
        assert_eq!(&*masker.mask_bytes(b"\xffsesame"), b"\xff<db>");
    }

    #[test]
    fn an_answer_keeps_its_form() {
        let masker = Masker::new();
        masker.note(&name("db"), &Secret::new("ses\"ame"));
        masker.note(&name("pin"), &Secret::new("1234"));
        masker.note(&name("word"), &Secret::new("builds"));
        let body = br#"{"builds":[{"id":1234,"state":"ses\"ame of 1234"}]}"#;
        let masked: PropertyValue = serde_json::from_slice(&masker.mask_json(body)).unwrap();
        assert_eq!(masked, serde_json::json!({ "builds": [{ "id": 1234, "state": "<db> of <pin>" }] }));
        assert_eq!(&*masker.mask_json(b"no JSON: 1234"), b"no JSON: <pin>");
        assert!(matches!(masker.mask_json(br#"{"a":1}"#), Cow::Borrowed(_)), "nothing is parsed in vain");
    }

    #[test]
    fn of_one_secret_the_last_values_are_known() {
        let masker = Masker::new();
        for count in 0..=MOST_VALUES {
            masker.note(&name("db"), &Secret::new(format!("sesame-{count}-")));
        }
        assert_eq!(masker.mask("sesame-0- sesame-1-"), "sesame-0- <db>");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let masker = Masker::new();
        let whole = "x".repeat(MOST_BYTES);
        masker.note(&name("whole"), &Secret::new(whole));
        masker.note(&name("late"), &Secret::new("sesame"));
        assert_eq!(masker.0.state.read().unwrap().known.len(), 1);
    }
}
