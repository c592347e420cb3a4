//! TLS on the side that connects: whom it trusts, what it shows, and why there was no handshake, in plain words.
//!
//! # Laws
//! - One crypto provider, as on the other side (`tls`), and the same versions.
//! - A peer is let in by its certificate and its name alone; nothing turns that off. Its certificate is from an authority
//!   that is trusted, or is itself among those.
//! - What cannot be used is told with its file; nothing of a private key is ever in an error, a log or a `Debug`.
//!
//! # Not here
//! When to try again, and how long to wait (`bot::remote`).

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    AlertDescription, CertificateError, ClientConfig, RootCertStore,
    client::Resumption,
    pki_types::ServerName,
    version::{TLS12, TLS13},
};
use tokio_rustls::TlsConnector;

use super::{
    Stream,
    handshake::{alert_text, is_about_certificate},
    pinned::Verifier,
    tls::{TlsError, certificates, private_key, provider},
};

/// Files in a folder of authorities: a system has some hundred.
const MOST_FILES: usize = 4096;

/// What a side that connects needs for handshakes.
pub struct ClientTls {
    config: Arc<ClientConfig>,
}

/// Why there was no handshake.
#[derive(Debug, thiserror::Error)]
pub enum ClientHandshakeError {
    /// No certificate could have this name.
    #[error("`{name}` is no name that a certificate can have")]
    Name {
        /// The name.
        name: String,
    },
    /// It hung up before it was done.
    #[error("the peer hung up in the midst of it")]
    HungUp,
    /// It speaks something else.
    #[error("the peer speaks no TLS on this port")]
    NoTls,
    /// It knows no version of TLS that is spoken here.
    #[error("the peer speaks too old a version of TLS; 1.2 and 1.3 are spoken here")]
    Version,
    /// It has no cipher, curve or signature that is spoken here, or will not say that it misses a certificate.
    #[error("the peer has nothing in common with this side, or demands another certificate of it")]
    NothingInCommon,
    /// Its certificate is not accepted.
    #[error("the peer's certificate is not trusted: it {}", certificate_text(why))]
    Untrusted {
        /// Why.
        why: CertificateError,
    },
    /// It demands a certificate.
    #[error("the peer demands a certificate of this side, and has got none")]
    NoCertificate,
    /// It does not accept the certificate of this side.
    #[error("the peer does not accept the certificate of this side ({})", alert_text(*alert))]
    Refused {
        /// What it said.
        alert: AlertDescription,
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
    /// The connection failed in the midst of it.
    #[error("the connection failed in the midst of it")]
    Socket(#[source] io::Error),
}

fn certificate_text(why: &CertificateError) -> String {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired".into(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet, by the clock of this machine".into()
        }
        CertificateError::UnknownIssuer => "is from no authority that is trusted here".into(),
        CertificateError::NotValidForName => "is for another name".into(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<_> = presented.iter().take(8).map(|name| presented_text(name)).collect();
            let expected = expected.to_str();
            match &names[..] {
                [] => format!("is not for `{expected}`, and has no name at all"),
                names => format!("is for {}, not for `{expected}`", names.join(", ")),
            }
        }
        CertificateError::Revoked => "is revoked".into(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not made for servers".into()
        }
        _ => "is broken, or made in a way that is not accepted".into(),
    }
}

/// A name in a peer's certificate, which rustls tells as `DnsName("ci.example.org")` or `IpAddress(192.0.2.1)`. It is the
/// peer's text, and may be long.
fn presented_text(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, inner)| inner.strip_suffix(')')).unwrap_or(name);
    format!(
        "`{}`",
        inner.trim_matches('"').chars().take(200).flat_map(char::escape_debug).collect::<String>()
    )
}

