//! What a plan does to what runs, counted: parts by what becomes of them, links that are cut, builds that end or begin
//! again.
//!
//! # Laws
//! - A part counts once, by the gravest of its changes.
//! - A link counts as cut whenever it is: at once, or when its last build has ended.
//!
//! # Not here
//! The words for each item (`look`), and whether so many links may be cut (`reload`).

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    sync::Arc,
};

use serde::Serialize;

use crate::{
    build::Load,
    definition::{
        Cost, ReconfigPlan, WorkerDefinition,
        plan::{Planned, Transition},
    },
    master::generations::counted,
    model::{BuilderName, Place, WorkerName},
};

/// What a plan does to what runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Impact {
    /// Parts that are new.
    pub added: usize,
    /// Parts that change in place.
    pub in_place: usize,
    /// Parts of which what runs keeps the old form to its end.
    pub when_idle: usize,
    /// Workers whose link is cut and made again.
    pub reattached: usize,
    /// Parts that end, and begin as something else.
    pub replaced: usize,
    /// Parts that go.
    pub removed: usize,
    /// Parts that would need a restart.
    pub refused: usize,
    /// Links that are cut.
    pub links_cut: usize,
    /// Whose they are, by the names of their workers; an attempt of some time ago tells not all.
    pub disconnects: Vec<Cut>,
    /// Builds that end on a worker or a builder that is gone.
    pub builds_draining: usize,
    /// Builds that lose their worker and are built again.
    pub builds_again: usize,
}

/// A link that a plan cuts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// Whose.
    pub worker: WorkerName,
    /// Why.
    pub why: Why,
    /// How many builds run there.
    pub builds: usize,
    /// Where its worker is written; of one that goes, where it was.
    pub source: Place,
}

/// Why a link is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// Its worker goes, once its builds have ended.
    Removed,
    /// It is made again at once.
    Reattached,
    /// Its worker becomes one of another class.
    Replaced,
}

/// What runs.
pub(super) struct Live<'a> {
    /// Whether a worker has a link.
    pub(super) is_connected: &'a dyn Fn(&WorkerName) -> bool,
    /// Which builds run.
    pub(super) load: &'a Load,
    /// Workers that are gone and still have their link.
    pub(super) draining: &'a BTreeMap<WorkerName, Arc<WorkerDefinition>>,
}

impl Live<'_> {
    /// Whether a worker comes back as one of another class while its old link drains.
    pub(super) fn takes_a_new_link(&self, new: &WorkerDefinition) -> bool {
        self.draining.get(&new.name).is_some_and(|old| old.class() != new.class())
    }

    /// Why a change cuts the link of its worker, if it does and there is one.
    fn cut(&self, transition: &Transition<WorkerDefinition>) -> Option<Cut> {
        let (worker, why) = match transition {
            Transition::Remove(old) => (old, Why::Removed),
            Transition::Change { new, .. } => match transition.cost() {
                Cost::InPlace | Cost::WhenIdle => return None,
                Cost::Reattach => (new, Why::Reattached),
                Cost::Replace => (new, Why::Replaced),
            },
            Transition::Add(new) if self.takes_a_new_link(new) => (new, Why::Replaced),
            Transition::Add(_) => return None,
        };
        (self.is_connected)(&worker.name).then(|| Cut {
            worker: worker.name.clone(),
            why,
            builds: self.load.of_worker(&worker.name),
            source: worker.place.clone(),
        })
    }
}

impl Impact {
    /// What a plan does to what runs.
    pub(super) fn of(plan: &ReconfigPlan, live: &Live<'_>) -> Self {
        let mut impact = Self::default();
        impact.count(&plan.settings);
        impact.count(&plan.listeners);
        impact.count(&plan.workers);
        impact.count(&plan.builders);
        impact.count(&plan.schedulers);
        impact.count(&plan.reporters);
        let cuts: BTreeMap<_, _> = plan
            .workers
            .iter()
            .filter_map(|transition| live.cut(transition))
            .map(|cut| (cut.worker.clone(), cut))
            .collect();
        let gone: HashSet<&BuilderName> = plan
            .builders
            .iter()
            .filter_map(|transition| match transition {
                Transition::Remove(old) => Some(&old.name),
                Transition::Add(_) | Transition::Change { .. } => None,
            })
            .collect();
        for ((builder, worker), count) in &live.load.pairs {
            match cuts.get(worker).map(|cut| cut.why) {
                Some(Why::Reattached | Why::Replaced) => impact.builds_again += *count,
                Some(Why::Removed) => impact.builds_draining += *count,
                None if gone.contains(builder) => impact.builds_draining += *count,
                None => {}
            }
        }
        impact.links_cut = cuts.len();
        impact.disconnects = cuts.into_values().collect();
        impact
    }

    /// Whether it cuts more links than may be cut.
    pub(super) fn exceeds(&self, limit: u32) -> bool {
        u32::try_from(self.links_cut).unwrap_or(u32::MAX) > limit
    }

    fn count<T: Planned>(&mut self, transitions: &[Transition<T>]) {
        for transition in transitions {
            let which = match (transition, transition.cost()) {
                (Transition::Add(_), _) => &mut self.added,
                (Transition::Remove(_), _) => &mut self.removed,
                (Transition::Change { .. }, Cost::InPlace) => &mut self.in_place,
                (Transition::Change { .. }, Cost::WhenIdle) => &mut self.when_idle,
                (Transition::Change { .. }, Cost::Reattach) => &mut self.reattached,
                (Transition::Change { .. }, Cost::Replace) if T::IS_THE_MASTER => &mut self.refused,
                (Transition::Change { .. }, Cost::Replace) => &mut self.replaced,
            };
            *which += 1;
        }
    }
}

