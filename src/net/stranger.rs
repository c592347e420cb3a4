//! Who is at the wrong door: the first bytes of a connection tell what is spoken on it.

use std::fmt;

/// A peer that speaks something else than the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// It begins with a TLS handshake.
    Tls,
    /// It begins with a request of HTTP.
    Http,
}

impl Stranger {
    /// What begins with these bytes; nothing if that cannot be told.
    pub fn of(opening: &[u8]) -> Option<Self> {
        // RFC 9112, section 3.1, and the methods that clients and scanners use; `PRI` opens HTTP/2.
        const METHODS: [&[u8]; 8] = [b"GET ", b"HEAD", b"POST", b"PUT ", b"OPTI", b"CONN", b"DELE", b"PRI "];
        match opening {
            // RFC 8446, section 5.1: a handshake record, of a version from 3.0 (SSL) to 3.3 (TLS 1.2 and later).
            [0x16, 0x03, ..] => Some(Self::Tls),
            _ if METHODS.iter().any(|method| opening.starts_with(method)) => Some(Self::Http),
            _ => None,
        }
    }
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "the peer speaks TLS",
            Self::Http => "the peer speaks HTTP",
        })
    }
}
