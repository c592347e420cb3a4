//! The options of workers: what all share, those that connect by themselves, those that are started on demand.

use super::{Class, Constructor, Default, Kind, OptionSpec, lock::locks, option, or_none, rendered};

mod docker;
mod ec2;
mod libvirt;
mod openstack;
mod script;

pub use docker::DOCKER_LATENT_WORKER;
pub use ec2::EC2_LATENT_WORKER;
pub use libvirt::LIBVIRT_WORKER;
pub use openstack::OPENSTACK_LATENT_WORKER;
pub use script::LATENT_WORKER;

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
        "The mail addresses that are told when it has been missing for `missing_timeout`.",
    )),
    or_none(option(
        "missing_timeout",
        Kind::Seconds { least: 0.0 },
        Default::Seconds(3600),
        "How long it may be away before it counts as missing; `None` or 0: it never does.",
    )),
    option(
        "notify_on_return",
        Kind::Bool,
        Default::Bool(false),
        "Whether the addresses in `notify_on_missing` are told as well when a worker is back that they were told was missing.",
    ),
    locks(
        "What each build on it holds, from before it begins to its end. A `util.MasterLock` here counts for all workers together.",
    ),
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

/// For workers that are programs of their own.
static RESUME: &[OptionSpec] = &[or_none(option(
    "resume_grace",
    Kind::Seconds { least: 0.0 },
    Default::Seconds(60),
    "How long its builds wait for a `lunabot-worker` that has lost its link, or whose master is started again, before they are \
     tried again; `None` or 0: they do not. A `buildbot-worker` cannot go on.",
))];

/// Known from Buildbot and not there yet, for every worker.
const NOT_YET: &[&str] = &["machine_name"];

/// `worker.Worker`.
pub static WORKER: Constructor = Constructor {
    module: "worker",
    name: "Worker",
    class: Class::Worker,
    positional: &["name", "password"],
    groups: &[WORKER_NAME, WORKER_PASSWORD, WORKER_BASE, RESUME],
    not_yet: NOT_YET,
    sentence: "A worker that connects to the master by itself: a `buildbot-worker` process on some machine.",
};

/// What an instance logs in with. A fleet needs no password in the file: who starts an instance can tell it one.
static LATENT_PASSWORD: &[OptionSpec] = &[option(
    "password",
    Kind::Secrets,
    Default::Derived("made anew for each instance"),
    "What an instance must know to log in, for one whose image knows it already. A change applies to the next instance.",
)];

/// What all workers that are started on demand share.
static LATENT: &[OptionSpec] = &[
    option(
        "build_wait_timeout",
        Kind::Idle,
        Default::Seconds(600),
        "How long an instance without a build waits for another one before it is stopped. 0: it is stopped after each build; \
         a negative number: it is kept until the master stops. The same for all; in Buildbot 0 for Docker.",
    ),
    option(
        "attach_timeout",
        Kind::Seconds { least: 1.0 },
        Default::Seconds(1200),
        "How long a new instance may take from the order to start it until its worker has attached; then it is stopped, and the \
         build is tried again. In Buildbot this is `missing_timeout`, an hour.",
    ),
    option(
        "check_instance_interval",
        Kind::Seconds { least: 0.1 },
        Default::Seconds(10),
        "How often a new instance is looked at until its worker has attached: one that has died is not waited for.",
    ),
];

/// Where an instance finds the master.
static MASTER_ADDRESS: &[OptionSpec] = &[option(
    "masterFQDN",
    Kind::Text,
    Default::Derived("the full name of the master's machine"),
    "Where an instance finds the master: a host, `host:port` or `[address]:port`; without a port, that of `c.protocols`.",
)];

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
    not_yet: NOT_YET,
    sentence: "A worker inside the master's process, for small set-ups and for trying things out. It needs no password.",
};
