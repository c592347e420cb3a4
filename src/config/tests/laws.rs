//! The laws of a load, and what the interpreter offers.
