//! Links that die without a word: a peer that is frozen, a cable that is cut.

use std::{os::fd::OwnedFd, path::Path, process::Command};

use rustix::{
    net::sockopt,
    process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open},
};

use super::{
    Farm, MasterDir, Process, RealWorker, free_port, is_attached, needs_real_workers, touch, wait_for_pid,
    wait_for_results, waiting_step,
};
use crate::support::{
    master::{PATIENCE, eventually},
    skip,
};

#[test]
fn a_real_worker_that_freezes_in_mid_build_loses_its_link_and_the_build_is_retried_once_it_thaws() {
    needs_real_workers!(
        "a_real_worker_that_freezes_in_mid_build_loses_its_link_and_the_build_is_retried_once_it_thaws"
    );
    let port = free_port();
    let farm = Farm {
        port,
        workers: &[("w1", "'sesame-1', { keepalive_interval = 1, keepalive_timeout = 1 }")],
        builders: &[("b1", &["w1"])],
        steps: &waiting_step(),
    };
    let dir = MasterDir::new(&farm.config());
    let mut master = dir.start();
    let worker = RealWorker::start(port, "w1", "sesame-1");
    worker.wait_attached(1);
    assert!(dir.run("force", &["b1"]).status.success());
    wait_for_pid(&worker.build_dir("b1"));
    worker.signal("STOP");
    master.wait_for_stderr("gives no sign of life");
    wait_for_results(&dir, &[5]);
    eventually("its name to be free", || (!is_attached(&dir, "w1")).then_some(()));
    touch(&worker.build_dir("b1").join("go"));
    worker.signal("CONT");
    worker.wait_attached(2);
    wait_for_results(&dir, &[5, 0]);
    let [last, first] = &dir.builds()[..] else { panic!("two builds") };
    assert_eq!(last["buildrequestid"], first["buildrequestid"], "it is the same request");
}

/// A network of two ends, of which one lies in a namespace. Gone when dropped.
struct Network {
    namespace: String,
    /// Of the master's end.
    address: String,
    /// The name of the far end.
    device: String,
}

impl Network {
    /// Absent, with the reason, where it cannot be made.
    fn new() -> Result<Self, String> {
        let number = std::process::id() % 10_000;
        // A network for tests of machines: RFC 2544.
        let (third, fourth) = (number / 64 % 256, number % 64 * 4);
        let network = Self {
            namespace: format!("lunabot{number}"),
            address: format!("198.18.{third}.{}", fourth + 1),
            device: format!("lbf{number}"),
        };
        let near = format!("lbn{number}");
        let Self { namespace, address, device } = &network;
        ip(&["netns", "add", namespace])?;
        ip(&["link", "add", &near, "type", "veth", "peer", "name", device, "netns", namespace])?;
        ip(&["address", "add", &format!("{address}/30"), "dev", &near])?;
        ip(&["link", "set", &near, "up"])?;
        let far = format!("198.18.{third}.{}/30", fourth + 2);
        ip(&["-n", namespace, "address", "add", &far, "dev", device])?;
        ip(&["-n", namespace, "link", "set", device, "up"])?;
        Ok(network)
    }

    /// From now on all packets are dropped, and nobody is told.
    fn cut(&self) {
        ip(&["-n", &self.namespace, "link", "set", &self.device, "down"]).unwrap();
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Its devices go with it.
        drop(ip(&["netns", "delete", &self.namespace]));
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    #[expect(clippy::disallowed_methods, reason = "the test plays the operator")]
    let made = Command::new("ip").args(arguments).output();
    match made {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("ip: {error}")),
    }
}

