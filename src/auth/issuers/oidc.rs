//! Signing in at an issuer (OIDC: code flow with PKCE): the way there, what is remembered
//! meanwhile, and what the browser brings back, each part of which counts once.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;

use super::{Checked, Issuers, claims::check, keys::Discovery, web};
use crate::{
    auth::{LoginId, Source, random, unix_now},
    config::{Access, Issuer, OidcClient, WebAddress},
    wire::jws::Jws,
};

/// How long somebody may take to sign in.
pub(in crate::auth) const FLOW_LIFE: Duration = Duration::from_secs(600);
/// People on their way at the same time, and of them those of one source.
const FLOWS_MAX: usize = 1024;
const FLOWS_OF_ONE: usize = 32;
/// How long what was used once is remembered; a token's code lives for minutes.
const USED: Duration = Duration::from_secs(3600);
/// What is remembered to have been used.
const USED_MAX: usize = 8192;
/// How long ago somebody may have signed in who was asked to do it anew, in seconds.
const FRESH: i64 = 120;

/// Somebody who is on the way to an issuer and back.
#[derive(Debug)]
struct Flow {
    /// The issuer's name in the configuration.
    issuer: String,
    state: [u8; 32],
    nonce: String,
    verifier: String,
    redirect: String,
    /// He was to sign in anew.
    fresh: bool,
    /// What his browser was signed in by when he left.
    earlier: Vec<LoginId>,
    source: Source,
    until: Instant,
}

/// Those on their way, and what was used.
#[derive(Debug, Default)]
pub(super) struct Flows {
    /// By SHA-256 of the browser's cookie.
    open: Mutex<HashMap<[u8; 32], Flow>>,
    used: Mutex<HashMap<[u8; 32], Instant>>,
}

impl Flows {
    fn begin(&self, flow: Flow, now: Instant) -> Option<String> {
        let mut open = lock(&self.open);
        open.retain(|_, flow| flow.until > now);
        let of_one = open.values().filter(|other| other.source == flow.source).count();
        if open.len() >= FLOWS_MAX || of_one >= FLOWS_OF_ONE {
            return None;
        }
        let cookie = secret();
        open.insert(digest(&cookie), flow);
        Some(cookie)
    }

    /// The flow of a cookie, which is used up in any case.
    fn take(&self, cookie: &str, state: &str, now: Instant) -> Option<Flow> {
        let flow = lock(&self.open).remove(&digest(cookie))?;
        (flow.until > now && bool::from(flow.state.ct_eq(&digest(state)))).then_some(flow)
    }

    /// Whether this is shown for the first time.
    fn is_new(&self, text: &str, now: Instant) -> bool {
        let mut used = lock(&self.used);
        used.retain(|_, until| *until > now);
        used.len() < USED_MAX && used.insert(digest(text), now + USED).is_none()
    }
}

/// Who has come back, and from which issuer, by its name in the configuration.
#[derive(Debug)]
pub(in crate::auth) struct Arrived<'a> {
    pub(in crate::auth) name: &'a str,
    pub(in crate::auth) issuer: &'a Issuer,
    pub(in crate::auth) checked: Checked,
    /// What the browser was signed in by when it left: it will not show its cookie, which is Strict.
    pub(in crate::auth) earlier: Vec<LoginId>,
}

/// Where a browser is sent.
#[derive(Debug)]
pub(in crate::auth) struct Departure {
    pub(in crate::auth) url: String,
    /// The value of the cookie that brings it back.
    pub(in crate::auth) cookie: String,
}

/// What the browser brings back.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Arrival {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

/// Why nobody was signed in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::auth) enum FlowError {
    /// The issuer cannot be asked: the text is for the log.
    #[error("{0}")]
    Unreachable(String),
    /// Too many are on their way.
    #[error("too many people are signing in at the moment")]
    Crowded,
    /// The cookie, the state or the code are not those of somebody on the way.
    #[error("this sign-in was begun too long ago, in another browser, or is already done")]
    Unknown,
    /// The issuer says no.
    #[error("{0}")]
    Refused(String),
    /// What the issuer says does not count.
    #[error("{0}")]
    Wrong(String),
}

