//! Where those wait who were refused, until they go by themselves.
//!
//! A `buildbot-worker` whose connection is cut comes back after two seconds, each time. One that was told no and is left
//! connected waits longer after each no, and hangs up itself: so it is left connected.
//!
//! # Laws
//! - At most 256 are there; one more sends the one away who has been there longest. Nobody stays longer than a minute.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time;
use tokio_util::sync::CancellationToken;

/// How many may be there: each holds a socket, and little more.
const MOST: usize = 256;

/// How long one may stay. Source: the longest delay of a `buildbot-worker`, without its random second.
const STAY: Duration = Duration::from_secs(60);

/// Those who were refused and are still connected.
#[derive(Clone, Debug, Default)]
pub(super) struct Lobby(Arc<Mutex<Guests>>);

#[derive(Debug, Default)]
struct Guests {
    next: u64,
    present: BTreeMap<u64, CancellationToken>,
}

/// One of them: dropped when it has gone.
#[derive(Debug)]
pub(in crate::worker) struct Guest {
    number: u64,
    must_go: CancellationToken,
    lobby: Lobby,
}

impl Lobby {
    /// Lets somebody in.
    pub(super) fn enter(&self) -> Guest {
        let mut guests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if guests.present.len() >= MOST
            && let Some((_, first)) = guests.present.pop_first()
        {
            first.cancel();
        }
        let (number, must_go) = (guests.next, CancellationToken::new());
        guests.next += 1;
        guests.present.insert(number, must_go.clone());
        Guest { number, must_go, lobby: self.clone() }
    }
}

impl Guest {
    /// Waits until it must go: somebody needs its place, or it has been there long enough.
    ///
    /// # Cancel safety
    /// Called again, it begins anew with the minute; call it once.
    pub(in crate::worker) async fn must_go(&self) {
        tokio::select! {
            // Cancel-safe: a token stays cancelled.
            () = self.must_go.cancelled() => {}
            () = time::sleep(STAY) => {}
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.lobby.0.lock().unwrap_or_else(PoisonError::into_inner).present.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_too_many_sends_the_oldest_away_and_nobody_stays_for_ever() {
        let lobby = Lobby::default();
        let mut guests: Vec<Guest> = (0..MOST).map(|_| lobby.enter()).collect();
        assert!(guests.iter().all(|guest| !guest.must_go.is_cancelled()));
        let last = lobby.enter();
        assert!(guests[0].must_go.is_cancelled());
        assert!(!guests[1].must_go.is_cancelled() && !last.must_go.is_cancelled());
        // Who has gone leaves its place to another.
        drop(guests.remove(5));
        let _another = lobby.enter();
        assert!(!guests[1].must_go.is_cancelled());
        let start = time::Instant::now();
        last.must_go().await;
        assert_eq!(start.elapsed(), STAY);
        drop((guests, last));
        assert_eq!(lobby.0.lock().unwrap().present.len(), 1);
    }
}
