//! Why a request does not run: for itself, and for each worker that might take it; and what would change that.

use std::{collections::HashSet, fmt};

use super::{
    Board, Outlook, Said, Standing, WhyNot,
    candidate::{Candidate, examine},
};
use crate::{
    build::lock::{Owner, Stand, Want},
    definition::BuilderDefinition,
    model::{BuildRequestId, BuilderName, Remark, Timestamp, WorkerName},
    store::QueuedRequest,
};

/// Why a request does not run.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// What keeps it whatever the workers do; nothing if it could start now.
    pub hindrances: Vec<Hindrance>,
    /// Each worker that the builder names or that could fit it, by name.
    pub workers: Vec<WorkerExplained>,
}

/// Why a worker does not run a request.
#[derive(Clone, Debug)]
pub struct WorkerExplained {
    /// Which.
    pub worker: WorkerName,
    /// Why not; nothing if it could.
    pub why: Option<WhyNot>,
}

/// What keeps a request from starting, whatever the workers do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// The master gives out no more builds.
    Stopping,
    /// Its builder is not in the configuration.
    NotConfigured(BuilderName),
    /// No worker of the configuration can ever take it.
    NoWorker,
    /// It was lost, and waits before it is tried again.
    NotBefore(Timestamp),
    /// It was given to a worker just now.
    Given(WorkerName),
    /// So many of its builder come before it.
    Behind {
        /// How many.
        requests: u64,
        /// Whether there may be more of them.
        at_least: bool,
    },
    /// A function of the configuration is being asked.
    Asked,
    /// A function of the configuration kept it back.
    Refused(Said),
}

impl Board {
    /// Why a request does not run. `ahead` of it are so many of its builder, or more.
    pub(in crate::build) fn explain(
        &self,
        request: &QueuedRequest,
        (ahead, at_least): (u64, bool),
        outlook: &dyn Outlook,
        lent: &HashSet<BuildRequestId>,
        now: Timestamp,
    ) -> Explanation {
        let Some(builder) = self.definition.builders.get(&request.builder) else {
            let hindrances = vec![Hindrance::NotConfigured(request.builder.clone())];
            return Explanation { hindrances, workers: Vec::new() };
        };
        let mut hindrances = Vec::new();
        if let Some(seat) = self.busy.builds.get(&request.id) {
            hindrances.push(Hindrance::Given(seat.worker.clone()));
        }
        if let Some(at) = request.not_before.filter(|at| *at > now) {
            hindrances.push(Hindrance::NotBefore(at));
        }
        if let Some(pending) = self.pending.get(&request.builder) {
            let refused = pending.refused.get(&request.id).or(pending.all_refused.as_ref());
            hindrances.extend(refused.map(|refusal| Hindrance::Refused(refusal.said.clone())));
            if pending.asked {
                hindrances.push(Hindrance::Asked);
            }
        }
        if ahead > 0 {
            hindrances.push(Hindrance::Behind { requests: ahead, at_least });
        }
        let numbers = self.farm.of_builder(&builder.name);
        if numbers.is_empty() {
            hindrances.push(Hindrance::NoWorker);
        }
        let lends = self.lends(request, lent);
        let workers = numbers.iter().map(|number| {
            let is_lent = lends == Some(*number);
            let seen = examine(outlook, (&self.farm, &self.busy), builder, *number, is_lent);
            let why = match seen {
                Ok(candidate) => self.locked(builder, request, &candidate),
                Err(why) => Some(why),
            };
            WorkerExplained { worker: self.farm.workers[*number].name.clone(), why }
        });
        Explanation { hindrances, workers: workers.collect() }
    }

    fn locked(
        &self,
        builder: &BuilderDefinition,
        request: &QueuedRequest,
        candidate: &Candidate,
    ) -> Option<WhyNot> {
        let (owner, wants) = (Owner::Request(request.id), self.wants(builder, candidate));
        if wants.is_empty() || self.locks.would_grant(owner, &wants) {
            return None;
        }
        Some(WhyNot::Locked { locks: self.taken(owner, &wants) })
    }
}

