//! The keys of an issuer (JWKS), and what each of them proves.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Algorithm, JwsError, Object};

/// The longest text of a set of keys, in bytes.
pub(crate) const KEY_SET_MAX: usize = 64 << 10;
/// The most keys of a set.
const KEYS_MAX: usize = 32;
/// The sizes of an RSA modulus, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    name: Option<String>,
    material: Material,
}

impl Key {
    fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
            Material::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    pub(super) fn verify(&self, signed: &[u8], signature: &[u8]) -> Option<()> {
        match &self.material {
            Material::Rsa { modulus, exponent } => {
                let key = RsaPublicKeyComponents { n: modulus, e: exponent };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
            }
            Material::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature)
            }
            Material::Ed25519(point) => {
                UnparsedPublicKey::new(&ED25519, point).verify(signed, signature)
            }
        }
        .ok()
    }
}

/// The keys of an issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeySet(Vec<Key>);

impl KeySet {
    /// Reads a JWKS. Keys for other purposes or algorithms are passed over.
    ///
    /// # Errors
    /// It is too large or is no JWKS, two of its keys have the same name, a key is weak or broken,
    /// or a private key is in it.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Object>,
        }
        if text.len() > KEY_SET_MAX {
            return Err(format!("over {} KiB", KEY_SET_MAX >> 10));
        }
        let Set { keys } = serde_json::from_slice(text).map_err(|_| "not a JWKS".to_owned())?;
        if keys.len() > KEYS_MAX {
            return Err(format!("more than {KEYS_MAX} keys"));
        }
        let mut all: Vec<Key> = Vec::new();
        for Object(rows) in keys {
            let Some(key) = key(&rows)? else { continue };
            if all.iter().any(|other| other.name == key.name || other.material == key.material) {
                let name = key.name.unwrap_or_else(|| "without `kid`".into());
                return Err(format!("two keys `{name}`, or one key twice"));
            }
            all.push(key);
        }
        if all.is_empty() {
            return Err("no key for RS256, ES256 or EdDSA".into());
        }
        Ok(Self(all))
    }

    /// The key of a name; without a name, the only one of its algorithm.
    pub(super) fn find(&self, name: Option<&str>, algorithm: Algorithm) -> Result<&Key, JwsError> {
        let Some(name) = name else {
            let mut fit = self.0.iter().filter(|key| key.algorithm() == algorithm);
            let only = fit.next().filter(|_| fit.next().is_none());
            return only.ok_or(JwsError::Head("it does not say with which key it is signed"));
        };
        let key = self.0.iter().find(|key| key.name.as_deref() == Some(name));
        let key = key.ok_or(JwsError::UnknownKey)?;
        if key.algorithm() != algorithm {
            return Err(JwsError::Head("its `alg` is not that of its key"));
        }
        Ok(key)
    }
}

/// A key of a set; `None`: it is for something else.
fn key(rows: &Map<String, Value>) -> Result<Option<Key>, String> {
    let text = |name: &str| rows.get(name).and_then(Value::as_str);
    let name = text("kid").map(str::to_owned);
    let shown = name.clone().unwrap_or_else(|| "without `kid`".into());
    if ["d", "p", "q", "dp", "dq", "qi"].iter().any(|secret| rows.contains_key(*secret)) {
        return Err(format!("key `{shown}` is a private key: nobody but its issuer may have it"));
    }
    let verifies = rows.get("key_ops").is_none_or(|all| {
        all.as_array().is_some_and(|all| all.iter().any(|one| one.as_str() == Some("verify")))
    });
    if !verifies || text("use").is_some_and(|purpose| purpose != "sig") {
        return Ok(None);
    }
    let bytes = |name: &str| {
        let decoded = text(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        decoded.ok_or_else(|| format!("key `{shown}`: `{name}` is not base64url"))
    };
    let point = |name: &str| {
        let part = bytes(name)?;
        if part.len() == 32 {
            Ok(part)
        } else {
            Err(format!("key `{shown}`: `{name}` is not 32 bytes"))
        }
    };
    let material = match (text("kty"), text("crv")) {
        (Some("RSA"), _) => {
            let modulus = bytes("n")?;
            let modulus: Vec<_> = modulus.into_iter().skip_while(|byte| *byte == 0).collect();
            let unused = modulus.first().map_or(0, |first| first.leading_zeros() as usize);
            let bits = modulus.len() * 8 - unused;
            if !RSA_BITS.contains(&bits) {
                return Err(format!("key `{shown}` has {bits} bits; RSA keys have 2048 to 4096"));
            }
            Material::Rsa { modulus, exponent: bytes("e")? }
        }
        (Some("EC"), Some("P-256")) => {
            Material::P256([&[4], point("x")?.as_slice(), point("y")?.as_slice()].concat())
        }
        (Some("OKP"), Some("Ed25519")) => Material::Ed25519(point("x")?),
        _ => return Ok(None),
    };
    let key = Key { name, material };
    // A key for RS512 is no key for RS256.
    let fits = text("alg").is_none_or(|word| Algorithm::named(word) == Some(key.algorithm()));
    Ok(fits.then_some(key))
}
