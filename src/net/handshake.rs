//! The handshake on a port with TLS, and the reason if there is none in plain words.
//!
//! # Laws
//! - It ends with the caller's patience, whatever the peer does or does not do.
//! - A peer that is refused is told so by an alert, and is given a moment to read it.
//!
//! # Not here
//! Certificates (`tls`), and who may log in afterwards (`worker::gate`).

use std::{io, pin::pin, time::Duration};

use rustls::{AlertDescription, CertificateError, PeerIncompatible};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{self, Instant},
};
use tokio_rustls::TlsAcceptor;

use super::{Stranger, Stream, tls::ServerTls};

/// How long a refused peer may take to read why.
const FAREWELL: Duration = Duration::from_secs(2);

/// The first byte of a handshake record. Source: RFC 8446, section 5.1.
const HANDSHAKE: u8 = 0x16;

/// Why there was no handshake. Each text goes after "the TLS handshake failed: ".
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// It waits for the master's first word, as a worker without TLS does.
    #[error(
        "the peer said nothing within {} s; a PB worker without TLS waits like this",
        within.as_secs()
    )]
    Silent {
        /// How long it had.
        within: Duration,
    },
    /// It began, and did not go on.
    #[error("not done within {} s", within.as_secs())]
    TooSlow {
        /// How long it had.
        within: Duration,
    },
    /// It hung up before its first word.
    #[error("the peer hung up without a word")]
    HungUp,
    /// It speaks something else.
    #[error("{}; this port speaks TLS", stranger.map_or_else(|| "the peer speaks no TLS".into(), |s| s.to_string()))]
    NoTls {
        /// What, if that can be told.
        stranger: Option<Stranger>,
    },
    /// It knows no version of TLS that is spoken here.
    #[error("the peer speaks too old a version of TLS; 1.2 and 1.3 are spoken here")]
    Version,
    /// It has no cipher, curve or signature that is spoken here.
    #[error("the peer has no cipher, curve or signature in common with this port")]
    NothingInCommon,
    /// It does not accept the port's certificate.
    #[error("the peer does not accept this port's certificate ({})", alert_text(*alert))]
    Refused {
        /// What it said.
        alert: AlertDescription,
    },
    /// It showed no certificate where one is demanded.
    #[error("the peer has no certificate, which `client_ca` demands")]
    NoCertificate,
    /// It showed a certificate that is not accepted.
    #[error("the peer's certificate is refused: it {}", certificate_text(why))]
    Certificate {
        /// Why.
        why: CertificateError,
    },
    /// It ended it for another reason of its own.
    #[error("the peer ended it with the alert {alert:?}")]
    Alert {
        /// What it said.
        alert: AlertDescription,
    },
    /// It breaks the rules of TLS.
    #[error("the peer breaks the rules of TLS")]
    Tls(#[source] rustls::Error),
    /// The connection failed or ended in the midst of it.
    #[error("the connection ended in the midst of it")]
    Socket(#[source] io::Error),
}

pub(super) const fn alert_text(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::UnknownCA => "its authority is not known there",
        AlertDescription::CertificateExpired => "it has expired",
        AlertDescription::CertificateRevoked => "it is revoked",
        AlertDescription::UnsupportedCertificate => "it is of a kind that is not known there",
        _ => "it is for another name, or broken",
    }
}

const fn certificate_text(why: &CertificateError) -> &'static str {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "is not valid yet",
        CertificateError::UnknownIssuer => "is not from an authority in `client_ca`",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not made for clients"
        }
        _ => "is broken, or made in a way that is not accepted",
    }
}

impl ServerTls {
    /// Makes a TLS connection of a socket that was accepted.
    ///
    /// # Errors
    /// [`HandshakeError`]: it is closed then, once `patience` returns, and a moment more for a farewell.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the connection is closed.
    pub async fn accept(
        &self,
        socket: TcpStream,
        patience: impl Future<Output = ()>,
    ) -> Result<Stream, HandshakeError> {
        let begun_at = Instant::now();
        let mut patience = pin!(patience);
        let mut opening = [0; 8];
        let peeked = tokio::select! {
            // Cancel-safe: the connection ends.
            peeked = socket.peek(&mut opening) => peeked,
            () = &mut patience => return Err(HandshakeError::Silent { within: begun_at.elapsed() }),
        };
        let count = match peeked {
            Err(error) => return Err(HandshakeError::Socket(error)),
            Ok(0) => return Err(HandshakeError::HungUp),
            Ok(count) => count,
        };
        let opening = &opening[..count];
        if opening.first() != Some(&HANDSHAKE) {
            let stranger = Stranger::of(opening);
            bid_farewell(socket).await;
            return Err(HandshakeError::NoTls { stranger });
        }
        let accept = TlsAcceptor::from(self.config.clone()).accept(socket).into_fallible();
        let done = tokio::select! {
            // Cancel-safe: the connection ends.
            done = accept => done,
            () = patience => return Err(HandshakeError::TooSlow { within: begun_at.elapsed() }),
        };
        match done {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
            Err((error, socket)) => {
                bid_farewell(socket).await;
                Err(error.into())
            }
        }
    }
}

