//! The one table of options: each constructor and key of `c`, with name, type, unit, default and sentence.
//!
//! From it come the reader (`config::field`), the hints, `docs/config.md`, and the stubs for the editor
//! ([`document`](super::document)). An option written anywhere else is a defect.
//!
//! # Source
//! Names and defaults: Buildbot 4.3.0. Where ours differ, the sentence says so.

/// What an option takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Text.
    Text,
    /// Text that is not shown.
    Secret,
    /// A port: a number, or Twisted's `tcp:…` as text. Kept as text.
    Port,
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer {
        /// The least that is allowed.
        least: i64,
        /// The most that is allowed.
        most: i64,
    },
    /// A span of time in seconds, fractions allowed.
    Seconds {
        /// The least that is allowed.
        least: f64,
    },
    /// A text, or a list of texts.
    Texts,
    /// A text for the worker's shell, or a list: program and arguments.
    Command,
    /// A table of names and values, as JSON can hold them.
    Properties,
    /// A table of names and texts; a list is joined, `None` removes the variable.
    Environment,
    /// A table of exit codes and outcomes: `{ [0] = "success", [77] = "skipped" }`.
    Outcomes,
    /// A table with options of its own.
    Record(&'static Constructor),
    /// What a constructor of this class makes.
    Object(Class),
    /// A list of what constructors of this class make.
    Objects(Class),
}

/// What stands for an option that was not given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Default {
    /// It must be given.
    Required,
    /// `None`.
    None,
    /// An empty list or table.
    Empty,
    /// A truth value.
    Bool(bool),
    /// A number.
    Integer(i64),
    /// A number of seconds.
    Seconds(u64),
    /// A text.
    Text(&'static str),
    /// What the sentence says.
    Derived(&'static str),
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// As the operator writes it.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What stands for it if it was not given.
    pub default: Default,
    /// Whether `None` may be given.
    pub nullable: bool,
    /// Whether `util.Interpolate` and `util.Property` may stand in it.
    pub renderable: bool,
    /// What it does, in a sentence.
    pub sentence: &'static str,
}

/// What constructors make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A worker.
    Worker,
    /// A builder.
    Builder,
    /// A build factory.
    Factory,
    /// A build step.
    Step,
    /// A scheduler.
    Scheduler,
    /// The options of `c` itself, or of a table in it.
    Settings,
}

/// A function that makes a part of the configuration, or a table with fixed keys.
#[derive(Debug)]
pub struct Constructor {
    /// The table of `buildbot.plugins` that holds it; empty for `c` and tables in it.
    pub module: &'static str,
    /// As the operator writes it.
    pub name: &'static str,
    /// What it makes.
    pub class: Class,
    /// The options that may be given by position, in Buildbot's order.
    pub positional: &'static [&'static str],
    /// Its options, in groups that several constructors share.
    pub groups: &'static [&'static [OptionSpec]],
    /// Options of Buildbot that are known and not there yet, so that the error can say so.
    pub not_yet: &'static [&'static str],
    /// What it is, in a sentence.
    pub sentence: &'static str,
}

impl Constructor {
    /// All its options.
    pub fn options(&self) -> impl Iterator<Item = &'static OptionSpec> + Clone + use<> {
        self.groups.iter().flat_map(|group| group.iter())
    }

    /// The option of this name.
    pub fn option(&self, name: &str) -> Option<&'static OptionSpec> {
        self.options().find(|option| option.name == name)
    }

    /// As the operator writes it: `worker.Worker`, or `c.db`.
    pub fn path(&self) -> String {
        if self.module.is_empty() { self.name.to_owned() } else { format!("{}.{}", self.module, self.name) }
    }
}

impl Kind {
    /// What people call a value of this kind: "takes …".
    pub fn words(self) -> String {
        match self {
            Self::Text | Self::Secret => "text".into(),
            Self::Port => "a port: a number, or text like \"tcp:9989\"".into(),
            Self::Bool => "true or false".into(),
            Self::Integer { .. } => "a whole number".into(),
            Self::Seconds { .. } => "a number of seconds".into(),
            Self::Texts => "text, or a list of texts".into(),
            Self::Command => "text, or a list of texts: program and arguments".into(),
            Self::Properties => "a table of names and values".into(),
            Self::Environment => "a table of names and texts".into(),
            Self::Outcomes => "a table of exit codes and outcomes".into(),
            Self::Record(constructor) => {
                let names: Vec<_> = constructor.options().map(|option| option.name).collect();
                format!("a table with `{}`", names.join("`, `"))
            }
            Self::Object(class) => format!("a {}", class.noun()),
            Self::Objects(class) => format!("a list of {}s", class.noun()),
        }
    }
}

