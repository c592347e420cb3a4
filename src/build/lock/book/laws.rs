//! The laws of the book under random histories, held against a plain model of it.

use proptest::{collection::vec, prelude::*};

use super::*;

/// What happens to the book.
#[derive(Clone, Debug)]
enum Deed {
    Ask(Owner, Vec<Vec<Want>>),
    Withdraw(Owner),
    Release(Owner),
    Limits(BTreeMap<LockName, Limits>),
    /// A build waits for the ends of others.
    Children(BuildRequestId, BTreeSet<BuildRequestId>),
}

/// What everybody holds and waits for, written down without a thought.
#[derive(Clone, Default)]
struct Model {
    limits: BTreeMap<LockName, Limits>,
    held: Vec<(Owner, Wants)>,
    /// In the order of first asks.
    waiting: Vec<(Owner, Vec<Wants>)>,
    children: BTreeMap<BuildRequestId, BTreeSet<BuildRequestId>>,
}

impl Model {
    fn max(&self, lock: &LockId) -> u32 {
        self.limits.get(&lock.name).map_or(1, |limits| limits.of(lock.worker.as_ref()))
    }

    /// Whether wants fit beside what builds hold that pass.
    fn fits(&self, build: BuildRequestId, wants: &Wants, counts: impl Fn(BuildRequestId) -> bool) -> bool {
        wants.iter().all(|(lock, mode)| {
            let others: Vec<Mode> = self
                .held
                .iter()
                .filter(|(owner, _)| owner.request() != build && counts(owner.request()))
                .filter_map(|(_, wants)| wants.get(lock).copied())
                .collect();
            let sum: u32 = others
                .iter()
                .map(|mode| match mode {
                    Mode::Counting(count) => *count,
                    Mode::Exclusive => u32::MAX / 2,
                })
                .sum();
            match mode {
                _ if others.is_empty() => true,
                Mode::Exclusive => false,
                Mode::Counting(count) => sum + count <= self.max(lock),
            }
        })
    }

    fn wants_of(&self, build: BuildRequestId) -> impl Iterator<Item = &Vec<Wants>> {
        self.waiting.iter().filter(move |(owner, _)| owner.request() == build).map(|(_, wants)| wants)
    }

    /// The builds that hold something or are waited for and can never go on, whatever the order of the lines.
    fn stuck(&self) -> BTreeSet<BuildRequestId> {
        let holds = |build: &BuildRequestId| self.held.iter().any(|(owner, _)| owner.request() == *build);
        let is_child = |build: &BuildRequestId| self.children.values().flatten().any(|child| child == build);
        let waits =
            self.waiting.iter().map(|(owner, _)| owner.request()).chain(self.children.keys().copied());
        let mut stuck: BTreeSet<_> = waits.filter(|build| holds(build) || is_child(build)).collect();
        loop {
            let before = stuck.clone();
            stuck.retain(|build| {
                let mut all = self.wants_of(*build);
                let can = |wants: &Wants| self.fits(*build, wants, |other| before.contains(&other));
                let has_locks = all.all(|alternatives| alternatives.iter().any(can));
                let mut children = self.children.get(build).into_iter().flatten();
                !has_locks || children.any(|child| before.contains(child))
            });
            if stuck == before {
                return stuck;
            }
        }
    }

    /// Whether a build has not ended.
    fn is_there(&self, build: BuildRequestId) -> bool {
        let of_build = |owner: &Owner| owner.request() == build;
        self.held.iter().any(|(owner, _)| of_build(owner))
            || self.waiting.iter().any(|(owner, _)| of_build(owner))
            || self.children.contains_key(&build)
    }

    fn granted(&mut self, owner: Owner, wants: Wants) {
        self.waiting.retain(|(waiter, _)| *waiter != owner);
        if wants.is_empty() {
            return;
        }
        match self.held.iter_mut().find(|(holder, _)| *holder == owner) {
            Some((_, held)) => held.extend(wants),
            None => self.held.push((owner, wants)),
        }
    }

