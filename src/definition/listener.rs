//! A port on which workers are expected, as the operator defined it.
//!
//! # Laws
//! - A listener is named by what is spoken there and where: whatever else changes, its socket stays.
//! - No two of them would need one socket.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use crate::{
    definition::{
        endpoint::{self, Endpoint, EndpointError},
        plan::{FieldChange, Planned, changes},
        problem::Problem,
        record::{Record, Value},
    },
    model::Place,
};

/// A port on which workers are expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerDefinition {
    /// What is spoken there, and where.
    pub id: ListenerId,
    /// Its certificate; in the clear if absent.
    pub tls: Option<TlsFiles>,
    /// How many may wait in the kernel's queue; as many as the system allows if absent.
    pub backlog: Option<u32>,
    /// Where it was written.
    pub place: Place,
    /// The identity as people read it.
    name: String,
}

/// What is spoken, and where: that is the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId {
    /// What is spoken there.
    pub protocol: Protocol,
    /// Where it listens.
    pub address: SocketAddr,
}

/// The files of a certificate. Paths are below the master's folder, unless absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and perhaps those that lead to its authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// More certificates that lead to its authority.
    pub chain: Option<PathBuf>,
    /// The authorities of the clients' certificates, without which nobody is let in; nobody is asked if absent.
    pub client_ca: Option<PathBuf>,
}

/// What is spoken on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Perspective Broker, the protocol of `buildbot-worker` unless told otherwise.
    Pb,
    /// msgpack over WebSocket, the other protocol of `buildbot-worker`.
    Msgpack,
}

impl Protocol {
    /// The key below `c.protocols`.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Pb => "pb",
            Self::Msgpack => "msgpack_experimental_v7",
        }
    }
}

impl ListenerDefinition {
    /// In the clear, with the system's backlog.
    pub fn new(protocol: Protocol, address: SocketAddr, place: Place) -> Self {
        let name = format!("{} on {address}", protocol.key());
        Self { id: ListenerId { protocol, address }, tls: None, backlog: None, place, name }
    }

    /// The listeners of `c.protocols`; what is wrong goes to `problems`.
    pub fn all_from_record(protocols: &Record, problems: &mut Vec<Problem>) -> Vec<Self> {
        let mut out = Vec::new();
        for protocol in [Protocol::Pb, Protocol::Msgpack] {
            let Some(Value::Record(settings)) = protocols.get(protocol.key()) else { continue };
            let Some(Value::Objects(ports)) = settings.get("port") else { continue };
            for (index, port) in (1..).zip(&ports).filter(|(_, port)| !port.broken) {
                match Self::from_record(protocol, port, problems) {
                    Ok(listener) => out.push(listener),
                    Err(error) => {
                        let which = if ports.len() > 1 { format!("[{index}]") } else { String::new() };
                        let text = format!("`{}.port{which}`: {error}", settings.constructor.name);
                        problems.push(Problem::error(port.place.clone(), text));
                    }
                }
            }
        }
        out
    }

