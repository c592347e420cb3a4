//! A port's side of TLS: certificate, key and authorities, read from their files, and the settings made of them.
//!
//! # Laws
//! - One crypto provider, aws-lc-rs, handed over by name: the process has no default one.
//! - What cannot be used is told with its file; nothing of a private key is ever in an error, a log or a `Debug`.
//! - TLS 1.2 and 1.3. No session is resumed: a client certificate is looked at in each handshake.
//!
//! # Not here
//! The handshake (`handshake`), and when files are read again (`worker::certificates`).

use std::{
    fmt, fs,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier},
    version::{TLS12, TLS13},
};
use secrecy::{ExposeSecret as _, SecretSlice};
use x509_cert::{
    Certificate,
    der::{Decode as _, SliceReader},
};

/// A file of certificates is some kilobytes; a bundle of all authorities of the world is a few hundred.
const MOST_BYTES: u64 = 4 << 20;

/// A file that changed this shortly before it was looked at may change again and keep its times.
const FRESH: Duration = Duration::from_secs(2);

/// Where the certificate of a port is. Paths as the system takes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPaths {
    /// The certificate; those that lead to its authority may follow in it.
    pub cert: PathBuf,
    /// Its private key, without a pass phrase.
    pub key: PathBuf,
    /// More certificates that lead to its authority.
    pub chain: Option<PathBuf>,
    /// The authorities of clients' certificates. With them a client without a certificate is refused.
    pub client_ca: Option<PathBuf>,
}

/// A certificate with its key, ready for handshakes.
pub struct ServerTls {
    pub(super) config: Arc<ServerConfig>,
    /// The certificate itself, to tell it from another.
    leaf: CertificateDer<'static>,
    /// From when it is good.
    pub not_before: SystemTime,
    /// Until when it is good.
    pub not_after: SystemTime,
    /// Whether each user of the machine may read the key.
    pub is_key_public: bool,
    paths: TlsPaths,
    stamps: Stamps,
}

/// Why a port cannot have its certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is no file, or far too long.
    #[error("`{}` is no file of certificates or keys", path.display())]
    NoFile {
        /// The file.
        path: PathBuf,
    },
    /// A file holds no certificate.
    #[error("`{}` holds no certificate in PEM form", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// What is in the file is no certificate that can be understood.
    #[error("`{}` holds a certificate that is broken or of an unknown kind", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
    },
    /// A file holds no key.
    #[error("`{}` holds no private key in PEM form", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key needs a pass phrase.
    #[error("the private key in `{}` is encrypted; take its pass phrase away", path.display())]
    Encrypted {
        /// The file.
        path: PathBuf,
    },
    /// The key is of a kind that is not known, or broken.
    #[error("the private key in `{}` is broken or of an unknown kind", path.display())]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// They do not belong together.
    #[error("the private key in `{}` is not that of the certificate in `{}`", key.display(), cert.display())]
    Mismatch {
        /// The file of the key.
        key: PathBuf,
        /// The file of the certificate.
        cert: PathBuf,
    },
    /// A folder holds no file of certificates.
    #[error("the folder `{}` holds no file that ends in `.pem` or `.crt`", path.display())]
    NoFiles {
        /// The folder.
        path: PathBuf,
    },
    /// The machine trusts nobody.
    #[error("this machine has no authorities that could be trusted")]
    NoRoots {
        /// Why, as far as that is known.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The authorities cannot be used.
    #[error("the certificates in `{}` cannot be authorities", path.display())]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// Why.
        source: VerifierBuilderError,
    },
}

impl TlsError {
    /// Why a certificate and a key are of no use.
    pub(super) fn of_pair(error: &rustls::Error, cert: &Path, key: &Path) -> Self {
        match error {
            rustls::Error::InconsistentKeys(_) => Self::Mismatch { key: key.into(), cert: cert.into() },
            rustls::Error::InvalidCertificate(_) => Self::Certificate { path: cert.into() },
            // Its text might quote what it could not read.
            _ => Self::Key { path: key.into() },
        }
    }
}

