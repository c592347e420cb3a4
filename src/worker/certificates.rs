//! The certificate of a port: read when it is wanted, read again when its files change, told before it ends.
//!
//! # Laws
//! - A pair of files that cannot be used never takes the place of one that can; that is told once.
//! - Only the next handshakes have a new certificate: no connection is cut for it.
//! - The end of a certificate is told 30, 14, 7, 3 and 1 days before it comes, and each day once it has come.
//!
//! # Not here
//! What is in the files (`net::tls`), and the handshake (`listener`).

use std::{
    io,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task,
    time::{self, Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::{
    definition::TlsFiles,
    model::Timestamp,
    net::{ServerTls, TlsError, TlsPaths},
    worker::listener::Door,
};

/// How often the files are looked at. A look is four `stat`.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How long somebody waits for files to be read: on a dead network file system that would be for ever.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// Requests for a look that wait for the one that is under way: reloads, of which one runs at a time, and changes of the
/// port that each of them makes.
const REQUESTS_DEPTH: usize = 4;

/// Days before a certificate's end at which that is told, the last one first.
const TELL_AT_DAYS: [u64; 5] = [1, 3, 7, 14, 30];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads a certificate; relative paths are below `root`.
///
/// # Errors
/// [`TlsError`]; also if the file system does not answer within 10 s.
///
/// # Cancel safety
/// Dropped before it returns, nothing is left but a thread that waits for the file system.
pub async fn load(files: &TlsFiles, root: &Path) -> Result<ServerTls, TlsError> {
    let paths = TlsPaths {
        cert: root.join(&files.cert),
        key: root.join(&files.key),
        chain: files.chain.as_ref().map(|chain| root.join(chain)),
        client_ca: files.client_ca.as_ref().map(|authorities| root.join(authorities)),
    };
    let path = paths.cert.clone();
    match time::timeout(READ_WITHIN, task::spawn_blocking(|| ServerTls::load(paths))).await {
        Ok(Ok(loaded)) => loaded,
        // The runtime ends.
        Ok(Err(failure)) => Err(TlsError::Read { path, source: io::Error::other(failure) }),
        Err(_) => Err(TlsError::Read { path, source: io::ErrorKind::TimedOut.into() }),
    }
}

/// The way to the task that looks after one port's certificate.
#[derive(Debug)]
pub(super) struct Keeper(mpsc::Sender<oneshot::Sender<()>>);

impl Keeper {
    /// Looks after the certificate behind `door` until `stop`.
    pub(super) fn start(door: Arc<watch::Sender<Door>>, stop: CancellationToken) -> Self {
        let (sender, requests) = mpsc::channel(REQUESTS_DEPTH);
        tokio::spawn(keep(door, requests, stop));
        Self(sender)
    }

    /// Asks for a look now; the answer comes when what is new is in use.
    pub(super) fn look(&self) -> oneshot::Receiver<()> {
        let (answer, looked) = oneshot::channel();
        // A full queue has looks in it that begin after this moment.
        drop(self.0.try_send(answer));
        looked
    }

    /// Looks now, and waits until what is new is in use, for at most [`READ_WITHIN`].
    pub(super) async fn looked(&self) {
        // A task that ends with its port does not answer, and need not.
        drop(time::timeout(READ_WITHIN, self.look()).await);
    }
}

async fn keep(
    door: Arc<watch::Sender<Door>>,
    mut requests: mpsc::Receiver<oneshot::Sender<()>>,
    stop: CancellationToken,
) {
    let mut told = Told::default();
    let mut ticks = time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let request = tokio::select! {
            // Each arm is cancel-safe: a token stays cancelled, a tick and a request that are not returned are not taken.
            () = stop.cancelled() => return,
            _ = ticks.tick() => None,
            request = requests.recv() => match request {
                Some(request) => Some(request),
                None => return,
            },
        };
        tokio::select! {
            // Cancel-safe: what was read is in use or is not.
            () = look(&door, &mut told, request.is_some()) => {}
            () = stop.cancelled() => return,
        }
        if let Some(request) = request
            && request.send(()).is_err()
        {
            debug!("nobody waits for the look at a certificate any more");
        }
    }
}

/// What was told of the certificate in use, so that it is told once.
#[derive(Default)]
struct Told {
    of: Option<Arc<ServerTls>>,
    trouble: Option<String>,
    stage: Option<(Stage, Instant)>,
}

/// What a look at the files found.
enum Found {
    Same,
    New(ServerTls),
    /// It cannot be used; whether somebody might be about to write the rest.
    Bad(TlsError, bool),
}

async fn look(door: &watch::Sender<Door>, told: &mut Told, is_asked: bool) {
    let Some(used) = door.borrow().tls.clone() else {
        *told = Told::default();
        return;
    };
    let used = renewed(door, used, told, is_asked).await;
    if !told.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, &used)) {
        let is_new = !told.of.as_ref().is_some_and(|of| of.is_same_certificate(&used));
        told.of = Some(Arc::clone(&used));
        if is_new {
            told.stage = None;
        }
        if used.is_key_public {
            warn!(file = %used.paths().key.display(), "each user of this machine may read the private key; chmod it to 0600");
        }
    }
    tell_end(&used, told, SystemTime::now());
}

