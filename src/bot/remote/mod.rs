//! A worker whose master is another program, on this machine or another: connects, speaks, and connects again.
//!
//! # Laws
//! - All that fails is told in one line, with its reason and when it is tried again; no password is in it.
//! - After each failure there is a wait; whoever stops the worker ends it.
//! - A connection that is lost ends all commands before the next one is made; but where the master has said that it would go
//!   on with them, they run on for the time that it gave.
//!
//! # Not here
//! What the two say (`protocol`), what a command does (the rest of `bot`), and who outside the worker to stop (`cli::bot`).

mod asleep;
mod backoff;
mod bench;
pub mod connect;
pub mod failure;
mod msgpack;
mod pb;
pub mod proxy;
mod pump;
pub mod settings;
mod spool;
mod station;
#[cfg(test)]
mod testing;

use std::{fmt, num::NonZeroU32, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::{
    backoff::{Backoff, Failure, Next},
    bench::Bench,
    connect::{Connected, HostPort, connect},
    failure::chain,
    pump::{Carrier, End, Outside, Pump},
    spool::Spool,
};
pub use self::{
    connect::ConnectError,
    failure::{LinkError, RemoteError},
    settings::{Address, AllowShutdown, ClientTlsPaths, RemoteSettings, Server, Wire},
};
use crate::{
    bot::{Bot, BotSettings},
    model::WorkerInfo,
    net::{Stream, random},
    protocol::{
        self, SessionId,
        bot::Conversation,
        msgpack::{BotSession, opening::Opening},
    },
};

/// Why a worker connects no more. No command runs then.
#[derive(Debug)]
pub enum Ended {
    /// The master told it to stop.
    ToldByMaster,
    /// It was stopped from outside.
    Stopped,
    /// It wished to stop, and no master was there to ask.
    Wished,
    /// It failed as often in a row as it may.
    GaveUp {
        /// The last failure.
        last: RemoteError,
    },
}

/// Serves a master, over one connection after the other, until something ends that.
///
/// Commands that a former life of this worker left are killed first. `stop` ends the worker: its commands are killed and
/// the connection is closed, which takes 25 s of wall time at most. `wants_shutdown` has it ask the master for a stop once
/// its builds are done; without a master that has let it in, it stops at once. `attached` tells whether a master has.
///
/// # Cancel safety
/// Dropped before it returns, it closes the connection and kills all commands without waiting for that.
pub async fn run(
    bot: BotSettings,
    settings: RemoteSettings,
    stop: CancellationToken,
    wants_shutdown: CancellationToken,
    attached: watch::Sender<bool>,
) -> Ended {
    let bot = Bot::new(BotSettings { tells_wire_facts: true, ..bot });
    if let Err(error) = bot.kill_leftovers().await {
        // Rather a worker beside some old command than none.
        error!("cannot look for commands that a former life left: {}", chain(&error));
    }
    let worker = Worker { bot, settings, outside: Outside { stop, wants_shutdown, attached } };
    let mut bench = Bench::new(&worker.bot);
    let ended = worker.run(&mut bench).await;
    bench.end().await;
    ended
}

/// A worker that is to be served to a master.
struct Worker {
    bot: Bot,
    settings: RemoteSettings,
    outside: Outside,
}

impl Worker {
    async fn run(&self, bench: &mut Bench<'_>) -> Ended {
        let mut backoff = Backoff::new(self.settings.max_delay, self.settings.max_retries);
        loop {
            let (failure, last) = match Box::pin(self.connection(bench, &mut backoff)).await {
                Ok(ended) => return ended,
                Err(failed) => failed,
            };
            let wait = match backoff.failed(failure, u32::from_ne_bytes(random())) {
                Next::Wait(wait) => wait,
                Next::GiveUp => {
                    let most = self.settings.max_retries.map_or(0, NonZeroU32::get);
                    error!("{}; giving up, since `max_retries` is {most}", chain(&last));
                    return Ended::GaveUp { last };
                }
            };
            if self.outside.wants_shutdown.is_cancelled() && bench.is_idle() {
                warn!("{}; this worker wishes to stop, and tries no more", chain(&last));
            } else {
                warn!("{}; next try in {:.1} s", chain(&last), wait.as_secs_f64());
            }
            tokio::select! {
                // Cancel-safe: tokens stay cancelled.
                () = self.outside.stop.cancelled() => return Ended::Stopped,
                () = self.outside.wants_shutdown.cancelled(), if bench.is_idle() => return Ended::Wished,
                () = bench.meanwhile(sleep(wait)) => {}
            }
        }
    }

    /// One connection, from the search for an address to its end.
    async fn connection(
        &self,
        bench: &mut Bench<'_>,
        backoff: &mut Backoff,
    ) -> Result<Ended, (Failure, RemoteError)> {
        let RemoteSettings { server, wire, identity, .. } = &self.settings;
        let connected = tokio::select! {
            // Cancel-safe: a connection that is not returned is closed, and tokens stay cancelled.
            () = self.outside.stop.cancelled() => return Ok(Ended::Stopped),
            () = self.outside.wants_shutdown.cancelled(), if bench.is_idle() => return Ok(Ended::Wished),
            connected = bench.meanwhile(connect(server)) => connected,
        };
        let Connected { stream, peer } = connected.map_err(|source| {
            (Failure::Connect, RemoteError::Connect { server: server.to_string(), source })
        })?;
        backoff.connected();
        let through = if server.tls.is_some() { " through TLS" } else { "" };
        let at = if peer == server.to_string() { String::new() } else { format!(" ({peer})") };
        info!("connected to the master at {server}{at} over {wire}{through}");
        let (end, attached_for) = self.conversation(stream, bench).await;
        let (server, name) = (server.to_string(), identity.name.clone());
        match (end, attached_for) {
            (End::Shutdown, _) => Ok(Ended::ToldByMaster),
            (End::Stopped, _) => Ok(Ended::Stopped),
            (End::Wished, _) => Ok(Ended::Wished),
            (End::Lost(source), None) => Err((Failure::Login, RemoteError::Login { server, name, source })),
            (End::Lost(source), Some(after)) => {
                Err((Failure::Lost(after), RemoteError::Lost { server, source }))
            }
        }
    }

    /// What is said on a connection, until it is closed; for how long the worker was attached, if it was.
    async fn conversation(&self, stream: Stream, bench: &mut Bench<'_>) -> (End, Option<Duration>) {
        let Self { settings: RemoteSettings { server, wire, identity, .. }, outside, .. } = self;
        let opened = tokio::select! {
            // Cancel-safe: the connection is closed, and tokens stay cancelled.
            () = outside.stop.cancelled() => Err(End::Stopped),
            () = outside.wants_shutdown.cancelled(), if bench.is_idle() => Err(End::Wished),
            opened = async {
                let info = bench.station().info().await?;
                Ok::<_, LinkError>(match wire {
                    Wire::Pb => Opened::Pb(stream, info),
                    Wire::Msgpack => {
                        let opening = Opening::new(identity, &server.host(), random())?;
                        let frames = bench.meanwhile(msgpack::open(stream, &opening)).await?;
                        Opened::Msgpack(Box::new(frames), info)
                    }
                })
            } => opened.map_err(End::Lost),
        };
        match opened {
            Ok(Opened::Pb(stream, info)) => {
                let session = protocol::pb::BotSession::new(identity.clone(), info);
                let (end, attached_for, _) = self.serve(pb::Plain::new(stream), session, bench, false).await;
                (end, attached_for)
            }
            Ok(Opened::Msgpack(frames, info)) => self.msgpack(*frames, info, bench).await,
            Err(end) => {
                if !bench.is_asleep() || !matches!(end, End::Lost(_)) {
                    bench.end().await;
                }
                (end, None)
            }
        }
    }

    /// The same over msgpack, on which commands may outlive the connection.
    async fn msgpack(
        &self,
        frames: msgpack::Frames<Stream>,
        mut info: WorkerInfo,
        bench: &mut Bench<'_>,
    ) -> (End, Option<Duration>) {
        let session = bench.station().session.clone();
        info.0.insert(SessionId::FACT.to_owned(), session.into());
        let woken = bench.wake();
        let until = woken.as_ref().map(|(_, until)| *until);
        let session = match woken {
            Some((suspended, until)) => BotSession::resumed(info, suspended, until.into_std()),
            None => BotSession::new(info),
        };
        let (end, attached_for, session) = self.serve(frames, session, bench, true).await;
        if let End::Lost(_) = &end {
            match session.suspend() {
                Some(suspended) => {
                    // A connection on which the master was not heard gives no new time.
                    let fresh = Instant::now() + suspended.grace();
                    bench.sleep(
                        suspended,
                        if attached_for.is_some() { fresh } else { until.unwrap_or(fresh) },
                    );
                }
                None => bench.end().await,
            }
        }
        (end, attached_for)
    }

    /// Serves a conversation to its end. All commands end with it; but those of one that `may_go_on` are left to run if the
    /// connection is lost.
    async fn serve<C: Conversation>(
        &self,
        carrier: impl Carrier,
        conversation: C,
        bench: &mut Bench<'_>,
        may_go_on: bool,
    ) -> (End, Option<Duration>, C) {
        let mut pump = Pump::new(carrier, conversation, self.settings.keepalive, &self.outside);
        let mut spool = Spool::new(self.bot.settings.basedir.clone());
        let end = pump.run(bench.station(), &mut spool).await;
        let attached_for = pump.attached_at().map(|at| at.elapsed());
        self.outside.attached.send_replace(false);
        // First, since a master that hears the end may give the builds to another worker.
        if !may_go_on || !matches!(end, End::Lost(_)) {
            bench.end().await;
        }
        (end, attached_for, pump.close().await)
    }
}

/// A connection on which a conversation may begin.
enum Opened {
    Pb(Stream, WorkerInfo),
    Msgpack(Box<msgpack::Frames<Stream>>, WorkerInfo),
}

impl Server {
    /// As an HTTP request names it.
    fn host(&self) -> String {
        match &self.address {
            Address::Tcp { host, port } => HostPort { host: host.clone(), port: *port }.to_string(),
            Address::Unix(_) => "localhost".to_owned(),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Tcp { .. } => f.write_str(&self.host()),
            Address::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pb => "PB",
            Self::Msgpack => "msgpack",
        })
    }
}

#[cfg(test)]
mod tests;
