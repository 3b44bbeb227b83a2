//! Subprotocol negotiation, and the credentials that hide in it.
//!
//! docs/protocol.md section 1. A page can set no header of its WebSocket but `Sec-WebSocket-Protocol`, so tokens and
//! tickets travel in it; they are taken out here, before anything logs or selects a name.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{close::Refusal, head::is_token};

/// Longest text of a credential, in characters of the header.
pub const CREDENTIAL_MAX: usize = 512;

/// Most names a client may offer.
pub const OFFERS_MAX: usize = 32;

const BEARER: &str = "wsbridge.bearer.";
const TICKET: &str = "wsbridge.ticket.";

/// A subprotocol we answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Control mode: binary frames are line bytes, text frames JSON messages.
    V1,
    /// Plain mode.
    Binary,
    /// Plain mode, base64 in text frames both ways (noVNC before 1.0).
    Base64,
}

impl Protocol {
    /// Its name in `Sec-WebSocket-Protocol`; names are compared exactly.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "wsbridge.v1",
            Self::Binary => "binary",
            Self::Base64 => "base64",
        }
    }
}

/// A text that `Debug` does not show. (The configuration's `Secret` is on this floor, too, and out of reach.)
#[derive(Clone)]
pub struct Concealed(String);

impl Concealed {
    /// The text, for the one place that checks it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Concealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// A credential among the offers.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An API token's text.
    Bearer(Concealed),
    /// A one-time ticket.
    Ticket(Concealed),
}

/// What a client's offers come to.
#[derive(Clone, Debug)]
pub struct Offer {
    /// What to answer; `None`: the client offered nothing, answer nothing.
    pub answer: Option<Protocol>,
    /// The credential among them.
    pub credential: Option<Credential>,
}

/// Reads the values of all `Sec-WebSocket-Protocol` fields, in order. `v1` and `base64` tell whether those two are
/// spoken; of those spoken, the answer is the first in the order of [`Protocol`], whatever the client's order.
pub fn negotiate<'a>(
    offers: impl Iterator<Item = &'a str>,
    v1: bool,
    base64: bool,
) -> Result<Offer, Refusal> {
    let mut names: Vec<&str> = Vec::new();
    let mut credential = None;
    for entry in offers.flat_map(|value| value.split(',')) {
        let entry = entry.trim_matches([' ', '\t']);
        if !is_token(entry.as_bytes()) {
            return Err(Refusal::BadRequest("an entry of Sec-WebSocket-Protocol is empty or no token"));
        }
        if let Some(found) = read_credential(entry)? {
            if credential.replace(found).is_some() {
                return Err(Refusal::BadRequest("two credentials in Sec-WebSocket-Protocol: send one"));
            }
            continue;
        }
        if names.contains(&entry) {
            return Err(Refusal::BadRequest("a subprotocol is offered twice"));
        }
        if names.len() == OFFERS_MAX {
            return Err(Refusal::BadRequest("over 32 subprotocols are offered"));
        }
        names.push(entry);
    }
    let answer = [Protocol::V1, Protocol::Binary, Protocol::Base64].into_iter().find(|protocol| {
        let spoken = match protocol {
            Protocol::V1 => v1,
            Protocol::Binary => true,
            Protocol::Base64 => base64,
        };
        spoken && names.contains(&protocol.name())
    });
    match (&answer, &credential, names.is_empty()) {
        (None, _, false) => Err(Refusal::BadRequest(
            "none of the offered subprotocols is spoken here: offer `binary`, or none",
        )),
        (None, Some(_), true) => Err(Refusal::BadRequest(
            "only a credential is offered, and none is ever answered: offer `binary`, too",
        )),
        (None, None, true) | (Some(_), _, _) => Ok(Offer { answer, credential }),
    }
}

fn read_credential(entry: &str) -> Result<Option<Credential>, Refusal> {
    if let Some(text) = entry.strip_prefix(BEARER) {
        let text = bounded(text)?;
        let token = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let why = "the token in Sec-WebSocket-Protocol is not base64url without padding";
        return token.map(|token| Some(Credential::Bearer(Concealed(token)))).ok_or(Refusal::BadRequest(why));
    }
    if let Some(text) = entry.strip_prefix(TICKET) {
        return Ok(Some(Credential::Ticket(Concealed(bounded(text)?.to_owned()))));
    }
    Ok(None)
}

