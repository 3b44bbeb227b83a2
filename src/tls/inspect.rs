//! What a certificate file says, for people who want to know what is wrong with it.

use std::{net::IpAddr, path::Path};

use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

use super::{TlsError, read_certificates};

/// What the first certificate in a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Start of its validity, in seconds since 1970.
    pub from: i64,
    /// End of its validity.
    pub until: i64,
    /// The names it covers, in lower case, `*.example` included. Clients look at nothing else (RFC
    /// 9525 section 6.3).
    pub names: Vec<String>,
    /// The addresses it covers.
    pub addresses: Vec<IpAddr>,
}

impl Facts {
    /// Reads the first certificate of a PEM file.
    pub(crate) fn of(file: &Path) -> Result<Self, TlsError> {
        let chain = read_certificates(file)?;
        let wrong = || TlsError::file(file, "no X.509 certificate");
        let first = chain.first().ok_or_else(wrong)?;
        let (_, certificate) = X509Certificate::from_der(first).map_err(|_| wrong())?;
        let life = certificate.validity();
        let mut facts = Self {
            from: life.not_before.timestamp(),
            until: life.not_after.timestamp(),
            ..Self::default()
        };
        let alternative = certificate.subject_alternative_name().ok().flatten();
        for name in alternative.into_iter().flat_map(|found| &found.value.general_names) {
            if let GeneralName::DNSName(name) = name {
                facts.names.push(name.to_ascii_lowercase());
            } else if let GeneralName::IPAddress(bytes) = name {
                let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
                facts
                    .addresses
                    .extend(four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)));
            }
        }
        Ok(facts)
    }

    /// Whether a client that asks for this host, a name or an address, accepts the certificate. A
    /// star stands for one label (RFC 9525 section 6.3).
    pub(crate) fn covers(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            return self
                .addresses
                .iter()
                .any(|known| known.to_canonical() == address.to_canonical());
        }
        let host = host.to_ascii_lowercase();
        self.names.iter().any(|name| {
            *name == host
                || name.strip_prefix("*.").is_some_and(|domain| {
                    host.split_once('.')
                        .is_some_and(|(label, rest)| !label.is_empty() && rest == domain)
                })
        })
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn a_certificate_says_its_names_addresses_and_time() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["Box.example", "*.lan.example", "192.0.2.7", "2001:db8::7"].map(str::to_owned);
        let mut params = CertificateParams::new(names).unwrap();
        (params.not_before, params.not_after) =
            (date_time_ymd(2020, 1, 2), date_time_ymd(2021, 3, 4));
        let pem = params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
        let file = folder.path().join("cert.pem");
        std::fs::write(&file, pem).unwrap();
        let facts = Facts::of(&file).unwrap();
        assert_eq!((facts.from, facts.until), (1_577_923_200, 1_614_816_000));
        for host in ["box.example", "BOX.example", "a.lan.example", "192.0.2.7", "[2001:db8::7]"] {
            assert!(facts.covers(host), "{host}");
        }
        for host in ["lan.example", "a.b.lan.example", ".lan.example", "192.0.2.8", "box"] {
            assert!(!facts.covers(host), "{host}");
        }
        std::fs::write(&file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
            .unwrap();
        assert!(Facts::of(&file).unwrap_err().to_string().contains("no X.509 certificate"));
    }
}
