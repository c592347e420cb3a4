//! The providers of a configuration, asked in order: the first that has a secret answers.
//!
//! # Laws
//! - A provider that has a secret and cannot give it (its file is open to others, its program hangs) is an error: another
//!   provider's secret of the same name may be an old one.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::{StreamExt as _, stream};
use tokio::{sync::Semaphore, task};

use super::{
    MOST_BYTES,
    file::{DEFAULT_FOLDER, Folder},
    program::{Answer, Asked, Takes},
};
use crate::{
    definition::{MasterDefinition, SecretName, SecretsProviderKind},
    model::Secret,
};

/// How many programs are asked at once: they may be as heavy as gpg.
const PROGRAMS_AT_ONCE: usize = 4;

/// How many secrets are looked for at once. A farm has a password for each of ten thousand workers.
const LOOKS_AT_ONCE: usize = 16;

/// The providers of one configuration.
#[derive(Clone, Debug)]
pub struct Providers {
    list: Arc<[Provider]>,
    /// The master's folder.
    root: Arc<Path>,
    programs: Arc<Semaphore>,
}

#[derive(Debug)]
enum Provider {
    Folder(Folder),
    Environment { prefix: String },
    Program(Asked),
}

/// Which providers are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All.
    All,
    /// Those that need no program to run.
    Offline,
}

/// Why there is no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// No provider has it.
    #[error("no provider has it; looked for {}", looked.join(", "))]
    Nowhere {
        /// What was looked for.
        looked: Vec<String>,
        /// Whether there are providers that were not asked.
        is_incomplete: bool,
    },
    /// One has it, or may have it, and cannot give it.
    #[error("{why}")]
    Fault {
        /// Why, with what mends it.
        why: String,
    },
}

/// What one provider says.
enum Said {
    Secret(Secret),
    /// It does not have it; what it looked for.
    No(String),
    Fault(String),
    Unasked,
}

impl Providers {
    /// Those of a configuration, for a master in this folder.
    pub fn new(definition: &MasterDefinition, root: &Path) -> Self {
        let mut list: Vec<_> = definition.secrets_providers.values().collect();
        list.sort_by_key(|provider| provider.order);
        let mut list: Vec<Provider> =
            list.into_iter().map(|provider| Provider::new(&provider.kind, root)).collect();
        if list.is_empty() {
            let path = root.join(DEFAULT_FOLDER);
            list.push(Provider::Folder(Folder { path, suffixes: vec![String::new()], strip: true }));
        }
        Self { list: list.into(), root: root.into(), programs: Arc::new(Semaphore::new(PROGRAMS_AT_ONCE)) }
    }

    /// The value of a secret, read now.
    ///
    /// # Errors
    /// [`FindError`]; it shows no secret.
    ///
    /// # Cancel safety
    /// Dropped before it returns, a program that runs is killed.
    pub async fn find(&self, name: &SecretName, reach: Reach) -> Result<Secret, FindError> {
        let (mut looked, mut is_incomplete) = (Vec::new(), false);
        for index in 0..self.list.len() {
            match self.ask(index, name, reach).await {
                Said::Secret(secret) => return Ok(secret),
                Said::No(place) => looked.push(place),
                Said::Fault(why) => return Err(FindError::Fault { why }),
                Said::Unasked => is_incomplete = true,
            }
        }
        Err(FindError::Nowhere { looked, is_incomplete })
    }

    /// The values of many secrets, each read once; and which of them cannot be had.
    ///
    /// # Cancel safety
    /// As [`Providers::find`].
    pub async fn find_all(
        &self,
        names: impl IntoIterator<Item = SecretName>,
    ) -> (BTreeMap<SecretName, Secret>, BTreeMap<SecretName, FindError>) {
        let find = |name: SecretName| async move {
            let found = self.find(&name, Reach::All).await;
            (name, found)
        };
        let mut all = stream::iter(names.into_iter().map(find)).buffer_unordered(LOOKS_AT_ONCE);
        let (mut known, mut missing) = (BTreeMap::new(), BTreeMap::new());
        while let Some((name, found)) = all.next().await {
            match found {
                Ok(secret) => drop(known.insert(name, secret)),
                Err(error) => drop(missing.insert(name, error)),
            }
        }
        (known, missing)
    }

