//! msgpack over WebSocket: the other wire of `buildbot-worker`, `msgpack_experimental_v7`.
//!
//! From the bytes up: [`handshake`] reads the HTTP request that opens a connection, and [`opening`] is the worker's side of
//! that; [`frame`] makes values of the payload of one WebSocket message; [`session`] is the master's end of the conversation
//! and [`bot`] the worker's. `arguments` and `update` are the words of commands and their news, `info` is what a worker says
//! of itself, `path` makes the absolute paths that workers want on this wire, `folders` keeps those of the builders,
//! `requests` what waits to be sent or answered.
//!
//! # Laws
//! - Whatever a peer sends, memory stays bounded and nothing panics: at worst its connection ends with a [`MsgpackError`].
//! - A session holds no buffer while nothing is on its way.
//! - Passwords, and what a worker tells of its environment, are in no error and in no `Debug`.
//!
//! # Not here
//! Sockets, the frames of WebSocket, how long a login or a ping may take (`worker`).
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/msgpack.py` and traces of it; RFC 6455 for the handshake. What Buildbot's own master
//! gets wrong on this wire (empty downloads, times of files that are lost) is not followed.

mod arguments;
pub mod bot;
mod folders;
pub mod frame;
pub mod handshake;
mod info;
pub mod opening;
mod path;
mod requests;
pub mod session;
mod update;

#[cfg(test)]
mod tests;

pub use bot::BotSession;
pub use session::{MasterSession, SessionEvent};

/// What a worker asks that wishes to stop once its builds are done. Not in Buildbot's protocol: its master answers that
/// there is no such word.
const REQUEST_SHUTDOWN: &str = "request_shutdown";

/// What a worker says that stops, and whose commands would outlive the connection otherwise. See `docs/design/resume.md`.
const END_SESSION: &str = "end_session";

/// Why a connection must end.
#[derive(Debug, thiserror::Error)]
pub enum MsgpackError {
    /// No message.
    #[error("this is no message of msgpack")]
    Bytes(#[from] frame::DecodeError),
    /// A value that is no message; the text says what would be one.
    #[error("malformed message: {0}")]
    Malformed(&'static str),
    /// It would not say who it is.
    #[error("the worker did not say what it is made of: {cause}")]
    Nameless {
        /// Its own words, or what is missing in them.
        cause: String,
    },
    /// It is asked much and answers nothing.
    #[error("the other side has left {requests} requests unanswered")]
    Unanswered {
        /// How many.
        requests: usize,
    },
    /// It sends blocks of a file without waiting for an answer.
    #[error("the worker does not wait for answers when it moves a file")]
    Impatient,
}
