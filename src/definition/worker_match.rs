//! Labels that a worker must have for a builder: `worker_match = { os = "linux", cpus = { 8, 16 } }`.
//!
//! A label is looked up among the properties that the configuration gives the worker, then among the facts that the
//! worker tells when it attaches.
//!
//! # Laws
//! - All labels must fit. One that is a list fits if any of it does; so does a property or fact that is a list.
//! - A property wins over a fact of its name. One that is made only in a build (`util.Interpolate`) says nothing of the
//!   worker, and the fact counts.
//! - What fits a worker with some facts, [`WorkerMatch::can_fit`] allows.
//!
//! # Not here
//! Which workers a builder names ([`BuilderDefinition::may_use`](super::BuilderDefinition::may_use)).

use std::{collections::BTreeMap, fmt};

use crate::{
    definition::{WorkerDefinition, record::Record, shown::Shown},
    model::{PropertyValue, WorkerInfo},
};

/// What a builder wants of its workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerMatch(BTreeMap<String, Vec<PropertyValue>>);

/// A label that a worker does not have as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mismatch {
    /// Which.
    pub label: String,
    /// What would fit, at least one value.
    pub wanted: Vec<PropertyValue>,
    /// What the worker has; absent if it says nothing of it.
    pub found: Option<PropertyValue>,
}

impl WorkerMatch {
    /// The option of a builder; what is wrong goes to `complain`.
    pub(crate) fn from_record(record: &Record, mut complain: impl FnMut(String)) -> Self {
        let mut labels = BTreeMap::new();
        for (label, value) in record.plain_properties("worker_match") {
            let values = match value {
                PropertyValue::Array(list) => list,
                one => vec![one],
            };
            if values.is_empty() {
                complain(format!("`worker_match`: label `{label}` is an empty list, which nothing fits"));
            } else if !values.iter().all(is_single) {
                complain(format!(
                    "`worker_match`: label `{label}` takes text, a number, true or false, or a list of these"
                ));
            }
            labels.insert(label, values);
        }
        Self(labels)
    }

    /// Whether every worker fits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a worker fits that tells these facts; none are known of one that never attached.
    ///
    /// # Errors
    /// The first label that does not fit.
    pub fn fits(&self, worker: &WorkerDefinition, info: Option<&WorkerInfo>) -> Result<(), Mismatch> {
        let fact = |label: &str| info.and_then(|info| info.0.get(label)).cloned();
        self.first_mismatch(|label| property(worker, label).or_else(|| fact(label)), true)
    }

    /// Whether a worker may fit, as far as the configuration tells: `false` if one of its properties is in the way.
    pub fn can_fit(&self, worker: &WorkerDefinition) -> bool {
        self.contradiction(worker).is_none()
    }

    /// The property of a worker that is in the way, whatever the worker tells of itself.
    pub fn contradiction(&self, worker: &WorkerDefinition) -> Option<Mismatch> {
        self.first_mismatch(|label| property(worker, label), false).err()
    }

    /// Whether one of its labels is looked up among the facts that this worker tells.
    pub fn asks_for_facts(&self, worker: &WorkerDefinition) -> bool {
        self.0.keys().any(|label| property(worker, label).is_none())
    }

    fn first_mismatch(
        &self,
        look: impl Fn(&str) -> Option<PropertyValue>,
        must_be_there: bool,
    ) -> Result<(), Mismatch> {
        for (label, wanted) in &self.0 {
            let found = look(label);
            let fits = match &found {
                Some(PropertyValue::Array(list)) => {
                    list.iter().any(|one| wanted.iter().any(|w| same(w, one)))
                }
                Some(one) => wanted.iter().any(|w| same(w, one)),
                None => !must_be_there,
            };
            if !fits {
                return Err(Mismatch { label: label.clone(), wanted: wanted.clone(), found });
            }
        }
        Ok(())
    }
}

const fn is_single(value: &PropertyValue) -> bool {
    matches!(value, PropertyValue::String(_) | PropertyValue::Number(_) | PropertyValue::Bool(_))
}

/// What the configuration says of a label; nothing if a build would have to say it.
fn property(worker: &WorkerDefinition, label: &str) -> Option<PropertyValue> {
    let written = worker.properties.get(label).or_else(|| worker.default_properties.get(label))?;
    // What is null was written in order to say nothing.
    written.plain().filter(|value| !value.is_null())
}

/// Numbers are the same however they are written; programs tell some of theirs as text.
fn same(wanted: &PropertyValue, found: &PropertyValue) -> bool {
    match (wanted, found) {
        (PropertyValue::Number(wanted), PropertyValue::Number(found)) => {
            wanted == found || wanted.as_f64() == found.as_f64()
        }
        (PropertyValue::Number(number), PropertyValue::String(text))
        | (PropertyValue::String(text), PropertyValue::Number(number)) => *text == number.to_string(),
        (wanted, found) => wanted == found,
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Some(found) => write!(f, "`{}` is {found}", self.label)?,
            None => write!(f, "it says nothing of `{}`", self.label)?,
        }
        let wanted: Vec<String> = self.wanted.iter().map(ToString::to_string).collect();
        write!(f, ", wanted is {}", wanted.join(" or "))
    }
}

impl Shown for WorkerMatch {
    fn shown(&self) -> String {
        self.0.shown()
    }

