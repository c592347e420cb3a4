//! How it is said why a request does not run, and what would change that.
//!
//! # Laws
//! - An instant is no part of a text: it is given beside it, since those who read it live in different zones.

use std::fmt;

use super::{Hindrance, Standing, WhyNot};
use crate::model::{Remark, WorkerName};

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
            Self::NotBefore(_) => write!(f, "its last build was lost, and it waits before it is tried again"),
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
            Self::TooFewLocks => "too_few_locks",
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
            Self::TooFewLocks => "a larger `maxCountForWorker` of a lock, or smaller wishes".into(),
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
                Standing::Quarantined(quarantine) => write!(f, "is quarantined: {}", quarantine.cause),
            },
            Self::Mismatch(mismatch) => mismatch.fmt(f),
            Self::Full { running: 1, max_builds } => {
                write!(f, "runs a build, and its `max_builds` is {max_builds}")
            }
            Self::Full { running, max_builds } => {
                write!(f, "runs {running} builds, and its `max_builds` is {max_builds}")
            }
            Self::NoPlace { max_builds_per_worker: 1 } => write!(f, "runs a build of this builder already"),
            Self::NoPlace { max_builds_per_worker } => write!(
                f,
                "runs {max_builds_per_worker} builds of this builder, which is its `max_builds_per_worker`"
            ),
            Self::Locked { locks } => write!(f, "wants {}", locks.join(" and ")),
            Self::TooFewLocks => write!(f, "has less of a lock than a build of this builder wants"),
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
