//! What a configuration on disk would do to what runs: loaded, checked, planned, told item by item.
//!
//! # Laws
//! - Looking changes nothing.
//!
//! # Not here
//! When this is asked, and what is done about it (`reload`).

use std::{path::PathBuf, sync::Arc};

use tokio::sync::watch;

use crate::{
    build::Load,
    config::{self, Sightings},
    definition::{
        BuilderDefinition, Cost, Deed, MasterDefinition, PlanItem, Problem, ReconfigPlan, WorkerDefinition,
        plan::{Planned, Transition},
    },
    master::{
        generations::{Generations, Item, counted},
        impact::{Impact, Live},
        passwords::{self, Resolved},
    },
    model::{BuilderName, WorkerName},
    secret::Masker,
    worker::{RegistryHandle, Roster},
};

/// What a plan is compared with.
#[derive(Clone)]
pub(super) struct Look {
    pub(super) main: PathBuf,
    /// How much a load of it may use.
    pub(super) limits: config::Limits,
    pub(super) definition: watch::Receiver<Arc<MasterDefinition>>,
    pub(super) load: watch::Receiver<Load>,
    pub(super) registry: RegistryHandle,
    /// Among them the workers that drain.
    pub(super) generations: watch::Receiver<Arc<Generations>>,
    pub(super) roster: watch::Receiver<Arc<Roster>>,
    /// The master's folder, below which secrets may be.
    pub(super) root: PathBuf,
    pub(super) masker: Masker,
}

/// A configuration that obeys all laws.
pub(super) struct Good {
    pub(super) new: MasterDefinition,
    pub(super) plan: ReconfigPlan,
    pub(super) warnings: Vec<Problem>,
    /// Why it needs a restart; if there is nothing here, it could come into force.
    pub(super) refusals: Vec<Problem>,
    pub(super) resolved: Resolved,
}

/// How an effect is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tense {
    /// It is done.
    Done,
    /// It would be done.
    Would,
    /// It is not done.
    Not,
}

impl Look {
    /// Load, check, plan, refusals, passwords. The files that were looked at are told, if the main file could be read.
    pub(super) async fn examine(&self) -> (Option<Sightings>, Result<Good, Vec<Problem>>) {
        let loaded = match config::load(&self.main, self.limits).await {
            Ok(loaded) => loaded,
            Err(failure) => {
                let mut text = failure.to_string();
                let mut source = std::error::Error::source(&failure);
                while let Some(cause) = source {
                    text = format!("{text}: {cause}");
                    source = cause.source();
                }
                return (None, Err(vec![Problem::error(None, text)]));
            }
        };
        let seen = loaded.seen.clone();
        let checked = match loaded.check() {
            Ok(checked) => checked,
            Err(problems) => return (Some(seen), Err(problems)),
        };
        let plan = ReconfigPlan::between(&self.definition.borrow(), &checked.definition);
        let refusals = plan.refusals().into_iter();
        let refusals =
            refusals.map(|refusal| Problem::error(refusal.place.clone(), refusal.to_string())).collect();
        let (files, resolved) = passwords::resolve(&checked.definition, &self.root, &self.masker).await;
        let seen = seen.into_iter().chain(files).collect();
        let good = resolved.map(|resolved| Good {
            new: checked.definition,
            plan,
            warnings: checked.warnings,
            refusals,
            resolved,
        });
        (Some(seen), good)
    }

    /// What becomes of passwords that are others now though the configuration names the same secrets.
    pub(super) fn renewed_passwords(
        &self,
        new: &MasterDefinition,
        resolved: &Resolved,
        tense: Tense,
    ) -> Vec<Item> {
        let effect = match tense {
            Tense::Not => "not applied",
            Tense::Done => "applied",
            Tense::Would => "would be applied",
        };
        let (old, old_roster) = (self.definition.borrow(), self.roster.borrow());
        passwords::renewed((&old, &old_roster), (new, &resolved.roster), effect)
    }

