//! `schedulers.ForceScheduler`: a person asks.

use crate::{
    definition::{Collapse, MasterDefinition, SchedulerDefinition, SchedulerKind, suggest},
    model::{BuilderName, Properties, PropertyValue},
    store::NewBuildset,
};

/// What a person asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForceRequest {
    /// The builder; all those of the scheduler if absent.
    pub builder: Option<String>,
    /// Who asks; becomes the property `owner`.
    pub owner: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Instead of the scheduler's priority.
    pub priority: Option<i32>,
    /// Properties, over those of the scheduler.
    pub properties: Vec<(String, PropertyValue)>,
}

/// Why nothing was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForceError {
    /// No such scheduler.
    #[error("no force scheduler is named `{name}`")]
    NoScheduler {
        /// What was given.
        name: String,
        /// The nearest name.
        hint: Option<String>,
    },
    /// It does not ask this builder.
    #[error("force scheduler `{scheduler}` does not ask builder `{builder}`")]
    NotItsBuilder {
        /// The scheduler.
        scheduler: String,
        /// What was given.
        builder: String,
        /// The nearest name.
        hint: Option<String>,
    },
}

impl ForceError {
    /// What to do.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::NoScheduler { hint, .. } | Self::NotItsBuilder { hint, .. } => hint.as_deref(),
        }
    }
}

/// The buildset that a person's request becomes.
pub fn buildset(
    definition: &MasterDefinition,
    scheduler: &str,
    request: &ForceRequest,
) -> Result<NewBuildset, ForceError> {
    let found = definition.schedulers.get(scheduler).map(|found| (&**found, &found.kind));
    let Some((scheduler, SchedulerKind::Force { reason, reason_string, .. })) = found else {
        let forces = definition.schedulers.values().filter(|s| matches!(s.kind, SchedulerKind::Force { .. }));
        let hint = suggest::did_you_mean(scheduler, forces.map(|s| s.name.as_str()));
        return Err(ForceError::NoScheduler { name: scheduler.to_owned(), hint });
    };
    let builders = builders(scheduler, request.builder.as_deref())?;
    let reason = request.reason.as_deref().unwrap_or(reason);
    let owner = request.owner.as_deref().unwrap_or("");
    let mut properties = Properties::new();
    for (name, value) in &scheduler.properties {
        properties.set(name.clone(), value.clone(), "Scheduler");
    }
    for (name, value) in &request.properties {
        properties.set(name.clone(), value.clone(), "Force Build Form");
    }
    properties.set("scheduler", scheduler.name.as_str(), "Scheduler");
    properties.set("reason", reason, "Force Build Form");
    properties.set("owner", owner, "Force Build Form");
    let collapses = |name: &&BuilderName| *definition.collapse(name) == Collapse::Alike;
    Ok(NewBuildset {
        scheduler: Some(scheduler.name.clone()),
        reason: reason_string.replace("%(owner)s", owner).replace("%(reason)s", reason),
        properties,
        collapse: builders.iter().filter(collapses).cloned().collect(),
        builders,
        priority: request.priority.unwrap_or(scheduler.priority),
        parent: None,
    })
}

fn builders(scheduler: &SchedulerDefinition, wanted: Option<&str>) -> Result<Vec<BuilderName>, ForceError> {
    let Some(wanted) = wanted else { return Ok(scheduler.builder_names.clone()) };
    match scheduler.builder_names.iter().find(|name| name.as_str() == wanted) {
        Some(name) => Ok(vec![name.clone()]),
        None => Err(ForceError::NotItsBuilder {
            scheduler: scheduler.name.to_string(),
            builder: wanted.to_owned(),
            hint: suggest::did_you_mean(wanted, scheduler.builder_names.iter().map(AsRef::as_ref)),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use super::*;
    use crate::model::{Place, SchedulerName};

    fn definition() -> MasterDefinition {
        let name = SchedulerName::new("force").unwrap();
        let scheduler = SchedulerDefinition {
            name: name.clone(),
            builder_names: vec![BuilderName::new("linux").unwrap(), BuilderName::new("bsd").unwrap()],
            priority: 3,
            properties: BTreeMap::from([("colour".to_owned(), "red".into()), ("size".to_owned(), 1.into())]),
            kind: SchedulerKind::Force {
                button_name: "force".into(),
                label: "force".into(),
                reason: "force build".into(),
                reason_string: "A build was forced by '%(owner)s': %(reason)s".into(),
            },
            place: Place::new("master.cfg.lua", 1),
        };
        let mut definition = MasterDefinition::nothing();
        definition.schedulers.insert(name, Arc::new(scheduler));
        definition
    }

    #[test]
    fn a_request_becomes_a_buildset_with_its_properties_over_the_schedulers() {
        let request = ForceRequest {
            builder: Some("linux".into()),
            owner: Some("ada".into()),
            reason: None,
            priority: None,
            properties: vec![("colour".into(), "blue".into())],
        };
        let set = buildset(&definition(), "force", &request).expect("all names are known");
        assert_eq!(set.reason, "A build was forced by 'ada': force build");
        assert_eq!((set.builders.len(), set.priority), (1, 3));
        let urgent = ForceRequest { priority: Some(-1), ..request };
        assert_eq!(buildset(&definition(), "force", &urgent).expect("as before").priority, -1);
        assert_eq!(set.properties.get("colour"), Some(&"blue".into()));
        assert_eq!(set.properties.get("size"), Some(&1.into()));
        assert_eq!(set.properties.get("owner"), Some(&"ada".into()));
    }

    #[test]
    fn a_wrong_name_is_told_with_the_nearest_right_one() {
        let error =
            buildset(&definition(), "forse", &ForceRequest::default()).expect_err("no such scheduler");
        assert_eq!(error.hint(), Some("did you mean `force`?"));
        let request = ForceRequest { builder: Some("linxu".into()), ..ForceRequest::default() };
        let error = buildset(&definition(), "force", &request).expect_err("no such builder");
        assert_eq!(error.hint(), Some("did you mean `linux`?"));
    }
}
