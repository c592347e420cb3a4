//! Lunabot: a continuous-integration master in the manner of Buildbot, configured in Lua.

pub mod bot;
pub mod definition;
pub mod exec;
pub mod model;
pub mod protocol;
