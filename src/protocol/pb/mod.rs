//! Perspective Broker: the wire of `buildbot-worker`, as it is spoken by workers of all ages.
//!
//! From the bytes up: [`banana`] makes tokens of them and [`encoder`] them of tokens, [`jelly`] makes values of tokens,
//! [`broker`] makes calls of values; [`master`] and [`worker`] are the two ends of the conversation, and can be held in
//! one test. [`BotSession`] is the second with commands. `keys` has the words in which both speak of these.
//!
//! # Laws
//! - Whatever a peer sends, memory stays bounded and nothing panics: at worst its connection ends with a [`PbError`].
//! - Before a login a peer may send 64 KiB in all, and learns from the answer neither which names nor which passwords
//!   exist.
//! - A session holds no buffer while nothing is on its way.
//! - Passwords, challenges and responses are in no error, and in no `Debug` of a session.
//!
//! # Not here
//! Sockets, TLS, how long a login or a ping may take (`worker`).
//!
//! # Source
//! Twisted 26.10, `twisted/spread`; Buildbot 4.3.0, `buildbot/worker/protocols/pb.py` and `buildbot_worker/pb.py`.

pub mod auth;
pub mod banana;
mod bot;
pub mod broker;
mod command;
mod crew;
pub mod encoder;
pub mod failure;
mod info;
pub mod jelly;
mod keys;
pub mod master;
mod numbered;
mod shell;
mod versions;
pub mod worker;

#[cfg(test)]
mod tests;

pub use auth::LoginAttempt;
pub use bot::BotSession;
pub use master::{MasterSession, SessionEvent};
pub use worker::{StartedCommand, WorkerEvent, WorkerSession};

/// Why a connection must end.
#[derive(Debug, thiserror::Error)]
pub enum PbError {
    /// No tokens.
    #[error("these are no tokens of Perspective Broker")]
    Bytes(#[from] banana::DecodeError),
    /// The peers have no way of writing in common.
    #[error("the peer chose no dialect that was offered")]
    Dialect,
    /// The peers do not speak the same protocol.
    #[error("the peer does not speak version {} of Perspective Broker", broker::VERSION)]
    Version,
    /// Tokens that are no message; the text says what would be one.
    #[error("malformed message: {0}")]
    Malformed(&'static str),
    /// Something that has no place at this point of the conversation.
    #[error("out of turn: {0}")]
    OutOfTurn(&'static str),
    /// The peer gave up its login.
    #[error("the peer has given up its login")]
    LoggedOut,
    /// The peer asks much and reads none of the answers.
    #[error("the peer has left {bytes} bytes of answers unread")]
    Unread {
        /// What waits for it.
        bytes: usize,
    },
}
