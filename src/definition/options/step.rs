//! The options of steps: those that all have, and those of steps that run a command.

mod folder;
mod transfer;
mod trigger;

pub use folder::{COPY_DIRECTORY, MAKE_DIRECTORY, REMOVE_DIRECTORY};
pub use transfer::{
    DIRECTORY_UPLOAD, FILE_DOWNLOAD, FILE_UPLOAD, JSON_STRING_DOWNLOAD, MULTIPLE_FILE_UPLOAD, STRING_DOWNLOAD,
};
pub use trigger::TRIGGER;

use super::{Class, Constructor, Default, Kind, OptionSpec, lock::locks, option, or_none, rendered};

/// No number in a configuration is larger: what is, Lua has rounded.
const MOST: i64 = 1 << 53;

static SHELL: &[OptionSpec] = &[
    rendered(option(
        "command",
        Kind::Command,
        Default::Required,
        "A line for the worker's shell, or a list: program and arguments, seen by no shell.",
    )),
    rendered(option(
        "workdir",
        Kind::Text,
        Default::Text("build"),
        "Where it runs, below the builder's folder.",
    )),
    rendered(option(
        "env",
        Kind::Environment,
        Default::Empty,
        "Its environment, over the builder's and the worker's. `${NAME}` in a value is replaced on the worker.",
    )),
    or_none(option(
        "timeout",
        Kind::Seconds { least: 0.0 },
        Default::Seconds(1200),
        "How long it may be silent before it is killed; `None`: for ever.",
    )),
    option(
        "maxTime",
        Kind::Seconds { least: 0.0 },
        Default::None,
        "How long it may run in all before it is killed.",
    ),
    option(
        "sigtermTime",
        Kind::Seconds { least: 0.0 },
        Default::None,
        "If given, a kill begins with SIGTERM and waits this long before `interruptSignal`.",
    ),
    option(
        "interruptSignal",
        Kind::Text,
        Default::Text("KILL"),
        "The signal that ends it: KILL, TERM, INT, HUP, QUIT or ABRT.",
    ),
    option("want_stdout", Kind::Bool, Default::Bool(true), "Whether its standard output is kept."),
    option("want_stderr", Kind::Bool, Default::Bool(true), "Whether its standard error is kept."),
    option(
        "logEnviron",
        Kind::Bool,
        Default::Bool(true),
        "Whether its log begins with its environment. Values of variables that look secret are hidden.",
    ),
    rendered(option(
        "initialStdin",
        Kind::Text,
        Default::None,
        "What it reads from standard input, which is then closed.",
    )),
    rendered(option(
        "logfiles",
        Kind::LogFiles,
        Default::Empty,
        "Files that are watched while it runs, each a log of the step beside `stdio`: names, and paths below `workdir`. \
         Instead of a path, `{ filename = path, follow = true }` keeps only what is added while it runs.",
    )),
    option(
        "lazylogfiles",
        Kind::Bool,
        Default::Bool(false),
        "Whether the log of a watched file is there only once something was written to the file.",
    ),
    option(
        "max_lines",
        Kind::Integer { least: 1, most: MOST },
        Default::None,
        "How many lines of output it may write before it is killed.",
    ),
    option(
        "usePTY",
        Kind::Bool,
        Default::Bool(false),
        "Whether it runs on a terminal. `initialStdin` is then ignored by the worker.",
    ),
    option(
        "decodeRC",
        Kind::Outcomes,
        Default::Derived("{ [0] = \"success\" }"),
        "Exit codes and their outcomes; all others are failures.",
    ),
];

