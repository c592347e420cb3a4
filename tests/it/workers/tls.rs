//! Ports with TLS: real workers that come by them, peers that cannot, and certificates that change while they run.

use std::{
    net::TcpStream,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{ClientConnection, pki_types::ServerName};

use super::{
    Farm, MasterDir, RealWorker, free_port, is_attached, needs_real_workers, touch, wait_for_pid,
    wait_for_results, waiting_step,
};
use crate::support::{
    certificates::{Authority, Pair, client_config},
    master::{Process, eventually},
    real_worker::Protocol,
};

/// A port with TLS and what it takes: an authority, and the files of the master's certificate.
struct Secured {
    port: u16,
    authority: Authority,
    dir: MasterDir,
}

const STEPS: &str = "steps.ShellCommand { command = 'echo well' }";

impl Secured {
    /// A folder whose port is this text or table of Lua, in which `PORT` stands for its number. Nothing is started yet.
    fn new(port_in_lua: &str, steps: &str) -> Self {
        let port = free_port();
        let secured = Self { port, authority: Authority::new(), dir: MasterDir::new("") };
        secured.configure(port_in_lua, steps);
        std::fs::create_dir(secured.dir.file("tls")).unwrap();
        std::fs::write(secured.authority_file(), &secured.authority.pem).unwrap();
        secured.install(&secured.authority.issue("localhost"));
        secured
    }

    fn configure(&self, port_in_lua: &str, steps: &str) {
        let port = self.port;
        let farm = Farm { port, workers: &[("w1", "'sesame-1'")], builders: &[("b1", &["w1"])], steps };
        let plain = format!("'tcp:{port}:interface=127.0.0.1'");
        let config = farm.config().replace(&plain, &port_in_lua.replace("PORT", &port.to_string()));
        std::fs::write(self.dir.file("new"), config).unwrap();
        std::fs::rename(self.dir.file("new"), self.dir.file("master.cfg.lua")).unwrap();
    }

    /// Puts a certificate in the place of the one there: both files at once, or one after the other, as it comes.
    fn install(&self, pair: &Pair) {
        for (name, text) in [("cert.pem", &pair.cert), ("key.pem", &pair.key)] {
            std::fs::write(self.dir.file("tls").join("new"), text).unwrap();
            std::fs::rename(self.dir.file("tls").join("new"), self.dir.file("tls").join(name)).unwrap();
        }
    }

    fn authority_file(&self) -> PathBuf {
        self.dir.file("tls/authority.pem")
    }

    /// A worker that asks for TLS and trusts this file.
    fn worker(&self, trusted: &std::path::Path) -> RealWorker {
        let mut worker = RealWorker::create_as(self.port, "w1", "sesame-1", &["--use-tls"]).trusting(trusted);
        worker.run();
        worker
    }

    /// The certificate that a handshake shows now; nothing if there is no handshake.
    fn shown(&self) -> Option<Vec<u8>> {
        handshake(self.port, client_config(&self.authority, None))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.file("lunabot.log")).unwrap_or_default()
    }

    /// Waits until the master has logged this.
    fn wait_for_log(&self, text: &str) {
        eventually(&format!("{text:?} in the log"), || self.log().contains(text).then_some(()));
    }

    fn start(&self) -> Process {
        self.dir.start()
    }
}

/// Shakes hands with a port; the certificate that it shows.
fn handshake(port: u16, client: rustls::ClientConfig) -> Option<Vec<u8>> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut client =
        ClientConnection::new(Arc::new(client), ServerName::try_from("localhost").unwrap()).unwrap();
    while client.is_handshaking() {
        client.complete_io(&mut socket).ok()?;
    }
    Some(client.peer_certificates()?.first()?.to_vec())
}

const AS_BUILDBOT: &str = "'ssl:port=PORT:privateKey=tls/key.pem:certKey=tls/cert.pem:interface=127.0.0.1'";
const MUTUAL: &str = "{ port = PORT, interface = '127.0.0.1', \
    tls = { cert = 'tls/cert.pem', key = 'tls/key.pem', client_ca = 'tls/authority.pem' } }";

