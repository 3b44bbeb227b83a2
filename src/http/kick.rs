//! The running sessions, and how an administrator ends them.

use axum::{
    RequestExt as _,
    body::Body,
    extract::{Path, Request},
    http::{Response, StatusCode},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    ask,
    pages::{content, json_body},
    visitor::Visitor,
};
use crate::{
    auth::Purpose,
    config::{Rights, RightsTable},
    event::{self, Event},
    line::rfc3339,
    session::RunningSession,
    wire::close::{Ended, Refusal},
};

/// An empty body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

/// `GET /api/sessions`: the sessions on endpoints where the caller has `takeover`, including those
/// that wait for their client.
pub(super) async fn sessions(
    visitor: Visitor,
    request: Request,
) -> Result<Response<Body>, Refusal> {
    let request = ask::bare(request);
    let (principal, _) = visitor.authorise(&ask::read(&request, Purpose::Read)).await?;
    let (running, parked) = (visitor.bridge.sessions.list(), visitor.bridge.parking.list());
    let running = running.iter().map(|entry| (entry, false));
    let all = running.chain(parked.iter().map(|entry| (entry, true)));
    let mut seen: Vec<_> = all.filter(|(entry, _)| may_end(&principal.rights, entry)).collect();
    seen.sort_by_key(|(entry, _)| entry.number);
    let list: Vec<_> = seen.into_iter().map(|(entry, parked)| describe(entry, parked)).collect();
    Ok(content("application/json", json!({ "sessions": list }).to_string()))
}

fn describe(entry: &RunningSession, parked: bool) -> serde_json::Value {
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
        "to_client": to_client,
        "to_target": to_target,
    })
}

/// The bus is not a session on an endpoint.
fn may_end(rights: &RightsTable, entry: &RunningSession) -> bool {
    !entry.endpoint.is_empty() && rights.on(&entry.endpoint).allows(Rights::TAKEOVER)
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

/// `POST /api/sessions/ID/end`: its client gets 4412; one that waits for its client is dropped.
pub(super) async fn end(visitor: Visitor, mut request: Request) -> Result<Response<Body>, Refusal> {
    let Path(number): Path<u64> = request.extract_parts().await.map_err(|_| Refusal::NotFound)?;
    let (request, body) = ask::parted(request);
    let (principal, _) = visitor.authorise(&ask::read(&request, Purpose::Change)).await?;
    let Empty {} = json_body(request.headers(), body, "send {}").await?;
    let bridge = &visitor.bridge;
    let mut running = bridge.sessions.list().into_iter().chain(bridge.parking.list());
    let found = running.find(|entry| entry.number == number && may_end(&principal.rights, entry));
    let entry = found.ok_or(Refusal::NotFound)?;
    entry.end(Ended::Disconnected);
    bridge.parking.disconnect(number);
    bridge.events.tell(Event::Kick { by: &principal.id, session: told(&entry) });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
