//! What several integration tests need.

pub(crate) mod skip;
pub(crate) mod tree;