    /// The files in which a secret may be: a change of one of them may change it.
    pub fn files(&self, name: &SecretName) -> Vec<PathBuf> {
        let folders = self.list.iter().filter_map(|provider| match provider {
            Provider::Folder(folder) => Some(folder.files(name.as_str())),
            Provider::Environment { .. } | Provider::Program(_) => None,
        });
        folders.flatten().collect()
    }

    async fn ask(&self, index: usize, name: &SecretName, reach: Reach) -> Said {
        match &self.list[index] {
            Provider::Folder(folder) => {
                let (folder, name) = (folder.clone(), name.as_str().to_owned());
                let looked = shown_files(&folder.files(&name));
                match task::spawn_blocking(move || folder.read(&name)).await {
                    Ok(Ok(Some(secret))) => Said::Secret(secret),
                    Ok(Ok(None)) => Said::No(looked),
                    Ok(Err(error)) => Said::Fault(error.to_string()),
                    Err(_) => Said::Fault("the master stops".into()),
                }
            }
            Provider::Environment { prefix } => {
                let variable = variable(prefix, name);
                match std::env::var_os(&variable).map(OsString::into_vec).map(String::from_utf8) {
                    None => Said::No(format!("the variable {variable}")),
                    Some(Err(_)) => Said::Fault(format!("the variable {variable} is not UTF-8")),
                    Some(Ok(text)) if text.is_empty() => {
                        Said::Fault(format!("the variable {variable} is empty"))
                    }
                    Some(Ok(text)) if text.len() > MOST_BYTES => {
                        Said::Fault(format!("the variable {variable} has more than {MOST_BYTES} bytes"))
                    }
                    Some(Ok(text)) => Said::Secret(Secret::new(text)),
                }
            }
            Provider::Program(_) if reach == Reach::Offline => Said::Unasked,
            Provider::Program(asked) => {
                let _turn = self.programs.acquire().await;
                match asked.ask(name.as_str(), &self.root).await {
                    Ok(Answer::Secret(secret)) => Said::Secret(secret),
                    Ok(Answer::No(code)) => {
                        Said::No(format!("it with `{}` (exit code {code})", asked.shown()))
                    }
                    Err(error) => Said::Fault(error.to_string()),
                }
            }
        }
    }
}

impl Provider {
    fn new(kind: &SecretsProviderKind, root: &Path) -> Self {
        match kind {
            SecretsProviderKind::Files { dir, suffixes, strip } => {
                Self::Folder(Folder { path: root.join(dir), suffixes: suffixes.clone(), strip: *strip })
            }
            SecretsProviderKind::Environment { prefix } => Self::Environment { prefix: prefix.clone() },
            SecretsProviderKind::Pass { phrase, dir } => {
                Self::Program(Asked::pass(dir.as_ref().map(|dir| root.join(dir)), phrase.clone()))
            }
            SecretsProviderKind::Command { words, limit, strip } => Self::Program(Asked {
                words: words.clone(),
                env: BTreeMap::new(),
                stdin: None,
                limit: *limit,
                takes: if *strip { Takes::Stripped } else { Takes::All },
            }),
        }
    }
}

/// The variable of a secret: letters and digits of its name, the rest as `_`.
fn variable(prefix: &str, name: &SecretName) -> String {
    let plain = |c: char| if c.is_alphanumeric() { c } else { '_' };
    let name: String = name.as_str().to_uppercase().chars().map(plain).collect();
    format!("{prefix}{name}")
}

fn shown_files(files: &[PathBuf]) -> String {
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    format!("the file {}", files.join(" or "))
}