    fn waits(&mut self, owner: Owner, alternatives: Vec<Wants>) {
        match self.waiting.iter_mut().find(|(waiter, _)| *waiter == owner) {
            Some((_, earlier)) => *earlier = alternatives,
            None => self.waiting.push((owner, alternatives)),
        }
    }

    fn released(&mut self, owner: Owner) {
        let is_meant = |other: Owner| match owner {
            Owner::Request(request) => other.request() == request,
            Owner::Step { .. } => other == owner,
        };
        self.held.retain(|(holder, _)| !is_meant(*holder));
        self.waiting.retain(|(waiter, _)| !is_meant(*waiter));
    }
}

fn unmerged(wants: &Wants) -> Vec<Want> {
    wants.iter().map(|(lock, mode)| Want { lock: lock.clone(), mode: *mode }).collect()
}

fn lock() -> impl Strategy<Value = LockId> {
    let name = |text| LockName::new(text).expect("a letter is a name");
    let worker = |text| Some(WorkerName::new(text).expect("a letter is a name"));
    prop_oneof![
        Just(LockId { name: name("a"), worker: None }),
        Just(LockId { name: name("b"), worker: None }),
        Just(LockId { name: name("c"), worker: None }),
        Just(LockId { name: name("d"), worker: worker("x") }),
        Just(LockId { name: name("d"), worker: worker("y") }),
    ]
}

fn want() -> impl Strategy<Value = Want> {
    let mode = prop_oneof![3 => (0..4_u32).prop_map(Mode::Counting), 2 => Just(Mode::Exclusive)];
    (lock(), mode).prop_map(|(lock, mode)| Want { lock, mode })
}

fn owner() -> impl Strategy<Value = Owner> {
    (1..6_i64, any::<bool>()).prop_map(|(number, is_step)| {
        let request = BuildRequestId(number);
        if is_step { Owner::Step { request, step: StepId(number) } } else { Owner::Request(request) }
    })
}

fn limits() -> impl Strategy<Value = BTreeMap<LockName, Limits>> {
    (1..4_u32, 1..4_u32, 1..4_u32, 1..3_u32, 1..3_u32).prop_map(|(a, b, c, d, of_x)| {
        let name = |text| LockName::new(text).expect("a letter is a name");
        let master = |max_count| Limits { scope: Scope::Master, max_count, for_worker: BTreeMap::new() };
        let for_worker = BTreeMap::from([(WorkerName::new("x").expect("a letter is a name"), of_x)]);
        let worker = Limits { scope: Scope::Worker, max_count: d, for_worker };
        BTreeMap::from([
            (name("a"), master(a)),
            (name("b"), master(b)),
            (name("c"), master(c)),
            (name("d"), worker),
        ])
    })
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        12 => (owner(), vec(vec(want(), 0..4), 1..3)).prop_map(|(owner, wants)| Deed::Ask(owner, wants)),
        1 => owner().prop_map(Deed::Withdraw),
        3 => owner().prop_map(Deed::Release),
        1 => limits().prop_map(Deed::Limits),
        // Who was asked for is younger.
        2 => (1..5_i64, vec(1..4_i64, 0..3)).prop_map(|(parent, after)| {
            let children = after.iter().map(|after| BuildRequestId(parent + after));
            Deed::Children(BuildRequestId(parent), children.collect())
        }),
    ]
}

/// Carries out a deed, and holds what comes of it against the laws of a single ask.
fn carry_out(book: &mut Book, model: &mut Model, deed: &Deed) -> Result<(), TestCaseError> {
    match deed {
        Deed::Withdraw(owner) => {
            let was_there = model.waiting.iter().any(|(waiter, _)| waiter == owner);
            prop_assert_eq!(book.withdraw(*owner), was_there);
            model.waiting.retain(|(waiter, _)| waiter != owner);
        }
        Deed::Release(owner) => {
            book.release(*owner);
            model.released(*owner);
        }
        Deed::Limits(limits) => {
            book.set_limits(limits.clone());
            model.limits.clone_from(limits);
        }
        Deed::Children(parent, children) => {
            book.set_children(*parent, children.clone());
            model.children.remove(parent);
            if !children.is_empty() {
                model.children.insert(*parent, children.clone());
            }
        }
        Deed::Ask(owner, alternatives) => ask(book, model, *owner, alternatives)?,
    }
    Ok(())
}