/// The certificate that is in use after a look at the files of the one that was.
async fn renewed(
    door: &watch::Sender<Door>,
    used: Arc<ServerTls>,
    told: &mut Told,
    is_asked: bool,
) -> Arc<ServerTls> {
    let file = used.paths().cert.display().to_string();
    let known = Arc::clone(&used);
    let found = task::spawn_blocking(move || {
        let stamps = known.paths().look();
        if stamps == *known.stamps() {
            return Found::Same;
        }
        match ServerTls::load(known.paths().clone()) {
            Ok(new) => Found::New(new),
            Err(error) => Found::Bad(error, !stamps.is_certain()),
        }
    });
    let new = match found.await {
        // The runtime ends.
        Err(_) => return used,
        Ok(Found::Same) => {
            told.trouble = None;
            return used;
        }
        Ok(Found::New(new)) => new,
        Ok(Found::Bad(failure, is_underway)) => {
            let text = failure.to_string();
            // Of two files, one is written before the other: the next look will tell.
            if (is_asked || !is_underway) && told.trouble.as_ref() != Some(&text) {
                error!(
                    error = &failure as &dyn std::error::Error,
                    "the changed certificate cannot be used; the one in use is kept"
                );
                told.trouble = Some(text);
            }
            return used;
        }
    };
    told.trouble = None;
    let new = Arc::new(new);
    let is_taken = door.send_if_modified(|door| {
        // A reload may have given the port other files meanwhile.
        let is_same = door.tls.as_ref().is_some_and(|now| Arc::ptr_eq(now, &used));
        if is_same {
            door.tls = Some(Arc::clone(&new));
        }
        is_same
    });
    if !is_taken {
        return used;
    }
    if !new.is_same_certificate(&used) {
        info!(file, ends = %date(new.not_after), "a new certificate is in use");
    }
    new
}

/// Where a certificate stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It begins later.
    NotYet,
    Good,
    /// It ends within so many days.
    EndsWithin(u64),
    Ended,
}

impl Stage {
    fn of(not_before: SystemTime, not_after: SystemTime, now: SystemTime) -> Self {
        let Ok(left) = not_after.duration_since(now) else { return Self::Ended };
        if now < not_before {
            return Self::NotYet;
        }
        let within =
            TELL_AT_DAYS.into_iter().find(|days| left <= DAY * u32::try_from(*days).unwrap_or(u32::MAX));
        within.map_or(Self::Good, Self::EndsWithin)
    }
}

fn tell_end(used: &ServerTls, told: &mut Told, now: SystemTime) {
    let stage = Stage::of(used.not_before, used.not_after, now);
    let is_told = told
        .stage
        .is_some_and(|(before, at)| before == stage && (stage != Stage::Ended || at.elapsed() < DAY));
    if is_told {
        return;
    }
    told.stage = Some((stage, Instant::now()));
    let file = used.paths().cert.display();
    let ends = date(used.not_after);
    match stage {
        Stage::Good => {}
        Stage::NotYet => {
            warn!(%file, begins = %date(used.not_before), "the certificate is not valid yet; workers refuse it");
        }
        Stage::EndsWithin(days) => {
            let days = if days == 1 { "a day".to_owned() } else { format!("{days} days") };
            warn!(%file, %ends, "the certificate ends within {days}");
        }
        Stage::Ended => error!(%file, %ends, "the certificate has expired; workers refuse it"),
    }
}

/// An instant for people.
fn date(time: SystemTime) -> Timestamp {
    // Beyond the year 9999 lies no difference.
    Timestamp::try_from(time).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_comes_in_stages() {
        let now = SystemTime::now();
        let at = |left: Duration| Stage::of(now - DAY, now + left, now);
        assert_eq!(at(31 * DAY), Stage::Good);
        assert_eq!(at(30 * DAY), Stage::EndsWithin(30));
        assert_eq!(at(15 * DAY), Stage::EndsWithin(30));
        assert_eq!(at(14 * DAY), Stage::EndsWithin(14));
        assert_eq!(at(6 * DAY), Stage::EndsWithin(7));
        assert_eq!(at(2 * DAY), Stage::EndsWithin(3));
        assert_eq!(at(DAY / 2), Stage::EndsWithin(1));
        assert_eq!(Stage::of(now - 2 * DAY, now - DAY, now), Stage::Ended);
        assert_eq!(Stage::of(now + DAY, now + 90 * DAY, now), Stage::NotYet);
    }
}