#[test]
fn a_real_worker_builds_through_tls_on_a_port_as_buildbot_writes_it() {
    needs_real_workers!("a_real_worker_builds_through_tls_on_a_port_as_buildbot_writes_it");
    let secured = Secured::new(AS_BUILDBOT, STEPS);
    let _master = secured.start();
    let worker = secured.worker(&secured.authority_file());
    worker.wait_attached(1);
    assert!(secured.dir.run("force", &["b1", "--wait"]).status.success());
    assert!(!secured.log().contains("handshake failed"), "{}", secured.log());
}

fn demands_a_certificate(protocol: Protocol) {
    let secured = Secured::new(MUTUAL, STEPS);
    let config = std::fs::read_to_string(secured.dir.file("master.cfg.lua")).unwrap();
    let config = config.replace("pb = {", &format!("{} = {{", protocol.key()));
    std::fs::write(secured.dir.file("master.cfg.lua"), config).unwrap();
    let _master = secured.start();
    let create = |options: &[&str]| RealWorker::create_on(protocol, secured.port, "w1", "sesame-1", options);
    let mut without = create(&["--use-tls"]).trusting(&secured.authority_file());
    without.run();
    secured.wait_for_log("the peer has no certificate, which `client_ca` demands");
    drop(without);

    let own = secured.authority.issue_client("w1");
    let dir = secured.dir.file("tls");
    std::fs::write(dir.join("w1.pem"), &own.cert).unwrap();
    std::fs::write(dir.join("w1-key.pem"), &own.key).unwrap();
    // Twisted takes each `.pem` in the folder of its roots for a certificate, and does not start if one is none.
    std::fs::create_dir(dir.join("roots")).unwrap();
    std::fs::write(dir.join("roots/authority.pem"), &secured.authority.pem).unwrap();
    let string = format!(
        "tls:host=127.0.0.1:port={}:trustRoots={dir}/roots:certificate={dir}/w1.pem:privateKey={dir}/w1-key.pem",
        secured.port,
        dir = dir.display()
    );
    let mut worker = create(&["--connection-string", &string]);
    worker.run();
    worker.wait_attached(1);
    assert!(secured.dir.run("force", &["b1", "--wait"]).status.success());
}

#[test]
fn a_real_worker_needs_the_certificate_that_client_ca_demands() {
    needs_real_workers!("a_real_worker_needs_the_certificate_that_client_ca_demands");
    demands_a_certificate(Protocol::Pb);
}

#[test]
fn a_real_msgpack_worker_needs_the_certificate_that_client_ca_demands() {
    needs_real_workers!("a_real_msgpack_worker_needs_the_certificate_that_client_ca_demands");
    demands_a_certificate(Protocol::Msgpack);
}

#[test]
fn a_real_worker_that_refuses_the_certificate_is_told_with_its_reason_and_comes_when_it_is_good() {
    needs_real_workers!(
        "a_real_worker_that_refuses_the_certificate_is_told_with_its_reason_and_comes_when_it_is_good"
    );
    let secured = Secured::new(AS_BUILDBOT, STEPS);
    secured.install(&secured.authority.issue_expired("localhost"));
    let _master = secured.start();
    secured.wait_for_log("the certificate has expired");
    let worker = secured.worker(&secured.authority_file());
    secured.wait_for_log("does not accept this port's certificate (it has expired)");
    secured.install(&Authority::new().issue("localhost"));
    // No word to the master: it looks by itself.
    secured.wait_for_log("does not accept this port's certificate (its authority is not known there)");
    secured.install(&secured.authority.issue("localhost"));
    assert!(secured.dir.run("reconfig", &[]).status.success());
    worker.wait_attached(1);
    assert!(is_attached(&secured.dir, "w1"));
}

