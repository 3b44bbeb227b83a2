//! What a gateway and its hub say to each other on the gateway's control socket: JSON in text frames
//! (docs/fleet.md).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The subprotocol of the control socket.
pub(crate) const HOME_PROTOCOL: &str = "wsbridge.home.v1";

/// What a gateway asks its hub for in the TLS handshake (ALPN): the certificate of the fleet's own
/// authority, in place of the one that browsers see.
pub(crate) const HOME_ALPN: &[u8] = b"wsbridge-home";

/// `Upgrade` of a link: after the 101 the hub speaks as an HTTP client, and the gateway, which has
/// dialled, as the server.
pub(crate) const LINK_UPGRADE: &str = "wsbridge-link";

/// The longest message, in bytes.
pub(crate) const MESSAGE_MAX: usize = 64 << 10;

/// The longest name of a gateway.
const NAME_MAX: usize = 63;

/// Whether a text may be a gateway's name: 1 to 63 of `a-z 0-9 -`, as in a host name.
pub(crate) fn is_gateway_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=NAME_MAX).contains(&text.len())
        && text.bytes().all(plain)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// What a gateway says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum FromGateway {
    /// Its first message.
    Hello {
        /// Random, and another one after each start.
        instance: String,
        /// `wsbridge/0.1.0`.
        version: String,
    },
    /// What it has; again whenever that changes, at most once a second.
    Card { labels: BTreeMap<String, String>, lines: Vec<CardLine> },
    /// It dials the link of that number.
    Dialling { re: u64 },
    /// It does not.
    Refused {
        re: u64,
        /// Why, for the hub's log.
        message: String,
    },
}

/// A line of a gateway, as its hub lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CardLine {
    pub(crate) name: String,
    /// As in `/api/endpoints`: `serial`, `tcp`.
    pub(crate) kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    /// `up`, `down`, `connecting`; empty where nobody knows until somebody connects.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) state: String,
    /// Who writes there now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) writer: Option<String>,
}

/// What a hub says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum FromHub {
    /// The answer to `hello`.
    Welcome {
        /// The hub's name, in whose name it asserts.
        hub: String,
        /// The gateway's name.
        gateway: String,
        /// Now, in seconds since 1970.
        time: i64,
    },
    /// Somebody wants to reach the gateway: it dials `/link/KEY`.
    Link {
        id: u64,
        /// 43 characters: 256 random bits, for one use within 15 s.
        key: String,
        /// Who it is (`wire::assertion`).
        assertion: String,
    },
    /// The hub ends the socket.
    Bye {
        reason: ByeReason,
        /// Seconds after which the gateway may dial again.
        after: u64,
    },
}

/// Why a hub ends a control socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ByeReason {
    /// The hub stops or starts anew.
    Restart,
    /// The gateway's certificate was revoked.
    Revoked,
    /// Another machine has the same certificate, and an operator has to say which one is right.
    Clone,
    /// The gateway has dialled again: the newer socket stays.
    Replaced,
    /// What the gateway said was not understood.
    Protocol,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_form_that_the_documents_show() {
        let text = r#"{"type":"link","id":5,"key":"k","assertion":"a.b.c"}"#;
        let link = FromHub::Link { id: 5, key: "k".to_owned(), assertion: "a.b.c".to_owned() };
        assert_eq!(serde_json::to_string(&link).unwrap(), text);
        assert_eq!(serde_json::from_str::<FromHub>(text).unwrap(), link);
        let bye = FromHub::Bye { reason: ByeReason::Restart, after: 5 };
        let text = r#"{"type":"bye","reason":"restart","after":5}"#;
        assert_eq!(serde_json::to_string(&bye).unwrap(), text);
        let card = r#"{"type":"card","labels":{"site":"north"},"lines":[{"name":"plc1","kind":"serial","state":"up"}]}"#;
        let read: FromGateway = serde_json::from_str(card).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), card);
        // What a later release says besides is passed over.
        let later = r#"{"type":"hello","instance":"a","version":"wsbridge/9","more":1}"#;
        assert!(serde_json::from_str::<FromGateway>(later).is_ok());
    }

    #[test]
    fn a_gateways_name_is_one_label_of_a_host_name() {
        for good in ["a", "g0123", "north-plant-7"] {
            assert!(is_gateway_name(good), "{good}");
        }
        let long = "a".repeat(64);
        for bad in ["", "-a", "a-", "A", "a.b", "a/b", "..", "ä", "a b", &long] {
            assert!(!is_gateway_name(bad), "{bad}");
        }
    }
}
