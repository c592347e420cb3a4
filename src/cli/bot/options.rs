//! The options of `lunabot-worker create-worker`, and the settings that they make.
//!
//! # Source
//! Names, short forms and defaults: `buildbot-worker create-worker`, where it has them.

use std::{
    convert::Infallible,
    io,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{
    cli::{
        bot::{check::Wrong, key::Key, settings::Settings, value::Value},
        failure::{Failure, Kind},
    },
    definition::Problem,
    model::Secret,
};

/// What `create-worker` takes.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option that is given or not")]
pub(super) struct Options {
    /// The worker's folder; made if it is missing
    #[arg(value_name = "DIR")]
    pub(super) dir: PathBuf,
    /// Where the master listens: HOST, HOST:PORT, or [ADDRESS]:PORT for IPv6. The port is 9989 unless given. Not used
    /// with --connection-string
    #[arg(value_name = "MASTER[:PORT]", required_unless_present = "from_tac")]
    master: Option<String>,
    /// The name by which the master knows the worker
    #[arg(value_name = "NAME", required_unless_present = "from_tac")]
    name: Option<String>,
    /// Its password; `-` reads it from standard input. Without it, and without --password-file, it is asked for, which
    /// is better: an argument can be seen in the list of processes
    #[arg(value_name = "PASSWORD", value_parser = secret, hide_possible_values = true)]
    pub(super) password: Option<Secret>,
    /// The file with the password, which is read at each start of the worker; `-` reads it now, from standard input
    #[arg(long, value_name = "FILE", conflicts_with = "password", help_heading = PASSWORD)]
    pub(super) password_file: Option<PathBuf>,
    /// Take all settings from the buildbot.tac in DIR, which a `buildbot-worker` was made by; it stays as it is
    #[arg(long, conflicts_with_all = SETTINGS)]
    pub(super) from_tac: bool,
    /// Write the settings anew, though the folder has some; notes in `info` stay as they are
    #[arg(long, short)]
    pub(super) force: bool,
    /// Say nothing but what is wrong
    #[arg(long, short)]
    pub(super) quiet: bool,
    /// Taken and not needed: the folder of a worker can always be moved
    #[arg(long, short)]
    relocatable: bool,

    /// What is spoken with the master: pb or msgpack (also msgpack_experimental_v7)
    #[arg(long, value_name = "PROTOCOL", default_value = "pb", help_heading = CONNECTION)]
    protocol: String,
    /// How often the master is asked for a sign of life, in seconds; 0 for never
    #[arg(long, short, value_name = "SECONDS", default_value_t = 600, help_heading = CONNECTION)]
    keepalive: i64,
    /// The longest wait between two tries to connect, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300, help_heading = CONNECTION)]
    maxdelay: i64,
    /// Give up after so many failures in a row; never, unless given
    #[arg(long, value_name = "N", help_heading = CONNECTION)]
    maxretries: Option<i64>,
    /// Instead of MASTER and all that is about TLS: one text, as Twisted writes it (tcp:, tls:, ssl:, unix:); paths in it
    /// are below DIR
    #[arg(long, value_name = "TEXT", help_heading = CONNECTION)]
    connection_string: Option<String>,
    /// An HTTP proxy that leads to the master by CONNECT, as tcp:HOST:PORT
    #[arg(long, value_name = "TEXT", help_heading = CONNECTION)]
    proxy_connection_string: Option<String>,

    /// Connect through TLS
    #[arg(long, help_heading = TLS)]
    use_tls: bool,
    /// Whose certificates are trusted: a file, or a folder of files, in PEM form; without it, whom this machine trusts
    #[arg(long, value_name = "PATH", help_heading = TLS)]
    tls_ca: Option<PathBuf>,
    /// The worker's own certificate, if the master asks for one
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    tls_cert: Option<PathBuf>,
    /// The key of that certificate
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    tls_key: Option<PathBuf>,
    /// The name that the master's certificate must have, if it is not that of its address
    #[arg(long, value_name = "NAME", help_heading = TLS)]
    tls_server_name: Option<String>,

    /// Let the worker be asked to stop once its builds are done: by SIGHUP (signal), or by a touch of shutdown.stamp in
    /// DIR (file)
    #[arg(long, short, value_name = "signal|file", help_heading = WORKER)]
    allow_shutdown: Option<String>,
    /// How many processors the master is told of; those that are found, unless given
    #[arg(long, value_name = "N", help_heading = WORKER)]
    numcpus: Option<i64>,
    /// The mask of the modes of new files, in octal, as 022
    #[arg(long, value_name = "OCTAL", help_heading = WORKER)]
    umask: Option<String>,
    /// Remove folders of builders that the master no longer has
    #[arg(long, help_heading = WORKER)]
    delete_leftover_dirs: bool,
    /// A variable of the worker's environment that no build sees: its name, or a pattern with * and ?; may be given
    /// several times
    #[arg(long, value_name = "NAME", help_heading = WORKER)]
    environment_blacklist: Vec<String>,

    /// How large worker.log grows before it is set aside, in bytes; 0 for without end
    #[arg(long, short = 's', value_name = "BYTES", default_value_t = 10_000_000, help_heading = LOG)]
    log_size: i64,
    /// How many old logs are kept
    #[arg(long, short = 'l', value_name = "N", default_value_t = 10, help_heading = LOG)]
    log_count: i64,
    /// Never set the log aside, as --log-size 0
    #[arg(long, short, conflicts_with = "log_size", help_heading = LOG)]
    no_logrotate: bool,
}

const PASSWORD: &str = "Password";
const CONNECTION: &str = "Connection";
const TLS: &str = "TLS";
const WORKER: &str = "Worker";
const LOG: &str = "Log";

/// Those that `--from-tac` finds in the file.
const SETTINGS: [&str; 23] = [
    "master",
    "name",
    "password",
    "password_file",
    "protocol",
    "keepalive",
    "maxdelay",
    "maxretries",
    "connection_string",
    "proxy_connection_string",
    "use_tls",
    "tls_ca",
    "tls_cert",
    "tls_key",
    "tls_server_name",
    "allow_shutdown",
    "numcpus",
    "umask",
    "delete_leftover_dirs",
    "environment_blacklist",
    "log_size",
    "log_count",
    "no_logrotate",
];

#[expect(clippy::unnecessary_wraps, reason = "the form that the parser of the command line takes")]
fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

impl Options {
    /// The settings, all but the password.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        let text = |text: &Option<String>| text.clone().map(Value::Text);
        let number = |number: Option<i64>| number.map(Value::Number);
        let flag = |is_set: bool| is_set.then_some(Value::Flag(true));
        let path = |path: &Option<PathBuf>| path.as_deref().map(|path| self.stored(path)).transpose();
        let log_size = if self.no_logrotate { 0 } else { self.log_size };
        let with_string = self.connection_string.is_some();
        let given = [
            (Key::Name, text(&self.name)),
            (Key::Master, text(&self.master).filter(|_| !with_string)),
            (Key::ConnectionString, text(&self.connection_string)),
            (Key::ProxyConnectionString, text(&self.proxy_connection_string)),
            (Key::Protocol, Some(Value::Text(self.protocol.clone()))),
            (Key::UseTls, flag(self.use_tls)),
            (Key::TlsCa, path(&self.tls_ca)?),
            (Key::TlsCert, path(&self.tls_cert)?),
            (Key::TlsKey, path(&self.tls_key)?),
            (Key::TlsServerName, text(&self.tls_server_name)),
            (Key::Keepalive, number(Some(self.keepalive))),
            (Key::Maxdelay, number(Some(self.maxdelay))),
            (Key::Maxretries, number(self.maxretries)),
            (Key::AllowShutdown, text(&self.allow_shutdown)),
            (Key::Numcpus, number(self.numcpus)),
            (Key::Umask, text(&self.umask)),
            (Key::DeleteLeftoverDirs, flag(self.delete_leftover_dirs)),
            (Key::EnvironmentBlacklist, Some(Value::Texts(self.environment_blacklist.clone()))),
            (Key::LogSize, number(Some(log_size))),
            (Key::LogCount, number(Some(self.log_count))),
        ];
        let mut settings = Settings::default();
        let mut wrongs = Vec::new();
        for (key, value) in given {
            let Some(value) = value else { continue };
            wrongs.extend(settings.set(key, value).err().map(|text| Wrong { key, text }));
        }
        // The password comes later, and what was refused is not missing.
        wrongs.extend(settings.wrongs().into_iter().filter(|wrong| !wrong.is_absence()));
        if wrongs.is_empty() { Ok(settings) } else { Err(mistakes(wrongs)) }
    }

    /// A path as the settings have it: below the worker's folder if it leads there, else absolute.
    pub(super) fn stored(&self, path: &Path) -> Result<Value, Failure> {
        let wrong = |error: io::Error| {
            Failure::message(Kind::Usage, format!("the path {} cannot be used: {error}", path.display()))
        };
        let absolute = std::path::absolute(path).map_err(wrong)?;
        let dir = std::path::absolute(&self.dir).map_err(wrong)?;
        let path = absolute.strip_prefix(&dir).unwrap_or(&absolute);
        match path.to_str() {
            Some(text) => Ok(Value::Text(text.to_owned())),
            None => Err(wrong(io::Error::other("its name is no text in UTF-8"))),
        }
    }
}