/// The options that all steps have. Kinds of steps differ in their name, and in whether a failure is the end.
const fn base(name: &'static str, halts: bool) -> [OptionSpec; 13] {
    [
        option(
            "name",
            Kind::Text,
            Default::Text(name),
            "Its name; a second step of the same name gets a number.",
        ),
        rendered(option(
            "description",
            Kind::Texts,
            Default::None,
            "The line that people read while it runs; a list is joined by spaces.",
        )),
        rendered(option(
            "descriptionDone",
            Kind::Texts,
            Default::None,
            "The line that people read once it has ended; `description` if that alone is given.",
        )),
        rendered(option("descriptionSuffix", Kind::Texts, Default::None, "What is added to both lines.")),
        option(
            "haltOnFailure",
            Kind::Bool,
            Default::Bool(halts),
            "After a failure, the steps that follow are skipped, but for those with `alwaysRun`.",
        ),
        option("flunkOnFailure", Kind::Bool, Default::Bool(true), "Its failure is a failure of the build."),
        option(
            "flunkOnWarnings",
            Kind::Bool,
            Default::Bool(false),
            "Its warnings are a failure of the build.",
        ),
        option(
            "warnOnFailure",
            Kind::Bool,
            Default::Bool(false),
            "Its failure is a warning of the build, unless `flunkOnFailure` makes it more.",
        ),
        option("warnOnWarnings", Kind::Bool, Default::Bool(true), "Its warnings are warnings of the build."),
        option("alwaysRun", Kind::Bool, Default::Bool(false), "It runs even after a halt."),
        rendered(option(
            "doStepIf",
            Kind::Condition,
            Default::Bool(true),
            "Whether it is done; else it is skipped, which is no failure. A function is given the step.",
        )),
        rendered(option(
            "hideStepIf",
            Kind::Condition,
            Default::Bool(false),
            "Whether it is left out where steps are shown. A function is given its outcome (`util.SUCCESS` and kin) and the step.",
        )),
        locks("What it holds while it runs. A step that waits for its locks tells who has them."),
    ]
}

static SHELL_BASE: &[OptionSpec] = &base("shell", false);

/// What Buildbot's steps know besides.
const NOT_YET: &[&str] = &["progressMetrics", "logEncoding", "updateBuildSummaryPolicy"];

/// `steps.ShellCommand`.
pub static SHELL_COMMAND: Constructor = Constructor {
    module: "steps",
    name: "ShellCommand",
    class: Class::Step,
    positional: &[],
    groups: &[SHELL, SHELL_BASE],
    not_yet: NOT_YET,
    sentence: "Runs a command on the worker. Its exit code is the outcome, its output the log `stdio`.",
};

static FROM_COMMAND: &[OptionSpec] = &[
    rendered(option(
        "property",
        Kind::Text,
        Default::None,
        "The property that is set. Either this or `extract_fn` is given.",
    )),
    option(
        "extract_fn",
        Kind::Function,
        Default::None,
        "A function that is given the exit code, the standard output and the standard error, and returns a table of \
         properties, all of which are set; also if the command has failed.",
    ),
    option("strip", Kind::Bool, Default::Bool(true), "Whether white space around the value is removed."),
    option(
        "includeStdout",
        Kind::Bool,
        Default::Bool(true),
        "Whether its standard output is the value, and given to `extract_fn`.",
    ),
    option(
        "includeStderr",
        Kind::Bool,
        Default::Bool(false),
        "Without effect: as in Buildbot `extract_fn` is always given the standard error, and `property` never.",
    ),
];

static FROM_COMMAND_BASE: &[OptionSpec] = &base("setproperty", false);

/// `steps.SetPropertyFromCommand`.
pub static SET_PROPERTY_FROM_COMMAND: Constructor = Constructor {
    module: "steps",
    name: "SetPropertyFromCommand",
    class: Class::Step,
    positional: &["property"],
    groups: &[FROM_COMMAND, SHELL, FROM_COMMAND_BASE],
    not_yet: &["progressMetrics", "logEncoding", "updateBuildSummaryPolicy"],
    sentence: "Runs a command on the worker and makes its output a property of the build, which the steps that follow \
               can use. Output of more than 1 MiB is a failure.",
};

static SET: &[OptionSpec] = &[
    rendered(option("property", Kind::Text, Default::Required, "The property that is set.")),
    rendered(option(
        "value",
        Kind::Json,
        Default::Required,
        "Its value. `util.Property` keeps the type of what it stands for.",
    )),
];

static SET_BASE: &[OptionSpec] = &base("SetProperty", false);

/// `steps.SetProperty`.
pub static SET_PROPERTY: Constructor = Constructor {
    module: "steps",
    name: "SetProperty",
    class: Class::Step,
    positional: &["property", "value"],
    groups: &[SET, SET_BASE],
    not_yet: NOT_YET,
    sentence: "Sets a property of the build, on the master.",
};
