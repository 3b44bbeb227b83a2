//! TLS of the listeners: certificates that reload, self-signed ones, client certificates.

mod inspect;
mod self_signed;

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use rustls::{
    CipherSuite, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::time::Instant;
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use self::self_signed::Paths;
pub use self::{inspect::Facts, self_signed::names as own_names};
use crate::{config::ListenTls, regular_file};

/// How often the files are looked at, at most, and only when somebody connects.
const LOOK: Duration = Duration::from_secs(1);

/// Largest PEM file in bytes; a system's whole list of authorities has a twentieth of it.
const MAX_PEM: usize = 4 << 20;

/// What is wrong with a key, a certificate or an authority, and in which file.
#[derive(Debug, Error)]
#[error("{}: {what}", file.display())]
pub struct TlsError {
    file: PathBuf,
    what: String,
}

impl TlsError {
    fn file(file: &Path, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), what: what.into() }
    }
}

/// The server side of TLS on one listening address.
pub struct ServerTls {
    files: Files,
    own_name: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    self_signed: bool,
}

struct State {
    config: Arc<ServerConfig>,
    stamps: Vec<Option<Stamp>>,
    looked: Instant,
}

/// What tells one version of a file from another.
type Stamp = (SystemTime, u64);

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Reads or makes key and certificate; `None` for a plain listener. Reads files: call it off the hot path.
    pub fn open(tls: &ListenTls, state_directory: &Path, own_name: &str) -> Result<Option<Self>, TlsError> {
        let files = match tls {
            ListenTls::Off => return Ok(None),
            ListenTls::SelfSigned => {
                let (certificate, key) = own_files(state_directory);
                Files { certificate, key, client_ca: None, self_signed: true }
            }
            ListenTls::Files { certificate, key, client_ca } => Files {
                certificate: certificate.clone(),
                key: key.clone(),
                client_ca: client_ca.clone(),
                self_signed: false,
            },
        };
        let stamps = files.stamps();
        let state = State { config: files.load(own_name)?, stamps, looked: Instant::now() };
        Ok(Some(Self { files, own_name: own_name.to_owned(), state: Mutex::new(state) }))
    }

    /// The settings for the next handshake. Changed files are read again, at most once a second; when the new ones are
    /// broken the old ones stay in use, and the log says why once.
    pub fn current(&self) -> Arc<ServerConfig> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= LOOK {
            state.looked = Instant::now();
            let stamps = self.files.stamps();
            if stamps != state.stamps || self.files.is_stale() {
                state.stamps = stamps;
                match self.files.load(&self.own_name) {
                    Ok(config) => state.config = config,
                    Err(error) => tracing::error!("{error}; the certificate in use stays"),
                }
                state.stamps = self.files.stamps();
            }
        }
        Arc::clone(&state.config)
    }
}

impl Files {
    fn stamps(&self) -> Vec<Option<Stamp>> {
        let stamp = |path: &PathBuf| {
            let data = fs::metadata(path).ok()?;
            Some((data.modified().ok()?, data.len()))
        };
        [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()]
            .into_iter()
            .flatten()
            .map(stamp)
            .collect()
    }

    /// Our own certificate is about to run out.
    fn is_stale(&self) -> bool {
        self.self_signed && !self_signed::is_good(&self.certificate)
    }

