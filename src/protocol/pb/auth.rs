//! The proof of a password: a digest over it and a challenge.
//!
//! # Laws
//! - How long a comparison takes says nothing of the password.
//! - Neither challenge nor response is ever printed: together they let the password be guessed at leisure.
//!
//! # Source
//! Twisted, `twisted/spread/pb.py`, `respond`: MD5(MD5(password) ++ challenge). The wire's digest is old; what protects a
//! session is TLS.

use std::fmt;

use bytes::Bytes;
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;

use crate::model::Secret;

/// The most that is kept of a name which somebody gave, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// What a peer must prove that it can compute.
pub type Challenge = [u8; 16];

/// The proof that somebody has a password.
pub fn response(password: &Secret, challenge: &[u8]) -> [u8; 16] {
    let inner = Md5::digest(password.expose().as_bytes());
    Md5::new().chain_update(inner).chain_update(challenge).finalize().into()
}

/// Somebody at the door: a name, and the proof of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginAttempt {
    /// As it was given, with marks in place of what is no UTF-8; 256 bytes at most.
    pub name: String,
    challenge: Challenge,
    response: Bytes,
}

impl LoginAttempt {
    pub(super) fn new(name: &[u8], challenge: Challenge, response: Bytes) -> Self {
        // A mark is three bytes long, in place of one.
        let lossy = String::from_utf8_lossy(&name[..name.len().min(MAX_NAME_BYTES)]);
        let name = lossy[..lossy.floor_char_boundary(MAX_NAME_BYTES)].to_owned();
        Self { name, challenge, response }
    }

    /// Whether whoever is there has this password. Takes the same time for a right and a wrong one.
    pub fn proves(&self, password: &Secret) -> bool {
        response(password, &self.challenge).as_slice().ct_eq(&self.response).into()
    }
}

impl fmt::Debug for LoginAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginAttempt").field("name", &self.name).finish_non_exhaustive()
    }
}