#[test]
fn a_certificate_exchanged_while_a_worker_builds_is_shown_next_and_cuts_nobody() {
    needs_real_workers!("a_certificate_exchanged_while_a_worker_builds_is_shown_next_and_cuts_nobody");
    let secured = Secured::new(AS_BUILDBOT, &waiting_step());
    let _master = secured.start();
    let worker = secured.worker(&secured.authority_file());
    worker.wait_attached(1);
    assert!(secured.dir.run("force", &["b1"]).status.success());
    wait_for_pid(&worker.build_dir("b1"));
    let (sockets, first) = (worker.sockets(), secured.shown().unwrap());

    // By a reload of a configuration that is unchanged.
    secured.install(&secured.authority.issue("localhost"));
    assert!(secured.dir.run("reconfig", &[]).status.success());
    let second = secured.shown().unwrap();
    assert_ne!(second, first);

    // A pair that does not match changes nothing, and is told.
    let key = std::fs::read(secured.dir.file("tls/key.pem")).unwrap();
    std::fs::write(secured.dir.file("tls/key.pem"), secured.authority.issue("localhost").key).unwrap();
    assert!(secured.dir.run("reconfig", &[]).status.success());
    assert!(secured.dir.run("reconfig", &[]).status.success());
    assert_eq!(secured.log().matches("the changed certificate cannot be used").count(), 1);
    assert!(secured.log().contains("is not that of the certificate"), "{}", secured.log());
    assert_eq!(secured.shown().unwrap(), second);
    std::fs::write(secured.dir.file("tls/key.pem"), key).unwrap();

    // By itself.
    secured.install(&secured.authority.issue("localhost"));
    eventually("the third certificate", || (secured.shown().unwrap() != second).then_some(()));

    touch(&worker.build_dir("b1").join("go"));
    wait_for_results(&secured.dir, &[0]);
    assert_eq!((worker.sockets(), worker.attached_times()), (sockets, 1));
    assert!(!secured.log().contains("PRIVATE KEY"));
}

#[test]
fn a_client_with_a_bad_certificate_is_told_with_its_reason() {
    let secured = Secured::new(MUTUAL, STEPS);
    let _master = secured.start();
    let (ours, theirs) = (&secured.authority, Authority::new());
    for (own, reason) in [
        (ours.issue_expired_client("w1"), "the peer's certificate is refused: it has expired"),
        (theirs.issue_client("w1"), "the peer's certificate is refused: it is not from an authority in"),
    ] {
        // With TLS 1.3 a client is done before it is looked at.
        handshake(secured.port, client_config(ours, Some(&own)));
        secured.wait_for_log(reason);
    }
    assert!(handshake(secured.port, client_config(ours, Some(&ours.issue_client("w1")))).is_some());
}

#[test]
fn a_certificate_that_cannot_be_used_refuses_a_reload_by_file_and_reason() {
    let secured = Secured::new("'tcp:PORT:interface=127.0.0.1'", STEPS);
    let _master = secured.start();
    std::fs::write(secured.dir.file("tls/key.pem"), "nothing").unwrap();
    // Loading reads no certificate.
    secured.configure(AS_BUILDBOT, STEPS);
    assert!(secured.dir.run("checkconfig", &[]).status.success());
    let refused = secured.dir.run("reconfig", &[]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&[refused.stdout, refused.stderr].concat()).into_owned();
    assert!(said.contains("tls/key.pem` holds no private key in PEM form"), "{said}");
    assert!(secured.shown().is_none(), "the port is in the clear as before");
    secured.install(&secured.authority.issue("localhost"));
    assert!(secured.dir.run("reconfig", &[]).status.success());
    // The same port, the same socket, and TLS from now on.
    assert!(secured.shown().is_some());
}

#[test]
fn a_master_whose_certificate_cannot_be_used_does_not_start_and_says_why() {
    let secured = Secured::new(AS_BUILDBOT, STEPS);
    std::fs::remove_file(secured.dir.file("tls/cert.pem")).unwrap();
    let mut child = secured.dir.spawn("start", &[]);
    child.wait_for_stderr("tls/cert.pem`: No such file");
    assert_eq!(child.wait(), Some(5));
}

#[test]
fn a_certificate_that_ends_soon_and_a_key_that_all_may_read_are_told_at_the_start() {
    use std::os::unix::fs::PermissionsExt as _;
    let secured = Secured::new(AS_BUILDBOT, STEPS);
    let ends = SystemTime::now() + Duration::from_secs(6 * 24 * 60 * 60);
    secured.install(&secured.authority.issue_until("localhost", ends));
    let key = secured.dir.file("tls/key.pem");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let _master = secured.start();
    secured.wait_for_log("the certificate ends within 7 days");
    secured.wait_for_log("each user of this machine may read the private key");
}
