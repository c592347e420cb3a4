//! The secrets of one build: which it got, so that its logs can be masked.
//!
//! # Laws
//! - A build reads each secret once, and has the same value to its end.
//! - What it got is masked from the moment at which it got it.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::future::BoxFuture;

use super::pattern::{Meaning, Patterns};
use crate::{
    definition::{NoSecrets, SecretError, SecretName, Secrets},
    model::{PropertyValue, Secret},
};

/// What one build has read.
pub struct BuildSecrets {
    source: Arc<dyn Secrets>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: BTreeMap<SecretName, Secret>,
    patterns: Option<Arc<Patterns>>,
}

impl BuildSecrets {
    /// Has read nothing yet.
    pub fn new(source: Arc<dyn Secrets>) -> Self {
        Self { source, state: Mutex::default() }
    }

    /// Where there are none.
    pub fn none() -> Self {
        Self::new(Arc::new(NoSecrets))
    }

    /// The names of what it has read.
    pub fn names(&self) -> Vec<String> {
        self.state().known.keys().map(ToString::to_string).collect()
    }

    /// What is to be masked; nothing if it has read none.
    pub fn patterns(&self) -> Option<Arc<Patterns>> {
        self.state().patterns.clone()
    }

    /// Whether one of its secrets is in a text.
    pub fn is_in(&self, text: &str) -> bool {
        self.patterns().is_some_and(|patterns| patterns.is_in(text.as_bytes()))
    }

    /// A text without its secrets.
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.patterns().map_or(Cow::Borrowed(text), |patterns| patterns.mask(text))
    }

    /// The value of a property without its secrets.
    pub fn mask_value(&self, mut value: PropertyValue) -> PropertyValue {
        if let Some(patterns) = self.patterns() {
            patterns.mask_value(&mut value, Meaning::Data);
        }
        value
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Secrets for BuildSecrets {
    fn secret<'a>(&'a self, name: &'a SecretName) -> BoxFuture<'a, Result<Secret, SecretError>> {
        Box::pin(async move {
            if let Some(known) = self.state().known.get(name) {
                return Ok(known.clone());
            }
            let secret = self.source.secret(name).await?;
            let mut state = self.state();
            // Asked for twice at once, the first answer is the one.
            let secret = state.known.entry(name.clone()).or_insert(secret).clone();
            state.patterns = Some(Arc::new(Patterns::new(&state.known)));
            Ok(secret)
        })
    }
}

impl fmt::Debug for BuildSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.state().known.keys()).finish()
    }
}
