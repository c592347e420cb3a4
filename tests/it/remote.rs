//! A worker of ours as a library, in this process, against masters as an operator has them: on each wire, in the clear and
//! through TLS.
//!
//! # Not here
//! The program around it (`lunabot-worker`), and what each wire carries (`protocol`).

use std::{error::Error as _, iter, num::NonZeroU32, path::PathBuf, thread, time::Duration};

use lunabot::{
    bot::{
        BotSettings,
        remote::{self, Address, ClientTlsPaths, Ended, RemoteSettings, Server, Wire},
    },
    model::Secret,
    protocol::bot::Identity,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::support::{
    certificates::Authority,
    master::{HEAD, MasterDir, Process, eventually, is_alive, touch},
    real_worker::free_port,
};

/// A step that writes its pid down and waits for the test, no longer than its folder is there.
const WAITING: &str = "steps.ShellCommand { name = 'wait', command = 'echo $$ > pid; \
                       while [ -d \"$PWD\" ] && [ ! -e go ]; do sleep 0.05; done; echo went on' }";

/// A port with or without TLS, a master's folder that has it, and worker `w1` (password `sesame`) with builder `b`. No
/// command outlives its link here on either wire: what does is of `matrix::resume`.
struct Farm {
    wire: Wire,
    port: u16,
    tls: Option<ClientTlsPaths>,
    dir: MasterDir,
}

impl Farm {
    fn new(wire: Wire, is_secured: bool, steps: &str) -> Self {
        let port = free_port();
        let dir = MasterDir::new("");
        let tls = is_secured.then(|| certificates(&dir));
        let key = match wire {
            Wire::Pb => "pb",
            Wire::Msgpack => "msgpack_experimental_v7",
        };
        let tls_in_lua = if is_secured {
            ", tls = { cert = 'cert.pem', key = 'key.pem', client_ca = 'ca.pem' }"
        } else {
            ""
        };
        let config = format!(
            "{HEAD}c.protocols = {{ {key} = {{ port = {{ port = {port}, interface = '127.0.0.1'{tls_in_lua} }} }} }}\n\
             c.workers = {{ worker.Worker('w1', 'sesame', {{ resume_grace = None }}) }}\n\
             c.builders = {{ util.BuilderConfig {{ name = 'b', workernames = {{ 'w1' }}, \
             factory = util.BuildFactory {{ {steps} }} }} }}\n\
             c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'b' }}) }}\n"
        );
        std::fs::write(dir.file("master.cfg.lua"), config).unwrap();
        Self { wire, port, tls, dir }
    }

    /// How a worker of this farm is set up.
    fn settings(&self) -> RemoteSettings {
        let host = if self.tls.is_some() { "localhost" } else { "127.0.0.1" };
        RemoteSettings {
            server: Server {
                address: Address::Tcp { host: host.into(), port: self.port },
                tls: self.tls.clone(),
                proxy: None,
            },
            wire: self.wire,
            identity: Identity { name: "w1".into(), password: Secret::new("sesame") },
            keepalive: Some(Duration::from_secs(600)),
            max_delay: Duration::from_secs(1),
            max_retries: None,
        }
    }

    fn results(&self) -> Vec<i64> {
        let builds = self.dir.builds();
        let ended = builds.iter().filter(|build| build["complete"] == true);
        ended.map(|build| build["results"].as_i64().unwrap()).collect()
    }

    fn wait_until_attached(&self) {
        eventually("the worker to be attached", || {
            let workers = self.dir.json("workers", &[]);
            (workers["workers"][0]["connected_to"].as_array()?.len() == 1).then_some(())
        });
    }
}

/// Writes the files of a port and of its worker; those of the worker.
fn certificates(dir: &MasterDir) -> ClientTlsPaths {
    let authority = Authority::new();
    let (port, worker) = (authority.issue("localhost"), authority.issue_client("w1"));
    let write = |name: &str, text: &str| {
        std::fs::write(dir.file(name), text).unwrap();
        dir.file(name)
    };
    write("cert.pem", &port.cert);
    write("key.pem", &port.key);
    let ca = write("ca.pem", &authority.pem);
    let own = (write("w1.pem", &worker.cert), write("w1-key.pem", &worker.key));
    ClientTlsPaths { ca: Some(ca), certificate: Some(own), server_name: None }
}

/// A worker at work.
struct Own {
    dir: tempfile::TempDir,
    stop: CancellationToken,
    wants_shutdown: CancellationToken,
    attached: watch::Receiver<bool>,
    thread: Option<thread::JoinHandle<Ended>>,
}

impl Own {
    fn start(settings: RemoteSettings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bot = BotSettings::new(dir.path().canonicalize().unwrap());
        let (stop, wants_shutdown) = (CancellationToken::new(), CancellationToken::new());
        let (told, attached) = watch::channel(false);
        let run = remote::run(bot, settings, stop.clone(), wants_shutdown.clone(), told);
        let thread = thread::spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(run));
        Self { dir, stop, wants_shutdown, attached, thread: Some(thread) }
    }

    fn build_dir(&self) -> PathBuf {
        self.dir.path().join("b/build")
    }

    /// Waits until the command of [`WAITING`] runs; its pid.
    fn wait_for_pid(&self) -> String {
        eventually("the command", || {
            std::fs::read_to_string(self.build_dir().join("pid")).ok().filter(|pid| pid.ends_with('\n'))
        })
    }

    fn let_go(&self) {
        touch(&self.build_dir().join("go"));
    }

    fn is_attached(&self) -> bool {
        *self.attached.borrow()
    }

    /// Waits for its end.
    fn ended(mut self) -> Ended {
        let thread = self.thread.take().unwrap();
        eventually("the end of the worker", || thread.is_finished().then_some(()));
        thread.join().unwrap()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A worker of this farm, attached to its running master.
fn attached(farm: &Farm) -> (Process, Own) {
    let master = farm.dir.start();
    let worker = Own::start(farm.settings());
    farm.wait_until_attached();
    eventually("the worker to know it", || worker.is_attached().then_some(()));
    (master, worker)
}

/// Why a worker gave up, with all causes.
fn given_up(worker: Own) -> String {
    let Ended::GaveUp { last } = worker.ended() else { panic!("it did not give up") };
    let causes = iter::successors(last.source(), |&error| error.source());
    iter::once(last.to_string()).chain(causes.map(ToString::to_string)).collect::<Vec<_>>().join(": ")
}

/// A build from its order to its log, and a stop that the operator asks for.
fn a_build_and_a_stop(wire: Wire, is_secured: bool) {
    let steps = "steps.ShellCommand { command = { 'printf', '%s\\\\n', 'größe' } }, \
                 steps.ShellCommand { command = 'seq 1 5000; echo err >&2; exit 3' }";
    let farm = Farm::new(wire, is_secured, steps);
    let (_master, worker) = attached(&farm);
    assert_eq!(farm.dir.run("force", &["b", "--wait"]).status.code(), Some(1));
    let log = String::from_utf8(farm.dir.log(1)).unwrap();
    assert!(log.lines().any(|line| line == "größe") && log.lines().any(|line| line == "err"), "{log}");
    let numbers = log.lines().filter(|line| line.parse::<u32>().is_ok()).count();
    assert_eq!(numbers, 5000);
    assert!(log.contains("exit code 3"), "{log}");
    farm.dir.order("stop", "w1", &[]);
    assert!(matches!(worker.ended(), Ended::ToldByMaster));
}

#[test]
fn over_pb_a_build_runs_and_a_stop_is_obeyed() {
    a_build_and_a_stop(Wire::Pb, false);
}

#[test]
fn over_pb_through_tls_a_build_runs_and_a_stop_is_obeyed() {
    a_build_and_a_stop(Wire::Pb, true);
}

#[test]
fn over_msgpack_a_build_runs_and_a_stop_is_obeyed() {
    a_build_and_a_stop(Wire::Msgpack, false);
}

#[test]
fn over_msgpack_through_tls_a_build_runs_and_a_stop_is_obeyed() {
    a_build_and_a_stop(Wire::Msgpack, true);
}

#[test]
fn a_worker_whose_master_is_killed_kills_its_commands_and_comes_back_to_the_next_master() {
    for wire in [Wire::Pb, Wire::Msgpack] {
        let farm = Farm::new(wire, false, WAITING);
        let (master, worker) = attached(&farm);
        assert!(farm.dir.run("force", &["b"]).status.success());
        let pid = worker.wait_for_pid();
        master.signal("KILL");
        eventually("the command to be killed", || (!is_alive(&pid)).then_some(()));
        eventually("the worker to know it", || (!worker.is_attached()).then_some(()));
        drop(master);
        std::fs::remove_dir_all(worker.build_dir()).unwrap();
        let _master = farm.dir.start();
        farm.wait_until_attached();
        let again = worker.wait_for_pid();
        assert_ne!(again, pid);
        worker.let_go();
        eventually("the build that is tried again", || farm.results().contains(&0).then_some(()));
        worker.stop.cancel();
        assert!(matches!(worker.ended(), Ended::Stopped));
    }
}

#[test]
fn a_worker_that_is_stopped_leaves_no_command_and_its_build_waits_for_the_next() {
    for wire in [Wire::Pb, Wire::Msgpack] {
        let farm = Farm::new(wire, false, WAITING);
        let (_master, worker) = attached(&farm);
        assert!(farm.dir.run("force", &["b"]).status.success());
        let pid = worker.wait_for_pid();
        worker.stop.cancel();
        assert!(matches!(worker.ended(), Ended::Stopped));
        assert!(!is_alive(&pid));
        eventually("the end of the build", || (farm.results() == [5]).then_some(()));
    }
}

#[test]
fn a_worker_that_wishes_to_stop_ends_its_build_first() {
    for wire in [Wire::Pb, Wire::Msgpack] {
        let farm = Farm::new(wire, false, WAITING);
        let (_master, worker) = attached(&farm);
        assert!(farm.dir.run("force", &["b"]).status.success());
        worker.wait_for_pid();
        worker.wants_shutdown.cancel();
        eventually("the wish to be known", || (farm.dir.worker("w1")["graceful"] == true).then_some(()));
        worker.let_go();
        assert!(matches!(worker.ended(), Ended::ToldByMaster));
        assert_eq!(farm.results(), [0]);
    }
}

#[test]
fn a_worker_that_wishes_to_stop_while_no_master_is_there_stops() {
    let farm = Farm::new(Wire::Pb, false, WAITING);
    let worker = Own::start(farm.settings());
    worker.wants_shutdown.cancel();
    assert!(matches!(worker.ended(), Ended::Wished));
}

#[test]
fn each_reason_to_give_up_is_told_and_no_password_is() {
    for wire in [Wire::Pb, Wire::Msgpack] {
        let farm = Farm::new(wire, true, WAITING);
        let once = || RemoteSettings { max_retries: NonZeroU32::new(1), ..farm.settings() };
        let told = given_up(Own::start(once()));
        assert!(told.contains("nobody listens on 127.0.0.1:"), "{told}");
        let _master = farm.dir.start();
        let identity = Identity { name: "w1".into(), password: Secret::new("open-says-me") };
        let told = given_up(Own::start(RemoteSettings { identity, ..once() }));
        assert!(told.contains("cannot log in") && told.contains("password"), "{told}");
        assert!(!told.contains("open-says-me"), "{told}");
        let with = |tls: Option<ClientTlsPaths>| {
            let mut settings = once();
            settings.server.tls = tls;
            given_up(Own::start(settings))
        };
        let tls = farm.tls.clone().unwrap();
        let stranger = farm.dir.file("stranger.pem");
        std::fs::write(&stranger, Authority::new().pem).unwrap();
        let told = with(Some(ClientTlsPaths { ca: Some(stranger), ..tls.clone() }));
        assert!(told.contains("is from no authority that is trusted here"), "{told}");
        let told = with(Some(ClientTlsPaths { server_name: Some("ci.example.org".into()), ..tls.clone() }));
        assert!(told.contains("not for `ci.example.org`"), "{told}");
        let told = with(Some(ClientTlsPaths { certificate: None, ..tls }));
        assert!(told.contains("demands a certificate"), "{told}");
        let told = with(None);
        assert!(told.contains("cannot log in"), "{told}");
    }
}
