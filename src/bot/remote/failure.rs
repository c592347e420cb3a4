//! What goes wrong between a worker and its master, in words for its operator.
//!
//! # Laws
//! - A text of the master's is told on one line and is not long; no password is in any.

use std::{error::Error, io, iter, time::Duration};

use super::{connect::ConnectError, pump::LOGIN_WITHIN, station::BotGone};
use crate::{
    net::{ClientHandshakeError, Stranger},
    protocol::msgpack::opening::OpeningError,
};

/// How much of a text of the master's is told, in characters.
const MOST_SHOWN: usize = 2000;

/// What went wrong on the way to a master, or with it.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// There is no connection.
    #[error("cannot connect to the master at {server}")]
    Connect {
        /// Where.
        server: String,
        /// Why.
        source: ConnectError,
    },
    /// There was one, and the master did not let the worker in.
    #[error("cannot log in to the master at {server} as `{name}`")]
    Login {
        /// Where.
        server: String,
        /// As whom.
        name: String,
        /// Why.
        source: LinkError,
    },
    /// The worker was attached.
    #[error("the connection to the master at {server} is lost")]
    Lost {
        /// Where.
        server: String,
        /// Why.
        source: LinkError,
    },
}

/// Why a connection ended, or never began.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The master does not let the worker in.
    #[error("the master does not let this worker in: {}", shown(reason))]
    Refused {
        /// Its reason.
        reason: String,
    },
    /// The master does not say whether it lets the worker in.
    #[error("the master has not let this worker in within {} s", LOGIN_WITHIN.as_secs())]
    Silent,
    /// It hung up before it said so.
    #[error(
        "the master closed the connection before it let this worker in, as one does that speaks something else on this \
         port"
    )]
    ClosedEarly,
    /// It hung up.
    #[error("the master closed the connection")]
    Closed,
    /// It is dead, or the way to it.
    #[error("the master gave no sign of life for {} s", within.as_secs())]
    Dead {
        /// How long it had.
        within: Duration,
    },
    /// It does not open the connection.
    #[error("no WebSocket is opened")]
    Opening(#[from] OpeningError),
    /// It speaks something else, as its first bytes tell.
    #[error("{0} on this port, which the wire of this worker does not")]
    Stranger(Stranger),
    /// It does not speak the protocol.
    #[error("the master does not speak the protocol")]
    Protocol(#[source] Box<dyn Error + Send + Sync>),
    /// It has something against the certificate, told after the handshake.
    #[error("the TLS handshake failed")]
    Tls(#[source] ClientHandshakeError),
    /// The socket failed.
    #[error("the connection failed")]
    Socket(#[source] io::Error),
    /// The worker itself failed, by a broken law.
    #[error("the worker failed")]
    Bot,
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        match ClientHandshakeError::from_late(&error) {
            Some(refused) => Self::Tls(refused),
            None if matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe
            ) =>
            {
                Self::Closed
            }
            None => Self::Socket(error),
        }
    }
}

impl From<BotGone> for LinkError {
    fn from(BotGone: BotGone) -> Self {
        Self::Bot
    }
}

/// An error and its causes, on one line.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A text from the master as a log may hold it: on one line, and not too long.
pub(super) fn shown(text: &str) -> String {
    text.trim_end()
        .chars()
        .take(MOST_SHOWN)
        .flat_map(|c| {
            // Quotes and letters of all languages stay as they are.
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = escaped.is_none().then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_the_masters_stays_on_one_line_and_is_not_long() {
        assert_eq!(shown("attached\r\n"), "attached");
        assert_eq!(
            shown("\u{1b}[2Jgr\u{fc}n\nINFO 'forged' \"line\""),
            "\\u{1b}[2Jgr\u{fc}n\\nINFO 'forged' \"line\""
        );
        assert_eq!(shown(&"x".repeat(MOST_SHOWN + 1)).len(), MOST_SHOWN);
    }
}
