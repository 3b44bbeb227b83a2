//! Asking for access: requests are made, listed, approved, denied and taken back.

use std::sync::Arc;

use axum::{
    RequestExt as _,
    body::Body,
    extract::{Path, Request},
    http::Response,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    ask,
    disk::blocking,
    grants::{Empty, failed, reason, rights, seconds, time},
    pages::content,
    scope::{decides, may_decide, need_fresh},
    visitor::Visitor,
    warden,
};
use crate::{
    auth::{
        Decision, LendingFailure, Moment, Principal, PrincipalKind, Purpose, Request as Asked, Wish,
    },
    config::Rights,
    event::{Event, GrantDeed, LendingEvent},
    wire::close::Refusal,
};

/// What somebody asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    endpoint: String,
    rights: Vec<String>,
    seconds: i64,
    reason: String,
}

const WANTED: &str = "send {\"endpoint\": \"NAME\", \"rights\": [\"write\", ..], \"seconds\": NUMBER, \"reason\": \"...\"}";

impl Visitor {
    /// Tells what became of a request by whoever asks.
    fn tell_request(&self, principal: &Principal, request: &Asked) {
        let (by, client) = (Some(&principal.id), Some(self.client));
        self.bridge.events.tell(Event::Lending(LendingEvent::Request { by, request, client }));
    }
}

/// `POST /api/requests`: asks for access to an endpoint that the caller can already see.
pub(super) async fn make(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let (principal, _, said) = visitor.change(request).await?;
    let wanted: Wanted = said.read(WANTED)?;
    let bridge = &visitor.bridge;
    let config = bridge.config();
    let asks = !matches!(principal.id.kind, PrincipalKind::Open | PrincipalKind::Local);
    let sees = principal.rights.on(&wanted.endpoint).allows(Rights::READ);
    if !asks
        || principal.only.is_some()
        || !sees
        || !config.endpoints.contains_key(&wanted.endpoint)
    {
        return Err(Refusal::Forbidden);
    }
    let wish = Wish {
        rights: rights(&wanted.rights)?,
        seconds: seconds(&config, wanted.seconds)?,
        reason: reason(&wanted.reason)?,
        endpoint: wanted.endpoint,
    };
    let (own, by) = (Arc::clone(bridge), principal.id.clone());
    let made = blocking(move || own.auth.grants.ask(wish, &by, Moment::now())).await?;
    let asked = made.map_err(|why| failed(&why))?;
    visitor.tell_request(&principal, &asked);
    Ok(content("application/json", describe(&asked, &principal).to_string()))
}

/// `GET /api/requests`: the caller's own, and those that it may decide.
pub(super) async fn list(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let request = ask::bare(request);
    let (principal, _) = visitor.authorise(&ask::read(&request, Purpose::Read)).await?;
    let mut all = visitor.bridge.auth.grants.requests();
    all.retain(|one| one.by.0 == principal.id || may_decide(&principal, one));
    all.sort_by_key(|one| std::cmp::Reverse((one.at, one.id.clone())));
    let list: Vec<_> = all.iter().map(|one| describe(one, &principal)).collect();
    Ok(content("application/json", json!({ "requests": list }).to_string()))
}

fn describe(request: &Asked, principal: &Principal) -> Value {
    let approved: Vec<_> = request.approved.iter().map(|whose| whose.0.name.clone()).collect();
    json!({
        "id": request.id,
        "endpoint": request.endpoint,
        "rights": request.rights.words(),
        "seconds": request.seconds,
        "reason": request.reason,
        "by": request.by.0.name,
        "kind": request.by.0.kind.word(),
        "at": time(request.at),
        "state": request.state.word(),
        "approved": approved,
        "grant": request.grant,
        "answer": request.answer,
        "own": request.by.0 == principal.id,
        "decides": decides(principal, request),
    })
}

/// How somebody approves: for no longer than this, with no more than this.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Approval {
    #[serde(default)]
    seconds: Option<i64>,
    #[serde(default)]
    rights: Option<Vec<String>>,
}

