//! Ways in and out of the process: streams, TLS and its one crypto provider, the HTTP client.
//!
//! # Not here
//! What is said (`web`, `worker`, `latent`).

pub mod handshake;
pub mod stranger;
pub mod stream;
#[cfg(test)]
pub(crate) mod testing;
pub mod tls;
pub mod unix_http;

pub use handshake::HandshakeError;
pub use stranger::Stranger;
pub use stream::Stream;
pub use tls::{ServerTls, TlsError, TlsPaths};
pub use unix_http::{HttpError, UnixHttp};