impl ClientTls {
    /// Reads the files and makes the settings of them. `ca` is a file of authorities, or a folder of such files; those of
    /// the system are trusted without it, where `SSL_CERT_FILE` and `SSL_CERT_DIR` count. `certificate` is this side's own
    /// and its key.
    ///
    /// Blocks on the file system.
    ///
    /// # Errors
    /// [`TlsError`]: the first file that cannot be used.
    pub fn load(ca: Option<&Path>, certificate: Option<(&Path, &Path)>) -> Result<Self, TlsError> {
        let verifier = match ca {
            None => system_authorities()?,
            Some(path) => given_authorities(path)?,
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has ciphers of both versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match certificate {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => builder
                .with_client_auth_cert(certificates(cert)?, private_key(key)?)
                .map_err(|error| TlsError::of_pair(&error, cert, key))?,
        };
        // These settings are for one connection: its files may be others at the next.
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config) })
    }

    /// Makes a TLS connection of one that leads to a peer of this name, which may be an address.
    ///
    /// A peer of TLS 1.3 looks at this side's certificate after the handshake: what it has against it comes as an error
    /// of the first read, see [`ClientHandshakeError::from_late`].
    ///
    /// # Errors
    /// [`ClientHandshakeError`]; the connection is closed then.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the connection is closed. It waits as long as the peer takes: the limit is the caller's.
    pub async fn connect(&self, stream: Stream, name: &str) -> Result<Stream, ClientHandshakeError> {
        let server_name = ServerName::try_from(name.to_owned())
            .map_err(|_| ClientHandshakeError::Name { name: name.to_owned() })?;
        let connected = TlsConnector::from(Arc::clone(&self.config)).connect(server_name, stream).await;
        Ok(Stream::ClientTls(Box::new(connected.map_err(ClientHandshakeError::from)?)))
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}

/// Whom the machine trusts. What it cannot read of that is no matter as long as there is something.
fn system_authorities() -> Result<Verifier, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs.iter().cloned());
    let none = |source| TlsError::NoRoots { source };
    if added == 0 {
        return Err(none(found.errors.into_iter().next().map(Into::into)));
    }
    Verifier::new(found.certs, roots).map_err(|error| none(Some(error.into())))
}

fn given_authorities(path: &Path) -> Result<Verifier, TlsError> {
    let mut roots = RootCertStore::empty();
    let mut all = Vec::new();
    let is_folder = fs::metadata(path).is_ok_and(|found| found.is_dir());
    let files = if is_folder { files_of(path)? } else { vec![path.to_owned()] };
    for file in files {
        let found = certificates(&file)?;
        // A bundle may hold some that are too strange to be used; but not only such.
        let (added, ignored) = roots.add_parsable_certificates(found.iter().cloned());
        if added == 0 {
            return Err(TlsError::Certificate { path: file });
        }
        if ignored > 0 {
            tracing::warn!(file = %file.display(), ignored, "certificates that cannot be understood are not trusted");
        }
        all.extend(found);
    }
    Verifier::new(all, roots).map_err(|source| TlsError::ClientCa { path: path.to_owned(), source })
}

/// The files of certificates in a folder, in the order of their names.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>, TlsError> {
    let failed = |source| TlsError::Read { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)?.take(MOST_FILES) {
        let path = entry.map_err(failed)?.path();
        let extension = path.extension().unwrap_or_default();
        if ["pem", "crt"].iter().any(|wanted| extension.eq_ignore_ascii_case(wanted)) {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(TlsError::NoFiles { path: folder.to_owned() });
    }
    files.sort();
    Ok(files)
}

impl ClientHandshakeError {
    /// What a peer has against this side, said after the handshake: an error of a read or a write holds it. Nothing if the
    /// connection failed for another reason.
    pub fn from_late(error: &io::Error) -> Option<Self> {
        match error.get_ref()?.downcast_ref::<rustls::Error>()? {
            rustls::Error::AlertReceived(alert) => Some(Self::of_alert(*alert)),
            _ => None,
        }
    }

    const fn of_alert(alert: AlertDescription) -> Self {
        match alert {
            AlertDescription::CertificateRequired => Self::NoCertificate,
            AlertDescription::ProtocolVersion => Self::Version,
            AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
                Self::NothingInCommon
            }
            alert if is_about_certificate(alert) => Self::Refused { alert },
            alert => Self::Alert { alert },
        }
    }
}

impl From<io::Error> for ClientHandshakeError {
    fn from(error: io::Error) -> Self {
        let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
            let has_ended =
                matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset);
            return if has_ended { Self::HungUp } else { Self::Socket(error) };
        };
        match tls {
            rustls::Error::InvalidCertificate(why) => Self::Untrusted { why: why.clone() },
            rustls::Error::AlertReceived(alert) => Self::of_alert(*alert),
            rustls::Error::PeerIncompatible(rustls::PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
                Self::Version
            }
            rustls::Error::PeerIncompatible(_) => Self::NothingInCommon,
            rustls::Error::InvalidMessage(_) => Self::NoTls,
            other => Self::Tls(other.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
