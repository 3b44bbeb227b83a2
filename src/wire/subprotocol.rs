//! Subprotocol negotiation, and the credentials hidden in it.
//!
//! docs/protocol.md section 1. `Sec-WebSocket-Protocol` is the only header of its WebSocket that a
//! page can set, so tokens and tickets travel in it; they are taken out here, before anything logs
//! or selects a name.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{close::Refusal, head::is_token};

/// The longest text of a credential, in characters of the header: what an issuer signs with RSA has
/// a thousand and more.
pub const CREDENTIAL_MAX: usize = 4096;

/// The most names that a client may offer.
pub const OFFERS_MAX: usize = 32;

const BEARER: &str = "wsbridge.bearer.";
const TICKET: &str = "wsbridge.ticket.";

/// A subprotocol we answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Control mode: binary frames are line bytes, text frames JSON messages.
    V1,
    /// Plain mode, under a name that the endpoint lists.
    Named(String),
    /// Plain mode.
    Binary,
    /// Plain mode, base64 in text frames both ways (noVNC before 1.0).
    Base64,
}

impl Protocol {
    /// Its name in `Sec-WebSocket-Protocol`; names are compared exactly.
    pub fn name(&self) -> &str {
        match self {
            Self::V1 => "wsbridge.v1",
            Self::Named(name) => name,
            Self::Binary => "binary",
            Self::Base64 => "base64",
        }
    }
}

/// Which of the protocols are spoken.
#[derive(Clone, Copy, Debug)]
pub enum Spoken<'a> {
    /// Not known yet: any name a client may offer.
    Any,
    /// What an endpoint speaks: ours, `base64` if allowed, and names of its own, the best first.
    By {
        /// Whether `base64` is allowed.
        base64: bool,
        /// Names of its own.
        named: &'a [String],
    },
}

/// Whether a name is one of ours, whatever it means.
pub fn is_own(name: &str) -> bool {
    matches!(name, "binary" | "base64") || name.starts_with("wsbridge.")
}

/// Whether an offered name is a credential.
pub fn is_credential(name: &str) -> bool {
    name.starts_with(BEARER) || name.starts_with(TICKET)
}

/// A text that `Debug` does not show. (The configuration's `Secret` is on the same floor, and so
/// out of reach.)
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

/// The result of a client's offers.
#[derive(Clone, Debug)]
pub struct Offer {
    /// What to answer; `None`: the client offered nothing, answer nothing.
    pub answer: Option<Protocol>,
    /// The credential among them.
    pub credential: Option<Credential>,
}

