//! A worker that is a program, as its operator has it: a folder, a process, a log. `buildbot-worker` from PyPI, or
//! `lunabot-worker`.
//!
//! # Laws
//! - Each process is ended by its own process group, also when its test fails.
//! - Whether a connection is *the same* is told by the worker's socket in the kernel, which no master can fake.

use std::{
    collections::BTreeSet,
    net::TcpListener,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::support::master::eventually;

/// How long a worker may take to end after SIGTERM; it kills its commands first.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// The program, if there is one on this machine.
pub(crate) fn program() -> Option<PathBuf> {
    std::env::var_os("LUNABOT_TEST_BUILDBOT_WORKER").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// A port of loopback on which nobody listens.
///
/// It lies below the range that the kernel gives to clients: a worker that calls a port of that range again and again,
/// while its master is away, can be connected to itself, and would keep the port.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 8_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test programs that run at the same time begin at different places.
    let begin = u16::try_from(std::process::id() % u32::from(COUNT)).expect("below COUNT");
    for _ in 0..COUNT {
        let port = FIRST + begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port from {FIRST} on is free");
}

/// Which program a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `buildbot-worker`.
    Buildbot,
    /// `lunabot-worker`.
    Lunabot,
}

/// What a worker speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Perspective Broker.
    Pb,
    /// msgpack over WebSocket.
    Msgpack,
}

impl Protocol {
    /// Its name on the worker's command line and in the master's configuration.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Pb => "pb",
            Self::Msgpack => "msgpack_experimental_v7",
        }
    }
}

/// A worker's folder, and the process that runs in it, if one does.
pub(crate) struct RealWorker {
    dir: tempfile::TempDir,
    name: String,
    port: u16,
    env: Vec<(&'static str, PathBuf)>,
    /// The network namespace in which it runs, if not in that of the master.
    namespace: Option<String>,
    protocol: Protocol,
    kind: Kind,
    child: Option<Child>,
}

impl RealWorker {
    /// Makes the folder of a worker as `buildbot-worker create-worker` does, with an admin and a host of its own.
    pub(crate) fn create(port: u16, name: &str, password: &str) -> Self {
        Self::create_as(port, name, password, &[])
    }

    /// The same with more options.
    pub(crate) fn create_as(port: u16, name: &str, password: &str, options: &[&str]) -> Self {
        Self::create_on(Protocol::Pb, port, name, password, options)
    }

    /// The same for a protocol.
    pub(crate) fn create_on(
        protocol: Protocol,
        port: u16,
        name: &str,
        password: &str,
        options: &[&str],
    ) -> Self {
        Self::create_at("127.0.0.1", Kind::Buildbot, protocol, port, name, password, options)
    }

    /// The same of either kind.
    pub(crate) fn create_of(
        kind: Kind,
        protocol: Protocol,
        port: u16,
        name: &str,
        password: &str,
        options: &[&str],
    ) -> Self {
        Self::create_at("127.0.0.1", kind, protocol, port, name, password, options)
    }

    fn create_at(
        host: &str,
        kind: Kind,
        protocol: Protocol,
        port: u16,
        name: &str,
        password: &str,
        options: &[&str],
    ) -> Self {
        let dir = tempfile::Builder::new().prefix("bw").tempdir_in("/tmp").unwrap();
        let worker = Self {
            dir,
            name: name.to_owned(),
            port,
            env: Vec::new(),
            namespace: None,
            protocol,
            kind,
            child: None,
        };
        let made = command(kind)
            .args(["create-worker", "--quiet", "--allow-shutdown=signal", "--protocol", protocol.key()])
            .args(options)
            .arg(worker.path())
            .args([&format!("{host}:{port}"), name, password])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::write(worker.path().join("info/admin"), format!("{name}'s admin\n")).unwrap();
        std::fs::write(worker.path().join("info/host"), format!("{name}'s host\n")).unwrap();
        worker
    }

    /// Trusts the authorities in this file, and no others, once it is started.
    pub(crate) fn trusting(mut self, authorities: &Path) -> Self {
        // What OpenSSL asks instead of the system's store.
        self.env.push(("SSL_CERT_FILE", authorities.to_owned()));
        self
    }

    /// The same, started.
    pub(crate) fn start(port: u16, name: &str, password: &str) -> Self {
        let mut worker = Self::create(port, name, password);
        worker.run();
        worker
    }

    /// The same in a network namespace, with a master at this address of its network.
    pub(crate) fn start_in_network(
        namespace: &str,
        host: &str,
        port: u16,
        name: &str,
        password: &str,
    ) -> Self {
        let mut worker = Self::create_at(host, Kind::Buildbot, Protocol::Pb, port, name, password, &[]);
        worker.namespace = Some(namespace.to_owned());
        worker.run();
        worker
    }

    /// Starts the process, in the foreground and in a process group of its own.
    pub(crate) fn run(&mut self) {
        let start = match &self.namespace {
            None => command(self.kind),
            Some(namespace) => command_in(namespace, self.kind),
        };
        self.run_as(start);
    }

    /// The same with hardly any environment, so that it tells the same of itself everywhere.
    pub(crate) fn run_bare(&mut self) {
        let mut start = command(self.kind);
        start.env_clear().env("PATH", "/usr/bin:/bin");
        self.run_as(start);
    }