#[test]
fn a_link_whose_packets_are_dropped_gives_its_place_to_a_new_one_from_another_address() {
    const NAME: &str = "a_link_whose_packets_are_dropped_gives_its_place_to_a_new_one_from_another_address";
    needs_real_workers!("a_link_whose_packets_are_dropped_gives_its_place_to_a_new_one_from_another_address");
    let network = match Network::new() {
        Ok(network) => network,
        Err(why) => return skip::skip(NAME, &format!("no network namespace can be made: {why}")),
    };
    let port = free_port();
    let farm = Farm {
        port,
        workers: &[("w1", "'sesame-1'")],
        builders: &[("b1", &["w1"])],
        steps: "steps.ShellCommand { command = 'true' }",
    };
    let dir = MasterDir::new(&farm.config().replace(":interface=127.0.0.1", ""));
    let mut master = dir.start();
    let lost = RealWorker::start_in_network(&network.namespace, &network.address, port, "w1", "sesame-1");
    lost.wait_attached(1);
    network.cut();
    let begin = std::time::Instant::now();
    // The first one looks alive: nothing was heard that says otherwise.
    assert!(is_attached(&dir, "w1"));
    let second = RealWorker::start(port, "w1", "sesame-1");
    second.wait_attached(1);
    assert!(begin.elapsed() < PATIENCE);
    master.wait_for_stderr("its old link is dead");
    assert_eq!(lost.attached_times(), 1);
    assert!(dir.run("force", &["b1", "--wait"]).status.success());
    let log = std::fs::read_to_string(dir.file("lunabot.log")).unwrap();
    let line = log.lines().find(|line| line.contains("its old link is dead")).unwrap();
    assert!(line.contains(&network.address[..9]) && line.contains("127.0.0.1"), "{line}");
}

/// The sockets of a master on which this port is served to somebody.
fn served(master: &Process, port: u16) -> Result<Vec<OwnedFd>, rustix::io::Errno> {
    let pid = Pid::from_raw(i32::try_from(master.pid()).unwrap()).unwrap();
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let mut found = Vec::new();
    for file in std::fs::read_dir(Path::new("/proc").join(master.pid().to_string()).join("fd")).unwrap() {
        let file = file.unwrap();
        let is_socket = std::fs::read_link(file.path())
            .is_ok_and(|target| target.to_string_lossy().starts_with("socket:"));
        if !is_socket {
            continue;
        }
        let number = file.file_name().to_string_lossy().parse().unwrap();
        let socket = match pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) {
            // It was closed since.
            Err(rustix::io::Errno::BADF) => continue,
            other => other?,
        };
        let here =
            rustix::net::getsockname(&socket).ok().and_then(|it| std::net::SocketAddr::try_from(it).ok());
        if here.is_some_and(|here| here.port() == port) && rustix::net::getpeername(&socket).is_ok() {
            found.push(socket);
        }
    }
    Ok(found)
}

#[test]
fn the_kernel_watches_each_link_of_a_worker_and_gives_a_dead_one_up_within_ninety_seconds() {
    const NAME: &str =
        "the_kernel_watches_each_link_of_a_worker_and_gives_a_dead_one_up_within_ninety_seconds";
    let port = free_port();
    let farm = Farm { port, workers: &[("w1", "'sesame-1'")], builders: &[], steps: "" };
    let dir = MasterDir::new(&farm.config().replace("schedulers.ForceScheduler('force', {  })", ""));
    let master = dir.start();
    let peer = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let watched = eventually("the master to serve it", || match served(&master, port) {
        Ok(sockets) => sockets.into_iter().next().map(Ok),
        Err(error) => Some(Err(error)),
    });
    let socket = match watched {
        Ok(socket) => socket,
        Err(error) => {
            return skip::skip(NAME, &format!("the sockets of another process cannot be seen: {error}"));
        }
    };
    // It is tuned right after it was accepted.
    eventually("the options of the socket", || {
        (sockopt::tcp_user_timeout(&socket) == Ok(90_000)).then_some(())
    });
    assert_eq!(sockopt::socket_keepalive(&socket), Ok(true));
    let silence = sockopt::tcp_keepidle(&socket).unwrap()
        + sockopt::tcp_keepintvl(&socket).unwrap() * sockopt::tcp_keepcnt(&socket).unwrap();
    assert!(silence.as_secs() <= 90, "{silence:?}");
    drop(peer);
}