impl Board {
    /// The locks among these that cannot be had, each with who holds it and who waits for it.
    fn taken(&self, owner: Owner, wants: &[Want]) -> Vec<String> {
        let states = self.locks.snapshot();
        let blocked = wants.iter().filter(|want| !self.locks.would_grant(owner, std::slice::from_ref(want)));
        let told = blocked.map(|want| {
            let state =
                states.iter().find(|state| state.name == want.lock.name && state.worker == want.lock.worker);
            let names = |stands: &[Stand]| {
                let others = stands.iter().filter(|stand| stand.owner.request() != owner.request());
                others
                    .map(|stand| format!("request {}", stand.owner.request()))
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            let holders = state.map(|state| names(&state.holders)).filter(|names| !names.is_empty());
            let waiters = state.map(|state| names(&state.waiters)).filter(|names| !names.is_empty());
            match (holders, waiters) {
                (Some(holders), _) => format!("lock {}, held by {holders}", want.lock),
                (None, Some(waiters)) => format!("lock {}, for which {waiters} waits", want.lock),
                (None, None) => format!("lock {}", want.lock),
            }
        });
        told.collect()
    }
}

impl Hindrance {
    /// The word for it in the API.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Stopping => "stopping",
            Self::NotConfigured(_) => "not_configured",
            Self::NoWorker => "no_worker",
            Self::NotBefore(_) => "not_before",
            Self::Given(_) => "given",
            Self::Behind { .. } => "behind",
            Self::Asked => "asked",
            Self::Refused(_) => "refused",
        }
    }

    /// What would change it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Stopping => "the next start of the master".into(),
            Self::NotConfigured(builder) => {
                format!("define builder `{builder}` again, or cancel the request")
            }
            Self::NoWorker => {
                "name workers in `workernames`, or a `worker_match` that one of them fits".into()
            }
            Self::NotBefore(_) => "it is tried again then".into(),
            Self::Given(_) => "nothing: it starts".into(),
            Self::Behind { .. } => "a higher priority, more workers, or builds that end".into(),
            Self::Asked => "its answer".into(),
            Self::Refused(said) => format!("another answer of `{}`, which is asked again", said.function),
        }
    }
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopping => write!(f, "the master gives out no more builds: it is stopping"),
            Self::NotConfigured(builder) => write!(f, "builder `{builder}` is not in the configuration"),
            Self::NoWorker => write!(f, "no worker of the configuration can ever run it"),
            Self::NotBefore(at) => {
                write!(f, "its last build was lost; it waits until {}", at.strftime("%F %T UTC"))
            }
            Self::Given(worker) => write!(f, "it was just given to worker `{worker}`"),
            Self::Behind { requests: 1, at_least: false } => {
                write!(f, "1 request of its builder comes before it")
            }
            Self::Behind { requests, at_least } => {
                let word = if *at_least { "at least " } else { "" };
                write!(f, "{word}{requests} requests of its builder come before it")
            }
            Self::Asked => write!(f, "a function of the configuration is being asked about its builder"),
            Self::Refused(said) => write!(f, "`{}` {}", said.function, said.what),
        }
    }
}

impl WhyNot {
    /// The word for it in the API.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Standing(standing) => match standing {
                Standing::Ready => "ready",
                Standing::Absent => "absent",
                Standing::Dismissed => "told_to_stop",
                Standing::Paused(_) => "paused",
                Standing::Stopping(_) => "stopping",
                Standing::Quarantined(_) => "quarantined",
            },
            Self::Mismatch(_) => "no_match",
            Self::Full { .. } => "full",
            Self::NoPlace { .. } => "no_place",
            Self::Locked { .. } => "locked",
        }
    }

    /// What would change it, for this worker.
    pub fn remedy(&self, worker: &WorkerName) -> String {
        match self {
            Self::Standing(standing) => match standing {
                Standing::Ready => "nothing: it takes builds".into(),
                Standing::Absent => "it connects".into(),
                Standing::Dismissed => "its program is started again".into(),
                Standing::Paused(_) => format!("`lunabot worker DIR unpause {worker}`"),
                Standing::Stopping(_) => {
                    format!("`lunabot worker DIR resume {worker}`, or its program is started again")
                }
                Standing::Quarantined(_) => format!("its end, or `lunabot worker DIR release {worker}`"),
            },
            Self::Mismatch(_) => "another property of the worker, or another `worker_match`".into(),
            Self::Full { .. } => "one of its builds ends; or a larger `max_builds`".into(),
            Self::NoPlace { .. } => {
                "a build of this builder ends there; or a larger `max_builds_per_worker`".into()
            }
            Self::Locked { .. } => "who has them gives them back; or a larger `maxCount`".into(),
        }
    }
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standing(standing) => match standing {
                Standing::Ready => write!(f, "takes builds"),
                Standing::Absent => write!(f, "is not connected"),
                Standing::Dismissed => write!(f, "was told to stop"),
                Standing::Paused(remark) => write!(f, "is paused{}", By(remark)),
                Standing::Stopping(remark) => write!(f, "stops once its builds are done{}", By(remark)),
                Standing::Quarantined(quarantine) => {
                    let until = quarantine.until.strftime("%F %T UTC");
                    write!(f, "is quarantined until {until}: {}", quarantine.cause)
                }
            },
            Self::Mismatch(mismatch) => mismatch.fmt(f),
            Self::Full { running, max_builds } => {
                write!(f, "runs {running} builds, and `max_builds` is {max_builds}")
            }
            Self::NoPlace { max_builds_per_worker: 1 } => write!(f, "runs a build of this builder already"),
            Self::NoPlace { max_builds_per_worker } => write!(
                f,
                "runs {max_builds_per_worker} builds of this builder, which is its `max_builds_per_worker`"
            ),
            Self::Locked { locks } => write!(f, "waits for {}", locks.join(" and for ")),
        }
    }
}

/// By whom and why.
struct By<'a>(&'a Remark);

impl fmt::Display for By<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Remark { by, reason, .. } = self.0;
        write!(f, " (by {}", by.as_deref().unwrap_or("the worker itself"))?;
        if let Some(reason) = reason {
            write!(f, ": {reason}")?;
        }
        write!(f, ")")
    }
}
