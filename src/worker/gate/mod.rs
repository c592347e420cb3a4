//! What stands between a port and the registry: who may log in, how many at once, and what is told of the others.
//!
//! # Laws
//! - Whoever connects has [`LOGIN_WITHIN`] to prove who they are, less when many want to (`places`).
//! - An unknown name and a wrong password look the same to the peer, and to its clock.
//! - Who keeps failing is judged more and more slowly (`throttle`); others behind the same address get in all the while.
//! - A refused login is told once a minute for each name, reason and address, however often it comes; so is a connection
//!   that ends before its login, for each reason, port and address.
//!
//! # Not here
//! Sockets (`listener`), what is said on a connection (`pb_link`), at most one connection for a name (`registry`).

mod lobby;
mod password;
mod places;
mod refusals;
#[cfg(test)]
mod tests;
mod throttle;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::{self, Instant},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, info, warn};

use crate::{
    definition::{Passwords, password::MOST_PASSWORDS},
    model::{Secret, WorkerName},
    protocol::{Link, pb::LoginAttempt},
    worker::{
        registry::{self, AttachError, RegistryHandle},
        roster::RosterWatch,
    },
};
use lobby::Lobby;
use password::{Busy, Verifier};
use places::Places;
use throttle::{Origin, Throttle, Ticket, Turn};

pub(super) use lobby::Guest;
pub use places::LOGIN_WITHIN;
pub(super) use refusals::{Before, Refusals};

/// What a port needs to know and to reach.
#[derive(Clone)]
pub struct Gate {
    roster: RosterWatch,
    registry: RegistryHandle,
    shared: Arc<Shared>,
    places: Places,
    lobby: Lobby,
    connections: TaskTracker,
    stopping: CancellationToken,
}

/// What all connections of the gate share.
struct Shared {
    throttle: Mutex<Throttle>,
    verifier: Verifier,
    refusals: Refusals<(String, &'static str, IpAddr)>,
    strangers: Refusals<(String, IpAddr, u16)>,
}

/// Who came, by which port, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// From where.
    pub(super) peer: SocketAddr,
    /// By which of the master's ports.
    pub(super) port: u16,
    /// When: all that comes before the login takes of the same time.
    pub(super) at: Instant,
}

/// What a peer proves itself by.
pub(super) enum Proof<'a> {
    /// An answer to the challenge of Perspective Broker.
    Challenge(&'a LoginAttempt),
    /// The password itself.
    Password(&'a Secret),
}

/// What became of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is this worker.
    Admitted(WorkerName),
    /// It is told no.
    Refused,
    /// It was not judged, since too many are before it: the connection is closed without a word, and the peer may come
    /// again.
    Unheard,
}

/// A request for the worker's place, and its outcome.
pub(super) struct Attaching(pub(super) oneshot::Receiver<Result<(), AttachError>>);

