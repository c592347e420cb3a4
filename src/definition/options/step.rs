//! The options of steps.

use super::{Class, Constructor, Default, Kind, OptionSpec, option, or_none, rendered};

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
    option(
        "decodeRC",
        Kind::Outcomes,
        Default::Derived("{ [0] = \"success\" }"),
        "Exit codes and their outcomes; all others are failures.",
    ),
];

static STEP_BASE: &[OptionSpec] = &[
    option(
        "name",
        Kind::Text,
        Default::Text("shell"),
        "Its name; a second step of the same name gets a number.",
    ),
    option(
        "haltOnFailure",
        Kind::Bool,
        Default::Bool(false),
        "After a failure, the steps that follow are skipped, but for those with `alwaysRun`.",
    ),
    option("flunkOnFailure", Kind::Bool, Default::Bool(true), "Its failure is a failure of the build."),
    option("flunkOnWarnings", Kind::Bool, Default::Bool(false), "Its warnings are a failure of the build."),
    option(
        "warnOnFailure",
        Kind::Bool,
        Default::Bool(false),
        "Its failure is a warning of the build, unless `flunkOnFailure` makes it more.",
    ),
    option("warnOnWarnings", Kind::Bool, Default::Bool(true), "Its warnings are warnings of the build."),
    option("alwaysRun", Kind::Bool, Default::Bool(false), "It runs even after a halt."),
];

/// `steps.ShellCommand`.
pub static SHELL_COMMAND: Constructor = Constructor {
    module: "steps",
    name: "ShellCommand",
    class: Class::Step,
    positional: &[],
    groups: &[SHELL, STEP_BASE],
    not_yet: &[
        "usePTY",
        "logfiles",
        "lazylogfiles",
        "max_lines",
        "description",
        "descriptionDone",
        "descriptionSuffix",
        "doStepIf",
        "hideStepIf",
        "locks",
        "progressMetrics",
        "logEncoding",
        "updateBuildSummaryPolicy",
    ],
    sentence: "Runs a command on the worker. Its exit code is the outcome, its output the log `stdio`.",
};
