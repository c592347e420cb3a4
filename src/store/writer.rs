//! The one task that writes: it commits what waits together, and tells what happened once it is durable.
//!
//! A commit costs a sync of the disk, whether it holds one change or a hundred. So all jobs that wait are run in one
//! transaction, each in a savepoint of its own (one alone needs none), and are answered after its commit. Where several
//! write one after the other, a commit waits a moment for as many as there were before (`gather`), unless that was in vain of
//! late (`Forecast`).
//!
//! # Laws
//! - A job is answered with success only after its transaction is committed.
//! - A job that fails leaves nothing, and no other job notices.
//! - Events are written by the transaction of their change, and passed on after its commit, in the order of their ids.
//! - A caller that no longer waits does not undo its job.
//!
//! # Not here
//! What a job does: each has its file by the noun that it changes.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};

use crate::{
    model::Event,
    store::{
        connection::Connection,
        error::{StoreError, failed},
        generation::{self, PreparedGeneration, PreparedRows},
        job::{Job, Work},
        open::Opener,
    },
};

/// How many jobs may wait. Each caller waits for its own, so this is also the most that one commit holds.
pub(super) const WAITING: usize = 256;
/// How long a commit may wait for others that are likely to come: about as long as it lasts itself.
const GATHER: Duration = Duration::from_millis(1);
/// How many commits in a row wait for nobody, at most, after waits in vain.
const LONGEST_REST: u32 = 15;
/// How long one transaction may take, its commit included.
const GROUP_LIMIT: Duration = Duration::from_secs(60);
/// How long a prepared configuration may hold the writer.
pub(super) const PREPARED_LIMIT: Duration = Duration::from_secs(10);
/// How long a listener may keep the writer from its next transaction.
const TELL_LIMIT: Duration = Duration::from_secs(10);
/// From one attempt to reconnect to the next: it doubles from the first to the second of these.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// How long one attempt may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// An order to the writer.
pub(super) enum Order {
    Write(Job),
    Prepare(PreparedRows),
    Close(oneshot::Sender<()>),
}

/// The task. It ends by `Order::Close`, or when the last handle of the store is gone and all its jobs are done.
pub(super) struct Writer {
    pub(super) work: Work,
    pub(super) opener: Opener,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) committed: mpsc::Sender<Vec<Arc<Event>>>,
}

/// How the work with one connection ended.
enum Ended {
    Closed(Option<oneshot::Sender<()>>),
    Lost(Arc<sqlx::Error>),
}

impl Writer {
    pub(super) async fn run(self) {
        let Self { mut work, opener, mut orders, committed } = self;
        let closed = loop {
            match serve(&mut work, &mut orders, &committed).await {
                Ended::Closed(answer) => break answer,
                Ended::Lost(error) => {
                    tracing::error!(%error, "the connection to the database was lost");
                    match reconnect(&opener, &mut orders, error).await {
                        Ok(connection) => work = Work::new(connection, work.master),
                        Err(answer) => break answer,
                    }
                }
            }
        };
        // No more orders are taken. Those behind the order to close are refused rather than forgotten.
        orders.close();
        while let Some(order) = orders.recv().await {
            refuse(order, |deed| StoreError::Closed { deed }).await;
        }
        work.close().await;
        // Whoever asked for the end may have stopped waiting for it.
        if closed.is_some_and(|closed| closed.send(()).is_err()) {
            tracing::debug!("the store closed later than was waited for");
        }
    }
}