fn ask(
    book: &mut Book,
    model: &mut Model,
    owner: Owner,
    alternatives: &[Vec<Want>],
) -> Result<(), TestCaseError> {
    let build = owner.request();
    let wanted: Vec<Wants> = alternatives.iter().map(|wants| merged(wants)).collect();
    let of_build = model.held.iter().filter(|(holder, _)| holder.request() == build);
    let held: BTreeSet<LockId> = of_build.flat_map(|(_, wants)| wants.keys().cloned()).collect();
    let would: Vec<bool> = alternatives.iter().map(|wants| book.would_grant(owner, wants)).collect();
    let granted = match book.ask(owner, alternatives) {
        Err(AskError::AlreadyHeld { lock }) => {
            prop_assert!(held.contains(&lock) && wanted.iter().any(|wants| wants.contains_key(&lock)));
            // Who is told so gives up.
            return carry_out(book, model, &Deed::Withdraw(owner));
        }
        Ok(Answer::Waiting) => {
            prop_assert!(would.iter().all(|would| !would));
            model.waits(owner, wanted);
            return Ok(());
        }
        Ok(Answer::Granted(granted)) => granted,
    };
    prop_assert!(would[granted] && would[..granted].iter().all(|would| !would));
    prop_assert!(wanted.iter().flat_map(BTreeMap::keys).all(|lock| !held.contains(lock)));
    let wants = &wanted[granted];
    // A count within the limit, and the exclusive one alone.
    prop_assert!(model.fits(build, wants, |_| true), "{:?} has {:?}", owner, wants);
    // Whoever came first, could have had its locks, and waits behind nobody, can have them still.
    let mut after = model.clone();
    after.granted(owner, wants.clone());
    let position = model.waiting.iter().position(|(waiter, _)| *waiter == owner);
    let earlier = position.unwrap_or(model.waiting.len());
    for (place, (waiter, alternatives)) in model.waiting[..earlier].iter().enumerate() {
        let stands = standing(alternatives);
        let is_first = model.waiting[..place]
            .iter()
            .all(|(_, before)| standing(before).keys().all(|lock| !stands.contains_key(lock)));
        let other = waiter.request();
        // A build that waits for something else besides can wait for the one that comes later.
        let waits_once = model.wants_of(other).count() == 1 && !model.children.contains_key(&other);
        for wants in alternatives.iter().filter(|_| is_first && other != build && waits_once) {
            prop_assert!(
                !model.fits(other, wants, |_| true) || after.fits(other, wants, |_| true),
                "{:?} has overtaken {:?}",
                owner,
                waiter
            );
        }
    }
    *model = after;
    Ok(())
}

/// What must hold at any time.
fn check(book: &Book, model: &Model) -> Result<(), TestCaseError> {
    // The same is held and waited for, in the same order.
    for state in book.snapshot() {
        let id = LockId { name: state.name.clone(), worker: state.worker.clone() };
        let holders: BTreeMap<Owner, Mode> =
            model.held.iter().filter_map(|(owner, wants)| Some((*owner, *wants.get(&id)?))).collect();
        let shown: BTreeMap<Owner, Mode> =
            state.holders.iter().map(|stand| (stand.owner, stand.mode)).collect();
        prop_assert_eq!(shown, holders);
        let waiters: Vec<Owner> = model
            .waiting
            .iter()
            .filter(|(_, alternatives)| standing(alternatives).contains_key(&id))
            .map(|(owner, _)| *owner)
            .collect();
        prop_assert_eq!(state.waiters.iter().map(|stand| stand.owner).collect::<Vec<_>>(), waiters);
    }
    if model.held.is_empty()
        && let Some((first, _)) = model.waiting.first()
    {
        let alternatives = alternatives_of(model, *first);
        prop_assert!(matches!(book.clone().ask(*first, &alternatives), Ok(Answer::Granted(_))));
    }
    let stuck = model.stuck();
    let mut told = false;
    for (owner, _) in &model.waiting {
        let Some(cycle) = book.deadlock(*owner) else { continue };
        told = true;
        prop_assert_eq!(cycle.links[0].request, owner.request());
        for (link, next) in cycle.links.iter().zip(cycle.links.iter().cycle().skip(1)) {
            prop_assert!(stuck.contains(&link.request));
            match &link.waits_for {
                WaitsFor::End(child) => {
                    prop_assert_eq!(child, &next.request);
                    prop_assert!(model.children[&link.request].contains(child));
                }
                WaitsFor::Lock(lock) => {
                    let mut wanted = model.wants_of(link.request).flatten();
                    prop_assert!(wanted.any(|wants| wants.contains_key(lock)));
                    let mut held = model.held.iter().filter(|(holder, _)| holder.request() == next.request);
                    prop_assert!(held.any(|(_, wants)| wants.contains_key(lock)));
                }
            }
        }
    }
    prop_assert_eq!(told, !stuck.is_empty());
    Ok(())
}