impl fmt::Display for Impact {
    /// In one line: `3 in place, 1 replaced: 1 link cut, 2 builds drain`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.added, "added"),
            (self.in_place, "in place"),
            (self.when_idle, "when idle"),
            (self.reattached, "reattached"),
            (self.replaced, "replaced"),
            (self.removed, "removed"),
            (self.refused, "refused"),
        ];
        let some = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<_> = some.map(|(count, deed)| format!("{count} {deed}")).collect();
        write!(f, "{}: ", parts.join(", "))?;
        match self.links_cut {
            0 => f.write_str("no link cut")?,
            count => write!(f, "{} cut", counted(count, "link"))?,
        }
        match self.builds_draining {
            0 => {}
            1 => f.write_str(", 1 build drains")?,
            count => write!(f, ", {count} builds drain")?,
        }
        match self.builds_again {
            0 => Ok(()),
            count => write!(f, ", {} again", counted(count, "build")),
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { worker, why, builds, source } = self;
        let worker = worker.as_str();
        match why {
            Why::Removed => write!(f, "worker {worker:?} would lose its link: it is removed")?,
            Why::Reattached => write!(f, "worker {worker:?} would lose its link: it is reattached")?,
            Why::Replaced => write!(f, "worker {worker:?} would lose its link: it is replaced")?,
        }
        match (builds, why) {
            (0, _) => {}
            (builds, Why::Removed) => write!(f, ", after {}", counted(*builds, "build"))?,
            (builds, Why::Reattached | Why::Replaced) => {
                write!(f, ", with {} that would be built again", counted(*builds, "build"))?;
            }
        }
        let was = if *why == Why::Removed { "was " } else { "" };
        write!(f, " [{was}{source}]")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::{
        definition::{BuilderDefinition, MasterDefinition, Passwords, WorkerKind},
        model::Secret,
    };

    fn name(name: &str) -> WorkerName {
        WorkerName::new(name).unwrap()
    }

    fn worker(worker: &str, workdir: &str, line: u32) -> Arc<WorkerDefinition> {
        Arc::new(WorkerDefinition {
            kind: WorkerKind::Local { workdir: workdir.into() },
            place: Place::new("master.cfg.lua", line),
            ..WorkerDefinition::bare(worker)
        })
    }

    fn builder(name: &str) -> Arc<BuilderDefinition> {
        Arc::new(BuilderDefinition::bare(name))
    }

    fn definition(workers: Vec<Arc<WorkerDefinition>>, builders: &[&str]) -> MasterDefinition {
        MasterDefinition {
            workers: workers.into_iter().map(|worker| (worker.name.clone(), worker)).collect(),
            builders: builders.iter().map(|name| (BuilderName::new(name).unwrap(), builder(name))).collect(),
            ..MasterDefinition::nothing()
        }
    }

    fn load(pairs: &[(&str, &str)]) -> Load {
        let mut workers: HashMap<WorkerName, usize> = HashMap::new();
        let mut all = HashMap::new();
        for (builder, worker) in pairs {
            *workers.entry(name(worker)).or_default() += 1;
            *all.entry((BuilderName::new(builder).unwrap(), name(worker))).or_default() += 1;
        }
        Load { definition: Arc::new(MasterDefinition::nothing()), workers, pairs: all }
    }

    #[test]
    fn links_and_builds_are_counted_once_by_what_becomes_of_them() {
        let old = definition(
            vec![
                worker("gone", "g", 1),
                worker("moved", "m", 2),
                worker("away", "a", 3),
                worker("same", "s", 4),
            ],
            &["b", "x"],
        );
        let new = definition(
            vec![worker("moved", "elsewhere", 12), worker("same", "s", 14), worker("new", "n", 15)],
            &["b"],
        );
        let plan = ReconfigPlan::between(&old, &new);
        let load = load(&[("b", "gone"), ("x", "gone"), ("x", "moved"), ("x", "same"), ("b", "same")]);
        let live = Live {
            is_connected: &|worker| worker.as_str() != "away",
            load: &load,
            draining: &BTreeMap::new(),
        };
        let impact = Impact::of(&plan, &live);
        assert_eq!(
            impact.to_string(),
            "1 added, 1 reattached, 3 removed: 2 links cut, 3 builds drain, 1 build again"
        );
        let cuts: Vec<_> = impact.disconnects.iter().map(ToString::to_string).collect();
        assert_eq!(
            cuts,
            [
                "worker \"gone\" would lose its link: it is removed, after 2 builds [was master.cfg.lua:1]",
                "worker \"moved\" would lose its link: it is reattached, with 1 build that would be built again \
                 [master.cfg.lua:12]",
            ]
        );
        assert!(impact.exceeds(0) && impact.exceeds(1) && !impact.exceeds(2));
    }

    #[test]
    fn one_that_comes_back_while_it_drains_loses_its_link_only_as_another_class() {
        let back = worker("back", "b", 5);
        let plan = ReconfigPlan::between(&definition(vec![], &[]), &definition(vec![Arc::clone(&back)], &[]));
        let load = load(&[("b", "back")]);
        let mut other = WorkerDefinition::clone(&back);
        other.kind = WorkerKind::Remote { passwords: Passwords::new(vec![Secret::new("p").into()]).unwrap() };
        for (was, told) in
            [(back, "1 added: no link cut"), (Arc::new(other), "1 added: 1 link cut, 1 build again")]
        {
            let draining = BTreeMap::from([(name("back"), was)]);
            let live = Live { is_connected: &|_| true, load: &load, draining: &draining };
            assert_eq!(Impact::of(&plan, &live).to_string(), told);
        }
    }
}
