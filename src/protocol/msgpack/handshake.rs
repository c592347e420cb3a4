//! The HTTP request by which a worker opens a connection, and the answers to it.
//!
//! # Laws
//! - The head of a request has at most [`MAX_HEAD_BYTES`].
//! - Any path will do, and neither subprotocols nor extensions are agreed on: workers of this wire know none.
//! - The password is in no error and in no `Debug`.
//!
//! # Not here
//! Whether name and password are right (`worker::gate`).
//!
//! # Source
//! RFC 6455, section 4.2; RFC 7617; Buildbot 4.3.0, `buildbot/worker/protocols/manager/msgpack.py`, for the answers.

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::model::Secret;

/// The longest head of a request, in bytes.
pub const MAX_HEAD_BYTES: usize = 8 * 1024;
/// Fields of a head; an honest one has eight.
const MAX_FIELDS: usize = 64;
/// The longest name that is kept, in bytes.
const MAX_NAME_BYTES: usize = 256;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Somebody who wants to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// As it was given.
    pub name: String,
    /// What must be the worker's.
    pub password: Secret,
    key: String,
}

/// Why a request opens no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// It is no HTTP.
    #[error(
        "does not speak HTTP, which begins msgpack over WebSocket; a worker that speaks `pb` has another port"
    )]
    NoHttp,
    /// Its head is too long.
    #[error("its request is longer than {MAX_HEAD_BYTES} bytes")]
    TooLong,
    /// An HTTP client that is no worker.
    #[error("asks for no WebSocket, as an HTTP client that is no worker")]
    NoUpgrade,
    /// A WebSocket of another version, or one that lacks something.
    #[error("asks for a WebSocket in a way that is not known: {0}")]
    Malformed(&'static str),
    /// It gives neither a name nor a password.
    #[error("gives no name and password")]
    NoCredentials,
    /// It gives them in a way that cannot be read.
    #[error("gives its name and password in a way that cannot be read")]
    Credentials,
}

/// Reads a request; nothing while its head is not complete.
///
/// # Errors
/// [`HandshakeError`], as soon as it is certain. Answer with [`HandshakeError::answer`] and close.
pub fn read(bytes: &[u8]) -> Result<Option<Upgrade>, HandshakeError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD_BYTES => return Ok(None),
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Err(HandshakeError::TooLong);
        }
        Err(_) => return Err(HandshakeError::NoHttp),
    };
    let field = |name: &str| {
        let mut found = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        found.next().map(|field| field.value.trim_ascii())
    };
    let lists = |name: &str, word: &str| {
        let list = field(name).unwrap_or_default().split(|byte| *byte == b',');
        list.into_iter().any(|item| item.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    };
    if !lists("Upgrade", "websocket") || !lists("Connection", "upgrade") {
        return Err(HandshakeError::NoUpgrade);
    }
    if request.method != Some("GET") || request.version != Some(1) {
        return Err(HandshakeError::Malformed("it is no `GET` of HTTP/1.1"));
    }
    if field("Sec-WebSocket-Version") != Some(b"13") {
        return Err(HandshakeError::Malformed("its version is not 13"));
    }
    let key = field("Sec-WebSocket-Key").and_then(|key| std::str::from_utf8(key).ok());
    let Some(key) = key.filter(|key| BASE64.decode(key).is_ok_and(|key| key.len() == 16)) else {
        return Err(HandshakeError::Malformed("its key is not 16 bytes"));
    };
    if length < bytes.len() {
        return Err(HandshakeError::Malformed("it goes on before it is answered"));
    }
    let (name, password) = credentials(field("Authorization").ok_or(HandshakeError::NoCredentials)?)?;
    Ok(Some(Upgrade { name, password, key: key.to_owned() }))
}

fn credentials(field: &[u8]) -> Result<(String, Secret), HandshakeError> {
    const SCHEME: &[u8] = b"basic ";
    let wrong = HandshakeError::Credentials;
    let (scheme, encoded) = field.split_at_checked(SCHEME.len()).ok_or(wrong)?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return Err(wrong);
    }
    let decoded = BASE64.decode(encoded.trim_ascii()).map_err(|_| wrong)?;
    let both = Secret::new(String::from_utf8(decoded).map_err(|_| wrong)?);
    // A name has no colon, a password may.
    let (name, password) = both.expose().split_once(':').ok_or(wrong)?;
    if name.len() > MAX_NAME_BYTES {
        return Err(wrong);
    }
    Ok((name.to_owned(), Secret::new(password)))
}

impl Upgrade {
    /// The answer that opens the connection: what follows are frames of WebSocket.
    pub fn answer(&self) -> String {
        let accept = derive_accept_key(self.key.as_bytes());
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nServer: lunabot\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
    }
}

impl HandshakeError {
    /// What the peer is told before the connection is closed. An unknown name and a wrong password are told as
    /// [`HandshakeError::NoCredentials`].
    pub const fn answer(self) -> &'static str {
        match self {
            Self::NoCredentials => {
                "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            }
            _ => "HTTP/1.1 400 Bad request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        }
    }
}
