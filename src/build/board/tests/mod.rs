//! The laws of the board, under random histories, with a store and a farm of plain values.

mod asked;
mod explained;
mod turns;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    num::NonZeroU32,
    sync::Arc,
    time::Instant,
};

use proptest::prelude::*;

use super::{Board, Move, Outlook, PAGE, Question, Standing, Start, Wanted};
use crate::{
    build::lock::{self, LockId, Locks, Mode, Owner, Want},
    definition::{
        BuilderDefinition, LockAccess, LockDefinition, LockKind, LockMode, MasterDefinition, Mismatch,
        WorkerDefinition, WorkerKind,
    },
    model::{
        BuildRequestId, BuilderName, BuildsetId, LockName, Place, Properties, Remark, StepId, Timestamp,
        WorkerName,
    },
    store::QueuedRequest,
};

const BUILDERS: [&str; 4] = ["a", "b", "exclusive", "counting"];
const WORKERS: [&str; 3] = ["w0", "w1", "w2"];

/// What happens.
#[derive(Clone, Debug)]
enum Deed {
    Request {
        builder: usize,
        priority: i32,
    },
    Attach(usize),
    Detach(usize),
    Pause(usize),
    Unpause(usize),
    End(usize),
    Cancel(usize),
    Reload(u32),
    /// A step of some build takes the lock of `exclusive`, if it can.
    Lock,
    /// It gives it back.
    Unlock,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => (0..4_usize, -1..2_i32).prop_map(|(builder, priority)| Deed::Request { builder, priority }),
        2 => (0..3_usize).prop_map(Deed::Attach),
        1 => (0..3_usize).prop_map(Deed::Detach),
        1 => (0..3_usize).prop_map(Deed::Pause),
        1 => (0..3_usize).prop_map(Deed::Unpause),
        4 => any::<usize>().prop_map(Deed::End),
        1 => any::<usize>().prop_map(Deed::Cancel),
        1 => (1..4_u32).prop_map(Deed::Reload),
        1 => Just(Deed::Lock),
        1 => Just(Deed::Unlock),
    ]
}

/// The workers of the model.
#[derive(Debug, Default)]
struct Farmland {
    connected: BTreeSet<usize>,
    paused: BTreeSet<usize>,
}

impl Outlook for Farmland {
    fn standing(&self, worker: &WorkerName) -> Standing {
        let number = WORKERS.iter().position(|name| *name == worker.as_str()).expect("a worker of the model");
        if !self.connected.contains(&number) {
            return Standing::Absent;
        }
        if self.paused.contains(&number) {
            return Standing::Paused(Remark::new(None, None, Timestamp::UNIX_EPOCH));
        }
        Standing::Ready
    }

    fn fits(&self, _: &BuilderDefinition, _: &WorkerDefinition) -> Result<(), Mismatch> {
        Ok(())
    }
}

/// The store of the model, and what runs.
struct Model {
    board: Board,
    farm: Farmland,
    size: u32,
    waiting: BTreeMap<i64, QueuedRequest>,
    /// By request: builder, worker, place.
    running: BTreeMap<i64, (String, String, u32)>,
    done: BTreeSet<i64>,
    last: i64,
    /// Whether a step has the lock of `exclusive`.
    is_locked: bool,
    /// What the board asks functions.
    asked: Vec<Question>,
    /// What the clock says.
    now: Instant,
}

/// The step that takes locks beside the board.
const STEP: Owner = Owner::Step { request: BuildRequestId(1_000_000), step: StepId(1) };

fn access(name: &str, mode: LockMode, max_count: u32) -> LockAccess {
    let place = Place::new("master.cfg.lua", 1);
    let name = LockName::new(name).expect("a good name");
    let lock = Arc::new(LockDefinition { name, kind: LockKind::Master, max_count, place: place.clone() });
    LockAccess { lock, mode, place }
}

