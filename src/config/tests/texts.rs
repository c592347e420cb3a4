//! Patterns against Lua's own answers, and the functions that read files.
