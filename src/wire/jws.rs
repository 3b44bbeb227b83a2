//! Signed tokens (RFC 7515) and the keys that they are checked with (RFC 7517): three algorithms,
//! and nothing in a token chooses its key but the key's name.

mod keys;
mod signer;

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{Map, Value};

pub(crate) use self::{
    keys::{KEY_SET_MAX, KeySet},
    signer::Signer,
};

/// The longest token that is looked at, in bytes.
const TOKEN_MAX: usize = 12 << 10;

/// How a token may be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    fn named(word: &str) -> Option<Self> {
        match word {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JwsError {
    /// It is not three parts of base64url with JSON in them.
    #[error("not a signed token")]
    Malformed,
    /// Its head says what is never heeded.
    #[error("{0}")]
    Head(&'static str),
    /// No key of that name is known.
    #[error("signed with a key that is not known")]
    UnknownKey,
    /// The key is there, and did not make this signature.
    #[error("the signature is wrong")]
    Signature,
}

/// A JSON object, each of whose names is there once.
struct Object(Map<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Once).map(Self)
    }
}

struct Once;

impl<'de> Visitor<'de> for Once {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut rows: A) -> Result<Self::Value, A::Error> {
        let mut all = Map::new();
        while let Some((name, value)) = rows.next_entry::<String, Value>()? {
            if all.insert(name, value).is_some() {
                return Err(A::Error::custom("a name is there twice"));
            }
        }
        Ok(all)
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice::<Object>(&bytes).ok().map(|object| object.0)
}

/// A token whose signature nobody has looked at.
#[derive(Clone, Debug)]
pub(crate) struct Jws<'a> {
    algorithm: Algorithm,
    /// The name of its key.
    key: Option<String>,
    /// What it says, unproved.
    claims: Map<String, Value>,
    /// What is signed.
    signed: &'a [u8],
    signature: Vec<u8>,
}

/// Whether a text has the three parts of a signed token.
pub(crate) fn looks_signed(text: &str) -> bool {
    text.starts_with("ey") && text.split('.').count() == 3
}

impl<'a> Jws<'a> {
    /// Takes a token apart.
    pub(crate) fn parse(text: &'a str) -> Result<Self, JwsError> {
        let (signed, signature) =
            text.rsplit_once('.').filter(|_| text.len() <= TOKEN_MAX).ok_or(JwsError::Malformed)?;
        let (head, claims) = signed.split_once('.').ok_or(JwsError::Malformed)?;
        let head = object(head).ok_or(JwsError::Malformed)?;
        let algorithm = head_of(&head)?;
        let key = match head.get("kid") {
            None => None,
            Some(Value::String(name)) if name.len() <= 256 => Some(name.clone()),
            Some(_) => return Err(JwsError::Head("its `kid` is not a text")),
        };
        let claims = object(claims).ok_or(JwsError::Malformed)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| JwsError::Malformed)?;
        Ok(Self { algorithm, key, claims, signed: signed.as_bytes(), signature })
    }

    /// What it says about itself: only to find out whose keys to check it with.
    pub(crate) fn unproved(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str()
    }

    /// What it says, once one of these keys has proved it.
    pub(crate) fn proved(self, keys: &KeySet) -> Result<Map<String, Value>, JwsError> {
        let key = keys.find(self.key.as_deref(), self.algorithm)?;
        key.verify(self.signed, &self.signature).ok_or(JwsError::Signature)?;
        Ok(self.claims)
    }
}

/// The algorithm of a head that says nothing dangerous.
fn head_of(head: &Map<String, Value>) -> Result<Algorithm, JwsError> {
    // Each of them would let the token bring its own key, or rules we do not know.
    for (name, why) in [
        ("crit", "its head has `crit`"),
        ("jku", "its head has `jku`"),
        ("jwk", "its head has `jwk`"),
        ("x5u", "its head has `x5u`"),
        ("x5c", "its head has `x5c`"),
        ("b64", "its head has `b64`"),
        ("zip", "its head has `zip`"),
        ("enc", "its head has `enc`"),
    ] {
        if head.contains_key(name) {
            return Err(JwsError::Head(why));
        }
    }
    let kind = head.get("typ").map(|kind| kind.as_str().unwrap_or_default().to_ascii_lowercase());
    if !matches!(kind.as_deref(), None | Some("jwt" | "at+jwt" | "application/at+jwt")) {
        return Err(JwsError::Head("its `typ` is that of another kind of token"));
    }
    let word = head.get("alg").and_then(Value::as_str);
    word.and_then(Algorithm::named)
        .ok_or(JwsError::Head("its `alg` is none of RS256, ES256 and EdDSA"))
}

