//! Who is told of what happens, and by which way.
//!
//! # Not here
//! Who wants to be told what (`definition`).

pub mod digest;
pub mod missing;
