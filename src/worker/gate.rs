//! What stands between a port and the registry: who may log in, how many at once, and what is told of the others.
//!
//! # Laws
//! - Whoever connects has [`LOGIN_WITHIN`] to prove who they are, and so many may be at it at once.
//! - An unknown name and a wrong password look the same to the peer, and to its clock.
//! - A refused login is told once a minute for each name and address, however often it comes.
//!
//! # Not here
//! Sockets (`listener`), what is said on a connection (`pb_link`), at most one connection for a name (`registry`).

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use subtle::ConstantTimeEq as _;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

use crate::{
    model::{Secret, WorkerName},
    protocol::{Link, pb::LoginAttempt},
    worker::{
        registry::{self, AttachError, RegistryHandle},
        roster::RosterWatch,
    },
};

/// How long a connection may take until its worker is attached.
pub const LOGIN_WITHIN: Duration = Duration::from_secs(10);

/// How many may log in at once. Each holds some kilobytes, and takes less than a millisecond when it says the right
/// thing: this is what a farm of ten thousand needs to come back within seconds.
const LOGINS_AT_ONCE: usize = 1024;

/// How often one refusal is told.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// How many refusals are remembered for that.
const MOST_REFUSALS: usize = 1024;

/// What a port needs to know and to reach.
#[derive(Clone)]
pub struct Gate {
    roster: RosterWatch,
    registry: RegistryHandle,
    logins: Arc<Semaphore>,
    refusals: Arc<Refusals>,
    connections: TaskTracker,
    stopping: CancellationToken,
}

/// What a peer proves itself by.
pub(super) enum Proof<'a> {
    /// An answer to the challenge of Perspective Broker.
    Challenge(&'a LoginAttempt),
    /// The password itself.
    Password(&'a Secret),
}

/// A request for the worker's place, and its outcome.
pub(super) struct Attaching(pub(super) oneshot::Receiver<Result<(), AttachError>>);

impl Gate {
    /// The way to a registry, for the workers of a roster.
    pub fn new(roster: RosterWatch, registry: RegistryHandle, stopping: CancellationToken) -> Self {
        Self {
            roster,
            registry,
            logins: Arc::new(Semaphore::new(LOGINS_AT_ONCE)),
            refusals: Arc::new(Refusals::default()),
            connections: TaskTracker::new(),
            stopping,
        }
    }

    /// Waits until all connections have ended; the master stops.
    pub async fn ended(&self) {
        self.connections.close();
        self.connections.wait().await;
    }

    /// Told when the master stops.
    pub(super) const fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Room for another login; nothing once the master stops.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.logins).acquire_owned().await.ok()
    }

    /// Where connections are counted.
    pub(super) const fn connections(&self) -> &TaskTracker {
        &self.connections
    }

    /// The worker that this name and proof belong to; nothing if that is refused, which is told.
    ///
    /// # Cancel safety
    /// Dropped before it returns, nobody was let in.
    pub(super) async fn admit(&self, name: &str, proof: Proof<'_>, peer: SocketAddr) -> Option<WorkerName> {
        let roster = self.roster.borrow().clone();
        let password = roster.password(name);
        // A stranger's proof is checked as well, so that the time it takes tells nothing.
        let nobody = Secret::new("nobody has this password");
        let expected = password.unwrap_or(&nobody);
        let proven = match proof {
            Proof::Challenge(attempt) => attempt.proves(expected),
            Proof::Password(given) => given.expose().as_bytes().ct_eq(expected.expose().as_bytes()).into(),
        };
        let refuse = |why| {
            self.tell_refusal(name, peer, why);
            None
        };
        match (password, proven) {
            (None, _) => refuse("no such worker is defined"),
            (Some(_), false) => refuse("wrong password"),
            (Some(_), true) => WorkerName::new(name).ok(),
        }
    }

    /// Asks for the place of a worker that was admitted.
    pub(super) fn attach(&self, worker: WorkerName, peer: SocketAddr, link: Link) -> Attaching {
        let (told, outcome) = oneshot::channel();
        let registry = self.registry.clone();
        // A task of its own: it must go on while the conversation does, which it waits for.
        tokio::spawn(async move {
            let attached = registry.attach(worker, Some(peer), link, registry::PATIENCE).await.map(drop);
            if told.send(attached).is_err() {
                debug!("the connection ended before its worker was attached");
            }
        });
        Attaching(outcome)
    }

    /// Tells a refused login, unless it was told a moment ago.
    fn tell_refusal(&self, name: &str, peer: SocketAddr, why: &'static str) {
        if let Some(before) = self.refusals.count(name, peer.ip(), Instant::now()) {
            warn!(worker = name, %peer, "login refused: {why}{}", Before(before));
        }
    }
}

/// How often something came that was not told.
struct Before(u64);

impl std::fmt::Display for Before {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => Ok(()),
            count => write!(f, " ({count} more of these since it was last told)"),
        }
    }
}

/// The refusals that were told of late.
#[derive(Debug, Default)]
struct Refusals(Mutex<HashMap<(String, IpAddr), Refusal>>);

#[derive(Clone, Copy, Debug)]
struct Refusal {
    told_at: Instant,
    silent: u64,
}

impl Refusals {
    /// Counts a refusal: how many were not told before it, if it is to be told.
    fn count(&self, name: &str, from: IpAddr, now: Instant) -> Option<u64> {
        let mut refusals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(refusal) = refusals.get_mut(&(name.to_owned(), from)) {
            if now < refusal.told_at + TELL_EVERY {
                refusal.silent += 1;
                return None;
            }
            let before = refusal.silent;
            *refusal = Refusal { told_at: now, silent: 0 };
            return Some(before);
        }
        if refusals.len() >= MOST_REFUSALS {
            refusals.retain(|_, refusal| now < refusal.told_at + TELL_EVERY);
        }
        // A peer that thinks of a new name each time is told each time, but fills no memory.
        if refusals.len() < MOST_REFUSALS {
            refusals.insert((name.to_owned(), from), Refusal { told_at: now, silent: 0 });
        }
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_refusal_is_told_once_a_minute_and_a_flood_of_names_fills_no_memory() {
        let refusals = Refusals::default();
        let (here, start) = (IpAddr::V4(Ipv4Addr::LOCALHOST), Instant::now());
        assert_eq!(refusals.count("w", here, start), Some(0));
        assert_eq!(refusals.count("w", here, start), None);
        assert_eq!(refusals.count("w", here, start + TELL_EVERY), Some(1));
        assert_eq!(refusals.count("other", here, start), Some(0));
        for name in 0..3 * MOST_REFUSALS {
            refusals.count(&name.to_string(), here, start);
        }
        assert!(refusals.0.lock().unwrap().len() <= MOST_REFUSALS);
    }
}
