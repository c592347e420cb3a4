//! Where an instance finds the master: `host`, `host:port`, `[::1]:9989`.

use std::{fmt, net::Ipv6Addr};

use super::words::is_host;
use crate::definition::shown::Shown;

/// Where an instance finds the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterAddress {
    /// A name, or an address without brackets.
    pub host: String,
    /// The port; that of `c.protocols` if absent.
    pub port: Option<u16>,
}

impl MasterAddress {
    /// Reads one. Buildbot splits at the first colon, which breaks IPv6.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("takes a host, `host:port` or `[address]:port`, not {text:?}");
        if text.parse::<Ipv6Addr>().is_ok() {
            return Ok(Self { host: text.to_owned(), port: None });
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
                host.parse::<Ipv6Addr>().map_err(|_| wrong())?;
                let port = rest.strip_prefix(':');
                if port.is_none() && !rest.is_empty() {
                    return Err(wrong());
                }
                (host, port)
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let is_ipv6 = text.starts_with('[');
        if !is_ipv6 && !is_host(host) {
            return Err(wrong());
        }
        let port = match port {
            None => None,
            Some(port) => Some(port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong)?),
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for MasterAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.port, self.host.contains(':')) {
            (None, _) => f.write_str(&self.host),
            (Some(port), true) => write!(f, "[{}]:{port}", self.host),
            (Some(port), false) => write!(f, "{}:{port}", self.host),
        }
    }
}

impl Shown for MasterAddress {
    fn shown(&self) -> String {
        format!("{:?}", self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_of_ipv6_with_and_without_a_port() {
        for (text, host, port) in [
            ("ci.example.org", "ci.example.org", None),
            ("ci.example.org:9989", "ci.example.org", Some(9989)),
            ("192.0.2.1:80", "192.0.2.1", Some(80)),
            ("::1", "::1", None),
            ("[::1]", "::1", None),
            ("[fe80::1]:9989", "fe80::1", Some(9989)),
        ] {
            let address = MasterAddress { host: host.to_owned(), port };
            assert_eq!(MasterAddress::parse(text), Ok(address.clone()));
            assert_eq!(MasterAddress::parse(&address.to_string()), Ok(address));
        }
        for bad in
            ["", "a b", "host:", "host:0", "host:70000", "[::1", "[::1]9", "[host]:1", "a:b:c", "-a", "a..b"]
        {
            assert!(MasterAddress::parse(bad).is_err(), "{bad:?}");
        }
    }
}
