//! Why a request waits: what the board knows, and what the store knows of it.

use tokio::sync::oneshot;

use super::Builds;
use crate::{
    build::board::{Explanation, Hindrance},
    model::{BuildRequestId, Timestamp},
    store::{QueuedRequest, StoreError},
};

/// Somebody wants to know why a request waits.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) request: BuildRequestId,
    pub(super) answer: oneshot::Sender<Result<Option<Explained>, StoreError>>,
}

/// A request that waits, and why.
#[derive(Clone, Debug)]
pub struct Explained {
    /// Which.
    pub request: QueuedRequest,
    /// Why.
    pub explanation: Explanation,
}

impl Builds {
    pub(super) async fn explain(&self, Ask { request, answer }: Ask) {
        // Who asked may have gone.
        drop(answer.send(self.explained(request).await));
    }

    async fn explained(&self, request: BuildRequestId) -> Result<Option<Explained>, StoreError> {
        let Some(request) = self.store.waiting_request(request).await? else { return Ok(None) };
        let ahead = self.store.requests_before(&request).await?;
        let lent = self.family.lending.changes().borrow().clone();
        let mut explanation = self.board.explain(&request, ahead, &self.outlook, &lent, Timestamp::now());
        if self.stop.borrow().is_some() {
            explanation.hindrances.insert(0, Hindrance::Stopping);
        }
        Ok(Some(Explained { request, explanation }))
    }
}