    /// A listener from the table of its port; a number or a text stands for a table with a `port` and no more.
    fn from_record(
        protocol: Protocol,
        port: &Record,
        problems: &mut Vec<Problem>,
    ) -> Result<Self, EndpointError> {
        let mut endpoint = Endpoint::parse(&port.text("port").unwrap_or_default())?;
        if let Some(interface) = port.text("interface").filter(|interface| !interface.is_empty()) {
            if !endpoint.address.ip().is_unspecified() {
                return Err(EndpointError::Both { key: "interface" });
            }
            endpoint.address.set_ip(endpoint::parse_interface(&interface)?);
        }
        if let Some(backlog) = port.integer("backlog").and_then(|backlog| u32::try_from(backlog).ok())
            && endpoint.backlog.replace(backlog).is_some()
        {
            return Err(EndpointError::Both { key: "backlog" });
        }
        if let Some(Value::Record(tls)) = port.get("tls") {
            let file = |key: &'static str| match tls.text(key) {
                Some(file) if file.is_empty() => Err(EndpointError::File { key }),
                file => Ok(file.map(PathBuf::from)),
            };
            let files = TlsFiles {
                cert: file("cert")?.ok_or(EndpointError::File { key: "cert" })?,
                key: file("key")?.ok_or(EndpointError::File { key: "key" })?,
                chain: file("chain")?,
                client_ca: file("client_ca")?,
            };
            if endpoint.tls.replace(files).is_some() {
                return Err(EndpointError::Both { key: "tls" });
            }
        }
        for word in endpoint.ignored {
            let text = format!(
                "`c.protocols.{}.port`: `{word}` changes nothing: TLS 1.2 and 1.3 are spoken, with good ciphers only",
                protocol.key()
            );
            problems.push(Problem::warning(port.place.clone(), "ignored option of a port", text));
        }
        let mut listener = Self::new(protocol, endpoint.address, port.place.clone());
        listener.tls = endpoint.tls;
        listener.backlog = endpoint.backlog;
        Ok(listener)
    }
}

/// The listeners by identity. Two that would need one socket are told, the second at its place.
pub fn by_id(
    list: Vec<ListenerDefinition>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<ListenerId, Arc<ListenerDefinition>> {
    let mut map: BTreeMap<ListenerId, Arc<ListenerDefinition>> = BTreeMap::new();
    for listener in list {
        let rival = map.values().find(|other| overlap(other.id.address, listener.id.address));
        if let Some(rival) = rival {
            let (first, second) = (rival.id.address, listener.id.address);
            let text = if first == second {
                format!("port {} is given twice, first at {}", second.port(), rival.place)
            } else {
                format!("{second} and {first}, given at {}, are one port", rival.place)
            };
            let hint = "give each its own port, or addresses that do not hold each other".to_owned();
            problems.push(Problem::error(listener.place.clone(), text).hint(hint));
            continue;
        }
        map.insert(listener.id, Arc::new(listener));
    }
    map
}

/// Whether one socket would stand in the other's way. The unspecified address of IPv6 stands for both families.
pub fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let all = |one: IpAddr, other: IpAddr| match one {
        IpAddr::V6(address) => address.is_unspecified(),
        IpAddr::V4(address) => address.is_unspecified() && other.is_ipv4(),
    };
    a.port() == b.port() && (a.ip() == b.ip() || all(a.ip(), b.ip()) || all(b.ip(), a.ip()))
}

impl Planned for ListenerDefinition {
    const NOUN: &'static str = "listener";

    fn name(&self) -> &str {
        &self.name
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn changes(&self, new: &Self) -> Vec<FieldChange> {
        changes!(self, new;
            // The next handshake has the new files; links stay.
            "tls" tls InPlace,
            "backlog" backlog InPlace,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_need_one_socket_are_told_and_others_are_not() {
        let place = || Place::new("master.cfg.lua", 3);
        let listener =
            |protocol, address: &str| ListenerDefinition::new(protocol, address.parse().unwrap(), place());
        let told = |first: &str, second: &str| {
            let mut problems = Vec::new();
            let list = vec![listener(Protocol::Pb, first), listener(Protocol::Msgpack, second)];
            let kept = by_id(list, &mut problems);
            assert_eq!(kept.len() + problems.len(), 2);
            !problems.is_empty()
        };
        for (first, second, wanted) in [
            ("[::]:9989", "[::]:9989", true),
            ("[::]:9989", "[::]:9990", false),
            ("[::]:9989", "127.0.0.1:9989", true),
            ("127.0.0.1:9989", "[::]:9989", true),
            ("0.0.0.0:9989", "127.0.0.1:9989", true),
            ("0.0.0.0:9989", "[::1]:9989", false),
            ("0.0.0.0:9989", "[::]:9989", true),
            ("127.0.0.1:9989", "[::1]:9989", false),
            ("127.0.0.1:9989", "127.0.0.2:9989", false),
        ] {
            assert_eq!(told(first, second), wanted, "{first} and {second}");
        }
    }
}
