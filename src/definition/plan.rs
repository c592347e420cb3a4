//! The way from one configuration to another, as data.
//!
//! A start is the plan from nothing, a reload the plan from what runs. The plan is pure: it tells what each change
//! costs from the two values alone; `master` carries it out.
//!
//! # Laws
//! - `between(a, b).apply(a) == b`.
//! - `between(a, a)` is empty.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::{
    definition::{
        BuilderDefinition, ListenerDefinition, MasterDefinition, ReporterDefinition, SchedulerDefinition,
        SecretsProvider, WorkerDefinition, master::Settings, shown::Shown,
    },
    model::Place,
};

#[cfg(test)]
mod tests;

/// What becoming another costs, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cost {
    /// Read at the next use; nothing is disturbed.
    InPlace,
    /// Once nothing of the old runs.
    WhenIdle,
    /// The link is cut and made again.
    Reattach,
    /// The old one ends and a new one begins.
    Replace,
}

/// One option that changed, as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// The option, as the operator writes it.
    pub option: &'static str,
    /// From what; `…` if secret.
    pub old: String,
    /// To what; `…` if secret.
    pub new: String,
    /// What it costs.
    pub cost: Cost,
}

/// What happens to one named part.
#[derive(Clone, Debug)]
pub enum Transition<T> {
    /// It is new.
    Add(Arc<T>),
    /// It goes.
    Remove(Arc<T>),
    /// It becomes another.
    Change {
        /// What it was.
        old: Arc<T>,
        /// What it will be.
        new: Arc<T>,
        /// In which options, at least one.
        fields: Vec<FieldChange>,
    },
}

/// The way from one configuration to another.
#[derive(Clone, Debug, Default)]
pub struct ReconfigPlan {
    /// What concerns the master as a whole.
    pub settings: Vec<Transition<Settings>>,
    /// Providers of secrets.
    pub secrets_providers: Vec<Transition<SecretsProvider>>,
    /// Ports.
    pub listeners: Vec<Transition<ListenerDefinition>>,
    /// Workers.
    pub workers: Vec<Transition<WorkerDefinition>>,
    /// Builders.
    pub builders: Vec<Transition<BuilderDefinition>>,
    /// Schedulers.
    pub schedulers: Vec<Transition<SchedulerDefinition>>,
    /// Reporters.
    pub reporters: Vec<Transition<ReporterDefinition>>,
}

/// One thing that a plan does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanItem {
    /// What the part is called by people: `worker`, `builder`.
    pub noun: &'static str,
    /// Its name.
    pub name: String,
    /// What is done with it.
    pub deed: Deed,
    /// Where it is written; of what goes, where it was.
    pub place: Place,
    /// The whole in one line, without secrets: `~ worker "bot1": max_builds 1 -> 2 (in place)`.
    pub line: String,
}

/// What is done with a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It is new.
    Add,
    /// It goes.
    Remove,
    /// One of its options changes, at this cost.
    Change(Cost),
    /// One of its options would change, which a running master cannot do: the plan is refused whole.
    Refuse,
}

/// A change that a running master cannot make.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`c.{option}` cannot change while the master runs ({old} -> {new}); restart it")]
pub struct Refusal {
    /// The option.
    pub option: &'static str,
    /// From what.
    pub old: String,
    /// To what.
    pub new: String,
    /// Where the new one is written.
    pub place: Place,
}

/// A part that a plan may add, remove or change.
pub trait Planned: PartialEq + Sized {
    /// What people call it.
    const NOUN: &'static str;
    /// Whether to replace it means to restart the master.
    const IS_THE_MASTER: bool = false;
    /// What it is called.
    fn name(&self) -> &str;
    /// Where it was written.
    fn place(&self) -> &Place;
    /// Where one of its options was written; where the whole was, if that is not known.
    fn place_of(&self, _option: &str) -> &Place {
        self.place()
    }
    /// The options in which `new` differs, and what each costs. Empty if and only if they are equal.
    fn changes(&self, new: &Self) -> Vec<FieldChange>;
}

