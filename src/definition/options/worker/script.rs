//! The options of `worker.LatentWorker`, which Buildbot has as a class to derive from.

use super::{
    super::{Class, Constructor, Default, Kind, OptionSpec, option},
    LATENT, LATENT_PASSWORD, NOT_YET, RESUME, WORKER_BASE, WORKER_NAME,
};

static SCRIPT: &[OptionSpec] = &[
    option("start_instance", Kind::Function, Default::Required, "Starts an instance."),
    option("stop_instance", Kind::Function, Default::Required, "Stops it."),
    option(
        "check_instance",
        Kind::Function,
        Default::None,
        "Says whether a new instance is well, until its worker has attached.",
    ),
];

/// `worker.LatentWorker`.
pub static LATENT_WORKER: Constructor = Constructor {
    module: "worker",
    name: "LatentWorker",
    class: Class::Worker,
    positional: &["name", "password"],
    groups: &[WORKER_NAME, LATENT_PASSWORD, SCRIPT, LATENT, WORKER_BASE, RESUME],
    not_yet: NOT_YET,
    sentence: "A worker on whatever functions of the configuration can start: Buildbot's `AbstractLatentWorker` without a class.",
};
