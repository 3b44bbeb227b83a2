//! The authority of a fleet: a hub has its key and makes the certificates by which gateways and hub
//! know each other. Browsers never see any of them.

use std::{
    fs::{self, File},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SignatureAlgorithm,
};
use rustix::fs::{FlockOperation, flock};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig,
    SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use sha2::{Digest as _, Sha256};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use super::{
    TlsError,
    authority::{AUTHORITY_LIFE, BUILT, DAY_SECONDS, lives, named, serial},
    own::{key_pair, replace},
    provider, read_certificates, read_key, validity,
};
use crate::{
    regular_file::given,
    wire::home::{HOME_ALPN, is_gateway_name},
};

/// How long a gateway's certificate is valid, in seconds.
const GATEWAY_LIFE: i64 = 90 * DAY_SECONDS;
/// The same for the hub's own, which is made anew at each start and while it runs.
const HUB_LIFE: i64 = 90 * DAY_SECONDS;
/// How a certificate says which gateway's it is: a URI of this scheme.
const GATEWAY_URI: &str = "wsbridge:gateway/";
/// The common name of every fleet's authority.
const AUTHORITY_NAME: &str = "wsbridge fleet authority";
/// An uncompressed point of P-256 (SEC 1 section 2.3.3), in bytes.
const POINT: usize = 65;

/// What a gateway knows its fleet's authority by: SHA-256 of its public key
/// (`SubjectPublicKeyInfo`), as `sha256:` and hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FleetPin([u8; 32]);

impl FleetPin {
    /// Reads one as `wsbridge hub` prints it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.trim().strip_prefix("sha256:")?.as_bytes();
        let mut bytes = [0; 32];
        if digits.len() != 64 {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        Some(Self(Sha256::digest(certificate.public_key().raw).into()))
    }
}

impl std::fmt::Display for FleetPin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A gateway's public key as it travels: a point of P-256 in base64.
#[derive(Clone, Debug)]
pub(crate) struct GatewayKey(Vec<u8>);

impl GatewayKey {
    /// Reads one; `None`: it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let point = STANDARD.decode(text).ok()?;
        (point.len() == POINT && point.first() == Some(&4)).then_some(Self(point))
    }

    /// A new private key as PEM, and its public half as it travels.
    pub(crate) fn generate() -> Result<(String, String), rcgen::Error> {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        Ok((pair.serialize_pem(), STANDARD.encode(pair.der_bytes())))
    }
}

impl PublicKeyData for GatewayKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// A fleet's authority, with its key.
pub(crate) struct FleetAuthority {
    file: PathBuf,
    der: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

impl std::fmt::Debug for FleetAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FleetAuthority").field("file", &self.file).finish_non_exhaustive()
    }
}

impl FleetAuthority {
    /// The authority in this folder, which is made if there is none. Never replaces one: every
    /// gateway of the fleet knows it by its key.
    pub(crate) fn ensure(folder: &Path, now: i64) -> Result<Self, TlsError> {
        let unusable =
            |error: std::io::Error| TlsError::file(folder, format!("cannot be used: {error}"));
        if !folder.exists() {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.and_then(|()| given(folder)).map_err(unusable)?;
        }
        let lock = File::open(folder).map_err(unusable)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| unusable(error.into()))?;
        let (file, key_file) = (folder.join("authority.crt"), folder.join("authority.key"));
        if !file.exists() {
            let failed =
                |error: rcgen::Error| TlsError::file(&file, format!("cannot be made: {error}"));
            let key = if key_file.exists() {
                key_pair(&key_file)?
            } else {
                let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
                replace(&key_file, 0o600, &key.serialize_pem())?;
                key
            };
            replace(&file, 0o644, &certificate_of(&key, now).map_err(failed)?)?;
        }
        let der = read_certificates(&file)?.into_iter().next();
        let der = der.ok_or_else(|| TlsError::file(&file, "no certificate in it"))?;
        let key = key_pair(&key_file)?;
        let same = X509Certificate::from_der(&der)
            .is_ok_and(|(_, it)| it.public_key().raw == key.subject_public_key_info());
        if !same {
            let what = format!("this key does not belong to {}", file.display());
            return Err(TlsError::file(&key_file, what));
        }
        let pem = String::from_utf8(super::read(&file)?).unwrap_or_default();
        Ok(Self { file, der, pem, key })
    }

    /// What gateways know it by.
    pub(crate) fn pin(&self) -> FleetPin {
        FleetPin(Sha256::digest(self.key.subject_public_key_info()).into())
    }

    /// Its certificate as PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for a gateway's key, as PEM, and its last second.
    pub(crate) fn issue(
        &self,
        gateway: &str,
        key: &GatewayKey,
        now: i64,
    ) -> Result<(String, i64), TlsError> {
        let until = now + GATEWAY_LIFE;
        let made = || {
            let mut params = leaf(gateway, (now - DAY_SECONDS, until))?;
            let uri = format!("{GATEWAY_URI}{gateway}").try_into()?;
            params.subject_alt_names = vec![SanType::URI(uri)];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            Ok(params.signed_by(key, &self.issuer())?.pem())
        };
        made().map(|pem| (pem, until)).map_err(|error: rcgen::Error| self.failed(&error))
    }

    /// The settings with which a hub of that host meets its gateways, and their last second. A
    /// gateway that has no certificate yet gets as far as asking for one.
    pub(crate) fn server(
        &self,
        host: &str,
        now: i64,
    ) -> Result<(Arc<ServerConfig>, i64), TlsError> {
        let until = now + HUB_LIFE;
        let made = || {
            let mut params = leaf(host, (now - DAY_SECONDS, until))?;
            params.subject_alt_names = CertificateParams::new([host.to_owned()])?.subject_alt_names;
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
            Ok((params.signed_by(&key, &self.issuer())?, key))
        };
        let (certificate, key) = made().map_err(|error: rcgen::Error| self.failed(&error))?;
        let wrong = |error: &dyn std::fmt::Display| TlsError::file(&self.file, error.to_string());
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).map_err(|error| wrong(&error))?;
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider())
            .allow_unauthenticated()
            .build()
            .map_err(|error| wrong(&error))?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| wrong(&error))?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| wrong(&error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone(), self.der.clone()], key)
            .map_err(|error| wrong(&error))?;
        config.alpn_protocols = vec![HOME_ALPN.to_vec()];
        // A resumed session is not checked again, and gateways stay for days.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok((Arc::new(config), until))
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        let mut own = CertificateParams::default();
        own.distinguished_name = named(AUTHORITY_NAME);
        Issuer::new(own, &self.key)
    }

    fn failed(&self, error: &rcgen::Error) -> TlsError {
        TlsError::file(&self.file, format!("no certificate could be made with it: {error}"))
    }
}