/// Compares two values option by option: `"option" field Cost`.
macro_rules! changes {
    ($old:expr, $new:expr; $($option:literal $field:ident $cost:ident,)*) => {{
        let mut out: Vec<$crate::definition::plan::FieldChange> = Vec::new();
        $(out.extend($crate::definition::plan::FieldChange::between(
            $option, &$old.$field, &$new.$field, $crate::definition::plan::Cost::$cost,
        ));)*
        out
    }};
}
pub(crate) use changes;

impl Cost {
    /// As programs are told.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InPlace => "in_place",
            Self::WhenIdle => "when_idle",
            Self::Reattach => "reattach",
            Self::Replace => "replace",
        }
    }
}

impl Deed {
    /// As programs are told.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Change(_) => "change",
            Self::Refuse => "refuse",
        }
    }
}

impl FieldChange {
    /// A change with both sides shown.
    pub fn new(option: &'static str, old: &impl fmt::Display, new: &impl fmt::Display, cost: Cost) -> Self {
        Self { option, old: old.to_string(), new: new.to_string(), cost }
    }

    /// A change of a secret.
    pub fn hidden(option: &'static str, cost: Cost) -> Self {
        Self { option, old: "…".into(), new: "…".into(), cost }
    }

    /// The change between two values, if they differ.
    pub fn between<T: PartialEq + Shown>(option: &'static str, old: &T, new: &T, cost: Cost) -> Option<Self> {
        (old != new).then(|| Self { option, old: old.shown(), new: new.shown(), cost })
    }
}

impl ReconfigPlan {
    /// The way from `old` to `new`.
    pub fn between(old: &MasterDefinition, new: &MasterDefinition) -> Self {
        let settings = |definition: &MasterDefinition| -> BTreeMap<(), Arc<Settings>> {
            definition.settings.iter().map(|settings| ((), Arc::clone(settings))).collect()
        };
        Self {
            settings: transitions(&settings(old), &settings(new)),
            secrets_providers: transitions(&old.secrets_providers, &new.secrets_providers),
            listeners: transitions(&old.listeners, &new.listeners),
            workers: transitions(&old.workers, &new.workers),
            builders: transitions(&old.builders, &new.builders),
            schedulers: transitions(&old.schedulers, &new.schedulers),
            reporters: transitions(&old.reporters, &new.reporters),
        }
    }

    /// What `old` becomes by this plan.
    #[must_use]
    pub fn apply(&self, old: &MasterDefinition) -> MasterDefinition {
        // The interpreter is another one in each load, and outside equality.
        let mut next = old.clone();
        for transition in &self.settings {
            next.settings = match transition {
                Transition::Add(new) | Transition::Change { new, .. } => Some(Arc::clone(new)),
                Transition::Remove(_) => None,
            };
        }
        apply_all(&self.secrets_providers, &mut next.secrets_providers, |provider| provider.name.clone());
        apply_all(&self.listeners, &mut next.listeners, |listener| listener.id);
        apply_all(&self.workers, &mut next.workers, |worker| worker.name.clone());
        apply_all(&self.builders, &mut next.builders, |builder| builder.name.clone());
        apply_all(&self.schedulers, &mut next.schedulers, |scheduler| scheduler.name.clone());
        apply_all(&self.reporters, &mut next.reporters, |reporter| reporter.name.clone());
        next
    }

    /// Whether there is nothing to do.
    pub const fn is_empty(&self) -> bool {
        self.settings.is_empty()
            && self.secrets_providers.is_empty()
            && self.listeners.is_empty()
            && self.workers.is_empty()
            && self.builders.is_empty()
            && self.schedulers.is_empty()
            && self.reporters.is_empty()
    }

