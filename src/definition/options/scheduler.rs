//! The options of schedulers.

use super::{Class, Constructor, Default, Kind, OptionSpec, option};

static SCHEDULER_BASE: &[OptionSpec] = &[
    option(
        "name",
        Kind::Text,
        Default::Required,
        "Its name; that of a `ForceScheduler` has letters, digits, `_` and `-`.",
    ),
    option("builderNames", Kind::Texts, Default::Required, "The builders that it asks for builds."),
    option(
        "priority",
        Kind::Integer { least: -1_000_000, most: 1_000_000 },
        Default::Integer(0),
        "Of its requests: those of a higher one come first.",
    ),
];

static SCHEDULER_PROPERTIES: &[OptionSpec] = &[option(
    "properties",
    Kind::Properties,
    Default::Empty,
    "Set on each of its requests with the source `Scheduler`.",
)];

static FORCE: &[OptionSpec] = &[
    option("buttonName", Kind::Text, Default::Derived("the name"), "What its button says."),
    option("label", Kind::Text, Default::Derived("the name"), "What its form is called."),
    option("reason", Kind::Text, Default::Text("force build"), "The reason, if the person gives none."),
    option(
        "reasonString",
        Kind::Text,
        Default::Text("A build was forced by '%(owner)s': %(reason)s"),
        "The reason of the build; `%(owner)s` and `%(reason)s` are replaced.",
    ),
];

/// `schedulers.ForceScheduler`.
pub static FORCE_SCHEDULER: Constructor = Constructor {
    module: "schedulers",
    name: "ForceScheduler",
    class: Class::Scheduler,
    positional: &["name", "builderNames"],
    groups: &[SCHEDULER_BASE, SCHEDULER_PROPERTIES, FORCE],
    not_yet: &["username", "codebases"],
    sentence: "Asks for builds when a person says so: `lunabot force`, or the button of the web interface.",
};

static PERIODIC_OPTIONS: &[OptionSpec] = &[
    option(
        "periodicBuildTimer",
        Kind::Seconds { least: 1.0 },
        Default::Required,
        "From one build to the next. The first comes at once, unless the last one before a restart was nearer than this.",
    ),
    option(
        "reason",
        Kind::Text,
        Default::Derived("The Periodic scheduler named 'NAME' triggered this build"),
        "The reason of its builds.",
    ),
];

/// `schedulers.Periodic`.
pub static PERIODIC: Constructor = Constructor {
    module: "schedulers",
    name: "Periodic",
    class: Class::Scheduler,
    positional: &["name", "builderNames", "periodicBuildTimer"],
    groups: &[SCHEDULER_BASE, PERIODIC_OPTIONS, SCHEDULER_PROPERTIES],
    not_yet: &[
        "onlyIfChanged",
        "createAbsoluteSourceStamps",
        "onlyImportant",
        "codebases",
        "fileIsImportant",
        "change_filter",
    ],
    sentence: "Asks for builds again and again, at an even pace.",
};

static TRIGGERABLE_OPTIONS: &[OptionSpec] = &[option(
    "reason",
    Kind::Text,
    Default::Derived("The Triggerable scheduler named 'NAME' triggered this build"),
    "The reason of its builds, unless the step that triggers it sets the property `reason`.",
)];

/// `schedulers.Triggerable`.
pub static TRIGGERABLE: Constructor = Constructor {
    module: "schedulers",
    name: "Triggerable",
    class: Class::Scheduler,
    positional: &["name", "builderNames"],
    groups: &[SCHEDULER_BASE, TRIGGERABLE_OPTIONS, SCHEDULER_PROPERTIES],
    not_yet: &["codebases"],
    sentence: "Asks for builds when a build says so: `steps.Trigger`.",
};
