//! A key that signs tokens: Ed25519 (RFC 8037), known to others by a name made from the key itself.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Bytes of the key's hash in its name.
const NAME_BYTES: usize = 9;

/// A private key.
pub(crate) struct Signer {
    pair: Ed25519KeyPair,
    /// `kid`.
    name: String,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Signer {
    /// A new key, as PKCS #8; `None`: the kernel gives no randomness.
    pub(crate) fn generate() -> Option<Vec<u8>> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).ok()?;
        Some(document.as_ref().to_vec())
    }

    /// From PKCS #8.
    pub(crate) fn from_pkcs8(document: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_pkcs8(document).ok()?;
        let hash = Sha256::digest(pair.public_key().as_ref());
        let name = URL_SAFE_NO_PAD.encode(hash.get(..NAME_BYTES)?);
        Some(Self { pair, name })
    }

    /// The public key as a JWK (RFC 8037 section 2).
    pub(crate) fn public(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref());
        json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": self.name, "x": x })
    }

    /// A token with these claims, an object.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = json!({ "alg": "EdDSA", "kid": self.name, "typ": "JWT" });
        let claims = serde_json::to_value(claims).unwrap_or_default();
        let text = format!("{}.{}", part(&head), part(&claims));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(text.as_bytes()));
        format!("{text}.{signature}")
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Jws, KeySet},
        *,
    };

    #[test]
    fn what_it_signs_its_public_key_proves_and_no_other() {
        let new = || Signer::from_pkcs8(&Signer::generate().unwrap()).unwrap();
        let keys = |signer: &Signer| {
            KeySet::parse(json!({ "keys": [signer.public()] }).to_string().as_bytes()).unwrap()
        };
        let (signer, other) = (new(), new());
        let token = signer.sign(&json!({ "sub": "anna" }));
        let claims = Jws::parse(&token).unwrap().proved(&keys(&signer)).unwrap();
        assert_eq!(claims["sub"], "anna");
        assert!(Jws::parse(&token).unwrap().proved(&keys(&other)).is_err());
    }
}
