//! The options of `worker.DockerLatentWorker`.

use super::{
    super::{Class, Constructor, Default, Kind, OptionSpec, option, or_none, rendered},
    LATENT, LATENT_PASSWORD, MASTER_ADDRESS, NOT_YET, RESUME, WORKER_BASE, WORKER_NAME,
};

static TLS_OPTIONS: &[OptionSpec] = &[
    option(
        "ca",
        Kind::Text,
        Default::Derived("the system's authorities"),
        "The file of the authorities that vouch for the engine, in PEM form.",
    ),
    option("cert", Kind::Text, Default::None, "The file of the certificate that is shown to the engine."),
    option("key", Kind::Text, Default::None, "The file of its private key."),
    option("verify", Kind::Bool, Default::Bool(true), "Whether the engine's certificate is verified."),
];

static TLS: Constructor = Constructor {
    module: "",
    name: "worker.DockerLatentWorker.tls",
    class: Class::Settings,
    positional: &[],
    groups: &[TLS_OPTIONS],
    not_yet: &[],
    sentence: "How the engine proves who it is, and the master to it: `docker.tls.TLSConfig` in Buildbot.",
};

static DOCKER: &[OptionSpec] = &[
    rendered(option(
        "docker_host",
        Kind::Text,
        Default::Required,
        "The engine: `unix:///var/run/docker.sock`, `tcp://host:2376`.",
    )),
    rendered(option(
        "image",
        Kind::Text,
        Default::None,
        "The image; or how the one that is built from `dockerfile` is called. One of the two is needed.",
    )),
    or_none(option(
        "command",
        Kind::Texts,
        Default::Empty,
        "Program and arguments, in the place of the image's own.",
    )),
    rendered(or_none(option(
        "volumes",
        Kind::Texts,
        Default::Empty,
        "`source:target` or `source:target:ro`: folders of the engine's machine, or volumes by their names.",
    ))),
    rendered(option(
        "dockerfile",
        Kind::Text,
        Default::None,
        "The text of a Dockerfile, from which the image is built if it is not there; with `custom_context`, the path of an \
         archive that holds it.",
    )),
    option(
        "version",
        Kind::Text,
        Default::Derived("what the engine speaks"),
        "The version of its API: `1.45`.",
    ),
    option(
        "tls",
        Kind::Switch(&TLS),
        Default::None,
        "Whether the engine is spoken to through TLS; `true` trusts the system's authorities.",
    ),
    option(
        "followStartupLogs",
        Kind::Bool,
        Default::Bool(false),
        "Whether the output of a new container goes to the master's log until its worker has attached.",
    ),
];

static DOCKER_MORE: &[OptionSpec] = &[
    option(
        "master_protocol",
        Kind::Text,
        Default::Text("pb"),
        "What its worker speaks: `pb` or `msgpack_experimental_v7`. `c.protocols` needs a port for it.",
    ),
    rendered(or_none(option(
        "hostconfig",
        Kind::Table,
        Default::Empty,
        "What else the engine is told of the container: `network_mode`, `mem_limit`, `shm_size`, …, or in its own words \
         (`NetworkMode`). `init` is true unless told otherwise.",
    ))),
    option("autopull", Kind::Bool, Default::Bool(false), "Whether an image that is not there is pulled."),
    option(
        "alwaysPull",
        Kind::Bool,
        Default::Bool(false),
        "Whether the image is pulled before each container. Needs `autopull`.",
    ),
    rendered(option(
        "custom_context",
        Kind::Bool,
        Default::Bool(false),
        "Whether `dockerfile` is the path of an archive: a Dockerfile and the files beside it.",
    )),
    rendered(option(
        "encoding",
        Kind::Text,
        Default::Text("gzip"),
        "How that archive is compressed: `gzip`, `bzip2`, `xz` or `identity`.",
    )),
    rendered(option("target", Kind::Text, Default::Text(""), "The stage of the Dockerfile that is built.")),
    rendered(or_none(option(
        "buildargs",
        Kind::Table,
        Default::Empty,
        "The arguments of the Dockerfile, with `custom_context` and without it; in Buildbot they have no effect without.",
    ))),
    rendered(option("hostname", Kind::Text, Default::None, "What the container calls itself.")),
];

/// `worker.DockerLatentWorker`.
pub static DOCKER_LATENT_WORKER: Constructor = Constructor {
    module: "worker",
    name: "DockerLatentWorker",
    class: Class::Worker,
    positional: &[
        "name",
        "password",
        "docker_host",
        "image",
        "command",
        "volumes",
        "dockerfile",
        "version",
        "tls",
        "followStartupLogs",
        "masterFQDN",
        "master_protocol",
        "hostconfig",
        "autopull",
        "alwaysPull",
        "custom_context",
        "encoding",
        "target",
        "buildargs",
        "hostname",
    ],
    groups: &[WORKER_NAME, LATENT_PASSWORD, DOCKER, MASTER_ADDRESS, DOCKER_MORE, LATENT, WORKER_BASE, RESUME],
    not_yet: NOT_YET,
    sentence: "A worker in a container of Docker that is started when there is a build for it.",
};
