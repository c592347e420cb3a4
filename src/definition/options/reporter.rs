//! The options of reporters: who is told what, and by which way.

use super::{Class, Constructor, Default, Kind, OptionSpec, option, rendered};

/// What stands for `mode`, in Buildbot too.
const STANDARD_MODE: Default = Default::Derived("`{ \"failing\", \"passing\", \"warnings\" }`");

static MAIL: &[OptionSpec] = &[
    option(
        "fromaddr",
        Kind::Text,
        Default::Required,
        "The sender: `buildbot@localhost`, or `Buildbot <ci@example.org>`. Only the address is checked, and `localhost` is a domain like any other.",
    ),
    option("relayhost", Kind::Text, Default::Text("localhost"), "The host that takes the mail."),
    option(
        "lookup",
        Kind::TextOrFunction,
        Default::None,
        "How a person's name becomes an address: a domain that is added to names without one, or a function from a name to an address.",
    ),
    option(
        "extraRecipients",
        Kind::Texts,
        Default::Empty,
        "Addresses that are told of builds besides. Of missing workers only those in `notify_on_missing` are told.",
    ),
    option(
        "sendToInterestedUsers",
        Kind::Bool,
        Default::Bool(true),
        "Whether the people behind the changes are told of their builds.",
    ),
    rendered(option(
        "extraHeaders",
        Kind::TextTable,
        Default::Empty,
        "Headers that are added to each mail. Those that a mail has anyhow (`To`, `Subject` and kin) are refused: Buildbot would write them twice.",
    )),
    option(
        "useTls",
        Kind::Bool,
        Default::Bool(false),
        "Whether STARTTLS is demanded. Otherwise it is used if the host offers it.",
    ),
    option(
        "useSmtps",
        Kind::Bool,
        Default::Bool(false),
        "Whether TLS is spoken from the first byte. Not together with `useTls`.",
    ),
    option(
        "smtpUser",
        Kind::Secret,
        Default::None,
        "The login at the host; it needs `smtpPassword`, and that needs it.",
    ),
    option("smtpPassword", Kind::Secret, Default::None, "The password of `smtpUser`."),
    option(
        "smtpPort",
        Kind::Integer { least: 1, most: 65_535 },
        Default::Derived("25, or 465 with `useSmtps`"),
        "The port of the host. In Buildbot it is 25 with `useSmtps` too.",
    ),
    option(
        "dumpMailsToLog",
        Kind::Bool,
        Default::Bool(false),
        "Whether each mail is written to the master's log as well.",
    ),
    option(
        "generators",
        Kind::Objects(Class::Generator),
        Default::Derived("builds, and missing workers"),
        "What is mailed. Without it: the results of builds, and all missing workers, both in HTML.",
    ),
];

static MAIL_OLD: &[OptionSpec] = &[
    option(
        "mode",
        Kind::Words,
        STANDARD_MODE,
        "Which builds are mailed, as older manuals write it and as in `BuildStatusGenerator`. Not together with `generators`.",
    ),
    option(
        "tags",
        Kind::Texts,
        Default::None,
        "Those of builders that have one of these tags, as older manuals write it. Not together with `generators` or `builders`.",
    ),
    option(
        "builders",
        Kind::Texts,
        Default::Derived("all builders"),
        "Whose builds are mailed, as older manuals write it: `{}` is for mails about workers alone. Not together with `generators`.",
    ),
    option(
        "watchedWorkers",
        Kind::Names,
        Default::Derived("`\"all\"`"),
        "Which missing workers are mailed, as older manuals write it: `\"all\"` or a list of names. Not together with `generators`.",
    ),
    option(
        "messageFormatterMissingWorker",
        Kind::Object(Class::Formatter),
        Default::None,
        "The text of those mails, as older manuals write it. Not together with `generators`.",
    ),
    option(
        "name",
        Kind::Text,
        Default::Derived("`\"ADDRESS via RELAYHOST\"`"),
        "What it is called in plans and messages; two reporters may not share it.",
    ),
];

/// `reporters.MailNotifier`.
pub static MAIL_NOTIFIER: Constructor = Constructor {
    module: "reporters",
    name: "MailNotifier",
    class: Class::Reporter,
    positional: &[
        "fromaddr",
        "relayhost",
        "lookup",
        "extraRecipients",
        "sendToInterestedUsers",
        "extraHeaders",
        "useTls",
        "useSmtps",
        "smtpUser",
        "smtpPassword",
        "smtpPort",
        "dumpMailsToLog",
        "generators",
    ],
    groups: &[MAIL, MAIL_OLD],
    not_yet: &[
        "categories",
        "branches",
        "schedulers",
        "subject",
        "addLogs",
        "addPatch",
        "buildSetSummary",
        "messageFormatter",
    ],
    sentence: "Sends mail about builds that have ended, and about missing workers.",
};

