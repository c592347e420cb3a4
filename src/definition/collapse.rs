//! What becomes of a waiting request when a newer one of its builder comes in: `collapseRequests`.
//!
//! # Not here
//! When two requests are alike (`store::request`), and the calls of the function (`build::queue::collapse`).

use crate::definition::{Condition, Hook, record::Record, shown::Shown};

/// Whether a newer request takes the place of an older one that still waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Collapse {
    /// Never: each has a build of its own.
    Never,
    /// If both would build the same.
    Alike,
    /// A function decides of each pair.
    Decided(Hook),
}

impl Collapse {
    /// The option `collapseRequests`; nothing if it is `None` or was not given and has no default.
    pub(super) fn from_record(record: &Record) -> Option<Self> {
        match record.condition_if_given("collapseRequests")? {
            Condition::Fixed(false) => Some(Self::Never),
            Condition::Fixed(true) => Some(Self::Alike),
            Condition::Asked(hook) => Some(Self::Decided(hook)),
            Condition::Rendered(_) => unreachable!("the table says that nothing of it is rendered"),
        }
    }
}

impl Shown for Collapse {
    fn shown(&self) -> String {
        match self {
            Self::Never => "false".into(),
            Self::Alike => "true".into(),
            Self::Decided(hook) => hook.shown(),
        }
    }
}
