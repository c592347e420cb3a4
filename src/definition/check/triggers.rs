//! The laws over steps that trigger: whom they name is there and can be triggered; and what is probably not meant.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use super::absent;
use crate::{
    definition::{
        BuilderDefinition, Condition, Problem, SchedulerDefinition, SchedulerKind, StepDefinition, StepKind,
        step::Trigger, suggest,
    },
    model::{BuilderName, SchedulerName},
};

/// What a step may trigger, and who has such steps.
pub(super) struct Triggers<'a> {
    pub(super) builders: &'a BTreeMap<BuilderName, Arc<BuilderDefinition>>,
    pub(super) schedulers: &'a BTreeMap<SchedulerName, Arc<SchedulerDefinition>>,
}

impl<'a> Triggers<'a> {
    /// Tells each name that a step mentions, and that is not there or cannot be triggered. `unreadable` names are no second
    /// mistake; unless the configuration is `whole`, neither is one that is like no other.
    pub(super) fn check(&self, unreadable: &BTreeSet<String>, whole: bool, problems: &mut Vec<Problem>) {
        // Builders may share a factory: its steps are wrong once.
        let mut told = BTreeSet::new();
        for (_, step, trigger) in self.all() {
            for name in trigger.plain_names() {
                let found = self.schedulers.get(name);
                if found.is_some_and(|scheduler| is_triggerable(scheduler)) || unreadable.contains(name) {
                    continue;
                }
                let (text, hint) = match found {
                    Some(scheduler) => (
                        format!("scheduler {name:?} is a `{}`, which no step can trigger", scheduler.class()),
                        Some("make it a `schedulers.Triggerable`".to_owned()),
                    ),
                    None if whole || suggest::nearest(name, self.triggerable()).is_some() => (
                        format!("no `schedulers.Triggerable` is named {name:?}"),
                        absent(name, self.triggerable()),
                    ),
                    None => continue,
                };
                if told.insert((step.place.to_string(), name)) {
                    let text = format!("step {:?}: {text}", step.name);
                    problems.push(Problem::error(step.place.clone(), text).hint(hint));
                }
            }
        }
    }

    /// Warns of what nobody triggers, and of builds that wait for themselves.
    pub(super) fn warn(&self, problems: &mut Vec<Problem>) {
        self.untriggered(problems);
        self.circles(problems);
    }

    /// All steps that trigger, and whose they are.
    fn all(
        &self,
    ) -> impl Iterator<Item = (&'a BuilderDefinition, &'a StepDefinition, &'a Trigger)> + use<'a> {
        self.builders.values().flat_map(|builder| {
            builder.steps.iter().filter_map(|step| match &step.kind {
                StepKind::Trigger(trigger) => Some((&**builder, step, trigger)),
                _ => None,
            })
        })
    }

    fn triggerable(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        let triggerable = self.schedulers.values().filter(|scheduler| is_triggerable(scheduler));
        triggerable.map(|scheduler| scheduler.name.as_str())
    }

    fn untriggered(&self, problems: &mut Vec<Problem>) {
        // A name that is rendered may be any.
        if self.all().any(|(_, _, trigger)| trigger.names_more()) {
            return;
        }
        let named: BTreeSet<&str> = self.all().flat_map(|(_, _, trigger)| trigger.plain_names()).collect();
        for scheduler in self.schedulers.values().filter(|scheduler| is_triggerable(scheduler)) {
            if !named.contains(scheduler.name.as_str()) {
                let text = format!("scheduler {:?}: no step triggers it", scheduler.name.as_str());
                let hint = "name it in a `steps.Trigger`".to_owned();
                let problem =
                    Problem::warning(scheduler.place.clone(), "scheduler that nobody triggers", text);
                problems.push(problem.hint(hint));
            }
        }
    }

    /// Builders each of whose builds waits for another build of the same builder, and so on without an end.
    fn circles(&self, problems: &mut Vec<Problem>) {
        let mut waits: BTreeMap<&BuilderName, Vec<(&StepDefinition, &BuilderName)>> = BTreeMap::new();
        for (builder, step, trigger) in self.all() {
            // One that is done only sometimes may be what ends it.
            if step.do_step_if != Condition::Fixed(true) {
                continue;
            }
            let for_whom = self.schedulers.values().filter(|scheduler| trigger.waits_for(&scheduler.name));
            let asked = for_whom.flat_map(|scheduler| &scheduler.builder_names);
            waits.entry(&builder.name).or_default().extend(asked.map(|asked| (step, asked)));
        }
        let mut told: BTreeSet<&BuilderName> = BTreeSet::new();
        for start in waits.keys().copied() {
            let Some((step, way)) = way_back(start, &waits) else { continue };
            if way.iter().any(|builder| told.contains(builder)) {
                continue;
            }
            told.extend(&way);
            let by = way.iter().skip(1).map(|builder| format!("{:?}", builder.as_str())).collect::<Vec<_>>();
            let by = if by.is_empty() { String::new() } else { format!(", by way of {}", by.join(" and ")) };
            let text = format!(
                "builder {:?}: step {:?} waits for a build of the same builder{by}, so none of them ends",
                start.as_str(),
                step.name
            );
            let hint = "leave out `waitForFinish`, or give the step a `doStepIf`".to_owned();
            let problem = Problem::warning(step.place.clone(), "build that waits for itself", text);
            problems.push(problem.hint(hint));
        }
    }
}

/// The shortest way from a builder back to itself: its step that begins it, and the builders on it, itself the first.
fn way_back<'a>(
    start: &'a BuilderName,
    waits: &BTreeMap<&'a BuilderName, Vec<(&'a StepDefinition, &'a BuilderName)>>,
) -> Option<(&'a StepDefinition, Vec<&'a BuilderName>)> {
    let mut came_from: BTreeMap<&BuilderName, (&StepDefinition, &BuilderName)> = BTreeMap::new();
    let mut next = VecDeque::from([start]);
    while let Some(builder) = next.pop_front() {
        for (step, asked) in waits.get(builder).into_iter().flatten().copied() {
            if came_from.contains_key(asked) {
                continue;
            }
            came_from.insert(asked, (step, builder));
            next.push_back(asked);
        }
    }
    let (mut step, mut at) = came_from.get(start).copied()?;
    let mut way = vec![at];
    while at != start {
        (step, at) = came_from[at];
        way.push(at);
    }
    way.reverse();
    Some((step, way))
}

fn is_triggerable(scheduler: &SchedulerDefinition) -> bool {
    matches!(scheduler.kind, SchedulerKind::Triggerable { .. })
}