    /// Why a file alone may not do this, if it may not.
    pub(super) fn held(&self, plan: &ReconfigPlan) -> Option<String> {
        let gone = plan.workers.iter().filter(|transition| matches!(transition, Transition::Remove(_)));
        if gone.count() < LEAST_HELD {
            return None;
        }
        let (removed, connected) = {
            let definition = self.definition.borrow();
            let is_connected = |name: &WorkerName| self.registry.connection(name.as_str()).is_some();
            let removed = plan.workers.iter().filter(
                |transition| matches!(transition, Transition::Remove(old) if is_connected(&old.name)),
            );
            (removed.count(), definition.workers.keys().filter(|name| is_connected(name)).count())
        };
        is_held(removed, connected)
            .then(|| format!("it is held, since it removes {removed} of {connected} connected workers"))
    }

    pub(super) fn items(&self, plan: &ReconfigPlan, tense: Tense) -> Vec<Item> {
        self.live(|live| {
            let items = plan.items().into_iter().map(|item| {
                let effect = match (item.deed, tense) {
                    (Deed::Refuse, _) => "refused".to_owned(),
                    (_, Tense::Not) => "not applied".to_owned(),
                    (_, Tense::Done) => effect(&item, plan, live),
                    (_, Tense::Would) => format!("would be {}", effect(&item, plan, live)),
                };
                let PlanItem { noun, name, deed, place, line } = item;
                Item { change: line, effect, noun, name, deed, place }
            });
            items.collect()
        })
    }

    /// What a plan does to what runs.
    pub(super) fn impact(&self, plan: &ReconfigPlan) -> Impact {
        self.live(|live| Impact::of(plan, live))
    }

    /// Looks at what runs.
    fn live<T>(&self, look: impl FnOnce(&Live<'_>) -> T) -> T {
        let (load, generations) = (self.load.borrow().clone(), Arc::clone(&self.generations.borrow()));
        look(&Live {
            is_connected: &|worker| self.registry.connection(worker.as_str()).is_some(),
            load: &load,
            draining: &generations.draining,
        })
    }
}

/// What an item does to what runs.
fn effect(item: &PlanItem, plan: &ReconfigPlan, live: &Live<'_>) -> String {
    let worker = WorkerName::new(&item.name).ok().filter(|_| item.noun == WorkerDefinition::NOUN);
    let worker = worker.map(|name| ((live.is_connected)(&name), live.load.of_worker(&name), name));
    match (item.deed, worker) {
        (Deed::Add, Some((true, _, name))) => {
            let is_another = |transition: &Transition<WorkerDefinition>| matches!(transition, Transition::Add(new) if new.name == name && live.takes_a_new_link(new));
            let which =
                if plan.workers.iter().any(is_another) { "a new link" } else { "the link that it still has" };
            format!("added, with {which}")
        }
        (Deed::Add, _) => "added".into(),
        (Deed::Remove, Some((true, 0, _))) => "removed and disconnected".into(),
        (Deed::Remove, Some((true, builds, _))) => {
            format!("removed, and disconnected after {} that still runs", counted(builds, "build"))
        }
        (Deed::Remove, _) if item.noun == BuilderDefinition::NOUN => {
            match BuilderName::new(&item.name).map_or(0, |name| live.load.of_builder(&name)) {
                0 => "removed".into(),
                builds => format!("removed; {} goes on to its end", counted(builds, "build")),
            }
        }
        (Deed::Remove, _) => "removed".into(),
        (Deed::Change(cost), Some((true, builds, _))) if cost >= Cost::Reattach => match builds {
            0 => "applied, with a new link".into(),
            builds => format!("applied, with a new link; {} is built again", counted(builds, "build")),
        },
        (Deed::Change(Cost::WhenIdle), Some(_)) => "applied to the next instance".into(),
        (Deed::Change(_), _) => "applied".into(),
        (Deed::Refuse, _) => "refused".into(),
    }
}

/// So many workers must go for it to be held: with fewer, none is looked for.
const LEAST_HELD: usize = 3;

/// Whether a change of a file may take away so many workers by itself.
const fn is_held(removed: usize, connected: usize) -> bool {
    removed >= LEAST_HELD && removed * 2 > connected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_alone_takes_away_at_most_half_of_the_workers_or_two() {
        for (removed, connected) in [(0, 0), (1, 1), (2, 2), (2, 3), (3, 6), (50, 100)] {
            assert!(!is_held(removed, connected), "{removed} of {connected}");
        }
        for (removed, connected) in [(3, 3), (3, 5), (4, 7), (51, 100), (100, 100)] {
            assert!(is_held(removed, connected), "{removed} of {connected}");
        }
    }
}
