//! Lunabot: a continuous-integration master in the manner of Buildbot, configured in Lua.

pub mod config;
pub mod definition;
pub mod model;
pub mod protocol;