/// Carries out orders until the end or the loss of the connection.
async fn serve(
    work: &mut Work,
    orders: &mut mpsc::Receiver<Order>,
    committed: &mpsc::Sender<Vec<Arc<Event>>>,
) -> Ended {
    let mut taken = Vec::with_capacity(WAITING);
    let mut forecast = Forecast::default();
    loop {
        if orders.recv_many(&mut taken, WAITING).await == 0 {
            return Ended::Closed(None);
        }
        gather(orders, &mut taken, &mut forecast).await;
        let count = taken.len();
        let mut waiting: VecDeque<_> = taken.drain(..).collect();
        while let Some(order) = waiting.pop_front() {
            let events = match order {
                Order::Write(first) => {
                    let mut group = VecDeque::from([first]);
                    while let Some(Order::Write(_)) = waiting.front() {
                        if let Some(Order::Write(job)) = waiting.pop_front() {
                            group.push_back(job);
                        }
                    }
                    run_group(work, group).await
                }
                Order::Prepare(rows) => run_prepared(work, rows).await,
                Order::Close(answer) => {
                    for order in waiting {
                        refuse(order, |deed| StoreError::Closed { deed }).await;
                    }
                    return Ended::Closed(Some(answer));
                }
            };
            match events {
                Ok(events) => tell(committed, events).await,
                Err(error) => {
                    let error = Arc::new(error);
                    for order in waiting {
                        refuse(order, |deed| StoreError::Disconnected { deed, source: Arc::clone(&error) })
                            .await;
                    }
                    return Ended::Lost(error);
                }
            }
        }
        forecast.likely = (count + orders.len()).min(WAITING);
    }
}

/// What the next commit will find, by what those before it found.
#[derive(Debug, Default)]
struct Forecast {
    /// Those who had their answer a moment ago, and those who came meanwhile: as many as are likely to want the next commit.
    likely: usize,
    /// How long the rest was after the last wait, if that was in vain.
    last_rest: u32,
    /// For how many commits nobody is waited for.
    rest: u32,
}

impl Forecast {
    /// For how many a commit is to wait that so many want.
    const fn expected(&mut self, here: usize) -> usize {
        if self.likely <= here {
            return here;
        }
        if self.rest > 0 {
            self.rest -= 1;
            return here;
        }
        self.likely
    }

    /// A commit has waited. One build after the other never has company, so each wait in vain doubles the rest.
    fn learn(&mut self, somebody_came: bool) {
        self.last_rest = if somebody_came { 0 } else { (self.last_rest * 2 + 1).min(LONGEST_REST) };
        self.rest = self.last_rest;
    }
}

/// Waits a moment for as many orders as there were a moment ago: where several write one after the other, a commit that
/// begins with the first of them would leave the rest to the next, so that each had its own sync. Who writes alone waits
/// for nobody.
async fn gather(orders: &mut mpsc::Receiver<Order>, taken: &mut Vec<Order>, forecast: &mut Forecast) {
    let all_write = |taken: &[Order]| taken.iter().all(|order| matches!(order, Order::Write(_)));
    let here = taken.len();
    let expected = if all_write(taken) { forecast.expected(here) } else { here };
    if expected == here {
        return;
    }
    let more = async {
        while taken.len() < expected && all_write(taken) {
            // Dropping `recv_many` loses no order.
            if orders.recv_many(taken, WAITING - taken.len()).await == 0 {
                return;
            }
        }
    };
    // Whether they came or not, those who are here have waited long enough.
    drop(timeout(GATHER, more).await);
    forecast.learn(taken.len() > here);
}

