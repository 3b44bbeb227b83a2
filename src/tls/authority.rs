//! An authority for this gateway alone: what it may sign for is written into it, and it signs only
//! the gateway's own certificate.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SerialNumber, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, extensions::ParsedExtension, prelude::FromDer};

use super::{TlsError, fingerprint, read_certificates, scope::SigningScope, wanted::WantedNames};

pub(super) const DAY_SECONDS: i64 = 24 * 3600;
/// How long an authority is valid, in seconds: ten years. Clients come to trust another one only by
/// hand.
pub(super) const AUTHORITY_LIFE: i64 = 3652 * DAY_SECONDS;
/// How long a certificate is valid: a day less than the most that every browser accepts (398 days,
/// the CA/Browser Forum's Baseline Requirements section 6.3.2).
const CERTIFICATE_LIFE: i64 = 397 * DAY_SECONDS;
/// An authority that ends within this time, in seconds, is reported.
const AUTHORITY_ENDS_SOON: i64 = 180 * DAY_SECONDS;

/// No release is older than this: 2026-01-01. The clock of a gateway without a battery starts in
/// 1970, or when its image was made.
pub(crate) const BUILT: i64 = 1_767_225_600;

/// An authority, without its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnAuthority {
    /// The file with its certificate.
    pub file: PathBuf,
    /// The certificate's SHA-256, in the form that browsers show.
    pub fingerprint: String,
    /// Its last second, since 1970.
    pub until: i64,
    /// What it may sign for.
    pub scope: SigningScope,
    from: i64,
    common_name: String,
    /// `SubjectPublicKeyInfo`.
    key: Vec<u8>,
    der: CertificateDer<'static>,
}

/// A new certificate and its key, as PEM.
pub(super) struct SignedPair {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl OwnAuthority {
    /// A new authority for these names; its dates do not depend on a clock that is behind.
    pub(super) fn make(wanted: &WantedNames, now: i64) -> Result<SignedPair, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        let short: String = wanted.own().split('.').next().unwrap_or("").chars().take(30).collect();
        let mark = getrandom::u32().map_err(|_| rcgen::Error::RingUnspecified)?;
        // People see this name in lists, next to former authorities of the same gateway.
        params.distinguished_name = named(&format!("wsbridge authority of {short} ({mark:08x})"));
        lives(&mut params, BUILT, now.max(BUILT) + AUTHORITY_LIFE);
        params.serial_number = Some(serial()?);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.name_constraints = Some(SigningScope::of(wanted).constraints());
        let certificate = params.self_signed(&key)?.pem();
        Ok(SignedPair { certificate, key: key.serialize_pem() })
    }

    /// Reads an authority's certificate.
    pub(crate) fn read(file: &Path) -> Result<Self, TlsError> {
        let wrong = |what: &str| TlsError::file(file, what);
        let der = read_certificates(file)?.into_iter().next();
        let der = der.ok_or_else(|| wrong("no certificate in it"))?;
        let (_, certificate) =
            X509Certificate::from_der(&der).map_err(|_| wrong("no X.509 certificate"))?;
        if !certificate.is_ca() {
            return Err(wrong("is no certificate of an authority"));
        }
        let name = certificate.subject().iter_common_name().next();
        let name = name.and_then(|name| name.as_str().ok()).unwrap_or_default().to_owned();
        let life = certificate.validity();
        Ok(Self {
            file: file.to_owned(),
            fingerprint: fingerprint(&der),
            from: life.not_before.timestamp(),
            until: life.not_after.timestamp(),
            scope: SigningScope::read(&certificate),
            common_name: name,
            key: certificate.public_key().raw.to_vec(),
            der: der.clone(),
        })
    }

