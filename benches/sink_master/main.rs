//! The master of `benches/worker`: it lets one worker in, gives it commands, throws away what they say, and tells how long
//! each thing took.
//!
//! It says a line of JSON for each: `{"event": "listening", "port": 1234}`, `{"event": "attached"}`, then as it was asked
//! `{"event": "spawns", "count": 500, "at_once": 4, "seconds": 1.2}`, `{"event": "log", "bytes": 268435456, "seconds": 1.1}`,
//! and last `{"event": "idle"}`, after which it keeps the link until SIGTERM.
//!
//! # Laws
//! - It does no more than a master must: what limits the figures is the worker.
//! - It ends by itself after [`LIFE`].
//!
//! # Not here
//! Workers, and what they cost (`benches/worker`).

mod wire;

use std::{
    collections::BTreeMap,
    error::Error,
    time::{Duration, Instant},
};

use clap::{Parser, ValueEnum};
use lunabot::{
    model::LogStream,
    protocol::{
        CommandId, FromWorker, ShellArguments, ToWorker, Update, WorkerCommand, command::ShellLine,
        message::BuilderFolder,
    },
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time,
};

use self::wire::Wire;

/// The longest that this program lives.
const LIFE: Duration = Duration::from_secs(30 * 60);

#[derive(Parser)]
#[command(about = "The master of benches/worker, which starts it")]
struct Options {
    /// What is spoken.
    #[arg(long, value_enum, default_value_t = Protocol::Pb)]
    protocol: Protocol,
    /// How many trivial commands are run, after the first few.
    #[arg(long, default_value_t = 0)]
    spawns: usize,
    /// How many of them at once, each for a builder of its own.
    #[arg(long, default_value_t = 1)]
    at_once: usize,
    /// MiB of output of one command, in lines of 80 characters.
    #[arg(long, default_value_t = 0)]
    log_mib: usize,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Protocol {
    Pb,
    Msgpack,
}

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().skip(1).eq(["--bench".to_owned()]) {
        println!("this is a master; the benchmark is `benches/worker`");
        return Ok(());
    }
    let options = Options::parse();
    // One thread: the worker is to have the other core.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut stop = signal(SignalKind::terminate())?;
        tokio::select! {
            done = run(&options) => done,
            _ = stop.recv() => Ok(()),
            () = time::sleep(LIFE) => Ok(()),
        }
    })
}

async fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!(r#"{{"event": "listening", "port": {}}}"#, listener.local_addr()?.port());
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    let mut wire = match options.protocol {
        Protocol::Pb => Wire::pb(stream).await?,
        Protocol::Msgpack => Wire::msgpack(stream).await?,
    };
    let folders = (0..options.at_once.max(1))
        .map(|number| BuilderFolder { builder: builder(number).into(), folder: builder(number) });
    wire.order(ToWorker::SetBuilders(folders.collect())).await?;
    wire.attached().await?;
    println!(r#"{{"event": "attached"}}"#);
    if options.spawns > 0 {
        // The first ones pay for cold files.
        spawns(&mut wire, options.at_once, 2 * options.at_once).await?;
        let begin = Instant::now();
        spawns(&mut wire, options.at_once, options.spawns).await?;
        let (count, at_once, seconds) = (options.spawns, options.at_once, begin.elapsed().as_secs_f64());
        println!(r#"{{"event": "spawns", "count": {count}, "at_once": {at_once}, "seconds": {seconds}}}"#);
    }
    if options.log_mib > 0 {
        let begin = Instant::now();
        let bytes = log(&mut wire, options.log_mib * 1024 * 1024).await?;
        let seconds = begin.elapsed().as_secs_f64();
        println!(r#"{{"event": "log", "bytes": {bytes}, "seconds": {seconds}}}"#);
    }
    println!(r#"{{"event": "idle"}}"#);
    loop {
        wire.hear().await?;
    }
}

fn builder(number: usize) -> String {
    format!("b{number}")
}

/// Runs a command that does nothing, so many times, `at_once` at a time.
async fn spawns(wire: &mut Wire, at_once: usize, count: usize) -> Result<(), Box<dyn Error>> {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let (mut started, mut ended) = (0, 0);
    let mut builders = BTreeMap::new();
    let mut free: Vec<usize> = (0..at_once.max(1)).collect();
    while ended < count {
        while started < count
            && let Some(number) = free.pop()
        {
            let id = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let id = CommandId::new(format!("spawn-{id}"));
            builders.insert(id.clone(), number);
            wire.order(start(id, number, ShellLine::Argv(vec!["true".into()]))).await?;
            started += 1;
        }
        match wire.hear().await? {
            FromWorker::Complete { id, failure: None } => {
                ended += 1;
                free.extend(builders.remove(&id));
            }
            FromWorker::Complete { failure: Some(failure), .. } => return Err(failure.into()),
            FromWorker::Update { update: Update::Rc(rc), .. } if rc != 0 => {
                return Err(format!("`true` ended with {rc}").into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Runs a command that says so much; how much of it came.
async fn log(wire: &mut Wire, bytes: usize) -> Result<usize, Box<dyn Error>> {
    let line = format!("yes {} | head -c {bytes}", "x".repeat(80));
    wire.order(start(CommandId::new("log"), 0, ShellLine::Shell(line))).await?;
    let mut heard = 0;
    loop {
        match wire.hear().await? {
            FromWorker::Update { update: Update::Output { stream: LogStream::Stdout, bytes }, .. } => {
                heard += bytes.len();
            }
            FromWorker::Complete { failure: None, .. } => return Ok(heard),
            FromWorker::Complete { failure: Some(failure), .. } => return Err(failure.into()),
            _ => {}
        }
    }
}

fn start(id: CommandId, number: usize, command: ShellLine) -> ToWorker {
    let arguments = ShellArguments {
        command,
        shown: None,
        workdir: "build".into(),
        env: BTreeMap::new(),
        stdin: None,
        timeout: Some(Duration::from_secs(1200)),
        max_time: None,
        sigterm_time: None,
        interrupt_signal: "KILL".into(),
        want_stdout: true,
        want_stderr: true,
        log_environ: false,
        log_files: Vec::new(),
        max_lines: None,
        use_pty: false,
    };
    ToWorker::Start {
        id,
        builder: builder(number).into(),
        command: WorkerCommand::Shell(Box::new(arguments)),
    }
}
