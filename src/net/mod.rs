//! Ways in and out of the process: streams, TLS and its one crypto provider, the HTTP client, random bytes.
//!
//! # Not here
//! What is said (`web`, `worker`, `bot`, `latent`).

pub mod handshake;
mod pinned;
mod random;
pub mod stranger;
pub mod stream;
mod tcp;
#[cfg(test)]
pub(crate) mod testing;
pub mod tls;
pub mod tls_client;
pub mod unix_http;

pub use handshake::HandshakeError;
pub use random::random;
pub use stranger::Stranger;
pub use stream::Stream;
pub use tcp::tune;
pub use tls::{ServerTls, TlsError, TlsPaths};
pub use tls_client::{ClientHandshakeError, ClientTls};
pub use unix_http::{HttpError, UnixHttp};
