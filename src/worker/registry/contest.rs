//! Two links of one name: the second waits for what becomes of the first.

use std::sync::Arc;

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Attach, AttachError, Registry, Request, from, reply, written};
use crate::worker::connection::ConnectionHandle;

impl Registry {
    /// Asks the first connection of a name for a sign of life while a second link waits. If there is none, the first is
    /// cut, and the second asks again once that is written down.
    pub(super) fn arbitrate(&self, first: ConnectionHandle, attach: Attach) {
        let (requests, fights) = (self.sender.clone(), Arc::clone(&self.fights));
        let roster = self.roster.clone();
        self.connections.spawn(async move {
            let worker = first.worker.clone();
            let (here, there) = (from(first.peer), from(attach.peer));
            let tell = |what| fights.count((worker.clone(), what), Instant::now());
            if first.is_up() && first.answers(attach.patience).await {
                let what = "a second worker with this name was refused; the first one is alive";
                if let Some(before) = tell(what) {
                    let source = written(&roster, &worker);
                    warn!(%worker, first = %here, second = %there, source, "{what}{before}");
                }
                reply(attach.answer, Err(AttachError::Duplicate { worker }));
                return;
            }
            let what = "its old link is dead and gives its place to a new one";
            if let Some(before) = tell(what) {
                let source = written(&roster, &worker);
                info!(%worker, old = %here, new = %there, source, "{what}{before}");
            }
            first.close();
            first.gone().await;
            // Its end was told before its place is free; this request stands behind that in the queue, or close to it.
            ask_again(&requests, attach).await;
        });
    }

    /// Lets a link wait until another one of its name has said who it is, or has failed to: within the time that a
    /// greeting has. As many wait as may log in at once.
    pub(super) fn wait_for_greeting(&self, settled: CancellationToken, attach: Attach) {
        let requests = self.sender.clone();
        self.connections.spawn(async move {
            tokio::select! {
                // Both are cancel-safe: a token stays cancelled, a closed queue closed.
                () = settled.cancelled() => {}
                () = requests.closed() => {}
            }
            ask_again(&requests, attach).await;
        });
    }
}

/// Puts a request back into the queue.
async fn ask_again(requests: &mpsc::Sender<Request>, attach: Attach) {
    if let Err(mpsc::error::SendError(Request::Attach(attach))) = requests.send(Request::Attach(attach)).await
    {
        reply(attach.answer, Err(AttachError::Stopping));
    }
}
