//! `schedulers.Triggerable`: a build asks, by its step `steps.Trigger`.
//!
//! # Laws
//! - The newest definition counts: one that a reload has taken away asks for nothing any more.
//!
//! # Source
//! Behaviour: Buildbot, `schedulers/triggerable.py`. There, `reason` of the scheduler has no effect as soon as the step has
//! properties to set.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::{
    definition::{
        Collapse, MasterDefinition, SchedulerDefinition, SchedulerKind, TriggerError, TriggerOrder,
        Triggered, Triggers, suggest,
    },
    model::{BuilderName, Properties, Timestamp},
    store::{NewBuildset, Parent, Store},
};

/// All Triggerables of the configuration in force.
#[derive(Clone, Debug)]
pub struct Triggerables {
    definition: watch::Receiver<Arc<MasterDefinition>>,
    store: Store,
}

impl Triggerables {
    /// Those of the newest configuration that the watch holds.
    pub const fn new(definition: watch::Receiver<Arc<MasterDefinition>>, store: Store) -> Self {
        Self { definition, store }
    }
}

impl Triggers for Triggerables {
    fn knows(&self, scheduler: &str) -> Result<(), TriggerError> {
        find(&self.definition.borrow(), scheduler).map(drop)
    }

    fn trigger(&self, order: TriggerOrder) -> BoxFuture<'_, Result<Triggered, TriggerError>> {
        Box::pin(async move {
            let name = order.scheduler.clone();
            let wanted = buildset(&self.definition.borrow(), order)?;
            match self.store.add_buildset(wanted, Timestamp::now()).await {
                Ok(added) => Ok(Triggered { buildset: added.id, requests: added.requests }),
                Err(source) => Err(TriggerError::Store { name, source: source.into() }),
            }
        })
    }
}

/// A Triggerable, and the reason of its builds.
fn find<'a>(
    definition: &'a MasterDefinition,
    name: &str,
) -> Result<(&'a SchedulerDefinition, &'a str), TriggerError> {
    let Some(scheduler) = definition.schedulers.get(name) else {
        let is_triggerable = |kind: &SchedulerKind| matches!(kind, SchedulerKind::Triggerable { .. });
        let all = definition.schedulers.values().filter(|scheduler| is_triggerable(&scheduler.kind));
        let hint = suggest::did_you_mean(name, all.map(|scheduler| scheduler.name.as_str()));
        return Err(TriggerError::NoScheduler { name: name.to_owned(), hint });
    };
    match &scheduler.kind {
        SchedulerKind::Triggerable { reason } => Ok((scheduler, reason)),
        _ => Err(TriggerError::NotTriggerable { name: name.to_owned(), class: scheduler.class() }),
    }
}

/// The buildset that an order becomes.
fn buildset(definition: &MasterDefinition, order: TriggerOrder) -> Result<NewBuildset, TriggerError> {
    let TriggerOrder { scheduler: name, source, properties: set, parent, relationship, waits } = order;
    let (scheduler, reason) = find(definition, &name)?;
    let mut properties = Properties::new();
    for (name, value) in &scheduler.properties {
        properties.set(name.clone(), value.clone(), "Scheduler");
    }
    properties.set("scheduler", scheduler.name.as_str(), "Scheduler");
    properties.update(&source);
    properties.update(&set);
    let reason = match set.get("reason").and_then(|reason| reason.as_str()) {
        Some(given) if !given.is_empty() => given.to_owned(),
        _ => reason.to_owned(),
    };
    Ok(NewBuildset {
        scheduler: Some(scheduler.name.clone()),
        reason,
        properties,
        collapse: collapsing(definition, scheduler),
        builders: scheduler.builder_names.clone(),
        priority: scheduler.priority,
        parent: Some(Parent { build: parent, waits, relationship }),
    })
}

/// Those of its builders whose older requests give way to these.
fn collapsing(definition: &MasterDefinition, scheduler: &SchedulerDefinition) -> BTreeSet<BuilderName> {
    let names = scheduler.builder_names.iter();
    names.filter(|name| *definition.collapse(name) == Collapse::Alike).cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use super::*;
    use crate::model::{BuildId, Place, SchedulerName};

    fn definition() -> MasterDefinition {
        let mut definition = MasterDefinition::nothing();
        let kinds = [
            ("tests", SchedulerKind::Triggerable { reason: "because".into() }),
            ("often", SchedulerKind::Periodic { interval: Duration::from_secs(60), reason: String::new() }),
        ];
        for (name, kind) in kinds {
            let name = SchedulerName::new(name).unwrap();
            let properties =
                [("colour", "red"), ("branch", "old"), ("size", "1")].map(|(k, v)| (k.to_owned(), v.into()));
            let scheduler = SchedulerDefinition {
                name: name.clone(),
                builder_names: vec![BuilderName::new("a").unwrap(), BuilderName::new("b").unwrap()],
                priority: 0,
                properties: BTreeMap::from(properties),
                kind,
                place: Place::new("master.cfg.lua", 1),
            };
            definition.schedulers.insert(name, Arc::new(scheduler));
        }
        definition
    }

    fn order(scheduler: &str) -> TriggerOrder {
        let (mut source, mut properties) = (Properties::new(), Properties::new());
        source.set("branch", "main", "Trigger");
        properties.set("colour", "blue", "Trigger");
        TriggerOrder {
            scheduler: scheduler.to_owned(),
            source,
            properties,
            parent: BuildId(7),
            relationship: "Triggered from".into(),
            waits: true,
        }
    }

    #[test]
    fn the_schedulers_properties_give_way_to_what_is_built_and_to_the_steps() {
        let set = buildset(&definition(), order("tests")).expect("it is there");
        let all: Vec<_> = set
            .properties
            .iter()
            .map(|(name, one)| (name.as_str(), one.value.as_str().unwrap(), one.source.as_str()))
            .collect();
        let wanted = [
            ("branch", "main", "Trigger"),
            ("colour", "blue", "Trigger"),
            ("scheduler", "tests", "Scheduler"),
            ("size", "1", "Scheduler"),
        ];
        assert_eq!(all, wanted);
        assert_eq!((set.reason.as_str(), set.builders.len()), ("because", 2));
        let parent = Parent { build: BuildId(7), waits: true, relationship: "Triggered from".into() };
        assert_eq!(set.parent, Some(parent));
    }

    #[test]
    fn a_step_that_sets_the_property_reason_gives_the_reason() {
        let mut wanted = order("tests");
        wanted.properties.set("reason", "the night", "Trigger");
        assert_eq!(buildset(&definition(), wanted).expect("it is there").reason, "the night");
    }

    #[test]
    fn what_cannot_be_triggered_is_told_by_its_name() {
        let error = buildset(&definition(), order("test")).expect_err("there is none");
        assert_eq!(error.to_string(), "no scheduler is named `test`; did you mean `tests`?");
        let error = buildset(&definition(), order("often")).expect_err("it is none");
        assert_eq!(error.to_string(), "scheduler `often` is a Periodic, which no step can trigger");
    }
}