/// Reads the values of all `Sec-WebSocket-Protocol` fields, in order. The answer is the first
/// spoken one in the order of [`Protocol`], whatever the client's order.
pub fn negotiate<'a>(
    offers: impl Iterator<Item = &'a str>,
    spoken: Spoken<'_>,
) -> Result<Offer, Refusal> {
    let mut names: Vec<&str> = Vec::new();
    let mut credential = None;
    for entry in offers.flat_map(|value| value.split(',')) {
        let entry = entry.trim_matches([' ', '\t']);
        if !is_token(entry.as_bytes()) {
            return Err(Refusal::BadRequest(
                "an entry of Sec-WebSocket-Protocol is empty or not a token",
            ));
        }
        if let Some(found) = read_credential(entry)? {
            if credential.replace(found).is_some() {
                return Err(Refusal::BadRequest(
                    "two credentials in Sec-WebSocket-Protocol: send one",
                ));
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
    let answer = answer(&names, spoken);
    match (&answer, &credential, names.is_empty()) {
        (None, _, false) => Err(Refusal::Subprotocol(listed(&names))),
        (None, Some(_), true) => Err(Refusal::BadRequest(
            "only a credential is offered, and a credential is never selected: offer `binary` as well",
        )),
        (None, None, true) | (Some(_), _, _) => Ok(Offer { answer, credential }),
    }
}

/// The best of the offered names.
fn answer(offered: &[&str], spoken: Spoken<'_>) -> Option<Protocol> {
    let (base64, named) = match spoken {
        Spoken::Any => (true, offered.iter().map(|name| (*name).to_owned()).collect()),
        Spoken::By { base64, named } => (base64, named.to_vec()),
    };
    let of_endpoint = named.into_iter().filter(|name| !is_own(name)).map(Protocol::Named);
    let ours = [Some(Protocol::Binary), base64.then_some(Protocol::Base64)];
    let mut all =
        std::iter::once(Protocol::V1).chain(of_endpoint).chain(ours.into_iter().flatten());
    all.find(|protocol| offered.contains(&protocol.name()))
}

/// Offers, as a refusal names them.
fn listed(names: &[&str]) -> String {
    const OFFER_SHOWN_MAX: usize = 200;
    let mut text = names.join(", ");
    if text.len() > OFFER_SHOWN_MAX {
        text.truncate(OFFER_SHOWN_MAX);
        text.push_str("..");
    }
    text
}

fn read_credential(entry: &str) -> Result<Option<Credential>, Refusal> {
    if let Some(text) = entry.strip_prefix(BEARER) {
        let text = bounded(text)?;
        let token =
            URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let why = "the token in Sec-WebSocket-Protocol is not base64url without padding";
        return token
            .map(|token| Some(Credential::Bearer(Concealed(token))))
            .ok_or(Refusal::BadRequest(why));
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
        _ => Err(Refusal::BadRequest(
            "the credential in Sec-WebSocket-Protocol is over 4096 characters",
        )),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONE: Spoken<'_> = Spoken::By { base64: false, named: &[] };
    const BASE64: Spoken<'_> = Spoken::By { base64: true, named: &[] };

    fn answer(values: &[&str], spoken: Spoken<'_>) -> Option<String> {
        let offer = negotiate(values.iter().copied(), spoken).unwrap();
        offer.answer.map(|protocol| protocol.name().to_owned())
    }

    fn refused(value: &str) -> &'static str {
        match negotiate([value].into_iter(), BASE64) {
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
        assert_eq!(answer(&[], BASE64), None);
        for (offered, wanted) in [
            ("binary", "binary"),
            ("base64,\tchat , binary", "binary"),
            ("binary, wsbridge.v1", "wsbridge.v1"),
        ] {
            assert_eq!(answer(&[offered], NONE).as_deref(), Some(wanted), "{offered}");
        }
        assert_eq!(answer(&["base64, binary"], BASE64).as_deref(), Some("binary"));
        assert_eq!(answer(&["base64"], BASE64).as_deref(), Some("base64"));
    }

    #[test]
    fn names_of_an_endpoint_come_behind_ours_of_control_mode_and_before_plain_ones() {
        let named = ["mqtt".to_owned(), "mqttv3.1".to_owned()];
        let spoken = Spoken::By { base64: false, named: &named };
        for (offered, wanted) in [
            ("mqttv3.1, mqtt", "mqtt"),
            ("mqttv3.1", "mqttv3.1"),
            ("binary, mqtt", "mqtt"),
            ("mqtt, wsbridge.v1", "wsbridge.v1"),
            ("binary", "binary"),
        ] {
            assert_eq!(answer(&[offered], spoken).as_deref(), Some(wanted), "{offered}");
        }
        assert_eq!(answer(&["whatever"], Spoken::Any).as_deref(), Some("whatever"));
    }

    #[test]
    fn what_is_not_spoken_is_an_unknown_name_and_the_refusal_lists_it() {
        for (value, listed) in [
            ("base64", "base64"),
            ("Binary", "Binary"),
            ("chat,superchat", "chat, superchat"),
            ("chat, wsbridge.ticket.x", "chat"),
        ] {
            let none = Err(Refusal::Subprotocol(listed.to_owned()));
            assert_eq!(negotiate([value].into_iter(), NONE).map(|_| ()), none);
        }
        let many: Vec<_> = (0..30).map(|n| format!("a-rather-long-name-{n}")).collect();
        let Err(Refusal::Subprotocol(text)) =
            negotiate([many.join(",").as_str()].into_iter(), NONE)
        else {
            panic!()
        };
        assert!(text.len() == 202 && text.ends_with(".."), "{text}");
    }

    #[test]
    fn a_credential_is_taken_out_wherever_it_stands() {
        for values in [
            &["binary, wsbridge.bearer.d3NiX3g_"][..],
            &["wsbridge.bearer.d3NiX3g_,binary"],
            &["wsbridge.bearer.d3NiX3g_", "binary"],
        ] {
            let offer = negotiate(values.iter().copied(), NONE).unwrap();
            assert_eq!(offer.answer, Some(Protocol::Binary));
            assert_eq!(text(offer.credential), "bearer wsb_x?");
        }
        let offer = negotiate(["wsbridge.ticket.a-b_C", "binary"].into_iter(), NONE).unwrap();
        assert_eq!(text(offer.credential), "ticket a-b_C");
        assert_eq!(text(negotiate(["binary"].into_iter(), NONE).unwrap().credential), "none");
    }

    #[test]
    fn no_debug_shows_a_credential() {
        let offer = negotiate(["binary, wsbridge.ticket.topsecret"].into_iter(), NONE).unwrap();
        assert_eq!(
            format!("{offer:?}"),
            "Offer { answer: Some(Binary), credential: Some(Ticket(..)) }"
        );
    }

    #[test]
    fn malformed_offers_are_refused() {
        let token = "an entry of Sec-WebSocket-Protocol is empty or not a token";
        for value in ["", " ", ",", "binary,", "binary,,chat", "bin ary", "bin/ary", "binär"] {
            assert_eq!(refused(value), token, "{value:?}");
        }
        assert_eq!(refused("binary, chat, binary"), "a subprotocol is offered twice");
        let many: Vec<String> = (0..=OFFERS_MAX).map(|number| format!("p{number}")).collect();
        assert_eq!(refused(&many.join(",")), "over 32 subprotocols are offered");
    }

    #[test]
    fn wrong_credentials_are_refused() {
        let alone = "only a credential is offered, and a credential is never selected: offer `binary` as well";
        assert_eq!(refused("wsbridge.ticket.x"), alone);
        assert_eq!(refused("wsbridge.bearer.eA"), alone);
        let two = "two credentials in Sec-WebSocket-Protocol: send one";
        assert_eq!(refused("binary, wsbridge.ticket.x, wsbridge.bearer.eA"), two);
        assert_eq!(refused("binary, wsbridge.ticket.x, wsbridge.ticket.x"), two);
        assert_eq!(
            refused("binary, wsbridge.ticket."),
            "the credential in Sec-WebSocket-Protocol is empty"
        );
        let coding = "the token in Sec-WebSocket-Protocol is not base64url without padding";
        for wrong in ["x", "eB", "a+b+", "_w", "a.b."] {
            assert_eq!(refused(&format!("binary, wsbridge.bearer.{wrong}")), coding, "{wrong}");
        }
        let long = "A".repeat(CREDENTIAL_MAX);
        assert!(negotiate([format!("binary,{BEARER}{long}").as_str()].into_iter(), BASE64).is_ok());
        let why = "the credential in Sec-WebSocket-Protocol is over 4096 characters";
        assert_eq!(refused(&format!("binary, {BEARER}{long}A")), why);
        assert_eq!(refused(&format!("binary, {TICKET}{long}A")), why);
    }

    proptest! {
        #[test]
        fn nothing_is_answered_that_was_not_offered(
            entries in prop::collection::vec("binary|base64|wsbridge\\.v1|wsbridge\\.(bearer|ticket)\\.[A-Za-z]{0,8}|\\PC{0,6}", 0..5),
            base64 in any::<bool>(), known in any::<bool>(),
        ) {
            let spoken = if known { Spoken::By { base64, named: &[] } } else { Spoken::Any };
            if let Ok(Offer { answer: Some(answer), .. }) = negotiate(entries.iter().map(String::as_str), spoken) {
                prop_assert!(entries.iter().flat_map(|entry| entry.split(',')).any(|entry| entry.trim() == answer.name()));
                prop_assert!(base64 || !known || answer != Protocol::Base64);
            }
        }
    }
}