impl Gate {
    /// The way to a registry, for the workers of a roster.
    pub fn new(roster: RosterWatch, registry: RegistryHandle, stopping: CancellationToken) -> Self {
        let shared = Shared {
            throttle: Mutex::default(),
            verifier: Verifier::new(),
            refusals: Refusals::default(),
            strangers: Refusals::default(),
        };
        Self {
            roster,
            registry,
            shared: Arc::new(shared),
            places: Places::new(),
            lobby: Lobby::default(),
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

    /// Room for another login; nothing once nobody may log in any more.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has taken none.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        self.places.take().await
    }

    /// Returns once a peer that is to say something since then has been silent for too long. While it is judged it is
    /// not its turn: [`Gate::judge`] bounds itself.
    ///
    /// # Cancel safety
    /// It changes nothing.
    pub(super) async fn patience_ends(&self, silent_since: Instant) {
        self.places.patience_ends(silent_since).await;
    }

    /// Room for somebody who was refused and should hang up itself.
    pub(super) fn lobby(&self) -> Guest {
        self.lobby.enter()
    }

    /// Where connections are counted.
    pub(super) const fn connections(&self) -> &TaskTracker {
        &self.connections
    }

    /// Judges a login, once it is its turn: within 8 s, and some seconds more where passwords are hashed.
    ///
    /// # Cancel safety
    /// Dropped before it returns, nobody was let in.
    pub(super) async fn judge(&self, name: &str, proof: Proof<'_>, peer: SocketAddr) -> Verdict {
        let Some(judgement) = self.judgement(name, peer).await else {
            if !self.stopping.is_cancelled() {
                self.tell_refusal(None, peer, "too many failed logins from this address; it is not judged");
            }
            return Verdict::Unheard;
        };
        let roster = self.roster.borrow().clone();
        let passwords = roster.passwords(name);
        let is_challenge = matches!(proof, Proof::Challenge(_));
        let proven = match proof {
            Proof::Challenge(attempt) => proves(attempt, passwords),
            Proof::Password(given) => {
                match self.shared.verifier.check(name, passwords, roster.hashes(), given).await {
                    Ok(proven) => proven,
                    Err(Busy) => {
                        self.tell_refusal(
                            None,
                            peer,
                            "too many hashed passwords are to be checked; it is not judged",
                        );
                        return Verdict::Unheard;
                    }
                }
            }
        };
        let why = match passwords {
            Some(_) if proven => {
                if let Ok(worker) = WorkerName::new(name) {
                    drop(judgement);
                    self.saw(&worker, peer);
                    return Verdict::Admitted(worker);
                }
                "no such worker is defined"
            }
            Some(passwords) if is_challenge && passwords.plain().next().is_none() => {
                "its password is hashed, which PB cannot check"
            }
            Some(_) => "wrong password",
            None => roster.why_not(name),
        };
        judgement.spend();
        self.tell_refusal(Some(name), peer, why);
        Verdict::Refused
    }

    /// A worker that was admitted is there, or was until now: should it come back from there, it need not wait for
    /// those who fail.
    pub(super) fn saw(&self, worker: &WorkerName, peer: SocketAddr) {
        self.shared.throttle().saw(Origin::of(peer.ip()), worker.as_str(), Instant::now());
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

    /// Waits for the turn to be judged; nothing if too many wait, or the master stops.
    async fn judgement(&self, name: &str, peer: SocketAddr) -> Option<Judgement<'_>> {
        let turn = self.shared.throttle().ask(Origin::of(peer.ip()), name, Instant::now());
        let Turn::In(wait, ticket) = turn else { return None };
        let judgement = Judgement { shared: &self.shared, ticket: Some(ticket) };
        if !wait.is_zero() {
            tokio::select! {
                // Cancel-safe: a token stays cancelled.
                () = self.stopping.cancelled() => return None,
                () = time::sleep(wait) => {}
            }
        }
        Some(judgement)
    }

    /// How often a connection from there has ended like this, before a login, since that was last told; nothing if it was
    /// told a moment ago.
    pub(super) fn is_news(&self, arrival: Arrival, why: &str) -> Option<Before> {
        let Arrival { peer, port, .. } = arrival;
        self.shared.strangers.count((why.to_owned(), peer.ip(), port), Instant::now())
    }

    /// Tells why a connection ended before its login, unless that was told a moment ago.
    pub(super) fn tell_end(&self, arrival: Arrival, error: &(dyn std::error::Error + 'static)) {
        let causes = std::iter::successors(Some(error), |error| error.source());
        let why = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        if let Some(before) = self.is_news(arrival, &why) {
            let Arrival { peer, port, .. } = arrival;
            info!(%peer, port, error, "a connection ended before its login{before}");
        }
    }

    /// Tells a refused login, unless it was told a moment ago.
    fn tell_refusal(&self, name: Option<&str>, peer: SocketAddr, why: &'static str) {
        let source = name.and_then(|name| self.roster.borrow().place(name)).map(tracing::field::display);
        let name = name.map(refusals::shown);
        let thing = (name.clone().unwrap_or_default(), why, peer.ip());
        if let Some(before) = self.shared.refusals.count(thing, Instant::now()) {
            warn!(worker = name.map(tracing::field::display), %peer, source, "login refused: {why}{before}");
        }
    }
}

impl Shared {
    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to be judged: given back when dropped, unless it was spent.
struct Judgement<'a> {
    shared: &'a Shared,
    ticket: Option<Ticket>,
}

impl Judgement<'_> {
    /// It ended badly.
    fn spend(mut self) {
        self.ticket = None;
    }
}

impl Drop for Judgement<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = &self.ticket {
            self.shared.throttle().give_back(ticket, Instant::now());
        }
    }
}

/// Whether an answer proves one of these passwords. Takes the same time whatever there is to compare it with.
fn proves(attempt: &LoginAttempt, passwords: Option<&Passwords>) -> bool {
    let nobody = Secret::new("nobody has this password");
    let mut plain = passwords.into_iter().flat_map(Passwords::plain);
    let mut proven = false;
    for _ in 0..MOST_PASSWORDS {
        match plain.next() {
            Some(password) => proven |= attempt.proves(password),
            // Whoever knows this text is no nearer to anybody's password.
            None => {
                std::hint::black_box(attempt.proves(&nobody));
            }
        }
    }
    proven
}