/// What the files were when they were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamps(Vec<Option<Stamp>>);

/// What a file was when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    is_fresh: bool,
}

/// The provider of all cryptography of TLS.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())))
}

impl TlsPaths {
    /// What the files are now. Blocks on the file system.
    pub fn look(&self) -> Stamps {
        let files = [Some(&self.cert), Some(&self.key), self.chain.as_ref(), self.client_ca.as_ref()];
        Stamps(files.into_iter().flatten().map(|path| Stamp::of(path)).collect())
    }
}

impl Stamps {
    /// Whether a file might have changed after this look at it.
    pub fn is_certain(&self) -> bool {
        self.0.iter().flatten().all(|stamp| !stamp.is_fresh)
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        let age = file.modified().ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
        Some(Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
            is_fresh: age.is_none_or(|age| age < FRESH),
        })
    }
}

impl ServerTls {
    /// Reads the files and makes the settings of them. Blocks on the file system.
    ///
    /// # Errors
    /// [`TlsError`]: the first file that cannot be used. A certificate that has expired is no error: it is served, and
    /// refused by those who look.
    pub fn load(paths: TlsPaths) -> Result<Self, TlsError> {
        // The look comes first: what changes while it is read is read again.
        let stamps = paths.look();
        let mut certificates = certificates(&paths.cert)?;
        if let Some(chain) = &paths.chain {
            certificates.extend(self::certificates(chain)?);
        }
        let leaf = certificates.first().cloned().unwrap_or_else(|| CertificateDer::from(Vec::new()));
        let (not_before, not_after) =
            validity(&leaf).ok_or_else(|| TlsError::Certificate { path: paths.cert.clone() })?;
        let key = private_key(&paths.key)?;
        let is_key_public = fs::metadata(&paths.key).is_ok_and(|key| key.mode() & 0o004 != 0);
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has ciphers of both versions");
        let builder = match &paths.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for authority in self::certificates(path)? {
                    roots.add(authority).map_err(|_| TlsError::Certificate { path: path.clone() })?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
                let verifier =
                    verifier.map_err(|source| TlsError::ClientCa { path: path.clone(), source })?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(certificates, key)
            .map_err(|error| TlsError::of_pair(&error, &paths.cert, &paths.key))?;
        // Workers stay for days, so resuming saves nothing; it would hold memory, and let in who was let in before.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), leaf, not_before, not_after, is_key_public, paths, stamps })
    }

    /// Where its files are.
    pub const fn paths(&self) -> &TlsPaths {
        &self.paths
    }

    /// What the files were when they were read.
    pub const fn stamps(&self) -> &Stamps {
        &self.stamps
    }

    /// Whether both show the same certificate.
    pub fn is_same_certificate(&self, other: &Self) -> bool {
        self.leaf == other.leaf
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("paths", &self.paths).finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<SecretSlice<u8>, TlsError> {
    let failed = |source| TlsError::Read { path: path.to_owned(), source };
    // Looked at before it is opened: opening a pipe waits for somebody to write.
    let found = fs::metadata(path).map_err(failed)?;
    if !found.is_file() || found.len() > MOST_BYTES {
        return Err(TlsError::NoFile { path: path.to_owned() });
    }
    // With room for all of it, so that a vector that grows leaves no copies of a key behind.
    let mut bytes = Vec::with_capacity(usize::try_from(found.len()).unwrap_or(0) + 1);
    fs::File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes)).map_err(failed)?;
    Ok(SecretSlice::from(bytes))
}

/// The certificates of a file, one at least.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes.expose_secret()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        // The text of the error quotes lines; the file may hold a key as well.
        _ => Err(TlsError::NoCertificate { path: path.to_owned() }),
    }
}

/// The private key of a file.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    const ENCRYPTED: [&[u8]; 2] = [b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"Proc-Type: 4,ENCRYPTED"];
    let bytes = read(path)?;
    let bytes = bytes.expose_secret();
    let holds = |text: &[u8]| memchr::memmem::find(bytes, text).is_some();
    if ENCRYPTED.into_iter().any(holds) {
        return Err(TlsError::Encrypted { path: path.to_owned() });
    }
    PrivateKeyDer::from_pem_slice(bytes).map_err(|_| TlsError::NoKey { path: path.to_owned() })
}

