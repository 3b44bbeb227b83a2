//! Whom a dialler trusts: the system's authorities, those of a file, or one certificate by its
//! fingerprint.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use sha2::{Digest as _, Sha256};

use crate::regular_file;

/// The largest file of certificates that is read, in bytes.
const PEM_FILE_MAX: usize = 4 << 20;

/// Whom to trust.
#[derive(Clone, Debug, Default)]
pub(crate) enum Trust {
    /// The system's authorities.
    #[default]
    System,
    /// The authorities of a PEM file, instead of those.
    File(PathBuf),
    /// The certificate with this SHA-256, whatever its names and dates; or whatever an authority
    /// with that fingerprint has signed.
    Pinned([u8; 32]),
    /// What these settings say.
    Given(Arc<ClientConfig>),
}

impl Trust {
    /// The TLS settings for it. Reads files.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match self {
            Self::Given(config) => return Ok(Arc::clone(config)),
            Self::System => builder.with_root_certificates(system()?),
            Self::File(file) => builder.with_root_certificates(file_roots(file)?),
            Self::Pinned(pin) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Pinned { pin: *pin, provider })),
        };
        Ok(Arc::new(builder.with_no_client_auth()))
    }
}

fn file_roots(file: &Path) -> Result<RootCertStore, String> {
    let shown = file.display();
    let text =
        regular_file::read(file, PEM_FILE_MAX).map_err(|error| format!("{shown}: {error}"))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| format!("{shown}: {error}"))?;
        roots.add(certificate).map_err(|error| format!("{shown}: {error}"))?;
    }
    if roots.is_empty() {
        return Err(format!("{shown} holds no PEM certificate"));
    }
    Ok(roots)
}

fn system() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    // A system's store often has a certificate or two that nothing can read.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("this system has no certificate authorities (install ca-certificates)".into());
    }
    Ok(roots)
}

/// One certificate, or whatever it has signed.
#[derive(Debug)]
struct Pinned {
    pin: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    fn is(&self, der: &CertificateDer<'_>) -> bool {
        <[u8; 32]>::from(Sha256::digest(der)) == self.pin
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.is(leaf) {
            return Ok(ServerCertVerified::assertion());
        }
        let Some(authority) = others.iter().find(|other| self.is(other)) else {
            return Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ));
        };
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&self.provider),
        );
        let verifier = verifier.build().map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(leaf, others, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            leaf,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            leaf,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
