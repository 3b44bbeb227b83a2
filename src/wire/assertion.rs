//! What a hub says about whoever asks a gateway by a link: signed by the hub, for this run of this
//! gateway, for a minute and one use (docs/fleet.md).

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::jws::{Jws, KeySet};

/// How long one may be used after it was made, in seconds.
pub(crate) const ASSERTION_LIFE: i64 = 60;

/// How far a hub's clock may be ahead of ours, in seconds.
const AHEAD: i64 = 60;

/// The page that a request comes from, as the hub has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AssertedPage {
    /// The hub's own.
    Own,
    /// One of the hub's `origins:`.
    Listed,
    /// None: a program.
    None,
}

/// The claims. Rights are words of `config::rights`; one that a gateway does not know gives nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Assertion {
    /// The hub's name.
    #[serde(rename = "iss")]
    pub(crate) hub: String,
    /// The gateway's name.
    #[serde(rename = "aud")]
    pub(crate) gateway: String,
    /// Which run of the gateway it is for.
    pub(crate) instance: String,
    /// Who asks, as the hub knows it: `anna`; a token of the hub's is `token:ci`.
    #[serde(rename = "sub")]
    pub(crate) who: String,
    /// Rights by patterns of endpoints of the gateway.
    pub(crate) rights: BTreeMap<String, Vec<String>>,
    /// The client's address, as the hub sees it; none for a unix socket of the hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<IpAddr>,
    pub(crate) page: AssertedPage,
    /// When whoever asks last proved who he is, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) auth_time: Option<i64>,
    #[serde(rename = "iat")]
    pub(crate) issued: i64,
    #[serde(rename = "exp")]
    pub(crate) expires: i64,
    /// Never the same twice.
    #[serde(rename = "jti")]
    pub(crate) id: String,
}

/// For whom an assertion has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Audience<'a> {
    pub(crate) hub: &'a str,
    pub(crate) gateway: &'a str,
    pub(crate) instance: &'a str,
}

impl Assertion {
    /// Reads one that one of these keys has signed, for us and for now (seconds since 1970). Whether
    /// it was used before, the caller has to know.
    ///
    /// # Errors
    /// Why it is refused; the text names the hub's fault, and nothing secret.
    pub(crate) fn read(
        text: &str,
        keys: &KeySet,
        wanted: Audience<'_>,
        now: i64,
    ) -> Result<Self, String> {
        let claims = Jws::parse(text).and_then(|jws| jws.proved(keys));
        let claims = claims.map_err(|error| format!("the hub's assertion: {error}"))?;
        let read: Self = serde_json::from_value(Value::Object(claims))
            .map_err(|error| format!("the hub's assertion cannot be read: {error}"))?;
        let Audience { hub, gateway, instance } = wanted;
        if read.hub != hub {
            return Err("the hub's assertion is in another hub's name".to_owned());
        }
        if read.gateway != gateway {
            return Err("the hub's assertion is for another gateway".to_owned());
        }
        if read.instance != instance {
            return Err("the hub's assertion is for an earlier run of this gateway".to_owned());
        }
        let life = read.expires.saturating_sub(read.issued);
        if !(0..=ASSERTION_LIFE).contains(&life) {
            return Err("the hub's assertion lasts longer than a minute".to_owned());
        }
        if read.expires < now {
            return Err(format!(
                "the hub's assertion ended {} s ago: is a clock wrong?",
                now.saturating_sub(read.expires)
            ));
        }
        if read.issued > now.saturating_add(AHEAD) {
            return Err(format!(
                "the hub's assertion is from {} s in the future: is a clock wrong?",
                read.issued.saturating_sub(now)
            ));
        }
        if read.who.is_empty() || read.who.len() > 256 || read.who.chars().any(char::is_control) {
            return Err("the hub's assertion names nobody".to_owned());
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::jws::Signer, *};

    fn signer() -> Signer {
        Signer::from_pkcs8(&Signer::generate().unwrap()).unwrap()
    }

    fn keys(signer: &Signer) -> KeySet {
        KeySet::parse(json!({ "keys": [signer.public()] }).to_string().as_bytes()).unwrap()
    }

    fn claims() -> Value {
        json!({
            "iss": "hub-1", "aud": "north-7", "instance": "a1", "sub": "anna",
            "rights": { "plc*": ["read", "write"] }, "client": "192.0.2.7", "page": "own",
            "auth_time": 900, "iat": 1000, "exp": 1060, "jti": "x"
        })
    }

    fn told(claims: &Value, now: i64) -> Result<Assertion, String> {
        let signer = signer();
        let wanted = Audience { hub: "hub-1", gateway: "north-7", instance: "a1" };
        Assertion::read(&signer.sign(claims), &keys(&signer), wanted, now)
    }

    #[test]
    fn a_good_one_is_read_as_it_was_written() {
        let read = told(&claims(), 1030).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), claims());
        // A gateway's clock may be a minute behind its hub's.
        assert!(told(&claims(), 940).is_ok());
    }

    #[test]
    fn one_for_another_or_for_another_time_is_refused() {
        for (name, value, now, why) in [
            ("iss", json!("hub-2"), 1030, "another hub's"),
            ("aud", json!("south-7"), 1030, "another gateway"),
            ("instance", json!("a2"), 1030, "earlier run"),
            ("exp", json!(1061), 1030, "longer than a minute"),
            ("exp", json!(999), 1030, "longer than a minute"),
            ("iat", json!(1000), 1061, "ended 1 s ago"),
            ("iat", json!(1000), 939, "61 s in the future"),
            ("exp", json!(i64::MAX), 1030, "longer than a minute"),
            ("sub", json!(""), 1030, "names nobody"),
            ("sub", json!("a\nb"), 1030, "names nobody"),
            ("page", json!("other"), 1030, "cannot be read"),
            ("rights", json!([]), 1030, "cannot be read"),
            ("client", json!("nowhere"), 1030, "cannot be read"),
        ] {
            let mut all = claims();
            all[name] = value;
            let no = told(&all, now).unwrap_err();
            assert!(no.contains(why), "{name}: {no}");
        }
    }

    #[test]
    fn one_that_another_key_has_signed_is_refused() {
        let wanted = Audience { hub: "hub-1", gateway: "north-7", instance: "a1" };
        let no = Assertion::read(&signer().sign(&claims()), &keys(&signer()), wanted, 1030);
        assert!(no.unwrap_err().contains("not known"));
        assert!(Assertion::read("ey.x.y", &keys(&signer()), wanted, 1030).is_err());
    }
}
