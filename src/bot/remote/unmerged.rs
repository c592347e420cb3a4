//! Temporary.
use crate::{
    model::WorkerInfo,
    protocol::{
        FromWorker,
        bot::{BotEvent, Conversation, Identity, gather::Now},
    },
};
use bytes::Bytes;
use std::time::Instant;
#[derive(Debug, thiserror::Error)]
#[error("none")]
pub(super) struct NoError;
pub(super) struct BotSession(Option<BotEvent>);
pub(super) mod pb {
    use super::*;
    pub(crate) fn new(_: Identity, _: WorkerInfo) -> BotSession {
        BotSession(Some(BotEvent::Refused("unmerged".into())))
    }
}
pub(super) mod msgpack {
    use super::*;
    pub(crate) fn new(_: WorkerInfo) -> BotSession {
        BotSession(Some(BotEvent::Refused("unmerged".into())))
    }
}
impl Conversation for BotSession {
    type Error = NoError;
    fn hear(&mut self, _: &[u8]) -> Result<(), NoError> {
        Ok(())
    }
    fn say(&mut self, _: FromWorker, _: Now) {}
    fn keep_alive(&mut self) {}
    fn due(&self) -> Option<Instant> {
        None
    }
    fn tick(&mut self, _: Now) {}
    fn poll_output(&mut self) -> Option<Bytes> {
        None
    }
    fn output_len(&self) -> usize {
        0
    }
    fn poll_event(&mut self) -> Option<BotEvent> {
        self.0.take()
    }
}
