//! A scheduler, as the operator defined it: what asks for builds.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    definition::{
        plan::{Cost, FieldChange, Planned, changes},
        problem::Problem,
        record::Record,
    },
    model::{BuilderName, Place, PropertyValue, SchedulerName},
};

/// A scheduler and its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchedulerDefinition {
    /// Its name, unique in the master.
    pub name: SchedulerName,
    /// The builders that it asks, in the order of their names, each once.
    pub builder_names: Vec<BuilderName>,
    /// Of its requests: a higher one goes first.
    pub priority: i32,
    /// Set on each of its requests.
    pub properties: BTreeMap<String, PropertyValue>,
    /// When it asks.
    pub kind: SchedulerKind,
    /// Where it was written.
    pub place: Place,
}

/// When a scheduler asks for builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchedulerKind {
    /// When a person says so.
    Force {
        /// What the button says.
        button_name: String,
        /// What the form is called.
        label: String,
        /// The reason if the person gives none.
        reason: String,
        /// The reason of the buildset, with `%(owner)s` and `%(reason)s`.
        reason_string: String,
    },
    /// Again and again, at an even pace, the first time at once.
    Periodic {
        /// From one to the next.
        interval: Duration,
        /// Why, for people.
        reason: String,
    },
    /// When a build says so.
    Triggerable {
        /// Why, for people.
        reason: String,
    },
}

impl SchedulerDefinition {
    /// A scheduler from its record; what is wrong goes to `problems`.
    pub fn from_record(record: &Record, problems: &mut Vec<Problem>) -> Option<Self> {
        let given = record.text("name")?;
        let is_force = record.constructor.name == "ForceScheduler";
        let mut complain = |text: String| {
            problems.push(Problem::error(record.place.clone(), format!("scheduler {given:?}: {text}")));
        };
        let name = SchedulerName::new(&given)
            .and_then(|name| if is_force { name.check_identifier().map(|()| name) } else { Ok(name) })
            .map_err(|error| complain(error.to_string()))
            .ok();
        let mut builder_names = Vec::new();
        for text in record.texts("builderNames") {
            match BuilderName::new(&text) {
                Ok(builder) if !builder_names.contains(&builder) => builder_names.push(builder),
                Ok(_) => {}
                Err(error) => complain(format!("builder {text:?}: {error}")),
            }
        }
        // Their order means nothing, and Lua's `pairs` gives another one at each load.
        builder_names.sort();
        if builder_names.is_empty() {
            complain("`builderNames` is empty, so it would never build anything".into());
        }
        let reason_of = |class: &str| {
            let default = || format!("The {class} scheduler named '{given}' triggered this build");
            record.text("reason").unwrap_or_else(default)
        };
        let kind = match record.constructor.name {
            "ForceScheduler" => SchedulerKind::Force {
                button_name: record.text("buttonName").unwrap_or_else(|| given.clone()),
                label: record.text("label").unwrap_or_else(|| given.clone()),
                reason: record.text("reason")?,
                reason_string: record.text("reasonString")?,
            },
            "Triggerable" => SchedulerKind::Triggerable { reason: reason_of("Triggerable") },
            _ => SchedulerKind::Periodic {
                interval: record.duration("periodicBuildTimer")?,
                reason: reason_of("Periodic"),
            },
        };
        Some(Self {
            name: name?,
            builder_names,
            priority: record.integer("priority").and_then(|n| i32::try_from(n).ok()).unwrap_or(0),
            properties: record.plain_properties("properties"),
            kind,
            place: record.place.clone(),
        })
    }

    /// Its class, as the operator wrote it.
    pub const fn class(&self) -> &'static str {
        match self.kind {
            SchedulerKind::Force { .. } => "ForceScheduler",
            SchedulerKind::Periodic { .. } => "Periodic",
            SchedulerKind::Triggerable { .. } => "Triggerable",
        }
    }
}

impl Planned for SchedulerDefinition {
    const NOUN: &'static str = "scheduler";

    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn changes(&self, new: &Self) -> Vec<FieldChange> {
        let mut out = changes!(self, new;
            "builderNames" builder_names InPlace,
            "priority" priority InPlace,
            "properties" properties InPlace,
        );
        match (&self.kind, &new.kind) {
            (
                SchedulerKind::Periodic { interval: a, reason: r },
                SchedulerKind::Periodic { interval: b, reason: s },
            ) => {
                out.extend(FieldChange::between("periodicBuildTimer", a, b, Cost::InPlace));
                out.extend(FieldChange::between("reason", r, s, Cost::InPlace));
            }
            (SchedulerKind::Triggerable { reason: old }, SchedulerKind::Triggerable { reason: new }) => {
                out.extend(FieldChange::between("reason", old, new, Cost::InPlace));
            }
            (old, new) if std::mem::discriminant(old) != std::mem::discriminant(new) => {
                out.push(FieldChange::new("class", &self.class(), &"another", Cost::Replace));
            }
            (old, new) if old != new => {
                out.push(FieldChange::new("form", &"labels and reasons", &"others", Cost::InPlace));
            }
            _ => {}
        }
        out
    }
}