static BUILDS: &[OptionSpec] = &[
    option(
        "mode",
        Kind::Words,
        STANDARD_MODE,
        "Which ends of a build are told: `failing`, `passing`, `warnings`, `exception`, `cancelled`; `problem` for a failure after a build that did not fail, `change` for an end unlike that of the build before; `all` for each but `problem` and `change`. The word `\"warnings\"` alone, not in a list, is both `warnings` and `failing`.",
    ),
    option(
        "tags",
        Kind::Texts,
        Default::None,
        "Of builders that have one of these tags. Not together with `builders`.",
    ),
    option("builders", Kind::Texts, Default::None, "Of these builders; of all if absent."),
    option("schedulers", Kind::Texts, Default::None, "Of builds that one of these schedulers asked for."),
    option("branches", Kind::Texts, Default::None, "Of builds of one of these branches."),
    option(
        "add_logs",
        Kind::BoolOrTexts,
        Default::None,
        "Which logs are attached: `true` for all, or a list of names: `\"stdio\"` is that of each step, `\"compile.stdio\"` that of one.",
    ),
    option(
        "message_formatter",
        Kind::Object(Class::Formatter),
        Default::Derived("one of plain text"),
        "The text of the mail: a `MessageFormatter`.",
    ),
];

/// `reporters.BuildStatusGenerator`.
pub static BUILD_STATUS_GENERATOR: Constructor = Constructor {
    module: "reporters",
    name: "BuildStatusGenerator",
    class: Class::Generator,
    // `add_patch` and `report_new` come next in Buildbot, and are not there yet.
    positional: &["mode", "tags", "builders", "schedulers", "branches", "add_logs"],
    groups: &[BUILDS],
    not_yet: &["add_patch", "report_new"],
    sentence: "Tells how builds ended.",
};

static MISSING: &[OptionSpec] = &[
    option(
        "workers",
        Kind::Names,
        Default::Derived("`\"all\"`"),
        "`\"all\"`, or the names of those that count.",
    ),
    option(
        "message_formatter",
        Kind::Object(Class::Formatter),
        Default::Derived("one of plain text"),
        "The text of the mail: a `MessageFormatterMissingWorker`.",
    ),
];

/// `reporters.WorkerMissingGenerator`.
pub static WORKER_MISSING_GENERATOR: Constructor = Constructor {
    module: "reporters",
    name: "WorkerMissingGenerator",
    class: Class::Generator,
    positional: &["workers", "message_formatter"],
    groups: &[MISSING],
    not_yet: &[],
    sentence: "Tells the addresses in a worker's `notify_on_missing` that it has been missing for its `missing_timeout`.",
};

static FORMATTER: &[OptionSpec] = &[
    option("template", Kind::Text, Default::None, "The text, as a template; one of our own if absent."),
    option(
        "subject",
        Kind::Text,
        Default::None,
        "The subject, as a template of one line; one of our own if absent.",
    ),
    option("template_type", Kind::Text, Default::Text("plain"), "What the text is: `plain` or `html`."),
];

static OF_BUILD: &[OptionSpec] = &[
    option(
        "ctx",
        Kind::Properties,
        Default::Empty,
        "What the templates can use besides what is known of the build.",
    ),
    option(
        "want_properties",
        Kind::Bool,
        Default::Bool(true),
        "Taken, and changes nothing: properties are there whenever a template asks for them.",
    ),
    option(
        "want_steps",
        Kind::Bool,
        Default::Bool(false),
        "Taken, and changes nothing: steps are there whenever a template asks for them.",
    ),
    option(
        "want_logs",
        Kind::Bool,
        Default::Bool(false),
        "Taken, and changes nothing: logs are there whenever a template asks for them.",
    ),
    option(
        "want_logs_content",
        Kind::Bool,
        Default::Bool(false),
        "Taken, and changes nothing: what logs hold is there whenever a template asks for it.",
    ),
];

/// `reporters.MessageFormatter`.
pub static MESSAGE_FORMATTER: Constructor = Constructor {
    module: "reporters",
    name: "MessageFormatter",
    class: Class::Formatter,
    positional: &["template", "subject", "template_type"],
    groups: &[FORMATTER, OF_BUILD],
    not_yet: &["extra_info_cb"],
    sentence: "The text of a mail about a build.",
};

static OF_WORKER: &[OptionSpec] = &[option(
    "ctx",
    Kind::Properties,
    Default::Empty,
    "What the templates can use besides `buildbot_title`, `buildbot_url` and `worker`.",
)];

/// `reporters.MessageFormatterMissingWorker`.
pub static MESSAGE_FORMATTER_MISSING_WORKER: Constructor = Constructor {
    module: "reporters",
    name: "MessageFormatterMissingWorker",
    class: Class::Formatter,
    positional: &["template", "subject", "template_type"],
    groups: &[FORMATTER, OF_WORKER],
    not_yet: &["want_properties", "want_steps", "want_logs", "want_logs_content"],
    sentence: "The text of a mail about a missing worker.",
};