/// From when until when a certificate is good; nothing if it is none.
pub(super) fn validity(certificate: &[u8]) -> Option<(SystemTime, SystemTime)> {
    let mut reader = SliceReader::new(certificate).ok()?;
    let certificate = Certificate::decode(&mut reader).ok()?;
    let validity = certificate.tbs_certificate().validity();
    let at = |time: x509_cert::time::Time| UNIX_EPOCH + time.to_unix_duration();
    Some((at(validity.not_before), at(validity.not_after)))
}

/// Whether a certificate is signed by itself, as its names have it.
pub(super) fn is_self_issued(certificate: &[u8]) -> bool {
    let decoded = SliceReader::new(certificate).and_then(|mut reader| Certificate::decode(&mut reader));
    decoded.is_ok_and(|found| found.tbs_certificate().issuer() == found.tbs_certificate().subject())
}

#[cfg(test)]
mod tests {
    use super::{super::testing::Authority, *};

    fn paths(dir: &Path) -> TlsPaths {
        TlsPaths { cert: dir.join("cert.pem"), key: dir.join("key.pem"), chain: None, client_ca: None }
    }

    #[test]
    fn what_cannot_be_used_is_told_with_its_file_and_without_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, theirs) = (Authority::new(), Authority::new());
        let (pair, other) = (ours.issue("localhost"), theirs.issue("localhost"));
        let key_on_one_line = pair.key.replace('\n', "");
        let cases: [(&str, &str, &str); 8] = [
            (&pair.cert, &pair.key, ""),
            (&pair.cert, &other.key, "is not that of the certificate"),
            (&pair.key, &pair.key, "cert.pem` holds no certificate"),
            (&pair.cert, &pair.cert, "key.pem` holds no private key"),
            (&pair.cert, &key_on_one_line, "key.pem` holds no private key"),
            (&pair.cert, "", "key.pem` holds no private key"),
            (&pair.cert, "-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "is encrypted"),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                &pair.key,
                "cert.pem` holds a certificate that is broken",
            ),
        ];
        for (cert, key, wanted) in cases {
            let paths = paths(dir.path());
            fs::write(&paths.cert, cert).unwrap();
            fs::write(&paths.key, key).unwrap();
            match ServerTls::load(paths) {
                Ok(tls) => {
                    assert_eq!(wanted, "");
                    assert!(!format!("{tls:?}").contains("MI"));
                }
                Err(error) => {
                    assert!(!wanted.is_empty() && error.to_string().contains(wanted), "{wanted}: {error}");
                    let shown = format!("{error} {error:?}");
                    assert!(!shown.contains("MI") && !shown.contains("PRIVATE KEY-----M"), "{shown}");
                }
            }
        }
    }

    #[test]
    fn a_file_that_is_not_there_a_folder_and_a_pipe_are_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let error = ServerTls::load(paths(dir.path())).expect_err("there is none");
        assert!(
            error.to_string().contains("cannot read") && error.to_string().contains("cert.pem"),
            "{error}"
        );
        let folder = TlsPaths { cert: dir.path().into(), ..paths(dir.path()) };
        assert!(matches!(ServerTls::load(folder), Err(TlsError::NoFile { .. })));
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        let pipe = TlsPaths { cert: pipe, ..paths(dir.path()) };
        assert!(matches!(ServerTls::load(pipe), Err(TlsError::NoFile { .. })));
    }

    #[test]
    fn key_and_certificate_may_stand_in_one_file_and_the_times_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let pair = Authority::new().issue("localhost");
        let both = dir.path().join("server.pem");
        fs::write(&both, format!("{}{}", pair.key, pair.cert)).unwrap();
        let paths = TlsPaths { cert: both.clone(), key: both, chain: None, client_ca: None };
        let tls = ServerTls::load(paths).unwrap();
        let now = SystemTime::now();
        assert!(tls.not_before < now && now < tls.not_after);
    }
}
