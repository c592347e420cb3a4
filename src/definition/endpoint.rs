//! A port as Twisted writes it: `9989`, `tcp:9989:interface=127.0.0.1`, `ssl:9990:privateKey=key.pem:certKey=cert.pem`.
//!
//! Words are parted by colons; the first names the kind, the others come by position or by name; `\` takes the meaning
//! from the character after it, so that `\:` is a colon.
//!
//! # Not here
//! The table form (`options`), and what listens (`worker::listener`).
//!
//! # Source
//! Behaviour: Twisted 26.10, `twisted/internet/endpoints.py`, `serverFromString`.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use crate::definition::{listener::TlsFiles, suggest};

/// What an endpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it listens: all addresses of both families if none is named.
    pub address: SocketAddr,
    /// How many may wait in the kernel's queue, if that is said.
    pub backlog: Option<u32>,
    /// Its certificate; in the clear if absent.
    pub tls: Option<TlsFiles>,
    /// Words of Twisted's that change nothing here.
    pub ignored: Vec<&'static str>,
}

/// Why a text is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Its port is none.
    #[error(
        "{given:?} is no port; give a number from 1 to 65535, `tcp:9989` or `tcp:9989:interface=127.0.0.1`"
    )]
    Port {
        /// What was given.
        given: String,
    },
    /// Its kind is not known.
    #[error("{given:?} is no kind of port that workers can use; `tcp` and `ssl` are")]
    Kind {
        /// What was given.
        given: String,
    },
    /// A name that the kind does not have.
    #[error("`{kind}:` takes no `{given}`{}", hint(*near))]
    Key {
        /// Of which kind.
        kind: &'static str,
        /// What was given.
        given: String,
        /// What was perhaps meant.
        near: Option<&'static str>,
    },
    /// More words than the kind takes.
    #[error(
        "`{kind}:` takes no more than {most} values by position; {given:?} is one more (a colon within a value is written `\\:`)"
    )]
    Position {
        /// Of which kind.
        kind: &'static str,
        /// How many it takes.
        most: usize,
        /// What was given.
        given: String,
    },
    /// A name that stands twice.
    #[error("`{key}` is given twice; a colon within a value is written `\\:`")]
    Twice {
        /// The name.
        key: &'static str,
    },
    /// A name that stands in the text and in the table around it.
    #[error("`{key}` is given twice, in the text and beside it")]
    Both {
        /// The name.
        key: &'static str,
    },
    /// An interface that is no address.
    #[error(
        "{given:?} is no address of an interface; give one like `127.0.0.1` or `::1` (in a text `\\:\\:1`)"
    )]
    Interface {
        /// What was given.
        given: String,
    },
    /// A backlog that is no number.
    #[error("{given:?} is no backlog; give a number from 1 to 65535")]
    Backlog {
        /// What was given.
        given: String,
    },
    /// A file without a name.
    #[error("`{key}` names no file")]
    File {
        /// The name.
        key: &'static str,
    },
}

fn hint(near: Option<&'static str>) -> String {
    near.map_or_else(String::new, |near| format!(", did you mean `{near}`?"))
}

/// What a kind takes, in Twisted's order.
struct Form {
    kind: &'static str,
    keys: &'static [&'static str],
}

const TCP: Form = Form { kind: "tcp", keys: &["port", "interface", "backlog"] };
const TCP6: Form = Form { kind: "tcp6", keys: TCP.keys };
const SSL: Form = Form {
    kind: "ssl",
    keys: &[
        "port",
        "privateKey",
        "certKey",
        "sslmethod",
        "interface",
        "backlog",
        "extraCertChain",
        "dhParameters",
    ],
};

/// What Twisted takes for the key, and then for the certificate, if none is named.
const DEFAULT_KEY: &str = "server.pem";

/// A word between two colons.
struct Word {
    name: Option<String>,
    value: String,
}