    /// What a running master cannot do: the plan is refused whole.
    pub fn refusals(&self) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        for transition in &self.settings {
            let Transition::Change { new, fields, .. } = transition else { continue };
            for field in fields.iter().filter(|field| needs_restart::<Settings>(field)) {
                let FieldChange { option, old, new: is, .. } = field.clone();
                let place = new.place_of(option).clone();
                refusals.push(Refusal { option, old, new: is, place });
            }
        }
        refusals
    }

    /// All that is done, one by one, as `reconfig --dry-run` and the log show it.
    pub fn items(&self) -> Vec<PlanItem> {
        let mut items = Vec::new();
        describe(&self.settings, &mut items);
        describe(&self.secrets_providers, &mut items);
        describe(&self.listeners, &mut items);
        describe(&self.workers, &mut items);
        describe(&self.builders, &mut items);
        describe(&self.schedulers, &mut items);
        describe(&self.reporters, &mut items);
        items
    }

    /// One line an item.
    pub fn lines(&self) -> Vec<String> {
        self.items().into_iter().map(|item| item.line).collect()
    }
}

impl<T: Planned> Transition<T> {
    /// What the change costs, as the gravest of its options; nothing is disturbed by what is new.
    pub fn cost(&self) -> Cost {
        match self {
            Self::Add(_) => Cost::InPlace,
            Self::Remove(_) => Cost::WhenIdle,
            Self::Change { fields, .. } => {
                fields.iter().map(|field| field.cost).max().unwrap_or(Cost::InPlace)
            }
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InPlace => "in place",
            Self::WhenIdle => "when idle",
            Self::Reattach => "cuts the link once",
            Self::Replace => "replaces it",
        })
    }
}

fn transitions<K: Ord, T: Planned>(
    old: &BTreeMap<K, Arc<T>>,
    new: &BTreeMap<K, Arc<T>>,
) -> Vec<Transition<T>> {
    let mut out = Vec::new();
    for (name, was) in old {
        match new.get(name) {
            None => out.push(Transition::Remove(Arc::clone(was))),
            Some(is) if is != was => out.push(Transition::Change {
                old: Arc::clone(was),
                new: Arc::clone(is),
                fields: was.changes(is),
            }),
            Some(_) => {}
        }
    }
    out.extend(
        new.iter().filter(|(name, _)| !old.contains_key(name)).map(|(_, is)| Transition::Add(Arc::clone(is))),
    );
    out
}

fn apply_all<K: Ord, T>(transitions: &[Transition<T>], map: &mut BTreeMap<K, Arc<T>>, key: impl Fn(&T) -> K) {
    for transition in transitions {
        match transition {
            Transition::Add(new) | Transition::Change { new, .. } => {
                map.insert(key(new), Arc::clone(new));
            }
            Transition::Remove(old) => {
                map.remove(&key(old));
            }
        }
    }
}

/// Whether a running master cannot make this change.
fn needs_restart<T: Planned>(field: &FieldChange) -> bool {
    T::IS_THE_MASTER && field.cost == Cost::Replace
}

fn describe<T: Planned>(transitions: &[Transition<T>], items: &mut Vec<PlanItem>) {
    let mut push = |part: &T, deed, place: &Place, line| {
        let (name, place) = (part.name().to_owned(), place.clone());
        items.push(PlanItem { noun: T::NOUN, name, deed, place, line });
    };
    let named = |part: &T| format!("{} {:?}", T::NOUN, part.name());
    for transition in transitions {
        match transition {
            Transition::Add(new) => push(new, Deed::Add, new.place(), format!("+ {}", named(new))),
            Transition::Remove(old) => push(old, Deed::Remove, old.place(), format!("- {}", named(old))),
            Transition::Change { old, new, fields } => {
                for field in fields {
                    let FieldChange { option, old: was, new: is, cost } = field;
                    let change = format!("{}: {option} {was} -> {is}", named(old));
                    let place = new.place_of(option);
                    if needs_restart::<T>(field) {
                        push(new, Deed::Refuse, place, format!("! {change} (needs a restart)"));
                    } else {
                        push(new, Deed::Change(*cost), place, format!("~ {change} ({cost})"));
                    }
                }
            }
        }
    }
}
