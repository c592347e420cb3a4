//! Locks: what keeps builds and steps apart that must not run at the same time.
//!
//! [`book`] decides, over plain values: who holds what, and who waits in which order.
//!
//! # Not here
//! How the operator writes them (`definition::lock`).

pub mod book;

pub use book::{
    Answer, AskError, Blocked, Book, Cycle, Limits, Link, LockId, LockState, Mode, Owner, Scope, Stand, Want,
};
