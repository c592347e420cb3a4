//! The HTTP request by which a worker opens a connection, as the worker says it, and what the master may answer.
//!
//! # Laws
//! - The head of an answer has at most [`MAX_HEAD_BYTES`]; what follows it is not touched.
//! - A connection is open only once the answer proves that its sender has read the request.
//! - The password is in no error and in no `Debug`.
//!
//! # Not here
//! The master's side ([`super::handshake`]), and where the sixteen bytes come from: by chance, other ones each time.
//!
//! # Source
//! RFC 6455, section 4.1; RFC 7617; Buildbot 4.3.0, `buildbot_worker/msgpack.py`, for what is asked.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::handshake::MAX_HEAD_BYTES;
use crate::{model::Secret, protocol::bot::Identity};

/// Fields of a head; an honest one has half a dozen.
const MAX_FIELDS: usize = 64;
/// The most of a reason that is told, in characters.
const MAX_REASON: usize = 100;

/// A request to open a connection.
#[derive(Clone, Debug)]
pub struct Opening {
    request: Secret,
    accept: String,
}

/// Why a connection is not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpeningError {
    /// The worker's name has a colon, which ends a name here.
    #[error("a worker whose name has a colon cannot log in over msgpack")]
    Name,
    /// What was given as the master's host is none.
    #[error("the master's address is none that HTTP can carry")]
    Host,
    /// No such worker, or not its password: what masters answer to both.
    #[error("the master does not know this name or password")]
    Unauthorized,
    /// Another answer than that.
    #[error("the master answered {status}{}{reason}", if reason.is_empty() { "" } else { " " })]
    Status {
        /// Its number.
        status: u16,
        /// Its reason, in the master's words.
        reason: String,
    },
    /// Whoever listens there speaks no HTTP.
    #[error(
        "what listens there does not answer in HTTP, which begins msgpack over WebSocket; `pb` and TLS have ports of their own"
    )]
    NoHttp,
    /// The head of the answer is too long.
    #[error("the answer's head is longer than {MAX_HEAD_BYTES} bytes")]
    TooLong,
    /// The connection is opened in a way that was not asked for.
    #[error("the answer opens a connection that was not asked for: {0}")]
    Malformed(&'static str),
}

impl Opening {
    /// For a worker, to a master at `host`: its name or address, in brackets if that has colons, and its port. `key` is
    /// sixteen random bytes.
    ///
    /// # Errors
    /// [`OpeningError::Name`] and [`OpeningError::Host`], which no other try will change.
    pub fn new(identity: &Identity, host: &str, key: [u8; 16]) -> Result<Self, OpeningError> {
        let Identity { name, password } = identity;
        if name.contains(':') {
            return Err(OpeningError::Name);
        }
        if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(OpeningError::Host);
        }
        let key = STANDARD.encode(key);
        let proof = Secret::new(STANDARD.encode(format!("{name}:{}", password.expose())));
        let request = format!(
            "GET / HTTP/1.1\r\nUser-Agent: lunabot-worker/{}\r\nHost: {host}\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
             Authorization: Basic {}\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n",
            env!("CARGO_PKG_VERSION"),
            proof.expose(),
        );
        Ok(Self { request: Secret::new(request), accept: derive_accept_key(key.as_bytes()) })
    }

    /// What is sent. It holds the password.
    pub fn request(&self) -> &[u8] {
        self.request.expose().as_bytes()
    }

    /// Reads what was answered so far: how many bytes its head has, once the connection is open. What follows them are frames
    /// of WebSocket. Nothing while the head is not complete.
    ///
    /// # Errors
    /// [`OpeningError`], as soon as it is certain.
    pub fn read(&self, answer: &[u8]) -> Result<Option<usize>, OpeningError> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let length = match response.parse(answer) {
            Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD_BYTES => length,
            Ok(httparse::Status::Partial) if answer.len() < MAX_HEAD_BYTES => return Ok(None),
            Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(OpeningError::TooLong),
            Err(_) => return Err(OpeningError::NoHttp),
        };
        match response.code {
            Some(101) => {}
            Some(401) => return Err(OpeningError::Unauthorized),
            status => {
                let reason = response.reason.unwrap_or_default();
                let reason = reason.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect();
                return Err(OpeningError::Status { status: status.unwrap_or_default(), reason });
            }
        }
        let field = |name: &str| {
            let mut found = response.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
            found.next().map(|field| field.value.trim_ascii())
        };
        let lists = |name: &str, word: &str| {
            let mut list = field(name).unwrap_or_default().split(|byte| *byte == b',');
            list.any(|item| item.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
        };
        if response.version != Some(1) {
            return Err(OpeningError::Malformed("it is not of HTTP/1.1"));
        }
        if !lists("Upgrade", "websocket") || !lists("Connection", "upgrade") {
            return Err(OpeningError::Malformed("it is no WebSocket"));
        }
        if field("Sec-WebSocket-Accept") != Some(self.accept.as_bytes()) {
            return Err(OpeningError::Malformed("it answers to another request"));
        }
        if field("Sec-WebSocket-Extensions").is_some() || field("Sec-WebSocket-Protocol").is_some() {
            return Err(OpeningError::Malformed("it has extensions or a protocol of its own"));
        }
        Ok(Some(length))
    }
}
