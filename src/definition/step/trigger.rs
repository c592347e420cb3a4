//! `steps.Trigger`, as the operator defined it: a step that asks for builds of other builders.

use super::Condition;
use crate::{
    definition::{
        latent::Late,
        problem::Problem,
        record::Record,
        render::{Text, Worth},
    },
    model::SchedulerName,
};

/// A step that triggers schedulers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Which, in this order.
    pub scheduler_names: Vec<Text>,
    /// Those of them whose builds do not count.
    pub unimportant: Vec<Text>,
    /// Whether their builds are waited for.
    pub waits: Condition,
    /// Whether the revision that goes along is the one that was really built.
    pub update_source_stamp: Condition,
    /// Whether nothing goes along of what is built.
    pub always_use_latest: Condition,
    /// Set on their builds: a table.
    pub set_properties: Worth,
    /// Properties that go along as they are.
    pub copy_properties: Vec<String>,
    /// What this build is to them.
    pub relationship: Text,
}

impl Trigger {
    pub(super) fn from_record(step: &str, record: &Record, problems: &mut Vec<Problem>) -> Option<Self> {
        let mut is_good = true;
        let mut complain = |text: String, hint: &str| {
            is_good = false;
            let problem = Problem::error(record.place.clone(), format!("step {step:?}: {text}"));
            problems.push(if hint.is_empty() { problem } else { problem.hint(hint.to_owned()) });
        };
        let scheduler_names = record.renderables("schedulerNames");
        if scheduler_names.is_empty() && !record.broken {
            complain("`schedulerNames` is an empty list".into(), "name a `schedulers.Triggerable`");
        }
        let unimportant = record.renderables("unimportantSchedulerNames");
        // What is rendered may become any name.
        if plain(&scheduler_names).count() == scheduler_names.len() {
            for name in plain(&unimportant) {
                if !plain(&scheduler_names).any(|other| other == name) {
                    let text =
                        format!("`unimportantSchedulerNames` has {name:?}, which `schedulerNames` has not");
                    complain(text, "name it in both");
                }
            }
        }
        let always_use_latest = condition(record, "alwaysUseLatest");
        if always_use_latest != Condition::Fixed(false) && record.is_given("updateSourceStamp") {
            complain("`alwaysUseLatest` and `updateSourceStamp` are both given; keep one of them".into(), "");
        }
        let set_properties = record.worth("set_properties").unwrap_or(Worth::Table([].into()));
        let mut secrets = Vec::new();
        set_properties.secrets(&mut secrets);
        if let Some(secret) = secrets.first() {
            let text = format!("the secret `{secret}` stands in `set_properties`, which everybody can read");
            complain(text, "name it where it is used: in `env` or `initialStdin` of a step");
        }
        let relationship = record.renderable("parent_relationship")?;
        is_good.then(|| Self {
            scheduler_names,
            unimportant,
            waits: condition(record, "waitForFinish"),
            update_source_stamp: condition(record, "updateSourceStamp"),
            always_use_latest,
            set_properties,
            copy_properties: record.texts("copy_properties"),
            relationship,
        })
    }

    /// The schedulers that it names as they stand.
    pub fn plain_names(&self) -> impl Iterator<Item = &str> {
        plain(&self.scheduler_names)
    }

    /// Whether it may name others besides.
    pub fn names_more(&self) -> bool {
        self.plain_names().count() < self.scheduler_names.len()
    }

    /// Whether it surely waits for the builds of this scheduler.
    pub fn waits_for(&self, scheduler: &SchedulerName) -> bool {
        self.waits == Condition::Fixed(true) && self.plain_names().any(|name| name == scheduler.as_str())
    }
}

fn plain(texts: &[Text]) -> impl Iterator<Item = &str> {
    texts.iter().filter_map(|text| match text {
        Text::Plain(text) => Some(text.as_str()),
        Text::Rendered(_) => None,
    })
}

/// A truth value that may be rendered.
fn condition(record: &Record, option: &str) -> Condition {
    match record.late_flag(option) {
        Late::Fixed(flag) => Condition::Fixed(flag),
        Late::Rendered(renderable) => Condition::Rendered(Worth::Rendered(renderable)),
    }
}
