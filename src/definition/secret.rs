//! Secrets by name: `util.Secret "name"`, `%(secret:name)s`. Only the name stands in the configuration.
//!
//! # Laws
//! - Two secrets of one name are equal, whatever the providers say of it meanwhile.
//!
//! # Not here
//! Where their values come from, and how they are kept out of what people read (`secret`).

use std::fmt;

use futures_util::future::BoxFuture;

use crate::model::Secret;

/// The name of a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(String);

/// A secret as the operator wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretText {
    /// It stands in the configuration.
    Given(Secret),
    /// A provider knows it.
    Named(SecretName),
}

impl From<Secret> for SecretText {
    fn from(secret: Secret) -> Self {
        Self::Given(secret)
    }
}

/// Why a text is no name of a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no name of a secret: 1 to 200 characters, no control characters, no part that begins with `.` or `-`"
)]
pub struct SecretNameError(String);

/// Why there is no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot have the secret `{name}`: {why}")]
pub struct SecretError {
    /// Which.
    pub name: SecretName,
    /// Why; it shows no secret.
    pub why: String,
}

/// Who knows secrets.
pub trait Secrets: fmt::Debug + Send + Sync {
    /// The value of a secret.
    ///
    /// # Cancel safety
    /// Dropped before it returns, nothing is left behind.
    fn secret<'a>(&'a self, name: &'a SecretName) -> BoxFuture<'a, Result<Secret, SecretError>>;
}

/// Knows none.
#[derive(Clone, Copy, Debug)]
pub struct NoSecrets;

impl Secrets for NoSecrets {
    fn secret<'a>(&'a self, name: &'a SecretName) -> BoxFuture<'a, Result<Secret, SecretError>> {
        let why = "no provider of secrets is asked here".to_owned();
        Box::pin(std::future::ready(Err(SecretError { name: name.clone(), why })))
    }
}

impl SecretName {
    /// A name, if it can be one: it may become the name of a file, or an argument of a command.
    pub fn new(name: &str) -> Result<Self, SecretNameError> {
        const LONGEST: usize = 200;
        let is_good = !name.is_empty()
            && name.chars().count() <= LONGEST
            && !name.contains(char::is_control)
            && !name.contains('\\')
            // A provider may keep them in folders: `infra/bsd`.
            && name.split('/').all(|part| !part.is_empty() && !part.starts_with(['.', '-']));
        if is_good { Ok(Self(name.to_owned())) } else { Err(SecretNameError(name.to_owned())) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_secret_leads_nowhere_else() {
        for good in ["bsd", "worker.bsd", "infra/bsd", "a b", "ключ"] {
            assert_eq!(SecretName::new(good).map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "../passwd", "a/../b", "/a", "a//b", ".ssh", "a\\b", "-rf", "a\nb"] {
            assert!(SecretName::new(bad).is_err(), "{bad:?}");
        }
    }
}
