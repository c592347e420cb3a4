//! Many workers at once, and many that go away in the midst of it: what is left of them in the master is counted.
//!
//! The workers are made here, with the worker's end of the protocol that `benches/fleet` uses too: a thousand processes of
//! the real one would measure this machine.

use std::{collections::BTreeMap, io, net::Ipv4Addr, time::Duration};

use lunabot::{
    model::Secret,
    protocol::pb::{
        jelly::Value as Facts,
        worker::{WorkerEvent, WorkerSession},
    },
};
use rustix::net::sockopt;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
    time,
};

use super::{MasterDir, Process, free_port};
use crate::support::master::{HEAD, PATIENCE, eventually};

/// A master with workers `w00001` and so on, all with the password `pw`.
fn farm(port: u16, workers: usize) -> MasterDir {
    MasterDir::new(&format!(
        "{HEAD}c.protocols = {{ pb = {{ port = 'tcp:{port}:interface=127.0.0.1' }} }}\n\
         local list = {{}}\n\
         for number = 1, {workers} do list[number] = worker.Worker(string.format('w%05d', number), 'pw') end\n\
         c.workers = list\n"
    ))
}

fn name(number: usize) -> String {
    format!("w{number:05}")
}

/// How many sockets the master has.
fn sockets(master: &Process) -> usize {
    let files = std::fs::read_dir(format!("/proc/{}/fd", master.pid())).unwrap();
    files
        .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}

/// How many workers the master shows as attached.
fn attached(dir: &MasterDir) -> usize {
    let all = dir.json("workers", &[]);
    let workers = all["workers"].as_array().unwrap();
    workers.iter().filter(|worker| worker["connected_to"].as_array().is_some_and(|to| !to.is_empty())).count()
}

/// One link of one worker.
struct Peer {
    session: WorkerSession,
    socket: TcpStream,
}

impl Peer {
    async fn connect(port: u16, number: usize) -> io::Result<Self> {
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        let session = WorkerSession::new(name(number), Secret::new("pw"), Facts::Dict(Vec::new()));
        Ok(Self { session, socket })
    }

    /// Hears at most so many bytes, and says what follows from them; whether it is attached now.
    async fn hear(&mut self, most: usize) -> io::Result<bool> {
        let mut input = vec![0; most];
        let count = self.socket.read(&mut input).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.session.handle_input(&input[..count]).map_err(io::Error::other)?;
        while let Some(bytes) = self.session.poll_output() {
            self.socket.write_all(&bytes).await?;
        }
        while let Some(event) = self.session.poll_event() {
            if let WorkerEvent::Refused(failure) = event {
                return Err(io::Error::other(format!("refused: {failure:?}")));
            }
        }
        Ok(self.session.is_attached())
    }

    /// Connects to a master that is up, again and again until it is attached.
    async fn attach(port: u16, number: usize) -> Self {
        loop {
            let attempt = async {
                let mut peer = Self::connect(port, number).await?;
                while !peer.hear(4096).await? {}
                Ok::<_, io::Error>(peer)
            };
            if let Ok(peer) = attempt.await {
                return peer;
            }
        }
    }

    /// Lives until its link ends.
    async fn live(mut self) {
        while self.hear(4096).await.is_ok() {}
    }

    /// Ends the connection as a machine does that has lost its memory of it.
    fn reset(self) {
        sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO)).unwrap();
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async { time::timeout(PATIENCE, future).await.expect("it is done in time") })
}

#[test]
fn two_thousand_workers_return_at_once_after_a_restart_and_nothing_is_left_of_them_when_they_go() {
    const WORKERS: usize = 2000;
    let port = free_port();
    let dir = farm(port, WORKERS);
    let mut first = dir.start();
    let idle = sockets(&first);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut fleet = JoinSet::new();
    // All of them come in the moment in which it is said that the master is up.
    let is_up = watch::Sender::new(true);
    for number in 1..=WORKERS {
        let mut is_up = is_up.subscribe();
        fleet.spawn_on(
            async move {
                while is_up.wait_for(|is_up| *is_up).await.is_ok() {
                    tokio::select! {
                        peer = Peer::attach(port, number) => peer.live().await,
                        () = async { drop(is_up.wait_for(|is_up| !is_up).await) } => {}
                    }
                }
            },
            runtime.handle(),
        );
    }
    eventually("all of them", || (attached(&dir) == WORKERS).then_some(()));
    is_up.send_replace(false);
    first.signal("KILL");
    assert_eq!(first.wait(), None);
    let second = dir.start();
    is_up.send_replace(true);
    eventually("all of them again", || (attached(&dir) == WORKERS).then_some(()));
    drop(fleet);
    drop(runtime);
    eventually("nobody", || (attached(&dir) == 0).then_some(()));
    eventually("no socket of them", || (sockets(&second) == idle).then_some(()));
    // Each name is free again.
    let again = run(Peer::attach(port, WORKERS));
    drop(again);
    eventually("no socket of the last one", || (sockets(&second) == idle).then_some(()));
}

#[test]
fn strangers_who_say_nothing_on_every_place_give_way_to_a_worker() {
    // More than may log in at once.
    const STRANGERS: usize = 1100;
    let port = free_port();
    let dir = farm(port, 1);
    let master = dir.start();
    let idle = sockets(&master);
    run(async {
        let mut strangers = Vec::new();
        for _ in 0..STRANGERS {
            strangers.push(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap());
        }
        let begin = time::Instant::now();
        let worker = Peer::attach(port, 1).await;
        // Two seconds of patience, where a single stranger has ten.
        assert!(begin.elapsed() < Duration::from_secs(9), "{:?}", begin.elapsed());
        drop((worker, strangers));
    });
    eventually("no socket of them", || (sockets(&master) == idle).then_some(()));
}

#[test]
fn a_reset_in_each_phase_of_attach_leaves_nothing_and_the_name_is_free() {
    // A little at a time, so that a reset falls between any two words of the master.
    const BYTES: usize = 8;
    const PHASES: usize = 60;
    let port = free_port();
    let dir = farm(port, PHASES);
    let master = dir.start();
    let idle = sockets(&master);
    let reached = run(async {
        let mut reached = BTreeMap::new();
        for phase in 1..=PHASES {
            let mut peer = Peer::connect(port, phase).await.unwrap();
            let mut is_attached = false;
            for _ in 1..phase {
                if is_attached {
                    break;
                }
                is_attached = peer.hear(BYTES).await.unwrap();
            }
            *reached.entry(is_attached).or_insert(0) += 1;
            peer.reset();
        }
        reached
    });
    assert!(reached[&true] > 0 && reached[&false] > 10, "the phases are all there: {reached:?}");
    eventually("no registry entry", || (attached(&dir) == 0).then_some(()));
    eventually("no socket", || (sockets(&master) == idle).then_some(()));
    run(async {
        for number in 1..=PHASES {
            drop(Peer::attach(port, number).await);
        }
    });
    eventually("no socket again", || (sockets(&master) == idle).then_some(()));
}
