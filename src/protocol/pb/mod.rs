//! stand-in
use crate::{
    model::Secret,
    protocol::{FromWorker, ToWorker},
};
use bytes::Bytes;
/// e
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct PbError;
/// s
pub struct MasterSession;
/// e
pub enum SessionEvent {
    /// l
    Login(LoginAttempt),
    /// a
    Attached,
    /// m
    Message(FromWorker),
}
/// a
pub struct LoginAttempt {
    /// n
    pub name: String,
}
impl LoginAttempt {
    /// p
    pub fn proves(&self, _p: &Secret) -> bool {
        false
    }
}
#[expect(missing_docs, clippy::all, clippy::pedantic, reason = "stand-in")]
impl MasterSession {
    pub fn new(_c: [u8; 16]) -> Self {
        Self
    }
    pub fn handle_input(&mut self, _b: &[u8]) -> Result<(), PbError> {
        Ok(())
    }
    pub fn poll_output(&mut self) -> Option<Bytes> {
        None
    }
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        None
    }
    pub fn accept_login(&mut self) {}
    pub fn refuse_login(&mut self) {}
    pub fn handle_order(&mut self, _o: ToWorker) {}
}
