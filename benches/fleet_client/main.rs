//! The workers of `benches/fleet` and `benches/farm`, all in one process: each has the true conversation with its master, and
//! then idles. Commands they are given begin with SIGUSR1.
//!
//! It says a line of JSON when all are attached or the time is over, one for each log that it has sent, one when so many builds as
//! were asked for are done, and one at its end (SIGTERM): `{"event": "attached", "attached": 1000, "seconds": 0.4, "retries": 0}`,
//! `{"event": "log", "bytes": 268435456, "seconds": 1.1}`, `{"event": "builds", "builds": 100, "seconds": 1.1, …}`,
//! `{"event": "end", "attached": 1000, "lost": 0}`.
//!
//! # Laws
//! - A worker whose connect fails or whose link ends comes back after 1.5 to 2.5 s, as `buildbot-worker` does.
//! - It ends by itself after [`LIFE`], whatever became of the program that started it.
//!
//! # Not here
//! Masters, and what they cost (`benches/fleet`, `benches/farm`).

mod facts;
mod msgpack;
mod pb;
mod transport;
mod work;

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use clap::{Parser, ValueEnum};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Notify, Semaphore},
    time,
};

use self::{
    transport::Way,
    work::{Output, Work},
};

/// The longest that this program lives.
const LIFE: Duration = Duration::from_secs(60 * 60);

#[derive(Parser)]
#[command(about = "The client of benches/fleet and benches/farm, which start it")]
struct Options {
    /// Makes `DIR/cert.pem` and `DIR/key.pem` for 127.0.0.1, and does nothing else.
    #[arg(long, value_name = "DIR")]
    make_certificate: Option<PathBuf>,
    /// Where the master listens, on 127.0.0.1.
    #[arg(long, default_value_t = 9989)]
    port: u16,
    /// What is spoken there.
    #[arg(long, value_enum, default_value_t = Protocol::Pb)]
    protocol: Protocol,
    /// Through TLS; the certificate that is trusted.
    #[arg(long, value_name = "FILE")]
    tls: Option<PathBuf>,
    /// How many workers: w00001 and so on, each with the password `pw`.
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// How many may be between their connect and their attach.
    #[arg(long, default_value_t = 1)]
    at_once: usize,
    /// Seconds until all must be attached.
    #[arg(long, default_value_t = 60)]
    limit: u64,
    /// MiB of output of each command, in lines of 80 characters.
    #[arg(long, default_value_t = 0)]
    log_mib: usize,
    /// Bytes of output told at once. A `buildbot-worker` gathers some 41,000.
    #[arg(long, default_value_t = 41_040)]
    update_bytes: usize,
    /// MiB of output a second, at most; as many as the master takes unless told.
    #[arg(long, default_value_t = 0)]
    pace: usize,
    /// How many commands to carry out, all workers together; later ones stay without an end.
    #[arg(long, default_value_t = usize::MAX)]
    builds: usize,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Protocol {
    Pb,
    Msgpack,
}

/// What each worker does.
struct Manner {
    protocol: Protocol,
    way: Way,
    work: Work,
}

/// What became of them, counted together.
#[derive(Default)]
struct Tally {
    attached: AtomicUsize,
    lost: AtomicUsize,
    retries: AtomicUsize,
    changed: Notify,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().skip(1).eq(["--bench".to_owned()]) {
        println!("this is a client; the benchmarks are `benches/fleet` and `benches/farm`");
        return Ok(());
    }
    let options = Options::parse();
    if let Some(folder) = &options.make_certificate {
        return transport::make_certificate(folder);
    }
    // One thread: the master is to have the other core.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(&options))
}

async fn run(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let (mut stop, mut go) = (signal(SignalKind::terminate())?, signal(SignalKind::user_defined1())?);
    let tally = Arc::new(Tally::default());
    let places = Arc::new(Semaphore::new(options.at_once));
    let manner = Arc::new(Manner {
        protocol: options.protocol,
        way: Way::new(options.port, options.tls.as_deref())?,
        work: Work::new(
            Output {
                bytes: options.log_mib * 1024 * 1024,
                at_once: options.update_bytes,
                pace: options.pace * 1024 * 1024,
            },
            options.builds,
        ),
    });
    let let_go = Arc::clone(&manner);
    tokio::spawn(async move {
        go.recv().await;
        let_go.work.open();
    });
    let begin = Instant::now();
    for index in 0..options.workers {
        tokio::spawn(live(index, Arc::clone(&manner), Arc::clone(&places), Arc::clone(&tally)));
    }
    let all = all_attached(&tally, options.workers);
    tokio::select! {
        at = time::timeout(Duration::from_secs(options.limit), all) => {
            let seconds = at.unwrap_or_else(|_| Instant::now()).duration_since(begin).as_secs_f64();
            let (attached, retries) = (tally.attached.load(Ordering::Relaxed), tally.retries.load(Ordering::Relaxed));
            println!(r#"{{"event": "attached", "attached": {attached}, "seconds": {seconds}, "retries": {retries}}}"#);
            tokio::select! {
                _ = stop.recv() => {}
                () = time::sleep(LIFE) => {}
            }
        }
        _ = stop.recv() => {}
    }
    let (attached, lost) = (tally.attached.load(Ordering::Relaxed), tally.lost.load(Ordering::Relaxed));
    println!(r#"{{"event": "end", "attached": {attached}, "lost": {lost}}}"#);
    Ok(())
}

/// Waits until all are attached; when the last one was.
async fn all_attached(tally: &Tally, workers: usize) -> Instant {
    loop {
        // Before the look, so that no change is missed between the two.
        let changed = tally.changed.notified();
        if tally.attached.load(Ordering::Relaxed) == workers {
            return Instant::now();
        }
        changed.await;
    }
}

/// One worker, for ever.
async fn live(index: usize, manner: Arc<Manner>, places: Arc<Semaphore>, tally: Arc<Tally>) {
    loop {
        let place = places.acquire().await.expect("nobody closes it");
        if let Ok(peer) = Peer::attach(index, &manner).await {
            drop(place);
            tally.attached.fetch_add(1, Ordering::Relaxed);
            tally.changed.notify_one();
            drop(peer.idle(&manner.work).await);
            tally.attached.fetch_sub(1, Ordering::Relaxed);
            tally.lost.fetch_add(1, Ordering::Relaxed);
        } else {
            drop(place);
            tally.retries.fetch_add(1, Ordering::Relaxed);
        }
        // Spread by its number instead of at random: each run has the same load.
        time::sleep(Duration::from_millis(1500 + u64::try_from(index % 1000).unwrap_or(0))).await;
    }
}

/// One link of one worker.
enum Peer {
    Pb(Box<pb::Peer>),
    Msgpack(Box<msgpack::Peer>),
}

impl Peer {
    /// Connects and logs in; returns once the master has given it its place.
    async fn attach(index: usize, manner: &Manner) -> io::Result<Self> {
        let stream = manner.way.connect(index).await?;
        Ok(match manner.protocol {
            Protocol::Pb => Self::Pb(Box::new(pb::Peer::attach(index, stream).await?)),
            Protocol::Msgpack => Self::Msgpack(Box::new(msgpack::Peer::attach(index, stream).await?)),
        })
    }

    /// Answers its master until the link ends.
    async fn idle(self, work: &Work) -> io::Result<()> {
        match self {
            Self::Pb(mut peer) => peer.idle(work).await,
            Self::Msgpack(mut peer) => peer.idle(work).await,
        }
    }
}
