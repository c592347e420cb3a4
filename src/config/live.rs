//! Between those who want a function called and the thread on which its interpreter lives.
//!
//! # Laws
//! - The thread ends when the last [`Caller`] is gone, and the interpreter with it.
//! - Whoever asks has an answer in bounded time: as long as the calls before his and his own may take. An interpreter that
//!   hangs in one of its C functions is given up, and answers nobody any more.
//!
//! # Not here
//! The call itself (`calls`).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time,
};
use tracing::error;

use super::{calls::Live, meter::Seen};
use crate::definition::{HookCall, HookError, Hooks, Worth};

/// Calls that may wait in the channel; more wait before it. A build has at most one under way.
const WAITING: usize = 64;

/// Asks for calls. As long as one is there, the interpreter lives.
#[derive(Debug)]
pub(super) struct Caller {
    requests: mpsc::Sender<Request>,
    /// Changes with the begin and the end of each call.
    progress: watch::Receiver<u64>,
    /// How long nothing may change while somebody waits.
    patience: Duration,
    is_given_up: Arc<AtomicBool>,
    seen: Arc<Seen>,
}

/// The interpreter's side.
#[derive(Debug)]
pub(super) struct Line {
    requests: mpsc::Receiver<Request>,
    progress: watch::Sender<u64>,
    is_given_up: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Request {
    call: HookCall,
    answer: oneshot::Sender<Result<Worth, HookError>>,
}

/// Both ends. `patience` is what a call may take, and some more.
pub(super) fn open(patience: Duration, seen: Arc<Seen>) -> (Caller, Line) {
    let (sender, requests) = mpsc::channel(WAITING);
    let (changed, progress) = watch::channel(0);
    let is_given_up = Arc::new(AtomicBool::new(false));
    let caller = Caller { requests: sender, progress, patience, is_given_up: Arc::clone(&is_given_up), seen };
    (caller, Line { requests, progress: changed, is_given_up })
}

impl Line {
    /// Answers, until nobody can ask any more.
    pub(super) fn serve(mut self, live: &Live) {
        live.begin();
        while let Some(Request { call, answer }) = self.requests.blocking_recv() {
            if answer.is_closed() {
                // Who asked has gone away.
                continue;
            }
            self.progress.send_modify(|count| *count += 1);
            let result = live.call(call);
            self.progress.send_modify(|count| *count += 1);
            // Who asked may have gone away.
            drop(answer.send(result));
            if self.is_given_up.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

impl Caller {
    async fn ask(&self, call: HookCall) -> Result<Worth, HookError> {
        if self.is_given_up.load(Ordering::Relaxed) {
            return Err(HookError::Gone);
        }
        let mut progress = self.progress.clone();
        progress.mark_unchanged();
        let answered = async {
            let (answer, answered) = oneshot::channel();
            let request = Request { call, answer };
            self.requests.send(request).await.map_err(|_| HookError::Gone)?;
            answered.await.unwrap_or(Err(HookError::Gone))
        };
        tokio::pin!(answered);
        loop {
            tokio::select! {
                biased;
                // Cancel-safe: it is pinned outside, and goes on where it was.
                answer = &mut answered => return answer,
                // Cancel-safe: a change that was not seen is still to be seen.
                changed = progress.changed() => if changed.is_err() {
                    // The thread has ended, perhaps with this answer as its last.
                    return answered.await;
                },
                () = time::sleep(self.patience) => {
                    if !self.is_given_up.swap(true, Ordering::Relaxed) {
                        let place = self.seen.place();
                        error!(%place, "a function of the configuration never came back; its interpreter is given up");
                    }
                    return Err(HookError::Gone);
                }
            }
        }
    }
}

impl Hooks for Caller {
    fn call(&self, call: HookCall) -> BoxFuture<'_, Result<Worth, HookError>> {
        Box::pin(self.ask(call))
    }
}
