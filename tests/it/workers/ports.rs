//! Ports: several at once, of either family; sockets that stay through a reload; peers at the wrong door.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::{Farm, MasterDir, free_port, raw::DIALECTS};
use crate::support::{certificates::Authority, master::eventually};

/// More than the 10 s that a master gives to who says nothing.
const LIMIT: Duration = Duration::from_secs(30);

/// A folder with a certificate in it, whose ports are this piece of Lua.
fn master_with(protocols: &str) -> MasterDir {
    let dir = MasterDir::new("");
    let pair = Authority::new().issue("localhost");
    std::fs::write(dir.file("cert.pem"), pair.cert).unwrap();
    std::fs::write(dir.file("key.pem"), pair.key).unwrap();
    configure(&dir, protocols);
    dir
}

fn configure(dir: &MasterDir, protocols: &str) {
    let farm = Farm {
        port: 1,
        workers: &[("w1", "'sesame-1'")],
        builders: &[("b1", &["w1"])],
        steps: "steps.ShellCommand { command = 'true' }",
    };
    let config =
        farm.config().replace("c.protocols = { pb = { port = 'tcp:1:interface=127.0.0.1' } }", protocols);
    assert!(config.contains(protocols));
    std::fs::write(dir.file("new"), config).unwrap();
    std::fs::rename(dir.file("new"), dir.file("master.cfg.lua")).unwrap();
}

fn reconfigure(dir: &MasterDir, protocols: &str) {
    configure(dir, protocols);
    let output = dir.run("reconfig", &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn connect(host: &str, port: u16) -> TcpStream {
    let socket = TcpStream::connect((host, port)).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.set_write_timeout(Some(LIMIT)).unwrap();
    socket
}

/// Whether PB is spoken there in the clear.
fn greets(host: &str, port: u16) -> bool {
    let mut heard = vec![0; DIALECTS.len()];
    connect(host, port).read_exact(&mut heard).is_ok() && heard == DIALECTS
}

/// The kernel's numbers of the sockets that listen on a port.
fn listening(port: u16) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in std::fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            // Source: Linux, Documentation/networking/proc_net_tcp.rst; state 0A is TCP_LISTEN.
            if words[3] == "0A" && words[1].ends_with(&format!(":{port:04X}")) {
                found.insert(words[9].parse().unwrap());
            }
        }
    }
    found
}

fn wait_for_log(dir: &MasterDir, text: &str) {
    eventually(&format!("{text:?} in the log"), || {
        let log = std::fs::read_to_string(dir.file("lunabot.log")).unwrap_or_default();
        log.contains(text).then_some(())
    });
}

#[test]
fn several_ports_are_served_at_once_on_either_family() {
    let [first, second, third] = [(); 3].map(|()| free_port());
    let has_ipv6 = TcpListener::bind(("::1", 0)).is_ok();
    let loopback6 = if has_ipv6 { "::1" } else { "127.0.0.1" };
    let dir = master_with(&format!(
        "c.protocols = {{ pb = {{ port = {{ {first}, 'tcp:{second}:interface=127.0.0.1', \
         {{ port = {third}, interface = '{loopback6}' }} }} }} }}"
    ));
    let _master = dir.start();
    assert!(greets("127.0.0.1", first) && greets("127.0.0.1", second) && greets(loopback6, third));
    if has_ipv6 {
        assert!(greets("::1", first), "a port without an interface is on both families");
        assert!(TcpStream::connect(("127.0.0.1", third)).is_err());
        assert!(TcpStream::connect(("::1", second)).is_err());
    }
}

