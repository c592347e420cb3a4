//! Where a master is, as text: `HOST[:PORT]`, and Twisted's strings of client endpoints.
//!
//! # Source
//! Twisted, `twisted.internet.endpoints.clientFromString`: arguments between colons, by position or as `name=value`,
//! and a `\` before a character that means itself.

use std::path::PathBuf;

use crate::{
    bot::remote::{Address, ClientTlsPaths, Server},
    definition::suggest::did_you_mean,
};

/// The port of a master that names none. Source: Buildbot.
pub(super) const DEFAULT_PORT: u16 = 9989;

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EndpointError {
    /// There is nothing.
    #[error("it is empty")]
    Empty,
    /// A port of nobody.
    #[error("there is no host before the port")]
    NoHost,
    /// Something that is no port.
    #[error("the port is {0:?}, and not a number from 1 to 65535")]
    Port(String),
    /// An address with colons, and perhaps a port.
    #[error("an IPv6 address stands in brackets, as in `[{0}]:9989`")]
    Bare(String),
    /// A bracket without its other.
    #[error("`[` and `]` go around an IPv6 address, as in `[::1]:9989`")]
    Brackets,
    /// A host that cannot be one.
    #[error("the host {0:?} holds a character that no host has")]
    Host(String),
    /// The text ends within an escape.
    #[error("it ends in a `\\`, which would say that the next character means itself")]
    LoneBackslash,
    /// What the text begins with.
    #[error("it begins with {kind:?}, and not with `tcp:`, `tls:`, `ssl:` or `unix:`{hint}")]
    Kind {
        /// As it was written.
        kind: String,
        /// What may have been meant.
        hint: String,
    },
    /// An argument that this kind does not take.
    #[error("`{kind}` takes no `{name}`{hint}")]
    Unknown {
        /// The kind of endpoint.
        kind: &'static str,
        /// The argument.
        name: String,
        /// What may have been meant.
        hint: String,
    },
    /// An argument that Twisted takes and that has no meaning here.
    #[error("`{0}` cannot be set: {1}")]
    NotHere(&'static str, &'static str),
    /// More arguments by position than there are.
    #[error(
        "{value:?} stands at a place where `{kind}` takes only `name=value`; a colon within a value has a `\\` before it"
    )]
    TooMany {
        /// The kind of endpoint.
        kind: &'static str,
        /// The argument.
        value: String,
    },
    /// The same said twice.
    #[error("`{0}` is given twice")]
    Twice(&'static str),
    /// A needed argument.
    #[error("`{kind}` needs `{name}`, as in `{example}`")]
    Missing {
        /// The kind of endpoint.
        kind: &'static str,
        /// The argument.
        name: &'static str,
        /// The kind of endpoint, whole.
        example: &'static str,
    },
    /// A certificate or a key, and not the other.
    #[error("`{there}` needs `{missing}` beside it")]
    Half {
        /// What is given.
        there: &'static str,
        /// What is not.
        missing: &'static str,
    },
    /// A proxy that is no port of a host.
    #[error("a proxy is `tcp:HOST:PORT`")]
    Proxy,
}

/// Reads `HOST`, `HOST:PORT` or `[ADDRESS]:PORT`.
pub(super) fn host_and_port(text: &str) -> Result<(String, u16), EndpointError> {
    let text = text.trim();
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(EndpointError::Brackets)?;
        match rest.strip_prefix(':') {
            None if rest.is_empty() => (host, None),
            None => return Err(EndpointError::Brackets),
            Some(port) => (host, Some(port)),
        }
    } else if text.matches(':').count() > 1 {
        return Err(EndpointError::Bare(text.to_owned()));
    } else {
        text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
    };
    if text.is_empty() {
        return Err(EndpointError::Empty);
    }
    Ok((checked_host(host.to_owned())?, port.map_or(Ok(DEFAULT_PORT), port_of)?))
}

