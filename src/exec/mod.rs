//! Child processes: started in a session of their own, read with back-pressure, ended within a time.
//!
//! # Laws
//! - What was started ends: on a timeout, on an interrupt and when its [`Process`] is dropped, it is killed with its group,
//!   its session and all its descendants, and it is reaped.
//! - Output is bytes as they came. No more than some hundred KiB of it is held, whatever the length: a slow reader
//!   slows the child.
//! - [`Process::next`] ends: with [`News::Ended`] at the latest [`PATIENCE`] twice after the last signal, not counting
//!   the time that the reader itself took.
//! - A child knows what its [`Spec`] says and no more: not our environment, our terminal, our open files and how many we may
//!   have, nor which signals we block or ignore.
//! - None of this holds for a program that shall outlive us: see [`detached`](mod@detached).
//!
//! # Not here
//! What a child is run for, what is told of it (`bot`), and which of our variables it may see.

mod course;
pub mod detached;
mod group;
pub mod heritage;
pub mod launch;
pub mod leftover;
mod lookup;
mod orphans;
mod outbox;
mod pipe;
mod process;
mod run;
mod spec;
mod start;
mod table;
mod terminal;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tree;

pub use course::{KillReason, PATIENCE};
pub use detached::{Detached, Heard, detached};
pub use leftover::Mark;
pub use process::{Ended, Exit, News, Process, spawn};
pub use spec::{EndSignal, Program, SpawnError, Spec, UnknownSignal};