/// Runs jobs in one transaction and answers them all. An error means that the connection is of no more use.
async fn run_group(work: &mut Work, mut group: VecDeque<Job>) -> Result<Vec<Arc<Event>>, sqlx::Error> {
    let mut answers = Vec::with_capacity(group.len());
    let mut deed = group.front().map_or("", |job| job.deed);
    let mut committing = false;
    let done = timeout(GROUP_LIMIT, async {
        work.begin().await?;
        if group.len() == 1
            && let Some(job) = group.pop_front()
            && !work.run_alone(job, &mut answers).await
        {
            return work.rollback().await.map(|()| Vec::new());
        }
        while let Some(job) = group.pop_front() {
            deed = job.deed;
            work.run(job, &mut answers).await?;
        }
        committing = true;
        work.commit().await
    })
    .await
    .unwrap_or_else(|_| Err(sqlx::Error::Protocol("the database did not answer within 60 s".into())));
    let error = match done {
        Ok(events) => {
            for (_, answer) in answers {
                answer(Ok(()));
            }
            return Ok(events);
        }
        Err(error) => Arc::new(error),
    };
    tracing::error!(%error, deed, "a transaction failed");
    for (deed, answer) in answers {
        let source = Arc::clone(&error);
        answer(Err(if committing {
            StoreError::Commit { deed, source }
        } else {
            StoreError::Disconnected { deed, source }
        }));
    }
    for job in group {
        let refusal = StoreError::Disconnected { deed: job.deed, source: Arc::clone(&error) };
        job.refuse(refusal).await;
    }
    // A full disk fails the commit and leaves the connection good: then the rollback works.
    timeout(CONNECT_LIMIT, work.rollback())
        .await
        .unwrap_or(Err(sqlx::Error::WorkerCrashed))
        .map(|()| Vec::new())
}

/// Writes a configuration, holds the transaction open until its fate is known, and ends it so.
async fn run_prepared(work: &mut Work, prepared: PreparedRows) -> Result<Vec<Arc<Event>>, sqlx::Error> {
    let PreparedRows { rows, at, answer } = prepared;
    let deed = generation::DEED;
    let written = timeout(GROUP_LIMIT, async {
        work.begin().await?;
        generation::write(work, &rows, at).await
    });
    let number = match written.await.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
        Ok(number) => number,
        Err(error) => {
            drop(answer.send(Err(failed(deed, error))));
            return work.rollback().await.map(|()| Vec::new());
        }
    };
    let (generation, fate) = PreparedGeneration::new(number);
    if answer.send(Ok(generation)).is_err() {
        return work.rollback().await.map(|()| Vec::new());
    }
    // An error of `fate` is a dropped `PreparedGeneration`.
    let Ok(Ok(committed)) = timeout(PREPARED_LIMIT, fate).await else {
        return work.rollback().await.map(|()| Vec::new());
    };
    let done = timeout(GROUP_LIMIT, work.commit()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
    match done {
        Ok(events) => {
            drop(committed.send(Ok(())));
            Ok(events)
        }
        Err(error) => {
            let source = Arc::new(error);
            drop(committed.send(Err(StoreError::Commit { deed, source })));
            work.rollback().await.map(|()| Vec::new())
        }
    }
}

async fn tell(committed: &mpsc::Sender<Vec<Arc<Event>>>, events: Vec<Arc<Event>>) {
    if events.is_empty() {
        return;
    }
    let count = events.len();
    // If nobody listens any more, the events are in the store all the same.
    if let Err(mpsc::error::SendTimeoutError::Timeout(_)) = committed.send_timeout(events, TELL_LIMIT).await {
        tracing::error!(
            count,
            "events were not passed on, since their listener did not take them within 10 s"
        );
    }
}