impl Class {
    /// What people call it.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Builder => "builder",
            Self::Factory => "build factory",
            Self::Step => "step",
            Self::Scheduler => "scheduler",
            Self::Settings => "table",
        }
    }
}

/// The file of the database if `c.db` does not say otherwise.
pub const DEFAULT_DATABASE_FILE: &str = "state.sqlite";

/// All constructors, in the order of the documentation.
pub static CONSTRUCTORS: &[&Constructor] =
    &[&WORKER, &LOCAL_WORKER, &BUILDER_CONFIG, &BUILD_FACTORY, &SHELL_COMMAND, &FORCE_SCHEDULER, &PERIODIC];

const fn option(name: &'static str, kind: Kind, default: Default, sentence: &'static str) -> OptionSpec {
    let nullable = matches!(default, Default::None | Default::Derived(_));
    OptionSpec { name, kind, default, nullable, renderable: false, sentence }
}

const fn or_none(spec: OptionSpec) -> OptionSpec {
    OptionSpec { nullable: true, ..spec }
}

const fn rendered(spec: OptionSpec) -> OptionSpec {
    OptionSpec { renderable: true, ..spec }
}

/// A day over a century: longer spans are slips of the pen.
pub const LONGEST_SECONDS: f64 = 3_153_686_400.0;

static WORKER_NAME: &[OptionSpec] = &[option(
    "name",
    Kind::Text,
    Default::Required,
    "Its name and login, also the property `workername`: letters, digits, `_` and `-`, at most 50 characters.",
)];

static WORKER_PASSWORD: &[OptionSpec] = &[option(
    "password",
    Kind::Secret,
    Default::Required,
    "What it must know to log in. A change applies to the next login; a live link stays.",
)];

static WORKER_BASE: &[OptionSpec] = &[
    option(
        "max_builds",
        Kind::Integer { least: 0, most: u32::MAX as i64 },
        Default::None,
        "How many builds it may run at once; `None` or 0 sets no limit.",
    ),
    or_none(option(
        "notify_on_missing",
        Kind::Texts,
        Default::Empty,
        "The addresses that are told when it has been missing for `missing_timeout`.",
    )),
    or_none(option(
        "missing_timeout",
        Kind::Seconds { least: 0.0 },
        Default::Seconds(3600),
        "How long it may be away before it counts as missing; `None` or 0: it never does.",
    )),
    option(
        "properties",
        Kind::Properties,
        Default::Empty,
        "Set on each of its builds with the source `Worker`, over all other properties.",
    ),
    option(
        "defaultProperties",
        Kind::Properties,
        Default::Empty,
        "Set on each of its builds where nothing else has set them.",
    ),
    or_none(option(
        "keepalive_interval",
        Kind::Seconds { least: 0.0 },
        Default::Seconds(3600),
        "How often an idle link is asked for a sign of life; `None` turns that off.",
    )),
];

/// `worker.Worker`.
pub static WORKER: Constructor = Constructor {
    module: "worker",
    name: "Worker",
    class: Class::Worker,
    positional: &["name", "password"],
    groups: &[WORKER_NAME, WORKER_PASSWORD, WORKER_BASE],
    not_yet: &["locks", "machine_name"],
    sentence: "A worker that connects to the master by itself: a `buildbot-worker` process on some machine.",
};

static LOCAL: &[OptionSpec] = &[option(
    "workdir",
    Kind::Text,
    Default::Derived("its name"),
    "Its folder, below `DIR/workers` unless absolute.",
)];

/// `worker.LocalWorker`.
pub static LOCAL_WORKER: Constructor = Constructor {
    module: "worker",
    name: "LocalWorker",
    class: Class::Worker,
    positional: &["name", "workdir"],
    groups: &[WORKER_NAME, LOCAL, WORKER_BASE],
    not_yet: &["locks", "machine_name"],
    sentence: "A worker inside the master's process, for small set-ups and for trying things out. It needs no password.",
};

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
    option(
        "properties",
        Kind::Properties,
        Default::Empty,
        "Set on each of its builds, over those of the request.",
    ),
    option(
        "defaultProperties",
        Kind::Properties,
        Default::Empty,
        "Set on each of its builds where nothing else has.",
    ),
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
        "locks",
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

