//! TLS for the listeners: certificates that reload, self-signed ones, client certificates.

mod authority;
mod client;
mod fleet;
mod in_use;
mod inspect;
mod own;
mod scope;
mod wanted;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use rustls::{
    CipherSuite, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::time::Instant;
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

pub(crate) use self::{
    authority::{BUILT, OwnAuthority, day},
    client::{ClientFacts, lists_due},
    fleet::{FleetAuthority, FleetPin, GatewayKey, gateway_name, home_client, renewal_due},
    in_use::InUse,
    inspect::Facts,
    own::{OwnFiles, make_anew},
    wanted::WantedNames,
};
use self::{client::Revoked, own::OwnCertificate};
use crate::{config::ListenTls, regular_file};

/// How often the files are checked at most, and only when somebody connects.
const FILE_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The largest PEM file in bytes; a system's whole list of authorities is a twentieth of that.
const MAX_PEM: usize = 4 << 20;

/// What is wrong with a key, a certificate or an authority, and in which file.
#[derive(Debug, Error)]
#[error("{}: {what}", file.display())]
pub(crate) struct TlsError {
    file: PathBuf,
    what: String,
}

impl TlsError {
    fn file(file: &Path, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), what: what.into() }
    }
}

/// How long after a failure we try again to make a certificate of our own.
const RENEW_AGAIN: Duration = Duration::from_secs(3600);

/// The server side of TLS on one listening address.
pub(crate) struct ServerTls {
    files: Files,
    state: Mutex<Watched>,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    client_crl: Option<PathBuf>,
    /// Where its files are, if it is one of our own.
    own: Option<OwnFiles>,
}

/// What was read from the files.
struct LoadedFiles {
    config: Arc<ServerConfig>,
    /// The certificate's last second, since 1970.
    until: Option<i64>,
    revoked: Revoked,
    own: Option<OwnCertificate>,
    /// No new certificate of our own is tried before this.
    again: Option<Instant>,
    /// The versions of the files that were read.
    stamps: Vec<Option<Stamp>>,
}

struct Watched {
    loaded: LoadedFiles,
    /// What a certificate of our own has to cover.
    wanted: WantedNames,
    looked: Instant,
    /// Whether it has been logged that the revocation lists are past their date.
    told: bool,
}

/// What tells one version of a file from another.
type Stamp = (SystemTime, u64);

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Reads or makes the key and the certificate; `None` for a plain listener. Reads files: call
    /// it off the hot path.
    pub(crate) fn open(
        tls: &ListenTls,
        state_directory: &Path,
        wanted: &WantedNames,
    ) -> Result<Option<Self>, TlsError> {
        let files = match tls {
            ListenTls::Off => return Ok(None),
            ListenTls::SelfSigned => {
                let paths = OwnFiles::under(state_directory);
                let (certificate, key) = (paths.certificate.clone(), paths.key.clone());
                Files { certificate, key, client_ca: None, client_crl: None, own: Some(paths) }
            }
            ListenTls::Files { certificate, key, client_ca, client_crl } => Files {
                certificate: certificate.clone(),
                key: key.clone(),
                client_ca: client_ca.clone(),
                client_crl: client_crl.clone(),
                own: None,
            },
        };
        let (loaded, wanted) = (files.load(wanted)?, wanted.clone());
        let state = Watched { loaded, wanted, looked: Instant::now(), told: false };
        Ok(Some(Self { files, state: Mutex::new(state) }))
    }

    /// The settings for the next handshake. Changed files are read again, at most once a second; if
    /// the new ones are broken the old ones stay in use, and the log says why, once.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.fresh().loaded.config)
    }

    /// The last second of the certificate in use, since 1970.
    pub(crate) fn expires(&self) -> Option<i64> {
        self.fresh().loaded.until
    }

    /// Our own authority, if it issued the certificate in use.
    pub(crate) fn authority(&self) -> Option<Arc<OwnAuthority>> {
        self.fresh().loaded.own.as_ref()?.authority.clone()
    }

    /// Sets what a certificate of our own has to cover from now on.
    pub(crate) fn want(&self, wanted: &WantedNames) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.wanted = wanted.clone();
        self.look(&mut state);
    }

    /// Whether a revocation list, as it is in the file now, names this certificate.
    pub(crate) fn is_revoked(&self, facts: &ClientFacts) -> bool {
        self.fresh().loaded.revoked.names(facts)
    }

    fn fresh(&self) -> MutexGuard<'_, Watched> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= FILE_CHECK_INTERVAL {
            self.look(&mut state);
        }
        self.alarm(&mut state);
        state
    }

    /// Reads again what has changed, and makes again what is due.
    fn look(&self, state: &mut Watched) {
        state.looked = Instant::now();
        let stamps = self.files.stamps();
        if stamps == state.loaded.stamps && !state.loaded.is_due(&state.wanted) {
            return;
        }
        match self.files.load(&state.wanted) {
            Ok(loaded) => (state.loaded, state.told) = (loaded, false),
            Err(error) => {
                tracing::error!("{error}; what is in use stays");
                (state.loaded.stamps, state.loaded.again) =
                    (stamps, Some(Instant::now() + RENEW_AGAIN));
            }
        }
    }

    /// Logs once that a list is past its date: what it names is still refused, but nobody knows
    /// what it does not name yet.
    fn alarm(&self, state: &mut Watched) {
        let due = state.loaded.revoked.due.filter(|due| *due < jiff::Timestamp::now().as_second());
        if let (Some(file), Some(_), false) = (&self.files.client_crl, due, state.told) {
            state.told = true;
            let file = file.display();
            tracing::error!(
                "{file}: a list of revoked certificates is past its date; get the authority's new one"
            );
        }
    }
}

