//! A peer on a worker's port that is no worker: it says what it likes, byte by byte.
//!
//! The bytes are those that a worker was seen to send; none of the master's own code makes them.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    time::Duration,
};

/// A stream without an end: more than the 10 s that a master gives to who has not logged in.
const LIMIT: Duration = Duration::from_secs(30);

/// What the master says first: the list `('pb' 'none')`.
pub(super) const DIALECTS: &[u8] = b"\x02\x80\x02\x82pb\x04\x82none";

/// A worker's choice of a dialect, and its version.
pub(super) const CHOICE: &[u8] = b"\x02\x82pb\x02\x80\x13\x87\x06\x81";

/// A connection to the port.
pub(super) struct Peer {
    stream: TcpStream,
}

/// The call `login` of this name.
pub(super) fn login(name: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).ok().filter(|length| *length < 128).expect("a short name");
    let mut call = b"\x07\x80\x1a\x87\x01\x81\x04\x82root\x14\x87\x01\x81\x02\x80\x0b\x87".to_vec();
    call.extend([length, 0x82]);
    call.extend(name.as_bytes());
    call.extend(b"\x01\x80\x05\x87");
    call
}

/// The call `respond`, which answers the challenge: with zeroes, which is wrong for each password.
pub(super) fn wrong_response() -> Vec<u8> {
    let mut call =
        b"\x07\x80\x1a\x87\x02\x81\x01\x81\x07\x82respond\x01\x81\x03\x80\x0b\x87\x10\x82".to_vec();
    call.extend([0; 16]);
    call.extend(b"\x02\x80\x10\x87\x01\x81\x01\x80\x05\x87");
    call
}

impl Peer {
    pub(super) fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        Self { stream }
    }

    /// Sends bytes; a connection that the master has ended meanwhile is no fault.
    pub(super) fn say(&mut self, bytes: &[u8]) {
        drop(self.stream.write_all(bytes));
    }

    /// Sends no more, and says so.
    pub(super) fn finish(&mut self) {
        drop(self.stream.shutdown(Shutdown::Write));
    }

    /// Reads until this has come; what came, it included.
    pub(super) fn read_until(&mut self, wanted: &[u8]) -> Vec<u8> {
        let mut heard = Vec::new();
        let mut byte = [0];
        while !heard.ends_with(wanted) {
            assert_eq!(self.stream.read(&mut byte).unwrap(), 1, "the connection ended after {heard:?}");
            heard.push(byte[0]);
        }
        heard
    }

    /// Reads until this has come; false if the connection ends before.
    pub(super) fn hears(&mut self, wanted: &[u8]) -> bool {
        let mut heard = Vec::new();
        let mut byte = [0];
        while !heard.ends_with(wanted) {
            match self.stream.read(&mut byte) {
                Ok(1) => heard.push(byte[0]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("heard {heard:?} and no more"),
                _ => return false,
            }
        }
        true
    }

    /// Reads what there is, and finds the connection open after it.
    ///
    /// # Panics
    /// If the master ends it within a second.
    pub(super) fn hears_nothing_more(&mut self) {
        self.stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut rest = [0; 4096];
        loop {
            match self.stream.read(&mut rest) {
                Ok(0) => panic!("the master has ended the connection"),
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    break;
                }
            }
        }
        self.stream.set_read_timeout(Some(LIMIT)).unwrap();
    }

    /// Reads exactly so many bytes.
    pub(super) fn read(&mut self, count: usize) -> Vec<u8> {
        let mut heard = vec![0; count];
        self.stream.read_exact(&mut heard).unwrap();
        heard
    }

    /// Reads until the master ends the connection; what came before.
    ///
    /// # Panics
    /// If it lives longer than [`LIMIT`].
    pub(super) fn read_to_end(mut self) -> Vec<u8> {
        let mut heard = Vec::new();
        match self.stream.read_to_end(&mut heard) {
            Ok(_) => heard,
            // The master ended it while there was something it had not read.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => heard,
            Err(error) => panic!("the connection did not end within {LIMIT:?}: {error}"),
        }
    }
}
