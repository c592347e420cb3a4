//! What several integration tests need.

pub(crate) mod master;
pub(crate) mod real_worker;
pub(crate) mod skip;
pub(crate) mod tree;
