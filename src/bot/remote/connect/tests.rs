//! Real sockets of this machine, with the test at their other end.

use std::net::{Ipv4Addr, Ipv6Addr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UnixListener},
    time::Instant,
};

use super::*;
use crate::{
    exec::testing::within,
    net::{ServerTls, TlsPaths, testing::Authority},
};

fn tcp(host: &str, port: u16) -> Server {
    Server { address: Address::Tcp { host: host.into(), port }, tls: None, proxy: None }
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A port of nobody.
async fn free_port() -> u16 {
    listener().await.1
}

/// Why there is no connection, on one line.
async fn refused(server: &Server) -> String {
    super::super::failure::chain(&within(connect(server)).await.expect_err("there is nobody"))
}

/// What can be read of a connection once its other end has said all.
async fn heard(server: &Server) -> String {
    let mut stream = within(connect(server)).await.unwrap().stream;
    let mut all = String::new();
    within(stream.read_to_string(&mut all)).await.unwrap();
    all
}

#[tokio::test]
async fn what_was_tried_is_told() {
    let port = free_port().await;
    assert_eq!(refused(&tcp("127.0.0.1", port)).await, format!("nobody listens on 127.0.0.1:{port}"));
    let text = refused(&tcp("no-such-host.invalid", port)).await;
    assert!(text.starts_with("cannot find the address of `no-such-host.invalid`: "), "{text}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.sock");
    let unix = Server { address: Address::Unix(path.clone()), tls: None, proxy: None };
    let text = refused(&unix).await;
    assert!(text.contains(&format!("cannot connect to the socket `{}`: ", path.display())), "{text}");
    let by_proxy = Server { proxy: Some(("127.0.0.1".into(), port)), ..unix.clone() };
    assert!(refused(&by_proxy).await.contains("no proxy leads to the socket"));
    let tls = Server {
        tls: Some(ClientTlsPaths { ca: Some("/missing/ca.pem".into()), ..Default::default() }),
        ..unix
    };
    let text = refused(&tls).await;
    assert!(text.contains("cannot use the files for TLS: cannot read `/missing/ca.pem`: "), "{text}");
}

#[tokio::test]
async fn names_addresses_and_sockets_of_this_machine_lead_there() {
    let (listener, port) = listener().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.sock");
    let unix = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        for _ in 0..2 {
            listener.accept().await.unwrap().0.write_all(b"by TCP").await.unwrap();
        }
        unix.accept().await.unwrap().0.write_all(b"by socket").await.unwrap();
    });
    assert_eq!(heard(&tcp("127.0.0.1", port)).await, "by TCP");
    assert_eq!(heard(&tcp("localhost", port)).await, "by TCP");
    let unix = Server { address: Address::Unix(path), tls: None, proxy: None };
    assert_eq!(heard(&unix).await, "by socket");
}

#[tokio::test]
async fn each_address_is_tried_and_a_silent_one_does_not_hold_up_the_others() {
    let (listener, port) = listener().await;
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let nobody = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    assert_eq!(within(first_of(vec![nobody, here])).await.unwrap().1, here);
    let tried = within(first_of(vec![nobody, nobody])).await.unwrap_err();
    assert_eq!(tried.len(), 2);

    // A queue that is full answers nobody: Linux drops what comes then.
    let full = tokio::net::TcpSocket::new_v4().unwrap();
    full.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let full = full.listen(0).unwrap();
    let silent = full.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(done) = timeout(HEAD_START, TcpStream::connect(silent)).await {
        waiting.push(done.unwrap());
    }
    let begun = Instant::now();
    assert_eq!(within(first_of(vec![silent, here])).await.unwrap().1, here);
    assert!(begun.elapsed() >= HEAD_START);
    drop(listener);
}

#[tokio::test]
async fn a_call_that_reaches_the_caller_itself_has_reached_nobody() {
    let own = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port().await));
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(own).unwrap();
    let itself = within(socket.connect(own)).await.unwrap();
    assert!(is_itself(&itself));
    let (_listener, port) = listener().await;
    assert!(!is_itself(&TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap()));
}

