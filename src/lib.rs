//! Lunabot: a continuous-integration master in the manner of Buildbot, configured in Lua.
//!
//! The operator's Lua file becomes a value; the difference of two values is a plan; tasks carry the plan out, each the
//! only owner of what it changes; all that happens is told as events. The rooms, in the order in which to read them;
//! each may use those above its line, and `docs/architecture.md` tells the walls between them:

// Words that all share.
pub mod model;

// What the operator wrote; ways out of the process; child processes.
pub mod definition;
pub mod exec;
pub mod net;

// Lua; the messages between master and worker; secrets; the database and logs; events.
pub mod config;
pub mod mq;
pub mod protocol;
pub mod secret;
pub mod store;

// The worker's side of the link.
pub mod bot;

// Who is connected; what is built; what asks for it; who is told.
pub mod worker;

pub mod build;

pub mod scheduler;

// Who is told of it.
pub mod reporter;

// The one that owns them all, and its two edges.
pub mod master;

pub mod web;

pub mod cli;