fn bounded(text: &str) -> Result<&str, Refusal> {
    match text.len() {
        0 => Err(Refusal::BadRequest("the credential in Sec-WebSocket-Protocol is empty")),
        1..=CREDENTIAL_MAX => Ok(text),
        _ => Err(Refusal::BadRequest("the credential in Sec-WebSocket-Protocol is over 512 characters")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(values: &[&str], v1: bool, base64: bool) -> Option<&'static str> {
        let offer = negotiate(values.iter().copied(), v1, base64).unwrap();
        offer.answer.map(Protocol::name)
    }

    fn refused(value: &str) -> &'static str {
        match negotiate([value].into_iter(), true, true) {
            Err(Refusal::BadRequest(why)) => why,
            other => panic!("{value:?} gives {other:?}"),
        }
    }

    fn text(credential: Option<Credential>) -> String {
        match credential {
            Some(Credential::Bearer(text)) => format!("bearer {}", text.reveal()),
            Some(Credential::Ticket(text)) => format!("ticket {}", text.reveal()),
            None => "none".to_owned(),
        }
    }

    #[test]
    fn the_answer_is_the_best_that_is_spoken_and_offered() {
        assert_eq!(answer(&[], true, true), None);
        assert_eq!(answer(&["binary"], false, false), Some("binary"));
        assert_eq!(answer(&["base64, binary"], true, true), Some("binary"));
        assert_eq!(answer(&["base64"], false, true), Some("base64"));
        assert_eq!(answer(&["base64,\tchat , binary"], false, false), Some("binary"));
        assert_eq!(answer(&["binary", "wsbridge.v1"], true, true), Some("wsbridge.v1"));
        assert_eq!(answer(&["binary", "wsbridge.v1"], false, true), Some("binary"));
    }

    #[test]
    fn what_is_not_spoken_is_an_unknown_name() {
        let none = Err(Refusal::BadRequest(
            "none of the offered subprotocols is spoken here: offer `binary`, or none",
        ));
        for value in ["base64", "wsbridge.v1", "Binary", "chat, superchat", "chat, wsbridge.ticket.x"] {
            assert_eq!(negotiate([value].into_iter(), false, false).map(|_| ()), none);
        }
    }

    #[test]
    fn a_credential_is_taken_out_wherever_it_stands() {
        for values in [
            &["binary, wsbridge.bearer.d3NiX3g_"][..],
            &["wsbridge.bearer.d3NiX3g_,binary"],
            &["wsbridge.bearer.d3NiX3g_", "binary"],
        ] {
            let offer = negotiate(values.iter().copied(), true, false).unwrap();
            assert_eq!(offer.answer, Some(Protocol::Binary));
            assert_eq!(text(offer.credential), "bearer wsb_x?");
        }
        let offer = negotiate(["wsbridge.ticket.a-b_C", "binary"].into_iter(), true, false).unwrap();
        assert_eq!(text(offer.credential), "ticket a-b_C");
        assert_eq!(text(negotiate(["binary"].into_iter(), true, false).unwrap().credential), "none");
    }

    #[test]
    fn no_debug_shows_a_credential() {
        let offer = negotiate(["binary, wsbridge.ticket.topsecret"].into_iter(), true, false).unwrap();
        assert_eq!(format!("{offer:?}"), "Offer { answer: Some(Binary), credential: Some(Ticket(..)) }");
    }

    #[test]
    fn malformed_offers_are_refused() {
        let token = "an entry of Sec-WebSocket-Protocol is empty or no token";
        for value in ["", " ", ",", "binary,", "binary,,chat", "bin ary", "bin/ary", "binär"] {
            assert_eq!(refused(value), token, "{value:?}");
        }
        assert_eq!(refused("binary, chat, binary"), "a subprotocol is offered twice");
        let many: Vec<String> = (0..=OFFERS_MAX).map(|number| format!("p{number}")).collect();
        assert_eq!(refused(&many.join(",")), "over 32 subprotocols are offered");
    }

    #[test]
    fn wrong_credentials_are_refused() {
        let alone = "only a credential is offered, and none is ever answered: offer `binary`, too";
        assert_eq!(refused("wsbridge.ticket.x"), alone);
        assert_eq!(refused("wsbridge.bearer.eA"), alone);
        let two = "two credentials in Sec-WebSocket-Protocol: send one";
        assert_eq!(refused("binary, wsbridge.ticket.x, wsbridge.bearer.eA"), two);
        assert_eq!(refused("binary, wsbridge.ticket.x, wsbridge.ticket.x"), two);
        assert_eq!(refused("binary, wsbridge.ticket."), "the credential in Sec-WebSocket-Protocol is empty");
        let coding = "the token in Sec-WebSocket-Protocol is not base64url without padding";
        for wrong in ["x", "eB", "a+b+", "_w", "a.b."] {
            assert_eq!(refused(&format!("binary, wsbridge.bearer.{wrong}")), coding, "{wrong}");
        }
        let long = "A".repeat(CREDENTIAL_MAX);
        assert!(negotiate([format!("binary,{BEARER}{long}").as_str()].into_iter(), true, true).is_ok());
        let why = "the credential in Sec-WebSocket-Protocol is over 512 characters";
        assert_eq!(refused(&format!("binary, {BEARER}{long}A")), why);
        assert_eq!(refused(&format!("binary, {TICKET}{long}A")), why);
    }

    proptest! {
        #[test]
        fn nothing_is_answered_that_was_not_offered(
            entries in prop::collection::vec("binary|base64|wsbridge\\.v1|wsbridge\\.(bearer|ticket)\\.[A-Za-z]{0,8}|\\PC{0,6}", 0..5),
            v1 in any::<bool>(), base64 in any::<bool>(),
        ) {
            if let Ok(Offer { answer: Some(answer), .. }) = negotiate(entries.iter().map(String::as_str), v1, base64) {
                prop_assert!(entries.iter().flat_map(|entry| entry.split(',')).any(|entry| entry.trim() == answer.name()));
                prop_assert!(v1 || answer != Protocol::V1);
                prop_assert!(base64 || answer != Protocol::Base64);
            }
        }
    }
}