    fn run_as(&mut self, mut start: Command) {
        assert!(self.child.is_none(), "it runs already");
        start.args(["start", "--nodaemon"]).arg(self.path());
        start.envs(self.env.iter().map(|(name, value)| (name, value)));
        start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        self.child = Some(start.spawn().unwrap());
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The master's port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where the builds of this builder work.
    pub(crate) fn build_dir(&self, builder: &str) -> PathBuf {
        self.path().join(builder).join("build")
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Waits for the end of its process; its exit code, none after a signal.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("it runs");
        eventually("the end of the worker's process", || child.try_wait().unwrap()).code()
    }

    /// Whether its process lives.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        let name = match self.kind {
            Kind::Buildbot => "twistd.log",
            Kind::Lunabot => "worker.log",
        };
        let bytes = std::fs::read(self.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How often it has logged this text.
    pub(crate) fn count_in_log(&self, text: &str) -> usize {
        self.log().matches(text).count()
    }

    /// How often a master has attached it, as the worker itself counts.
    pub(crate) fn attached_times(&self) -> usize {
        self.count_in_log(match self.protocol {
            _ if self.kind == Kind::Lunabot => "attached: the master has let this worker in",
            Protocol::Pb => "Connected to buildmaster; worker is ready",
            // The last that it is told before it is asked for anything.
            Protocol::Msgpack => "message from master: attached",
        })
    }

    /// Waits until a master has attached it this often.
    pub(crate) fn wait_attached(&self, times: usize) {
        eventually(&format!("worker {} attached {times} times", self.name), || {
            (self.attached_times() >= times).then_some(())
        });
    }

    /// Its sockets that are connected to the master's port: the kernel's number and the local port of each.
    pub(crate) fn sockets(&self) -> BTreeSet<(u64, u16)> {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.pid())).into_iter().flatten().flatten();
        let own: BTreeSet<u64> = files
            .filter_map(|file| {
                let target = std::fs::read_link(file.path()).ok()?;
                target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
            })
            .collect();
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        table
            .lines()
            .skip(1)
            .filter_map(established)
            .filter_map(|(inode, local, remote)| {
                (remote == self.port && own.contains(&inode)).then_some((inode, local))
            })
            .collect()
    }

    /// Sends a signal to it and its process group.
    pub(crate) fn signal(&self, name: &str) {
        signal_group(name, self.child.as_ref().expect("it runs"));
    }

    /// Ends it at once, as a machine that loses its power does. Commands that it left run on until their folder is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            signal_group("KILL", &child);
            child.wait().unwrap();
            // Twisted would take a process that has the number by now for the one that was killed.
            drop(std::fs::remove_file(self.path().join("twistd.pid")));
        }
    }
}

impl Drop for RealWorker {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It takes its commands with it, which are no longer in its process group.
            signal_group("TERM", child);
            let limit = Instant::now() + STOP_LIMIT;
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < limit {
                thread::park_timeout(Duration::from_millis(20));
            }
        }
        self.kill();
        if thread::panicking() {
            eprintln!("the log of worker {}:\n{}", self.name, self.log());
        }
    }
}

fn command(kind: Kind) -> Command {
    let program = match kind {
        Kind::Buildbot => program().expect("tests without the program are skipped"),
        Kind::Lunabot => env!("CARGO_BIN_EXE_lunabot-worker").into(),
    };
    #[expect(clippy::disallowed_methods, reason = "the test plays the operator")]
    let mut command = Command::new(program);
    // A proxy of this machine is no business of loopback.
    command.env_remove("http_proxy").env_remove("https_proxy");
    command
}

/// The same in a network namespace.
fn command_in(namespace: &str, kind: Kind) -> Command {
    let inner = command(kind);
    #[expect(clippy::disallowed_methods, reason = "the test plays the operator")]
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(inner.get_program());
    command.env_remove("http_proxy").env_remove("https_proxy");
    command
}

fn signal_group(name: &str, leader: &Child) {
    #[expect(clippy::disallowed_methods, reason = "the test plays the operator")]
    let mut kill = Command::new("kill");
    kill.arg(format!("-{name}")).arg("--").arg(format!("-{}", leader.id()));
    // A group that has ended by itself is no fault.
    drop(kill.stderr(Stdio::null()).status());
}

/// The kernel's number, the local port and the remote port of a line of `/proc/net/tcp`, if that connection is established.
fn established(line: &str) -> Option<(u64, u16, u16)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let port = |address: &str| u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok();
    // Source: Linux, Documentation/networking/proc_net_tcp.rst; state 01 is TCP_ESTABLISHED.
    (*words.get(3)? == "01").then_some((words.get(9)?.parse().ok()?, port(words[1])?, port(words[2])?))
}

#[test]
fn a_line_of_the_kernels_table_is_read() {
    let line = "   1: 0100007F:A2B4 0100007F:2711 01 00000000:00000000 00:00000000 00000000  1000        0 987654 1 0 20 4 30 10 -1";
    assert_eq!(established(line), Some((987_654, 0xa2b4, 10_001)));
    assert_eq!(established(&line.replace(" 01 ", " 06 ")), None);
}
