//! What a client's certificate says, and the lists of revoked certificates.

use std::{collections::BTreeSet, path::Path};

use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, pem::PemObject};
use sha2::{Digest, Sha256};
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, prelude::FromDer,
    revocation_list::CertificateRevocationList,
};

use super::{TlsError, read};

/// Which certificate of which authority: the issuer's name in DER, and the serial number.
type Number = (Vec<u8>, Vec<u8>);

/// What a client's certificate says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientFacts {
    /// The common name of its subject, if there is exactly one: with two, an authority's slip could
    /// decide which principal it is.
    pub common_name: Option<String>,
    /// Its alternative names: host names in lower case, addresses, mail addresses, URIs.
    pub names: Vec<String>,
    /// SHA-256 of the whole certificate.
    pub sha256: [u8; 32],
    /// The last second it is valid, since 1970.
    pub until: i64,
    pub(super) number: Number,
}

impl ClientFacts {
    /// Reads a certificate; `None` if it is not one.
    pub(crate) fn of(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let mut common = certificate.subject().iter_common_name();
        let first = common.next().and_then(|name| name.as_str().ok()).map(str::to_owned);
        let alternative = certificate.subject_alternative_name().ok().flatten();
        let names = alternative.into_iter().flat_map(|found| &found.value.general_names);
        Some(Self {
            common_name: first.filter(|_| common.next().is_none()),
            names: names.filter_map(name).collect(),
            sha256: Sha256::digest(der).into(),
            until: certificate.validity().not_after.timestamp(),
            number: (certificate.issuer().as_raw().to_vec(), certificate.raw_serial().to_vec()),
        })
    }
}

/// An alternative name, in the configuration's notation.
fn name(name: &GeneralName<'_>) -> Option<String> {
    if let GeneralName::DNSName(name) = name {
        return Some(name.to_ascii_lowercase());
    }
    if let GeneralName::RFC822Name(text) | GeneralName::URI(text) = name {
        return Some((*text).to_owned());
    }
    let GeneralName::IPAddress(bytes) = name else { return None };
    let four = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
    let address = four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from));
    address.ok().map(|address| address.to_string())
}

/// When the first revocation list in a file should be replaced by a new one, in seconds since 1970.
pub(crate) fn lists_due(file: &Path) -> Result<Option<i64>, TlsError> {
    Revoked::read(file).map(|revoked| revoked.due)
}

/// The revocation lists in one file.
#[derive(Clone, Debug, Default)]
pub(super) struct Revoked {
    /// In the form that the handshake's verifier takes.
    pub(super) lists: Vec<CertificateRevocationListDer<'static>>,
    numbers: BTreeSet<Number>,
    issuers: Vec<Vec<u8>>,
    /// When the first of them goes out of date, in seconds since 1970.
    pub(super) due: Option<i64>,
}

impl Revoked {
    /// Reads a PEM file.
    pub(super) fn read(file: &Path) -> Result<Self, TlsError> {
        let wrong = |what: &str| TlsError::file(file, what);
        let text = read(file)?;
        let lists: Result<Vec<_>, _> =
            CertificateRevocationListDer::pem_slice_iter(&text).collect();
        let lists = lists.map_err(|error| wrong(&format!("is not PEM: {error}")))?;
        if lists.is_empty() {
            return Err(wrong(
                "no list of revoked certificates in it; PEM begins with -----BEGIN X509 CRL-----",
            ));
        }
        let mut all = Self::default();
        for der in &lists {
            let (_, list) = CertificateRevocationList::from_der(der)
                .map_err(|_| wrong("not a list of revoked certificates (CRL, RFC 5280)"))?;
            let issuer = list.issuer().as_raw().to_vec();
            let numbers = list
                .iter_revoked_certificates()
                .map(|one| (issuer.clone(), one.raw_serial().to_vec()));
            all.numbers.extend(numbers);
            all.due = all.due.into_iter().chain(list.next_update().map(|at| at.timestamp())).min();
            all.issuers.push(issuer);
        }
        Ok(Self { lists, ..all })
    }

    /// Whether one of the lists names this certificate.
    pub(super) fn names(&self, facts: &ClientFacts) -> bool {
        self.numbers.contains(&facts.number)
    }

    /// Whether each of these authorities has a list here: then the whole chain can be checked.
    pub(super) fn cover(&self, authorities: &[CertificateDer<'_>]) -> bool {
        authorities.iter().all(|der| {
            let certificate = X509Certificate::from_der(der);
            certificate.is_ok_and(|(_, found)| {
                self.issuers.iter().any(|issuer| issuer == found.subject().as_raw())
            })
        })
    }
}
