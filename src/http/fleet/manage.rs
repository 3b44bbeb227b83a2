//! The fleet as people see it, and what operators do with it.

use std::collections::BTreeMap;

use axum::{
    RequestExt as _,
    body::Body,
    extract::{Path, Query, Request},
    http::Response,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{ask, change::Said, pages::content, visitor::Visitor},
    kept, open,
};
use crate::{
    auth::{Principal, PrincipalKind, Purpose, unix_now},
    config::Rights,
    event::{Event, FleetEvent},
    fleet::{EnrolTerms, GatewayInfo, HomeInfo},
    line::rfc3339,
    wire::{close::Refusal, home::ByeReason},
};

/// Gateways of one page, at most.
const PAGE_MOST: usize = 500;
/// How many are on a page unless more are asked for.
const PAGE_USUAL: usize = 100;
/// The longest that a token lasts, in seconds.
const TOKEN_LONGEST: i64 = 7 * 24 * 3600;

/// What part of the fleet is asked for.
#[derive(Debug, Default, Deserialize)]
struct Wanted {
    /// Words that have to be in a gateway's name, its labels, or the names and titles of its lines.
    q: Option<String>,
    /// `online` or `offline`.
    state: Option<String>,
    /// The name after which the page begins.
    after: Option<String>,
    limit: Option<usize>,
}

/// `GET /api/fleet`: the gateways on which the caller has a right, a page of them.
pub(super) async fn fleet(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let request = ask::bare(request);
    let (principal, _) = visitor.authorise(&ask::read(&request, Purpose::Read)).await?;
    let hub = open(&visitor.bridge)?;
    let wanted = Query::<Wanted>::try_from_uri(request.uri());
    let Query(wanted) = wanted.map_err(|_| Refusal::BadRequest("the query cannot be read"))?;
    let words: Vec<String> =
        wanted.q.as_deref().unwrap_or_default().split_whitespace().map(str::to_lowercase).collect();
    let (homes, limit) = (hub.homes.list(), wanted.limit.unwrap_or(PAGE_USUAL).clamp(1, PAGE_MOST));
    let fits = |info: &GatewayInfo| {
        let home = homes.get(&info.name);
        let right_state = match wanted.state.as_deref() {
            Some("online") => home.is_some(),
            Some("offline") => home.is_none(),
            _ => true,
        };
        let after = wanted.after.as_ref().is_none_or(|after| info.name > *after);
        right_state
            && after
            && sees(&principal, &info.name)
            && words.iter().all(|word| has(info, home, word))
    };
    let all = hub.register.gateways();
    let mut found = all.iter().filter(|info| fits(info));
    let rows: Vec<Value> = found
        .by_ref()
        .take(limit)
        .map(|info| shown(info, homes.get(&info.name), &principal))
        .collect();
    let last = rows.last().and_then(|row| row.get("name")?.as_str()).map(str::to_owned);
    let next = last.filter(|_| found.next().is_some());
    Ok(content("application/json", json!({ "gateways": rows, "next": next }).to_string()))
}

/// Whether somebody has a right on anything of a gateway.
fn sees(principal: &Principal, gateway: &str) -> bool {
    let rights = principal.rights.of_gateway(gateway);
    principal.only.is_none() && rights.0.iter().any(|(_, it)| it.allows(Rights::READ))
}

/// Whether a word is in a gateway's name, labels or lines.
fn has(info: &GatewayInfo, home: Option<&HomeInfo>, word: &str) -> bool {
    let within = |text: &str| text.to_lowercase().contains(word);
    let labels = |labels: &BTreeMap<String, String>| {
        labels.iter().any(|(name, value)| within(&format!("{name}={value}")))
    };
    within(&info.name)
        || labels(&info.labels)
        || home.is_some_and(|home| {
            labels(&home.card.labels)
                || home
                    .card
                    .lines
                    .iter()
                    .any(|line| within(&line.name) || line.title.as_deref().is_some_and(within))
        })
}

fn shown(info: &GatewayInfo, home: Option<&HomeInfo>, principal: &Principal) -> Value {
    let mut labels = info.labels.clone();
    let rights = principal.rights.of_gateway(&info.name);
    let mut row = json!({
        "name": info.name,
        "online": home.is_some(),
        "enrolled": time(info.since),
        "certificate_until": info.until.map(time),
        "cloned": info.cloned,
    });
    if let (Some(home), Some(row)) = (home, row.as_object_mut()) {
        labels.extend(home.card.labels.clone());
        let lines = home.card.lines.iter().filter(|line| rights.on(&line.name) != Rights::NONE);
        row.insert("since".into(), rfc3339(home.since).into());
        row.insert("version".into(), home.version.as_str().into());
        row.insert("client".into(), home.client.as_str().into());
        row.insert("lines".into(), lines.map(|line| json!(line)).collect());
    }
    if let Some(row) = row.as_object_mut() {
        row.insert("labels".into(), json!(labels));
    }
    row
}