#[cfg(test)]
mod tests {
    use ring::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
    };
    use serde_json::json;

    use super::*;

    fn coded(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    /// An Ed25519 key and its JWK.
    fn ed() -> (Ed25519KeyPair, Value) {
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let x = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
        (key, json!({ "kty": "OKP", "crv": "Ed25519", "kid": "one", "x": x }))
    }

    fn set(keys: &[Value]) -> Result<KeySet, String> {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    fn signed(head: &Value, claims: &Value) -> String {
        let text = format!("{}.{}", coded(head), coded(claims));
        let signature = URL_SAFE_NO_PAD.encode(ed().0.sign(text.as_bytes()));
        format!("{text}.{signature}")
    }

    fn opened(token: &str, keys: &KeySet) -> Result<Map<String, Value>, JwsError> {
        Jws::parse(token)?.proved(keys)
    }

    #[test]
    fn a_token_is_proved_by_the_key_it_names_and_no_other() {
        let keys = set(&[ed().1]).unwrap();
        let head = json!({ "alg": "EdDSA", "kid": "one" });
        let token = signed(&head, &json!({ "sub": "anna" }));
        assert_eq!(opened(&token, &keys).unwrap()["sub"], "anna");
        // Every changed byte of its text is found, except in bits that base64url has no use for.
        for at in 0..token.len() {
            let mut other = token.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            assert!(other == token || opened(&other, &keys).is_err(), "{at}");
        }
        let named = |name: &str| signed(&json!({ "alg": "EdDSA", "kid": name }), &json!({}));
        assert_eq!(opened(&named("two"), &keys), Err(JwsError::UnknownKey));
        let nameless = signed(&json!({ "alg": "EdDSA" }), &json!({}));
        assert!(opened(&nameless, &keys).is_ok(), "the only key of its algorithm");
    }

    #[test]
    fn no_head_brings_a_key_or_a_rule_of_its_own() {
        let keys = set(&[ed().1]).unwrap();
        for (name, value) in [
            ("crit", json!(["exp"])),
            ("crit", json!(null)),
            ("jku", json!("https://evil.example/keys")),
            ("jwk", ed().1),
            ("x5u", json!("https://evil.example/c")),
            ("x5c", json!([])),
            ("b64", json!(false)),
            ("typ", json!("dpop+jwt")),
            ("kid", json!(1)),
            ("alg", json!("none")),
            ("alg", json!("HS256")),
            ("alg", json!("RS256")),
            ("alg", json!("ES256")),
            ("alg", json!(null)),
        ] {
            let mut head = json!({ "alg": "EdDSA", "kid": "one" });
            head[name] = value;
            let refused = opened(&signed(&head, &json!({})), &keys);
            assert!(matches!(refused, Err(JwsError::Head(_))), "{head} {refused:?}");
        }
        let twice = r#"{"alg":"EdDSA","kid":"one","alg":"EdDSA"}"#;
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(twice), coded(&json!({})));
        let signature = URL_SAFE_NO_PAD.encode(ed().0.sign(text.as_bytes()));
        assert_eq!(opened(&format!("{text}.{signature}"), &keys), Err(JwsError::Malformed));
        for text in ["", ".", "..", "a.b.c", "ey.ey", "e30.e30.", "e30.e30.e30.e30"] {
            assert!(opened(text, &keys).is_err(), "{text}");
        }
    }

    #[test]
    fn a_set_of_keys_is_read_strictly() {
        let other = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "one", "x": URL_SAFE_NO_PAD.encode([9; 32]) });
        assert!(set(&[ed().1, other]).unwrap_err().contains("two keys `one`"));
        let mut private = ed().1;
        private["d"] = json!("AA");
        assert!(set(&[private]).unwrap_err().contains("private key"));
        let rsa = |bytes: usize| json!({ "kty": "RSA", "kid": "r", "n": URL_SAFE_NO_PAD.encode(vec![255; bytes]), "e": "AQAB" });
        assert!(set(&[rsa(128)]).unwrap_err().contains("1024 bits"));
        assert!(set(&[rsa(520)]).unwrap_err().contains("4160 bits"));
        assert!(set(&[rsa(256)]).is_ok());
        for (name, value) in [("use", "enc"), ("alg", "HS256"), ("crv", "X25519"), ("kty", "oct")] {
            let mut unfit = ed().1;
            unfit[name] = json!(value);
            assert!(set(&[unfit.clone()]).unwrap_err().contains("no key"), "{unfit}");
            assert!(set(&[unfit, rsa(512)]).is_ok());
        }
        let many: Vec<_> = (0..33).map(|n| json!({ "kty": "oct", "kid": n })).collect();
        assert!(set(&many).unwrap_err().contains("more than 32"));
        assert!(KeySet::parse(&vec![b' '; KEY_SET_MAX + 1]).is_err());
        assert!(KeySet::parse(b"[]").is_err() && KeySet::parse(b"{\"keys\":[1]}").is_err());
    }

    #[test]
    fn a_signature_of_p256_has_its_two_halves_and_no_der() {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let made = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, made.as_ref(), &random).unwrap();
        let point = pair.public_key().as_ref();
        let half = |at: usize| URL_SAFE_NO_PAD.encode(&point[at..at + 32]);
        let jwk = json!({ "kty": "EC", "crv": "P-256", "kid": "e", "x": half(1), "y": half(33) });
        let keys = set(&[jwk]).unwrap();
        let text =
            format!("{}.{}", coded(&json!({ "alg": "ES256", "kid": "e" })), coded(&json!({})));
        let signature = pair.sign(&random, text.as_bytes()).unwrap();
        let token = |bytes: &[u8]| format!("{text}.{}", URL_SAFE_NO_PAD.encode(bytes));
        assert!(opened(&token(signature.as_ref()), &keys).is_ok());
        // All zeros, once a signature of everything in a well-known library.
        assert_eq!(opened(&token(&[0; 64]), &keys), Err(JwsError::Signature));
        assert!(opened(&token(&signature.as_ref()[..63]), &keys).is_err());
    }
}