/// Tries until the database is back; orders are refused meanwhile. An error is the end of the store.
async fn reconnect(
    opener: &Opener,
    orders: &mut mpsc::Receiver<Order>,
    mut lost: Arc<sqlx::Error>,
) -> Result<Connection, Option<oneshot::Sender<()>>> {
    let (mut delay, longest) = RECONNECT;
    loop {
        let attempt = async move {
            sleep(delay).await;
            timeout(CONNECT_LIMIT, opener.connect()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
        };
        tokio::pin!(attempt);
        let result = loop {
            tokio::select! {
                // Cancelled by nothing: it is polled again until it has a result.
                result = &mut attempt => break result,
                // Dropping `recv` loses no order.
                order = orders.recv() => match order {
                    None => return Err(None),
                    Some(Order::Close(answer)) => return Err(Some(answer)),
                    Some(order) => {
                        refuse(order, |deed| StoreError::Disconnected { deed, source: Arc::clone(&lost) }).await;
                    }
                },
            }
        };
        match result {
            Ok(connection) => {
                tracing::info!("the database is connected again");
                return Ok(connection);
            }
            Err(error) => {
                delay = (delay * 2).min(longest);
                tracing::warn!(%error, seconds = delay.as_secs_f32(), "cannot connect to the database; next attempt");
                lost = Arc::new(error);
            }
        }
    }
}

async fn refuse(order: Order, error: impl Fn(&'static str) -> StoreError) {
    match order {
        Order::Write(job) => {
            let error = error(job.deed);
            job.refuse(error).await;
        }
        Order::Prepare(prepared) => drop(prepared.answer.send(Err(error(generation::DEED)))),
        // It learns of the end because its channel is gone.
        Order::Close(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn write() -> Order {
        let (job, _) = Job::new::<(), StoreError, _>("do nothing", |_| Box::pin(async { Ok(()) }));
        Order::Write(job)
    }

    fn likely(likely: usize) -> Forecast {
        Forecast { likely, ..Forecast::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn who_writes_alone_waits_for_nobody() {
        let (_sender, mut orders) = mpsc::channel(WAITING);
        let (mut taken, begin) = (vec![write()], Instant::now());
        gather(&mut orders, &mut taken, &mut likely(1)).await;
        assert_eq!((taken.len(), begin.elapsed()), (1, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_write_one_after_the_other_share_a_commit() {
        let (sender, mut orders) = mpsc::channel(WAITING);
        let (mut taken, begin) = (vec![write()], Instant::now());
        let others = async {
            for _ in 0..2 {
                tokio::task::yield_now().await;
                assert!(sender.send(write()).await.is_ok(), "it is read");
            }
        };
        let mut forecast = likely(3);
        tokio::join!(gather(&mut orders, &mut taken, &mut forecast), others);
        assert_eq!((taken.len(), begin.elapsed()), (3, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_waits_for_others_a_moment_only() {
        let (_sender, mut orders) = mpsc::channel(WAITING);
        let (mut taken, begin) = (vec![write()], Instant::now());
        gather(&mut orders, &mut taken, &mut likely(5)).await;
        assert_eq!(taken.len(), 1);
        assert!(begin.elapsed() < GATHER * 3, "{:?}", begin.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_nobody() {
        let (_sender, mut orders) = mpsc::channel(WAITING);
        let (mut taken, begin) = (vec![write(), Order::Close(oneshot::channel().0)], Instant::now());
        gather(&mut orders, &mut taken, &mut likely(5)).await;
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn where_nobody_comes_fewer_and_fewer_commits_wait() {
        let (_sender, mut orders) = mpsc::channel(WAITING);
        let (mut forecast, mut waits) = (likely(2), Vec::new());
        for commit in 0..50 {
            let begin = Instant::now();
            gather(&mut orders, &mut vec![write()], &mut forecast).await;
            if !begin.elapsed().is_zero() {
                waits.push(commit);
            }
        }
        assert_eq!(waits, [0, 2, 6, 14, 30, 46]);
    }

    #[tokio::test(start_paused = true)]
    async fn once_somebody_came_the_next_commit_waits_again() {
        let (sender, mut orders) = mpsc::channel(WAITING);
        let mut forecast = likely(3);
        for _ in 0..2 {
            gather(&mut orders, &mut vec![write()], &mut forecast).await;
        }
        let mut taken = vec![write()];
        let other = async {
            tokio::task::yield_now().await;
            assert!(sender.send(write()).await.is_ok(), "it is read");
        };
        tokio::join!(gather(&mut orders, &mut taken, &mut forecast), other);
        assert_eq!(taken.len(), 2);
        let begin = Instant::now();
        gather(&mut orders, &mut vec![write()], &mut forecast).await;
        assert!(!begin.elapsed().is_zero());
    }
}