/// `POST /api/requests/ID/approve`.
pub(super) async fn approve(
    visitor: Visitor,
    mut request: Request,
) -> Result<Response<Body>, Refusal> {
    let Path(id): Path<String> = request.extract_parts().await.map_err(|_| Refusal::NotFound)?;
    let (principal, _, said) = visitor.change(request).await?;
    let usage = "send {}, or {\"seconds\": NUMBER, \"rights\": [..]} for less than was asked";
    let approval: Approval = said.read(usage)?;
    let asked = pending(&visitor, &principal, &id)?;
    let config = visitor.bridge.config();
    need_fresh(&config, &principal, std::slice::from_ref(&asked.endpoint))?;
    // Nobody gives what he may not do himself.
    let own = principal.rights.on(&asked.endpoint);
    let most = match &approval.rights {
        Some(words) => rights(words)?,
        None => asked.rights,
    };
    let given = asked.rights.only(most);
    if !own.allows(given) {
        let missing = given.without(own).words().join(", ");
        return Err(Refusal::NotLent(format!(
            "you can approve only what you may do yourself; you lack: {missing}. Approve less with \"rights\""
        )));
    }
    if approval.seconds.is_some_and(|seconds| seconds < 1) {
        return Err(Refusal::BadRequest(usage));
    }
    let needed = config.lending.approvals;
    let decision = Decision::Approve { seconds: approval.seconds, rights: most, needed };
    decide(visitor, principal, (id, decision)).await
}

/// Why somebody denies.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Denial {
    #[serde(default)]
    reason: String,
}

/// `POST /api/requests/ID/deny`.
pub(super) async fn deny(
    visitor: Visitor,
    mut request: Request,
) -> Result<Response<Body>, Refusal> {
    let Path(id): Path<String> = request.extract_parts().await.map_err(|_| Refusal::NotFound)?;
    let (principal, _, said) = visitor.change(request).await?;
    let denial: Denial = said.read("send {}, or {\"reason\": \"...\"}")?;
    pending(&visitor, &principal, &id)?;
    let why = if denial.reason.is_empty() { String::new() } else { reason(&denial.reason)? };
    decide(visitor, principal, (id, Decision::Deny(why))).await
}

/// A request that waits, which this principal may decide.
fn pending(visitor: &Visitor, principal: &Principal, id: &str) -> Result<Asked, Refusal> {
    let found = visitor.bridge.auth.grants.pending(id);
    let seen = found.filter(|one| {
        one.by.0 == principal.id || principal.rights.on(&one.endpoint).allows(Rights::APPROVE)
    });
    let seen = seen.ok_or(Refusal::NotFound)?;
    // Whoever asked is told why not, even if he has the right.
    if may_decide(principal, &seen) { Ok(seen) } else { Err(failed(&LendingFailure::Decided)) }
}

async fn decide(
    visitor: Visitor,
    principal: Principal,
    (id, decision): (String, Decision),
) -> Result<Response<Body>, Refusal> {
    let bridge = &visitor.bridge;
    let (own, by) = (Arc::clone(bridge), principal.id.clone());
    let done = blocking(move || own.auth.grants.decide(&id, &decision, &by, Moment::now())).await?;
    let (request, grant) = done.map_err(|why| failed(&why))?;
    visitor.tell_request(&principal, &request);
    if let Some(grant) = &grant {
        visitor.tell_grant(GrantDeed::Given, Some(&principal.id), grant);
        warden::look(bridge);
    }
    Ok(content("application/json", describe(&request, &principal).to_string()))
}

/// `POST /api/requests/ID/withdraw`: whoever asked no longer does.
pub(super) async fn withdraw(
    visitor: Visitor,
    mut request: Request,
) -> Result<Response<Body>, Refusal> {
    let Path(id): Path<String> = request.extract_parts().await.map_err(|_| Refusal::NotFound)?;
    let (principal, _, said) = visitor.change(request).await?;
    let Empty {} = said.read("send {}")?;
    let bridge = &visitor.bridge;
    let (own, by) = (Arc::clone(bridge), principal.id.clone());
    let done = blocking(move || own.auth.grants.withdraw(&id, &by, Moment::now())).await?;
    let request = done.map_err(|why| failed(&why))?;
    visitor.tell_request(&principal, &request);
    Ok(content("application/json", describe(&request, &principal).to_string()))
}
