//! Temporary, until `protocol::msgpack::opening` is there.
#![allow(missing_docs)]
use base64::{Engine as _, prelude::BASE64_STANDARD};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::{model::Secret, protocol::bot::Identity};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpeningError {
    #[error("the master does not know this name or password")]
    Unauthorized,
    #[error("the master answered {0}")]
    Status(u16),
    #[error("its answer is no answer to the request for a WebSocket")]
    Malformed,
    #[error("its answer is longer than 8192 bytes")]
    TooLong,
    #[error("what listens there does not answer in HTTP")]
    NoHttp,
}

#[derive(Clone, Debug)]
pub struct Opening {
    request: Secret,
    key: String,
}

impl Opening {
    pub fn new(identity: &Identity, host: &str, key: [u8; 16]) -> Result<Self, OpeningError> {
        let proof = BASE64_STANDARD.encode(format!("{}:{}", identity.name, identity.password.expose()));
        let key = BASE64_STANDARD.encode(key);
        let request = Secret::new(format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nAuthorization: Basic {proof}\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n",
        ));
        Ok(Self { request, key })
    }

    pub fn request(&self) -> &[u8] {
        self.request.expose().as_bytes()
    }

    pub fn read(&self, bytes: &[u8]) -> Result<Option<usize>, OpeningError> {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut answer = httparse::Response::new(&mut fields);
        let length = match answer.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if bytes.len() < 8192 => return Ok(None),
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return Err(OpeningError::TooLong);
            }
            Err(_) => return Err(OpeningError::NoHttp),
        };
        let accept =
            answer.headers.iter().find(|field| field.name.eq_ignore_ascii_case("Sec-WebSocket-Accept"));
        match answer.code {
            Some(101) => {}
            Some(401) => return Err(OpeningError::Unauthorized),
            status => return Err(status.map_or(OpeningError::NoHttp, OpeningError::Status)),
        }
        if accept.is_none_or(|accept| accept.value != derive_accept_key(self.key.as_bytes()).as_bytes()) {
            return Err(OpeningError::Malformed);
        }
        Ok(Some(length))
    }
}
