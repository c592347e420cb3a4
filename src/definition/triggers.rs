//! A build that asks for other builds: what it says, and who hears it.
//!
//! The room of the builds does not know the schedulers, which are above it. So the way up is a trait: implemented there,
//! handed down by the master.
//!
//! # Laws
//! - A scheduler is taken as it is defined at the moment of the call, not as it was when the build began.

use std::fmt;

use futures_util::future::BoxFuture;

use crate::model::{BuildId, BuildRequestId, BuilderName, BuildsetId, Properties};

/// What a build asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct TriggerOrder {
    /// Whom it asks: the name of a `schedulers.Triggerable`.
    pub scheduler: String,
    /// What is built, as properties, over those of the scheduler.
    pub source: Properties,
    /// Set over both.
    pub properties: Properties,
    /// Which build asks.
    pub parent: BuildId,
    /// What it is to the builds, for people.
    pub relationship: String,
    /// Whether it waits for them.
    pub waits: bool,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Triggered {
    /// The buildset.
    pub buildset: BuildsetId,
    /// A request for each builder of the scheduler.
    pub requests: Vec<(BuilderName, BuildRequestId)>,
}

/// Why nothing was asked for.
#[derive(Debug, thiserror::Error)]
pub enum TriggerError {
    /// It is not defined, or not any more.
    #[error("no scheduler is named `{name}`{}", Hint(hint.as_deref()))]
    NoScheduler {
        /// What was asked for.
        name: String,
        /// The nearest name.
        hint: Option<String>,
    },
    /// No build can ask it.
    #[error("scheduler `{name}` is a {class}, which no step can trigger")]
    NotTriggerable {
        /// What was asked for.
        name: String,
        /// What it is.
        class: &'static str,
    },
    /// It could not be written down.
    #[error("cannot ask scheduler `{name}` for builds")]
    Store {
        /// Who was asked.
        name: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

struct Hint<'a>(Option<&'a str>);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// Who makes requests of what a build asks for.
pub trait Triggers: fmt::Debug + Send + Sync {
    /// Whether a scheduler can be triggered now.
    ///
    /// # Errors
    /// [`TriggerError::NoScheduler`], [`TriggerError::NotTriggerable`].
    fn knows(&self, scheduler: &str) -> Result<(), TriggerError>;

    /// Asks for builds.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the builds may be asked for all the same, and nobody hears of it.
    fn trigger(&self, order: TriggerOrder) -> BoxFuture<'_, Result<Triggered, TriggerError>>;
}
