//! Who is asked for secrets while the master runs: the providers of the newest configuration.

use std::sync::{Arc, PoisonError, RwLock};

use futures_util::future::BoxFuture;

use super::{
    masker::Masker,
    provider::{Providers, Reach},
};
use crate::{
    definition::{SecretError, SecretName, Secrets},
    model::Secret,
};

/// Asks the providers that are in force. Cheap to copy; all copies ask the same.
#[derive(Clone, Debug)]
pub struct Keeper {
    providers: Arc<RwLock<Providers>>,
    masker: Masker,
}

impl Keeper {
    /// Asks these, until others are in force.
    pub fn new(providers: Providers, masker: Masker) -> Self {
        Self { providers: Arc::new(RwLock::new(providers)), masker }
    }

    /// Asks these from now on, for builds that run, too.
    pub fn change(&self, providers: Providers) {
        *self.providers.write().unwrap_or_else(PoisonError::into_inner) = providers;
    }

    /// Knows all that was read.
    pub const fn masker(&self) -> &Masker {
        &self.masker
    }
}

impl Secrets for Keeper {
    fn secret<'a>(&'a self, name: &'a SecretName) -> BoxFuture<'a, Result<Secret, SecretError>> {
        let providers = self.providers.read().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(async move {
            let found = providers.find(name, Reach::All).await;
            let secret = found.map_err(|error| SecretError { name: name.clone(), why: error.to_string() })?;
            self.masker.note(name, &secret);
            Ok(secret)
        })
    }
}