static SCHEDULER_BASE: &[OptionSpec] = &[
    option(
        "name",
        Kind::Text,
        Default::Required,
        "Its name; that of a `ForceScheduler` has letters, digits, `_` and `-`.",
    ),
    option("builderNames", Kind::Texts, Default::Required, "The builders that it asks for builds."),
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
    not_yet: &["username", "codebases", "priority"],
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
        "priority",
        "fileIsImportant",
        "change_filter",
    ],
    sentence: "Asks for builds again and again, at an even pace.",
};

static DB_OPTIONS: &[OptionSpec] = &[option(
    "db_url",
    Kind::Secret,
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

static PB_OPTIONS: &[OptionSpec] = &[option(
    "port",
    Kind::Port,
    Default::Required,
    "A number from 1 to 65535, or `tcp:9989:interface=127.0.0.1` as in Buildbot.",
)];

/// `c.protocols.pb`.
pub static PB: Constructor = Constructor {
    module: "",
    name: "c.protocols.pb",
    class: Class::Settings,
    positional: &[],
    groups: &[PB_OPTIONS],
    not_yet: &[],
    sentence: "The port for workers that speak Perspective Broker, which `buildbot-worker` does unless told otherwise.",
};

static PROTOCOLS_OPTIONS: &[OptionSpec] =
    &[option("pb", Kind::Record(&PB), Default::None, "Perspective Broker.")];

/// `c.protocols`.
pub static PROTOCOLS: Constructor = Constructor {
    module: "",
    name: "c.protocols",
    class: Class::Settings,
    positional: &[],
    groups: &[PROTOCOLS_OPTIONS],
    not_yet: &["msgpack_experimental_v7", "null"],
    sentence: "Where workers may connect.",
};

static MASTER_OPTIONS: &[OptionSpec] = &[
    option("title", Kind::Text, Default::Text("Lunabot"), "What the installation is called."),
    option("titleURL", Kind::Text, Default::Text(""), "Where people find more about the project."),
    option("buildbotURL", Kind::Text, Default::Text(""), "Where the web interface is reached from outside."),
    option("workers", Kind::Objects(Class::Worker), Default::Empty, "The workers. At least one."),
    option("builders", Kind::Objects(Class::Builder), Default::Empty, "The builders."),
    option("schedulers", Kind::Objects(Class::Scheduler), Default::Empty, "What asks for builds."),
    option("protocols", Kind::Record(&PROTOCOLS), Default::None, "Where workers may connect."),
    option(
        "db",
        Kind::Record(&DB),
        Default::None,
        "Where the master keeps what it must not forget. A change needs a restart.",
    ),
    option("db_url", Kind::Secret, Default::None, "Short for `c.db = { db_url = … }`."),
];

/// `c` itself.
pub static MASTER: Constructor = Constructor {
    module: "",
    name: "c",
    class: Class::Settings,
    positional: &[],
    groups: &[MASTER_OPTIONS],
    not_yet: &[
        "services",
        "reporters",
        "status",
        "www",
        "change_source",
        "multiMaster",
        "manhole",
        "caches",
        "collapseRequests",
        "prioritizeBuilders",
        "properties",
        "secretsProviders",
        "machines",
        "configurators",
        "logCompressionLimit",
        "logMaxSize",
        "validation",
        "user_managers",
        "projects",
        "codebases",
        "buildbotNetUsageData",
        "revlink",
        "hashlib",
    ],
    sentence: "The configuration. It is given; the file fills it.",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_constructor_has_an_option_twice_and_each_position_is_an_option() {
        for constructor in CONSTRUCTORS.iter().copied().chain([&MASTER, &DB, &PROTOCOLS, &PB]) {
            let names: Vec<_> = constructor.options().map(|o| o.name).collect();
            for (i, name) in names.iter().enumerate() {
                assert!(!names[i + 1..].contains(name), "{}: {name} stands twice", constructor.path());
                assert!(
                    !constructor.not_yet.contains(name),
                    "{}: {name} is there already",
                    constructor.path()
                );
            }
            for name in constructor.positional {
                assert!(names.contains(name), "{}: {name} is no option", constructor.path());
            }
            for option in constructor.options() {
                assert!(option.sentence.ends_with('.'), "{}: {}", constructor.path(), option.name);
            }
        }
    }
}