impl Issuers {
    /// The way to an issuer for somebody who wants to sign in there; `fresh`: anew, even if he has;
    /// `earlier`: what his browser is signed in by.
    pub(in crate::auth) async fn depart(
        &self,
        (name, issuer): (&str, &Issuer),
        redirect: String,
        (fresh, earlier): (bool, Vec<LoginId>),
        source: Source,
    ) -> Result<Departure, FlowError> {
        let client = issuer.oidc.as_ref().ok_or(FlowError::Unknown)?;
        let known = self.keys.discovery(issuer).await.map_err(FlowError::Unreachable)?;
        let no_place = || FlowError::Unreachable("no authorization_endpoint".into());
        let place = known.authorization_endpoint.as_deref().ok_or_else(no_place)?;
        let place = WebAddress::parse(place).map_err(FlowError::Unreachable)?;
        let (state, nonce, verifier) = (secret(), secret(), secret());
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        let mut query = vec![
            ("response_type", "code"),
            ("client_id", &client.id),
            ("redirect_uri", &redirect),
            ("scope", &client.scopes),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        if fresh {
            query.extend([("prompt", "login"), ("max_age", "0")]);
        }
        let join = if place.text.contains('?') { '&' } else { '?' };
        let url = format!("{}{join}{}", place.text, form(&query));
        let now = Instant::now();
        let (issuer, state) = (name.to_owned(), digest(&state));
        let until = now + FLOW_LIFE;
        let flow = Flow { issuer, state, nonce, verifier, redirect, fresh, earlier, source, until };
        let cookie = self.flows.begin(flow, now).ok_or(FlowError::Crowded)?;
        Ok(Departure { url, cookie })
    }

    /// Who has come back.
    pub(in crate::auth) async fn arrive<'a>(
        &self,
        access: &'a Access,
        cookie: &str,
        brought: &Arrival,
    ) -> Result<Arrived<'a>, FlowError> {
        let now = Instant::now();
        let flow = self.flows.take(cookie, brought.state.as_deref().unwrap_or_default(), now);
        let flow = flow.ok_or(FlowError::Unknown)?;
        let found = access.issuers.get_key_value(&flow.issuer);
        let (name, issuer) = found.ok_or(FlowError::Unknown)?;
        let client = issuer.oidc.as_ref().ok_or(FlowError::Unknown)?;
        let known = self.keys.discovery(issuer).await.map_err(FlowError::Unreachable)?;
        // Another issuer's answer (RFC 9207).
        let named = brought.iss.as_deref();
        let must_name = known.authorization_response_iss_parameter_supported;
        if named.is_some_and(|iss| iss != issuer.iss) || (named.is_none() && must_name) {
            return Err(FlowError::Wrong(
                "the answer is not from the issuer that was asked".into(),
            ));
        }
        let code = match (&brought.code, &brought.error) {
            (Some(code), None) if self.flows.is_new(code, now) => code,
            (_, Some(error)) => {
                let why = brought.error_description.as_deref().unwrap_or(error);
                return Err(FlowError::Refused(plain(why)));
            }
            (Some(_) | None, None) => return Err(FlowError::Unknown),
        };
        let token = redeem((issuer, client), &known, &flow, code).await?;
        if !self.flows.is_new(&token, now) {
            return Err(FlowError::Wrong("its token was used before".into()));
        }
        let checked = self.prove_arrival(issuer, client, &flow, &token).await?;
        Ok(Arrived { name, issuer, checked, earlier: flow.earlier })
    }

    /// What the token about somebody who has come back says.
    async fn prove_arrival(
        &self,
        issuer: &Issuer,
        client: &OidcClient,
        flow: &Flow,
        token: &str,
    ) -> Result<Checked, FlowError> {
        let wrong = |what: String| FlowError::Wrong(what);
        let jws = Jws::parse(token).map_err(|error| wrong(error.to_string()))?;
        let claims = self.prove(issuer, jws).await.map_err(|error| wrong(error.to_string()))?;
        let checked = check(&claims, issuer, &client.id, unix_now());
        let checked = checked.map_err(|error| wrong(error.to_string()))?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("nonce") != flow.nonce {
            return Err(wrong("its token is about another sign-in (nonce)".into()));
        }
        let several = claims.get("aud").and_then(Value::as_array).is_some_and(|all| all.len() > 1);
        if (several || claims.contains_key("azp")) && text("azp") != client.id {
            return Err(wrong("its token is for another program (azp)".into()));
        }
        let since = checked.auth_time.map(|moment| unix_now().saturating_sub(moment));
        if flow.fresh && since.is_none_or(|since| since > FRESH) {
            return Err(wrong("the issuer did not ask for a new sign-in (auth_time)".into()));
        }
        Ok(checked)
    }
}

