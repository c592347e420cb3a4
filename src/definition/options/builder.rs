//! The options of builders and their factories.

use super::{Class, Constructor, Default, Kind, OptionSpec, lock::locks, option, rendered};

static BUILDER: &[OptionSpec] = &[
    option("name", Kind::Text, Default::Required, "Its name: free text of at most 70 characters."),
    option("workername", Kind::Text, Default::None, "The one worker that may run its builds."),
    option("workernames", Kind::Texts, Default::Empty, "The workers that may run its builds."),
    option(
        "worker_match",
        Kind::Labels,
        Default::Empty,
        "Labels that a worker must have: each a text, a number, true or false, or a list of these, any of which fits. They are looked up among the worker's `properties` and `defaultProperties`, then among the facts that it tells of itself. Without names it runs on all workers that match; with names, on those of them that match.",
    ),
    option("factory", Kind::Object(Class::Factory), Default::Required, "Its steps."),
    option(
        "builddir",
        Kind::Text,
        Default::Derived("the name, made safe for a file system"),
        "What `workerbuilddir` is unless given; the master itself keeps no folder for a builder.",
    ),
    option(
        "workerbuilddir",
        Kind::Text,
        Default::Derived("`builddir`"),
        "Its folder on a worker, below the worker's own. Two builders of one worker may not share it.",
    ),
    rendered(option(
        "env",
        Kind::Environment,
        Default::Empty,
        "Environment of all its commands, over the worker's.",
    )),
    rendered(option(
        "properties",
        Kind::Properties,
        Default::Empty,
        "Set on each of its builds, over those of the request.",
    )),
    rendered(option(
        "defaultProperties",
        Kind::Properties,
        Default::Empty,
        "Set on each of its builds where nothing else has.",
    )),
    locks("What each of its builds holds, from before it begins to its end."),
    option("tags", Kind::Texts, Default::Empty, "Words to find it by."),
    option("description", Kind::Text, Default::None, "A sentence for people."),
    option(
        "max_builds_per_worker",
        Kind::Integer { least: 1, most: MOST_BUILDS_PER_WORKER },
        Default::Integer(1),
        "How many of its builds one worker may run at once. The second runs in the folder of the first with `-2` behind it, and so on; the worker knows it as builder `NAME #2`.",
    ),
    option(
        "max_retries",
        Kind::Integer { least: 0, most: 1_000 },
        Default::Integer(3),
        "How often a build that is lost with its worker is tried again. 0: never.",
    ),
    option(
        "queue_timeout",
        Kind::Seconds { least: 1.0 },
        Default::None,
        "How long a request may wait for a worker before it is given up. None: without end.",
    ),
    option(
        "nextWorker",
        Kind::Function,
        Default::None,
        "A function `(builder, workers, request)` that chooses the worker of a build: it returns one of `workers`, its name, or nil for none of them now.",
    ),
    option(
        "nextBuild",
        Kind::Function,
        Default::None,
        "A function `(builder, requests)` that chooses which request is served next: it returns one of `requests`, its id, or nil for none of them now.",
    ),
    option(
        "canStartBuild",
        Kind::Function,
        Default::None,
        "A function `(builder, worker, request)` that has the last word before a build starts: it returns true or false.",
    ),
    option(
        "collapseRequests",
        Kind::Condition,
        Default::Derived("`c.collapseRequests`"),
        "Whether a request takes the place of an older one that still waits: true, false, or a function, as `c.collapseRequests` says.",
    ),
];

/// Each has a folder on each worker, of which the worker is told.
const MOST_BUILDS_PER_WORKER: i64 = 100;

/// `util.BuilderConfig`.
pub static BUILDER_CONFIG: Constructor = Constructor {
    module: "util",
    name: "BuilderConfig",
    class: Class::Builder,
    positional: &["name"],
    groups: &[BUILDER],
    not_yet: &["do_build_if", "project", "description_format"],
    sentence: "A builder: which steps, on which workers.",
};

static FACTORY: &[OptionSpec] = &[option(
    "steps",
    Kind::Objects(Class::Step),
    Default::Empty,
    "The steps, in order; `addStep` and `addSteps` add more.",
)];

/// `util.BuildFactory`.
pub static BUILD_FACTORY: Constructor = Constructor {
    module: "util",
    name: "BuildFactory",
    class: Class::Factory,
    positional: &["steps"],
    groups: &[FACTORY],
    not_yet: &[],
    sentence: "A list of steps, which several builders may share.",
};
