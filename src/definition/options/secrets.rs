//! The options of providers of secrets.

use super::{Class, Constructor, Default, Kind, OptionSpec, option, or_none};

static IN_A_FILE: &[OptionSpec] = &[
    option(
        "dirname",
        Kind::Text,
        Default::Required,
        "The folder, below the master's own unless absolute. It and the files in it belong to the master's user or root, and nobody else may read them (0700, 0600).",
    ),
    or_none(option(
        "suffixes",
        Kind::Texts,
        Default::Empty,
        "What the names of the files end with after the name of the secret, looked for in this order; nothing, unless given.",
    )),
    option("strip", Kind::Bool, Default::Bool(true), "Whether line ends at the end of a file are left out."),
];

/// `secrets.SecretInAFile`.
pub static SECRET_IN_A_FILE: Constructor = Constructor {
    module: "secrets",
    name: "SecretInAFile",
    class: Class::SecretsProvider,
    positional: &["dirname", "suffixes", "strip"],
    groups: &[IN_A_FILE],
    not_yet: &[],
    sentence: "Secrets in files: the secret `bsd` is in the file `bsd`, `infra/bsd` in the folder `infra`. Read each time.",
};

static IN_ENVIRONMENT: &[OptionSpec] = &[option(
    "prefix",
    Kind::Text,
    Default::Text("LUNABOT_SECRET_"),
    "What the variables begin with. Those that begin with `LUNABOT_` are kept from commands of LocalWorkers.",
)];

/// `secrets.SecretInEnvironment`.
pub static SECRET_IN_ENVIRONMENT: Constructor = Constructor {
    module: "secrets",
    name: "SecretInEnvironment",
    class: Class::SecretsProvider,
    positional: &["prefix"],
    groups: &[IN_ENVIRONMENT],
    not_yet: &[],
    sentence: "Secrets in the master's environment: `infra/bsd` is in `LUNABOT_SECRET_INFRA_BSD`; what is neither letter nor digit becomes `_`.",
};

static IN_PASS: &[OptionSpec] = &[
    option(
        "gpgPassphrase",
        Kind::Hidden,
        Default::None,
        "The pass phrase of the key, if no agent knows it. It is given to `gpg` where the process list does not show it.",
    ),
    option(
        "dirname",
        Kind::Text,
        Default::Derived("that of `pass`: `~/.password-store`"),
        "The folder of the password store, below the master's own unless absolute.",
    ),
];

/// `secrets.SecretInPass`.
pub static SECRET_IN_PASS: Constructor = Constructor {
    module: "secrets",
    name: "SecretInPass",
    class: Class::SecretsProvider,
    positional: &["gpgPassphrase", "dirname"],
    groups: &[IN_PASS],
    not_yet: &[],
    sentence: "Secrets in `pass`, the password store: the first line of what `pass show NAME` writes.",
};

static IN_COMMAND: &[OptionSpec] = &[
    option(
        "command",
        Kind::Texts,
        Default::Required,
        "Program and arguments, seen by no shell. The name of the secret stands where `%(name)s` is, else it is the last argument. Exit code 0: its output is the secret; another: it does not have it.",
    ),
    option("timeout", Kind::Seconds { least: 0.1 }, Default::Seconds(10), "How long it may take."),
    option(
        "strip",
        Kind::Bool,
        Default::Bool(true),
        "Whether line ends at the end of its output are left out.",
    ),
];

/// `secrets.SecretInCommand`.
pub static SECRET_IN_COMMAND: Constructor = Constructor {
    module: "secrets",
    name: "SecretInCommand",
    class: Class::SecretsProvider,
    positional: &["command"],
    groups: &[IN_COMMAND],
    not_yet: &[],
    sentence: "Secrets that a program tells: the client of a vault, or a script of yours. Ours, Buildbot has none.",
};