/// Exchanges a code for the token about its holder.
async fn redeem(
    (issuer, client): (&Issuer, &OidcClient),
    known: &Discovery,
    flow: &Flow,
    code: &str,
) -> Result<String, FlowError> {
    #[derive(Deserialize)]
    struct Answer {
        id_token: String,
    }
    let no_place = || FlowError::Unreachable("no token_endpoint".into());
    let place = known.token_endpoint.as_deref().ok_or_else(no_place)?;
    let place = WebAddress::parse(place).map_err(FlowError::Unreachable)?;
    let mut body = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &flow.redirect),
        ("code_verifier", &flow.verifier),
    ];
    // What the issuer leaves out of its document is Basic (Discovery 1.0, section 3).
    let methods = &known.token_endpoint_auth_methods_supported;
    let takes = |method: &str| methods.iter().any(|known| known == method);
    let mut basic = None;
    match &client.secret {
        Some(secret) if methods.is_empty() || takes("client_secret_basic") => {
            let pair = format!("{}:{}", escaped(&client.id), escaped(secret.reveal()));
            basic = Some(format!("Basic {}", STANDARD.encode(pair)));
        }
        Some(secret) => {
            body.extend([("client_id", client.id.as_str()), ("client_secret", secret.reveal())]);
        }
        None => body.push(("client_id", &client.id)),
    }
    let fields: Vec<_> = basic.iter().map(|basic| ("Authorization", basic.as_str())).collect();
    let asked = web::fetch(issuer, &place, Some((&form(&body), &fields))).await;
    let (status, answer) = asked.map_err(FlowError::Unreachable)?;
    if status != 200 {
        let said: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let why = said.get("error").and_then(Value::as_str).unwrap_or_default();
        return Err(FlowError::Wrong(format!(
            "the issuer refuses the code: {status} {}",
            plain(why)
        )));
    }
    let answer: Answer = serde_json::from_slice(&answer)
        .map_err(|_| FlowError::Wrong("the issuer's answer has no id_token".into()))?;
    Ok(answer.id_token)
}

/// 256 bits.
fn secret() -> String {
    URL_SAFE_NO_PAD.encode(random::<32>())
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// A text of somebody else's as it is shown.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn form(rows: &[(&str, &str)]) -> String {
    let rows: Vec<_> =
        rows.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    rows.join("&")
}

fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::ClientAddress;

    fn flow(state: &str, now: Instant) -> Flow {
        let source = crate::auth::Auth::new("w".into()).source(ClientAddress::Local);
        Flow {
            issuer: "corp".into(),
            state: digest(state),
            nonce: secret(),
            verifier: secret(),
            redirect: String::new(),
            fresh: false,
            earlier: Vec::new(),
            source,
            until: now + FLOW_LIFE,
        }
    }

    #[test]
    fn a_cookie_brings_back_once_with_its_state_and_within_ten_minutes() {
        let (flows, now) = (Flows::default(), Instant::now());
        let begin = || flows.begin(flow("s", now), now).unwrap();
        let cookie = begin();
        assert!(flows.take(&cookie, "s", now).is_some());
        assert!(flows.take(&cookie, "s", now).is_none(), "used up");
        let cookie = begin();
        assert!(flows.take(&cookie, "t", now).is_none());
        assert!(flows.take(&cookie, "s", now).is_none(), "used up by a wrong state");
        assert!(flows.take(&begin(), "s", now + FLOW_LIFE).is_none());
        assert_eq!(
            (0..100).filter(|_| flows.begin(flow("s", now), now).is_some()).count(),
            FLOWS_OF_ONE
        );
    }

    #[test]
    fn codes_and_tokens_count_once() {
        let (flows, now) = (Flows::default(), Instant::now());
        assert!(flows.is_new("code", now) && !flows.is_new("code", now));
        assert!(flows.is_new("another", now));
    }

    #[test]
    fn a_form_is_escaped() {
        assert_eq!(form(&[("a", "x y&z=é"), ("b", "-._~")]), "a=x%20y%26z%3D%C3%A9&b=-._~");
    }
}
