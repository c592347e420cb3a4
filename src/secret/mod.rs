//! Where secrets come from, and how they are kept out of what people read.
//!
//! [`Keeper`] asks the [`Providers`] of the configuration. What it gets is known to the [`Masker`] from then on, which
//! stands before every sink of the master: its log, its answers. Each build has a [`BuildSecrets`] of its own, by which its
//! logs, states and properties are masked before they reach the store.
//!
//! # Laws
//! - Whoever gets a secret here gets it after the masker knows it.
//! - No error shows a secret, nor what a provider's program wrote.
//! - What waits for a disk or a program does not hold up the runtime.
//!
//! # Not here
//! Which secrets a value names (`definition::render`), and what a step does with one (`build`).

mod build;
mod file;
mod form;
mod keeper;
mod masker;
mod pattern;
mod program;
mod provider;
#[cfg(test)]
mod tests;

pub use build::BuildSecrets;
pub use file::DEFAULT_FOLDER;
pub use keeper::Keeper;
pub use masker::Masker;
pub use pattern::{Meaning, Patterns, Stream};
pub use provider::{FindError, Providers, Reach};

/// A secret of fewer characters is masked in the build that uses it only: as a part of words it is everywhere.
pub const SHORT: usize = 4;

/// The most bytes of a secret.
pub const MOST_BYTES: usize = 64 * 1024;
