//! The options of locks, and of what is wanted of them.

use super::{Class, Constructor, Default, Kind, OptionSpec, option};

/// `locks` of builders, workers and steps; they differ in the sentence.
pub(super) const fn locks(sentence: &'static str) -> OptionSpec {
    option("locks", Kind::Objects(Class::LockAccess), Default::Empty, sentence)
}

static LOCK: &[OptionSpec] = &[
    option(
        "name",
        Kind::Text,
        Default::Required,
        "Its name: free text of at most 100 characters. Two locks of one name must be alike in all, and are one lock.",
    ),
    option(
        "maxCount",
        Kind::Integer { least: 1, most: u32::MAX as i64 },
        Default::Integer(1),
        "The sum of counts that can be held at once. A lower one takes nothing from those who hold it.",
    ),
];

static FOR_WORKER: &[OptionSpec] = &[option(
    "maxCountForWorker",
    Kind::Counts { least: 1, most: u32::MAX as i64 },
    Default::Empty,
    "The same for single workers, by their names.",
)];

/// `util.MasterLock`.
pub static MASTER_LOCK: Constructor = Constructor {
    module: "util",
    name: "MasterLock",
    class: Class::Lock,
    positional: &["name", "maxCount"],
    groups: &[LOCK],
    not_yet: &[],
    sentence: "A lock for the whole master. `lock:access(\"exclusive\")` or `lock:access(\"counting\", 2)` stands in `locks` of \
               builders, workers and steps.",
};

/// `util.WorkerLock`.
pub static WORKER_LOCK: Constructor = Constructor {
    module: "util",
    name: "WorkerLock",
    class: Class::Lock,
    positional: &["name", "maxCount", "maxCountForWorker"],
    groups: &[LOCK, FOR_WORKER],
    not_yet: &[],
    sentence: "A lock that each worker has for itself: builds on different workers do not meet in it.",
};

static ACCESS: &[OptionSpec] = &[
    option(
        "mode",
        Kind::Text,
        Default::Required,
        "`\"counting\"`, beside others up to `maxCount`, or `\"exclusive\"`, alone.",
    ),
    option(
        "count",
        Kind::Integer { least: 0, most: u32::MAX as i64 },
        Default::Integer(1),
        "How much of it; 0 is always to be had. An exclusive access has the count 1.",
    ),
];

/// `lock:access`, or `lock.access` as in Buildbot: a method of locks.
pub static LOCK_ACCESS: Constructor = Constructor {
    module: "lock",
    name: "access",
    class: Class::LockAccess,
    positional: &["mode", "count"],
    groups: &[ACCESS],
    not_yet: &[],
    sentence: "What is wanted of a lock: a method of what `util.MasterLock` and `util.WorkerLock` make, to be called with a colon, or with \
               a dot as in Buildbot.",
};
