//! The SHA-256 of a certificate, in the form that browsers and openssl print.

use serde_json::{Value, json};

use super::{units::Scalar, words::Sha256};

/// SHA-256 in hex, with or without colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(pub [u8; 32]);

impl Scalar for Fingerprint {
    fn read(text: &str) -> Result<Self, String> {
        Sha256::read(&text.replace(':', "")).map(|sum| Self(sum.0)).map_err(|_| {
            format!(
                "`{text}` is not a SHA-256 fingerprint: 64 hex digits, with or without colons, as \
                 `openssl x509 -noout -fingerprint -sha256 -in CERTIFICATE` prints them"
            )
        })
    }

    fn kind() -> String {
        "64 hex digits".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^([0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}$" })
    }
}

/// Reads one as a command line has it.
pub(crate) fn read_fingerprint(text: &str) -> Result<[u8; 32], String> {
    Fingerprint::read(text).map(|sum| sum.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_openssl_prints_it_and_bare() {
        let bare = "1f".repeat(32);
        let colons = vec!["1F"; 32].join(":");
        assert_eq!(Fingerprint::read(&bare), Ok(Fingerprint([0x1f; 32])));
        assert_eq!(Fingerprint::read(&colons), Ok(Fingerprint([0x1f; 32])));
        for wrong in ["", "1f", &colons[1..], "sha256 Fingerprint=1F"] {
            assert!(Fingerprint::read(wrong).unwrap_err().contains("openssl x509"), "{wrong}");
        }
    }
}
