//! Lunabot: a continuous-integration master in the manner of Buildbot, configured in Lua.

pub mod definition;
pub mod model;
pub mod mq;
pub mod protocol;
pub mod store;