/// Lets the peer hang up: a socket that is closed with bytes unread takes its last words back.
async fn bid_farewell(mut socket: TcpStream) {
    let farewell = async {
        socket.shutdown().await?;
        while socket.read(&mut [0; 256]).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    // It may be in no mood for it.
    drop(time::timeout(FAREWELL, farewell).await);
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
            return Self::Socket(error);
        };
        match tls {
            rustls::Error::NoCertificatesPresented => Self::NoCertificate,
            rustls::Error::InvalidCertificate(why) => Self::Certificate { why: why.clone() },
            rustls::Error::AlertReceived(alert) if is_about_certificate(*alert) => {
                Self::Refused { alert: *alert }
            }
            rustls::Error::AlertReceived(alert) => Self::Alert { alert: *alert },
            rustls::Error::PeerIncompatible(
                PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::SupportedVersionsExtensionRequired
                // No client of TLS 1.2 leaves its signatures out; older ones know none.
                | PeerIncompatible::SignatureAlgorithmsExtensionRequired,
            ) => Self::Version,
            rustls::Error::PeerIncompatible(_) => Self::NothingInCommon,
            other => Self::Tls(other.clone()),
        }
    }
}

pub(super) const fn is_about_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
    )
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, net::Ipv4Addr, sync::Arc};

    use rustls::{ClientConfig, pki_types::ServerName};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsConnector;

    use super::{
        super::testing::{Authority, Pair, client_config},
        *,
    };
    use crate::net::TlsPaths;

    fn server(dir: &std::path::Path, pair: &Pair, client_ca: Option<&str>) -> ServerTls {
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
            path
        };
        let paths = TlsPaths {
            cert: write("cert.pem", &pair.cert),
            key: write("key.pem", &pair.key),
            chain: None,
            client_ca: client_ca.map(|text| write("ca.pem", text)),
        };
        ServerTls::load(paths).unwrap()
    }

    /// What becomes of a client with these settings; its own error stands after the server's.
    async fn meet(tls: &ServerTls, client: ClientConfig) -> Result<(), String> {
        const WITHIN: Duration = Duration::from_secs(30);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = async {
            let (socket, _) = listener.accept().await.unwrap();
            let mut stream =
                tls.accept(socket, time::sleep(WITHIN)).await.map_err(|error| error.to_string())?;
            let mut word = [0; 5];
            stream.read_exact(&mut word).await.unwrap();
            stream.write_all(&word).await.unwrap();
            stream.flush().await.unwrap();
            // A peer that ends without the farewell of TLS has ended all the same.
            assert_eq!(stream.read(&mut word).await.unwrap(), 0);
            Ok(())
        };
        let called = async {
            let socket = TcpStream::connect(address).await.unwrap();
            let name = ServerName::try_from("localhost").unwrap();
            let Ok(mut stream) = TlsConnector::from(Arc::new(client)).connect(name, socket).await else {
                return;
            };
            let mut word = [0; 5];
            if stream.write_all(b"hello").await.is_ok() && stream.read_exact(&mut word).await.is_ok() {
                assert_eq!(&word, b"hello");
                drop(stream.into_inner().0);
            }
        };
        tokio::join!(served, called).0
    }

    #[tokio::test]
    async fn each_failure_has_its_reason_in_plain_words() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, theirs) = (Authority::new(), Authority::new());
        let pair = ours.issue("localhost");
        let plain = server(dir.path(), &pair, None);
        assert_eq!(meet(&plain, client_config(&ours, None)).await, Ok(()));
        let refused = meet(&plain, client_config(&theirs, None)).await.expect_err("another authority");
        assert!(refused.contains("its authority is not known there"), "{refused}");

        let mutual = server(dir.path(), &pair, Some(&ours.pem));
        let bot = ours.issue_client("bot");
        assert_eq!(meet(&mutual, client_config(&ours, Some(&bot))).await, Ok(()));
        for (client, wanted) in [
            (None, "has no certificate"),
            (Some(theirs.issue_client("bot")), "is not from an authority in `client_ca`"),
            (Some(ours.issue_expired_client("bot")), "has expired"),
            (Some(ours.issue("localhost")), "is not made for clients"),
        ] {
            let refused = meet(&mutual, client_config(&ours, client.as_ref())).await;
            let refused = refused.expect_err("this client is refused");
            assert!(refused.contains(wanted), "{wanted}: {refused}");
        }

        let expired = server(dir.path(), &ours.issue_expired("localhost"), None);
        let refused = meet(&expired, client_config(&ours, None)).await.expect_err("the client looks");
        assert!(refused.contains("does not accept this port's certificate (it has expired)"), "{refused}");
    }
}
