//! A provider of secrets, as the operator defined it: where a secret of some name may be.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use crate::{
    definition::{
        plan::{Cost, FieldChange, Planned},
        problem::Problem,
        record::Record,
        shown::Shown,
    },
    model::{Place, Secret},
};

/// A provider and its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretsProvider {
    /// What it is called in plans and messages, unique in the master: `SecretInAFile secrets`.
    pub name: String,
    /// Which in order it is asked, the first one 1.
    pub order: usize,
    /// Where it looks.
    pub kind: SecretsProviderKind,
    /// Where it was written.
    pub place: Place,
}

/// Where a provider looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretsProviderKind {
    /// In files of a folder.
    Files {
        /// The folder, below the master's own unless absolute.
        dir: PathBuf,
        /// What the files' names end with; at least one, which may be empty.
        suffixes: Vec<String>,
        /// Whether line ends at the end are left out.
        strip: bool,
    },
    /// In the master's environment.
    Environment {
        /// What the variables begin with.
        prefix: String,
    },
    /// In the password store.
    Pass {
        /// The pass phrase of its key.
        phrase: Option<Secret>,
        /// Its folder, below the master's own unless absolute.
        dir: Option<PathBuf>,
    },
    /// In what a program writes.
    Command {
        /// Program and arguments.
        words: Vec<String>,
        /// How long it may take.
        limit: Duration,
        /// Whether line ends at the end are left out.
        strip: bool,
    },
}

impl SecretsProvider {
    /// A provider from its record; what is wrong goes to `problems`.
    pub fn from_record(record: &Record, problems: &mut Vec<Problem>) -> Option<Self> {
        let constructor = record.constructor.name;
        let mut complain = |text: &str| {
            problems.push(Problem::error(record.place.clone(), format!("secrets.{constructor}: {text}")));
        };
        let (kind, object) = match constructor {
            "SecretInAFile" => {
                let dir = record.text("dirname")?;
                if dir.is_empty() {
                    complain("`dirname` is empty");
                    return None;
                }
                let mut suffixes = record.texts("suffixes");
                if let Some(suffix) = suffixes.iter().find(|suffix| suffix.contains(['/', '\0'])) {
                    complain(&format!("the suffix {suffix:?} leads to another folder"));
                    return None;
                }
                if suffixes.is_empty() {
                    suffixes.push(String::new());
                }
                let kind = SecretsProviderKind::Files {
                    dir: dir.clone().into(),
                    suffixes,
                    strip: record.flag("strip"),
                };
                (kind, dir)
            }
            "SecretInEnvironment" => {
                let prefix = record.text("prefix").unwrap_or_default();
                if prefix.contains(['=', '\0']) {
                    complain("no variable begins with such a `prefix`");
                    return None;
                }
                (SecretsProviderKind::Environment { prefix: prefix.clone() }, prefix)
            }
            "SecretInPass" => {
                let dir = record.text("dirname");
                let kind = SecretsProviderKind::Pass {
                    phrase: record.hidden("gpgPassphrase"),
                    dir: dir.clone().map(PathBuf::from),
                };
                (kind, dir.unwrap_or_default())
            }
            _ => {
                let words = record.texts("command");
                if words.first().is_none_or(String::is_empty) {
                    complain("`command` names no program");
                    return None;
                }
                let object = words.join(" ");
                let limit = record.duration("timeout").unwrap_or_default();
                let kind = SecretsProviderKind::Command { words, limit, strip: record.flag("strip") };
                (kind, object)
            }
        };
        let name = format!("{constructor} {object}").trim_end().to_owned();
        Some(Self { name, order: 0, kind, place: record.place.clone() })
    }

    /// Providers by their names, with their order; one that stands twice is a problem.
    pub fn by_name(list: Vec<Self>, problems: &mut Vec<Problem>) -> BTreeMap<String, Arc<Self>> {
        let mut all: BTreeMap<String, Arc<Self>> = BTreeMap::new();
        for (order, mut provider) in (1..).zip(list) {
            provider.order = order;
            if let Some(first) = all.get(&provider.name) {
                let text = format!("{} stands twice, first at {}", provider.name, first.place);
                problems.push(Problem::error(provider.place, text));
            } else {
                all.insert(provider.name.clone(), Arc::new(provider));
            }
        }
        all
    }
}

impl Planned for SecretsProvider {
    const NOUN: &'static str = "secrets provider";

    fn name(&self) -> &str {
        &self.name
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn changes(&self, new: &Self) -> Vec<FieldChange> {
        use SecretsProviderKind::{Command, Environment, Files, Pass};
        let mut out = Vec::new();
        let mut differ = |option, was: &dyn Shown, is: &dyn Shown| {
            let (was, is) = (was.shown(), is.shown());
            if was != is {
                out.push(FieldChange::new(option, &was, &is, Cost::InPlace));
            }
        };
        let path = |path: &PathBuf| path.display().to_string();
        differ("order", &self.order, &new.order);
        match (&self.kind, &new.kind) {
            (
                Files { dir: old_dir, suffixes: old_suffixes, strip: old_strip },
                Files { dir: new_dir, suffixes: new_suffixes, strip: new_strip },
            ) => {
                differ("dirname", &path(old_dir), &path(new_dir));
                differ("suffixes", old_suffixes, new_suffixes);
                differ("strip", old_strip, new_strip);
            }
            (Environment { prefix: old }, Environment { prefix: new }) => differ("prefix", old, new),
            (
                Command { words: old_words, limit: old_limit, strip: old_strip },
                Command { words: new_words, limit: new_limit, strip: new_strip },
            ) => {
                differ("command", old_words, new_words);
                differ("timeout", old_limit, new_limit);
                differ("strip", old_strip, new_strip);
            }
            (Pass { phrase: old, dir: old_dir }, Pass { phrase: new, dir: new_dir }) => {
                differ("dirname", &old_dir.as_ref().map(path), &new_dir.as_ref().map(path));
                if old != new {
                    out.push(FieldChange::hidden("gpgPassphrase", Cost::InPlace));
                }
            }
            // A name begins with the class.
            (old, new) => differ("class", &old.class().to_owned(), &new.class().to_owned()),
        }
        out
    }
}

impl SecretsProviderKind {
    /// As the operator writes it.
    const fn class(&self) -> &'static str {
        match self {
            Self::Files { .. } => "SecretInAFile",
            Self::Environment { .. } => "SecretInEnvironment",
            Self::Pass { .. } => "SecretInPass",
            Self::Command { .. } => "SecretInCommand",
        }
    }
}
