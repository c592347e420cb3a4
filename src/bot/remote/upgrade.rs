//! The request of HTTP that opens msgpack over WebSocket, and the reading of its answer.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::{model::Secret, protocol::bot::Identity};

/// The longest head of an answer, in bytes.
const MAX_HEAD_BYTES: usize = 8 * 1024;
const MAX_FIELDS: usize = 64;

/// Why a connection is not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeError {
    #[error("wrong name or password")]
    Refused,
    #[error("it answers {0} to the request for a WebSocket")]
    Status(u16),
    #[error("its answer is no answer to the request for a WebSocket")]
    Malformed,
    #[error("its answer is longer than {MAX_HEAD_BYTES} bytes")]
    TooLong,
    #[error("it does not speak HTTP")]
    NoHttp,
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    host: String,
    credentials: Secret,
    key: String,
}

impl Opening {
    pub(super) fn new(host: String, identity: &Identity, key: [u8; 16]) -> Self {
        let both = Secret::new(format!("{}:{}", identity.name, identity.password.expose()));
        let credentials = Secret::new(BASE64_STANDARD.encode(both.expose()));
        Self { host, credentials, key: BASE64_STANDARD.encode(key) }
    }

    pub(super) fn request(&self) -> Secret {
        let Self { host, credentials, key } = self;
        Secret::new(format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nAuthorization: Basic {}\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n",
            credentials.expose()
        ))
    }

    /// The length of the head of an answer that opens the connection; nothing while it is not complete.
    pub(super) fn read_answer(&self, bytes: &[u8]) -> Result<Option<usize>, UpgradeError> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut answer = httparse::Response::new(&mut fields);
        let length = match answer.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD_BYTES => return Ok(None),
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return Err(UpgradeError::TooLong);
            }
            Err(_) => return Err(UpgradeError::NoHttp),
        };
        let accept =
            answer.headers.iter().find(|field| field.name.eq_ignore_ascii_case("Sec-WebSocket-Accept"));
        match answer.code {
            Some(101) => {}
            Some(401) => return Err(UpgradeError::Refused),
            status => return Err(status.map_or(UpgradeError::NoHttp, UpgradeError::Status)),
        }
        if accept.is_none_or(|accept| accept.value != derive_accept_key(self.key.as_bytes()).as_bytes()) {
            return Err(UpgradeError::Malformed);
        }
        Ok(Some(length))
    }
}
