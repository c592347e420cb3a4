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

use super::meter::Seen;
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
    /// Answers with what `answer_to` makes of each call, until nobody can ask any more.
    pub(super) fn serve(mut self, mut answer_to: impl FnMut(HookCall) -> Result<Worth, HookError>) {
        while let Some(Request { call, answer }) = self.requests.blocking_recv() {
            if answer.is_closed() {
                // Who asked has gone away.
                continue;
            }
            self.progress.send_modify(|count| *count += 1);
            let result = answer_to(call);
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

#[cfg(test)]
mod tests {
    use std::{sync::mpsc as threads, thread};

    use super::*;
    use crate::definition::HookId;

    const PATIENCE: Duration = Duration::from_secs(7);

    fn call(number: u32) -> HookCall {
        HookCall { hook: HookId(number), arguments: Vec::new() }
    }

    /// A thread that answers each call with its number, but hangs in call 0 until it is let go. Tells when it hangs, and when
    /// it ends.
    fn hanging() -> (Caller, threads::Sender<()>, threads::Receiver<()>) {
        let (caller, line) = open(PATIENCE, Arc::new(Seen::new("f".into())));
        let (release, released) = threads::channel::<()>();
        let (ended, end) = threads::channel();
        thread::spawn(move || {
            line.serve(|call| {
                if call.hook.0 == 0 {
                    ended.send(()).expect("the test waits for it");
                    released.recv().expect("the test lets it go");
                }
                Ok(Worth::Plain(call.hook.0.into()))
            });
            // The test may be over.
            ended.send(()).unwrap_or_default();
        });
        (caller, release, end)
    }

    fn wait(end: &threads::Receiver<()>) {
        end.recv_timeout(Duration::from_secs(60)).expect("the thread says so");
    }

    #[tokio::test(start_paused = true)]
    async fn an_interpreter_that_hangs_is_given_up_for_all_who_wait_and_all_who_come() {
        let (caller, release, end) = hanging();
        let mut first = caller.call(call(0));
        assert!(futures_util::poll!(&mut first).is_pending());
        // Now it hangs.
        wait(&end);
        assert_eq!(tokio::join!(first, caller.call(call(1))), (Err(HookError::Gone), Err(HookError::Gone)));
        assert_eq!(caller.call(call(2)).await, Err(HookError::Gone));
        // Once its function returns, the thread ends, also while somebody could still ask.
        release.send(()).expect("the call still waits");
        wait(&end);
        assert_eq!(caller.call(call(3)).await, Err(HookError::Gone));
    }

    #[tokio::test]
    async fn more_calls_than_may_wait_are_all_answered_each_with_its_own() {
        let (caller, _release, end) = hanging();
        let numbers: Vec<u32> = (1..=300).collect();
        let calls = numbers.iter().map(|number| caller.call(call(*number)));
        let answers = futures_util::future::join_all(calls).await;
        let expected: Vec<_> = numbers.iter().map(|number| Ok(Worth::Plain((*number).into()))).collect();
        assert_eq!(answers, expected);
        drop(caller);
        wait(&end);
    }

    #[tokio::test]
    async fn a_call_whose_caller_went_away_holds_up_nobody() {
        let (caller, release, end) = hanging();
        {
            let (mut forgotten, mut also) = (caller.call(call(0)), caller.call(call(1)));
            assert!(futures_util::poll!(&mut forgotten).is_pending());
            wait(&end);
            assert!(futures_util::poll!(&mut also).is_pending());
        }
        release.send(()).expect("the thread lives");
        assert_eq!(caller.call(call(2)).await, Ok(Worth::Plain(2.into())));
        drop(caller);
        wait(&end);
    }
}