    /// A certificate with this key, for those of these names that the authority may sign for.
    pub(super) fn issue(
        &self,
        (own_key, leaf_key): (&KeyPair, &KeyPair),
        wanted: &WantedNames,
        names: impl IntoIterator<Item = String>,
        now: i64,
    ) -> Result<String, rcgen::Error> {
        let names: Vec<_> = names.into_iter().filter(|name| self.scope.permits(name)).collect();
        let mut params = CertificateParams::new(names)?;
        let subject = wanted.own().chars().take(64).collect::<String>();
        params.distinguished_name = named(if subject.is_empty() { "wsbridge" } else { &subject });
        // A day back, for clients whose clock is behind.
        let from = (now.max(BUILT) - DAY_SECONDS).max(self.from);
        let until = (from + CERTIFICATE_LIFE - 1).min(self.until);
        lives(&mut params, from, until);
        // Derived from the key it would equal the former certificate's, which NSS refuses.
        params.serial_number = Some(serial()?);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let mut own = CertificateParams::default();
        own.distinguished_name = named(&self.common_name);
        Ok(params.signed_by(leaf_key, &Issuer::new(own, own_key))?.pem())
    }

    /// Whether this key belongs to it.
    pub(super) fn has(&self, key: &KeyPair) -> bool {
        key.subject_public_key_info() == self.key
    }

    /// Whether it signed a certificate, going by the issuer that the certificate names.
    pub(super) fn signed(&self, certificate: &CertificateDer<'_>) -> bool {
        let (Ok((_, leaf)), Ok((_, own))) =
            (X509Certificate::from_der(certificate), X509Certificate::from_der(&self.der))
        else {
            return false;
        };
        let issuer = leaf.iter_extensions().find_map(|extension| {
            let ParsedExtension::AuthorityKeyIdentifier(found) = extension.parsed_extension()
            else {
                return None;
            };
            found.key_identifier.as_ref()
        });
        let own_id = own.iter_extensions().find_map(|extension| {
            let ParsedExtension::SubjectKeyIdentifier(id) = extension.parsed_extension() else {
                return None;
            };
            Some(id)
        });
        leaf.issuer().as_raw() == own.subject().as_raw() && issuer.is_some() && issuer == own_id
    }

    /// Names of the gateway that it may not sign for.
    pub(crate) fn outside(&self, wanted: &WantedNames) -> Vec<String> {
        wanted.chosen().into_iter().filter(|name| !self.scope.permits(name)).collect()
    }

    /// Whether it ends within half a year.
    pub(crate) fn ends_soon(&self, now: i64) -> bool {
        self.until - now < AUTHORITY_ENDS_SOON
    }

    /// What should be said about it, one sentence each; `command` makes a new one.
    pub(crate) fn remarks(&self, wanted: &WantedNames, now: i64, command: &str) -> Vec<String> {
        let place = self.file.display();
        let after =
            format!("`{command}` makes one that is, and other devices have to trust it anew");
        let outside = self.outside(wanted);
        let mut all = Vec::new();
        if !outside.is_empty() {
            let names = outside.join(", ");
            all.push(format!(
                "{place}: the authority of this gateway is not good for {names}, so neither is the certificate; {after}"
            ));
        }
        if self.ends_soon(now) {
            let until = day(self.until);
            all.push(format!(
                "{place}: the authority of this gateway ends on {until}, and every certificate of it; `{command}` makes a \
                 new one, and other devices have to trust it anew"
            ));
        }
        all
    }

    /// Its certificate as PEM, without anything else that may be in the file.
    pub(crate) fn pem(&self) -> String {
        let text = STANDARD.encode(&self.der);
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        for line in text.as_bytes().chunks(64) {
            pem.extend(line.iter().map(|byte| char::from(*byte)));
            pem.push('\n');
        }
        pem + "-----END CERTIFICATE-----\n"
    }
}

/// The date of a second since 1970.
pub(crate) fn day(second: i64) -> String {
    jiff::Timestamp::from_second(second)
        .map(|time| time.strftime("%Y-%m-%d").to_string())
        .unwrap_or_default()
}

pub(super) fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

pub(super) fn lives(params: &mut CertificateParams, from: i64, until: i64) {
    let second =
        |second: i64| date_time_ymd(1970, 1, 1) + Duration::from_secs(second.unsigned_abs());
    (params.not_before, params.not_after) = (second(from), second(until));
}

/// A random serial number (CA/Browser Forum, section 7.1: at least 64 bits), positive in DER.
pub(super) fn serial() -> Result<SerialNumber, rcgen::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| rcgen::Error::RingUnspecified)?;
    bytes[0] = (bytes[0] & 0x3f) | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}