    fn load(&self, own_name: &str) -> Result<Arc<ServerConfig>, TlsError> {
        if self.self_signed {
            let paths = Paths { certificate: self.certificate.clone(), key: self.key.clone() };
            if self_signed::ensure(&paths, own_name)? {
                tracing::info!(file = %self.certificate.display(), "made a self-signed certificate");
            }
        }
        let chain = read_certificates(&self.certificate)?;
        self.tell(&chain);
        let key = read_key(&self.key)?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::file(&self.certificate, error.to_string()))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                // A client without a certificate may still have a password or a token.
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(read_roots(file)?.into(), provider())
                        .allow_unauthenticated()
                        .build()
                        .map_err(|error| TlsError::file(file, error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| {
            if matches!(error, rustls::Error::InconsistentKeys(_)) {
                let place = self.certificate.display();
                return TlsError::file(
                    &self.key,
                    format!("this key does not belong to the certificate in {place}"),
                );
            }
            TlsError::file(&self.certificate, error.to_string())
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.ignore_client_order = true;
        // One is enough to come back with; each costs a hash chain and a place in the store.
        config.send_tls13_tickets = 1;
        Ok(Arc::new(config))
    }

    /// Says which certificate is in use, and whether its time has passed: clients will tell the user, so it is no
    /// reason to go dark.
    fn tell(&self, chain: &[CertificateDer<'_>]) {
        let Some(first) = chain.first() else { return };
        let now = jiff::Timestamp::now().as_second();
        let file = self.certificate.display();
        match validity(first) {
            Some((_, until)) if until < now => {
                tracing::warn!("{file}: this certificate has expired; clients will refuse it");
            }
            Some((from, _)) if from > now => {
                tracing::warn!("{file}: this certificate is not valid yet; is the clock right?");
            }
            _ => {}
        }
        tracing::info!(file = %file, fingerprint = %fingerprint(first), "TLS certificate, SHA-256");
    }
}

/// Where a certificate of our own making and its key are kept.
pub fn own_files(state_directory: &Path) -> (PathBuf, PathBuf) {
    let Paths { certificate, key } = Paths::under(state_directory);
    (certificate, key)
}

/// SHA-256 of a certificate, as browsers show it.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let pairs: Vec<String> = Sha256::digest(certificate).iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

/// Common name of a certificate's subject.
pub fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let mut names = certificate.subject().iter_common_name();
    let name = names.next()?.as_str().ok()?.to_owned();
    // Two names would let an authority's slip choose the principal.
    names.next().is_none().then_some(name)
}

/// Ciphers in our order. AES-128 and SHA-256 are hardware where AES is; without it `ChaCha20` is several times as fast.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| rank(suite.suite(), has_aes()));
    Arc::new(provider)
}

/// Place of a cipher suite; which version of TLS it is for does not matter here.
fn rank(suite: CipherSuite, aes: bool) -> u8 {
    let name = suite.as_str().unwrap_or_default();
    match name {
        _ if name.contains("CHACHA20") => {
            if aes {
                2
            } else {
                0
            }
        }
        _ if name.contains("AES_128") => 1,
        _ => 3,
    }
}

/// Whether this processor has instructions for AES. 32-bit ones have none, or none that can be asked for.
fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    false
}

/// Start and end of a certificate's life, in seconds since 1970.
fn validity(certificate: &CertificateDer<'_>) -> Option<(i64, i64)> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let life = certificate.validity();
    Some((life.not_before.timestamp(), life.not_after.timestamp()))
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let handle = open(file)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_reader_iter(handle).collect();
    let chain = chain.map_err(|error| TlsError::file(file, format!("is not PEM: {error}")))?;
    if chain.is_empty() {
        return Err(TlsError::file(
            file,
            "no certificate in it; PEM begins with -----BEGIN CERTIFICATE-----",
        ));
    }
    Ok(chain)
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_reader(open(file)?).map_err(|error| {
        TlsError::file(
            file,
            format!("no private key that can be read (unencrypted PKCS#8, PKCS#1 or SEC1 PEM): {error}"),
        )
    })
}

fn read_roots(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(file)? {
        roots
            .add(certificate)
            .map_err(|error| TlsError::file(file, format!("not fit as a certificate authority: {error}")))?;
    }
    Ok(roots)
}

fn open(file: &Path) -> Result<io::Cursor<Vec<u8>>, TlsError> {
    let bytes = regular_file::read(file, MAX_PEM)
        .map_err(|error| TlsError::file(file, format!("cannot be read: {error}")))?;
    Ok(io::Cursor::new(bytes))
}

#[cfg(test)]
mod tests;