fn time(second: i64) -> String {
    let time = jiff::Timestamp::from_second(second).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Only whoever may open the admin socket does these.
async fn operator(
    visitor: &Visitor,
    request: &axum::http::Request<()>,
    purpose: Purpose,
) -> Result<Principal, Refusal> {
    let (principal, _) = visitor.authorise(&ask::read(request, purpose)).await?;
    if principal.id.kind == PrincipalKind::Local { Ok(principal) } else { Err(Refusal::Forbidden) }
}

/// `GET /api/hub`: what a gateway has to be told to enrol here.
pub(super) async fn hub(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let request = ask::bare(request);
    operator(&visitor, &request, Purpose::Read).await?;
    let hub = open(&visitor.bridge)?;
    let (all, online) = (hub.register.gateways().len(), hub.homes.list().len());
    let answer = json!({
        "name": hub.rules.name,
        "public": hub.rules.public.0.text,
        "fingerprint": hub.pin().to_string(),
        "gateways": all,
        "online": online,
        "links_awaited": hub.links.count(),
    });
    Ok(content("application/json", answer.to_string()))
}

/// `GET /api/home`: how this gateway stands with its hub.
pub(super) async fn home(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    operator(&visitor, &ask::bare(request), Purpose::Read).await?;
    let standing = visitor.bridge.home.borrow().clone();
    Ok(content("application/json", json!(standing).to_string()))
}

/// `POST /api/home`: its enrolment has changed.
pub(super) async fn look(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    operator(&visitor, &ask::bare(request), Purpose::Change).await?;
    visitor.bridge.enrolled.notify_one();
    Ok(content("application/json", "{}".to_owned()))
}

/// What a token is to be for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    uses: u32,
    seconds: i64,
    name: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

const NEW_TOKEN: &str = "send {\"uses\": 1, \"seconds\": NUMBER up to 604800, \"name\": \"...\" or nothing, \"labels\": {}}";

/// `POST /api/hub/tokens`: a token with which gateways enrol.
pub(super) async fn new_token(
    visitor: Visitor,
    request: Request,
) -> Result<Response<Body>, Refusal> {
    let (request, body) = ask::parted(request);
    operator(&visitor, &request, Purpose::Change).await?;
    let wanted: NewToken = Said::of(&request, body).await?.read(NEW_TOKEN)?;
    let name_fits = wanted
        .name
        .as_deref()
        .is_none_or(|name| wanted.uses == 1 && crate::wire::home::is_gateway_name(name));
    let fits =
        (1..=10_000).contains(&wanted.uses) && (60..=TOKEN_LONGEST).contains(&wanted.seconds);
    if !fits || !name_fits {
        return Err(Refusal::BadRequest(NEW_TOKEN));
    }
    let now = unix_now();
    let until = now + wanted.seconds;
    let NewToken { uses, name, labels, .. } = wanted;
    let terms = EnrolTerms { uses, until, name, labels };
    let made = kept(&visitor.bridge, move |hub| hub.register.new_token(terms, now)).await?;
    let (token, id) = made.map_err(|error| Refusal::NotKept(error.to_string()))?;
    let hub = open(&visitor.bridge)?;
    let answer = json!({
        "id": id,
        "token": token,
        "until": time(until),
        "public": hub.rules.public.0.text,
        "fingerprint": hub.pin().to_string(),
    });
    Ok(content("application/json", answer.to_string()))
}

/// `GET /api/hub/tokens`: the tokens that are good now, without their texts.
pub(super) async fn tokens(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let request = ask::bare(request);
    operator(&visitor, &request, Purpose::Read).await?;
    let tokens = open(&visitor.bridge)?.register.tokens(unix_now()).into_iter().map(|it| {
        let EnrolTerms { uses, until, name, labels } = it.terms;
        json!({ "id": it.id, "uses_left": uses, "until": time(until), "name": name, "labels": labels })
    });
    let tokens: Vec<_> = tokens.collect();
    Ok(content("application/json", json!({ "tokens": tokens }).to_string()))
}

/// `POST /api/hub/tokens/ID/end`
pub(super) async fn end_token(
    visitor: Visitor,
    mut request: Request,
) -> Result<Response<Body>, Refusal> {
    let id = named(&mut request).await?;
    operator(&visitor, &ask::bare(request), Purpose::Change).await?;
    done(kept(&visitor.bridge, move |hub| hub.register.end_token(&id)).await?)
}

/// `POST /api/fleet/GATEWAY/revoke`: nothing of that gateway lets it in any more.
pub(super) async fn revoke(
    visitor: Visitor,
    mut request: Request,
) -> Result<Response<Body>, Refusal> {
    let gateway = named(&mut request).await?;
    let who = operator(&visitor, &ask::bare(request), Purpose::Change).await?;
    let name = gateway.clone();
    let response = done(kept(&visitor.bridge, move |hub| hub.register.revoke(&name)).await?)?;
    open(&visitor.bridge)?.homes.dismiss(&gateway, ByeReason::Revoked);
    let event = FleetEvent::Revoked { by: &who.id };
    visitor.bridge.events.tell(Event::Fleet { gateway: &gateway, event });
    Ok(response)
}

/// `POST /api/fleet/GATEWAY/clear`: there is one machine with that certificate again.
pub(super) async fn clear(
    visitor: Visitor,
    mut request: Request,
) -> Result<Response<Body>, Refusal> {
    let gateway = named(&mut request).await?;
    let who = operator(&visitor, &ask::bare(request), Purpose::Change).await?;
    let name = gateway.clone();
    let response =
        done(kept(&visitor.bridge, move |hub| hub.register.cloned(&name, false)).await?)?;
    let event = FleetEvent::Cleared { by: &who.id };
    visitor.bridge.events.tell(Event::Fleet { gateway: &gateway, event });
    Ok(response)
}

async fn named(request: &mut Request) -> Result<String, Refusal> {
    let unread = |_| Refusal::BadRequest("the name is not UTF-8");
    let Path(name): Path<String> = request.extract_parts().await.map_err(unread)?;
    Ok(name)
}

fn done(kept: std::io::Result<bool>) -> Result<Response<Body>, Refusal> {
    match kept {
        Ok(true) => Ok(content("application/json", "{}".to_owned())),
        Ok(false) => Err(Refusal::NotFound),
        Err(error) => Err(Refusal::NotKept(error.to_string())),
    }
}
