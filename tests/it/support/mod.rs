//! What several integration tests need.

pub(crate) mod api;
pub(crate) mod buildbot_master;
pub(crate) mod cable;
#[path = "../../../src/net/testing.rs"]
pub(crate) mod certificates;
pub(crate) mod listing;
pub(crate) mod master;
pub(crate) mod queue;
pub(crate) mod real_worker;
pub(crate) mod skip;
pub(crate) mod smtp;
pub(crate) mod traces;
pub(crate) mod tree;
