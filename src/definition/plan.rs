//! The way from one configuration to another, as data.
//!
//! A start is the plan from nothing, a reload the plan from what runs. The plan is pure: it tells what each change
//! costs from the two values alone; `master` carries it out.
//!
//! # Another kind of part
//! A kind is one line in `kinds!` below, and an `impl Planned` beside its definition. From these come its transitions, its
//! items, its refusals, and the laws. What is done with it stands in `master::reconfig`; what of it lives and is counted
//! (links, builds), in `master::impact`.
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
        Self { option, old: shortened(old.to_string()), new: shortened(new.to_string()), cost }
    }

    /// A change of a secret.
    pub fn hidden(option: &'static str, cost: Cost) -> Self {
        Self { option, old: "…".into(), new: "…".into(), cost }
    }

    /// The change between two values, if they differ.
    pub fn between<T: PartialEq + Shown>(option: &'static str, old: &T, new: &T, cost: Cost) -> Option<Self> {
        (old != new).then(|| {
            let (old, new) = old.shown_beside(new);
            Self { option, old: shortened(old), new: shortened(new), cost }
        })
    }
}

/// Makes the plan of all kinds of parts: `field: Definition, by |part| its key in the configuration's table`.
macro_rules! kinds {
    ($($(#[$doc:meta])* $field:ident: $part:ty, by $key:expr;)*) => {
        /// The way from one configuration to another.
        #[derive(Clone, Debug, Default)]
        pub struct ReconfigPlan {
            $($(#[$doc])* pub $field: Vec<Transition<$part>>,)*
        }

        impl ReconfigPlan {
            /// The way from `old` to `new`.
            pub fn between(old: &MasterDefinition, new: &MasterDefinition) -> Self {
                Self { $($field: transitions(&old.$field, &new.$field),)* }
            }

            /// What `old` becomes by this plan.
            #[must_use]
            pub fn apply(&self, old: &MasterDefinition) -> MasterDefinition {
                // The interpreter is another one in each load, and outside equality.
                let mut next = old.clone();
                $(apply_all(&self.$field, &mut next.$field, $key);)*
                next
            }

            /// Whether there is nothing to do.
            pub const fn is_empty(&self) -> bool {
                $(self.$field.is_empty())&&*
            }

            /// What a running master cannot do: with any of it, the plan is refused whole.
            pub fn refusals(&self) -> Vec<Refusal> {
                let mut refusals = Vec::new();
                $(refuse(&self.$field, &mut refusals);)*
                refusals
            }

            /// All that is done, one by one, as `reconfig --dry-run` and the log show it.
            pub fn items(&self) -> Vec<PlanItem> {
                let mut items = Vec::new();
                $(describe(&self.$field, &mut items);)*
                items
            }
        }
    };
}

kinds! {
    /// What concerns the master as a whole.
    settings: Settings, by |_| ();
    /// Providers of secrets.
    secrets_providers: SecretsProvider, by |provider| provider.name.clone();
    /// Ports.
    listeners: ListenerDefinition, by |listener| listener.id;
    /// Workers.
    workers: WorkerDefinition, by |worker| worker.name.clone();
    /// Builders.
    builders: BuilderDefinition, by |builder| builder.name.clone();
    /// Schedulers.
    schedulers: SchedulerDefinition, by |scheduler| scheduler.name.clone();
    /// Reporters.
    reporters: ReporterDefinition, by |reporter| reporter.name.clone();
}

impl ReconfigPlan {
    /// One line an item.
    pub fn lines(&self) -> Vec<String> {
        self.items().into_iter().map(|item| item.line).collect()
    }
}

/// A value in the line of an item: of a very long one, the beginning, and how much there is of it.
fn shortened(text: String) -> String {
    const MOST: usize = 300;
    let count = text.chars().count();
    if count <= MOST {
        return text;
    }
    let beginning: String = text.chars().take(MOST).collect();
    format!("{beginning}… ({count} characters)")
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

/// Where a configuration keeps its parts of one kind: a table of them, or room for one.
trait Shelf<T: 'static> {
    type Key: Ord + 'static;
    /// All of them, in the order of their keys.
    fn parts(&self) -> impl Iterator<Item = (&Self::Key, &Arc<T>)>;
    fn put(&mut self, key: Self::Key, part: Arc<T>);
    fn take(&mut self, key: &Self::Key);
}

impl<K: Ord + 'static, T: 'static> Shelf<T> for BTreeMap<K, Arc<T>> {
    type Key = K;

    fn parts(&self) -> impl Iterator<Item = (&K, &Arc<T>)> {
        self.iter()
    }

    fn put(&mut self, key: K, part: Arc<T>) {
        self.insert(key, part);
    }

    fn take(&mut self, key: &K) {
        self.remove(key);
    }
}

impl<T: 'static> Shelf<T> for Option<Arc<T>> {
    type Key = ();

    fn parts(&self) -> impl Iterator<Item = (&(), &Arc<T>)> {
        self.iter().map(|part| (&(), part))
    }

    fn put(&mut self, (): (), part: Arc<T>) {
        *self = Some(part);
    }

    fn take(&mut self, (): &()) {
        *self = None;
    }
}

/// What goes and what changes, in the order of the names; then what is new. Both sides are walked once, side by side.
fn transitions<S: Shelf<T>, T: Planned + 'static>(old: &S, new: &S) -> Vec<Transition<T>> {
    let (mut out, mut added) = (Vec::new(), Vec::new());
    let mut coming = new.parts().peekable();
    for (key, was) in old.parts() {
        while let Some((_, is)) = coming.next_if(|(name, _)| *name < key) {
            added.push(Transition::Add(Arc::clone(is)));
        }
        match coming.next_if(|(name, _)| *name == key) {
            None => out.push(Transition::Remove(Arc::clone(was))),
            Some((_, is)) if is != was => out.push(Transition::Change {
                old: Arc::clone(was),
                new: Arc::clone(is),
                fields: was.changes(is),
            }),
            Some(_) => {}
        }
    }
    added.extend(coming.map(|(_, is)| Transition::Add(Arc::clone(is))));
    out.append(&mut added);
    out
}

fn apply_all<S: Shelf<T>, T: 'static>(
    transitions: &[Transition<T>],
    shelf: &mut S,
    key: impl Fn(&T) -> S::Key,
) {
    for transition in transitions {
        match transition {
            Transition::Add(new) | Transition::Change { new, .. } => shelf.put(key(new), Arc::clone(new)),
            Transition::Remove(old) => shelf.take(&key(old)),
        }
    }
}

/// Whether a running master cannot make this change.
fn needs_restart<T: Planned>(field: &FieldChange) -> bool {
    T::IS_THE_MASTER && field.cost == Cost::Replace
}

fn refuse<T: Planned>(transitions: &[Transition<T>], refusals: &mut Vec<Refusal>) {
    for transition in transitions {
        let Transition::Change { new, fields, .. } = transition else { continue };
        for field in fields.iter().filter(|field| needs_restart::<T>(field)) {
            let FieldChange { option, old, new: is, .. } = field.clone();
            let place = new.place_of(option).clone();
            refusals.push(Refusal { option, old, new: is, place });
        }
    }
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
