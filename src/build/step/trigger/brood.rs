//! The builds that a step has asked for, as the store knew them at the last look.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
};

use crate::{
    build::{Running, StopKind},
    definition::Triggered,
    model::{BuildId, BuildRequestId, BuildsetId, Outcome, Timestamp},
    store::{Child, Store, StoreError},
};

/// Why builds are stopped whose parent ends. Source: Buildbot, `steps/trigger.py` (`interrupt`).
const CALLED_OFF: &str = "parent build was interrupted";

/// What a scheduler was asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) scheduler: String,
    pub(super) triggered: Triggered,
    /// Whether its builds count for the outcome.
    pub(super) counts: bool,
}

/// The builds of a step.
#[derive(Debug, Default)]
pub(super) struct Brood {
    pub(super) asked: Vec<Asked>,
    children: Vec<Child>,
    /// Whether the store was asked at least once.
    is_known: bool,
    /// Those whose end was told.
    told: HashSet<BuildRequestId>,
    /// Those that were told to stop.
    stopped: HashSet<BuildId>,
}

impl Brood {
    /// Reads how they are.
    pub(super) async fn look(&mut self, store: &Store) -> Result<(), StoreError> {
        let buildsets: Vec<BuildsetId> = self.asked.iter().map(|asked| asked.triggered.buildset).collect();
        self.children = store.children(&buildsets).await?;
        self.is_known = true;
        Ok(())
    }

    /// Their requests.
    pub(super) fn requests(&self) -> impl Iterator<Item = BuildRequestId> {
        self.asked.iter().flat_map(|asked| &asked.triggered.requests).map(|(_, id)| *id)
    }

    /// Whether a request is one of theirs.
    pub(super) fn has(&self, request: i64) -> bool {
        self.requests().any(|id| id.0 == request)
    }

    /// Whether all have their outcome.
    pub(super) fn is_complete(&self) -> bool {
        self.asked.is_empty() || (self.is_known && self.open() == 0)
    }

    /// How many have none yet.
    pub(super) fn open(&self) -> usize {
        self.children.iter().filter(|child| child.outcome.is_none()).count()
    }

    /// The gravest outcome of those that count. Source: Buildbot, `steps/trigger.py` (`worstStatus`).
    pub(super) fn outcome(&self) -> Outcome {
        let counts = |child: &&Child| {
            self.asked.iter().any(|asked| asked.counts && asked.triggered.buildset == child.buildset)
        };
        let outcomes = self.children.iter().filter(counts).filter_map(|child| child.outcome);
        outcomes.fold(Outcome::Success, Outcome::worst)
    }

    /// A line of the log for each that has ended since the last time.
    pub(super) fn newly_ended(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for child in &self.children {
            if let Some(outcome) = child.outcome.filter(|_| self.told.insert(child.request)) {
                lines.push(format!("{}: {outcome}", called(child)));
            }
        }
        lines
    }

    /// The line that people read: what was triggered, how those ended that have, and which have not. Source of its first
    /// parts: Buildbot, `steps/trigger.py` (`getCurrentSummary`).
    pub(super) fn line(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for asked in &self.asked {
            if !names.contains(&asked.scheduler.as_str()) {
                names.push(&asked.scheduler);
            }
        }
        let mut line = if names.is_empty() {
            "triggered nothing".to_owned()
        } else {
            format!("triggered {}", names.join(", "))
        };
        let mut counts: BTreeMap<i32, (Outcome, usize)> = BTreeMap::new();
        for outcome in self.children.iter().filter_map(|child| child.outcome) {
            counts.entry(outcome.code()).or_insert((outcome, 0)).1 += 1;
        }
        for (outcome, count) in counts.into_values() {
            write!(line, ", {count} {}", plural(outcome, count))
                .expect("a string takes all that is written to it");
        }
        let open: Vec<String> =
            self.children.iter().filter(|child| child.outcome.is_none()).map(called).collect();
        if !open.is_empty() {
            line = format!("{line}: {}", open.join(", "));
        }
        line
    }

    /// Where they are seen: each build, and each request that has none.
    pub(super) fn urls(&self, base: &str) -> Vec<(String, String)> {
        let mut urls = Vec::new();
        for child in &self.children {
            if child.builds.is_empty() {
                let address = format!("{base}#/buildrequests/{}", child.request);
                urls.push((ended(child.outcome, called(child)), address));
            }
            for build in &child.builds {
                let name = format!("{} #{}", child.builder, build.number);
                let address = format!("{base}#/builders/{}/builds/{}", child.builder_id, build.number);
                urls.push((ended(build.outcome, name), address));
            }
        }
        urls
    }

