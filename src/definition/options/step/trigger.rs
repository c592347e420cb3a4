//! The options of the step that asks for other builds.

use super::base;
use crate::definition::options::{Class, Constructor, Default, Kind, OptionSpec, option, rendered};

static TRIGGER_OPTIONS: &[OptionSpec] = &[
    rendered(option(
        "schedulerNames",
        Kind::Texts,
        Default::Required,
        "The `schedulers.Triggerable` that are triggered, in this order. A name that is rendered may become a list.",
    )),
    rendered(option(
        "waitForFinish",
        Kind::Bool,
        Default::Bool(false),
        "Whether the step waits for the builds and takes its outcome from theirs: the gravest.",
    )),
    rendered(option(
        "updateSourceStamp",
        Kind::Bool,
        Default::Bool(true),
        "Whether the revision that goes along is the one that was really built, `got_revision`, if that is set.",
    )),
    rendered(option(
        "alwaysUseLatest",
        Kind::Bool,
        Default::Bool(false),
        "Whether nothing goes along of what is built: no branch, revision, repository, project and codebase.",
    )),
    rendered(option(
        "set_properties",
        Kind::Table,
        Default::Empty,
        "Set on the builds, over the properties of the `Triggerable`, with the source `Trigger`. One named `reason` is \
         also the reason of the builds.",
    )),
    option(
        "copy_properties",
        Kind::Texts,
        Default::Empty,
        "Properties of this build that are set on the builds as they are; those that are not set are left out.",
    ),
    rendered(option(
        "unimportantSchedulerNames",
        Kind::Texts,
        Default::Empty,
        "Those of `schedulerNames` whose builds are waited for and do not count for the outcome.",
    )),
    rendered(option(
        "parent_relationship",
        Kind::Text,
        Default::Text("Triggered from"),
        "What this build is to the builds, for people.",
    )),
];

static TRIGGER_BASE: &[OptionSpec] = &base("trigger", false);

/// `steps.Trigger`.
pub static TRIGGER: Constructor = Constructor {
    module: "steps",
    name: "Trigger",
    class: Class::Step,
    positional: &["schedulerNames"],
    groups: &[TRIGGER_OPTIONS, TRIGGER_BASE],
    not_yet: &["sourceStamp", "sourceStamps", "progressMetrics", "logEncoding", "updateBuildSummaryPolicy"],
    sentence: "Asks for builds of other builders, and may wait for them. See \
               [builds that ask for builds](builders.md#builds-that-ask-for-builds).",
};
