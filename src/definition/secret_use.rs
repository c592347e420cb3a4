//! Which secrets a configuration names, and where: found in the records, so that no kind of part is forgotten.
//!
//! # Laws
//! - A secret that stands in properties is a problem: properties are shown to everybody.

use std::collections::BTreeMap;

use crate::{
    definition::{
        problem::Problem,
        record::{Record, Value},
        render::{Text, Worth},
        secret::{SecretName, SecretText},
        step::{self, EnvironmentValue},
    },
    model::Place,
};

/// For what a secret is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// From the start, as the password of a worker.
    Start,
    /// When a build asks for it.
    Build,
}

/// Where a secret is named first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretUse {
    /// For what, the most urgent of all places.
    pub need: Need,
    /// Where the part stands that names it.
    pub place: Place,
}

/// All secrets that a record names; what is wrong with that goes to `problems`.
pub fn used(record: &Record, problems: &mut Vec<Problem>) -> BTreeMap<SecretName, SecretUse> {
    let mut walk = Walk { found: BTreeMap::new(), problems };
    walk.record(record);
    walk.found
}

struct Walk<'p> {
    found: BTreeMap<SecretName, SecretUse>,
    problems: &'p mut Vec<Problem>,
}

impl Walk<'_> {
    fn record(&mut self, record: &Record) {
        for (option, value) in &record.values {
            self.value(record, option, value);
        }
    }

    fn value(&mut self, record: &Record, option: &str, value: &Value) {
        let mut names = Vec::new();
        match value {
            Value::Text(text) => text_names(text, &mut names),
            Value::Texts(texts) => texts.iter().for_each(|text| text_names(text, &mut names)),
            Value::TextTable(table) => table.values().for_each(|text| text_names(text, &mut names)),
            Value::Environment(variables) => {
                for variable in variables.values() {
                    match variable {
                        EnvironmentValue::Set(text) => text_names(text, &mut names),
                        EnvironmentValue::Joined(texts) => {
                            for text in texts {
                                text_names(text, &mut names);
                            }
                        }
                        EnvironmentValue::Unset => {}
                    }
                }
            }
            Value::LogFiles(files) => files.values().for_each(|file| text_names(&file.path, &mut names)),
            Value::Worth(worth) | Value::Condition(step::Condition::Rendered(worth)) => {
                worth.secrets(&mut names);
            }
            Value::Properties(properties) => self.properties(record, option, properties),
            Value::Secret(secret) => self.needed(secret, &record.place),
            Value::Secrets(secrets) => secrets.iter().for_each(|secret| self.needed(secret, &record.place)),
            Value::SecretTable(table) => {
                for secret in table.values() {
                    self.needed(secret, &record.place);
                }
            }
            Value::Record(record) | Value::Object(record) => self.record(record),
            Value::Objects(records) => records.iter().for_each(|record| self.record(record)),
            Value::None
            | Value::Bool(_)
            | Value::Integer(_)
            | Value::Seconds(_)
            | Value::Hidden(_)
            | Value::Number(_)
            | Value::Idle(_)
            | Value::Hook(_)
            | Value::Condition(step::Condition::Fixed(_) | step::Condition::Asked(_))
            | Value::Pairs(_)
            | Value::Counts(_)
            | Value::Outcomes(_) => {}
        }
        for name in names {
            self.note(&name, Need::Build, &record.place);
        }
    }

    fn properties(&mut self, record: &Record, option: &str, properties: &BTreeMap<String, Worth>) {
        for (property, worth) in properties {
            let mut names = Vec::new();
            worth.secrets(&mut names);
            if let Some(name) = names.first() {
                let label = label(record);
                let text = format!(
                    "{label}: the secret `{name}` stands in `{option}` (`{property}`), which everybody can read"
                );
                let hint = "name it where it is used: in `env` or `initialStdin` of a step";
                self.problems.push(Problem::error(record.place_of(option), text).hint(hint.to_owned()));
            }
        }
    }

    fn needed(&mut self, secret: &SecretText, place: &Place) {
        if let SecretText::Named(name) = secret {
            self.note(name, Need::Start, place);
        }
    }

    fn note(&mut self, name: &SecretName, need: Need, place: &Place) {
        let found =
            self.found.entry(name.clone()).or_insert_with(|| SecretUse { need, place: place.clone() });
        if need < found.need {
            *found = SecretUse { need, place: place.clone() };
        }
    }
}

fn text_names(text: &Text, names: &mut Vec<SecretName>) {
    match text {
        Text::Plain(_) => {}
        Text::Rendered(renderable) => renderable.secrets(names),
    }
}

/// What a part is called: `worker "bot"`.
fn label(record: &Record) -> String {
    let name = match record.values.get("name") {
        Some(Value::Text(Text::Plain(name))) => format!(" {name:?}"),
        _ => String::new(),
    };
    format!("{}{name}", record.constructor.class.noun())
}
