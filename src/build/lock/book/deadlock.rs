//! Who waits for whom: builds that wait for each other.
//!
//! # Laws
//! - A deadlock is told of if and only if there is one: if all builds that do not wait gave back what they hold, those that
//!   could then go on did so as well, and so forth, and some builds would still wait.
//! - It is told to each build of the circle, to nobody else.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry},
    fmt,
};

use super::{Book, Crowd, LockId, Owner, Wants};
use crate::model::BuildRequestId;

/// Builds that wait for each other in a circle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// Each waits for a lock that the next one holds, or for its end, and the last so for the first.
    pub links: Vec<Link>,
}

/// A build of a circle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The request by which it is known.
    pub request: BuildRequestId,
    /// What it waits for.
    pub waits_for: WaitsFor,
}

/// What a build waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// A lock that another holds.
    Lock(LockId),
    /// The end of a build that it asked for.
    End(BuildRequestId),
}

impl fmt::Display for WaitsFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lock(lock) => lock.fmt(f),
            Self::End(child) => write!(f, "the end of request {child}"),
        }
    }
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, others @ ..] = &*self.links else { return Ok(()) };
        write!(f, "build of request {} ", first.request)?;
        if let Some(Link { waits_for: WaitsFor::Lock(held), .. }) = self.links.last() {
            write!(f, "holds {held} and ")?;
        }
        write!(f, "waits for {}", first.waits_for)?;
        let mut before = &first.waits_for;
        for link in others {
            match before {
                WaitsFor::Lock(_) => {
                    write!(f, ", held by request {}, which waits for {}", link.request, link.waits_for)
                }
                WaitsFor::End(_) => write!(f, ", which waits for {}", link.waits_for),
            }?;
            before = &link.waits_for;
        }
        Ok(())
    }
}

impl Book {
    /// The circle that the build of this owner is in, if it is in one.
    pub fn deadlock(&self, owner: Owner) -> Option<Cycle> {
        let build = owner.request();
        let stuck = self.stuck(build);
        if !stuck.contains(&build) {
            return None;
        }
        // The shortest way back to it, by those who hold what is waited for.
        let mut came_from: BTreeMap<BuildRequestId, (BuildRequestId, WaitsFor)> = BTreeMap::new();
        let mut ways = VecDeque::from([build]);
        while let Some(waiter) = ways.pop_front() {
            let held = self.held_against(waiter, Some(&stuck)).into_iter();
            let held = held.map(|(holder, lock)| (holder, WaitsFor::Lock(lock)));
            let children = self.children_of(waiter).filter(|child| stuck.contains(child));
            for (other, waits_for) in held.chain(children.map(|child| (child, WaitsFor::End(child)))) {
                if other == build {
                    return Some(circle(&came_from, build, waiter, waits_for));
                }
                if let Entry::Vacant(vacant) = came_from.entry(other) {
                    vacant.insert((waiter, waits_for));
                    ways.push_back(other);
                }
            }
        }
        None
    }

    /// Of the builds that this one waits for, directly or through what others hold, and itself: those that can never go on.
    fn stuck(&self, build: BuildRequestId) -> BTreeSet<BuildRequestId> {
        let is_in_between = |build: &BuildRequestId| {
            let waits = self.waiting.contains_key(build) || self.children.contains_key(build);
            waits && self.keeps_others(*build)
        };
        let mut stuck = BTreeSet::new();
        let mut ways = vec![build];
        while let Some(next) = ways.pop() {
            if is_in_between(&next) && stuck.insert(next) {
                ways.extend(self.held_against(next, None).into_iter().map(|(holder, _)| holder));
                ways.extend(self.children_of(next));
            }
        }
        // Whoever can go on gives back what it holds, by and by.
        while let Some(goes_on) = stuck.iter().copied().find(|build| self.goes_on(*build, &stuck)) {
            stuck.remove(&goes_on);
        }
        stuck
    }

    /// Whether all that waits of a build could be granted if only `stuck` builds kept what they hold, and all builds end for
    /// which it waits.
    fn goes_on(&self, build: BuildRequestId, stuck: &BTreeSet<BuildRequestId>) -> bool {
        let mut waiters = self.waiting.get(&build).into_iter().flat_map(BTreeMap::values);
        let is_granted = waiters.all(|waiter| {
            waiter.alternatives.iter().any(|wants| self.missing(build, wants, Some(stuck)).next().is_none())
        });
        is_granted && self.children_of(build).all(|child| !stuck.contains(&child))
    }