    /// Takes from the queue and stops what has not ended, each build once; then looks how they are.
    pub(super) async fn call_off(&mut self, store: &Store, running: &Running) -> Result<(), StoreError> {
        let looked = self.look(store).await;
        // Those that run are stopped first: for that no store is needed.
        let mut waiting = Vec::new();
        for child in self.children.iter().filter(|child| child.outcome.is_none()) {
            let running_builds = child.builds.iter().filter(|build| build.outcome.is_none());
            let running_builds: Vec<BuildId> = running_builds.map(|build| build.id).collect();
            if running_builds.is_empty() {
                waiting.push(child.request);
            }
            for build in running_builds {
                if let Some(control) = running.control(build)
                    && self.stopped.insert(build)
                {
                    control.stop(StopKind::Cancel, CALLED_OFF);
                }
            }
        }
        looked?;
        for request in waiting {
            store.cancel_request(request, Some(CALLED_OFF), Timestamp::now()).await?;
        }
        self.look(store).await
    }
}

/// The line of the log about what a scheduler was asked for.
pub(super) fn asked_line(scheduler: &str, triggered: &Triggered) -> String {
    let requests = triggered.requests.iter().map(|(builder, id)| format!("{builder} (request {id})"));
    format!("asked {scheduler} for {}", requests.collect::<Vec<_>>().join(", "))
}

/// A request by its newest build, `linux #3`, or as what it is.
fn called(child: &Child) -> String {
    match child.builds.last() {
        Some(build) => format!("{} #{}", child.builder, build.number),
        None => format!("{} (request {})", child.builder, child.request),
    }
}

/// A name with the outcome before it, as Buildbot writes it.
fn ended(outcome: Option<Outcome>, name: String) -> String {
    match outcome {
        Some(outcome) => format!("{outcome}: {name}"),
        None => name,
    }
}

/// The word for several outcomes. Source: Buildbot, `process/results.py`.
const fn plural(outcome: Outcome, count: usize) -> &'static str {
    match outcome {
        _ if count == 1 => outcome.word(),
        Outcome::Success => "successes",
        Outcome::Failure => "failures",
        Outcome::Exception => "exceptions",
        Outcome::Retry => "retries",
        Outcome::Warnings | Outcome::Skipped | Outcome::Cancelled => outcome.word(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{BuilderId, BuilderName},
        store::ChildBuild,
    };

    fn asked(scheduler: &str, buildset: i64, counts: bool) -> Asked {
        let triggered = Triggered { buildset: BuildsetId(buildset), requests: Vec::new() };
        Asked { scheduler: scheduler.into(), triggered, counts }
    }

    fn child(
        buildset: i64,
        builder: &str,
        builds: &[(i64, Option<Outcome>)],
        outcome: Option<Outcome>,
    ) -> Child {
        Child {
            request: BuildRequestId(buildset * 10),
            buildset: BuildsetId(buildset),
            builder: BuilderName::new(builder).unwrap(),
            builder_id: BuilderId(7),
            outcome,
            builds: builds
                .iter()
                .map(|(number, outcome)| ChildBuild {
                    id: BuildId(*number),
                    number: *number,
                    outcome: *outcome,
                })
                .collect(),
        }
    }

    fn brood(asked: Vec<Asked>, children: Vec<Child>) -> Brood {
        Brood { asked, children, is_known: true, ..Brood::default() }
    }

    #[test]
    fn the_gravest_of_those_that_count_decides() {
        use Outcome::{Cancelled, Exception, Failure, Skipped, Success, Warnings};
        let of = |first, second, counts| {
            let children =
                vec![child(1, "a", &[(1, Some(first))], Some(first)), child(2, "b", &[], Some(second))];
            brood(vec![asked("x", 1, true), asked("y", 2, counts)], children).outcome()
        };
        assert_eq!(of(Success, Skipped, true), Success);
        assert_eq!(of(Warnings, Success, true), Warnings);
        assert_eq!(of(Success, Failure, true), Failure);
        assert_eq!(of(Success, Failure, false), Success, "an unimportant one does not count");
        assert_eq!(of(Failure, Exception, true), Exception);
        assert_eq!(of(Exception, Cancelled, true), Cancelled);
    }

    #[test]
    fn people_read_what_has_ended_and_what_is_still_to_come() {
        use Outcome::{Failure, Retry, Success};
        let children = vec![
            child(1, "a", &[(3, Some(Success))], Some(Success)),
            child(1, "b", &[(1, Some(Retry)), (2, None)], None),
            child(2, "c", &[], None),
        ];
        let mut brood = brood(vec![asked("x", 1, true), asked("y", 2, true)], children);
        assert_eq!(brood.line(), "triggered x, y, 1 success: b #2, c (request 20)");
        assert!(!brood.is_complete());
        let urls = [
            ("success: a #3", "http://x/#/builders/7/builds/3"),
            ("retry: b #1", "http://x/#/builders/7/builds/1"),
            ("b #2", "http://x/#/builders/7/builds/2"),
            ("c (request 20)", "http://x/#/buildrequests/20"),
        ];
        assert_eq!(brood.urls("http://x/"), urls.map(|(name, url)| (name.to_owned(), url.to_owned())));
        assert_eq!(brood.newly_ended(), ["a #3: success"]);
        assert!(brood.newly_ended().is_empty(), "each end is told once");
        brood.children[1].outcome = Some(Failure);
        brood.children[2].outcome = Some(Failure);
        assert_eq!(brood.line(), "triggered x, y, 1 success, 2 failures");
        assert!(brood.is_complete());
    }
}