fn alternatives_of(model: &Model, owner: Owner) -> Vec<Vec<Want>> {
    let found = model.waiting.iter().find(|(waiter, _)| *waiter == owner);
    found.expect("it waits").1.iter().map(unmerged).collect()
}

/// All builds end, those in a deadlock by force: all who wait are served, and nothing is left.
///
/// As the handle does it, nobody asks again before the book has changed since its last ask.
fn wind_up(mut book: Book, mut model: Model) -> Result<(), TestCaseError> {
    let mut seen: BTreeMap<Owner, u64> = BTreeMap::new();
    // Each turn ends a build or serves a waiter.
    for _ in 0..60 {
        if model.held.is_empty() && model.waiting.is_empty() && model.children.is_empty() {
            let rest = book.snapshot();
            prop_assert!(rest.iter().all(|state| state.holders.is_empty() && state.waiters.is_empty()));
            prop_assert!(book.locks.is_empty() && book.held.is_empty() && book.waiting.is_empty());
            return Ok(());
        }
        let mut has_moved = false;
        for (parent, children) in model.children.clone() {
            let left =
                children.iter().copied().filter(|child| model.is_there(*child)).collect::<BTreeSet<_>>();
            if left != children {
                carry_out(&mut book, &mut model, &Deed::Children(parent, left))?;
                has_moved = true;
            }
        }
        let waits = |model: &Model, build| {
            model.children.contains_key(&build)
                || model.waiting.iter().any(|(waiter, _)| waiter.request() == build)
        };
        for (owner, _) in model.held.clone() {
            if !waits(&model, owner.request()) {
                carry_out(&mut book, &mut model, &Deed::Release(Owner::Request(owner.request())))?;
                has_moved = true;
            }
        }
        for (owner, _) in model.waiting.clone() {
            if seen.insert(owner, book.version()) == Some(book.version()) {
                continue;
            }
            let alternatives = alternatives_of(&model, owner);
            carry_out(&mut book, &mut model, &Deed::Ask(owner, alternatives))?;
            has_moved |= model.waiting.iter().all(|(waiter, _)| *waiter != owner);
        }
        has_moved |= model.waiting.iter().any(|(owner, _)| seen[owner] != book.version());
        if !has_moved {
            let locked = model.waiting.iter().find(|(owner, _)| book.deadlock(*owner).is_some());
            let Some((owner, _)) = locked else {
                return Err(TestCaseError::fail(format!("they wait for nothing: {:?}", model.waiting)));
            };
            let owner = *owner;
            carry_out(&mut book, &mut model, &Deed::Release(Owner::Request(owner.request())))?;
        }
        check(&book, &model)?;
    }
    Err(TestCaseError::fail("it takes for ever"))
}

proptest! {
    #[test]
    fn whatever_happens_nobody_is_overtaken_starved_or_locked_up_unseen(
        first in limits(),
        deeds in vec(deed(), 1..40),
    ) {
        let (mut book, mut model) = (Book::default(), Model::default());
        carry_out(&mut book, &mut model, &Deed::Limits(first))?;
        for deed in &deeds {
            carry_out(&mut book, &mut model, deed)?;
            check(&book, &model)?;
        }
        wind_up(book, model)?;
    }
}