/// The text that [`host_and_port`] reads as these.
pub(super) fn shown(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Reads a string of Twisted for a client. Paths in it are as they were written.
pub(super) fn connection_string(text: &str) -> Result<Server, EndpointError> {
    let mut words = split(text)?.into_iter();
    let (None, kind) = words.next().ok_or(EndpointError::Empty)? else {
        return Err(EndpointError::Kind { kind: text.to_owned(), hint: String::new() });
    };
    let form = FORMS.iter().find(|form| form.kind.eq_ignore_ascii_case(&kind));
    let form = form.ok_or_else(|| {
        let hint = did_you_mean(&kind, FORMS.iter().map(|form| form.kind));
        EndpointError::Kind { hint: hint.map_or_else(String::new, |hint| format!(", {hint}")), kind }
    })?;
    let mut given = Arguments::read(form, words)?;
    if form.kind == "unix" {
        let path = PathBuf::from(given.need("path")?);
        return Ok(Server { address: Address::Unix(path), tls: None, proxy: None });
    }
    let host = checked_host(given.need("host")?)?;
    let port = port_of(&given.need("port")?)?;
    let tls = (form.kind != "tcp").then(|| given.tls()).transpose()?;
    Ok(Server { address: Address::Tcp { host, port }, tls, proxy: None })
}

/// Reads the string of a proxy.
pub(super) fn proxy(text: &str) -> Result<(String, u16), EndpointError> {
    match connection_string(text)? {
        Server { address: Address::Tcp { host, port }, tls: None, .. } => Ok((host, port)),
        _ => Err(EndpointError::Proxy),
    }
}

/// A kind of endpoint.
struct Form {
    kind: &'static str,
    example: &'static str,
    /// Those that may be given by position.
    places: &'static [&'static str],
    /// Those that are given by name only.
    names: &'static [&'static str],
}

const FORMS: [Form; 4] = [
    Form { kind: "tcp", example: "tcp:host=ci.example.org:port=9989", places: &["host", "port"], names: &[] },
    Form {
        kind: "tls",
        example: "tls:host=ci.example.org:port=9990",
        places: &["host", "port"],
        names: &["trustRoots", "certificate", "privateKey"],
    },
    Form {
        kind: "ssl",
        example: "ssl:host=ci.example.org:port=9990",
        places: &["host", "port"],
        names: &["caCertsDir", "certKey", "privateKey", "hostname"],
    },
    Form { kind: "unix", example: "unix:/run/ci.sock", places: &["path"], names: &[] },
];

/// What Twisted takes and this worker does not, with the reason.
const NOT_HERE: [(&str, &str); 5] = [
    ("timeout", "each try to connect has a limit of its own"),
    ("bindAddress", "the system chooses the address that it connects from"),
    ("lockfile", "it is for those who listen"),
    ("endpoint", "TLS goes over TCP"),
    ("sslmethod", "TLS 1.2 and 1.3 are spoken"),
];