impl LoadedFiles {
    /// Whether a certificate of our own is due to be made again.
    fn is_due(&self, wanted: &WantedNames) -> bool {
        let now = jiff::Timestamp::now().as_second();
        self.again.is_none_or(|again| again <= Instant::now())
            && self.own.as_ref().is_some_and(|own| own.is_due(wanted, now))
    }
}

impl Files {
    fn stamps(&self) -> Vec<Option<Stamp>> {
        let stamp = |path: &PathBuf| {
            let data = fs::metadata(path).ok()?;
            Some((data.modified().ok()?, data.len()))
        };
        [
            Some(&self.certificate),
            Some(&self.key),
            self.own.as_ref().map(|own| &own.authority),
            self.client_ca.as_ref(),
            self.client_crl.as_ref(),
        ]
        .into_iter()
        .flatten()
        .map(stamp)
        .collect()
    }

    fn load(&self, wanted: &WantedNames) -> Result<LoadedFiles, TlsError> {
        let now = jiff::Timestamp::now().as_second();
        let own = self.own.as_ref().map(|paths| own::ensure(paths, wanted, now)).transpose()?;
        // Nobody replaces our own pair while it is being read.
        let (own, _lock) = own.unzip();
        let stamps = self.stamps();
        let stuck = own.as_ref().and_then(|own: &OwnCertificate| own.stuck.as_ref());
        if let Some(why) = stuck {
            tracing::error!("{why}; no certificate can be made, and what there is stays in use");
        }
        let again = stuck.map(|_| Instant::now() + RENEW_AGAIN);
        let chain = read_certificates(&self.certificate)?;
        self.tell(&chain);
        let until = chain.first().and_then(validity).map(|(_, until)| until);
        let key = read_key(&self.key)?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::file(&self.certificate, error.to_string()))?;
        let revoked =
            self.client_crl.as_deref().map_or_else(|| Ok(Revoked::default()), Revoked::read)?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => builder.with_client_cert_verifier(verifier(file, &revoked)?),
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
        if self.client_ca.is_some() {
            // A resumed session is not checked again: a certificate would be valid for ever after
            // its first handshake.
            config.send_tls13_tickets = 0;
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        if let Some(authority) = own.as_ref().and_then(|own| own.authority.as_ref()) {
            let (file, fingerprint) = (authority.file.display(), &authority.fingerprint);
            tracing::info!(%file, %fingerprint, "authority of that certificate, SHA-256");
        }
        Ok(LoadedFiles { config: Arc::new(config), until, revoked, own, again, stamps })
    }

    /// Logs which certificate is in use, and whether it has expired: clients will tell the user, so
    /// it is no reason to stop serving.
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

/// SHA-256 of a certificate, in the form that browsers show.
pub(crate) fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let pairs: Vec<String> =
        Sha256::digest(certificate).iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

/// Checks client certificates. A client without one may still have a password or a token.
fn verifier(file: &Path, revoked: &Revoked) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let authorities = read_certificates(file)?;
    let mut roots = RootCertStore::empty();
    for certificate in authorities.iter().cloned() {
        roots.add(certificate).map_err(|error| {
            TlsError::file(file, format!("not fit as a certificate authority: {error}"))
        })?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots.into(), provider())
        .allow_unauthenticated();
    if !revoked.lists.is_empty() {
        builder = builder.with_crls(revoked.lists.iter().cloned());
        if !revoked.cover(&authorities) {
            // Otherwise, without a list from the authority's own issuer, every certificate would be
            // refused.
            builder = builder.only_check_end_entity_revocation();
        }
    }
    builder.build().map_err(|error| TlsError::file(file, error.to_string()))
}

/// Cipher suites in our order. AES-128 and SHA-256 run in hardware where there is AES; without it
/// `ChaCha20` is several times as fast.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| rank(suite.suite(), has_aes()));
    Arc::new(provider)
}

/// A cipher suite's place in the order; its TLS version does not matter here.
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

/// Whether this processor has instructions for AES. 32-bit ones have none, or none that can be
/// detected.
fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    false
}

/// Start and end of a certificate's validity, in seconds since 1970.
fn validity(certificate: &CertificateDer<'_>) -> Option<(i64, i64)> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let life = certificate.validity();
    Some((life.not_before.timestamp(), life.not_after.timestamp()))
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(file)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
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
    PrivateKeyDer::from_pem_slice(&read(file)?).map_err(|error| {
        TlsError::file(
            file,
            format!(
                "no private key that can be read (unencrypted PKCS#8, PKCS#1 or SEC1 PEM): {error}"
            ),
        )
    })
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    regular_file::read(file, MAX_PEM)
        .map_err(|error| TlsError::file(file, format!("cannot be read: {error}")))
}

#[cfg(test)]
mod tests;
