//! The keys of `c`, and of the tables in it.

use super::{Class, Constructor, Default, Kind, OptionSpec, option};

static DB_OPTIONS: &[OptionSpec] = &[option(
    "db_url",
    Kind::Secret,
    Default::Derived("sqlite:///state.sqlite"),
    "`sqlite:///FILE` (below the master's folder; four slashes for an absolute path) or `postgresql://USER:PASSWORD@HOST/NAME`.",
)];

/// `c.db`.
pub static DB: Constructor = Constructor {
    module: "",
    name: "c.db",
    class: Class::Settings,
    positional: &[],
    groups: &[DB_OPTIONS],
    not_yet: &["engine_kwargs"],
    sentence: "Where the master keeps what it must not forget.",
};

static PORT_OPTIONS: &[OptionSpec] = &[option(
    "port",
    Kind::Port,
    Default::Required,
    "A number from 1 to 65535, or `tcp:9989:interface=127.0.0.1` as in Buildbot.",
)];

/// `c.protocols.pb`.
pub static PB: Constructor = Constructor {
    module: "",
    name: "c.protocols.pb",
    class: Class::Settings,
    positional: &[],
    groups: &[PORT_OPTIONS],
    not_yet: &[],
    sentence: "The port for workers that speak Perspective Broker, which `buildbot-worker` does unless told otherwise.",
};

/// `c.protocols.msgpack_experimental_v7`.
pub static MSGPACK: Constructor = Constructor {
    module: "",
    name: "c.protocols.msgpack_experimental_v7",
    class: Class::Settings,
    positional: &[],
    groups: &[PORT_OPTIONS],
    not_yet: &[],
    sentence: "The port for workers that speak msgpack over WebSocket: `buildbot-worker --protocol msgpack_experimental_v7`.",
};

static PROTOCOLS_OPTIONS: &[OptionSpec] = &[
    option("pb", Kind::Record(&PB), Default::None, "Perspective Broker."),
    option("msgpack_experimental_v7", Kind::Record(&MSGPACK), Default::None, "msgpack over WebSocket."),
];

/// `c.protocols`.
pub static PROTOCOLS: Constructor = Constructor {
    module: "",
    name: "c.protocols",
    class: Class::Settings,
    positional: &[],
    groups: &[PROTOCOLS_OPTIONS],
    not_yet: &["null"],
    sentence: "Where workers may connect.",
};

static MASTER_OPTIONS: &[OptionSpec] = &[
    option("title", Kind::Text, Default::Text("Lunabot"), "What the installation is called."),
    option("titleURL", Kind::Text, Default::Text(""), "Where people find more about the project."),
    option("buildbotURL", Kind::Text, Default::Text(""), "Where the web interface is reached from outside."),
    option("workers", Kind::Objects(Class::Worker), Default::Empty, "The workers. At least one."),
    option("builders", Kind::Objects(Class::Builder), Default::Empty, "The builders."),
    option("schedulers", Kind::Objects(Class::Scheduler), Default::Empty, "What asks for builds."),
    option("protocols", Kind::Record(&PROTOCOLS), Default::None, "Where workers may connect."),
    option(
        "db",
        Kind::Record(&DB),
        Default::None,
        "Where the master keeps what it must not forget. A change needs a restart.",
    ),
    option("db_url", Kind::Secret, Default::None, "Short for `c.db = { db_url = … }`."),
];

/// `c` itself.
pub static MASTER: Constructor = Constructor {
    module: "",
    name: "c",
    class: Class::Settings,
    positional: &[],
    groups: &[MASTER_OPTIONS],
    not_yet: &[
        "services",
        "reporters",
        "status",
        "www",
        "change_source",
        "multiMaster",
        "manhole",
        "caches",
        "collapseRequests",
        "prioritizeBuilders",
        "properties",
        "secretsProviders",
        "machines",
        "configurators",
        "logCompressionLimit",
        "logMaxSize",
        "validation",
        "user_managers",
        "projects",
        "codebases",
        "buildbotNetUsageData",
        "revlink",
        "hashlib",
    ],
    sentence: "The configuration. It is given; the file fills it.",
};