#[test]
fn a_port_that_stays_keeps_its_socket_and_who_waits_there_through_each_reload() {
    let [port, other] = [(); 2].map(|()| free_port());
    let pb = |ports: &str| format!("c.protocols = {{ pb = {{ port = {{ {ports} }} }} }}");
    let plain = format!("'tcp:{port}:interface=127.0.0.1'");
    let dir = master_with(&pb(&plain));
    let _master = dir.start();
    let sockets = listening(port);
    assert_eq!(sockets.len(), 1);
    let mut attached = connect("127.0.0.1", port);
    let mut heard = vec![0; DIALECTS.len()];
    attached.read_exact(&mut heard).unwrap();

    reconfigure(&dir, &pb(&format!("{plain}, {other}")));
    assert!(greets("127.0.0.1", other));
    assert_eq!(listening(port), sockets);
    let secured = format!(
        "{{ port = {port}, interface = '127.0.0.1', backlog = 7, tls = {{ cert = 'cert.pem', key = 'key.pem' }} }}"
    );
    reconfigure(&dir, &pb(&secured));
    assert_eq!(listening(port), sockets);
    eventually("the other port to be closed", || listening(other).is_empty().then_some(()));
    // The socket is the same, and what is behind it is another.
    let mut stranger = connect("127.0.0.1", port);
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    wait_for_log(&dir, "the peer speaks HTTP; this port speaks TLS");
    let protocol = format!("c.protocols = {{ msgpack_experimental_v7 = {{ port = {plain} }} }}");
    reconfigure(&dir, &protocol);
    assert_eq!(listening(port), sockets);
    reconfigure(&dir, &pb(&plain));
    assert!(greets("127.0.0.1", port));
    assert_eq!(listening(port), sockets);
    // Who came before all this is still there.
    attached.set_nonblocking(true).unwrap();
    assert_eq!(attached.read(&mut heard).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn an_address_that_holds_the_one_in_use_is_refused_with_the_way_to_get_there() {
    let port = free_port();
    let dir = master_with(&format!("c.protocols = {{ pb = {{ port = 'tcp:{port}:interface=127.0.0.1' }} }}"));
    let _master = dir.start();
    configure(&dir, &format!("c.protocols = {{ pb = {{ port = {port} }} }}"));
    let refused = dir.run("reconfig", &[]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&[refused.stdout, refused.stderr].concat()).into_owned();
    assert!(said.contains("take the port away in one reload"), "{said}");
    assert!(greets("127.0.0.1", port));
}

/// A ClientHello of TLS 1.1, as a client of 2010 sends it. Source: RFC 4346, section 7.4.1.2.
fn old_client_hello() -> Vec<u8> {
    let mut hello = vec![0x03, 0x02];
    hello.extend([7; 32]);
    // No session, one cipher (TLS_RSA_WITH_AES_128_CBC_SHA), no compression.
    hello.extend([0, 0, 2, 0x00, 0x2f, 1, 0]);
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![0x16, 0x03, 0x01, 0, length + 4, 1, 0, 0, length];
    record.extend(hello);
    record
}

#[test]
fn a_peer_at_the_wrong_door_ends_in_one_line_that_says_so() {
    let [pb, tls, msgpack] = [(); 3].map(|()| free_port());
    let dir = master_with(&format!(
        "c.protocols = {{ pb = {{ port = {{ 'tcp:{pb}:interface=127.0.0.1', \
         'ssl:{tls}:key.pem:cert.pem:interface=127.0.0.1' }} }}, \
         msgpack_experimental_v7 = {{ port = 'tcp:{msgpack}:interface=127.0.0.1' }} }}"
    ));
    let _master = dir.start();
    let http: &[u8] = b"GET / HTTP/1.1\r\nHost: lunabot\r\n\r\n";
    let hello = old_client_hello();
    // What is said, where, and what the master says of it. Each text stands in the log once.
    let cases: [(u16, &[u8], &str); 7] = [
        (pb, http, "the peer speaks HTTP; this port does not"),
        (pb, &hello, "the peer speaks TLS; this port does not"),
        (msgpack, &hello, "a connection ended before its login: the peer speaks TLS; this port does not"),
        (tls, http, "the TLS handshake failed: the peer speaks HTTP; this port speaks TLS"),
        (tls, b"\x02\x82pb", "the TLS handshake failed: the peer speaks no TLS; this port speaks TLS"),
        (tls, &hello, "the TLS handshake failed: the peer speaks too old a version of TLS"),
        // As a PB worker without TLS: it waits for the master's first word.
        (tls, b"", "the TLS handshake failed: the peer said nothing within 10 s"),
    ];
    std::thread::scope(|scope| {
        for (port, said, told) in cases {
            let dir = &dir;
            scope.spawn(move || {
                let mut peer = connect("127.0.0.1", port);
                peer.write_all(said).unwrap();
                let mut heard = Vec::new();
                // The master ends it; how, does not matter.
                drop(peer.read_to_end(&mut heard));
                assert!(heard.len() < 100, "{heard:?}");
                wait_for_log(dir, told);
            });
        }
    });
    let log = std::fs::read_to_string(dir.file("lunabot.log")).unwrap();
    let lines = log.lines().filter(|line| line.contains("TLS") && line.contains("peer")).count();
    assert_eq!(lines, 6, "{log}");
    assert!(greets("127.0.0.1", pb));
}

#[test]
fn a_master_without_descriptors_lets_those_who_come_wait_and_serves_them_later() {
    let port = free_port();
    let dir = master_with(&format!("c.protocols = {{ pb = {{ port = 'tcp:{port}:interface=127.0.0.1' }} }}"));
    let master = dir.start();
    let pid = Pid::from_raw(master.pid().cast_signed()).unwrap();
    let used = std::fs::read_dir(format!("/proc/{}/fd", master.pid())).unwrap().count();
    let before =
        prlimit(Some(pid), Resource::Nofile, Rlimit { current: Some(used as u64 + 4), maximum: Some(4096) })
            .unwrap();
    let crowd: Vec<TcpStream> = (0..20).map(|_| connect("127.0.0.1", port)).collect();
    wait_for_log(&dir, "cannot accept connections; those who come wait");
    let last = crowd.into_iter().next_back().unwrap();
    prlimit(
        Some(pid),
        Resource::Nofile,
        Rlimit { current: Some(4096), maximum: before.maximum.map(|_| 4096) },
    )
    .unwrap();
    // It came while there was no place, and was not lost.
    let mut heard = vec![0; DIALECTS.len()];
    (&last).read_exact(&mut heard).unwrap();
    assert_eq!(heard, DIALECTS);
    let log = std::fs::read_to_string(dir.file("lunabot.log")).unwrap();
    assert_eq!(log.matches("cannot accept connections").count(), 1, "{log}");
}

#[test]
fn silent_peers_on_a_port_with_tls_give_way_as_soon_as_they_are_many_and_do_not_flood_the_log() {
    let port = free_port();
    let dir = master_with(&format!(
        "c.protocols = {{ pb = {{ port = 'ssl:{port}:key.pem:cert.pem:interface=127.0.0.1' }} }}"
    ));
    let _master = dir.start();
    let start = std::time::Instant::now();
    // More than half of the places of those who log in.
    let crowd: Vec<TcpStream> = (0..600).map(|_| connect("127.0.0.1", port)).collect();
    for mut peer in crowd {
        drop(peer.read_to_end(&mut Vec::new()));
        // Some stay that began to be silent last, when half of the places were free again.
        if start.elapsed() > Duration::from_secs(8) {
            break;
        }
    }
    let gone = "the TLS handshake failed: the peer said nothing within 2 s";
    wait_for_log(&dir, gone);
    let log = std::fs::read_to_string(dir.file("lunabot.log")).unwrap();
    let lines = log.lines().filter(|line| line.contains("the TLS handshake failed")).count();
    // One for each number of seconds that they had.
    assert!(lines <= 10, "{lines} lines");
}

#[test]
fn a_peer_of_ipv4_is_told_by_its_own_address_on_a_port_of_both_families() {
    let port = free_port();
    let dir = master_with(&format!("c.protocols = {{ pb = {{ port = {port} }} }}"));
    let _master = dir.start();
    let mut peer = connect("127.0.0.1", port);
    peer.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    drop(peer.read_to_end(&mut Vec::new()));
    let told = wait_for_line(&dir, "the peer speaks HTTP; this port does not");
    assert!(told.contains("peer=127.0.0.1:"), "{told}");
}

/// The line of the master's log that has this in it, once there is one.
fn wait_for_line(dir: &MasterDir, text: &str) -> String {
    eventually(&format!("{text:?} in the log"), || {
        let log = std::fs::read_to_string(dir.file("lunabot.log")).unwrap_or_default();
        log.lines().find(|line| line.contains(text)).map(str::to_owned)
    })
}
