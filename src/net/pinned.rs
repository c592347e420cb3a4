//! A server that shows the very certificate which is trusted, as a small installation has it: signed by itself.
//!
//! Such a certificate is often one of an authority by its own words (that is what `openssl req -x509` makes), which is never
//! a server's own in a chain. Whoever is given it to trust has been told whom to trust all the same.
//!
//! # Laws
//! - Its bytes are those of one that is trusted; its name and its time are looked at as those of any other.
//! - It is asked about only after the usual way, by an authority, has led nowhere.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        VerifierBuilderError, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

use super::tls::{is_self_issued, provider, validity};

/// See the module.
#[derive(Debug)]
pub(super) struct Verifier {
    by_authority: Arc<WebPkiServerVerifier>,
    trusted: Vec<CertificateDer<'static>>,
}

impl Verifier {
    /// Trusts these, and whom they have signed for.
    pub(super) fn new(
        trusted: Vec<CertificateDer<'static>>,
        roots: RootCertStore,
    ) -> Result<Self, VerifierBuilderError> {
        let by_authority =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
        Ok(Self { by_authority, trusted })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let refused = match self.by_authority.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        ) {
            Err(refused @ Error::InvalidCertificate(_)) => refused,
            other => return other,
        };
        if !self.trusted.contains(end_entity) {
            // Whatever else is wrong with it: that it is not among them is what can be helped.
            return Err(if is_self_issued(end_entity) {
                CertificateError::UnknownIssuer.into()
            } else {
                refused
            });
        }
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        let now = UNIX_EPOCH + Duration::from_secs(now.as_secs());
        match validity(end_entity) {
            Some((from, _)) if now < from => Err(CertificateError::NotValidYet.into()),
            Some((_, to)) if now > to => Err(CertificateError::Expired.into()),
            Some(_) => Ok(ServerCertVerified::assertion()),
            None => Err(refused),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_authority.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_authority.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_authority.supported_verify_schemes()
    }
}
