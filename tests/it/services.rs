//! The real peers of a test run: that they are there, and are what they are taken for.

use std::{
    io::{Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    time::Duration,
};

use crate::support::skip::skip;

/// How long the server may take to accept and to answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn the_postgresql_of_the_test_run_answers() {
    let Ok(url) = std::env::var("LUNABOT_TEST_POSTGRES") else {
        skip("the_postgresql_of_the_test_run_answers", "LUNABOT_TEST_POSTGRES is not set");
        return;
    };
    let address =
        host_and_port(&url).expect("the URL names a host").to_socket_addrs().unwrap().next().unwrap();
    let mut socket = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    // The question whether the server speaks TLS, which it answers with one letter before any login.
    // Source: PostgreSQL, "Message Formats", SSLRequest.
    socket.write_all(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]).unwrap();
    let mut answer = [0];
    socket.read_exact(&mut answer).unwrap();
    assert!(matches!(&answer, b"S" | b"N"), "not PostgreSQL at {address}: {answer:?}");
}

/// `HOST:PORT` of `postgresql://USER:PASSWORD@HOST:PORT/NAME?OPTIONS`.
fn host_and_port(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let host = authority.rsplit('@').next()?;
    let named = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Some(if named { host.to_owned() } else { format!("{host}:5432") })
}

#[test]
fn the_address_is_found_in_a_url() {
    let found = |url| host_and_port(url).unwrap();
    assert_eq!(found("postgresql://postgres@127.0.0.1:5433/postgres"), "127.0.0.1:5433");
    assert_eq!(found("postgres://u:p@db/name?sslmode=disable"), "db:5432");
    assert_eq!(found("postgresql://[::1]/x"), "[::1]:5432");
    assert_eq!(host_and_port("no url"), None);
}