/// The arguments of an endpoint, by name.
struct Arguments {
    form: &'static Form,
    given: Vec<(&'static str, String)>,
}

impl Arguments {
    fn read(
        form: &'static Form,
        words: impl Iterator<Item = (Option<String>, String)>,
    ) -> Result<Self, EndpointError> {
        let kind = form.kind;
        let mut given: Vec<(&'static str, String)> = Vec::new();
        let mut places = form.places.iter();
        for (name, value) in words {
            let name = match name {
                None => *places.next().ok_or(EndpointError::TooMany { kind, value: value.clone() })?,
                Some(name) => {
                    if let Some(&(name, why)) = NOT_HERE.iter().find(|(known, _)| *known == name) {
                        return Err(EndpointError::NotHere(name, why));
                    }
                    let mut known = form.places.iter().chain(form.names).copied();
                    known.clone().find(|known| *known == name).ok_or_else(|| {
                        let hint = did_you_mean(&name, &mut known);
                        let hint = hint.map_or_else(String::new, |hint| format!(", {hint}"));
                        EndpointError::Unknown { kind, name, hint }
                    })?
                }
            };
            if given.iter().any(|(before, _)| *before == name) {
                return Err(EndpointError::Twice(name));
            }
            given.push((name, value));
        }
        Ok(Self { form, given })
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.given.iter().position(|(given, _)| *given == name)?;
        Some(self.given.swap_remove(at).1)
    }

    fn need(&mut self, name: &'static str) -> Result<String, EndpointError> {
        let Form { kind, example, .. } = *self.form;
        let value = self.take(name).filter(|value| !value.is_empty());
        value.ok_or(EndpointError::Missing { kind, name, example })
    }

    fn tls(&mut self) -> Result<ClientTlsPaths, EndpointError> {
        let (ca, certificate) =
            if self.form.kind == "ssl" { ("caCertsDir", "certKey") } else { ("trustRoots", "certificate") };
        let ca = self.take(ca).map(PathBuf::from);
        let certificate = match (self.take(certificate), self.take("privateKey")) {
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            (None, None) => None,
            (Some(_), None) => return Err(EndpointError::Half { there: certificate, missing: "privateKey" }),
            (None, Some(_)) => return Err(EndpointError::Half { there: "privateKey", missing: certificate }),
        };
        Ok(ClientTlsPaths { ca, certificate, server_name: self.take("hostname") })
    }
}

/// The words between colons, with the name of each that has one.
fn split(text: &str) -> Result<Vec<(Option<String>, String)>, EndpointError> {
    if text.trim().is_empty() {
        return Err(EndpointError::Empty);
    }
    let mut words = Vec::new();
    let (mut name, mut word) = (None, String::new());
    let mut characters = text.trim().chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.push(characters.next().ok_or(EndpointError::LoneBackslash)?),
            ':' => words.push((name.take(), std::mem::take(&mut word))),
            '=' if name.is_none() => name = Some(std::mem::take(&mut word)),
            other => word.push(other),
        }
    }
    words.push((name, word));
    Ok(words)
}

fn port_of(text: &str) -> Result<u16, EndpointError> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| EndpointError::Port(text.to_owned()))
}

