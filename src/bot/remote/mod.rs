//! A worker whose master is another program, on this machine or another: connects, speaks, and connects again.
//!
//! # Not here
//! What the two say (`protocol`), and what a command does (the rest of `bot`).

pub mod settings;

pub use settings::{Address, AllowShutdown, ClientTlsPaths, RemoteSettings, Server, Wire};
