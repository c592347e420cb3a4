//! Ways out of the process: the HTTP client. TLS and the crypto provider join it with the first wire that needs them.
//!
//! # Not here
//! What is said (`web`, `worker`, `latent`).

pub mod stream;
pub mod unix_http;

pub use stream::Stream;
pub use unix_http::{HttpError, UnixHttp};
