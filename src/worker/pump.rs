//! What the task of a connection does once its worker was let in, the same on each wire: messages go both ways between a
//! socket and the two queues of a link.
//!
//! # Laws
//! - A peer that does not read holds back what is said to it; a master that does not read holds back the peer. Neither
//!   piles up here.
//! - A worker that has proven itself keeps its place among those who log in until it is attached, but no longer than
//!   [`ATTACH_WITHIN`].
//!
//! # Not here
//! Sockets and what is spoken on them (`pb_link`, `msgpack_link`).

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    sync::{OwnedSemaphorePermit, mpsc::error::TrySendError},
    time::{self, Duration, Sleep},
};
use tracing::debug;

use crate::{
    protocol::{
        FromWorker, ToWorker,
        link::{self, WorkerEnd},
    },
    worker::gate::{Attaching, Gate, LOGIN_WITHIN},
};

/// How much may wait for a peer to read it before it is no longer listened to: some thousand answers.
const MOST_UNREAD_BYTES: usize = 256 * 1024;

/// How long a worker that has proven itself may keep its place among those who log in: as long as a stranger.
const ATTACH_WITHIN: Duration = LOGIN_WITHIN;

/// A socket, and what is spoken on it.
pub(super) trait Wire {
    /// Why the connection ends.
    type Error: From<Cut>;

    /// What was heard, the oldest first.
    fn next_heard(&mut self) -> Option<Heard>;

    /// Has the worker told what the master says.
    fn obey(&mut self, order: ToWorker) -> Result<(), Self::Error>;

    /// Whether there is something that the socket has not taken.
    fn has_output(&mut self) -> bool;

    /// How much of that is not on the way to the socket yet, in bytes.
    fn unread_bytes(&self) -> usize;

    /// Reads, if that is wanted, and writes, if there is something; ready once either was done.
    fn poll_exchange(&mut self, cx: &mut Context<'_>, read: bool) -> Poll<Result<(), Self::Error>>;

    /// Whether it is to be looked after before more is carried; [`Pump::run`] then returns.
    fn wants_care(&self) -> bool {
        false
    }
}

/// What is heard of a worker.
#[derive(Debug)]
pub(super) enum Heard {
    /// A message for the master.
    Message(FromWorker),
    /// It has all that a new worker is told: from here the bounds of a link count, no longer those of a stranger.
    Attached,
}

/// The master cut the connection, or stops.
#[derive(Debug)]
pub(super) struct Cut;

/// The worker's end of a link, and what was not carried yet.
pub(super) struct Pump {
    from_master: link::Receiver<ToWorker>,
    to_master: link::Sender<FromWorker>,
    attaching: Attaching,
    /// Given back once the worker is attached, or too late. The timer is gone with it: an idle link has none.
    turn: Option<(OwnedSemaphorePermit, Pin<Box<Sleep>>)>,
    /// What the master has no room for yet.
    pending: Option<FromWorker>,
}

impl Pump {
    /// For a worker that was let in, and asks for its place.
    pub(super) fn new(end: WorkerEnd, attaching: Attaching, turn: OwnedSemaphorePermit) -> Self {
        let WorkerEnd { from_master, to_master } = end;
        let turn = Some((turn, Box::pin(time::sleep(ATTACH_WITHIN))));
        Self { from_master, to_master, attaching, turn, pending: None }
    }

    /// Carries messages both ways until one side ends the link, which is an error, or the wire [wants
    /// care](Wire::wants_care).
    pub(super) async fn run<W: Wire>(&mut self, wire: &mut W, gate: &Gate) -> Result<(), W::Error> {
        let Self { from_master, to_master, attaching: Attaching(attaching), turn, pending } = self;
        loop {
            while pending.is_none() {
                match wire.next_heard() {
                    Some(Heard::Message(message)) => match to_master.try_send(message) {
                        Ok(()) => {}
                        Err(TrySendError::Full(message)) => *pending = Some(message),
                        Err(TrySendError::Closed(_)) => return Err(Cut.into()),
                    },
                    Some(Heard::Attached) => *turn = None,
                    None => break,
                }
            }
            if wire.wants_care() {
                return Ok(());
            }
            let has_output = wire.has_output();
            // What is read makes answers: a peer that does not take those is not heard either.
            let wants_input = pending.is_none() && wire.unread_bytes() < MOST_UNREAD_BYTES;
            tokio::select! {
                // Each arm is cancel-safe: readiness is asked again, a permit that is not returned is not taken, a
                // message is taken only when it is returned, a token and a closed queue stay so.
                done = poll_fn(|cx| wire.poll_exchange(cx, wants_input)) => done?,
                permit = to_master.reserve(), if pending.is_some() => match permit {
                    Ok(permit) => if let Some(message) = pending.take() {
                        permit.send(message);
                    },
                    Err(_) => return Err(Cut.into()),
                },
                // A peer that does not read gets no more to read.
                order = from_master.recv(), if !has_output => match order {
                    Some(order) => wire.obey(order)?,
                    None => return Err(Cut.into()),
                },
                attached = &mut *attaching, if !attaching.is_terminated() => match attached {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        // Told by the registry. The peer tries again.
                        debug!(error = &error as &dyn std::error::Error, "the worker did not attach");
                        return Err(Cut.into());
                    }
                    Err(_) => return Err(Cut.into()),
                },
                () = async { turn.as_mut().expect("the branch is disabled without a turn").1.as_mut().await },
                    if turn.is_some() =>
                {
                    *turn = None;
                }
                () = to_master.closed() => return Err(Cut.into()),
                () = gate.stopping().cancelled() => return Err(Cut.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::{Semaphore, oneshot, watch};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::worker::{Roster, tests::master};

    /// Says nothing, and never will.
    struct Mute;

    impl Wire for Mute {
        type Error = Cut;

        fn next_heard(&mut self) -> Option<Heard> {
            None
        }

        fn obey(&mut self, _: ToWorker) -> Result<(), Cut> {
            Ok(())
        }

        fn has_output(&mut self) -> bool {
            false
        }

        fn unread_bytes(&self) -> usize {
            0
        }

        fn poll_exchange(&mut self, _: &mut Context<'_>, _: bool) -> Poll<Result<(), Cut>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_worker_that_is_let_in_and_never_attaches_keeps_its_turn_no_longer_than_a_stranger() {
        let master = master().await;
        let (_told, roster) = watch::channel(Arc::new(Roster::default()));
        let gate = Gate::new(roster, master.registry.clone(), CancellationToken::new());
        let turns = Arc::new(Semaphore::new(1));
        let turn = Arc::clone(&turns).try_acquire_owned().unwrap();
        let (_link, end) = link::pair();
        let (_answer, outcome) = oneshot::channel();
        // The database has threads of its own, which no paused clock can see: the clock stands still for the wait alone.
        time::pause();
        let begun = time::Instant::now();
        let (mut pump, mut mute) = (Pump::new(end, Attaching(outcome), turn), Mute);
        tokio::select! {
            ended = pump.run(&mut mute, &gate) => panic!("{ended:?}"),
            turn = turns.acquire() => drop(turn.unwrap()),
        }
        let waited = begun.elapsed();
        time::resume();
        assert!(waited >= ATTACH_WITHIN && waited < 2 * ATTACH_WITHIN, "{waited:?}");
    }
}