/// The configuration: worker w0 runs one build, w1 as many as `size` says, w2 without limit; the counting lock has `size`.
fn definition(size: u32) -> Arc<MasterDefinition> {
    let mut definition = MasterDefinition::nothing();
    for (number, name) in WORKERS.iter().enumerate() {
        let worker = WorkerDefinition {
            name: WorkerName::new(name).expect("a good name"),
            kind: WorkerKind::Local { workdir: (*name).into() },
            max_builds: [NonZeroU32::new(1), NonZeroU32::new(size), None][number],
            properties: BTreeMap::new(),
            default_properties: BTreeMap::new(),
            keepalive_interval: None,
            keepalive_timeout: None,
            resume_grace: None,
            missing_timeout: None,
            notify_on_missing: Vec::new(),
            locks: Vec::new(),
            place: Place::new("master.cfg.lua", 1),
        };
        definition.workers.insert(worker.name.clone(), Arc::new(worker));
    }
    let names = |numbers: &[usize]| -> Vec<WorkerName> {
        numbers.iter().map(|number| WorkerName::new(WORKERS[*number]).expect("a good name")).collect()
    };
    let builders = [
        BuilderDefinition { worker_names: names(&[0, 1]), ..BuilderDefinition::bare("a") },
        BuilderDefinition {
            worker_names: names(&[1, 2]),
            max_builds_per_worker: 2,
            ..BuilderDefinition::bare("b")
        },
        BuilderDefinition {
            worker_names: names(&[0, 1, 2]),
            max_builds_per_worker: 3,
            locks: vec![access("one", LockMode::Exclusive, 1)],
            ..BuilderDefinition::bare("exclusive")
        },
        BuilderDefinition {
            worker_names: names(&[0, 2]),
            max_builds_per_worker: 9,
            locks: vec![access("some", LockMode::Counting(1), size)],
            ..BuilderDefinition::bare("counting")
        },
    ];
    for builder in builders {
        definition.builders.insert(builder.name.clone(), Arc::new(builder));
    }
    Arc::new(definition)
}

impl Model {
    fn new() -> Self {
        let (definition, locks) = (definition(2), Locks::default());
        locks.set_limits(lock::limits(&definition));
        Self {
            board: Board::new(definition, locks),
            farm: Farmland::default(),
            size: 2,
            waiting: BTreeMap::new(),
            running: BTreeMap::new(),
            done: BTreeSet::new(),
            last: 0,
            is_locked: false,
            asked: Vec::new(),
            now: Instant::now(),
        }
    }

    fn carry_out(&mut self, deed: &Deed) {
        match *deed {
            Deed::Request { builder, priority } => {
                self.last += 1;
                let builder = BuilderName::new(BUILDERS[builder]).expect("a good name");
                let request = QueuedRequest {
                    id: BuildRequestId(self.last),
                    buildset: BuildsetId(self.last),
                    builder: builder.clone(),
                    priority,
                    submitted_at: Timestamp::from_second(self.last).expect("a good instant"),
                    waiting_since: Timestamp::from_second(self.last).expect("a good instant"),
                    attempts: 0,
                    reason: String::new(),
                    properties: Properties::new(),
                    not_before: None,
                    avoid: None,
                    parent: None,
                };
                self.waiting.insert(self.last, request);
                self.board.mark_stale(&builder);
            }
            Deed::Attach(worker) => {
                self.farm.connected.insert(worker);
                self.board.something_changed();
            }
            Deed::Detach(worker) => {
                self.farm.connected.remove(&worker);
                let lost: Vec<i64> = self
                    .running
                    .iter()
                    .filter(|(_, (_, on, _))| on == WORKERS[worker])
                    .map(|(id, _)| *id)
                    .collect();
                for id in lost {
                    self.end(id, true);
                }
                self.board.something_changed();
            }
            Deed::Pause(worker) => {
                self.farm.paused.insert(worker);
                self.board.something_changed();
            }
            Deed::Unpause(worker) => {
                self.farm.paused.remove(&worker);
                self.board.something_changed();
            }
            Deed::End(nth) => {
                if let Some(id) = nth_of(&self.running, nth) {
                    self.end(id, false);
                }
            }
            Deed::Cancel(nth) => {
                if let Some(id) = nth_of(&self.waiting, nth) {
                    let request = self.waiting.remove(&id).expect("it was just found");
                    self.done.insert(id);
                    self.board.forget(&request.builder, request.id);
                }
            }
            Deed::Reload(size) => {
                self.size = size;
                let definition = definition(size);
                self.board.locks.set_limits(lock::limits(&definition));
                self.board.reconfigure(definition);
            }
            Deed::Lock => {
                let lock = LockId { name: LockName::new("one").expect("a good name"), worker: None };
                let wants = [vec![Want { lock, mode: Mode::Exclusive }]];
                self.is_locked |= self.board.locks.try_take(STEP, &wants) == Ok(lock::Answer::Granted(0));
                self.board.locks.withdraw(STEP);
            }
            Deed::Unlock => {
                self.is_locked = false;
                self.board.locks.release(STEP);
                self.board.something_changed();
            }
        }
    }

    /// A build ends; if it was lost, its request waits again.
    fn end(&mut self, id: i64, is_lost: bool) {
        let (builder, ..) = self.running.remove(&id).expect("it runs");
        let builder = BuilderName::new(&builder).expect("a good name");
        self.board.release(BuildRequestId(id));
        if is_lost {
            let request = self.waiting.get(&id).expect("the model keeps the requests of running builds");
            assert_eq!(request.builder, builder);
            self.board.mark_stale(&builder);
        } else {
            self.waiting.remove(&id);
            self.done.insert(id);
        }
    }