    fn shown_beside(&self, new: &Self) -> (String, String) {
        self.0.shown_beside(&new.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        definition::{
            Renderable, Text, Worth,
            options::{BUILDER_CONFIG, LOCAL_WORKER},
            record::Value,
        },
        model::Place,
    };

    fn wanted(labels: &PropertyValue) -> (WorkerMatch, Vec<String>) {
        let labels = labels.as_object().expect("the test gives a table").clone();
        let mut record = Record::new(&BUILDER_CONFIG, Place::new("master.cfg.lua", 1));
        let labels = labels.into_iter().map(|(label, value)| (label, value.into())).collect();
        record.values.insert("worker_match", Value::Properties(labels));
        let mut wrong = Vec::new();
        let made = WorkerMatch::from_record(&record, |text| wrong.push(text));
        (made, wrong)
    }

    fn worker(properties: &[(&'static str, Worth)], defaults: &[(&'static str, Worth)]) -> WorkerDefinition {
        let mut record = Record::new(&LOCAL_WORKER, Place::new("master.cfg.lua", 1));
        record.values.insert("name", Value::Text(Text::Plain("w".into())));
        for (option, table) in [("properties", properties), ("defaultProperties", defaults)] {
            let table = table.iter().map(|(name, worth)| ((*name).to_owned(), worth.clone())).collect();
            record.values.insert(option, Value::Properties(table));
        }
        WorkerDefinition::from_record(&record, &mut Vec::new()).expect("a good worker")
    }

    fn info(facts: &PropertyValue) -> WorkerInfo {
        serde_json::from_value(facts.clone()).expect("the test gives a table")
    }

    fn rendered() -> Worth {
        Worth::Rendered(Renderable::Property { name: "x".into(), default: None, default_when_false: true })
    }

    #[test]
    fn every_label_must_fit_and_of_a_list_any_value_will_do() {
        let (labels, wrong) = wanted(&json!({ "os": ["linux", "bsd"], "cpus": 8, "gpu": true }));
        assert_eq!(wrong, Vec::<String>::new());
        let bot =
            worker(&[("os", "bsd".into()), ("cpus", json!(8.0).into()), ("gpu", json!(true).into())], &[]);
        assert_eq!(labels.fits(&bot, None), Ok(()));
        assert!(labels.can_fit(&bot));
        let bot =
            worker(&[("os", "bsd".into()), ("cpus", json!(8).into()), ("gpu", json!(false).into())], &[]);
        let mismatch = labels.fits(&bot, None).expect_err("it has no GPU");
        assert_eq!(mismatch.to_string(), "`gpu` is false, wanted is true");
        assert_eq!(labels.contradiction(&bot), Some(mismatch));
        // A worker may have several values as well.
        let (labels, _) = wanted(&json!({ "tools": ["gcc", "clang"] }));
        let bot = worker(&[("tools", Worth::Plain(json!(["rustc", "clang"])))], &[]);
        assert_eq!(labels.fits(&bot, None), Ok(()));
    }

    #[test]
    fn a_property_wins_over_a_fact_and_a_default_property_is_one() {
        let (labels, _) = wanted(&json!({ "os": "linux" }));
        let fact = info(&json!({ "os": "linux" }));
        for bot in
            [worker(&[("os", "bsd".into())], &[("os", "linux".into())]), worker(&[], &[("os", "bsd".into())])]
        {
            let mismatch = labels.fits(&bot, Some(&fact)).expect_err("it is a BSD");
            assert_eq!(mismatch.found, Some(json!("bsd")));
            assert!(!labels.can_fit(&bot));
            assert!(!labels.asks_for_facts(&bot));
        }
    }

    #[test]
    fn what_the_configuration_does_not_say_the_worker_must_tell_and_may_until_it_attaches() {
        let (labels, _) = wanted(&json!({ "numcpus": 8 }));
        for bot in [
            worker(&[], &[]),
            worker(&[("numcpus", rendered())], &[]),
            worker(&[("numcpus", Worth::Plain(PropertyValue::Null))], &[]),
        ] {
            assert!(labels.can_fit(&bot));
            assert!(labels.asks_for_facts(&bot));
            assert_eq!(labels.fits(&bot, Some(&info(&json!({ "numcpus": 8 })))), Ok(()));
            assert_eq!(labels.fits(&bot, Some(&info(&json!({ "numcpus": "8" })))), Ok(()));
            let told = |facts| labels.fits(&bot, facts).expect_err("it has not told 8").to_string();
            assert_eq!(told(None), "it says nothing of `numcpus`, wanted is 8");
            assert_eq!(told(Some(&info(&json!({ "numcpus": 4 })))), "`numcpus` is 4, wanted is 8");
        }
    }

    #[test]
    fn a_label_that_nothing_could_fit_is_refused() {
        let (_, wrong) = wanted(&json!({ "a": [], "b": { "c": 1 }, "d": ["x", null], "e": ["x", 1, true] }));
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(wrong[0].contains("`a` is an empty list"), "{wrong:?}");
        assert!(wrong[1].contains("`b` takes text") && wrong[2].contains("`d` takes text"), "{wrong:?}");
    }

    #[test]
    fn no_label_at_all_fits_whatever_there_is() {
        let nothing = WorkerMatch::default();
        assert!(nothing.is_empty() && nothing.can_fit(&worker(&[], &[])));
        assert_eq!(nothing.fits(&worker(&[], &[]), None), Ok(()));
    }
}
