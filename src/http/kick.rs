//! The running sessions: who may see them, end them, hold them read-only.

use std::sync::Arc;

use axum::{
    RequestExt as _,
    body::Body,
    extract::{Path, Request},
    http::{Response, StatusCode},
};
use serde::Deserialize;
use serde_json::json;

use super::{Bridge, ask, pages::content, visitor::Visitor, warden::restrain};
use crate::{
    auth::Purpose,
    config::{Rights, RightsTable},
    event::{self, Event},
    line::rfc3339,
    session::{Restraint, RunningSession, Standing},
    wire::close::{Ended, Refusal},
};

/// The longest reason in characters: with our own words before it, a Close frame has room for it.
const REASON_MOST: usize = 80;

/// `{}` or `{"reason": "..."}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    reason: Option<String>,
}

/// `{"held": true}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hold {
    held: bool,
}

/// `GET /api/sessions`: the sessions on endpoints where the caller has `sessions` or `takeover`,
/// including those that wait for their client.
pub(super) async fn sessions(
    visitor: Visitor,
    request: Request,
) -> Result<Response<Body>, Refusal> {
    let request = ask::bare(request);
    let (principal, _) = visitor.authorise(&ask::read(&request, Purpose::Read)).await?;
    let bridge = &visitor.bridge;
    let (running, parked) = (bridge.sessions.list(), bridge.parking.list());
    let running = running.iter().map(|entry| (entry, false));
    let all = running.chain(parked.iter().map(|entry| (entry, true)));
    let mut seen: Vec<_> = all.filter(|(entry, _)| may_end(&principal.rights, entry)).collect();
    seen.sort_by_key(|(entry, _)| entry.number);
    let list: Vec<_> =
        seen.into_iter().map(|(entry, parked)| describe(bridge, entry, parked)).collect();
    Ok(content("application/json", json!({ "sessions": list }).to_string()))
}

fn describe(bridge: &Bridge, entry: &RunningSession, parked: bool) -> serde_json::Value {
    let (to_client, to_target) = entry.moved();
    json!({
        "id": entry.number,
        "endpoint": entry.endpoint,
        "user": entry.principal.name,
        "kind": entry.principal.kind.word(),
        "client": entry.client.to_string(),
        "door": entry.door.as_deref(),
        "since": rfc3339(entry.since),
        "parked": parked,
        "lease": writes(bridge, entry),
        "held": entry.restraints().moderator(),
        "to_client": to_client,
        "to_target": to_target,
    })
}

/// Whether it may write now; `None` while it has nothing of its endpoint.
fn writes(bridge: &Bridge, entry: &RunningSession) -> Option<bool> {
    match entry.standing() {
        Standing::Arriving | Standing::Idle | Standing::Silent => None,
        Standing::Own => Some(true),
        Standing::Seat(seat) => Some(bridge.lines.writes(&entry.endpoint, seat)),
    }
}

/// Whether somebody may see a session, and end it. The bus is not a session on an endpoint.
fn may_end(rights: &RightsTable, entry: &RunningSession) -> bool {
    let here = rights.on(&entry.endpoint);
    !entry.endpoint.is_empty() && (here.allows(Rights::SESSIONS) || here.allows(Rights::TAKEOVER))
}

fn may_hold(rights: &RightsTable, entry: &RunningSession) -> bool {
    !entry.endpoint.is_empty() && rights.on(&entry.endpoint).allows(Rights::SESSIONS)
}

/// The session of this number, running or parked. One that the caller may not see is no different
/// from none.
fn find(
    bridge: &Bridge,
    number: u64,
    may: impl Fn(&RunningSession) -> bool,
) -> Result<Arc<RunningSession>, Refusal> {
    let mut all = bridge.sessions.list().into_iter().chain(bridge.parking.list());
    all.find(|entry| entry.number == number && may(entry)).ok_or(Refusal::NotFound)
}

/// The session as events name it.
fn told(entry: &RunningSession) -> event::SessionInfo<'_> {
    event::SessionInfo {
        number: entry.number,
        endpoint: &entry.endpoint,
        principal: &entry.principal,
        client: entry.client,
    }
}

/// Whether a text is one line that people can read, of at most so many characters.
pub(super) fn is_line(text: &str, most: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= most && !text.chars().any(leads_astray)
}

/// Whether a character shows another text than there is: control characters, ends of lines, and what
/// turns the direction of what follows.
fn leads_astray(c: char) -> bool {
    let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// `POST /api/sessions/ID/end`: its client gets 4412 and the reason; one that waits for its client
/// is dropped.
pub(super) async fn end(visitor: Visitor, mut request: Request) -> Result<Response<Body>, Refusal> {
    const USAGE: &str = "send {} or {\"reason\": \"...\"}, at most 80 characters on one line";
    let Path(number): Path<u64> = request.extract_parts().await.map_err(|_| Refusal::NotFound)?;
    let (principal, _, said) = visitor.change(request).await?;
    let End { reason } = said.read(USAGE)?;
    if reason.as_ref().is_some_and(|reason| !is_line(reason, REASON_MOST)) {
        return Err(Refusal::BadRequest(USAGE));
    }
    let bridge = &visitor.bridge;
    let entry = find(bridge, number, |entry| may_end(&principal.rights, entry))?;
    let event = Event::Kick { by: &principal.id, session: told(&entry), reason: reason.as_deref() };
    bridge.events.tell(event);
    let ended = Ended::Disconnected(reason);
    entry.end(ended.clone());
    bridge.parking.disconnect(number, &ended);
    Ok(done())
}

/// `POST /api/sessions/ID/hold`: from now on it may only read, or it may write again.
pub(super) async fn hold(
    visitor: Visitor,
    mut request: Request,
) -> Result<Response<Body>, Refusal> {
    let Path(number): Path<u64> = request.extract_parts().await.map_err(|_| Refusal::NotFound)?;
    let (principal, _, said) = visitor.change(request).await?;
    let Hold { held } = said.read("send {\"held\": true} or {\"held\": false}")?;
    let bridge = &visitor.bridge;
    let entry = find(bridge, number, |entry| may_hold(&principal.rights, entry))?;
    if restrain(bridge, &entry, (Restraint::Moderator, held)) {
        bridge.events.tell(Event::Hold { by: &principal.id, session: told(&entry), held });
    }
    Ok(done())
}

fn done() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
