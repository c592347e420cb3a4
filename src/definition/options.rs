//! The one table of options: each constructor and key of `c`, with name, type, unit, default and sentence.
//!
//! From it come the reader (`config::field`), the hints, `docs/config.md`, and the stubs for the editor
//! ([`document`](super::document)). An option written anywhere else is a defect.
//!
//! # Source
//! Names and defaults: Buildbot 4.3.0. Where ours differ, the sentence says so.

mod builder;
mod lock;
mod reporter;
mod scheduler;
mod secrets;
mod settings;
mod step;
mod worker;

pub use builder::{BUILD_FACTORY, BUILDER_CONFIG};
pub use lock::{LOCK_ACCESS, MASTER_LOCK, WORKER_LOCK};
pub use reporter::{
    BUILD_STATUS_GENERATOR, MAIL_NOTIFIER, MESSAGE_FORMATTER, MESSAGE_FORMATTER_MISSING_WORKER,
    WORKER_MISSING_GENERATOR,
};
pub use scheduler::{FORCE_SCHEDULER, PERIODIC, TRIGGERABLE};
pub use secrets::{SECRET_IN_A_FILE, SECRET_IN_COMMAND, SECRET_IN_ENVIRONMENT, SECRET_IN_PASS};
pub use settings::{DB, MASTER, MSGPACK, PB, PORT, PROTOCOLS, TLS};
pub use step::{
    COPY_DIRECTORY, DIRECTORY_UPLOAD, FILE_DOWNLOAD, FILE_UPLOAD, JSON_STRING_DOWNLOAD, MAKE_DIRECTORY,
    MULTIPLE_FILE_UPLOAD, REMOVE_DIRECTORY, SET_PROPERTY, SET_PROPERTY_FROM_COMMAND, SHELL_COMMAND,
    STRING_DOWNLOAD, TRIGGER,
};
pub use worker::{
    DOCKER_LATENT_WORKER, EC2_LATENT_WORKER, LATENT_WORKER, LIBVIRT_WORKER, LOCAL_WORKER,
    OPENSTACK_LATENT_WORKER, WORKER,
};

