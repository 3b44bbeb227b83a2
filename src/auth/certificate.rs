//! A client's certificate, checked by the TLS handshake: whose it is, and whether it is still
//! valid.

use std::{fmt, sync::Arc};

use super::unix_now;
use crate::config::{Access, Certificate, CertificateMatch};

/// Asks the authority's revocation lists, as they are now, whether a certificate is revoked.
pub(crate) trait Revocation: fmt::Debug + Send + Sync {
    /// Whether a list names it.
    fn is_revoked(&self) -> bool;
}

/// A client's certificate. Its chain was valid when the connection began.
#[derive(Clone, Debug)]
pub(crate) struct ClientCertificate {
    /// The common name of its subject, if there is exactly one.
    pub common_name: Option<String>,
    /// Its alternative names: host names in lower case, addresses, mail addresses, URIs.
    pub names: Vec<String>,
    /// SHA-256 of the whole certificate.
    pub sha256: [u8; 32],
    /// The last second it is valid, since 1970.
    pub until: i64,
    /// The revocation lists of its listener.
    pub revocation: Arc<dyn Revocation>,
}

impl ClientCertificate {
    /// Whether it is valid now: neither expired nor revoked.
    pub(crate) fn is_good(&self) -> bool {
        unix_now() <= self.until && !self.revocation.is_revoked()
    }

    /// The configuration's entry for it. An entry that names this very certificate takes precedence
    /// over one that names something several certificates may share.
    pub(super) fn principal<'a>(
        &self,
        access: &'a Access,
    ) -> Option<(&'a String, &'a Certificate)> {
        let found = access.certificates.iter().filter(|(_, entry)| self.fits(&entry.by));
        found.min_by_key(|(_, entry)| match entry.by {
            CertificateMatch::Fingerprint(_) => 0,
            CertificateMatch::San(_) => 1,
            CertificateMatch::CommonName(_) => 2,
        })
    }

    fn fits(&self, by: &CertificateMatch) -> bool {
        match by {
            CertificateMatch::Fingerprint(sha256) => self.sha256 == *sha256,
            CertificateMatch::San(name) => self.names.contains(name),
            CertificateMatch::CommonName(name) => self.common_name.as_ref() == Some(name),
        }
    }
}

impl PartialEq for ClientCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.sha256 == other.sha256
    }
}

impl Eq for ClientCertificate {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RightsTable;

    #[derive(Debug)]
    struct Listed(bool);

    impl Revocation for Listed {
        fn is_revoked(&self) -> bool {
            self.0
        }
    }

    fn certificate(until: i64, revoked: bool) -> ClientCertificate {
        ClientCertificate {
            common_name: Some("laptop7".to_owned()),
            names: vec!["laptop7.example".to_owned(), "spiffe://plant/laptop7".to_owned()],
            sha256: [7; 32],
            until,
            revocation: Arc::new(Listed(revoked)),
        }
    }

    #[test]
    fn it_is_good_in_its_time_and_on_no_list() {
        let now = unix_now();
        assert!(certificate(now + 60, false).is_good());
        assert!(!certificate(now - 1, false).is_good());
        assert!(!certificate(now + 60, true).is_good());
    }

    #[test]
    fn the_most_exact_entry_is_whose_it_is() {
        let entry = |by| Certificate { by, rights: RightsTable::default() };
        let mut access = Access::default();
        let found =
            |access: &Access| certificate(0, false).principal(access).map(|(name, _)| name.clone());
        assert_eq!(found(&access), None);
        for (name, by) in [
            ("other", CertificateMatch::CommonName("laptop8".into())),
            ("name", CertificateMatch::CommonName("laptop7".into())),
            ("uri", CertificateMatch::San("spiffe://plant/laptop7".into())),
            ("exact", CertificateMatch::Fingerprint([7; 32])),
        ] {
            access.certificates.insert(name.to_owned(), entry(by));
            let expected = if name == "other" { None } else { Some(name.to_owned()) };
            assert_eq!(found(&access), expected);
        }
    }
}
