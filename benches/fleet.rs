//! The workers of `benches/fleet`, all in one process: each has the true conversation with its master, and then idles.
//!
//! It says one line of JSON when all are attached or the time is over, and another at its end (SIGTERM):
//! `{"event": "attached", "attached": 1000, "seconds": 0.4, "retries": 0}`, `{"event": "end", "attached": 1000, "lost": 0}`.
//!
//! # Laws
//! - A worker whose connect fails or whose link ends comes back after 1.5 to 2.5 s, as `buildbot-worker` does.
//! - It ends by itself after [`LIFE`], whatever became of the program that started it.
//!
//! # Not here
//! Masters, and what they cost (`benches/fleet`).

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Parser;
use lunabot::{
    model::Secret,
    protocol::pb::{
        jelly::Value,
        worker::{WorkerEvent, WorkerSession},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    signal::unix::{SignalKind, signal},
    sync::{Notify, Semaphore},
    time,
};

/// The longest that this program lives.
const LIFE: Duration = Duration::from_secs(60 * 60);

/// How long a connect may take. Source: Twisted's endpoints.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// How many connections one source address carries: fewer than the kernel has ports for (28,232 unless told otherwise).
const PER_ADDRESS: usize = 20_000;

#[derive(Parser)]
#[command(about = "The client of benches/fleet, which starts it")]
struct Options {
    /// Where the master listens, on 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// How many workers: w00001 and so on, each with the password `pw`.
    #[arg(long)]
    workers: usize,
    /// How many may be between their connect and their attach.
    #[arg(long)]
    at_once: usize,
    /// Seconds until all must be attached.
    #[arg(long)]
    limit: u64,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
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
        println!("this is a client; the benchmark is `benches/fleet`");
        return Ok(());
    }
    let options = Options::parse();
    // One thread: the master is to have the other core.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(&options))
}

async fn run(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let mut stop = signal(SignalKind::terminate())?;
    let tally = Arc::new(Tally::default());
    let places = Arc::new(Semaphore::new(options.at_once));
    let begin = Instant::now();
    for index in 0..options.workers {
        tokio::spawn(live(index, options.port, Arc::clone(&places), Arc::clone(&tally)));
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
async fn live(index: usize, port: u16, places: Arc<Semaphore>, tally: Arc<Tally>) {
    loop {
        let place = places.acquire().await.expect("nobody closes it");
        if let Ok(mut peer) = Peer::attach(index, port).await {
            drop(place);
            tally.attached.fetch_add(1, Ordering::Relaxed);
            tally.changed.notify_one();
            drop(peer.converse(false).await);
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
struct Peer {
    session: WorkerSession,
    socket: TcpStream,
}

impl Peer {
    /// Connects and logs in; returns once the master has given it its place.
    async fn attach(index: usize, port: u16) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if index >= PER_ADDRESS {
            let address = u8::try_from(index / PER_ADDRESS + 1).map_err(io::Error::other)?;
            socket.bind(SocketAddr::from(([127, 0, 0, address], 0)))?;
        }
        let master = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let socket = time::timeout(CONNECT_LIMIT, socket.connect(master)).await??;
        socket.set_nodelay(true)?;
        let session = WorkerSession::new(name(index), Secret::new("pw"), facts(index));
        let mut peer = Self { session, socket };
        peer.converse(true).await?;
        Ok(peer)
    }

    /// Talks until it is attached, or else until the link ends, which is an error.
    async fn converse(&mut self, until_attached: bool) -> io::Result<()> {
        let mut input = [0; 4096];
        loop {
            while let Some(event) = self.session.poll_event() {
                match event {
                    WorkerEvent::Attached if until_attached => return self.say().await,
                    WorkerEvent::Refused(failure) => {
                        return Err(io::Error::other(format!("refused: {failure:?}")));
                    }
                    _ => {}
                }
            }
            self.say().await?;
            let count = self.socket.read(&mut input).await?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.session.handle_input(&input[..count]).map_err(io::Error::other)?;
        }
    }

    async fn say(&mut self) -> io::Result<()> {
        while let Some(bytes) = self.session.poll_output() {
            self.socket.write_all(&bytes).await?;
        }
        Ok(())
    }
}

fn name(index: usize) -> String {
    format!("w{:05}", index + 1)
}

/// What a worker tells of itself: as much as a `buildbot-worker` 4.3.0 on Debian does, its environment included.
fn facts(index: usize) -> Value {
    let text = |text: String| Value::text(text);
    let environ = (0..25).map(|number| {
        (
            text(format!("VARIABLE_{number}")),
            text(format!("/usr/local/share/value-{number}:/usr/share/value-{number}")),
        )
    });
    let commands = [
        "shell",
        "uploadFile",
        "upload_file",
        "uploadDirectory",
        "upload_directory",
        "downloadFile",
        "download_file",
        "mkdir",
        "rmdir",
        "cpdir",
        "stat",
        "glob",
        "listdir",
        "rmfile",
    ];
    Value::dict([
        ("admin", Value::text("Your Name Here <admin@youraddress.invalid>\n")),
        ("host", Value::text("Please put a description of this build host here\n")),
        ("os_pretty_name", Value::text("Debian GNU/Linux 13 (trixie)")),
        ("os_name", Value::text("Debian GNU/Linux")),
        ("os_version_id", Value::text("13")),
        ("os_version", Value::text("13 (trixie)")),
        ("os_version_codename", Value::text("trixie")),
        ("os_id", Value::text("debian")),
        ("os_home_url", Value::text("https://os.example.org/")),
        ("os_support_url", Value::text("https://os.example.org/support")),
        ("os_bug_report_url", Value::text("https://os.example.org/bugs")),
        ("environ", Value::Dict(environ.collect())),
        ("system", Value::text("posix")),
        ("basedir", text(format!("/srv/workers/{}", name(index)))),
        ("numcpus", Value::Int(2)),
        ("version", Value::text("4.3.0")),
        (
            "worker_commands",
            Value::Dict(commands.map(|command| (Value::text(command), Value::text("3.3"))).to_vec()),
        ),
        ("delete_leftover_dirs", Value::Int(0)),
    ])
}
