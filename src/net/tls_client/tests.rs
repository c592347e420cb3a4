//! Both sides of handshakes, with certificates good and bad.

use std::{
    io::Write as _,
    net::Ipv4Addr,
    time::{Duration, SystemTime},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    time,
};

use super::*;
use crate::net::{
    ServerTls, TlsPaths,
    testing::{Authority, Pair},
};

const WITHIN: Duration = Duration::from_secs(30);

/// Writes a file of a test.
fn file(dir: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    path
}

fn server(dir: &tempfile::TempDir, pair: &Pair, client_ca: Option<&Authority>) -> ServerTls {
    let paths = TlsPaths {
        cert: file(dir, "server.pem", &pair.cert),
        key: file(dir, "server-key.pem", &pair.key),
        chain: None,
        client_ca: client_ca.map(|authority| file(dir, "client-ca.pem", &authority.pem)),
    };
    ServerTls::load(paths).unwrap()
}

fn client(dir: &tempfile::TempDir, trusted: &Authority, own: Option<&Pair>) -> ClientTls {
    let ca = file(dir, "ca.pem", &trusted.pem);
    let own = own.map(|own| (file(dir, "own.pem", &own.cert), file(dir, "own-key.pem", &own.key)));
    ClientTls::load(Some(&ca), own.as_ref().map(|(cert, key)| (cert.as_path(), key.as_path()))).unwrap()
}

/// What becomes of a client that meets a server: whether an answer came, or why none did.
async fn meet(server: &ServerTls, client: &ClientTls, name: &str) -> Result<(), String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = async {
        let (socket, _) = listener.accept().await.unwrap();
        if let Ok(mut stream) = server.accept(socket, time::sleep(WITHIN)).await {
            stream.write_all(b"hello").await.unwrap();
            stream.shutdown().await.unwrap();
        }
    };
    let called = async {
        let socket = Stream::Plain(TcpStream::connect(address).await.unwrap());
        let mut stream = client.connect(socket, name).await.map_err(|error| error.to_string())?;
        let mut word = String::new();
        match stream.read_to_string(&mut word).await {
            Ok(_) => assert_eq!(word, "hello"),
            Err(error) => return Err(ClientHandshakeError::from_late(&error).unwrap().to_string()),
        }
        Ok(())
    };
    time::timeout(WITHIN, async { tokio::join!(served, called).1 }).await.unwrap()
}

#[tokio::test]
async fn a_peer_is_let_in_by_its_authority_and_its_name_and_by_nothing_less() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new(), Authority::new());
    let good = server(&dir, &ours.issue("ci.example.org"), None);
    let trusting = client(&dir, &ours, None);
    assert_eq!(meet(&good, &trusting, "ci.example.org").await, Ok(()));
    assert_eq!(meet(&good, &trusting, "127.0.0.1").await, Ok(()), "an address may be in it as well");

    let refused = meet(&good, &trusting, "other.example.org").await.expect_err("another name");
    assert!(
        refused.ends_with("it is for `ci.example.org`, `127.0.0.1`, not for `other.example.org`"),
        "{refused}"
    );
    let refused = meet(&good, &client(&dir, &theirs, None), "ci.example.org").await.expect_err("a stranger");
    assert!(refused.contains("is from no authority that is trusted here"), "{refused}");
    let old = server(&dir, &ours.issue_expired("ci.example.org"), None);
    let refused = meet(&old, &client(&dir, &ours, None), "ci.example.org").await.expect_err("it has expired");
    assert!(refused.contains("has expired"), "{refused}");
    let odd = server(&dir, &ours.issue_client("ci.example.org"), None);
    let refused = meet(&odd, &trusting, "ci.example.org").await.expect_err("it is one for clients");
    assert!(refused.contains("is not made for servers"), "{refused}");
    let refused = meet(&good, &trusting, "no name").await.expect_err("it is none");
    assert_eq!(refused, "`no name` is no name that a certificate can have");
}

#[tokio::test]
async fn a_certificate_that_is_signed_by_itself_is_trusted_where_it_is_given_and_for_its_name_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let own = |is_authority: bool, has_expired: bool| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["ci.example.org".to_owned()]).unwrap();
        if is_authority {
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        }
        if has_expired {
            params.not_after = (SystemTime::now() - Duration::from_secs(60)).into();
        }
        Pair { cert: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
    };
    for is_authority in [false, true] {
        let (pair, other) = (own(is_authority, false), own(is_authority, false));
        let trusting = |pair: &Pair| ClientTls::load(Some(&file(&dir, "ca.pem", &pair.cert)), None).unwrap();
        let good = server(&dir, &pair, None);
        assert_eq!(meet(&good, &trusting(&pair), "ci.example.org").await, Ok(()));
        let refused = meet(&good, &trusting(&pair), "localhost").await.expect_err("another name");
        assert!(refused.contains("not for `localhost`"), "{refused}");
        let refused = meet(&good, &trusting(&other), "ci.example.org").await;
        let refused = refused.expect_err("another of the same name");
        assert!(refused.contains("is from no authority that is trusted here"), "{refused}");
        let old = own(is_authority, true);
        let refused = meet(&server(&dir, &old, None), &trusting(&old), "ci.example.org").await;
        let refused = refused.expect_err("it has expired");
        assert!(refused.contains("has expired"), "{refused}");
    }
}

