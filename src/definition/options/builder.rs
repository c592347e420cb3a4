//! The options of builders and their factories.

use super::{Class, Constructor, Default, Kind, OptionSpec, lock::locks, option, rendered};

static BUILDER: &[OptionSpec] = &[
    option("name", Kind::Text, Default::Required, "Its name: free text of at most 70 characters."),
    option("workername", Kind::Text, Default::None, "The one worker that may run its builds."),
    option("workernames", Kind::Texts, Default::Empty, "The workers that may run its builds."),
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
];

/// `util.BuilderConfig`.
pub static BUILDER_CONFIG: Constructor = Constructor {
    module: "util",
    name: "BuilderConfig",
    class: Class::Builder,
    positional: &["name"],
    groups: &[BUILDER],
    not_yet: &[
        "nextWorker",
        "nextBuild",
        "canStartBuild",
        "collapseRequests",
        "do_build_if",
        "project",
        "description_format",
    ],
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