/// A failure that tells all that is wrong with the command line.
pub(super) fn mistakes(wrongs: Vec<Wrong>) -> Failure {
    let option = |key: Key| match key {
        Key::Name => "NAME".to_owned(),
        Key::Master => "MASTER".to_owned(),
        Key::Password => "PASSWORD".to_owned(),
        key => format!("--{}", key.name().replace('_', "-")),
    };
    let problems = wrongs
        .into_iter()
        .map(|wrong| Problem::error(None, format!("{}: {}", option(wrong.key), wrong.text)));
    Failure::message(Kind::Usage, "nothing was made")
        .problems(problems.collect())
        .hint("`lunabot-worker create-worker --help` tells what each takes".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;
    use crate::cli::bot::endpoint;

    fn command() -> clap::Command {
        Options::augment_args(clap::Command::new("create-worker"))
    }

    #[test]
    fn the_options_have_the_defaults_of_the_settings() {
        let given = command().get_matches_from(["create-worker", "w", "ci", "bot1"]);
        let settings = Options::from_arg_matches(&given).unwrap().settings().unwrap();
        let expected = Settings {
            name: "bot1".to_owned(),
            master: Some(("ci".to_owned(), endpoint::DEFAULT_PORT)),
            ..Settings::default()
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn each_setting_has_an_option_of_its_name_which_does_not_go_with_a_tac() {
        let options = command();
        for key in Key::ALL {
            let option = options.get_arguments().find(|option| option.get_id() == key.name());
            let option = option.unwrap_or_else(|| panic!("{key:?}"));
            let long = option.get_long();
            assert!(option.is_positional() || long == Some(&key.name().replace('_', "-")), "{key:?}");
            assert!(SETTINGS.contains(&key.name()), "{key:?}");
        }
    }

    #[test]
    fn paths_below_the_folder_stay_below_it_when_it_is_moved() {
        let given = command().get_matches_from(["create-worker", "/a/w", "ci", "bot1"]);
        let options = Options::from_arg_matches(&given).unwrap();
        let stored = |path: &str| match options.stored(Path::new(path)).unwrap() {
            Value::Text(text) => text,
            _ => panic!("{path}"),
        };
        assert_eq!(stored("/a/w/tls/ca.pem"), "tls/ca.pem");
        assert_eq!(stored("/a/tls/ca.pem"), "/a/tls/ca.pem");
        assert!(stored("ca.pem").ends_with("/ca.pem"));
    }
}
