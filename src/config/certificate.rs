//! What a client certificate is known by: the very one, a name it is for, or its subject's common name.

use std::net::IpAddr;

use super::{
    Access, CertificateMatch,
    raw::{self, Leaf},
    report::Report,
};

/// What a certificate is known by, which no other of `access` is.
pub(super) fn known_by(
    (name, raw): (&Leaf<String>, &raw::Certificate),
    access: &Access,
    path: &str,
    report: &mut Report,
) -> CertificateMatch {
    let by = read((name, raw), path, report);
    if access.certificates.values().any(|other| other.by == by) {
        let what = match &by {
            CertificateMatch::CommonName(name) => format!("another certificate has the common name `{name}`"),
            CertificateMatch::San(name) => format!("another certificate has the alternative name `{name}`"),
            CertificateMatch::Fingerprint(_) => "another certificate has the same fingerprint".to_owned(),
        };
        report.wrong(name.at, path, &what);
    }
    by
}

/// One of three things, or else the name it has here.
fn read(
    (name, raw): (&Leaf<String>, &raw::Certificate),
    path: &str,
    report: &mut Report,
) -> CertificateMatch {
    let written = [
        raw.common_name.as_ref().map(|leaf| leaf.at),
        raw.san.as_ref().map(|leaf| leaf.at),
        raw.fingerprint.as_ref().map(|leaf| leaf.at),
    ];
    if let Some(at) = written.into_iter().flatten().nth(1) {
        report.wrong(at, path, "write one of `common_name`, `san` and `fingerprint`");
    }
    if let Some(leaf) = &raw.fingerprint {
        let sum = report.read(&format!("{path}.fingerprint"), leaf);
        return CertificateMatch::Fingerprint(sum.map_or([0; 32], |sum| sum.0));
    }
    if let Some(leaf) = &raw.san {
        return CertificateMatch::San(alternative_name(&leaf.text));
    }
    let common = report.or(&format!("{path}.common_name"), raw.common_name.as_ref(), name.text.clone());
    CertificateMatch::CommonName(common)
}

/// An alternative name as certificates have it: addresses in their one form, host names in lower case.
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
            ("{ a: { san: box.example }, b: { san: BOX.example } }", "the alternative name `box.example`"),
            ("{ a: { san: a, common_name: b } }", "write one of `common_name`, `san` and `fingerprint`"),
            ("{ a: { fingerprint: 1f } }", "certificates.a.fingerprint: `1f` is not a SHA-256 fingerprint"),
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
        assert_eq!(by("san: 'spiffe://plant/PLC'"), CertificateMatch::San("spiffe://plant/PLC".into()));
        let sum = "1f".repeat(32);
        assert_eq!(by(&format!("fingerprint: '{sum}'")), CertificateMatch::Fingerprint([0x1f; 32]));
    }
}