#[tokio::test]
async fn a_proxy_leads_on_and_nothing_that_the_master_says_is_lost() {
    let (listener, port) = listener().await;
    let server = Server { proxy: Some(("127.0.0.1".into(), port)), ..tcp("ci.example.org", 9989) };
    let served = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut asked = vec![0; 1024];
        let count = socket.read(&mut asked).await.unwrap();
        // The head in pieces, and the first words of the master at its heels.
        socket.write_all(b"HTTP/1.1 200 Connection estab").await.unwrap();
        time_for_the_other_side().await;
        socket.write_all(b"lished\r\nVia: here\r\n\r\nwelcome").await.unwrap();
        String::from_utf8(asked[..count].to_vec()).unwrap()
    };
    let (asked, heard) = tokio::join!(served, heard(&server));
    assert_eq!(asked, "CONNECT ci.example.org:9989 HTTP/1.1\r\nHost: ci.example.org:9989\r\n\r\n");
    assert_eq!(heard, "welcome");
}

async fn time_for_the_other_side() {
    sleep(Duration::from_millis(20)).await;
}

#[tokio::test]
async fn a_proxy_that_does_not_lead_on_is_told_with_its_answer() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(proxy::MAX_HEAD_BYTES));
    for (answer, wanted) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "it answers 407 (Proxy Authentication Required)",
        ),
        ("HTTP/1.1 502\r\n\r\n", "it answers 502"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "it does not speak HTTP"),
        ("", "it hung up without an answer"),
        (&long, "its answer is longer than 8192 bytes"),
    ] {
        let (listener, port) = listener().await;
        let server = Server { proxy: Some(("localhost".into(), port)), ..tcp("::1", 9989) };
        let served = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            assert!(socket.read(&mut asked).await.unwrap() > 0);
            socket.write_all(answer.as_bytes()).await.unwrap();
            socket.shutdown().await.unwrap();
            // Until it is closed by the other side.
            while socket.read(&mut asked).await.is_ok_and(|count| count > 0) {}
        };
        let ((), text) = within(async { tokio::join!(served, refused(&server)) }).await;
        assert_eq!(text, format!("the proxy localhost:{port} does not lead to [::1]:9989: {wanted}"));
    }
}

#[tokio::test]
async fn tls_is_spoken_with_the_master_behind_a_proxy_and_a_socket_needs_a_name() {
    let dir = tempfile::tempdir().unwrap();
    let ours = Authority::new();
    let pair = ours.issue("ci.example.org");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let ca = file("ca.pem", &ours.pem);
    let paths = TlsPaths {
        cert: file("cert.pem", &pair.cert),
        key: file("key.pem", &pair.key),
        chain: None,
        client_ca: None,
    };
    let master = ServerTls::load(paths).unwrap();
    let (listener, port) = listener().await;
    let served = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        assert!(socket.read(&mut [0; 1024]).await.unwrap() > 0);
        socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut stream = master.accept(socket, sleep(WITHIN)).await.unwrap();
        stream.write_all(b"welcome").await.unwrap();
        stream.shutdown().await.unwrap();
    };
    let tls = ClientTlsPaths { ca: Some(ca), ..ClientTlsPaths::default() };
    let server = Server {
        proxy: Some(("127.0.0.1".into(), port)),
        tls: Some(tls.clone()),
        ..tcp("ci.example.org", 9989)
    };
    let ((), heard) = tokio::join!(served, heard(&server));
    assert_eq!(heard, "welcome");

    let path = dir.path().join("master.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let unix = Server { address: Address::Unix(path), tls: Some(tls), proxy: None };
    assert!(refused(&unix).await.contains("needs the name that the master's certificate has"));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_accepts_and_says_nothing_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, Authority::new().pem).unwrap();
    let tls = ClientTlsPaths { ca: Some(ca), server_name: Some("ci".into()), certificate: None };
    let server = Server { address: Address::Unix(path), tls: Some(tls), proxy: None };
    let begun = Instant::now();
    let error = connect(&server).await.expect_err("nobody answers").to_string();
    assert_eq!(error, "no answer within 30 s while waiting for the TLS handshake");
    assert!(begun.elapsed() >= WITHIN && begun.elapsed() < 2 * WITHIN);
}
