//! Certificates for tests, good and bad. The integration tests compile this file as well, so it uses nothing of ours.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// An authority that issues whatever is asked for.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate.
    pub(crate) pem: String,
}

/// A certificate and its key, in PEM form.
pub(crate) struct Pair {
    pub(crate) cert: String,
    pub(crate) key: String,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Authority {
    pub(crate) fn new() -> Self {
        // Two of one name would be taken for each other, up to the signature.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let name = format!("authority {}", COUNT.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn sign(&self, name: &str, purpose: ExtendedKeyUsagePurpose, ends: SystemTime) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        params.not_before = (SystemTime::now() - 3 * DAY).into();
        params.not_after = ends.into();
        Pair { cert: params.signed_by(&key, &self.issuer).unwrap().pem(), key: key.serialize_pem() }
    }

    pub(crate) fn issue(&self, name: &str) -> Pair {
        self.issue_until(name, later())
    }

    pub(crate) fn issue_until(&self, name: &str, ends: SystemTime) -> Pair {
        self.sign(name, ExtendedKeyUsagePurpose::ServerAuth, ends)
    }

    pub(crate) fn issue_expired(&self, name: &str) -> Pair {
        self.issue_until(name, yesterday())
    }

    pub(crate) fn issue_client(&self, name: &str) -> Pair {
        self.sign(name, ExtendedKeyUsagePurpose::ClientAuth, later())
    }

    pub(crate) fn issue_expired_client(&self, name: &str) -> Pair {
        self.sign(name, ExtendedKeyUsagePurpose::ClientAuth, yesterday())
    }
}

fn later() -> SystemTime {
    SystemTime::now() + 100 * DAY
}

fn yesterday() -> SystemTime {
    SystemTime::now() - DAY
}

/// A client that trusts this authority, and shows this certificate.
pub(crate) fn client_config(trusted: &Authority, own: Option<&Pair>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.pem.as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(Arc::new(roots));
    match own {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let cert = CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![cert], key).unwrap()
        }
    }
}
