//! An HTTP proxy that leads to a master by `CONNECT`.
//!
//! # Laws
//! - An answer's head has at most [`MAX_HEAD_BYTES`].
//! - What follows the head belongs to the tunnel, and is left there: on PB it is the master who speaks first.
//!
//! # Not here
//! Connections to the proxy, and how long it may take (`connect`).
//!
//! # Source
//! RFC 9110, section 9.3.6.

use std::io;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::connect::HostPort;

/// The longest head of an answer, in bytes.
pub const MAX_HEAD_BYTES: usize = 8 * 1024;
/// Fields of a head; an honest one has a handful.
const MAX_FIELDS: usize = 64;
/// How much of the proxy's own reason is told, in characters.
const MOST_REASON: usize = 100;

/// Why a proxy does not lead on.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// It does not wish to.
    #[error("it answers {status}{}", reason_text(reason))]
    Refused {
        /// The status.
        status: u16,
        /// Its reason, in its own words.
        reason: String,
    },
    /// It is no proxy.
    #[error("it does not speak HTTP")]
    NoHttp,
    /// The head of its answer is too long.
    #[error("its answer is longer than {MAX_HEAD_BYTES} bytes")]
    TooLong,
    /// It hung up.
    #[error("it hung up without an answer")]
    HungUp,
    /// The connection failed.
    #[error("the connection to it failed")]
    Socket(#[from] io::Error),
}

fn reason_text(reason: &str) -> String {
    if reason.is_empty() {
        return String::new();
    }
    let reason: String = reason.chars().take(MOST_REASON).flat_map(char::escape_debug).collect();
    format!(" ({reason})")
}

/// Asks for the way to `target`. The connection leads there afterwards.
///
/// # Cancel safety
/// Dropped before it returns, the connection is of no use any more.
pub(super) async fn open(socket: &mut TcpStream, target: &HostPort) -> Result<(), ProxyError> {
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    loop {
        // Looked at first, and taken only as far as the head goes.
        let mut seen = [0; 1024];
        let room = seen.len().min(MAX_HEAD_BYTES - head.len());
        let count = match socket.peek(&mut seen[..room]).await? {
            0 => return Err(ProxyError::HungUp),
            count => count,
        };
        let taken = head.len();
        head.extend_from_slice(&seen[..count]);
        let length = read(&head)?;
        let of_these = length.map_or(count, |length| length - taken);
        socket.read_exact(&mut seen[..of_these]).await?;
        if length.is_some() {
            return Ok(());
        }
    }
}

/// The length of the head of an answer that leads on; nothing while it is not complete.
fn read(bytes: &[u8]) -> Result<Option<usize>, ProxyError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut answer = httparse::Response::new(&mut fields);
    let length = match answer.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD_BYTES => return Ok(None),
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Err(ProxyError::TooLong);
        }
        Err(_) => return Err(ProxyError::NoHttp),
    };
    match answer.code {
        Some(200..=299) => Ok(Some(length)),
        Some(status) => {
            Err(ProxyError::Refused { status, reason: answer.reason.unwrap_or_default().to_owned() })
        }
        None => Err(ProxyError::NoHttp),
    }
}