#[tokio::test]
async fn what_a_peer_has_against_the_own_certificate_is_told_although_it_comes_late() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new(), Authority::new());
    let mutual = server(&dir, &ours.issue("localhost"), Some(&ours));
    let with = |own: Option<&Pair>| client(&dir, &ours, own);
    assert_eq!(meet(&mutual, &with(Some(&ours.issue_client("bot"))), "localhost").await, Ok(()));
    let refused = meet(&mutual, &with(None), "localhost").await.expect_err("it has none");
    assert_eq!(refused, "the peer demands a certificate of this side, and has got none");
    let refused = meet(&mutual, &with(Some(&theirs.issue_client("bot"))), "localhost").await;
    let refused = refused.expect_err("it is a stranger's");
    assert!(refused.contains("does not accept the certificate of this side"), "{refused}");
    assert!(refused.contains("its authority is not known there"), "{refused}");
}

#[tokio::test]
async fn a_folder_of_authorities_counts_as_all_of_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new();
    file(&folder, "README", "no certificate");
    let error = ClientTls::load(Some(folder.path()), None).expect_err("there is none in it");
    assert!(error.to_string().contains("holds no file that ends in `.pem`"), "{error}");
    file(&folder, "a.pem", &Authority::new().pem);
    file(&folder, "b.crt", &ours.pem);
    let trusting = ClientTls::load(Some(folder.path()), None).unwrap();
    assert_eq!(meet(&server(&dir, &ours.issue("localhost"), None), &trusting, "localhost").await, Ok(()));
    file(&folder, "c.pem", "broken");
    let error = ClientTls::load(Some(folder.path()), None).expect_err("one is broken");
    assert!(error.to_string().contains("c.pem` holds no certificate"), "{error}");
}

#[test]
fn files_that_cannot_be_used_are_told_without_a_word_of_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let ours = Authority::new();
    let (pair, other) = (ours.issue_client("bot"), ours.issue_client("bot"));
    let ca = file(&dir, "ca.pem", &ours.pem);
    let (cert, key) = (file(&dir, "cert.pem", &pair.cert), file(&dir, "key.pem", &pair.key));
    let other = file(&dir, "other.pem", &other.key);
    assert!(ClientTls::load(Some(&ca), Some((&cert, &key))).is_ok());
    let missing = dir.path().join("missing.pem");
    let broken = file(&dir, "broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for (ca, cert, key, wanted) in [
        (&missing, &cert, &key, "cannot read"),
        (&broken, &cert, &key, "broken.pem` holds a certificate that is broken"),
        (&key, &cert, &key, "key.pem` holds no certificate"),
        (&ca, &cert, &other, "is not that of the certificate"),
        (&ca, &cert, &cert, "cert.pem` holds no private key"),
    ] {
        let error = ClientTls::load(Some(ca), Some((cert, key))).expect_err(wanted);
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(wanted) && !shown.contains("MI"), "{wanted}: {shown}");
    }
}

#[tokio::test]
async fn peers_that_speak_something_else_or_hang_up_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let ours = Authority::new();
    for (answer, wanted) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "the peer speaks no TLS on this port"),
        (b"\x0e\x82none\x04\x87pb", "the peer speaks no TLS on this port"),
        (b"", "the peer hung up in the midst of it"),
    ] {
        let (near, mut far) = UnixStream::pair().unwrap();
        let answered = async {
            let mut asked = [0; 64];
            assert!(far.read(&mut asked).await.unwrap() > 0);
            far.write_all(answer).await.unwrap();
            drop(far);
        };
        let tls = client(&dir, &ours, None);
        let called = tls.connect(Stream::Unix(Box::new(near)), "localhost");
        let error = tokio::join!(answered, called).1.expect_err(wanted);
        assert_eq!(error.to_string(), wanted);
    }
}

#[tokio::test]
async fn a_socket_of_this_machine_carries_bytes_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let mut near = Stream::Unix(Box::new(UnixStream::connect(&path).await.unwrap()));
    let (mut far, _) = listener.accept().await.unwrap();
    near.write_all(b"ping").await.unwrap();
    near.flush().await.unwrap();
    near.shutdown().await.unwrap();
    let mut heard = String::new();
    far.read_to_string(&mut heard).await.unwrap();
    far.write_all(b"pong").await.unwrap();
    drop(far);
    near.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "pingpong");
}
