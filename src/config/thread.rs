//! A job on a thread of its own, waited for with a limit. It may go on after its answer.

use std::{io, thread, time::Duration};

use tokio::sync::oneshot;

/// Room for Lua's 200 nested C calls with frames of ours between them, in a build without optimisation too. Only what is
/// used of it is ever real memory.
const STACK_BYTES: usize = 64 << 20;

/// Why a job has no answer.
#[derive(Debug)]
pub(super) enum ThreadError {
    /// The thread could not be started.
    Start(io::Error),
    /// It ended without an answer.
    BrokenDown,
    /// It is not done yet. It goes on, and nobody listens.
    Late,
}

/// By which a job answers.
#[derive(Debug)]
pub(super) struct Tell<T>(oneshot::Sender<T>);

impl<T> Tell<T> {
    /// Gives the answer. Nobody may listen any more, which is no concern of the job's.
    pub(super) fn answer(self, answer: T) {
        drop(self.0.send(answer));
    }
}

/// Runs `job` on a new thread and waits for its answer, at most as long as `limit`.
pub(super) async fn on_thread<T: Send + 'static>(
    limit: Duration,
    job: impl FnOnce(Tell<T>) + Send + 'static,
) -> Result<T, ThreadError> {
    let (tell, told) = oneshot::channel();
    thread::Builder::new()
        .name("lunabot-config".into())
        .stack_size(STACK_BYTES)
        .spawn(move || job(Tell(tell)))
        .map_err(ThreadError::Start)?;
    match tokio::time::timeout(limit, told).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(ThreadError::BrokenDown),
        Err(_) => Err(ThreadError::Late),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_job_that_hangs_is_given_up_at_its_limit_and_ends_when_it_can() {
        let (release, released) = mpsc::channel::<()>();
        let (ended, end) = mpsc::channel();
        let answer = on_thread::<()>(Duration::from_secs(5), move |_tell| {
            released.recv().expect("the test lets it go");
            ended.send(()).expect("the test waits for it");
        })
        .await;
        assert!(matches!(answer, Err(ThreadError::Late)), "{answer:?}");
        release.send(()).expect("the job still waits");
        end.recv_timeout(Duration::from_secs(60)).expect("the job ends");
    }

    #[tokio::test]
    async fn a_job_that_panics_is_told_as_broken_down() {
        let answer =
            on_thread::<()>(Duration::from_secs(60), |_| std::panic::resume_unwind(Box::new(()))).await;
        assert!(matches!(answer, Err(ThreadError::BrokenDown)), "{answer:?}");
    }
}
