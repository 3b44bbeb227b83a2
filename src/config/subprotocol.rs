//! Names of subprotocols that an endpoint answers to besides ours.

use serde_json::{Value, json};

use super::units::Scalar;
use crate::wire::{head::is_token, subprotocol::is_own};

/// A name that a client may offer (RFC 6455 section 11.3.4) and that has no meaning of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subprotocol(pub String);

impl Scalar for Subprotocol {
    fn read(text: &str) -> Result<Self, String> {
        if is_own(text) {
            return Err(format!(
                "`{text}` is the gateway's own; name the others that clients offer, like mqtt"
            ));
        }
        let fits = is_token(text.as_bytes()) && text.len() <= 64;
        let what = || {
            format!(
                "`{text}` is not a subprotocol; write a name as clients offer it, like mqtt or ocpp1.6"
            )
        };
        fits.then(|| Self(text.to_owned())).ok_or_else(what)
    }

    fn kind() -> String {
        "name".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "maxLength": 64, "examples": ["mqtt", "ocpp1.6", "guacamole"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_token_and_none_of_ours() {
        for good in ["mqtt", "mqttv3.1", "ocpp1.6", "arduino", "Telnet"] {
            assert_eq!(Subprotocol::read(good), Ok(Subprotocol(good.into())));
        }
        for wrong in [
            "",
            "a b",
            "a,b",
            "binary",
            "base64",
            "wsbridge.v1",
            "wsbridge.bearer.x",
            "wsbridge.v2",
        ] {
            assert!(Subprotocol::read(wrong).is_err(), "{wrong}");
        }
    }
}
