//! How many may log in at once, and how long each may take: less when many want to.
//!
//! # Laws
//! - A stranger who says nothing holds its place 10 s while there are enough, and 2 s once half of them are taken: slow ones
//!   give way, so that they cannot keep the door shut.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{self, Instant},
};

/// How long a connection may take to prove who it is, while places are free.
pub const LOGIN_WITHIN: Duration = Duration::from_secs(10);

/// The same once half of the places are taken. A worker that is alive needs two round trips.
const HURRY: Duration = Duration::from_secs(2);

/// How many may log in at once. Each holds some kilobytes, and takes less than a millisecond when it says the right
/// thing: this is what a farm of ten thousand needs to come back within seconds.
const LOGINS_AT_ONCE: usize = 1024;

/// How often somebody who waits learns that others came.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The places of those who are not logged in yet.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Semaphore>);

impl Places {
    /// All of them free.
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(LOGINS_AT_ONCE)))
    }

    /// Waits for a place; there is none once nobody may log in any more.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has taken none.
    pub(super) async fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).acquire_owned().await.ok()
    }

    /// Returns once somebody who is silent since then has been so for too long.
    ///
    /// # Cancel safety
    /// It changes nothing.
    pub(super) async fn patience_ends(&self, silent_since: Instant) {
        loop {
            let now = Instant::now();
            let limit = silent_since + patience(self.0.available_permits());
            if limit <= now {
                return;
            }
            time::sleep_until(limit.min(now + LOOK_EVERY)).await;
        }
    }
}

/// How long a stranger may take while so many places are free.
const fn patience(free: usize) -> Duration {
    if free > LOGINS_AT_ONCE / 2 { LOGIN_WITHIN } else { HURRY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_stranger_has_ten_seconds_and_two_once_half_of_the_places_are_taken() {
        let places = Places::new();
        let start = Instant::now();
        places.patience_ends(start).await;
        assert_eq!(start.elapsed(), LOGIN_WITHIN);

        // Others come while it waits.
        let start = Instant::now();
        let ((), taken) = tokio::join!(places.patience_ends(start), async {
            time::sleep(Duration::from_secs(1)).await;
            let mut taken = Vec::new();
            for _ in 0..LOGINS_AT_ONCE / 2 {
                taken.extend(places.take().await);
            }
            taken
        });
        assert_eq!(start.elapsed(), HURRY);
        drop(taken);
        assert_eq!(patience(places.0.available_permits()), LOGIN_WITHIN);
    }
}
