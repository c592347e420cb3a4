//! The options of workers.

use super::{Class, Constructor, Default, Kind, OptionSpec, option, or_none, rendered};

static WORKER_NAME: &[OptionSpec] = &[option(
    "name",
    Kind::Text,
    Default::Required,
    "Its name and login, also the property `workername`: letters, digits, `_` and `-`, at most 50 characters.",
)];

static WORKER_PASSWORD: &[OptionSpec] = &[option(
    "password",
    Kind::Secrets,
    Default::Required,
    "What it must know to log in; a list of up to four while it changes: `{ new, old }`. For msgpack a hash will do: \
     `$argon2id$…`, as `lunabot hash-password` prints it. A change applies to the next login; a live link stays.",
)];

static WORKER_BASE: &[OptionSpec] = &[
    option(
        "max_builds",
        Kind::Integer { least: 0, most: u32::MAX as i64 },
        Default::None,
        "How many builds it may run at once; `None` or 0 sets no limit.",
    ),
    or_none(option(
        "notify_on_missing",
        Kind::Texts,
        Default::Empty,
        "The addresses that are told when it has been missing for `missing_timeout`.",
    )),
    or_none(option(
        "missing_timeout",
        Kind::Seconds { least: 0.0 },
        Default::Seconds(3600),
        "How long it may be away before it counts as missing; `None` or 0: it never does.",
    )),
    rendered(option(
        "properties",
        Kind::Properties,
        Default::Empty,
        "Set on each of its builds with the source `Worker`, over all other properties.",
    )),
    rendered(option(
        "defaultProperties",
        Kind::Properties,
        Default::Empty,
        "Set on each of its builds where nothing else has set them.",
    )),
    or_none(option(
        "keepalive_interval",
        Kind::Seconds { least: 0.0 },
        Default::Seconds(3600),
        "How often an idle link is asked for a sign of life; `None` turns that off.",
    )),
    option(
        "keepalive_timeout",
        Kind::Seconds { least: 0.1 },
        Default::Derived("the smaller of 30 s and three intervals"),
        "How long the answer to that may take; a later one ends the link.",
    ),
];

/// `worker.Worker`.
pub static WORKER: Constructor = Constructor {
    module: "worker",
    name: "Worker",
    class: Class::Worker,
    positional: &["name", "password"],
    groups: &[WORKER_NAME, WORKER_PASSWORD, WORKER_BASE],
    not_yet: &["locks", "machine_name"],
    sentence: "A worker that connects to the master by itself: a `buildbot-worker` process on some machine.",
};

static LOCAL: &[OptionSpec] = &[option(
    "workdir",
    Kind::Text,
    Default::Derived("its name"),
    "Its folder, below `DIR/workers` unless absolute.",
)];

/// `worker.LocalWorker`.
pub static LOCAL_WORKER: Constructor = Constructor {
    module: "worker",
    name: "LocalWorker",
    class: Class::Worker,
    positional: &["name", "workdir"],
    groups: &[WORKER_NAME, LOCAL, WORKER_BASE],
    not_yet: &["locks", "machine_name"],
    sentence: "A worker inside the master's process, for small set-ups and for trying things out. It needs no password.",
};
