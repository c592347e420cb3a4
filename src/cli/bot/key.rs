//! The settings of a worker: the name of each, what it means, and an example.
//!
//! # Laws
//! - Each is told once, here: `worker.toml`, its reader and the table in `docs/lunabot-worker.md` follow.
//! - A setting has the name of the option of `create-worker` that sets it, with `_` for `-`.
//!
//! # Source
//! Names and meanings: `buildbot-worker create-worker`, where it has them.

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "`TlsKey` is the key of a certificate")]
pub(super) enum Key {
    /// Its name.
    Name,
    /// Its password.
    Password,
    /// Where its password is.
    PasswordFile,
    /// Where its master is.
    Master,
    /// The same as Twisted writes it.
    ConnectionString,
    /// What is between.
    ProxyConnectionString,
    /// What is spoken.
    Protocol,
    /// Whether TLS is used.
    UseTls,
    /// Whom TLS trusts.
    TlsCa,
    /// The certificate of the worker.
    TlsCert,
    /// Its key.
    TlsKey,
    /// The name in the master's certificate.
    TlsServerName,
    /// How often the master is asked for a sign of life.
    Keepalive,
    /// The longest wait between two tries.
    Maxdelay,
    /// After how many failures it gives up.
    Maxretries,
    /// Whether it may ask for its stop.
    AllowShutdown,
    /// How many processors it tells of.
    Numcpus,
    /// The mask of the modes of new files.
    Umask,
    /// Whether folders of builders that are gone go, too.
    DeleteLeftoverDirs,
    /// The variables that no build sees.
    EnvironmentBlacklist,
    /// How large its log grows.
    LogSize,
    /// How many old logs are kept.
    LogCount,
}

impl Key {
    /// All of them, in the order in which a file has them.
    pub(super) const ALL: [Self; 22] = [
        Self::Name,
        Self::Password,
        Self::PasswordFile,
        Self::Master,
        Self::ConnectionString,
        Self::ProxyConnectionString,
        Self::Protocol,
        Self::UseTls,
        Self::TlsCa,
        Self::TlsCert,
        Self::TlsKey,
        Self::TlsServerName,
        Self::Keepalive,
        Self::Maxdelay,
        Self::Maxretries,
        Self::AllowShutdown,
        Self::Numcpus,
        Self::Umask,
        Self::DeleteLeftoverDirs,
        Self::EnvironmentBlacklist,
        Self::LogSize,
        Self::LogCount,
    ];

    /// The setting of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.name() == name)
    }

    /// Those that say the same in another way, itself among them.
    pub(super) const fn alternatives(self) -> &'static [Self] {
        match self {
            Self::Password => &[Self::Password, Self::PasswordFile],
            Self::Master => &[Self::Master, Self::ConnectionString],
            _ => &[],
        }
    }

    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        self.row().0
    }

    /// An example, as TOML; shown where there is neither a value nor a default.
    pub(super) const fn example(self) -> &'static str {
        self.row().1
    }

    /// What it means, a line each.
    pub(super) const fn about(self) -> &'static [&'static str] {
        self.row().2
    }

    const fn row(self) -> (&'static str, &'static str, &'static [&'static str]) {
        match self {
            Self::Name => ("name", "\"bot1\"", &["The name by which the master knows this worker."]),
            Self::Password => (
                "password",
                "\"sesame\"",
                &["Its password. While it stands here, this file must be readable by its owner alone."],
            ),
            Self::PasswordFile => (
                "password_file",
                "\"/etc/lunabot-worker/password\"",
                &["A file with the password as its only line, instead of `password`."],
            ),
            Self::Master => (
                "master",
                "\"ci.example.org:9989\"",
                &["Where the master listens: HOST:PORT, or [ADDRESS]:PORT for IPv6."],
            ),
            Self::ConnectionString => (
                "connection_string",
                "\"tls:host=ci.example.org:port=9990:trustRoots=roots\"",
                &[
                    "Instead of `master` and all that is about TLS: one text, as Twisted writes it (tcp:, tls:, ssl:, unix:).",
                    "A colon within a value has a backslash before it.",
                ],
            ),
            Self::ProxyConnectionString => (
                "proxy_connection_string",
                "\"tcp:proxy.example.org:3128\"",
                &["An HTTP proxy that leads to the master by CONNECT."],
            ),
            Self::Protocol => (
                "protocol",
                "\"pb\"",
                &[
                    "What is spoken with the master: \"pb\", or \"msgpack\" (also \"msgpack_experimental_v7\").",
                ],
            ),
            Self::UseTls => ("use_tls", "false", &["Whether the connection goes through TLS."]),
            Self::TlsCa => (
                "tls_ca",
                "\"ca.pem\"",
                &[
                    "Whose certificates are trusted: a file, or a folder of files, in PEM form. Without it, whom this machine trusts.",
                ],
            ),
            Self::TlsCert => {
                ("tls_cert", "\"cert.pem\"", &["The worker's own certificate, if the master asks for one."])
            }
            Self::TlsKey => ("tls_key", "\"key.pem\"", &["The key of that certificate."]),
            Self::TlsServerName => (
                "tls_server_name",
                "\"ci.example.org\"",
                &["The name that the master's certificate must have, if it is not that of its address."],
            ),
            Self::Keepalive => (
                "keepalive",
                "600",
                &["How often the master is asked for a sign of life, in seconds; 0 for never."],
            ),
            Self::Maxdelay => {
                ("maxdelay", "300", &["The longest wait between two tries to connect, in seconds."])
            }
            Self::Maxretries => (
                "maxretries",
                "10",
                &["After how many failures in a row the worker gives up. Without it, it never does."],
            ),
            Self::AllowShutdown => (
                "allow_shutdown",
                "\"signal\"",
                &[
                    "How the worker may be asked to stop once its builds are done: \"signal\" for SIGHUP, \"file\" for a touch of",
                    "shutdown.stamp in this folder. Without it, it may not.",
                ],
            ),
            Self::Numcpus => (
                "numcpus",
                "4",
                &["How many processors the master is told of. Without it, those that are found."],
            ),
            Self::Umask => (
                "umask",
                "\"022\"",
                &[
                    "The mask of the modes of new files, in octal. Without it, that of whoever starts the worker.",
                ],
            ),
            Self::DeleteLeftoverDirs => (
                "delete_leftover_dirs",
                "false",
                &["Whether folders of builders that the master no longer has are removed."],
            ),
            Self::EnvironmentBlacklist => (
                "environment_blacklist",
                "[\"SECRET_*\"]",
                &[
                    "The variables of the worker's environment that no build sees: names, or patterns with * and ?.",
                ],
            ),
            Self::LogSize => (
                "log_size",
                "10000000",
                &["How large worker.log grows before it is set aside, in bytes; 0 for without end."],
            ),
            Self::LogCount => ("log_count", "10", &["How many old logs are kept."]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_has_a_name_of_its_own_and_a_sentence() {
        for (at, key) in Key::ALL.into_iter().enumerate() {
            assert_eq!(Key::named(key.name()), Some(key));
            assert_eq!(Key::ALL[at], key);
            assert!(key.about().last().is_some_and(|line| line.ends_with('.')), "{key:?}");
            assert!(key.about().iter().all(|line| line.len() <= 118), "{key:?}");
        }
        assert_eq!(Key::named("no such"), None);
    }
}
