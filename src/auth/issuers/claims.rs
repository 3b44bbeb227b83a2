//! What a proved token says: for whom it is, until when, and what its claims are worth.

use serde_json::{Map, Value};

use crate::config::Issuer;

/// How far the issuer's clock may be ahead of ours, in seconds.
const LEEWAY: i64 = 60;
/// The longest life of a token, in seconds.
const LIFE_MAX: i64 = 24 * 3600;
/// The longest name of a person, in bytes.
const NAME_MAX: usize = 255;

/// What a token that counts says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::auth) struct Checked {
    /// Who it is for, within its issuer.
    pub(in crate::auth) name: String,
    /// The second at which it ends.
    pub(in crate::auth) until: i64,
    /// When it was issued.
    pub(in crate::auth) issued: i64,
    /// When its holder signed in there.
    pub(in crate::auth) auth_time: Option<i64>,
    /// Those of its claims that a rule of the configuration names.
    pub(in crate::auth) claims: Vec<(String, String)>,
}

/// Why a token does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::auth) enum ClaimError {
    /// It did count: whoever shows it is no attacker.
    #[error("it expired {0} s ago")]
    Expired(i64),
    /// It never counts here.
    #[error("{0}")]
    Wrong(String),
}

fn wrong<T>(what: impl Into<String>) -> Result<T, ClaimError> {
    Err(ClaimError::Wrong(what.into()))
}

/// What the claims of a proved token are worth, if it is from this issuer and for this audience.
pub(super) fn check(
    claims: &Map<String, Value>,
    issuer: &Issuer,
    audience: &str,
    now: i64,
) -> Result<Checked, ClaimError> {
    if claims.get("iss").and_then(Value::as_str) != Some(&issuer.iss) {
        return wrong("its `iss` is another");
    }
    let aud = claims.get("aud").map(texts).unwrap_or_default();
    if !aud.contains(&audience) {
        return wrong("it is for another audience (`aud`)");
    }
    let Some(until) = time(claims, "exp")? else { return wrong("it has no `exp`") };
    let begins = time(claims, "nbf")?;
    let made = time(claims, "iat")?;
    if until <= now {
        return Err(ClaimError::Expired(now.saturating_sub(until)));
    }
    let soon = now.saturating_add(LEEWAY);
    if begins.is_some_and(|begins| begins > soon) || made.is_some_and(|made| made > soon) {
        return wrong("it is from the future: one of the two clocks is wrong");
    }
    // A token without `iat` is as old as we know it.
    let made = made.unwrap_or(now);
    if until.saturating_sub(made.min(now)) > LIFE_MAX.saturating_add(LEEWAY) {
        return wrong("it lives longer than 24 h");
    }
    let auth_time = time(claims, "auth_time")?;
    if auth_time.is_some_and(|moment| moment > soon) {
        return wrong("its `auth_time` is in the future");
    }
    let name = name(claims, &issuer.name)?;
    let counts = issuer.claims.iter().filter(|rule| {
        found(claims, &rule.claim).is_some_and(|value| {
            let words = matches!(rule.claim.as_str(), "scope" | "scp");
            let mut all = texts(value).into_iter();
            all.any(|text| {
                text == rule.value || words && text.split(' ').any(|it| it == rule.value)
            })
        })
    });
    let claims = counts.map(|rule| (rule.claim.clone(), rule.value.clone())).collect();
    Ok(Checked { name, until, issued: made, auth_time, claims })
}

/// A text, or a list of texts.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

/// A claim by its name, or within another: `realm_access.roles`.
fn found<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    claims.get(path).or_else(|| {
        let (first, rest) = path.split_once('.')?;
        found(claims.get(first)?.as_object()?, rest)
    })
}

/// Seconds since 1970; some issuers write fractions.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, ClaimError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    if let Some(whole) = value.as_i64() {
        return Ok(Some(whole));
    }
    #[expect(clippy::cast_possible_truncation, reason = "within the bounds below")]
    let whole = value.as_f64().filter(|it| it.abs() < 1e12).map(|it| it.floor() as i64);
    match whole {
        Some(whole) => Ok(Some(whole)),
        None => wrong(format!("its `{name}` is not a time")),
    }
}