    /// Does what the board demands until it demands nothing more.
    fn settle(&mut self) {
        for _ in 0..1000 {
            let round = self.board.round(&self.farm, &HashSet::new(), Wanted::All, self.now);
            if round.moves.is_empty() && round.refills.is_empty() {
                return;
            }
            for done in round.moves {
                match done {
                    Move::Start(start) => self.begin(&start),
                    Move::Ask(question) => self.asked.push(*question),
                }
            }
            for refill in round.refills {
                let mut next = Some(refill);
                while let Some(refill) = next {
                    let mut page: Vec<QueuedRequest> = self
                        .waiting
                        .values()
                        .filter(|request| request.builder == refill.builder)
                        .filter(|request| !self.running.contains_key(&request.id.0))
                        .cloned()
                        .collect();
                    page.sort_by_key(|request| (-request.priority, request.id));
                    let from = refill.after.map_or(0, |mark| {
                        page.iter().position(|request| request.mark() == mark).map_or(0, |at| at + 1)
                    });
                    let page: Vec<_> = page.into_iter().skip(from).take(PAGE).collect();
                    let more = page.len() == PAGE;
                    next = self.board.refill(&refill, page, more);
                }
            }
        }
        panic!("the board never comes to rest");
    }

    fn begin(&mut self, start: &Start) {
        let (id, place) = (start.request.id.0, start.place);
        let (builder, worker) = (start.builder.name.as_str(), start.worker.name.as_str());
        assert!(self.waiting.contains_key(&id) && !self.done.contains(&id), "{id} does not wait");
        assert!(!self.running.contains_key(&id), "{id} runs twice");
        assert!(self.may_take(builder, worker), "{worker} may not take a build of {builder}");
        let is_taken =
            self.running.values().any(|(b, w, p)| (b.as_str(), w.as_str(), *p) == (builder, worker, place));
        assert!(!is_taken, "two builds of {builder} in place {place} on {worker}");
        self.running.insert(id, (builder.to_owned(), worker.to_owned(), place));
    }

    /// The rules, told a second time.
    fn may_take(&self, builder: &str, worker: &str) -> bool {
        let number = WORKERS.iter().position(|name| *name == worker).expect("a worker of the model");
        let named: &[usize] = match builder {
            "a" => &[0, 1],
            "b" => &[1, 2],
            "exclusive" => &[0, 1, 2],
            _ => &[0, 2],
        };
        let places = match builder {
            "a" => 1,
            "b" => 2,
            "exclusive" => 3,
            _ => 9,
        };
        let size = usize::try_from(self.size).expect("a small number");
        let most = [1, size, usize::MAX][number];
        let on_worker = self.running.values().filter(|(_, w, _)| w == worker).count();
        let of_both = self.running.values().filter(|(b, w, _)| b == builder && w == worker).count();
        let of_builder = self.running.values().filter(|(b, ..)| b == builder).count();
        let is_unlocked = match builder {
            "exclusive" => of_builder == 0 && !self.is_locked,
            "counting" => of_builder < size,
            _ => true,
        };
        named.contains(&number)
            && self.farm.connected.contains(&number)
            && !self.farm.paused.contains(&number)
            && on_worker < most
            && of_both < places
            && is_unlocked
    }

    fn check(&self) {
        for request in self.waiting.values().filter(|request| !self.running.contains_key(&request.id.0)) {
            for worker in WORKERS {
                let builder = request.builder.as_str();
                assert!(!self.may_take(builder, worker), "{} waits, and {worker} may take it", request.id);
            }
        }
        let known = self.waiting.len() + self.done.len();
        assert_eq!(known, usize::try_from(self.last).expect("a count"), "a request was lost");
        assert_eq!(self.board.busy.builds.len(), self.running.len());
        let held = self.board.locks.snapshot().into_iter().flat_map(|state| state.holders).count();
        let holding = self.running.values().filter(|(b, ..)| b == "exclusive" || b == "counting").count();
        assert_eq!(held, holding + usize::from(self.is_locked), "a lock was not given back");
    }
}

fn nth_of<V>(map: &BTreeMap<i64, V>, nth: usize) -> Option<i64> {
    map.keys().nth(nth.checked_rem(map.len())?).copied()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn no_limit_is_exceeded_no_request_lost_or_run_twice_and_none_waits_for_an_idle_worker(
        deeds in prop::collection::vec(deed(), 1..80)
    ) {
        let mut model = Model::new();
        for deed in &deeds {
            if let Deed::Cancel(nth) = deed
                && nth_of(&model.waiting, *nth).is_some_and(|id| model.running.contains_key(&id))
            {
                continue;
            }
            model.carry_out(deed);
            model.settle();
            model.check();
        }
    }
}
