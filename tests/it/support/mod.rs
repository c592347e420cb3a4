//! What several integration tests need.

pub(crate) mod master;
pub(crate) mod skip;
pub(crate) mod tree;
