//! The options of steps that make, copy and remove folders on the worker.

use super::{NOT_YET, base};
use crate::definition::options::{Class, Constructor, Default, Kind, OptionSpec, option, or_none, rendered};

static MAKE: &[OptionSpec] = &[rendered(option(
    "dir",
    Kind::Text,
    Default::Required,
    "Which, below the builder's folder: `build/out` is `out` in the folder where commands run.",
))];

static MAKE_BASE: &[OptionSpec] = &base("MakeDirectory", true);

/// `steps.MakeDirectory`.
pub static MAKE_DIRECTORY: Constructor = Constructor {
    module: "steps",
    name: "MakeDirectory",
    class: Class::Step,
    positional: &["dir"],
    groups: &[MAKE, MAKE_BASE],
    not_yet: NOT_YET,
    sentence: "Makes a folder on the worker, and those above it. One that is there already is a success.",
};

static REMOVE: &[OptionSpec] = &[rendered(option(
    "dir",
    Kind::Texts,
    Default::Required,
    "Which, below the builder's folder; or a list of them.",
))];

static REMOVE_BASE: &[OptionSpec] = &base("RemoveDirectory", true);

/// `steps.RemoveDirectory`.
pub static REMOVE_DIRECTORY: Constructor = Constructor {
    module: "steps",
    name: "RemoveDirectory",
    class: Class::Step,
    positional: &["dir"],
    groups: &[REMOVE, REMOVE_BASE],
    not_yet: NOT_YET,
    sentence: "Removes a folder on the worker and all in it. One that is missing is a success.",
};

static COPY: &[OptionSpec] = &[
    rendered(option("src", Kind::Text, Default::Required, "What is copied, below the builder's folder.")),
    rendered(option("dest", Kind::Text, Default::Required, "Where to, below the builder's folder.")),
    or_none(option(
        "timeout",
        Kind::Seconds { least: 0.0 },
        Default::Seconds(120),
        "How long it may be silent before it is killed; `None`: for ever.",
    )),
    option(
        "maxTime",
        Kind::Seconds { least: 0.0 },
        Default::None,
        "How long it may run in all before it is killed.",
    ),
];

static COPY_BASE: &[OptionSpec] = &base("CopyDirectory", true);

/// `steps.CopyDirectory`.
pub static COPY_DIRECTORY: Constructor = Constructor {
    module: "steps",
    name: "CopyDirectory",
    class: Class::Step,
    positional: &["src", "dest", "timeout", "maxTime"],
    groups: &[COPY, COPY_BASE],
    not_yet: NOT_YET,
    sentence: "Copies a folder on the worker, links kept.",
};
