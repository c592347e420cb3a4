//! What a worker's operator may set, as values.
//!
//! # Laws
//! - What each setting takes is said here (by [`value`]), wherever it was written.
//! - No error tells a password, nor what stands where one was expected.
//!
//! # Not here
//! What does not go together (`check`). Where it is written: the command line (`create`), `worker.toml` (`file`), the
//! environment (`variables`), and `buildbot.tac` (`tac`).

use std::{
    num::{NonZeroU32, NonZeroU64},
    path::PathBuf,
};

use crate::{
    bot::remote::{AllowShutdown, Wire},
    cli::{
        bot::{
            endpoint,
            key::Key,
            value::{self, Value},
        },
        log_file::Rotation,
    },
    model::Secret,
};

/// All that may be set. Paths are below the worker's folder, unless they are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) password: Option<Secret>,
    pub(super) password_file: Option<PathBuf>,
    /// Host and port.
    pub(super) master: Option<(String, u16)>,
    pub(super) connection_string: Option<String>,
    pub(super) proxy_connection_string: Option<String>,
    pub(super) protocol: Wire,
    pub(super) use_tls: bool,
    pub(super) tls_ca: Option<PathBuf>,
    pub(super) tls_cert: Option<PathBuf>,
    pub(super) tls_key: Option<PathBuf>,
    pub(super) tls_server_name: Option<String>,
    /// Seconds; 0 for never.
    pub(super) keepalive: u32,
    /// Seconds.
    pub(super) maxdelay: u32,
    pub(super) maxretries: Option<NonZeroU32>,
    pub(super) allow_shutdown: Option<AllowShutdown>,
    pub(super) numcpus: Option<NonZeroU32>,
    pub(super) umask: Option<u32>,
    pub(super) delete_leftover_dirs: bool,
    pub(super) environment_blacklist: Vec<String>,
    pub(super) log: Rotation,
}

impl Default for Settings {
    /// Source of the figures: Buildbot.
    fn default() -> Self {
        Self {
            name: String::new(),
            password: None,
            password_file: None,
            master: None,
            connection_string: None,
            proxy_connection_string: None,
            protocol: Wire::Pb,
            use_tls: false,
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
            tls_server_name: None,
            keepalive: 600,
            maxdelay: 300,
            maxretries: None,
            allow_shutdown: None,
            numcpus: None,
            umask: None,
            delete_leftover_dirs: false,
            environment_blacklist: Vec::new(),
            log: Rotation::default(),
        }
    }
}

impl Settings {
    /// Takes a value for a setting; says what it takes if that is none.
    pub(super) fn set(&mut self, key: Key, value: Value) -> Result<(), String> {
        match key {
            Key::Name => self.name = value::name(value)?,
            Key::Password => {
                self.password =
                    Some(Secret::new(value::one_line(value).map_err(|_| "it takes a text of one line")?));
            }
            Key::PasswordFile => self.password_file = Some(value::path(value)?),
            Key::Master => {
                self.master =
                    Some(endpoint::host_and_port(&value::text(value)?).map_err(|error| error.to_string())?);
            }
            Key::ConnectionString => {
                let text = value::text(value)?;
                endpoint::connection_string(&text).map_err(|error| error.to_string())?;
                self.connection_string = Some(text);
            }
            Key::ProxyConnectionString => {
                let text = value::text(value)?;
                endpoint::proxy(&text).map_err(|error| error.to_string())?;
                self.proxy_connection_string = Some(text);
            }
            Key::Protocol => self.protocol = value::one_of(&PROTOCOLS, value)?,
            Key::UseTls => self.use_tls = value::flag(&value)?,
            Key::TlsCa => self.tls_ca = Some(value::path(value)?),
            Key::TlsCert => self.tls_cert = Some(value::path(value)?),
            Key::TlsKey => self.tls_key = Some(value::path(value)?),
            Key::TlsServerName => self.tls_server_name = Some(value::one_line(value)?),
            Key::Keepalive => self.keepalive = value::number(&value, 0..=86_400)?,
            Key::Maxdelay => self.maxdelay = value::number(&value, 1..=86_400)?,
            Key::Maxretries => self.maxretries = NonZeroU32::new(value::number(&value, 1..=1_000_000)?),
            Key::AllowShutdown => self.allow_shutdown = Some(value::one_of(&SHUTDOWNS, value)?),
            Key::Numcpus => self.numcpus = NonZeroU32::new(value::number(&value, 1..=100_000)?),
            Key::Umask => self.umask = Some(value::umask(&value)?),
            Key::DeleteLeftoverDirs => self.delete_leftover_dirs = value::flag(&value)?,
            Key::EnvironmentBlacklist => self.environment_blacklist = value::patterns(value)?,
            Key::LogSize => {
                self.log.bytes = NonZeroU64::new(value::number(&value, 0..=1_000_000_000_000_u64)?);
            }
            Key::LogCount => self.log.kept = value::number(&value, 1..=9999)?,
        }
        Ok(())
    }

    /// The value of a setting as TOML; nothing if it is not set.
    pub(super) fn shown(&self, key: Key) -> Option<String> {
        let text = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| text(&path.to_string_lossy()));
        let bytes = self.log.bytes.map_or(0, NonZeroU64::get);
        match key {
            Key::Name => Some(text(&self.name)).filter(|_| !self.name.is_empty()),
            Key::Password => self.password.as_ref().map(|password| text(password.expose())),
            Key::PasswordFile => path(&self.password_file),
            Key::Master => self.master.as_ref().map(|(host, port)| text(&endpoint::shown(host, *port))),
            Key::ConnectionString => self.connection_string.as_deref().map(text),
            Key::ProxyConnectionString => self.proxy_connection_string.as_deref().map(text),
            Key::Protocol => value::name_in(&PROTOCOLS, self.protocol).map(text),
            Key::UseTls => Some(self.use_tls.to_string()),
            Key::TlsCa => path(&self.tls_ca),
            Key::TlsCert => path(&self.tls_cert),
            Key::TlsKey => path(&self.tls_key),
            Key::TlsServerName => self.tls_server_name.as_deref().map(text),
            Key::Keepalive => Some(self.keepalive.to_string()),
            Key::Maxdelay => Some(self.maxdelay.to_string()),
            Key::Maxretries => self.maxretries.map(|number| number.to_string()),
            Key::AllowShutdown => {
                self.allow_shutdown.and_then(|how| value::name_in(&SHUTDOWNS, how)).map(text)
            }
            Key::Numcpus => self.numcpus.map(|number| number.to_string()),
            Key::Umask => self.umask.map(|mask| text(&format!("{mask:03o}"))),
            Key::DeleteLeftoverDirs => Some(self.delete_leftover_dirs.to_string()),
            Key::EnvironmentBlacklist => {
                let patterns: Vec<String> =
                    self.environment_blacklist.iter().map(|name| text(name)).collect();
                (!patterns.is_empty()).then(|| format!("[{}]", patterns.join(", ")))
            }
            Key::LogSize => Some(bytes.to_string()),
            Key::LogCount => Some(self.log.kept.to_string()),
        }
    }
}

/// The protocols by name; the first name of each is the one that is written.
const PROTOCOLS: [(&str, Wire); 3] =
    [("pb", Wire::Pb), ("msgpack", Wire::Msgpack), ("msgpack_experimental_v7", Wire::Msgpack)];

const SHUTDOWNS: [(&str, AllowShutdown); 2] =
    [("signal", AllowShutdown::Signal), ("file", AllowShutdown::File)];
