//! What a client certificate is known by: the certificate itself, a name it is for, or its
//! subject's common name.

use std::net::IpAddr;

use super::{CertificateMatch, cursor::Keys, fingerprint::Fingerprint};

/// Reads what a certificate is known by: one of three things, or otherwise the name it has here.
pub(super) fn known_by(k: &mut Keys<'_>, name: &str) -> CertificateMatch {
    let common = k
        .key("common_name", "common name of the certificate's subject")
        .without("the name it has here")
        .uci("common_name")
        .maybe::<String>();
    let san = k
        .key(
            "san",
            "instead: one of its subject's alternative names: a host name, an address, a mail address or a URI",
        )
        .uci("san")
        .maybe::<String>();
    let fingerprint = k
        .key(
            "fingerprint",
            "instead: SHA-256 of this one certificate, as `openssl x509 -noout -fingerprint -sha256` prints it",
        )
        .uci("fingerprint")
        .maybe::<Fingerprint>();
    let mut written =
        ["common_name", "san", "fingerprint"].into_iter().filter_map(|name| k.place(name));
    if let Some(at) = written.nth(1) {
        k.wrong(at, "write one of `common_name`, `san` and `fingerprint`");
    }
    if k.has("fingerprint") {
        return CertificateMatch::Fingerprint(fingerprint.map_or([0; 32], |sum| sum.value.0));
    }
    match san {
        Some(san) => CertificateMatch::San(alternative_name(&san.value)),
        None => CertificateMatch::CommonName(common.map_or_else(|| name.to_owned(), |it| it.value)),
    }
}

/// The complaint that another certificate is known by the same.
pub(super) fn same(by: &CertificateMatch) -> String {
    match by {
        CertificateMatch::CommonName(name) => {
            format!("another certificate has the common name `{name}`")
        }
        CertificateMatch::San(name) => {
            format!("another certificate has the alternative name `{name}`")
        }
        CertificateMatch::Fingerprint(_) => {
            "another certificate has the same fingerprint".to_owned()
        }
    }
}

/// An alternative name in the form that certificates use: addresses in their one form, host names
/// in lower case.
fn alternative_name(text: &str) -> String {
    match text.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) if text.contains(['@', ':']) => text.to_owned(),
        Err(_) => text.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolve::tests::{good, mistakes};

    #[test]
    fn a_certificate_is_known_by_one_thing_that_no_other_has() {
        for (wrong, told) in [
            (
                "{ a: { san: box.example }, b: { san: BOX.example } }",
                "the alternative name `box.example`",
            ),
            (
                "{ a: { san: a, common_name: b } }",
                "write one of `common_name`, `san` and `fingerprint`",
            ),
            (
                "{ a: { fingerprint: 1f } }",
                "certificates.a.fingerprint: `1f` is not a SHA-256 fingerprint",
            ),
        ] {
            let error = mistakes(&format!("certificates: {wrong}"));
            assert!(error.contains(told), "{error}");
        }
        let by = |text: &str| {
            let (config, _) = good(&format!("certificates: {{ a: {{ {text} }} }}"));
            config.access.certificates["a"].by.clone()
        };
        assert_eq!(by(""), CertificateMatch::CommonName("a".into()));
        assert_eq!(by("san: '2001:DB8:0::7'"), CertificateMatch::San("2001:db8::7".into()));
        assert_eq!(
            by("san: 'spiffe://plant/PLC'"),
            CertificateMatch::San("spiffe://plant/PLC".into())
        );
        let sum = "1f".repeat(32);
        assert_eq!(by(&format!("fingerprint: '{sum}'")), CertificateMatch::Fingerprint([0x1f; 32]));
    }
}