fn checked_host(host: String) -> Result<String, EndpointError> {
    if host.is_empty() {
        return Err(EndpointError::NoHost);
    }
    let is_wrong = |c: char| c.is_whitespace() || c.is_control() || "/@[]?#=".contains(c);
    if host.contains(is_wrong) { Err(EndpointError::Host(host)) } else { Ok(host) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.to_owned(), port }
    }

    #[test]
    fn a_master_is_a_host_and_perhaps_a_port() {
        for (text, host, port) in [
            ("ci.example.org", "ci.example.org", 9989),
            ("ci:9000", "ci", 9000),
            ("192.0.2.1:80", "192.0.2.1", 80),
            ("[::1]", "::1", 9989),
            ("[fe80::1%eth0]:9000", "fe80::1%eth0", 9000),
        ] {
            assert_eq!(host_and_port(text), Ok((host.to_owned(), port)), "{text}");
            assert_eq!(host_and_port(&shown(host, port)), Ok((host.to_owned(), port)));
        }
        for (text, wanted) in [
            ("", "it is empty"),
            (":9989", "there is no host before the port"),
            ("ci:http", "the port is \"http\", and not a number from 1 to 65535"),
            ("ci:0", "the port is \"0\", and not a number from 1 to 65535"),
            ("ci:", "the port is \"\", and not a number from 1 to 65535"),
            ("::1", "an IPv6 address stands in brackets, as in `[::1]:9989`"),
            ("[::1", "`[` and `]` go around an IPv6 address, as in `[::1]:9989`"),
            ("[::1]9989", "`[` and `]` go around an IPv6 address, as in `[::1]:9989`"),
            ("http//ci", "the host \"http//ci\" holds a character that no host has"),
        ] {
            assert_eq!(host_and_port(text).unwrap_err().to_string(), wanted, "{text}");
        }
    }

    #[test]
    fn the_strings_of_twisted_are_read() {
        let plain = |address| Server { address, tls: None, proxy: None };
        for text in ["tcp:ci:9989", "tcp:host=ci:port=9989", "TCP:port=9989:host=ci", "tcp:ci:port=9989"] {
            assert_eq!(connection_string(text), Ok(plain(tcp("ci", 9989))), "{text}");
        }
        assert_eq!(connection_string(r"tcp:host=\:\:1:port=9989"), Ok(plain(tcp("::1", 9989))));
        let unix = |path: &str| plain(Address::Unix(path.into()));
        assert_eq!(connection_string("unix:/run/ci.sock"), Ok(unix("/run/ci.sock")));
        assert_eq!(connection_string(r"unix:path=/run/a\:b\=c"), Ok(unix("/run/a:b=c")));
        assert_eq!(connection_string("unix:path=/run/a=b"), Ok(unix("/run/a=b")));
        let tls = |text| connection_string(text).unwrap().tls.unwrap();
        assert_eq!(tls("tls:ci:9990"), ClientTlsPaths::default());
        let all = ClientTlsPaths {
            ca: Some("roots".into()),
            certificate: Some(("c.pem".into(), "k.pem".into())),
            server_name: None,
        };
        assert_eq!(tls("tls:host=ci:port=9990:trustRoots=roots:certificate=c.pem:privateKey=k.pem"), all);
        assert_eq!(
            tls("ssl:ci:9990:caCertsDir=roots:certKey=c.pem:privateKey=k.pem:hostname=other"),
            ClientTlsPaths { server_name: Some("other".into()), ..all }
        );
        assert_eq!(proxy("tcp:proxy:3128"), Ok(("proxy".to_owned(), 3128)));
    }

    #[test]
    fn what_is_wrong_with_a_string_is_told() {
        for (text, wanted) in [
            ("", "it is empty"),
            (r"tcp:ci:9989\", "it ends in a `\\`, which would say that the next character means itself"),
            ("ci:9989", "it begins with \"ci\", and not with `tcp:`, `tls:`, `ssl:` or `unix:`"),
            (
                "tpc:ci:9989",
                "it begins with \"tpc\", and not with `tcp:`, `tls:`, `ssl:` or `unix:`, did you mean `tcp`?",
            ),
            ("host=ci", "it begins with \"host=ci\", and not with `tcp:`, `tls:`, `ssl:` or `unix:`"),
            ("tcp:host=ci:prot=1", "`tcp` takes no `prot`, did you mean `port`?"),
            ("tcp:host=ci:port=1:trustRoots=x", "`tcp` takes no `trustRoots`"),
            ("tcp:ci", "`tcp` needs `port`, as in `tcp:host=ci.example.org:port=9989`"),
            ("tls:port=1", "`tls` needs `host`, as in `tls:host=ci.example.org:port=9990`"),
            ("unix:", "`unix` needs `path`, as in `unix:/run/ci.sock`"),
            ("tcp:ci:x", "the port is \"x\", and not a number from 1 to 65535"),
            ("tcp:ci:1:host=ci", "`host` is given twice"),
            ("tcp:ci:1:timeout=3", "`timeout` cannot be set: each try to connect has a limit of its own"),
            ("tls:ci:1:certificate=c", "`certificate` needs `privateKey` beside it"),
            ("ssl:ci:1:privateKey=k", "`privateKey` needs `certKey` beside it"),
            (
                "tcp:::1:9989",
                "\"1\" stands at a place where `tcp` takes only `name=value`; a colon within a value has a `\\` before it",
            ),
        ] {
            assert_eq!(connection_string(text).unwrap_err().to_string(), wanted, "{text}");
        }
        for text in ["unix:/run/p", "tls:p:1"] {
            assert_eq!(proxy(text), Err(EndpointError::Proxy), "{text}");
        }
    }
}
