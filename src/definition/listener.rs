//! A port on which workers are expected, as the operator defined it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::{
    definition::plan::{FieldChange, Planned, changes},
    model::Place,
};

/// A port on which workers are expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerDefinition {
    /// What is spoken there, which is also its name: `pb`.
    pub protocol: Protocol,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it was written.
    pub place: Place,
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

/// Why a text is no port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no port; give a number from 1 to 65535, `tcp:9989` or `tcp:9989:interface=127.0.0.1`")]
pub struct PortError {
    /// What was given.
    pub given: String,
}

/// Reads a port as Buildbot writes it: a number, or Twisted's `tcp:PORT[:interface=ADDRESS]`.
///
/// Without an interface it listens on all addresses, of both families.
pub fn parse_port(text: &str) -> Result<SocketAddr, PortError> {
    let wrong = || PortError { given: text.to_owned() };
    let rest = text.strip_prefix("tcp:").unwrap_or(text);
    let (port, interface) = rest.split_once(':').map_or((rest, None), |(port, more)| (port, Some(more)));
    let port: u16 = port.strip_prefix("port=").unwrap_or(port).parse().map_err(|_| wrong())?;
    let address = match interface {
        None => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        // Twisted escapes the colons of an IPv6 address.
        Some(more) => {
            let address = more.strip_prefix("interface=").ok_or_else(wrong)?.replace("\\:", ":");
            address.parse().map_err(|_| wrong())?
        }
    };
    if port == 0 { Err(wrong()) } else { Ok(SocketAddr::new(address, port)) }
}

impl Planned for ListenerDefinition {
    const NOUN: &'static str = "listener";

    fn name(&self) -> &str {
        self.protocol.key()
    }

    fn changes(&self, new: &Self) -> Vec<FieldChange> {
        changes!(self, new; "port" address InPlace,)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_buildbot_writes_them() {
        let parsed = |text: &str| parse_port(text).map(|address| address.to_string());
        assert_eq!(parsed("9989").as_deref(), Ok("[::]:9989"));
        assert_eq!(parsed("tcp:9989").as_deref(), Ok("[::]:9989"));
        assert_eq!(parsed("tcp:port=9989:interface=127.0.0.1").as_deref(), Ok("127.0.0.1:9989"));
        assert_eq!(parsed(r"tcp:9989:interface=\:\:1").as_deref(), Ok("[::1]:9989"));
        for bad in ["", "0", "70000", "-1", "tcp:x", "ssl:9989:privateKey=x", "tcp:1:interface=here"] {
            assert!(parse_port(bad).is_err(), "{bad}");
        }
    }
}