/// What an option takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Text.
    Text,
    /// A text or a whole number: a name that may consist of digits. Kept as text.
    Name,
    /// One such, or a list of them.
    Names,
    /// Text that is not shown, and needed before any provider of secrets is there.
    Hidden,
    /// Text that is not shown, or `util.Secret`.
    Secret,
    /// One such, or a list of them.
    Secrets,
    /// A table of names and such texts.
    SecretTable,
    /// A port: a number, or Twisted's `tcp:…` as text. Kept as text.
    Port,
    /// A port as [`Kind::Port`], a table with options of its own, or a list of these. Kept as a list of such tables.
    Ports(&'static Constructor),
    /// `true` or `false`.
    Bool,
    /// `true` or `false`, or a list of texts.
    BoolOrTexts,
    /// A whole number.
    Integer {
        /// The least that is allowed.
        least: i64,
        /// The most that is allowed.
        most: i64,
    },
    /// A number, fractions allowed.
    Number {
        /// The least that is allowed.
        least: f64,
    },
    /// A number of bytes, or text like `"10 MiB"`.
    Bytes {
        /// The least that is allowed.
        least: i64,
        /// The most that is allowed.
        most: i64,
    },
    /// A span of time in seconds, fractions allowed, or text like `"10m"`.
    Seconds {
        /// The least that is allowed.
        least: f64,
    },
    /// How long an idle instance is kept: a span of time; 0 ends it at once, a negative number never.
    Idle,
    /// A Lua function.
    Function,
    /// A text, or a Lua function.
    TextOrFunction,
    /// `true` or `false`, or a function that answers so in a build.
    Condition,
    /// A text, or a list of texts.
    Texts,
    /// A word, or a list of words, which is not the same as the only word in it.
    Words,
    /// A text for the worker's shell, or a list: program and arguments.
    Command,
    /// A table of names and values, as JSON can hold them.
    Properties,
    /// A table of labels, each with a text, a number, a truth value, or a list of these.
    Labels,
    /// A table of names and texts.
    TextTable,
    /// A table of names and texts; a list is joined, `None` removes the variable.
    Environment,
    /// A table of exit codes and outcomes: `{ [0] = "success", [77] = "skipped" }`.
    Outcomes,
    /// Names of logs, and the files that they watch: a path, or `{ filename = …, follow = true }`.
    LogFiles,
    /// A table of names and whole numbers.
    Counts {
        /// The least that is allowed.
        least: i64,
        /// The most that is allowed.
        most: i64,
    },
    /// Permissions of a file: octal digits as text, since Lua has no octal numbers.
    Mode,
    /// What JSON can hold.
    Json,
    /// A table of names and values, as JSON can hold them; the whole may be rendered as well as what is in it.
    Table,
    /// A list of pairs of texts.
    Pairs,
    /// A table with options of its own.
    Record(&'static Constructor),
    /// A list of such tables.
    Records(&'static Constructor),
    /// `true`, `false`, or such a table.
    Switch(&'static Constructor),
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
    /// A number with a fraction, as Lua writes it.
    Number(f64),
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
    /// A lock.
    Lock,
    /// What is wanted of a lock.
    LockAccess,
    /// A scheduler.
    Scheduler,
    /// A reporter.
    Reporter,
    /// What makes a reporter's messages of events.
    Generator,
    /// The text of such a message.
    Formatter,
    /// A provider of secrets.
    SecretsProvider,
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

    /// The tables with options of their own that its options take.
    pub fn tables(&self) -> impl Iterator<Item = &'static Self> + use<> {
        self.options().filter_map(|option| option.kind.table())
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.options().map(|option| option.name).collect();
        format!("`{}`", names.join("`, `"))
    }

    /// As the operator writes it: `worker.Worker`, or `c.db`.
    pub fn path(&self) -> String {
        if self.module.is_empty() { self.name.to_owned() } else { format!("{}.{}", self.module, self.name) }
    }
}

impl Kind {
    /// The options of the tables that it takes.
    pub const fn table(self) -> Option<&'static Constructor> {
        match self {
            Self::Record(table) | Self::Records(table) | Self::Switch(table) => Some(table),
            _ => None,
        }
    }

    /// What people call a value of this kind: "takes …".
    pub fn words(self) -> String {
        match self {
            Self::Text | Self::Hidden => "text".into(),
            Self::Name => "text, or a whole number".into(),
            Self::Names => "text or a whole number, or a list of these".into(),
            Self::Secret => "text, or `util.Secret`".into(),
            Self::Secrets => "text or `util.Secret`, or a list of these".into(),
            Self::SecretTable => "a table of names and texts or `util.Secret`".into(),
            Self::Port => "a port: a number, or text like \"tcp:9989\"".into(),
            Self::Ports(_) => {
                "a port (a number, text like \"tcp:9989\", or a table), or a list of ports".into()
            }
            Self::Bool => "true or false".into(),
            Self::BoolOrTexts => "true or false, or a list of texts".into(),
            Self::Integer { .. } => "a whole number".into(),
            Self::Number { .. } => "a number".into(),
            Self::Bytes { .. } => "a number of bytes, or text like \"10 MiB\"".into(),
            Self::Seconds { .. } => "a number of seconds, or text like \"10m\"".into(),
            Self::Idle => {
                "a number of seconds, or text like \"10m\"; 0 ends an idle instance at once, -1 never".into()
            }
            Self::Function => "a function".into(),
            Self::TextOrFunction => "text, or a function".into(),
            Self::Condition => "true or false, or a function".into(),
            Self::Texts => "text, or a list of texts".into(),
            Self::Words => "a word, or a list of words".into(),
            Self::Command => "text, or a list of texts: program and arguments".into(),
            Self::Properties | Self::Table => "a table of names and values".into(),
            Self::Labels => "a table of labels and values".into(),
            Self::Pairs => "a list of pairs of texts".into(),
            Self::Environment | Self::TextTable => "a table of names and texts".into(),
            Self::Outcomes => "a table of exit codes and outcomes".into(),
            Self::LogFiles => {
                "a table of names and paths, or of names and `{ filename = …, follow = … }`".into()
            }
            Self::Counts { .. } => "a table of names and whole numbers".into(),
            Self::Mode => "permissions in octal, as text: \"0644\"".into(),
            Self::Json => "text, a number, true or false, or a table of such values".into(),
            Self::Record(constructor) => format!("a table with {}", constructor.names()),
            Self::Records(constructor) => format!("a list of tables with {}", constructor.names()),
            Self::Switch(constructor) => {
                format!("true or false, or a table with {}", constructor.names())
            }
            Self::Object(class) => format!("a {}", class.noun()),
            Self::Objects(Class::LockAccess) => "a list of lock accesses".into(),
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
            Self::Lock => "lock",
            Self::LockAccess => "lock access",
            Self::Scheduler => "scheduler",
            Self::Reporter => "reporter",
            Self::Generator => "generator",
            Self::Formatter => "message formatter",
            Self::SecretsProvider => "secrets provider",
            Self::Settings => "table",
        }
    }
}

/// The file of the database if `c.db` does not say otherwise.
pub const DEFAULT_DATABASE_FILE: &str = "state.sqlite";

/// All constructors, in the order of the documentation.
pub static CONSTRUCTORS: &[&Constructor] = &[
    &WORKER,
    &LOCAL_WORKER,
    &EC2_LATENT_WORKER,
    &LIBVIRT_WORKER,
    &OPENSTACK_LATENT_WORKER,
    &DOCKER_LATENT_WORKER,
    &LATENT_WORKER,
    &BUILDER_CONFIG,
    &BUILD_FACTORY,
    &MASTER_LOCK,
    &WORKER_LOCK,
    &SHELL_COMMAND,
    &SET_PROPERTY_FROM_COMMAND,
    &SET_PROPERTY,
    &FILE_UPLOAD,
    &DIRECTORY_UPLOAD,
    &MULTIPLE_FILE_UPLOAD,
    &FILE_DOWNLOAD,
    &STRING_DOWNLOAD,
    &JSON_STRING_DOWNLOAD,
    &MAKE_DIRECTORY,
    &REMOVE_DIRECTORY,
    &COPY_DIRECTORY,
    &TRIGGER,
    &FORCE_SCHEDULER,
    &PERIODIC,
    &TRIGGERABLE,
    &MAIL_NOTIFIER,
    &BUILD_STATUS_GENERATOR,
    &MESSAGE_FORMATTER,
    &WORKER_MISSING_GENERATOR,
    &MESSAGE_FORMATTER_MISSING_WORKER,
    &SECRET_IN_A_FILE,
    &SECRET_IN_ENVIRONMENT,
    &SECRET_IN_PASS,
    &SECRET_IN_COMMAND,
];

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_constructor_has_an_option_twice_and_each_position_is_an_option() {
        for constructor in CONSTRUCTORS.iter().copied().chain([
            &LOCK_ACCESS,
            &MASTER,
            &DB,
            &PROTOCOLS,
            &PB,
            &MSGPACK,
            &PORT,
            &TLS,
        ]) {
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
