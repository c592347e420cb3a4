//! What is missing in the settings of a worker, what does not go together, and what becomes of those that are good.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    bot::remote::{Address, ClientTlsPaths, RemoteSettings, Server, Wire},
    cli::bot::{endpoint, key::Key, settings::Settings},
    model::Secret,
    protocol::bot::Identity,
};

/// What is wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Which.
    pub(super) key: Key,
    /// What, in words that hold wherever it was written.
    pub(super) text: String,
}

impl Wrong {
    /// Whether it says that something is not there at all.
    pub(super) fn is_absence(&self) -> bool {
        self.text == MISSING
    }
}

/// What is said of a setting that must be there.
const MISSING: &str = "it is missing";

impl Settings {
    /// What is missing, and what does not go together.
    pub(super) fn wrongs(&self) -> Vec<Wrong> {
        let mut wrongs = Vec::new();
        let mut wrong = |key, text: &str| wrongs.push(Wrong { key, text: text.to_owned() });
        if self.name.is_empty() {
            wrong(Key::Name, MISSING);
        }
        if self.protocol == Wire::Msgpack && self.name.contains(':') {
            wrong(Key::Name, "a name that is spoken over msgpack holds no `:`");
        }
        match (&self.password, &self.password_file) {
            (None, None) => wrong(Key::Password, MISSING),
            (Some(_), Some(_)) => wrong(Key::PasswordFile, "the password is given already"),
            _ => {}
        }
        if self.master.is_none() && self.connection_string.is_none() {
            wrong(Key::Master, MISSING);
        }
        if self.connection_string.is_some() {
            if self.master.is_some() {
                wrong(Key::ConnectionString, "the address of the master is given already");
            }
            if self.use_tls {
                wrong(Key::UseTls, "a connection string says this itself, by `tls:`");
            }
            if self.proxy_connection_string.is_some() {
                wrong(Key::ProxyConnectionString, "it does not go with a connection string");
            }
        }
        for (key, is_set) in [
            (Key::TlsCa, self.tls_ca.is_some()),
            (Key::TlsCert, self.tls_cert.is_some()),
            (Key::TlsKey, self.tls_key.is_some()),
            (Key::TlsServerName, self.tls_server_name.is_some()),
        ] {
            if is_set && self.connection_string.is_some() {
                wrong(key, "with a connection string it stands in that");
            } else if is_set && !self.use_tls {
                wrong(key, "it is for TLS, which is not used");
            }
        }
        match (&self.tls_cert, &self.tls_key) {
            (Some(_), None) => wrong(Key::TlsKey, "it is missing; the certificate needs it"),
            (None, Some(_)) => wrong(Key::TlsCert, "it is missing; the key is of no use without it"),
            _ => {}
        }
        wrongs
    }

    /// What the worker needs to connect, with the paths below `dir`.
    ///
    /// Only for settings without [`wrongs`](Self::wrongs).
    pub(super) fn remote(&self, dir: &Path, password: Secret) -> RemoteSettings {
        RemoteSettings {
            server: self.server(dir),
            wire: self.protocol,
            identity: Identity { name: self.name.clone(), password },
            keepalive: (self.keepalive > 0).then(|| Duration::from_secs(self.keepalive.into())),
            max_delay: Duration::from_secs(self.maxdelay.into()),
            max_retries: self.maxretries,
        }
    }

    fn server(&self, dir: &Path) -> Server {
        let mut server = match (&self.connection_string, &self.master) {
            (Some(text), _) => endpoint::connection_string(text).expect("it was checked when it was set"),
            (None, Some((host, port))) => Server {
                address: Address::Tcp { host: host.clone(), port: *port },
                tls: self.use_tls.then(|| ClientTlsPaths {
                    ca: self.tls_ca.clone(),
                    certificate: self.tls_cert.clone().zip(self.tls_key.clone()),
                    server_name: self.tls_server_name.clone(),
                }),
                proxy: self
                    .proxy_connection_string
                    .as_deref()
                    .map(|text| endpoint::proxy(text).expect("it was checked when it was set")),
            },
            (None, None) => unreachable!("settings without an address have a wrong"),
        };
        if let Address::Unix(path) = &mut server.address {
            *path = dir.join(&*path);
        }
        if let Some(tls) = &mut server.tls {
            let below = |path: PathBuf| dir.join(path);
            tls.ca = tls.ca.take().map(below);
            tls.certificate = tls.certificate.take().map(|(cert, key)| (below(cert), below(key)));
        }
        server
    }
}