impl Endpoint {
    /// In the clear on this port, on all addresses of both families.
    pub const fn on(port: u16) -> Self {
        Self {
            address: SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port),
            backlog: None,
            tls: None,
            ignored: Vec::new(),
        }
    }

    /// Reads an endpoint as Buildbot writes it.
    ///
    /// # Errors
    /// [`EndpointError`]: the first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let mut words = words(text);
        let first = words.first().ok_or_else(|| EndpointError::Port { given: text.to_owned() })?;
        let form = match first.value.as_str() {
            // Twisted once took a port without its kind, and Buildbot's `port = "9989"` is full of them.
            value if first.name.is_some() || value.is_empty() || is_number(value) => &TCP,
            "tcp" => &TCP,
            "tcp6" => &TCP6,
            "ssl" => &SSL,
            other => return Err(EndpointError::Kind { given: other.to_owned() }),
        };
        if first.name.is_none() && first.value == form.kind {
            words.remove(0);
        }
        Self::fill(form, words, text)
    }

    fn fill(form: &Form, words: Vec<Word>, text: &str) -> Result<Self, EndpointError> {
        let mut given: Vec<Option<String>> = vec![None; form.keys.len()];
        let mut unnamed = 0;
        for word in words {
            let index = match &word.name {
                Some(name) => {
                    form.keys.iter().position(|key| key == name).ok_or_else(|| EndpointError::Key {
                        kind: form.kind,
                        near: nearest(name, form.keys),
                        given: name.clone(),
                    })?
                }
                None if unnamed < form.keys.len() => {
                    unnamed += 1;
                    unnamed - 1
                }
                None => {
                    return Err(EndpointError::Position {
                        kind: form.kind,
                        most: form.keys.len(),
                        given: word.value,
                    });
                }
            };
            if given[index].replace(word.value).is_some() {
                return Err(EndpointError::Twice { key: form.keys[index] });
            }
        }
        let mut take = |key: &str| {
            form.keys.iter().position(|known| *known == key).and_then(|index| given[index].take())
        };
        let port = take("port").ok_or_else(|| EndpointError::Port { given: text.to_owned() })?;
        let mut endpoint = Self::on(parse_port(&port)?);
        if let Some(interface) = take("interface").filter(|interface| !interface.is_empty()) {
            endpoint.address.set_ip(parse_interface(&interface)?);
        }
        if let Some(given) = take("backlog") {
            let backlog = given.parse().ok().filter(|backlog| (1..=65_535).contains(backlog));
            endpoint.backlog = Some(backlog.ok_or(EndpointError::Backlog { given })?);
        }
        if form.kind == SSL.kind {
            let mut file = |key: &'static str| match take(key) {
                Some(file) if file.is_empty() => Err(EndpointError::File { key }),
                file => Ok(file.map(PathBuf::from)),
            };
            let key = file("privateKey")?.unwrap_or_else(|| DEFAULT_KEY.into());
            let cert = file("certKey")?.unwrap_or_else(|| key.clone());
            let chain = file("extraCertChain")?;
            endpoint.tls = Some(TlsFiles { cert, key, chain, client_ca: None });
            for word in ["sslmethod", "dhParameters"] {
                if take(word).is_some() {
                    endpoint.ignored.push(word);
                }
            }
        }
        Ok(endpoint)
    }
}

/// A port's number.
///
/// # Errors
/// [`EndpointError::Port`].
pub fn parse_port(text: &str) -> Result<u16, EndpointError> {
    let number = if is_number(text) { text.parse().ok() } else { None };
    number.filter(|port| *port > 0).ok_or_else(|| EndpointError::Port { given: text.to_owned() })
}

/// An interface's address.
///
/// # Errors
/// [`EndpointError::Interface`]; also for a name, since loading a configuration asks no name server.
pub fn parse_interface(text: &str) -> Result<IpAddr, EndpointError> {
    // The one name that needs none. Twisted binds the address of IPv4.
    if text == "localhost" {
        return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    text.parse().map_err(|_| EndpointError::Interface { given: text.to_owned() })
}

/// Digits alone: Rust takes `+1` for a number as well.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn nearest(given: &str, keys: &'static [&'static str]) -> Option<&'static str> {
    suggest::nearest(given, keys.iter().copied())
}

fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut word = Word { name: None, value: String::new() };
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => word.value.extend(letters.next()),
            ':' => words.push(std::mem::replace(&mut word, Word { name: None, value: String::new() })),
            // In the value of a name it is a letter as any other.
            '=' if word.name.is_none() => word.name = Some(std::mem::take(&mut word.value)),
            letter => word.value.push(letter),
        }
    }
    words.push(word);
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        let endpoint = match Endpoint::parse(text) {
            Ok(endpoint) => endpoint,
            Err(error) => return format!("error: {error}"),
        };
        let mut shown = vec![endpoint.address.to_string()];
        shown.extend(endpoint.backlog.map(|backlog| format!("backlog {backlog}")));
        if let Some(tls) = endpoint.tls {
            shown.push(format!("key {} cert {}", tls.key.display(), tls.cert.display()));
            shown.extend(tls.chain.map(|chain| format!("chain {}", chain.display())));
        }
        shown.extend(endpoint.ignored.iter().map(|word| format!("without {word}")));
        shown.join(" ")
    }

    #[test]
    fn endpoints_are_read_as_twisted_writes_them() {
        for (text, wanted) in [
            ("9989", "[::]:9989"),
            ("tcp:9989", "[::]:9989"),
            ("9989:interface=127.0.0.1", "127.0.0.1:9989"),
            ("port=9989", "[::]:9989"),
            ("tcp:9989:interface=localhost", "127.0.0.1:9989"),
            ("tcp:port=9989:interface=127.0.0.1", "127.0.0.1:9989"),
            ("tcp:interface=127.0.0.1:port=9989", "127.0.0.1:9989"),
            (r"tcp:9989:interface=\:\:1", "[::1]:9989"),
            ("tcp:9989:127.0.0.1:50", "127.0.0.1:9989 backlog 50"),
            ("tcp:9989::50", "[::]:9989 backlog 50"),
            (r"tcp6:9989:\:\:1", "[::1]:9989"),
            ("ssl:9990", "[::]:9990 key server.pem cert server.pem"),
            ("ssl:9990:both.pem", "[::]:9990 key both.pem cert both.pem"),
            ("ssl:9990:k.pem:c.pem", "[::]:9990 key k.pem cert c.pem"),
            ("ssl:port=9990:privateKey=k.pem:certKey=c.pem", "[::]:9990 key k.pem cert c.pem"),
            (
                "ssl:port=9990:certKey=c.pem:privateKey=k.pem:extraCertChain=chain.pem:interface=127.0.0.1",
                "127.0.0.1:9990 key k.pem cert c.pem chain chain.pem",
            ),
            (
                "ssl:9990:k:c:sslmethod=TLSv1_2_METHOD:dhParameters=dh.pem:backlog=7",
                "[::]:9990 backlog 7 key k cert c without sslmethod without dhParameters",
            ),
            // By position `=` would part a name from its value; an escape keeps it.
            (r"ssl:9990:C\:\\keys\\k\=1.pem", r"[::]:9990 key C:\keys\k=1.pem cert C:\keys\k=1.pem"),
            (r"ssl:9990:privateKey=a=b.pem", "[::]:9990 key a=b.pem cert a=b.pem"),
        ] {
            assert_eq!(shown(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_told_with_the_word_that_is_wrong() {
        for (text, wanted) in [
            ("", "\"\" is no port"),
            ("0", "\"0\" is no port"),
            ("70000", "\"70000\" is no port"),
            ("tcp:+1", "\"+1\" is no port"),
            ("tcp:x", "\"x\" is no port"),
            ("-1", "\"-1\" is no kind of port"),
            ("tcp", "\"tcp\" is no port"),
            ("unix:/run/x", "\"unix\" is no kind of port"),
            ("systemd:domain=INET:index=0", "\"systemd\" is no kind of port"),
            ("tcp:1:interface=ci.example.org", "\"ci.example.org\" is no address"),
            ("tcp:1:interface=::1", "`interface` is given twice"),
            ("tcp:1:a:b:c", "`tcp:` takes no more than 3 values by position; \"c\""),
            ("tcp:1:port=2", "`port` is given twice"),
            ("tcp:1:privateKey=k", "`tcp:` takes no `privateKey`"),
            ("ssl:1:privatekey=k", "`ssl:` takes no `privatekey`, did you mean `privateKey`?"),
            ("ssl:1:privateKey=", "`privateKey` names no file"),
            ("tcp:1:backlog=0", "\"0\" is no backlog"),
            ("ssl:privateKey=k", "\"ssl:privateKey=k\" is no port"),
        ] {
            let found = shown(text);
            assert!(found.starts_with("error: ") && found.contains(wanted), "{text}: {found}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange_to_be_read_or_refused(text in r"(tcp|ssl)?[:=\\a-z0-9.\[\]]{0,40}") {
            drop(Endpoint::parse(&text));
        }
    }
}