    fn children_of(&self, build: BuildRequestId) -> impl Iterator<Item = BuildRequestId> + use<'_> {
        self.children.get(&build).into_iter().flatten().copied()
    }

    /// The locks among `wants` that are not to be had because of what others hold, or what these others hold.
    fn missing<'a>(
        &'a self,
        build: BuildRequestId,
        wants: &'a Wants,
        others: Option<&'a BTreeSet<BuildRequestId>>,
    ) -> impl Iterator<Item = &'a LockId> {
        wants.iter().filter_map(move |(id, mode)| {
            let holders = self.holders(id, build, others).map(|(_, mode)| mode);
            let is_free = holders.collect::<Crowd>().admits(*mode, self.max_count(id));
            (!is_free).then_some(id)
        })
    }

    fn holders<'a>(
        &'a self,
        id: &LockId,
        build: BuildRequestId,
        others: Option<&'a BTreeSet<BuildRequestId>>,
    ) -> impl Iterator<Item = (Owner, super::Mode)> + use<'a> {
        let holders = self.locks.get(id).into_iter().flat_map(move |lock| lock.held_by_others(build));
        holders.filter(move |(holder, _)| others.is_none_or(|others| others.contains(&holder.request())))
    }

    /// Who holds what a build waits for, and which lock that is; only of these others, if they are given.
    fn held_against(
        &self,
        build: BuildRequestId,
        others: Option<&BTreeSet<BuildRequestId>>,
    ) -> Vec<(BuildRequestId, LockId)> {
        let waiters = self.waiting.get(&build).into_iter().flat_map(BTreeMap::values);
        let missing = waiters
            .flat_map(|waiter| &waiter.alternatives)
            .flat_map(|wants| self.missing(build, wants, others));
        missing
            .flat_map(|id| self.holders(id, build, others).map(|(holder, _)| (holder.request(), id.clone())))
            .collect()
    }

    /// Whether a build that waits may have to wait for `target`, for what that holds or because it stands before, perhaps
    /// through others.
    pub(super) fn waits_for(&self, build: BuildRequestId, target: BuildRequestId) -> bool {
        let mut seen = BTreeSet::from([build]);
        let mut ways = vec![build];
        while let Some(next) = ways.pop() {
            for other in self.in_the_way_of(next) {
                if other == target {
                    return true;
                }
                if seen.insert(other) {
                    ways.push(other);
                }
            }
        }
        false
    }

    /// Those who hold, or stand before a build for, what it cannot have now, and those whose ends it waits for.
    fn in_the_way_of(&self, build: BuildRequestId) -> BTreeSet<BuildRequestId> {
        let mut out: BTreeSet<_> = self.children_of(build).collect();
        for waiter in self.waiting.get(&build).into_iter().flat_map(BTreeMap::values) {
            let mut of_waiter = BTreeSet::new();
            for wants in &waiter.alternatives {
                let mut of_wants = wants.iter().flat_map(|(id, mode)| {
                    let Some(lock) = self.locks.get(id) else { return Vec::new() };
                    let others: Vec<_> =
                        lock.held_by_others(build).chain(lock.before(build, waiter.ticket)).collect();
                    let crowd: Crowd = others.iter().map(|(_, mode)| *mode).collect();
                    let is_free = crowd.admits(*mode, self.max_count(id));
                    if is_free { Vec::new() } else { others }
                });
                let Some((first, _)) = of_wants.next() else {
                    // It can have these at once, and waits for nobody.
                    of_waiter.clear();
                    break;
                };
                of_waiter.insert(first.request());
                of_waiter.extend(of_wants.map(|(other, _)| other.request()));
            }
            out.append(&mut of_waiter);
        }
        out
    }
}

/// The circle that is closed when `last` so waits for `first`.
fn circle(
    came_from: &BTreeMap<BuildRequestId, (BuildRequestId, WaitsFor)>,
    first: BuildRequestId,
    last: BuildRequestId,
    waits_for: WaitsFor,
) -> Cycle {
    let mut links = vec![Link { request: last, waits_for }];
    let mut holder = last;
    while holder != first {
        let (waiter, lock) = came_from.get(&holder).cloned().expect("each was reached from the first");
        links.push(Link { request: waiter, waits_for: lock });
        holder = waiter;
    }
    links.reverse();
    Cycle { links }
}