fn name(claims: &Map<String, Value>, claim: &str) -> Result<String, ClaimError> {
    let Some(name) = found(claims, claim).and_then(Value::as_str) else {
        return wrong(format!("it has no `{claim}`, which names its holder"));
    };
    // Whoever may choose an address would otherwise be whomever they like.
    if claim == "email" && claims.get("email_verified") != Some(&Value::Bool(true)) {
        return wrong("its `email` is not verified");
    }
    if name.is_empty() || name.len() > NAME_MAX || name.chars().any(char::is_control) {
        return wrong(format!("its `{claim}` cannot be a name"));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::parse;

    pub(in crate::auth::issuers) fn corp(more: &str) -> Issuer {
        let text = format!(
            "roles: {{ op: {{ '*': [ read ] }} }}\nissuers:\n  corp:\n    issuer: https://login.example\n    audience: wsbridge\n{more}"
        );
        let (mut config, _) = parse(&text, "w", &|_| Err(String::new())).unwrap();
        config.access.issuers.remove("corp").unwrap()
    }

    const NOW: i64 = 1_800_000_000;

    fn with(name: &str, value: Value) -> Map<String, Value> {
        let mut all = json!({ "iss": "https://login.example", "aud": "wsbridge", "sub": "anna", "exp": NOW + 300, "iat": NOW });
        all[name] = value;
        all.as_object().unwrap().clone()
    }

    fn checked(claims: &Map<String, Value>) -> Result<Checked, ClaimError> {
        let issuer = corp(
            "    claims: { groups: { plc: [ op ] }, a.b: { c: [ op ] }, scope: { w: [ op ] } }\n",
        );
        check(claims, &issuer, "wsbridge", NOW)
    }

    #[test]
    fn times_are_kept_and_clocks_may_differ_by_a_minute() {
        let at = |name, value: i64| checked(&with(name, json!(value)));
        assert!(at("exp", NOW + 1).is_ok());
        assert_eq!(at("exp", NOW), Err(ClaimError::Expired(0)));
        assert_eq!(at("exp", NOW - 60), Err(ClaimError::Expired(60)));
        assert!(at("nbf", NOW + 60).is_ok() && at("iat", NOW + 60).is_ok());
        for name in ["nbf", "iat", "auth_time"] {
            assert!(at(name, NOW + 61).is_err(), "{name}");
        }
        assert!(at("exp", NOW + 24 * 3600).is_ok());
        assert!(at("exp", NOW + 24 * 3600 + 61).is_err());
        assert!(at("iat", NOW - 24 * 3600).is_err(), "a day and five minutes");
        assert!(at("exp", i64::MAX).is_err() && at("iat", i64::MIN).is_err());
        assert!(checked(&with("exp", json!("soon"))).is_err());
        assert!(checked(&with("exp", json!(1e300))).is_err());
        assert!(checked(&with("nbf", json!(1_800_000_000.5))).is_ok());
    }

    #[test]
    fn issuer_audience_expiry_and_name_have_to_be_there_and_right() {
        for (name, value) in [
            ("iss", json!("https://login.example/")),
            ("iss", json!(["https://login.example"])),
            ("aud", json!("other")),
            ("aud", json!(["other"])),
            ("aud", json!({ "wsbridge": 1 })),
            ("sub", json!("")),
            ("sub", json!("a\nb")),
            ("sub", json!(7)),
        ] {
            assert!(checked(&with(name, value.clone())).is_err(), "{name} {value}");
        }
        for name in ["iss", "aud", "exp", "sub"] {
            let mut claims = with("x", json!(0));
            claims.remove(name);
            assert!(checked(&claims).is_err(), "{name}");
        }
        assert!(checked(&with("aud", json!(["a", "wsbridge"]))).is_ok());
    }

    #[test]
    fn claims_that_a_rule_names_are_kept_and_no_others() {
        let of = |name, value| checked(&with(name, value)).unwrap().claims;
        let one = |a: &str, b: &str| vec![(a.to_owned(), b.to_owned())];
        assert_eq!(of("groups", json!(["x", "plc", 7])), one("groups", "plc"));
        assert_eq!(of("groups", json!("plc")), one("groups", "plc"));
        assert_eq!(of("a", json!({ "b": ["c"] })), one("a.b", "c"));
        assert_eq!(of("a.b", json!("c")), one("a.b", "c"));
        assert_eq!(of("scope", json!("openid w")), one("scope", "w"));
        for none in [json!("plc x"), json!({ "plc": true }), json!(null), json!(["PLC"])] {
            assert_eq!(of("groups", none), []);
        }
    }

    #[test]
    fn an_address_names_somebody_only_if_the_issuer_has_verified_it() {
        let issuer = corp("    name: email\n    roles: [ op ]\n");
        let named = |verified: Value| {
            let mut claims = with("email", json!("a@b.example"));
            claims.insert("email_verified".into(), verified);
            check(&claims, &issuer, "wsbridge", NOW).map(|it| it.name)
        };
        assert_eq!(named(json!(true)).as_deref(), Ok("a@b.example"));
        assert!(named(json!(false)).is_err() && named(json!("true")).is_err());
    }
}