fn certificate_of(key: &KeyPair, now: i64) -> Result<String, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(AUTHORITY_NAME);
    lives(&mut params, BUILT, now.max(BUILT) + AUTHORITY_LIFE);
    params.serial_number = Some(serial()?);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok(params.self_signed(key)?.pem())
}

fn leaf(common_name: &str, (from, until): (i64, i64)) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&common_name.chars().take(64).collect::<String>());
    lives(&mut params, from, until);
    params.serial_number = Some(serial()?);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Whose certificate it is, if it is one of a fleet's gateways: the names in it, as the handshake
/// has found them.
pub(crate) fn gateway_name(names: &[String]) -> Option<&str> {
    let mut all = names.iter().filter_map(|name| name.strip_prefix(GATEWAY_URI));
    let name = all.next().filter(|name| is_gateway_name(name));
    name.filter(|_| all.next().is_none())
}

/// The settings with which a gateway meets its hub: whoever has a certificate of the authority with
/// that pin is the hub. With a key and a certificate of its own (a file of PEM), or without while it enrols.
pub(crate) fn home_client(
    pin: FleetPin,
    own: Option<&Path>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = provider();
    let verifier = Arc::new(PinnedAuthority { pin, provider: Arc::clone(&provider) });
    let place = own.unwrap_or(Path::new("TLS"));
    let wrong = |error: Error| TlsError::file(place, error.to_string());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(wrong)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let (chain, key) = (read_certificates(file)?, read_key(file)?);
            builder.with_client_auth_cert(chain, key).map_err(wrong)?
        }
    };
    config.alpn_protocols = vec![HOME_ALPN.to_vec()];
    Ok(Arc::new(config))
}

/// When two thirds of a certificate's life are over: by then a gateway renews it. `None`: the file has none.
pub(crate) fn renewal_due(certificate: &Path) -> Option<i64> {
    let chain = read_certificates(certificate).ok()?;
    let (from, until) = validity(chain.first()?)?;
    Some(from + (until - from) / 3 * 2)
}

/// An authority, by its key.
#[derive(Debug)]
struct PinnedAuthority {
    pin: FleetPin,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedAuthority {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let foreign =
            || Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
        let own = |other: &&CertificateDer<'_>| FleetPin::of(other) == Some(self.pin);
        let authority = others.iter().find(own).ok_or_else(foreign)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&self.provider),
        );
        let verifier = verifier.build().map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(leaf, others, name, ocsp, plausible(leaf, now))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, leaf, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, leaf, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The time, or where our clock has not been set yet (a gateway without a battery starts in 1970),
/// one at which the hub's certificate is valid.
fn plausible(leaf: &CertificateDer<'_>, now: UnixTime) -> UnixTime {
    let unset = i64::try_from(now.as_secs()).is_ok_and(|now| now < BUILT);
    let from = validity(leaf).and_then(|(from, _)| u64::try_from(from).ok());
    match from.filter(|_| unset) {
        Some(from) => UnixTime::since_unix_epoch(std::time::Duration::from_secs(from + 1)),
        None => now,
    }
}
