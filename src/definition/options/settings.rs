//! The keys of `c`, and of the tables in it.

use super::{Class, Constructor, Default, Kind, OptionSpec, option, or_none, rendered};

static DB_OPTIONS: &[OptionSpec] = &[option(
    "db_url",
    Kind::Hidden,
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

static TLS_OPTIONS: &[OptionSpec] = &[
    option(
        "cert",
        Kind::Text,
        Default::Required,
        "The file of the certificate, in PEM form; those that lead to its authority may follow in it. Below the master's folder, unless absolute.",
    ),
    option(
        "key",
        Kind::Text,
        Default::Required,
        "The file of its private key, in PEM form and without a pass phrase.",
    ),
    option(
        "chain",
        Kind::Text,
        Default::None,
        "A file of more certificates that lead to the authority, if they are not in `cert`.",
    ),
    option(
        "client_ca",
        Kind::Text,
        Default::None,
        "The file of the authorities of workers' certificates: then a worker needs one of theirs, beside its password. Without it no worker is asked for a certificate.",
    ),
];

/// `tls` in the table of a port.
pub static TLS: Constructor = Constructor {
    module: "",
    name: "c.protocols.pb.port.tls",
    class: Class::Settings,
    positional: &[],
    groups: &[TLS_OPTIONS],
    not_yet: &[],
    sentence: "The certificate of a port. Changed files are used from the next handshake on; nobody is cut.",
};

static PORT_OPTIONS: &[OptionSpec] = &[
    option("port", Kind::Port, Default::Required, "A number from 1 to 65535."),
    option(
        "interface",
        Kind::Text,
        Default::Derived("all addresses"),
        "The address of this machine on which it listens: `127.0.0.1`, `::1`. `::` is all of both families, `0.0.0.0` all of IPv4.",
    ),
    option(
        "backlog",
        Kind::Integer { least: 1, most: 65_535 },
        Default::Derived("16384"),
        "How many connections may wait to be answered; the system may allow fewer.",
    ),
    option("tls", Kind::Record(&TLS), Default::None, "Its certificate; without it the port is in the clear."),
];

/// The table of a port.
pub static PORT: Constructor = Constructor {
    module: "",
    name: "c.protocols.pb.port",
    class: Class::Settings,
    positional: &[],
    groups: &[PORT_OPTIONS],
    not_yet: &[],
    sentence: "A port as a table, the same for both protocols.",
};

static PORTS_OPTIONS: &[OptionSpec] = &[option(
    "port",
    Kind::Ports(&PORT),
    Default::Required,
    "Where to listen: `9989`; Twisted's `tcp:9989:interface=127.0.0.1` or `ssl:9990:privateKey=key.pem:certKey=cert.pem`, as in Buildbot; a table as below; or a list of these.",
)];

/// `c.protocols.pb`.
pub static PB: Constructor = Constructor {
    module: "",
    name: "c.protocols.pb",
    class: Class::Settings,
    positional: &[],
    groups: &[PORTS_OPTIONS],
    not_yet: &[],
    sentence: "The ports for workers that speak Perspective Broker, which `buildbot-worker` does unless told otherwise.",
};

/// `c.protocols.msgpack_experimental_v7`.
pub static MSGPACK: Constructor = Constructor {
    module: "",
    name: "c.protocols.msgpack_experimental_v7",
    class: Class::Settings,
    positional: &[],
    groups: &[PORTS_OPTIONS],
    not_yet: &[],
    sentence: "The ports for workers that speak msgpack over WebSocket: `buildbot-worker --protocol msgpack_experimental_v7`.",
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
    not_yet: &[],
    sentence: "Where workers may connect.",
};

static MASTER_OPTIONS: &[OptionSpec] = &[
    option("title", Kind::Text, Default::Text("Lunabot"), "What the installation is called."),
    option("titleURL", Kind::Text, Default::Text(""), "Where people find more about the project."),
    option("buildbotURL", Kind::Text, Default::Text(""), "Where the web interface is reached from outside."),
    option("workers", Kind::Objects(Class::Worker), Default::Empty, "The workers. At least one."),
    option("builders", Kind::Objects(Class::Builder), Default::Empty, "The builders."),
    option("schedulers", Kind::Objects(Class::Scheduler), Default::Empty, "What asks for builds."),
    option("reporters", Kind::Objects(Class::Reporter), Default::Empty, "Who is told what happens."),
    option(
        "services",
        Kind::Objects(Class::Reporter),
        Default::Empty,
        "Buildbot's name of `c.reporters`. Both may be filled, and `c.status` too: they are one list.",
    ),
    option(
        "status",
        Kind::Objects(Class::Reporter),
        Default::Empty,
        "The name of `c.reporters` in older manuals.",
    ),
    rendered(option(
        "properties",
        Kind::Properties,
        Default::Empty,
        "Set on each build with the source `Global`, under all other properties.",
    )),
    option(
        "secretsProviders",
        Kind::Objects(Class::SecretsProvider),
        Default::Empty,
        "Where secrets are looked for, in this order: the first that has one answers. Without any, in the folder `secrets` of the master's folder, if it is there.",
    ),
    or_none(option(
        "collapseRequests",
        Kind::Condition,
        Default::Bool(true),
        "Whether a request takes the place of an older one of its builder that still waits and would build the same: the same source stamps and properties, `reason` and `owner` aside, and no higher priority. `false`: never. A function `(builder, new, old)` says of two waiting requests whether `old` is given up for `new`. For builders that do not say it themselves.",
    )),
    option(
        "prioritizeBuilders",
        Kind::Function,
        Default::None,
        "A function `(builders)` that is given the builders whose requests wait, and returns them in the order in which they are to be served; one that it leaves out is not served now.",
    ),
    option(
        "select_next_worker",
        Kind::Function,
        Default::None,
        "A function `(builder, workers, request)` that chooses the worker of a build, for builders without a `nextWorker`, and is what that is.",
    ),
    option("protocols", Kind::Record(&PROTOCOLS), Default::None, "Where workers may connect."),
    option(
        "db",
        Kind::Record(&DB),
        Default::None,
        "Where the master keeps what it must not forget. A change needs a restart.",
    ),
    option("db_url", Kind::Hidden, Default::None, "Short for `c.db = { db_url = … }`."),
];

/// `c` itself.
pub static MASTER: Constructor = Constructor {
    module: "",
    name: "c",
    class: Class::Settings,
    positional: &[],
    groups: &[MASTER_OPTIONS],
    not_yet: &[
        "www",
        "change_source",
        "multiMaster",
        "manhole",
        "mq",
        "metrics",
        "caches",
        "buildCacheSize",
        "changeCacheSize",
        "changeHorizon",
        "machines",
        "configurators",
        "logCompressionLimit",
        "logCompressionMethod",
        "logEncoding",
        "logMaxSize",
        "logMaxTailSize",
        "validation",
        "user_managers",
        "projects",
        "codebases",
        "codebaseGenerator",
        "revlink",
        "hashlib",
    ],
    sentence: "The configuration. It is given; the file fills it.",
};
